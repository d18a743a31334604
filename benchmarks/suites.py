"""Run suites of others, plain and through `resilience test`, with their service up, down and blinking; prints both side by side.

python benchmarks/suites.py NAME… | all [--states up,down,blink] [--overhead NAME] [--limit SECONDS]

Their code comes from source distributions of the package index, or, where a distribution holds no tests, from the git
repository SUITES_CHECKOUTS/NAME; it is copied to a folder of its own, which is removed, and never kept here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from resilience.services.redis.stand_in import find_binaries
from tests.kits.interpreters import cache_folder, environment_of
from tests.kits.servers.postgres import Postgres, free_port

ROOT = Path(__file__).resolve().parent.parent
AWAY_S = 4.0


class Redis:
    """Redis or Valkey on one port of 127.0.0.1 that can go and come back; `socket` is its second door."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.process = folder, free_port(), None
        self.socket = folder / "redis.sock"
        folder.mkdir()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def up(self) -> None:
        binary = next(iter(find_binaries()), None)
        if binary is None:
            raise SystemExit("no Redis binary is on this machine")
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        words += ["--unixsocket", str(self.socket), "--databases", "64"]
        self.process = subprocess.Popen(
            [binary.path, *words], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        if not any("eady to accept connections" in line for line in self.process.stdout):
            raise SystemExit("Redis did not start")
        threading.Thread(target=self.process.stdout.read, daemon=True).start()

    def down(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def remove(self) -> None:
        self.down()


class Database:
    """PostgreSQL on one port of 127.0.0.1 that can go and come back."""

    def __init__(self, folder: Path) -> None:
        self.server = Postgres("max_connections=200", "max_prepared_transactions=10").create()
        self.port = self.server.port

    @property
    def url(self) -> str:
        return self.server.url()

    def up(self) -> None:
        self.server.start()
        if self.server.port != self.port:
            raise SystemExit("another program took PostgreSQL's port")

    def down(self) -> None:
        self.server.stop()

    def remove(self) -> None:
        self.server.remove()


def on_our_port(project: Path, python: Path, server: Redis) -> None:
    """Point the copy, and a copy of its client that is found first, at our port and socket instead of the usual ones."""
    place = "import os, redis; print(os.path.dirname(redis.__file__))"
    client = subprocess.run([python, "-c", place], capture_output=True, text=True, check=True, cwd=project.parent)
    shutil.copytree(client.stdout.strip(), project / "redis")
    for path in project.rglob("*.py"):
        text = path.read_text(errors="surrogateescape")
        changed = re.sub(r"(?<!\d)6379(?!\d)", str(server.port), text).replace("/tmp/redis.sock", str(server.socket))
        if changed != text:
            path.write_text(changed, errors="surrogateescape")


def without_containers(project: Path, python: Path, server: Redis) -> None:
    """Put our server where the suite would start a container."""
    on_our_port(project, python, server)
    (project / "testcontainers").mkdir()
    (project / "testcontainers/__init__.py").touch()
    (project / "testcontainers/redis.py").write_text(
        "class RedisContainer:\n"
        f"    port = {server.port}\n"
        "    def __init__(self, *args, **more): pass\n"
        "    def __enter__(self): return self\n"
        "    def __exit__(self, *exc): pass\n"
        "    def get_container_host_ip(self): return '127.0.0.1'\n"
        "    def get_exposed_port(self, port): return port\n"
    )


@dataclass(frozen=True, kw_only=True)
class Suite:
    source: str
    """What the distribution is called; `git:` before it where it holds no tests."""
    packages: tuple[str, ...]
    words: tuple[str, ...] = ()
    server: type[Redis] | type[Database]
    prepare: Callable[[Path, Path, Redis], None] | None = None
    environ: Callable[[Redis | Database], Mapping[str, str]] = field(default=lambda server: {})


def pg_variables(server: Redis | Database) -> Mapping[str, str]:
    return {
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "tester",
        "PGPASSWORD": "p#ss",
        "PGDATABASE": "procrastinate",
    }


PSYCOPG = (
    "tests/pool",
    *(f"tests/test_{name}.py" for name in ("connection", "cursor_common", "transaction", "pipeline")),
)
"""Its tests that live on the connection; all 4,900 take ten minutes a run."""
ARQ = ("dirty-equals", "msgpack", "pydantic", "pytest-mock", "pytest-timeout", "pytz", "tzdata", "arq==0.28.0")
SUITES = {
    "rq": Suite(source="rq==3.0.0", packages=("pytest>=9", "psutil", "rq==3.0.0"), server=Redis, prepare=on_our_port),
    "arq-8.2": Suite(
        source="arq==0.28.0",
        packages=("pytest==8.2.2", "pytest-asyncio<0.24", *ARQ),
        words=("-W", "ignore"),
        server=Redis,
        prepare=without_containers,
    ),
    "arq-9": Suite(
        source="arq==0.28.0",
        packages=("pytest>=9", "pytest-asyncio", *ARQ),
        # It makes errors of warnings, and the close() it calls is deprecated in the redis that comes today.
        words=("-W", "ignore", "-o", "asyncio_default_fixture_loop_scope=function"),
        server=Redis,
        prepare=without_containers,
    ),
    "django-redis": Suite(
        source="django-redis==7.0.0",
        packages=("pytest>=9", "pytest-mock", "pytest-xdist", "msgpack", "lz4", "django-redis==7.0.0"),
        words=("-o", "addopts=", "-k", "not sqlite_"),
        server=Redis,
        prepare=on_our_port,
    ),
    "psycopg": Suite(
        source="git:psycopg",
        packages=("pytest>=9", "anyio", "pproxy", "psycopg[binary,pool]"),
        words=("-m", "not slow and not timing", *PSYCOPG),
        server=Database,
        environ=lambda server: {
            "PSYCOPG_TEST_DSN": f"host=127.0.0.1 port={server.port} user=tester password='p#ss' dbname=postgres"
        },
    ),
    "procrastinate": Suite(
        source="git:procrastinate",
        packages=(
            *(
                "pytest>=9",
                "pytest-asyncio",
                "pytest-benchmark",
                "pytest-cov",
                "pytest-django",
                "pytest-mock",
                "results",
            ),
            *("sphinx", "aiopg", "psycopg2-binary", "psycopg[binary,pool]", "procrastinate[django,sqlalchemy]"),
        ),
        words=("-o", "addopts=", "-m", "not benchmark", "tests/unit", "tests/integration"),
        server=Database,
        environ=pg_variables,
    ),
}


def source_of(suite: Suite, into: Path) -> str:
    """Lay the suite's files into `into`; return why that could not be, or nothing."""
    into.mkdir(parents=True)
    if suite.source.startswith("git:"):
        name = suite.source[4:]
        checkout = Path(os.environ.get("SUITES_CHECKOUTS", "")) / name
        if not os.environ.get("SUITES_CHECKOUTS") or not checkout.exists():
            return f"its distribution holds no tests: put a clone at SUITES_CHECKOUTS/{name}"
        packed = subprocess.run(["git", "-C", checkout, "archive", "HEAD"], capture_output=True, check=True).stdout
        subprocess.run(["tar", "x", "-C", into], input=packed, check=True)
        return ""
    kept = cache_folder().parent / "sources"
    kept.mkdir(parents=True, exist_ok=True)
    stem = suite.source.replace("==", "-")
    found = [*kept.glob(f"{stem}.tar.gz"), *kept.glob(f"{stem.replace('-', '_', 1)}.tar.gz")]
    if not found:
        name = suite.source.partition("==")[0]
        words = ["download", "-q", "--no-deps", "--no-binary", name, "-d", kept, suite.source]
        done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
        found = [*kept.glob(f"{stem}.tar.gz"), *kept.glob(f"{stem.replace('-', '_', 1)}.tar.gz")]
        if not found:
            return done.stderr.strip()[-300:] or "no source distribution came"
    with tarfile.open(found[0]) as archive:
        archive.extractall(into.parent / "unpacked", filter="data")
    into.rmdir()
    next((into.parent / "unpacked").iterdir()).rename(into)
    return ""


@dataclass(frozen=True, kw_only=True)
class Ran:
    seconds: float
    counts: Counter[str]
    said: str
    outcomes: Mapping[str, str] = field(default_factory=dict)


def end(process: subprocess.Popen[bytes]) -> None:
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)


class Place:
    """One suite's copy, environment and server."""

    def __init__(self, name: str, limit_s: float) -> None:
        self.name, self.suite, self.limit_s = name, SUITES[name], limit_s
        self.folder = Path(tempfile.mkdtemp(prefix=f"suites-{name}-"))
        self.project = self.folder / "project"
        self.why = source_of(self.suite, self.project)
        if self.why:
            return
        try:
            self.python = environment_of("3.13", self.suite.packages)
        except pytest.skip.Exception as exc:
            self.why = str(exc)
            return
        self.server = self.suite.server(self.folder / "server")
        kind = "redis" if isinstance(self.server, Redis) else "postgresql"
        if self.suite.prepare is not None:
            assert isinstance(self.server, Redis)
            self.suite.prepare(self.project, self.python, self.server)
        (self.project / "resilience.toml").write_text(
            f'[[service]]\nname = "{kind}"\ntype = "{kind}"\nurl = "${{SUITES_SERVICE}}"\n'
        )

    def environ(self) -> dict[str, str]:
        ours = ("PYTEST_", "COV_", "RESILIENCE_", "STAGING_", "TEST_", "PG")
        given = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return given | {
            "PATH": f"{self.python.parent}{os.pathsep}{given.get('PATH', '')}",
            "PYTHONPATH": str(self.project),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "SUITES_SERVICE": self.server.url,
            **self.suite.environ(self.server),
        }

    def pytest(self, *more: str) -> list[str]:
        return [str(self.python), "-m", "pytest", "-q", "--continue-on-collection-errors", *self.suite.words, *more]

    def run(self, words: list[str], env: Mapping[str, str], blink_after_s: float | None) -> tuple[float, str]:
        timers = []
        if blink_after_s is not None:
            timers = [
                threading.Timer(blink_after_s, self.server.down),
                threading.Timer(blink_after_s + AWAY_S, self.server.up),
            ]
        out = self.folder / "out"
        began = time.perf_counter()
        with out.open("wb") as stream, (self.folder / "err").open("wb") as log:
            process = subprocess.Popen(
                words, cwd=self.project, env=env, stdout=stream, stderr=log, start_new_session=True
            )
            for timer in timers:
                timer.start()
            with suppress(subprocess.TimeoutExpired):
                try:
                    process.wait(self.limit_s)
                finally:
                    end(process)
        took = time.perf_counter() - began
        for timer in timers:
            timer.cancel()
            timer.join()
        return took, out.read_text(errors="replace")

    def plain(self, blink_after_s: float | None = None) -> Ran:
        took, said = self.run(self.pytest(), self.environ(), blink_after_s)
        last = next((line for line in reversed(said.splitlines()) if re.search(r"\d+ \w+.* in [\d.]+", line)), "")
        counts = Counter(
            {word: int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", last.rpartition(" in ")[0])}
        )
        named = re.findall(r"^(FAILED|ERROR) (\S+?)(?: - .*)?$", said, re.M)
        return Ran(
            seconds=took,
            counts=counts,
            said=last.strip("= ") or f"no summary: {said[-300:]} {self.said_aside()}",
            outcomes={name: word.lower() for word, name in named},
        )

    def said_aside(self) -> str:
        return (self.folder / "err").read_text(errors="replace")[-600:]

    def ours(self, blink_after_s: float | None = None) -> Ran:
        env = {**self.environ(), "PYTHONPATH": f"{self.project}{os.pathsep}{ROOT}"}
        words = [sys.executable, "-P", "-m", "resilience.cli", "test", "--json", "--", *self.pytest()]
        took, said = self.run(words, env, blink_after_s)
        try:
            told = json.loads(said)
        except ValueError:
            return Ran(seconds=took, counts=Counter(), said=f"no JSON after {took:.0f} s: {self.said_aside()}")
        counts = Counter({name: count for name, count in told["totals"].items() if count})
        said = f"{told['verdict']}, exit {told['exit_code']}, {told['duration_s']:.1f} s without the report"
        outcomes = {test["id"]: test["outcome"] for test in told["tests"]}
        return Ran(seconds=took, counts=counts, said="; ".join([said, *told["notes"]])[:600], outcomes=outcomes)

    def close(self) -> None:
        if not self.why:
            self.server.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


def told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing"


def compare(place: Place, states: list[str]) -> None:
    healthy, well = 20.0, set[str]()
    for state in states:
        if state != "down":
            place.server.up()
        middle = healthy / 2 if state == "blink" else None
        plain = place.plain(middle)
        print(f"{place.name} {state}: plain {plain.seconds:.1f} s: {plain.said}", flush=True)
        if state == "up":
            healthy = plain.seconds
        if middle is not None:
            # It is back only where plain lasted long enough.
            place.server.down()
            place.server.up()
        ours = place.ours(middle)
        limit = 1.2 * plain.seconds + 5
        judged = f"limit {limit:.1f}, {'kept' if ours.seconds <= limit else 'BROKEN'}" if state == "down" else ""
        print(
            f"{place.name} {state}: ours {ours.seconds:.1f} s ({ours.seconds / plain.seconds:.2f} × plain) {judged}: "
            f"{told(ours.counts)}\n  {ours.said}",
            flush=True,
        )
        place.server.down()
        alone = sorted(
            f"{name}: {outcome}"
            for name, outcome in ours.outcomes.items()
            if outcome in ("failed", "error") and name not in plain.outcomes and plain.outcomes
        )
        if alone:
            print(f"  {len(alone)} failed with us and not in plain: {'; '.join(alone[:12])}", flush=True)
        if state == "up":
            well = {name for name, outcome in ours.outcomes.items() if outcome == "passed"}
        blamed = sorted(name for name in well if ours.outcomes.get(name) in ("failed", "error"))
        if blamed:
            print(f"  {len(blamed)} that pass while it is up are called bugs: {'; '.join(blamed[:12])}", flush=True)


def overhead(place: Place, rounds: int = 5) -> None:
    """Print the median of interleaved healthy runs; the report is apart, as its share is in `ours`' own words."""
    place.server.up()
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for number in range(rounds):
        for which in ("plain", "ours") if number % 2 else ("ours", "plain"):
            ran = place.plain() if which == "plain" else place.ours()
            alone = re.search(r"([\d.]+) s without", ran.said)
            times[which].append(float(alone.group(1)) if alone else ran.seconds)
    plain, ours = (statistics.median(times[which]) for which in ("plain", "ours"))
    limit = 1.05 * plain + 1
    print(
        f"{place.name} healthy, {rounds} interleaved: plain {plain:.2f} s, ours {ours:.2f} s, limit {limit:.2f}, "
        f"{'kept' if ours <= limit else 'BROKEN'}; {times}",
        flush=True,
    )
    place.server.down()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"all, or some of: {', '.join(SUITES)}")
    parser.add_argument("--states", default="up,down,blink")
    parser.add_argument("--overhead", default="", help="the suite for five interleaved healthy runs")
    parser.add_argument("--limit", type=float, default=900, help="seconds for one run")
    given = parser.parse_args()
    # A shell starts what it puts behind with SIGINT ignored, and suites test their signals; a kill must leave no server.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not given.names and not given.overhead:
        print("suites of others take half an hour: name some, or all")
    names = list(SUITES) if given.names == ["all"] else given.names
    work = [(name, lambda place: compare(place, given.states.split(","))) for name in names]
    for name, bench in [*work, *([(given.overhead, overhead)] if given.overhead else [])]:
        place = Place(name, given.limit)
        try:
            if place.why:
                print(f"{name}: not had: {place.why}", flush=True)
            else:
                bench(place)
        finally:
            place.close()


main()
