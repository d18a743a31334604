"""What teaching a database costs, as ratios in one run: a copy, a lesson, and what a lesson costs a server that is in use.

    python benchmarks/teach_database.py [--rounds 5] [--seconds 10]

A copy of the template is set against CREATE DATABASE from the same source, a lesson against pg_dump and COPY of the same rows,
and the latency of pgbench's own mix with lessons one after the other against the same without.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from resilience.core.secret import Secret  # noqa: E402 - the checkout is put on the path above
from resilience.core.settings import Service  # noqa: E402
from resilience.host.free_ports import free_port  # noqa: E402
from resilience.services.place import Endpoint  # noqa: E402
from resilience.services.postgresql import templates  # noqa: E402
from resilience.services.postgresql.kind import KIND  # noqa: E402
from resilience.services.postgresql.lessons import LESSONS  # noqa: E402
from resilience.services.postgresql.stand_in import PostgresServer, connect, find_programs  # noqa: E402
from resilience.services.teaching import Asked, TaughtData  # noqa: E402

TABLES, ROWS = 50, 10_000


async def fill(connection: Any) -> None:
    """Make 50 tables with 10,000 rows in all, in a chain of foreign keys."""
    for number in range(TABLES):
        parent = f"references t{number - 1}" if number else ""
        await connection.execute(
            f"create table t{number} (id int primary key, parent int {parent}, name text not null, email text, at timestamptz"
            f" default now(), amount numeric(9, 2)); create index on t{number} (parent)"
        )
        await connection.execute(
            f"insert into t{number} select i, {'i' if number else 'null'}, 'Person ' || i, 'p' || i || '@corp.example', now(), i"
            f" from generate_series(1, {ROWS // TABLES}) i"
        )
    await connection.execute("analyze")


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


async def main(rounds: int, seconds: int) -> None:
    with tempfile.TemporaryDirectory(prefix="teach-database-") as name:
        folder = Path(name)
        server = PostgresServer(folder / "data", free_port(), user="app", password="pw", database="staging")
        await server.start(timeout_s=60)
        try:
            connection = await connect("127.0.0.1", server.port, "app", "pw", "staging", timeout_s=60)
            await fill(connection)
            await connection.close()
            data = await lesson(server, folder, rounds)
            await copies(server, data, rounds)
            await latency(server, folder, seconds)
        finally:
            await server.stop()


async def lesson(server: PostgresServer, folder: Path, rounds: int) -> TaughtData:
    """Set what a lesson asks of staging, and the whole of it, against pg_dump and COPY of the same rows."""
    url = f"postgresql://app:pw@127.0.0.1:{server.port}/staging?sslmode=disable"
    rules = tuple(f"t{number}" for number in range(TABLES))
    service = Service(
        name="database", kind=KIND, url=Secret(url), local=Secret(""), teach=("schema", "seed"), seed=rules
    )
    scratch = folder / "scratch"
    scratch.mkdir()
    asked = Asked(service=service, root=folder, scratch=scratch, key=b"k" * 32)
    program = next(one for one in find_programs("pg_dump") if one.major >= int(server.version.partition(".")[0]))
    plain_s, take_s, prove_s = [], [], []

    async def plain() -> None:
        """What the same rows cost without us: pg_dump of the schema, and COPY of each table, over one connection."""
        await asyncio.to_thread(
            subprocess.run,
            [program.folder / "pg_dump", "-Fc", "--schema-only", f"postgresql://app:pw@127.0.0.1:{server.port}/staging"],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        connection = await connect("127.0.0.1", server.port, "app", "pw", "staging", timeout_s=60)
        for number in range(TABLES):
            await connection.copy_from_table(f"t{number}", output=folder / "out.copy")
        await connection.close()

    taken = None
    for _ in range(rounds):
        plain_s.append(await timed(plain))
        began = time.perf_counter()
        taken = await LESSONS.take(asked)
        take_s.append(time.perf_counter() - began)
        began = time.perf_counter()
        taken = await LESSONS.prove(asked, taken)
        prove_s.append(time.perf_counter() - began)
    assert taken is not None
    one, two, three = map(statistics.median, (plain_s, take_s, prove_s))
    print(f"pg_dump + COPY of {ROWS} rows of {TABLES} tables   {one:.3f} s")
    print(f"what a lesson asks of staging                {two:.3f} s   {two / one:.2f} x   (goal: at most 1.5 x)")
    print(f"masking and proof in a scratch server        {three:.3f} s   (staging is not asked)")
    return TaughtData(
        service="database", generation=1, mark="m" * 64, manifest=taken.manifest, read=taken.files.__getitem__
    )


async def copies(server: PostgresServer, data: TaughtData, rounds: int) -> None:
    """Set a copy of the template against a plain CREATE DATABASE from the same source."""
    place = Endpoint(
        kind=KIND, host="127.0.0.1", bind="127.0.0.1", port=server.port, user="app", password="pw", database="run"
    )
    first = await timed(lambda: LESSONS.load(place, data, ours=True))
    source = templates.prefix("database") + data.mark[:12]
    plain, ours = [], []
    async with templates.at(place, "postgres") as connection:
        for _ in range(rounds * 4):
            plain.append(await timed(lambda: connection.execute(f"create database plain template {source}")))
            await connection.execute("drop database plain")
            await templates.drop(connection, "run")
            ours.append(
                await timed(lambda: templates.copy(connection, source, "run", "app", data.manifest["settings"]))
            )
    one, two = statistics.median(plain), statistics.median(ours)
    print(f"first load of a generation, template made    {first:.3f} s")
    print(f"CREATE DATABASE from the same source         {one:.3f} s")
    print(f"copy for a run                               {two:.3f} s   {two / one:.2f} x   (goal: at most 1.2 x)")


async def latency(server: PostgresServer, folder: Path, seconds: int) -> None:
    """Print the latency of pgbench's own mix without a lesson, and with lessons one after the other."""
    program = next((one.folder / "pgbench" for one in find_programs("pgbench")), None)
    if program is None:
        print("no pgbench here")
        return
    url = f"postgresql://app:pw@127.0.0.1:{server.port}/bench"
    connection = await connect("127.0.0.1", server.port, "app", "pw", "postgres", timeout_s=60)
    await connection.execute("create database bench")
    await connection.close()
    await asyncio.to_thread(subprocess.run, [program, "-i", "-q", "-s", "2", url], check=True, capture_output=True)
    service = Service(
        name="database", kind=KIND, url=Secret(f"{url}?sslmode=disable"), local=Secret(""), teach=("schema", "seed"),
        seed=("pgbench_accounts where aid <= 2000", "pgbench_branches"),
    )  # fmt: skip
    asked = Asked(service=service, root=folder, scratch=folder, key=b"k" * 32)

    async def bench() -> dict[str, float]:
        """Return the median, 99th percentile and maximum of the transactions, in milliseconds, from pgbench's own log."""
        for log in folder.glob("log.*"):
            log.unlink()
        process = await asyncio.create_subprocess_exec(
            str(program), "-n", "-c", "4", "-j", "1", "-R", "100", "-T", str(seconds), "-l",
            "--log-prefix", str(folder / "log"), url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
        assert re.search(rb"number of failed transactions: 0 ", output), output.decode()
        times = sorted(
            int(line.split()[2]) / 1000 for log in folder.glob("log.*") for line in log.read_text().splitlines()
        )
        return {"p50": times[len(times) // 2], "p99": times[len(times) * 99 // 100], "most": times[-1]}

    async def lessons(until: asyncio.Event) -> tuple[int, int]:
        count = failed = 0
        while not until.is_set():
            try:
                await LESSONS.take(asked)
                count += 1
            except Exception as exc:  # noqa: BLE001 - counted, and said
                failed += 1
                print(f"  a lesson gave up: {exc}")
        return count, failed

    for name in ("without", "with", "without", "with"):
        over = asyncio.Event()
        teaching = asyncio.ensure_future(lessons(over)) if name == "with" else None
        found = await bench()
        over.set()
        told = ""
        if teaching is not None:
            count, failed = await teaching
            told = f"   {count} lessons, {failed} gave up"
        shown = ", ".join(f"{key} {value:.1f} ms" for key, value in found.items())
        print(f"pgbench at 100/s {name:8} lessons: {shown}{told}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    given = parser.parse_args()
    asyncio.run(main(given.rounds, given.seconds))
