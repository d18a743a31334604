"""`publish` writes nothing unless it was configured, and `--dry-run` shows what it would write, byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kits.run_kit import change
from tests.kits.servers.github import FakeGitHub
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type


def test_the_text_of_a_dry_run_is_the_comment_that_is_written(
    type_in: Type, team: Path, staging: SmallStaging, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID", "GITHUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    staging.status = 503
    assert type_in("test").code == 20
    text = type_in("publish", "--dry-run").out
    assert text.startswith("### ")
    assert "✕ unavailable" in text
    with FakeGitHub() as double:
        monkeypatch.setenv("GITHUB_API_URL", double.url)
        monkeypatch.setenv("GITHUB_TOKEN", "t-bot")
        type_in("publish", "--issue", "1278").complains("no repository is configured")
        assert double.requests == []
        change(team, "[runbook]\n", '[publish]\nrepository = "octo/shop"\n\n[runbook]\n')
        type_in("publish").complains("no issue is named")
        said = type_in("publish", "--issue", "1278")
        assert said.code == 0, said.err
        assert said.out.count("Published ") == len(double.on()) == 2
        assert double.on()[0]["body"] == text
        double.fail("GET", "/issues/1278", (503, {"Retry-After": "3600"}))
        said = type_in("publish", "--issue", "1278", "--report-url", "https://reports.example/1")
        assert said.code == 75
        assert "Waits in the outbox: sticky: GitHub answered 503" in said.out
