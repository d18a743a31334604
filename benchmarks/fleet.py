"""Many services, many hosts, many samples: what they cost, and that nothing is lost or counted twice.

    python benchmarks/fleet.py [--quick] [services | writers | trends]

1. 5,000 HTTP services in one process, command line included: its CPU and memory, the servers' own CPU apart.
2. Eight hosts (processes) with 10,000 samples each into one SQLite file and one PostgreSQL, killed by SIGKILL at random
   moments and begun again: rows are counted.
3. Trends over 10,000,000 samples, on both databases, beside the same queries alone (nothing computed of what they give) and
   beside SQL with pandas that gives the same figures. The second is judged.

Servers are this machine's own. A figure over its limit ends it with 1; compare ratios, not milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from resilience.core.period import period_of
from resilience.core.records import ConnectivityStatus, FaultCode, Incident, Sample
from resilience.runs.database import Database
from resilience.runs.histogram import unpack
from resilience.runs.history import History
from resilience.runs.shared import SharedHistory
from resilience.runs.trends import read_trends
from tests.kits import incident_factory as factory
from tests.kits.servers.postgres import Postgres

CPU_S, MEGABYTES, RATIO = 12.0, 300, 1.5
START = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = "--quick" in sys.argv

_SERVERS = """
import asyncio, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

async def answer(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    await writer.drain()
    writer.close()

async def main():
    servers = [await asyncio.start_server(answer, "127.0.0.1", 0, backlog=16) for _ in range(int(sys.argv[1]))]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, flush=True)

asyncio.run(main())
"""

_WRITER = """
import sys
from benchmarks.fleet import batches, opened, the_run
host, where, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with opened(where) as kept:
    for number, samples in enumerate(batches(host, count)):
        kept.record(samples, the_run(host, number))
        print(number, flush=True)
"""


def services(folder: Path, count: int) -> bool:
    """Look at so many services with the command line; print and judge CPU and memory."""
    servers = subprocess.Popen(
        [sys.executable, "-c", _SERVERS, str(count)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert servers.stdout is not None
    ports = servers.stdout.readline().split()
    rows = (
        f'\n[[service]]\nname = "s{number:04d}"\ntype = "http"\nurl = "http://127.0.0.1:{port}/health"\n'
        for number, port in enumerate(ports)
    )
    (folder / "resilience.toml").write_text("".join(rows))
    command = [str(Path(sys.executable).with_name("resilience")), "assess", "--json"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    theirs = float(servers.communicate("\n")[0])
    document = json.loads(done.stdout)
    well = sum(one["status"] == "available" for one in document["services"])
    cpu, memory = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss / 1024
    print(
        f"{count} HTTP services, command line included: {well} well; CPU {cpu:.2f} s (limit {CPU_S:g}), wall {wall:.2f} s, "
        f"{memory:.0f} MB (limit {MEGABYTES}); the servers' own CPU {theirs:.2f} s"
    )
    return well == count and cpu <= CPU_S and memory <= MEGABYTES


def opened(where: str) -> History:
    return SharedHistory(where) if "://" in where else History(where)


def the_run(host: str, number: int) -> Incident:
    from dataclasses import replace

    base = factory.green().incident
    at = START + timedelta(minutes=number)
    return replace(
        base, run=f"run {number}", started_at=at, finished_at=at + timedelta(minutes=1), tests=None,
        vantage=replace(base.vantage, host=host),
    )  # fmt: skip


def batches(host: str, count: int) -> Iterator[list[Sample]]:
    """Yield a host's samples, a hundred a run, the same each time that they are asked for."""
    rows = random.Random(host)
    for number in range(count // 100):
        at = START + timedelta(minutes=number)
        yield [
            Sample(
                at=at + timedelta(milliseconds=100 * place),
                service=f"s{place % 10}",
                status=ConnectivityStatus.UNAVAILABLE
                if (bad := rows.random() < 0.02)
                else ConnectivityStatus.AVAILABLE,
                response_time_s=5.0 if bad else rows.lognormvariate(-4, 0.6),
                fault=FaultCode.TCP_TIMEOUT if bad else None,
            )
            for place in range(100)
        ]


def writers(where: str, hosts: int, count: int, rows: Callable[[], tuple[int, int]]) -> bool:
    """Let hosts write at once, each killed three times at a random moment and begun again; count what is there."""
    moments, began, kills = random.Random(7), time.monotonic(), 0
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}

    def begin(host: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", _WRITER, host, where, str(count)], stdout=subprocess.PIPE, text=True, env=environment
        )

    names = [f"host{number}" for number in range(hosts)]
    for _ in range(3):
        running = {name: begin(name) for name in names}
        for child in running.values():
            assert child.stdout is not None
            for _ in range(moments.randrange(1, max(count // 200, 2))):
                child.stdout.readline()
            child.send_signal(signal.SIGKILL)
            kills += 1
        for child in running.values():
            child.communicate()
    running = {name: begin(name) for name in names}
    ends = [child.communicate() and child.returncode for child in running.values()]
    samples, counted = rows()
    kind = "PostgreSQL" if "://" in where else "SQLite"
    print(
        f"{kind}: {hosts} hosts × {count:,} samples, {kills} kill -9: {samples:,} rows, {counted:,} counted by day, "
        f"{time.monotonic() - began:.1f} s; ends {set(ends)}"
    )
    return samples == counted == hosts * count and set(ends) == {0}


def counts(where: str) -> tuple[int, int]:
    with opened(where) as kept:
        rows = kept.db.execute("SELECT count(*) FROM sample").fetchone()[0]
        return int(rows), sum(one[0] for one in kept.db.execute("SELECT samples FROM day"))


def fill(where: str, count: int) -> None:
    """Write so many samples of 200 services over a year, as a look every few minutes would."""
    rows = random.Random(1)
    a_run = count // 365
    with opened(where) as kept:
        for day in range(365):
            at = START + timedelta(days=day)
            samples = [
                Sample(
                    at=at + timedelta(seconds=86_000 * place / a_run),
                    service=f"s{place % 200}",
                    status=ConnectivityStatus.AVAILABLE,
                    response_time_s=rows.lognormvariate(-4, 0.6),
                )
                for place in range(a_run)
            ]
            kept.record(samples, the_run("a", day * 1440))


def bare(database: Database) -> object:
    """The same figures by SQL and pandas, as one would write them in a notebook."""
    import numpy as np
    import pandas as pd

    frame = pd.DataFrame(
        [tuple(row) for row in database.execute(
            "SELECT word.text, day, samples, lost, max_us, counts FROM day JOIN word ON word.id = day.service"
        )],
        columns=["service", "day", "samples", "lost", "max_us", "counts"],
    )  # fmt: skip

    def percentile(found: dict[int, int], share: float, most: int) -> float:
        buckets = sorted(found)
        so_far = np.cumsum([found[one] for one in buckets])
        return float(min(2.0 ** (buckets[int(np.searchsorted(so_far, np.ceil(share * so_far[-1])))] / 8), most) / 1e6)

    histograms = [unpack(bytes(one)) for one in frame["counts"]]
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        frame[name] = [percentile(one, share, most) for one, most in zip(histograms, frame["max_us"], strict=True)]
    frame["availability"] = 1 - frame["lost"] / frame["samples"]
    whole = frame.groupby("service").agg({"samples": "sum", "lost": "sum", "max_us": "max"})
    sums: dict[str, dict[int, int]] = {}
    for service, one in zip(frame["service"], histograms, strict=True):
        mine = sums.setdefault(service, {})
        for bucket, count in one.items():
            mine[bucket] = mine.get(bucket, 0) + count
    whole["p95"] = [percentile(sums[name], 0.95, most) for name, most in whole["max_us"].items()]
    return frame, whole


def trends(where: str, count: int) -> bool:
    """Read the trends of a year and the bare figures in turns; print and judge the ratio of the best of each."""
    began = time.monotonic()
    fill(where, count)
    filled = time.monotonic() - began
    period = period_of("all", "", today=date(2027, 1, 31))
    ours, theirs, alone = [], [], []
    with opened(where) as kept:
        for _ in range(3 if QUICK else 5):
            began = time.monotonic()
            found = read_trends(kept, "staging", period)
            ours.append(time.monotonic() - began)
            began = time.monotonic()
            bare(kept.db)
            theirs.append(time.monotonic() - began)
            began = time.monotonic()
            kept.db.execute("SELECT service, day, samples, lost, max_us, counts FROM day").fetchall()
            kept.db.execute("SELECT service, sum(samples), sum(lost), max(max_us) FROM day GROUP BY service").fetchall()
            alone.append(time.monotonic() - began)
    ratio = min(ours) / min(theirs)
    kind = "PostgreSQL" if "://" in where else "SQLite"
    samples = sum(one.samples for one in found.services())
    print(
        f"{kind}: trends over {samples:,} samples (200 services, 365 days): {min(ours):.3f} s; SQL and pandas {min(theirs):.3f} s, "
        f"ratio {ratio:.2f} (limit {RATIO}); the queries alone {min(alone):.3f} s, ratio {min(ours) / min(alone):.2f}; "
        f"filled in {filled:.0f} s"
    )
    return ratio <= RATIO


def main() -> int:
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")] or ["services", "writers", "trends"]
    well = []
    server = Postgres().create().start()
    try:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if "services" in wanted:
                well.append(services(folder, 500 if QUICK else 5000))
            for place, kind in ((str(folder / "writers.sqlite"), "sqlite"), (server.url(), "postgres")):
                if "writers" in wanted:
                    hosts, count = (3, 1000) if QUICK else (8, 10_000)
                    well.append(writers(place, hosts, count, lambda place=place: counts(place)))  # type: ignore[misc]
                if "trends" in wanted:
                    where = str(folder / "trends.sqlite") if kind == "sqlite" else _emptied(server.url())
                    well.append(trends(where, 100_000 if QUICK else 10_000_000))
    finally:
        server.remove()
    return 0 if all(well) else 1


def _emptied(url: str) -> str:
    with SharedHistory(url) as kept:
        kept.db.execute("DROP SCHEMA resilience_history CASCADE")
    return url


if __name__ == "__main__":
    sys.exit(main())
