"""A notebook goes on with the run that its parameters name, or with a new one."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import SettingsError, UsageError
from resilience.notebook.opening import open_notebook
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run


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
