"""How much a headless run costs beside the same stages as plain calls: five stages that each wait two seconds.

Prints seconds and ratios: plain library calls in one process, our runner (a fresh kernel a stage, the next ones booting
meanwhile), and papermill called stage by stage; then the overhead a stage where no stage waits.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAIT_S = 2.0
STAGES = 5

_PLAIN = """
import asyncio, sys
sys.path.insert(0, {here!r})
from benchmarks.headless import plain
asyncio.run(plain({folder!r}, {wait}))
"""

_RUNNER = """
import asyncio, sys
sys.path.insert(0, {here!r})
from benchmarks.headless import runner
asyncio.run(runner({folder!r}, {notebooks!r}))
"""


def notebooks(folder: Path, wait_s: float) -> Path:
    """Make a copy of our notebooks in which each of the first five stages waits instead of acting."""
    from resilience.notebook.engine import notebooks_folder
    from resilience.notebook.parameters import NOTEBOOKS

    where = folder / f"notebooks-{wait_s:g}"
    shutil.copytree(notebooks_folder(), where)
    for name in NOTEBOOKS.values():
        path = where / f"{name}.ipynb"
        document = json.loads(path.read_text(encoding="utf-8"))
        for cell in document["cells"]:
            if cell["cell_type"] == "code" and cell["id"] not in ("parameters", "open", "finish"):
                cell["source"] = [f"import asyncio\nawait asyncio.sleep({wait_s})"]
                break
        kept = ("parameters", "open", cell["id"], "finish")
        document["cells"] = [c for c in document["cells"] if c["cell_type"] != "code" or c["id"] in kept]
        path.write_text(json.dumps(document), encoding="utf-8")
    return where


def team(folder: Path) -> Path:
    """Make a repository whose only service is never asked."""
    where = folder / "team"
    (where / ".git").mkdir(parents=True)
    (where / "resilience.toml").write_text(
        '[[service]]\nname = "backend_api"\ntype = "http"\nurl = "http://127.0.0.1:9/"\ncritical = true\n'
    )
    return where


def new_run(where: str) -> object:
    from resilience.runs.configuration import load_settings
    from resilience.runs.runbook import Run

    return Run.create(load_settings(Path(where) / "resilience.toml"))


async def plain(where: str, wait_s: float) -> None:
    """The same stages as library calls: each opens the run, waits, and records itself."""
    from resilience.core.records import StageName
    from resilience.runs.runbook import Run

    run = new_run(where)
    for name in list(StageName)[:STAGES]:
        opened = Run.open(run.folder)  # type: ignore[attr-defined]
        with opened.stage(name):
            await asyncio.sleep(wait_s)


async def runner(where: str, books: str) -> None:
    from resilience.core.records import StageName
    from resilience.notebook.engine import execute

    run = new_run(where)
    executed = await execute(run.folder, stages=list(StageName)[:STAGES], folder=Path(books))  # type: ignore[attr-defined]
    if executed.exit_code:
        raise SystemExit(f"the run failed: {executed.stages}")


def papermill(where: Path, books: Path, out: Path) -> None:
    from resilience.notebook.parameters import NOTEBOOKS

    found = shutil.which("papermill", path=str(Path(sys.executable).parent)) or "papermill"
    run = new_run(str(where))
    for name in list(NOTEBOOKS.values())[:STAGES]:
        command = [found, str(books / f"{name}.ipynb"), str(out / f"{name}.ipynb"), "--no-progress-bar"]
        subprocess.run([*command, "-p", "run", str(run.folder)], cwd=where, check=True, capture_output=True)  # type: ignore[attr-defined]


def timed(script: str, cwd: Path) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", script], cwd=cwd, check=True)
    return time.perf_counter() - began


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--wait", type=float, default=WAIT_S, help="seconds each stage waits")
    options.add_argument("--repeat", type=int, default=1, help="runs of each; the quickest counts")
    options.add_argument("--without-papermill", action="store_true", help="leave out the slowest of the three")
    asked = options.parse_args()
    here = str(Path(__file__).resolve().parent.parent)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where, waiting, quick = team(folder), notebooks(folder, asked.wait), notebooks(folder, 0)

        def best(script: str) -> float:
            return min(timed(script, where) for _ in range(asked.repeat))

        floor = best(_PLAIN.format(here=here, folder=str(where), wait=asked.wait))
        ours = best(_RUNNER.format(here=here, folder=str(where), notebooks=str(waiting)))
        nothing = best(_PLAIN.format(here=here, folder=str(where), wait=0.0))
        bare = best(_RUNNER.format(here=here, folder=str(where), notebooks=str(quick)))
        print(f"{STAGES} stages that each wait {asked.wait:g} s")
        print(f"  plain library calls       {floor:6.2f} s")
        print(f"  resilience's runner       {ours:6.2f} s   ratio {ours / floor:.2f} (at most 1.20)")
        if not asked.without_papermill:
            began = time.perf_counter()
            papermill(where, waiting, folder)
            took = time.perf_counter() - began
            print(f"  papermill stage by stage  {took:6.2f} s   ratio {took / floor:.2f}")
        print(
            f"{STAGES} stages that do not wait: {bare:.2f} s, {(bare - nothing) / STAGES:.2f} s a stage (at most 0.60)"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
