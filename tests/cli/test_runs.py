"""A verb works on one run, alone, and its record says how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.host.lock import locked
from tests.kits.small_staging import SmallStaging
from tests.kits.stand_in_kit import eventually, processes_naming
from tests.kits.typing_in import Type, runs, with_stand_in


@pytest.mark.parametrize("verb", [["apply"], ["test"], ["restore"], ["run", "--apply"]], ids=" ".join)
def test_a_second_one_is_told_who_holds_the_lock_since_when(
    type_in: Type, team: Path, staging: SmallStaging, verb: list[str]
) -> None:
    if verb == ["apply"]:
        with_stand_in(team)
        staging.status = 503
    with locked(team / ".resilience" / "state", "test", run="r"):
        said = type_in(*verb)
    assert said.code == 75, said.out + said.err
    assert f"(resilience test, pid {os.getpid()}) since 20" in said.err
    assert "running" not in {json.loads(path.read_text())["verdict"] for path in runs(team)}


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_of_the_tests_ends_them_and_says_interrupted(
    team: Path, sent: signal.Signals, code: int
) -> None:
    (team / "tests" / "test_shop.py").write_text(
        "import pathlib, time\n\ndef test_slow():\n    pathlib.Path('begun').touch()\n    time.sleep(60)\n"
    )
    going = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", "test"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=team,
    )
    try:
        assert eventually(lambda: (team / "begun").exists() or going.poll() is not None, within_s=30)
        going.send_signal(sent)
        _, err = going.communicate(timeout=30)
    finally:
        going.kill()
        going.wait()
    assert going.returncode == code, err
    assert "Traceback" not in err
    assert not processes_naming(team)
    (record,) = runs(team)
    document = json.loads(record.read_text())
    assert (document["verdict"], document["exit_code"]) == ("interrupted", code)


def test_status_is_one_document_and_looking_at_it_takes_no_lock(type_in: Type, team: Path) -> None:
    with locked(team / ".resilience" / "state", "test"):
        document = type_in("status", "--json").json
        assert document["lock"]["verb"] == "test"
        assert document["applied"] is None
        assert type_in("assess").code == 0
        assert type_in("mode").code == 0
        assert type_in("plan").code == 0
