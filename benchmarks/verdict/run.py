"""Turn the cases in `cases/` into two matrices: how often `resilience test` calls a bug an outage, and an outage a bug.

    python benchmarks/verdict/run.py                    all states, both matrices, benchmarks/verdict/results.md
    python benchmarks/verdict/run.py --state down       one state
    python benchmarks/verdict/run.py --validate         only: do the cases hold under plain pytest?
    python benchmarks/verdict/run.py --lanes 1          one state after the other; two side by side otherwise

A black box: it starts the command and reads its JSON. Whatever the tool is made of, this stays as it is.
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import queue
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE))

import score  # noqa: E402  beside this file, not a package
import world as worlds  # noqa: E402

VENV = ROOT / ".venv-verdict"
LIMIT_S = 420.0
WHYS = 5
"""Of so many tests of a run `resilience why` is asked: each call starts a process."""
ROUNDS = {"TEST_RETRY_ATTEMPTS": "2", "TEST_RETRY_DELAY": "1"}
CONFIGURATION = """\
[runbook]
environment = "staging"
env_file = ".env.active"
outputs = "outputs"

[[service]]
name = "database"
type = "postgresql"
url = "${DATABASE_URL}"
timeout_s = 2.0
degraded_above_s = 0.4

[[service]]
name = "redis"
type = "redis"
url = "${REDIS_URL}"
timeout_s = 2.0
degraded_above_s = 0.4

[[service]]
name = "backend_api"
type = "http"
url = "${BACKEND_URL}/health"
headers = { Authorization = "Bearer ${API_TOKEN}" }
timeout_s = 2.0
degraded_above_s = 0.4

[[service]]
name = "auth_service"
type = "http"
url = "${AUTH_URL}/health"
timeout_s = 2.0
degraded_above_s = 0.4

[[service]]
name = "websocket"
type = "websocket"
url = "${WEBSOCKET_URL}"
timeout_s = 2.0
degraded_above_s = 0.4

[[service]]
name = "llm_service"
type = "openai"
url = "${LLM_URL}"
headers = { Authorization = "Bearer ${API_TOKEN}" }
timeout_s = 2.0
degraded_above_s = 0.4

[[service]]
name = "clickhouse"
type = "clickhouse"
url = "http://app:${API_TOKEN}@${CLICKHOUSE_HOST}:${CLICKHOUSE_PORT}/?database=shop"
timeout_s = 2.0
degraded_above_s = 0.4

[modes.full]
commands = ["python -m pytest tests -q"]

[recovery]
good = 2
interval_s = 0.5
dwell_s = 1
"""


def environment() -> Path:
    """Return the interpreter of the clients' own environment, made where it is missing or its pins have changed."""
    python, stamp = VENV / "bin" / "python", VENV / ".ready"
    wanted = (HERE / "requirements.txt").read_text(encoding="utf-8")
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    uv = next((str(p) for p in (ROOT / ".venv" / "bin" / "uv",) if p.is_file()), shutil.which("uv"))
    if uv is None:
        raise SystemExit("uv is needed for the clients' environment: make setup")
    print("making the clients' environment", file=sys.stderr)
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)], check=True)
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--python", str(python), "-r", str(HERE / "requirements.txt")], check=True
    )
    stamp.write_text(wanted, encoding="utf-8")
    return python


class Team:
    """A repository of a team in a temporary folder: the cases, a `resilience.toml`, and nothing that tells what is right."""

    def __init__(self, folder: Path, world: worlds.World, python: Path) -> None:
        self.folder, self.world, self.python = folder, world, python
        shutil.copytree(HERE / "cases", folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "resilience.toml").write_text(CONFIGURATION, encoding="utf-8")
        self.files = ["tests"]
        self.selection = folder.parent / "selection.json"

    def environ(self, **more: str) -> dict[str, str]:
        kept = {
            name: os.environ[name]
            for name in ("HOME", "LANG", "LC_ALL", "TMPDIR", "USER", "SHELL")
            if name in os.environ
        }
        path = f"{self.python.parent}{os.pathsep}{os.environ['PATH']}"
        return {**kept, "PATH": path, **self.world.environment(), **ROUNDS, "CI_SELECTION": str(self.selection), **more}

    def select(self, ids: Sequence[str], events: Mapping[str, str]) -> None:
        self.selection.write_text(
            json.dumps({"ids": list(ids), "events": dict(events), "asked": str(self.world.asked)}), encoding="utf-8"
        )

    def plain(self, *options: str) -> dict[str, dict[str, Any]]:
        """Run plain pytest; return by node id the outcome, and the type and text of the error."""
        reports = self.folder.parent / "reports.jsonl"
        reports.unlink(missing_ok=True)
        command = [
            str(self.python),
            "-m",
            "pytest",
            *self.files,
            "-q",
            "--no-header",
            "-p",
            "no:cacheprovider",
            *options,
        ]
        done = _run(command, self.folder, self.environ(CI_REPORTS=str(reports)), LIMIT_S)
        found: dict[str, dict[str, Any]] = {}
        for line in reports.read_text(encoding="utf-8").splitlines() if reports.exists() else ():
            report = json.loads(line)
            old = found.get(report["id"])
            if old is None or old["outcome"] == "passed":
                found[report["id"]] = report
        if done.returncode not in (0, 1):
            print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
        return found

    def collected(self) -> list[str]:
        """Return every node id there is."""
        command = [str(self.python), "-m", "pytest", "tests", "--collect-only", "-q", "-p", "no:cacheprovider"]
        environ = self.environ()
        del environ["CI_SELECTION"]
        done = _run(command, self.folder, environ, 60)
        return [line for line in done.stdout.splitlines() if line.startswith("tests/") and "::" in line]

    def ours(self, exe: Path, *options: str) -> dict[str, Any]:
        """Run `resilience test --json`; return its document."""
        command = [str(exe), "test", "--json", "--", "python", "-m", "pytest", *self.files, "-q", *options]
        return self._document(command)

    def recover(self, exe: Path) -> dict[str, Any]:
        """Run `resilience recover --json`, which runs the critical tests and the whole selection; return its document."""
        return self._document([str(exe), "recover", "--wait", "30", "--json"])

    def why(self, exe: Path, test: str) -> str:
        """Return what `resilience why TEST` says in the team's folder."""
        return _run([str(exe), "why", test], self.folder, self.environ(), 60).stdout

    def _document(self, command: Sequence[str]) -> dict[str, Any]:
        done = _run(command, self.folder, self.environ(), LIMIT_S)
        try:
            return json.loads(done.stdout)
        except ValueError:
            print(
                f"no JSON; exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}", file=sys.stderr
            )
            return {"tests": [], "exit_code": done.returncode, "totals": {}}


RUNNING: set[subprocess.Popen[str]] = set()
"""What the lanes wait for: it is ended where the bench is."""
ENDING = threading.Event()


def _run(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    process = subprocess.Popen(
        command, cwd=folder, env=dict(environ), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
        text=True, errors="replace", start_new_session=True,
    )  # fmt: skip
    RUNNING.add(process)
    try:
        out, err = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, err = process.communicate()
        err += f"\nended by us after {limit_s:g} s"
    except BaseException:
        process.send_signal(signal.SIGINT)  # it ends its tests itself
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        RUNNING.discard(process)
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


class Bench:
    """A world of its own, a team in it, and what is measured there: one of the lanes that run side by side."""

    def __init__(self, options: argparse.Namespace, cases: Mapping[str, score.Case], events: Mapping[str, str]) -> None:
        self.options, self.cases, self.events = options, cases, events
        self.python = environment()
        self.folder = Path(tempfile.mkdtemp(prefix="verdict-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.world = worlds.World(self.folder, self.python)
        atexit.register(self.world.close)
        self.world.start()
        self.team = Team(self.folder / "team", self.world, self.python)
        self.team.files = options.only or ["tests"]
        self.pytest_options = ("-n", "2", "--dist", "loadfile") if options.xdist else ()
        self.times: dict[tuple[str, str], str] = {}
        self.doubts: list[str] = []
        """What became of the undecided ones by `resilience recover`."""

    def ids(self, state: str) -> list[str]:
        wanted = self.options.only
        return [
            case.id
            for case in self.cases.values()
            if (state == "*" or state in case.right)
            and case.id not in self.options.without
            and (not wanted or case.id.split("::")[0] in wanted)
        ]

    def measure(self, state: str, when: str) -> list[score.Found]:
        ids = self.ids(state)
        if not ids:
            return []
        self.world.fresh()
        self.team.select(ids, self.events if state == "restart" else {})
        self.world.become(state, mends=when == score.BACK)
        began = time.monotonic()
        exe = Path(self.options.exe)
        document = self.team.ours(exe, *self.pytest_options)
        if when == score.RECOVER:
            document = self._recovered(exe, document)
        took = time.monotonic() - began
        self.world.mend()
        if self.options.keep:
            Path(self.options.keep).mkdir(parents=True, exist_ok=True)
            (Path(self.options.keep) / f"{state}-{when}.json").write_text(
                json.dumps(document, indent=1), encoding="utf-8"
            )
        said = {test["id"]: test for test in document["tests"]}
        found = [_found(self.cases[id], state, when, said.get(id)) for id in ids]
        totals = {name: n for name, n in document.get("totals", {}).items() if n and name != "deselected"}
        line = f"| {state} | {when} | {len(ids)} | {took:.1f} s | {document.get('exit_code')} | {totals} |"
        self.times[state, when] = line
        wrong = sum(one.wrong for one in found)
        print(
            f"{state:9} {when:5} {len(ids):4} cases {took:6.1f} s  {wrong:3} other than expected  {totals}",
            file=sys.stderr,
        )
        return found

    def _recovered(self, exe: Path, away: Mapping[str, Any]) -> dict[str, Any]:
        """Mend the services, run `resilience recover`, and return the document of its full suite.

        Prints each test that was undecided while away and is so still, or of which `resilience why` says something else.
        """
        self.world.mend()
        said = self.team.recover(exe)
        document: dict[str, Any] = said.get("full_tests") or said.get("critical_tests") or {"tests": [], "totals": {}}
        outcomes = {test["id"]: test["outcome"] for test in document["tests"]}
        doubts = [test["id"] for test in away["tests"] if test["outcome"] == "undecided"]
        still = [test for test in doubts if outcomes.get(test) not in ("passed", "failed", "error")]
        told = [test for test in doubts[:WHYS] if outcomes.get(test, "missing") not in self.team.why(exe, test)]
        for what, tests in (("not settled", still), ("why says otherwise", told)):
            self.doubts += [f"- {what}: `{test}` {outcomes.get(test, 'missing')}" for test in tests]
        settled = len(doubts) - len(still)
        print(
            f"recover: {settled} of {len(doubts)} undecided ones settled; why asked of {len(doubts[:WHYS])}",
            file=sys.stderr,
        )
        self.doubts.append(f"- {settled} of {len(doubts)} undecided ones settled")
        return {**document, "exit_code": said.get("exit_code")}

    def validate(self, *, all_states: bool) -> list[str]:
        """Return what is wrong with the corpus itself, found with plain pytest and nothing of ours."""
        ids, trouble = self.ids("*"), []
        self.world.fresh()
        self.team.select(ids, {})
        began = time.monotonic()
        up = self.team.plain(*self.pytest_options)
        print(f"up: {len(up)} reports in {time.monotonic() - began:.1f} s", file=sys.stderr)
        for id in ids:
            fails = self.cases[id].kind in ("bug", "hidden")
            if id not in up:
                trouble.append(f"{id}: not collected")
            elif (up[id]["outcome"] != "passed") != fails:
                what = "passes" if fails else f"fails ({up[id]['type']}: {up[id]['text'][:200]})"
                trouble.append(f"{id}: {self.cases[id].kind}, and {what} under plain pytest while everything is up")
        if not self.options.only:
            known = set(self.cases)
            trouble += [f"{id}: is in no table" for id in self.team.collected() if id not in known]
        if not all_states:
            return trouble
        for state in self.options.state:
            ids = self.ids(state)
            if state == "up" or not ids:
                continue
            self.world.fresh()
            self.team.select(ids, self.events if state == "restart" else {})
            self.world.become(state, mends=state == "restart")
            began = time.monotonic()
            there = self.team.plain(*self.pytest_options)
            self.world.mend()
            print(f"{state}: {len(there)} reports in {time.monotonic() - began:.1f} s", file=sys.stderr)
            for id in ids:
                trouble += _doubt(self.cases[id], state, up.get(id), there.get(id))
        return trouble


def _doubt(case: score.Case, state: str, up: Mapping[str, Any] | None, there: Mapping[str, Any] | None) -> list[str]:
    """Say whether plain pytest contradicts what the table holds for the case in the state."""
    if there is None:
        return [f"{case.id}: no report in the state {state}"]
    error = f"{there['type']}: {there['text'][:160]}"
    if case.kind == "outage" and there["outcome"] == "passed" and state not in {"flapping", *case.steady}:
        return [f"{case.id}: an outage that passes under plain pytest in the state {state}"]
    if case.kind == "well" and there["outcome"] != "passed":
        return [f"{case.id}: well, and fails in the state {state} ({error})"]
    if case.kind == "bug" and there["outcome"] == "passed":
        return [f"{case.id}: a bug that passes under plain pytest in the state {state}"]
    if case.kind == "bug" and up is not None and there["type"] != up["type"]:
        return [f"{case.id}: in the state {state} another error than while up ({up['type']} → {error})"]
    return []


def _found(case: score.Case, state: str, when: str, said: Mapping[str, Any] | None) -> score.Found:
    if said is None:
        return score.Found(case=case, state=state, when=when, outcome="missing")
    return score.Found(
        case=case, state=state, when=when, outcome=said["outcome"], suspect=bool(said.get("suspect")),
        rounds=said.get("rounds") or 0, fault=said.get("fault") or "", message=said.get("message") or "",
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", action="append", choices=list(worlds.STATES), help="one state; may be repeated")
    parser.add_argument(
        "--when",
        choices=[score.AWAY, score.BACK, score.RECOVER],
        help="one matrix only; recover runs only where it is asked for",
    )
    parser.add_argument(
        "--only", action="append", metavar="CLIENT", help="one file of cases, such as asyncpg; may be repeated"
    )
    parser.add_argument(
        "--lanes", type=int, default=2, metavar="N", help="so many states at a time, each with servers of its own"
    )
    parser.add_argument("--xdist", action="store_true", help="pytest -n 2 --dist loadfile")
    parser.add_argument("--exe", default=str(ROOT / ".venv" / "bin" / "resilience"), help="the resilience command")
    parser.add_argument("--again", action="store_true", help="everything twice; says what differed")
    parser.add_argument(
        "--validate",
        action="store_true",
        help="only check the cases with plain pytest, in every state; nothing of ours runs",
    )
    parser.add_argument("--no-validate", action="store_true", help="leave the check with everything up out")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="ID",
        help="leave a case out, such as aiohttp::test_https, on which the tool itself fails; the results name it",
    )
    parser.add_argument(
        "--results", default=str(HERE / "results.md"), help="where the matrices are written; - for nowhere"
    )
    parser.add_argument("--keep", metavar="DIR", help="keep the documents of the runs there")
    parser.add_argument("--read", metavar="DIR", help="run nothing; print the matrices of documents that were kept")
    options = parser.parse_args()
    whole = not (options.state or options.only or options.when)
    options.state = options.state or list(worlds.STATES)
    options.without = [f"tests/test_{name.replace('::', '.py::', 1)}" for name in options.without]
    options.only = [f"tests/test_{name}.py" for name in options.only or ()]
    cases, events = score.read(HERE / "expected.toml")
    if options.read:
        print("\n".join(reread(Path(options.read), cases)))
        return 0
    began = time.monotonic()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):  # so that the servers are ended then, too
        signal.signal(number, _end)
    lanes = [Bench(options, cases, events) for _ in range(1 if options.validate else options.lanes)]
    if options.validate:
        return _said_of_the_corpus(lanes[0].validate(all_states=True), cases, began)
    scores, trouble = [], []
    for number in range(2 if options.again else 1):
        both, found = measured(lanes, options, check=not options.no_validate and number == 0)
        trouble += found
        scores.append(both)
        print(f"time {number + 1}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    if trouble:
        return _said_of_the_corpus(trouble, cases, began)
    lines = report(lanes, scores, options, time.monotonic() - began)
    print("\n".join(lines))
    if options.results != "-" and whole:
        Path(options.results).write_text("\n".join(lines) + "\n", encoding="utf-8")
    settled = (score.BACK, score.RECOVER)
    return 1 if any(one.grave for both in scores for when in settled if when in both for one in both[when].found) else 0


LONG = ("up", "down", "part", "rest", "mute", "sick", "slow")
"""The states that take longest, so that a lane does not begin with one of them last."""


def measured(
    lanes: Sequence[Bench], options: argparse.Namespace, *, check: bool
) -> tuple[dict[str, score.Score], list[str]]:
    """Measure every state that was asked for, each lane the next that is left; return the scores, and the corpus's own trouble.

    With `check` plain pytest is run over all cases first, while everything is up, beside the first state.
    """
    matrices = (options.when,) if options.when else (score.AWAY, score.BACK)
    jobs = [
        (state, when)
        for state in options.state
        for when in matrices
        if state not in ("up", "restart") or when == score.BACK
    ]  # nobody is away while up; after a restart everything is back
    left: queue.SimpleQueue[tuple[str, str] | None] = queue.SimpleQueue()
    for job in [
        *([None] if check else []),
        *sorted(jobs, key=lambda job: LONG.index(job[0]) if job[0] in LONG else 99),
    ]:
        left.put(job)
    found: dict[tuple[str, str], list[score.Found]] = {}
    trouble: list[str] = []

    def go_on(lane: Bench) -> None:
        while not trouble and not ENDING.is_set():
            try:
                job = left.get_nowait()
            except queue.Empty:
                return
            if job is None:
                trouble.extend(lane.validate(all_states=False))
            else:
                found[job] = lane.measure(*job)

    with ThreadPoolExecutor(len(lanes)) as pool:
        for done in [pool.submit(go_on, lane) for lane in lanes]:
            done.result()
    both = {when: score.Score(when) for when in (*matrices, score.BACK)}
    for job in jobs:
        both[job[1]].found += found.get(job, [])
    return both, trouble


def _said_of_the_corpus(trouble: Sequence[str], cases: Mapping[str, score.Case], began: float) -> int:
    """Print what is wrong with the corpus; return the exit code."""
    for line in trouble:
        print(f"corpus: {line}")
    print(f"{len(cases)} cases, {len(trouble)} of them not as the table says ({time.monotonic() - began:.0f} s)")
    return 1 if trouble else 0


def _end(*_: object) -> None:
    """End what the lanes wait for, then this process, so that the servers are ended as well."""
    ENDING.set()
    for process in list(RUNNING):
        process.send_signal(signal.SIGINT)
    sys.exit(130)


def reread(folder: Path, cases: Mapping[str, score.Case]) -> list[str]:
    """Return the matrices of the documents that `--keep` left, also of several runs of a state each."""
    lines = []
    for when in (score.AWAY, score.BACK, score.RECOVER):
        one = score.Score(when)
        for state in worlds.STATES:
            path = folder / f"{state}-{when}.json"
            if path.is_file():
                said = {test["id"]: test for test in json.loads(path.read_text(encoding="utf-8"))["tests"]}
                one.found += [
                    _found(case, state, when, said.get(id)) for id, case in cases.items() if state in case.right
                ]
        if one.found:
            lines += [*one.lines(), "", "Other than expected:", "", *(one.wrong() or ["Nothing."]), ""]
    return lines


def _cpu_s() -> float:
    """Return what this process and all that it waited for took of the processor: the rest of the time something was waited for."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def report(
    lanes: Sequence[Bench], scores: Sequence[Mapping[str, score.Score]], options: argparse.Namespace, took_s: float
) -> list[str]:
    kinds = {kind: sum(case.kind == kind for case in lanes[0].cases.values()) for kind in score.KINDS}
    took = f"{took_s / 60:.1f} minutes, {len(lanes)} at a time; {_cpu_s() / 60:.1f} minutes of the processor"
    cases = ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    lines = ["# The verdict, measured", "", f"Cases: {cases}. {'With xdist. ' if options.xdist else ''}{took}.", ""]
    if options.without:
        lines += [f"Left out: {', '.join(f'`{id}`' for id in options.without)}.", ""]
    for number, both in enumerate(scores):
        if len(scores) > 1:
            lines += [f"# Time {number + 1}", ""]
        for one in both.values():
            if one.found:
                lines += [*one.lines(), ""]
    if len(scores) > 1:
        lines += ["## What differed the second time", "", *_differences(scores), ""]
    lines += [
        "## Runs",
        "",
        "| state | when | cases | took | exit code | totals |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    times = {job: line for lane in lanes for job, line in lane.times.items()}
    lines += [*(times[job] for job in sorted(times, key=lambda job: (list(worlds.STATES).index(job[0]), job[1]))), ""]
    doubts = [line for lane in lanes for line in lane.doubts]
    if doubts:
        lines += ["## The undecided ones, after `resilience recover`", "", *doubts, ""]
    for when in (score.BACK, score.AWAY, score.RECOVER):
        wrong = [line for both in scores[:1] if when in both for line in both[when].wrong()]
        if wrong:
            lines += [f"## Other than expected: {score.TITLES[when].lower()}", "", *wrong, ""]
    return lines


def _differences(scores: Sequence[Mapping[str, score.Score]]) -> list[str]:
    lines = []
    for when in scores[0]:
        first = {(one.state, one.case.id): one.outcome for one in scores[0][when].found}
        for one in scores[1][when].found:
            old = first.get((one.state, one.case.id))
            if old != one.outcome:
                lines.append(f"- {one.state}, {when}: `{one.case.id}` {old}, then {one.outcome}")
    return lines or ["Nothing."]


if __name__ == "__main__":
    sys.exit(main())
