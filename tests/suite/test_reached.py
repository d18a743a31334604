"""A pass proves what the tests spoke to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from resilience.core.records import TestExecutionMode, Verdict
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.core.words import result_lines
from tests.kits.testrun_kit import (
    LineServer,
    run,
    settings,
    stand_in,
    write,
)


async def test_tests_that_did_not_reach_the_stand_in_prove_nothing(root: Path, out: Path, database: LineServer) -> None:
    other = LineServer().up()
    write(
        root,
        conftest="import os\nos.environ['DATABASE_URL'] = 'postgresql://elsewhere/x'\n",
        test_a=f"""
        import asyncio, asyncpg, pytest
        @pytest.mark.real_database
        def test_a():
            with pytest.raises(Exception):
                asyncio.run(asyncpg.connect("postgresql://u:p@127.0.0.1:{other.port}/x", timeout=2))
        """,
    )
    staging = LineServer()
    made = settings(root, {"database": staging})
    service = made.services[0]
    local = f"postgresql://user:pw@127.0.0.1:{database.up().port}/db"
    made = replace(made, services=(replace(service, local=Secret(local), exports={"DATABASE_URL": Secret(local)}),))

    async def count(_: object) -> int:
        return database.connections - database.looks

    result = await run(
        root,
        out,
        {"database": database},
        made=made,
        stand_ins=[stand_in("database", database)],
        connections=count,
        env={"DATABASE_URL": local},
        mode=TestExecutionMode.DEGRADED,
    )
    other.down()
    assert result.exit_code == 21
    assert result.reached[0].canary is False
    told = next(note for note in result.notes if "tests did not use the stand-in for database" in note)
    assert f"127.0.0.1:{other.port}" in told
    assert "override DATABASE_URL" in told

    (root / "test_a.py").write_text("def test_a(): pass\n")
    nothing = await run(
        root, out / "nothing", {"database": database}, made=made, stand_ins=[stand_in("database", database)],
        connections=count, env={"DATABASE_URL": local}, mode=TestExecutionMode.DEGRADED,
    )  # fmt: skip
    assert (nothing.exit_code, nothing.spoke) == (10, 0), "who spoke to nobody spoke to nobody else either"

    (root / "conftest.py").unlink()
    (root / "test_a.py").write_text(
        "import pytest\nfrom helpers import hello\n@pytest.mark.real_database\ndef test_a(): hello()\n"
    )
    used = await run(
        root,
        out,
        {"database": database},
        made=made,
        stand_ins=[stand_in("database", database)],
        connections=count,
        env={"DATABASE_URL": local},
        mode=TestExecutionMode.DEGRADED,
    )
    assert used.exit_code == 10
    assert used.reached[0].canary is True
    assert used.reached[0].connections == 1


async def test_a_pass_in_mode_full_says_how_many_tests_spoke_to_staging(
    root: Path, out: Path, database: LineServer
) -> None:
    write(
        root,
        test_a="""
        import pytest, socket, os
        from helpers import hello
        @pytest.fixture(scope="session")
        def db():
            with socket.create_connection(("127.0.0.1", int(os.environ["DB_PORT"]))) as client: yield client
        def test_new(): hello()
        def test_fixture(db): pass
        def test_pure(): pass
        """,
    )
    result = await run(root, out, {"database": database.up()})
    assert (result.exit_code, result.spoke, result.totals.passed) == (0, 2, 3)
    assert "2 of 3 tests spoke to it" in result_lines(result)[0]


async def test_a_pass_against_another_server_of_the_kind_than_stagings_proves_nothing(
    root: Path, out: Path, database: LineServer
) -> None:
    other = LineServer().up()
    write(
        root,
        test_a=f"""
        import asyncio, asyncpg, pytest
        def test_a():
            with pytest.raises(Exception):
                asyncio.run(asyncpg.connect("postgresql://u:p@127.0.0.1:{other.port}/x", timeout=2))
        """,
    )
    result = await run(root, out, {"database": database.up()})
    other.down()
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert any(f"127.0.0.1:{other.port}" in note and "database on staging" in note for note in result.notes)


@pytest.fixture
def elsewhere() -> Iterator[int]:
    """The port of an HTTP server that no service is."""

    class Fine(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Fine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join(5)


def over_http(root: Path, server: LineServer) -> Settings:
    """Return settings with a backend at this server; it answers our looks, and no test asks it."""
    made = settings(root, {"backend_api": server})
    url = Secret(f"http://127.0.0.1:{server.port}/health")
    return replace(made, services=(replace(made.services[0], url=url),))


ASKS = {
    "the standard library": "import urllib.request\ndef ask(url): urllib.request.urlopen(url).close()\n",
    "httpx": "import httpx\ndef ask(url): httpx.get(url, trust_env=False)\n",
    "httpx in a loop": """
        import asyncio, httpx
        async def one(url):
            async with httpx.AsyncClient(trust_env=False) as client: await client.get(url)
        def ask(url): asyncio.run(one(url))
    """,
    "a thread of a pool": """
        import urllib.request
        from concurrent.futures import ThreadPoolExecutor
        def ask(url):
            with ThreadPoolExecutor() as pool: pool.submit(urllib.request.urlopen, url).result().close()
    """,
}


@pytest.mark.parametrize("how", ASKS)
async def test_a_pass_against_another_http_server_than_stagings_proves_nothing(
    how: str, root: Path, out: Path, database: LineServer, elsewhere: int
) -> None:
    write(root, asks=ASKS[how], test_a=f"from asks import ask\ndef test_a(): ask('http://127.0.0.1:{elsewhere}/')\n")
    result = await run(root, out, {"backend_api": database.up()}, made=over_http(root, database))
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert any(f"127.0.0.1:{elsewhere}" in note and "backend_api on staging" in note for note in result.notes)


async def test_a_pass_at_a_stand_in_that_is_not_applied_proves_nothing_of_staging(
    root: Path, out: Path, database: LineServer, elsewhere: int
) -> None:
    url = f"http://127.0.0.1:{elsewhere}/"
    write(root, asks=ASKS["the standard library"], test_a=f"from asks import ask\ndef test_a(): ask('{url}')\n")
    made = over_http(root, database)
    made = replace(made, services=(replace(made.services[0], local=Secret(url)),))
    result = await run(root, out, {"backend_api": database.up()}, made=made)
    assert result.exit_code == 21
    assert any(f"127.0.0.1:{elsewhere}" in note and "backend_api on staging" in note for note in result.notes)


async def test_an_assertion_on_what_a_stopped_stand_in_refused_is_not_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    url = f"http://127.0.0.1:{LineServer().port}/"
    swallow = f"""
    from asks import ask
    def test_a():
        try: ask('{url}')
        except OSError: pass
        assert not "answered"
    """
    write(root, asks=ASKS["the standard library"], test_a=swallow)
    made = over_http(root, database)
    made = replace(made, services=(replace(made.services[0], local=Secret(url)),))
    result = await run(root, out, {"backend_api": database.up()}, made=made)
    assert (result.exit_code, result.totals.not_run) == (21, 1), result.tests
    assert "resilience env --unset" in str(result.tests[0].reason)


OWN = """
import threading, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
class Fine(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
def serve():
    server = HTTPServer(("127.0.0.1", 0), Fine)
    threading.Thread(target=server.handle_request).start()
    return server.server_address[1]
"""
NOBODYS = {
    "a server of the test's own": f"""{OWN}
def test_a(): urllib.request.urlopen(f"http://127.0.0.1:{{serve()}}/").close()
""",
    "a child's server": """
import subprocess, sys, urllib.request
CHILD = "import test_own, time; print(test_own.serve(), flush=True); time.sleep(0.3)"
def test_a():
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True) as child:
        urllib.request.urlopen(f"http://127.0.0.1:{int(child.stdout.readline())}/").close()
""",
    "what a library asks by itself": """
import telemetry
def test_a(): telemetry.send(PORT)
""",
    "a proxy": """
import os, urllib.request
def test_a():
    os.environ["http_proxy"] = "http://127.0.0.1:PORT"
    urllib.request.urlopen("http://api.staging.test/").close()
""",
}


@pytest.mark.parametrize("what", NOBODYS)
async def test_http_of_the_suites_own_and_of_libraries_is_no_other_server_of_the_kind(
    what: str, root: Path, out: Path, database: LineServer, elsewhere: int
) -> None:
    library = "import urllib.request\ndef send(port): urllib.request.urlopen(f'http://127.0.0.1:{port}/').close()\n"
    write(
        root, lib__site_packages__telemetry=library, test_own=OWN, test_a=NOBODYS[what].replace("PORT", str(elsewhere))
    )
    (root / "lib" / "site_packages").rename(root / "lib" / "site-packages")
    env = {"PYTHONPATH": str(root / "lib" / "site-packages")}
    if what == "a proxy":
        env["http_proxy"] = f"http://127.0.0.1:{elsewhere}"
    result = await run(root, out, {"backend_api": database.up()}, env=env, made=over_http(root, database))
    assert (result.exit_code, result.totals.passed) == (0, 1), result.notes


async def test_a_selection_that_speaks_to_nobody_passes_and_says_so(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database.up()})
    assert (result.exit_code, result.spoke) == (0, 0)
    assert "nothing is proved of staging" in result_lines(result)[0]
