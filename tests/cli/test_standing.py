"""Where things stand is what the journal says, and a look without a fallback pays for nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from resilience.cli.standing import where_things_stand
from resilience.core.next_steps import Situation
from resilience.runs.configuration import load_settings, settings_for_url
from resilience.runs.runbook import Run, restore
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import with_stand_in

LOOKS = """
import sys
from resilience.cli.standing import where_things_stand
from resilience.runs.configuration import load_settings
where_things_stand(load_settings("resilience.toml"))
print("resilience.stand_ins.starting" in sys.modules)
"""


def test_where_nothing_is_applied_stand_ins_are_not_even_loaded(team: Path) -> None:
    assert where_things_stand(load_settings("resilience.toml")).situation == Situation()
    said = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_a_url_alone_is_not_configured(home: Path) -> None:
    assert not where_things_stand(settings_for_url(["redis://127.0.0.1:1/0"])).situation.configured


async def test_what_is_applied_is_said_with_who_and_since_when(team: Path, staging: SmallStaging) -> None:
    with_stand_in(team)
    staging.status = 503
    settings = load_settings("resilience.toml")
    run = Run.create(settings, apply=True)
    await run.assess()
    run.choose_mode()
    run.make_plan()
    await run.apply()
    try:
        found = where_things_stand(settings)
        assert (found.situation.fallback, found.situation.elsewhere, found.situation.dead) == ("applied", "", ())
        assert found.applied.startswith("A fallback is applied here: mode degraded, by ")
        assert found.applied.endswith(", just now.")
    finally:
        await restore(settings)


@pytest.mark.parametrize("text", ['{"run": "half', "[]"])
def test_a_damaged_journal_is_told_and_nothing_is_known_to_be_applied(team: Path, text: str) -> None:
    settings = load_settings("resilience.toml")
    settings.state.mkdir(parents=True)
    (settings.state / "journal.json").write_text(text)
    found = where_things_stand(settings)
    assert "journal.json" in found.damage
    assert not found.situation.fallback
