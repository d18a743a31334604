"""However a run ends, every output of it tells the same end: process, record, page, Markdown, JUnit, metrics, history, status."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from resilience.runs.configuration import load_settings
from resilience.runs.folder import read_incident
from resilience.runs.runbook import render_again
from tests.chaos.attacks import full_disk
from tests.kits.endings import disagreements
from tests.kits.run_kit import staging as staging, team as team
from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import eventually
from tests.kits.typing_in import runs, with_stand_in

PASSES = "def test_one():\n    assert True\n"
FAILS = "def test_one():\n    assert 1 == 2\n"
NONE = "x = 1\n"
WAITS = "import pathlib, time\n\ndef test_slow():\n    pathlib.Path('begun').touch()\n    time.sleep(120)\n"
UNDECIDED = (
    "import urllib.request, urllib.error, os\n\ndef test_answer():\n"
    "    try:\n        status = urllib.request.urlopen(os.environ['HERE'], timeout=5).status\n"
    "    except urllib.error.HTTPError as exc:\n        status = exc.code\n"
    "    assert status == 200\n"
)
DIES = "import os, signal\n\ndef test_dies():\n    os.kill(os.getpid(), signal.SIGKILL)\n"


@dataclass(frozen=True, slots=True)
class Ending:
    """A way to end: the tests, how staging answers, what is done in the middle, and what is then to be said."""

    tests: str
    verdict: str
    code: int
    status: int = 200
    sent: int = 0
    verb: tuple[str, ...] = ("test", "--force", "full")
    file_bytes: int = 0
    """Above 0: no file may become larger, as on a disk that is full."""
    broken: bool = False
    """Whether a stage meets what it cannot get over."""


ENDINGS = {
    "pass": Ending(PASSES, "passed", 0, verb=("test",)),
    "product": Ending(FAILS, "product_failures", 1, verb=("test",)),
    "blocked": Ending(PASSES, "infrastructure_unavailable", 20, status=503, verb=("test",)),
    "unknown": Ending(NONE, "unknown", 21, verb=("test",)),
    "undecided": Ending(UNDECIDED, "undecided", 20, status=503),
    "killed test child": Ending(DIES, "unknown", 21, verb=("test",)),
    "SIGTERM": Ending(WAITS, "interrupted", 143, sent=signal.SIGTERM),
    "SIGINT": Ending(WAITS, "interrupted", 130, sent=signal.SIGINT),
    "SIGHUP": Ending(WAITS, "interrupted", 143, sent=signal.SIGHUP),
    "killed everything": Ending(WAITS, "killed", 137, sent=signal.SIGKILL),
    "no large files": Ending(PASSES, "runbook_failed", 30, verb=("test",), file_bytes=6_000),
}


def go(team: Path, staging: SmallStaging, ending: Ending) -> int:
    """Type the command, send the signal once the tests have begun, and return how the process ended."""
    (team / "tests" / "test_shop.py").write_text(ending.tests)
    staging.status = ending.status

    def in_the_child() -> None:
        # Under nohup SIGHUP is ignored, by all that is started from there too.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if size := ending.file_bytes:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    going = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", *ending.verb],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=team,
        env={**os.environ, "HERE": f"http://127.0.0.1:{staging.port}/", "TEST_RETRY_ATTEMPTS": "1"},
        preexec_fn=in_the_child,
    )
    try:
        if ending.sent:
            begun = team / "begun"
            assert eventually(lambda: begun.exists() or going.poll() is not None, within_s=90)
            children = psutil.Process(going.pid).children(recursive=True)
            going.send_signal(ending.sent)
            if ending.sent == signal.SIGKILL:
                for child in children:
                    if child.is_running():
                        child.kill()
        return going.wait(90)
    finally:
        going.kill()
        going.wait()


@pytest.mark.parametrize("name", ENDINGS)
def test_a_test_run_tells_one_end(team: Path, staging: SmallStaging, name: str) -> None:
    ending = ENDINGS[name]
    code = go(team, staging, ending)
    (record,) = runs(team)
    assert disagreements(record.parent, process=code) == []
    assert (128 - code if code < 0 else code) == ending.code
    if name != "killed everything":
        assert read_incident(record.parent).verdict.value == ending.verdict
        assert ending.file_bytes or (record.parent / "report.md").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("who", "verdict", "code"), [("kernel", "runbook_failed", 30), ("tests", "unknown", 21), ("all", "killed", 137)]
)
def test_a_whole_run_of_which_something_is_killed_tells_one_end_and_leaves_nothing(
    team: Path, staging: SmallStaging, who: str, verdict: str, code: int
) -> None:
    (team / "tests" / "test_shop.py").write_text(WAITS)
    going = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", "run", "--apply", "-p", "mode=full"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=team,
    )
    begun = team / "begun"
    try:
        assert eventually(lambda: begun.exists() or going.poll() is not None, within_s=90)
        below = psutil.Process(going.pid).children(recursive=True)
        tests = next(one for one in below if "pytest" in one.cmdline())
        killed = {"kernel": [tests.parent()], "tests": [tests], "all": [psutil.Process(going.pid), *below]}[who]
        for process in killed:
            assert process is not None
            process.kill()
        ended = going.wait(90)
    finally:
        going.kill()
        going.wait()
    assert (128 - ended if ended < 0 else ended) == code
    (record,) = runs(team)
    assert disagreements(record.parent, process=ended) == []
    if who == "all":
        type_in(team, "restore")
        assert disagreements(record.parent) == []
    assert read_incident(record.parent).verdict.value == verdict
    assert eventually(lambda: not any(one.is_running() for one in below), within_s=20)


@dataclass(frozen=True, slots=True)
class Doing:
    """A command that does something besides testing: what was typed before, and what the process and the run then say."""

    words: tuple[str, ...]
    process: int
    run: tuple[str, int]
    before: tuple[tuple[str, ...], ...] = ()
    status: int = 503
    """How staging answers this command; those typed before it find it down."""
    tests: str = PASSES
    stand_in: str = "comes up"


DOINGS = {
    "applied": Doing(("apply",), 0, ("infrastructure_unavailable", 20)),
    "applied, and the stand-in failed": Doing(("apply",), 20, ("infrastructure_unavailable", 20), stand_in="fails"),
    "blocked": Doing(("apply",), 20, ("infrastructure_unavailable", 20), stand_in="none"),
    "nothing to apply": Doing(("apply",), 0, ("unknown", 0), status=200),
    "recovered": Doing(("recover",), 0, ("passed", 0), status=200),
    "recovered with a bug": Doing(("recover",), 1, ("product_failures", 1), status=200, tests=FAILS),
    "recovered without tests": Doing(("recover", "--no-tests"), 0, ("unknown", 0), status=200),
    "recovered without tests after stand-ins": Doing(
        ("recover", "--no-tests"), 0, ("passed_on_stand_ins", 10), before=(("apply",), ("test",)), status=200
    ),
    "still down after a bug": Doing(
        ("recover", "--wait", "0"), 20, ("product_failures", 1), before=(("apply",), ("test",)), tests=FAILS
    ),
    "waited in vain": Doing(
        ("recover", "--wait", "0.2"), 124, ("timed_out", 124), before=(("apply",), ("test",)), tests=FAILS
    ),
    "restored": Doing(("restore",), 0, ("infrastructure_unavailable", 20), before=(("apply",),)),
}


@pytest.mark.parametrize("name", DOINGS)
def test_what_a_command_did_and_what_its_run_came_to_have_two_names_and_both_are_said(
    team: Path, staging: SmallStaging, name: str
) -> None:
    doing = DOINGS[name]
    if doing.stand_in != "none":
        with_stand_in(team)
    if doing.stand_in == "fails":
        config = team / "resilience.toml"
        config.write_text(config.read_text().replace("critical = true\n", 'critical = true\nprepare = ["false"]\n', 1))
    try:
        for words in doing.before:
            go(team, staging, Ending(doing.tests, "", 0, status=503, verb=words))
        code = go(team, staging, Ending(doing.tests, "", 0, status=doing.status, verb=doing.words))
        assert code == doing.process
        (record,) = runs(team)
        incident = read_incident(record.parent)
        assert (incident.verdict.value, incident.exit_code) == doing.run
        own = incident.exit_code if incident.command is None else incident.command.exit_code
        if doing.words == ("restore",):
            assert (incident.command and incident.command.verb) == "apply", "the undo says nothing about the run"
        else:
            assert own == code
            assert disagreements(record.parent, process=code) == []
        # The report can be asked for at any time, and says both.
        render_again(record.parent, load_settings(team / "resilience.toml"))
        assert disagreements(record.parent, process=None if doing.words == ("restore",) else code) == []
        page = (record.parent / "report.md").read_text()
        assert ("passed on real staging" in page) == (name == "recovered")
    finally:
        type_in(team, "restore")


def test_a_command_whose_code_is_another_than_its_runs_says_both(team: Path, staging: SmallStaging) -> None:
    with_stand_in(team)
    staging.status = 503
    try:
        said = type_in(team, "apply")
        assert "This command: exit code 0 (done). Its run: exit code 20 (staging is unavailable)" in said
        document = typed_json(team, "apply", "--json")
        assert (document["exit_code"], document["run_exit_code"]) == (0, 20)
        assert document["run_verdict"] == "infrastructure_unavailable"
        type_in(team, "test")
        staging.status = 200
        document = typed_json(team, "recover", "--no-tests", "--json")
        assert (document["exit_code"], document["run_exit_code"]) == (0, 10)
        assert document["run_verdict"] == "passed_on_stand_ins"
    finally:
        type_in(team, "restore")


AT = {
    "while the run is made": (
        "from resilience.runs import folder\nbefore = folder._point_latest\n"
        "folder._point_latest = lambda *args: (before(*args), signal.raise_signal(number))\n"
    ),
    "while something swallows what it raises": (
        "from resilience.runs import looking, stages\nlook = looking.look\n"
        "async def swallows(*args, **more):\n    try:\n        signals._interrupt(number, None)\n"
        "    except BaseException:\n        signals._Heard.terminated = number != signal.SIGINT\n"
        "    return await look(*args, **more)\n"
        "looking.look = stages.look = swallows\n"
    ),
    "once all is said": "import atexit\natexit.register(signal.raise_signal, number)\n",
}
"""When a signal comes that found a run without anybody who wrote its end, or with one that the exit code then contradicted.

What is raised is lost in code that swallows all, such as some imports, destructors and weak references.
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
@pytest.mark.parametrize("verb", ["test", "apply", "recover"])
@pytest.mark.parametrize("moment", AT)
def test_a_signal_at_either_end_of_a_command_leaves_one_end(
    team: Path, staging: SmallStaging, moment: str, verb: str, name: str, code: int
) -> None:
    program = f"import signal, sys\nfrom resilience.host import signals\nnumber = signal.{name}\n"
    program += f"sys.argv = ['resilience', {verb!r}]\n{AT[moment]}"
    program += "from resilience.cli import main\nmain()\n"
    done = subprocess.run([sys.executable, "-c", program], cwd=team, capture_output=True, text=True, check=False)
    (record,) = runs(team)
    assert done.returncode == (0 if moment == "once all is said" else code), done.stderr
    assert disagreements(record.parent, process=done.returncode) == []
    assert "Traceback" not in done.stderr


RUN = ("run", "--apply")
AS_IT_IS = (*RUN, "-p", "mode=full")
WHOLE_RUNS = {
    "pass": Ending(PASSES, "passed", 0, verb=RUN),
    "product": Ending(FAILS, "product_failures", 1, verb=RUN),
    "blocked": Ending(PASSES, "infrastructure_unavailable", 20, status=503, verb=RUN),
    "unknown": Ending(NONE, "unknown", 21, verb=RUN),
    "undecided": Ending(UNDECIDED, "undecided", 20, status=503, verb=AS_IT_IS),
    "looked only": Ending(PASSES, "infrastructure_unavailable", 20, status=503, verb=("run",)),
    "failing stage": Ending(PASSES, "runbook_failed", 30, status=503, verb=RUN, broken=True),
    "stage timed out": Ending(WAITS, "timed_out", 124, verb=(*AS_IT_IS, "--stage-timeout", "6")),
    "SIGTERM": Ending(WAITS, "interrupted", 143, sent=signal.SIGTERM, verb=AS_IT_IS),
    "SIGINT": Ending(WAITS, "interrupted", 130, sent=signal.SIGINT, verb=AS_IT_IS),
    "SIGHUP": Ending(WAITS, "interrupted", 143, sent=signal.SIGHUP, verb=AS_IT_IS),
    "no large files": Ending(PASSES, "runbook_failed", 30, verb=RUN, file_bytes=24_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WHOLE_RUNS)
def test_a_whole_run_tells_one_end(team: Path, staging: SmallStaging, name: str) -> None:
    ending = WHOLE_RUNS[name]
    if ending.broken:
        # The fallback can be neither noted nor written, which only its stage finds out.
        with_stand_in(team)
        (team / ".env.test.active").mkdir()
    code = go(team, staging, ending)
    (record,) = runs(team)
    assert disagreements(record.parent, process=code) == []
    assert code == ending.code
    assert read_incident(record.parent).verdict.value == ending.verdict
    assert ending.file_bytes or (record.parent / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("size_kb", [48, 200])
def test_a_whole_run_on_a_full_disk_tells_one_end(tmp_path: Path, size_kb: int) -> None:
    """A disk of this size, where this user can mount one, else files of at most half of it."""
    tried = full_disk(tmp_path, size_kb)
    assert tried.wrong == ()
    assert tried.detail.endswith("exit 30"), tried.detail


@pytest.mark.slow
@pytest.mark.parametrize("words", [("run", "--apply"), ("run", "-p", "mode=fulll")])
def test_a_whole_run_with_wrong_settings_leaves_no_run_that_could_tell_anything(
    team: Path, staging: SmallStaging, words: tuple[str, ...]
) -> None:
    config = team / "resilience.toml"
    if "-p" not in words:
        config.write_text(config.read_text() + "\n[recovry]\ngood = 1\n")
    assert go(team, staging, Ending(PASSES, "", 2, verb=words)) == 2
    assert runs(team) == []


def test_a_settings_error_leaves_no_run_that_could_tell_anything(team: Path, staging: SmallStaging) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text() + "\n[recovry]\ngood = 1\n")
    assert go(team, staging, Ending(PASSES, "", 2, verb=("test",))) == 2
    assert runs(team) == []


@pytest.mark.parametrize("who", ["restore", "report", "the next run"])
def test_a_killed_run_is_called_killed_by_readers_and_written_by_who_works_next(
    team: Path, staging: SmallStaging, who: str
) -> None:
    assert go(team, staging, ENDINGS["killed everything"]) == -signal.SIGKILL
    (record,) = runs(team)
    before = record.read_bytes()
    shown = type_in(team, "status")
    assert "killed in run_tests" in shown
    assert record.read_bytes() == before, "a reader writes nothing"
    words = {"restore": ["restore"], "report": ["report", "--no-pdf"], "the next run": ["test"]}[who]
    (team / "tests" / "test_shop.py").write_text(PASSES)
    type_in(team, *words)
    incident = read_incident(record.parent)
    assert (incident.verdict.value, incident.exit_code, incident.finished_at) == ("killed", 137, None)
    assert disagreements(record.parent) == []
    assert "KILLED" in (record.parent / "report.md").read_text()


def test_a_run_of_another_host_is_said_to_be_not_known_from_here(team: Path, staging: SmallStaging) -> None:
    go(team, staging, ENDINGS["killed everything"])
    (record,) = runs(team)
    moved = re.sub(r'("owner": \{\s*"host": )"[^"]*"', r'\1"elsewhere"', record.read_text())
    record.write_text(moved)
    shown = type_in(team, "status")
    assert "its owner is on elsewhere" in shown
    assert "not known from here" in shown
    (team / "tests" / "test_shop.py").write_text(PASSES)
    type_in(team, "test")
    assert record.read_text() == moved


def typed_json(team: Path, *words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "resilience.cli", *words], cwd=team, capture_output=True, text=True, check=False
    )
    return dict(json.loads(done.stdout))


def type_in(team: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "resilience.cli", *words], cwd=team, capture_output=True, text=True, check=False
    )
    return " ".join((done.stdout + done.stderr).split())
