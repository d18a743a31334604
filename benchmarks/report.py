"""How long the report takes, and how much memory: `python benchmarks/report.py`; figures beside what issue and README promise."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from resilience.core.records import Sample
from resilience.core.redact import Redactor
from resilience.report import render
from resilience.report.series import Columns
from resilience.runs.history import History
from tests.kits import incident_factory as factory

MILLION = 1_000_000


def took(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def many(count: int, seconds: float) -> Iterator[Sample]:
    """Give `count` samples over this time, made from the night of 03:14."""
    base = factory.night().samples
    chance = random.Random(1)
    start = base[0].at
    for number in range(count):
        like = base[number * len(base) // count]
        at = start + timedelta(seconds=number * seconds / count)
        yield replace(like, at=at, response_time_s=(like.response_time_s or 0.01) * (1 + chance.random() / 5))


def line(what: str, value: float, limit: float, unit: str) -> None:
    print(f"{what:58} {value:8.2f} {unit:3} (limit {limit:g} {unit}, {value / limit:.0%})")


def ordinary(folder: Path) -> None:
    story = factory.drill()
    redactor = Redactor(["hunter2-secret"])
    texts = folder / "texts"
    render(story.incident, story.samples, texts, redactor=redactor, charts=False)
    line(
        "text renderings of a drill",
        took(lambda: render(story.incident, story.samples, texts, redactor=redactor, charts=False)),
        0.3,
        "s",
    )
    line(
        "with its charts",
        took(lambda: render(story.incident, story.samples, folder / "charts", redactor=redactor)),
        5,
        "s",
    )


def million(folder: Path) -> None:
    story = factory.night()
    assert story.incident.tests is not None
    base = story.incident.tests.tests
    tests = tuple(replace(base[n % len(base)], id=f"tests/x/test_{n // 50}.py::test_{n}") for n in range(20_000))
    incident = replace(story.incident, tests=replace(story.incident.tests, tests=tests))
    columns: list[Columns] = []
    reading = took(lambda: columns.append(Columns.of(many(MILLION, 9_000))))
    print(f"{'1,000,000 samples into columns (half of it makes them up)':58} {reading:8.2f} s")
    whole = took(lambda: render(incident, columns[0], folder / "million", redactor=Redactor(["hunter2-secret"])))
    line("report of 1,000,000 samples and 20,000 tests", whole, 15, "s")
    line("  most memory held", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 500, "MB")


def history(folder: Path) -> None:
    incident = factory.night().incident
    found = list(many(MILLION, 86_400))
    with History(folder / "history.sqlite") as kept:
        line("recording 10,000 samples", took(lambda: kept.record(found[:10_000], incident)), 0.5, "s")
        rest = took(lambda: [kept.record(found[n : n + 50_000], incident) for n in range(10_000, MILLION, 50_000)])
        print(
            f"{'recording the rest of 1,000,000':58} {rest:8.2f} s  {(folder / 'history.sqlite').stat().st_size / 1e6:.0f} MB"
        )
        day = found[0].at
        seconds = took(lambda: kept.minutes(incident.environment, day, day + timedelta(days=1)))
        line("p95 per service and minute of that day", seconds, 1, "s")


def main() -> None:
    if len(sys.argv) == 2:
        with tempfile.TemporaryDirectory() as folder:
            {"ordinary": ordinary, "million": million, "history": history}[sys.argv[1]](Path(folder))
        return
    for part in ("ordinary", "million", "history"):  # a process each, so that memory is of one part only
        subprocess.run([sys.executable, __file__, part], check=True)


if __name__ == "__main__":
    main()
