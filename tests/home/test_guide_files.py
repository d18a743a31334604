"""`init --guide` brings what the guide names, leaves what is there, and explains every key it brings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from resilience.core.errors import UsageError
from resilience.core.kind import SHARED_KEYS
from resilience.home.guide_files import guide_files, write_guide_files
from resilience.runs.configuration import load_settings
from resilience.services.registry import KINDS
from resilience.settings import build, service
from resilience.settings.environment import is_shipped, shipped
from tests.kits.repository import environ

NAMED = [
    *("config/.env.test.resilient", "config/.env.test.local", "config/.env.test.minimal", "config/runbook.toml"),
    *("docker/docker-compose.local.yml", "run_resilient_tests.sh", "run_critical_tests.sh"),
    "dev_workflow_during_outage.sh",
]


def test_every_file_that_the_guide_names_is_written_and_the_scripts_can_be_run(repository: Path) -> None:
    done = write_guide_files(repository)
    assert {str(path.relative_to(repository)) for path in done.written} == {*NAMED, ".gitignore"}
    for name in NAMED:
        if name.endswith(".sh"):
            assert (repository / name).stat().st_mode & 0o111
            assert subprocess.run(["bash", "-n", repository / name], check=False).returncode == 0
    settings = load_settings(cwd=repository, environ=environ(repository))
    assert is_shipped(settings.source)
    assert "config/.env.test.active" in (repository / ".gitignore").read_text().splitlines()


def test_what_is_there_is_left_as_it_is_and_a_second_time_changes_nothing(repository: Path) -> None:
    (repository / "run_critical_tests.sh").write_text("mine")
    first = write_guide_files(repository)
    assert first.kept == (repository / "run_critical_tests.sh",)
    assert (repository / "run_critical_tests.sh").read_text() == "mine"
    second = write_guide_files(repository)
    assert second.written == ()
    assert len(second.kept) == len(guide_files())


def test_beside_a_resilience_toml_nothing_is_written_since_it_would_count_and_not_the_guides(repository: Path) -> None:
    (repository / "resilience.toml").write_text("")
    with pytest.raises(UsageError, match=r"would count.*mv resilience.toml"):
        write_guide_files(repository)
    assert not (repository / "config").exists()


def test_every_key_is_explained_in_the_shipped_configuration() -> None:
    """A key stands there with a comment: beside it, or, for those that only name something, in the lines above."""
    text = (shipped("config") / "runbook.toml").read_text(encoding="utf-8")
    source = "".join(path.read_text(encoding="utf-8") for path in Path(build.__file__).parent.glob("*.py"))
    keys = {
        key for given in re.findall(r"\.only\(((?:\s*\"\w+\",?)+)\s*\)", source) for key in re.findall(r"\w+", given)
    }
    keys |= {*service._COMMON_KEYS, *SHARED_KEYS, *(key for kind in KINDS for key in kind.options)}
    tables = {
        "runbook",
        "service",
        "modes",
        "recovery",
        "escalation",
        "history",
        "safety",
        "control",
        "publish",
        "alerts",
    }
    tables |= {"watch", "maintenance"}
    explained = re.compile(r"^#? ?(\w+)(?: =.*#|:)", re.M)
    named = set(explained.findall(text)) | {
        key for line in re.findall(r"^# (.*:.*)$", text, re.M) for key in re.findall(r"(\w+):", line)
    }
    assert keys - tables - named == set()
