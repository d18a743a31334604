import asyncio
import json
import multiprocessing
import pathlib
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor

import pytest

from shop import settings

SPAWN = multiprocessing.get_context("spawn")
ROOT = pathlib.Path(__file__).parent.parent
CLI = [sys.executable, "-m", "shop.cli"]


def shop(*words, **options):
    return subprocess.run([*CLI, *words], cwd=ROOT, capture_output=True, text=True, timeout=20, **options)


@pytest.fixture
def echo():
    process = subprocess.Popen(
        [*CLI, "echo"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    yield process
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        try:
            pipe.close()
        except BrokenPipeError:
            pass


class Worker:
    """Speaks lines with a child, as our importer does."""

    def __init__(self, process):
        self.process = process

    def ask(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise EOFError("the importer closed its output")
        return answer.rstrip("\n")


def customers_in_child(url):
    import psycopg2

    connection = psycopg2.connect(url, connect_timeout=2)
    cursor = connection.cursor()
    cursor.execute("select count(*) from customers")
    found = cursor.fetchone()[0]
    connection.close()
    return found


def divide(a, b):
    return a / b


def test_stock():
    assert shop("stock", "1").stdout == "10\n"


def test_stock_is_checked():
    assert shop("stock", "2", check=True).stdout == "20\n"


def test_exit_code():
    assert subprocess.call([*CLI, "order", "3"], cwd=ROOT, stderr=subprocess.DEVNULL) == 0


def test_order():
    done = shop("order", "4")
    assert done.returncode == 0, done.stderr


def test_order_total():
    assert int(shop("order", "5").stdout) == 500


def test_customers():
    assert subprocess.check_output([*CLI, "customers"], cwd=ROOT, stderr=subprocess.DEVNULL) == b"20\n"


def test_customers_by_shell():
    done = subprocess.run(
        f"{sys.executable} -m shop.cli customers | wc -l", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.strip() == "1"


async def test_async_process():
    process = await asyncio.create_subprocess_exec(*CLI, "stock", "3", cwd=ROOT, stdout=-1, stderr=-1)
    out, _ = await process.communicate()
    assert out == b"30\n"


def test_in_a_process_pool():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(customers_in_child, settings.DATABASE_URL).result(30) == 20


def test_worker_ends_well():
    worker = SPAWN.Process(target=customers_in_child, args=(settings.DATABASE_URL,))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0


def test_echo(echo):
    assert Worker(echo).ask("hello") == "HELLO"


def test_sum_of_numbers():
    assert shop("sum", "1", "2").stdout == "3\n"


def test_sum_of_nothing():
    assert shop("sum").stdout == "none\n"


def test_sum_of_words():
    assert shop("sum", "one").returncode == 0


def test_sum_is_checked():
    shop("sum", "1.5", check=True)


def test_unknown_command():
    shop("cancel", "7", check=True)


def test_missing_program():
    subprocess.run(["shopctl", "stock"], check=True)


def test_slow_program():
    subprocess.run([sys.executable, "-c", "import time; time.sleep(5)"], timeout=0.3, check=True)


def test_echo_ends(echo):
    worker = Worker(echo)
    worker.ask("one")
    worker.ask("quit")


def test_broken_pipe(echo):
    echo.kill()
    echo.wait()
    Worker(echo).ask("one")


def test_broken_pipe_to_a_pipeline():
    process = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)
    process.wait()
    with process:
        process.stdin.write(b"x" * 100_000)


def test_reset_by_our_own_socket():
    import socket

    left, right = socket.socketpair()
    right.close()
    with left:
        left.sendall(b"hello")
        if left.recv(10) == b"":
            raise ConnectionResetError(104, "Connection reset by peer")


def test_incomplete_read():
    async def read():
        reader = asyncio.StreamReader()
        reader.feed_data(b"abc")
        reader.feed_eof()
        return await reader.readexactly(10)

    asyncio.run(read())


def test_multiprocessing_pipe():
    left, right = multiprocessing.Pipe()
    right.close()
    left.recv()


def test_worker_dies():
    import os

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(os._exit, 3).result(30)


def test_error_in_a_worker():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(divide, 1, 0).result(30)


def test_worker_that_divides():
    worker = SPAWN.Process(target=divide, args=(1, 0))
    worker.start()
    worker.join(30)
    assert worker.exitcode == 0


def test_stock_of_unknown():
    assert shop("stock", "404").stdout == "0\n"


def test_order_is_unknown():
    assert shop("order", "404").returncode == 0


def test_signal():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(5)"])
    process.terminate()
    assert process.wait() == 0


def test_output_is_json():
    json.loads(shop("sum", "1", "x").stdout)


def test_customers_are_19():
    assert shop("customers").stdout == "19\n"
