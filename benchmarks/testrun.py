"""What the test run costs beside plain pytest, and what an outage costs beside a healthy run; prints ratios.

python benchmarks/testrun.py [--quick] [overhead|command|refused|blip|blackhole|size …]
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import gc
import http.server
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.kits.testrun_kit import ALONE, LineServer, Probe, environ, run, write

PYTEST = f"{sys.executable} -m pytest -q -p no:cacheprovider {ALONE}"
QUICK = "--quick" in sys.argv


def suite(text: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bench-testrun-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write(folder, test_bench=text)


def children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def plain(root: Path, services: dict[str, LineServer]) -> tuple[float, float]:
    began, before = time.perf_counter(), children_cpu()
    subprocess.run(PYTEST, shell=True, cwd=root, env=environ(services), stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - began, children_cpu() - before


async def ours(root: Path, services: dict[str, LineServer], **more: object) -> tuple[float, float, object]:
    with tempfile.TemporaryDirectory() as folder:
        began, before = time.perf_counter(), children_cpu()
        result = await run(root, Path(folder), services, PYTEST, **more)  # type: ignore[arg-type]
        return time.perf_counter() - began, children_cpu() - before, result


async def overhead() -> None:
    root = suite("import pytest\n@pytest.mark.parametrize('n', range(2000))\ndef test_trivial(n): pass\n")
    runs = 5 if QUICK else 11
    pairs = []
    for number in range(runs):
        if number % 2:
            mine, theirs = (await ours(root, {}))[1], plain(root, {})[1]
        else:
            theirs, mine = plain(root, {})[1], (await ours(root, {}))[1]
        pairs.append((theirs, mine))
    theirs, mine = statistics.median(p[0] for p in pairs), statistics.median(p[1] for p in pairs)
    print(
        f"healthy, 2,000 trivial tests, {runs} interleaved: plain {theirs:.2f} s CPU, ours {mine:.2f} s,",
        f"ratio {mine / theirs:.3f} (limit 1.08)",
    )


CONFIGURATION = """\
[[service]]
name = "backend_api"
type = "http"
url = "http://127.0.0.1:%d"
"""


@contextlib.contextmanager
def backend() -> Iterator[int]:
    """Yield the port of an HTTP server that is well, so that the command has something to look at."""

    class Well(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Well)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def timed(command: list[str], root: Path) -> tuple[float, float]:
    """Return the CPU seconds of a command with its children, and the seconds by the clock."""
    began, before = time.perf_counter(), children_cpu()
    subprocess.run(command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return children_cpu() - before, time.perf_counter() - began


def command() -> None:
    """The whole of `resilience test -- pytest` beside plain pytest, in turns: start, looks, tests, record and report."""
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *ALONE.split()]
    ours = [str(Path(sys.executable).with_name("resilience")), "test", "--", *tests]
    passing, failing = (500, 500) if QUICK else (2000, 5000)
    for what, body, count, runs in (
        ("trivial tests that pass", "pass", passing, 3 if QUICK else 5),
        ("trivial tests that fail", "assert n < 0", failing, 1),
    ):
        root = suite(f"import pytest\n@pytest.mark.parametrize('n', range({count}))\ndef test_trivial(n): {body}\n")
        (root / "pytest.ini").write_text("[pytest]\n")
        (root / ".git").mkdir()
        with backend() as port:
            (root / "resilience.toml").write_text(CONFIGURATION % port)
            pairs = [(timed(tests, root), timed(ours, root)) for _ in range(runs)]
        (cpu, wall), (our_cpu, our_wall) = (
            tuple(statistics.median(pair[side][at] for pair in pairs) for at in (0, 1)) for side in (0, 1)
        )
        print(
            f"command, {count:,} {what}, {runs} in turns: plain {cpu:.2f} s CPU ({wall:.1f} s), ours {our_cpu:.2f} s",
            f"({our_wall:.1f} s), ratio {our_cpu / cpu:.3f}, {our_cpu - cpu:+.2f} s CPU with the report",
        )


async def refused() -> None:
    server = LineServer()
    root = suite(
        "import pytest\nfrom helpers import hello\n@pytest.fixture\ndef db(): return hello()\n"
        "@pytest.mark.parametrize('n', range(200))\ndef test_db(db, n): pass\n"
        "@pytest.mark.parametrize('n', range(50))\ndef test_pure(n): pass\n"
    )
    services = {"database": server}
    theirs = statistics.median(plain(root, services)[0] for _ in range(3))
    times, waiting = [], 3 * 0.2
    for _ in range(3):
        took, _, result = await ours(root, services)
        totals = result.totals  # type: ignore[attr-defined]
        assert (totals.infrastructure_unavailable, totals.passed) == (200, 50), totals
        times.append(took)
    mine = statistics.median(times)
    limit = 1.2 * theirs + 2 + waiting
    known = (await ours(root, services, dead={"database": "down"}))[0]
    print(
        f"200 refused + 50 pure: plain {theirs:.2f} s, ours {mine:.2f} s with {waiting:.1f} s of waiting (limit {limit:.2f}), "
        f"known to be down {known:.2f} s; all 200 classified, all 50 ran"
    )


def rerunfailures() -> None:
    """Run pytest-rerunfailures on a tenth of it, where an interpreter that has it is named by RERUNFAILURES_PYTHON."""
    python = os.environ.get("RERUNFAILURES_PYTHON")
    if not python:
        print("pytest-rerunfailures: not run (RERUNFAILURES_PYTHON names no interpreter that has it)")
        return
    server = LineServer()
    root = suite(
        "import pytest\nfrom helpers import hello\n@pytest.fixture\ndef db(): return hello()\n"
        "@pytest.mark.parametrize('n', range(5))\ndef test_db(db, n): pass\n"
        "@pytest.mark.parametrize('n', range(5))\ndef test_pure(n): pass\n"
    )
    times = []
    for option in ("", " --reruns 3 --reruns-delay 2"):
        began = time.perf_counter()
        subprocess.run(
            f"{python} -m pytest -q -p no:cacheprovider{option}", shell=True, cwd=root, env=environ({"database": server}),
            stdout=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        times.append(time.perf_counter() - began)
    print(
        f"pytest-rerunfailures, 5 refused + 5 pure: plain {times[0]:.2f} s, 3 reruns of 2 s {times[1]:.2f} s,",
        f"ratio {times[1] / times[0]:.0f}",
    )


async def blip() -> None:
    server = LineServer()
    away = 3.0 if QUICK else 12.0
    root = suite(
        "import pytest, time\nfrom helpers import hello\n@pytest.fixture(scope='session')\ndef db(): return hello()\n"
        "@pytest.mark.parametrize('n', range(244))\ndef test_db(db, n): time.sleep(0.005)\n"
        "@pytest.mark.parametrize('n', range(26))\ndef test_pure(n): time.sleep(0.005)\n"
    )
    services = {"database": server.up()}
    healthy = statistics.median([(await ours(root, services))[0] for _ in range(3)])
    server.down()
    began = time.perf_counter()
    task = asyncio.create_task(ours(root, services, wait_for_services_s=60, probe=Probe(services)))
    await asyncio.sleep(away - (time.perf_counter() - began))
    server.up()
    took, _, result = await task
    server.down()
    totals = result.totals  # type: ignore[attr-defined]
    assert totals.passed == 270, totals
    print(
        f"away for the first {away:.0f} s, session fixture: healthy {healthy:.2f} s, ours {took:.2f} s "
        f"(limit {(healthy + away) * 1.1:.2f}); {totals.passed} of 270 passed, {totals.retried} of them ran twice"
    )


async def blackhole() -> None:
    server = LineServer().up(silent=True)
    wait = 3.0 if QUICK else 10.0
    root = suite(
        f"import pytest, time\nfrom helpers import hello\n@pytest.fixture\ndef db(): return hello(timeout={wait})\n"
        "@pytest.mark.parametrize('n', range(30))\ndef test_by_fixture(db, n): pass\n"
        f"@pytest.mark.real_database\n@pytest.mark.parametrize('n', range(30))\ndef test_by_marker(n): hello(timeout={wait})\n"
        "@pytest.mark.parametrize('n', range(50))\ndef test_pure(n): time.sleep(0.01)\n"
    )
    services = {"database": server}
    took, _, result = await ours(root, services)
    totals = result.totals  # type: ignore[attr-defined]
    assert (totals.infrastructure_unavailable, totals.passed) == (60, 50), totals
    ran = sum(1 for test in result.tests if test.rounds and test.service)  # type: ignore[attr-defined]
    known, _, again = await ours(root, services, dead={"database": "down"})
    held = sum(1 for test in again.tests if not test.rounds)  # type: ignore[attr-defined]
    server.down()
    print(
        f"black hole, 60 tests of {wait:.0f} s + 50 pure: {took:.1f} s (limit 60.5; unheld {60 * wait:.0f}), {ran} waited in vain; "
        f"known to be down: {known:.1f} s, {held} held from the start"
    )


async def size() -> None:
    parts = []
    for count in (2000, 20000) if not QUICK else (500, 5000):
        root = suite(f"import pytest\n@pytest.mark.parametrize('n', range({count}))\ndef test_trivial(n): pass\n")
        theirs = plain(root, {})[1]
        before = time.process_time()
        _, mine, result = await ours(root, {})
        assert result.totals.passed == count  # type: ignore[attr-defined]
        parent = (time.process_time() - before) / count * 1e6
        parts.append(f"{count}: {mine / theirs:.3f} times plain CPU, parent {parent:.0f} µs a test")
        del result
        gc.collect()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"size: {'; '.join(parts)}; parent's peak memory {peak:.0f} MB (limit 200)")


async def main() -> None:
    wanted = [name for name in sys.argv[1:] if not name.startswith("-")]
    for name, bench in (
        ("size", size),
        ("overhead", overhead),
        ("refused", refused),
        ("blip", blip),
        ("blackhole", blackhole),
    ):
        if not wanted or name in wanted:
            await bench()
    if not wanted or "command" in wanted:
        command()
    if not wanted or "refused" in wanted:
        rerunfailures()


asyncio.run(main())
