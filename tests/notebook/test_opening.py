"""A notebook goes on with the run that its parameters name, or with a new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import SettingsError, UsageError
from resilience.notebook.opening import _applied, open_notebook
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from tests.kits.small_staging import SmallStaging


def test_no_run_named_is_a_new_one_with_the_parameters_that_were_declared(team: Path) -> None:
    notebook = open_notebook({"run": "", "config": "", "apply": True, "unrelated": 3})
    assert notebook.run.folder.is_dir()
    assert notebook.parameters["apply"] is True
    assert not notebook.interactive


@pytest.mark.parametrize("wanted", ["", "latest"])
def test_headless_stages_find_the_run_they_belong_to(team: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    settings = load_settings()
    mine, newer = Run.create(settings, slug="mine"), Run.create(settings, slug="newer")
    monkeypatch.setenv("RESILIENCE_RUN", str(mine.folder))
    assert open_notebook({"run": wanted}).run.folder == mine.folder != newer.folder


def test_a_run_that_is_not_there_and_a_value_that_cannot_be_are_refused(team: Path) -> None:
    with pytest.raises(UsageError):
        open_notebook({"run": str(team / "no-such-run")})
    with pytest.raises(SettingsError, match="samples"):
        open_notebook({"samples": "many"})


async def test_a_page_of_a_person_goes_on_with_what_is_applied_and_a_headless_one_only_says_it(
    stood_in: Path, staging: SmallStaging
) -> None:
    """A headless run that took up another's folder would judge that one; a person after a kernel's restart has to."""
    parameters = {"run": "", "config": ""}
    assert _applied(parameters) is None
    staging.status = 503
    run = Run.create(load_settings(), apply=True)
    await run.assess()
    run.choose_mode()
    run.make_plan()
    await run.apply()
    try:
        found = _applied(parameters)
        assert found is not None
        assert found.folder == run.folder
        headless = open_notebook(parameters)
        assert headless.run.folder != run.folder
        assert "APPLIED: applied (mode degraded · since " in headless.sections["strip"].text
        # One whose undo data are damaged is not taken up: the banner says so.
        journal = load_settings().state / "journal.json"
        kept = journal.read_bytes()
        journal.write_text("{")
        assert _applied(parameters) is None
        assert "cannot be read" in open_notebook(parameters).sections["strip"].text
        journal.write_bytes(kept)
    finally:
        await run.restore()
    assert "APPLIED: nothing (in this checkout)" in open_notebook(parameters).sections["strip"].text
