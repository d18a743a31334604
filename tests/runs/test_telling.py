"""resilience.runs.telling: what is published goes only where it was configured, once, and waits where it cannot go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from resilience.core.errors import SecretLeakError, UsageError
from resilience.core.records import Notice, Recovery, Sample
from resilience.core.secret import Secret
from resilience.core.settings import PublishSettings, Settings
from resilience.runs import telling
from resilience.runs.history import History
from resilience.runs.keeping import Keeping
from resilience.runs.runbook import Run
from tests.kits.records import S, health
from tests.kits.run_kit import settings_of
from tests.kits.servers.github import FakeGitHub

TO = telling.Target(repository="octo/shop", issue="1278")


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    with FakeGitHub() as server:
        monkeypatch.setenv("GITHUB_API_URL", server.url)
        monkeypatch.setenv("GITHUB_TOKEN", "t-bot")
        for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
            monkeypatch.delenv(name, raising=False)
        yield server


@pytest.fixture
def settings(team: Path) -> Settings:
    found = settings_of(team)
    return replace(found, publish=PublishSettings(repository="octo/shop", wait_s=20))


@pytest.fixture
def run(settings: Settings) -> Run:
    now = datetime.now(UTC)
    made = Run.create(settings, slug="x")
    made.add_samples([Sample(at=now, service="backend_api", status=S.UNAVAILABLE, response_time_s=2.0)])
    down = health({"database": S.UNAVAILABLE})
    made.save(health=down, latest=down, outage_started_at=now)
    return made


def kinds(double: FakeGitHub) -> list[str]:
    return [one["body"].rpartition("<!-- resilience:")[2].partition(" ")[0] for one in double.on()]


def waiting(settings: Settings) -> int:
    with History(settings.outputs / "history.sqlite") as kept:
        return len(Keeping(kept).waiting())


async def test_published_twice_escalated_and_recovered_is_one_comment_and_three_news(
    run: Run, settings: Settings, double: FakeGitHub
) -> None:
    for _ in range(2):
        outcome = await telling.publish(run.folder, settings, TO)
        assert not outcome.refused
        assert not outcome.waits
    assert kinds(double) == ["sticky", "opened"]
    notice = Notice(at=datetime.now(UTC), reason="r", whom="@devops", rule="x", text="**Escalation:** r\n@devops\n")
    run.save(notices=(notice,))
    await telling.publish(run.folder, settings, TO)
    now = datetime.now(UTC)
    back = Recovery(
        recovered=True, started_at=now, duration_s=1, good_needed=2, in_a_row=2, dwell_s=0, checks=(), first_good_at=now
    )
    run.save(recovery=back)
    for _ in range(2):
        await telling.publish(run.folder, settings, TO)
    assert kinds(double) == ["sticky", "opened", "escalated", "recovered"]
    assert double.issues[1278]["labels"] == [{"name": "infrastructure"}]
    # In the summary it stands in a code span, where GitHub mentions nobody.
    assert [("\n@devops" in one["body"]) for one in double.on()] == [False, False, True, False]


async def test_a_token_alone_writes_nothing_anywhere(run: Run, settings: Settings, double: FakeGitHub) -> None:
    bare = replace(settings, publish=PublishSettings())
    with pytest.raises(UsageError, match="no repository is configured"):
        telling.target(bare, "1278")
    outcome = await telling.publish_run(run, issue="")
    assert outcome.refused == [
        "nothing was published: no issue is named. Hint: --issue 1278, or [runbook] issue = "
        '"1278"; --issue new finds or makes one'
    ]
    assert double.requests == []


@pytest.mark.parametrize(
    ("typed", "number"),
    [("1278", "1278"), ("#7", "7"), ("https://github.com/Octo/shop/issues/9", "9"), ("new", "new")],
)
def test_an_issue_is_named_by_number_or_address_of_the_configured_repository(
    settings: Settings, typed: str, number: str
) -> None:
    assert telling.target(settings, typed).issue == number
    assert telling.target(replace(settings, issue=typed)).issue == number


@pytest.mark.parametrize(
    "typed", ["0", "-1", "abc", "https://github.com/else/shop/issues/9", "https://github.com/octo/shop"]
)
def test_any_other_issue_is_refused(settings: Settings, typed: str) -> None:
    with pytest.raises(UsageError):
        telling.target(settings, typed)


async def test_without_a_token_it_waits_and_goes_with_the_next(
    run: Run, settings: Settings, double: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    with pytest.raises(UsageError, match="GITHUB_TOKEN is not set; 2 to be written wait"):
        await telling.publish(run.folder, settings, TO)
    assert waiting(settings) == 2
    monkeypatch.setenv("GITHUB_TOKEN", "t-bot")
    await telling.publish(run.folder, settings, TO)
    assert (waiting(settings), kinds(double)) == (0, ["sticky", "opened"])


async def test_a_lost_answer_is_tried_again_after_a_look_and_writes_once(
    run: Run, settings: Settings, double: FakeGitHub
) -> None:
    settings = replace(settings, publish=replace(settings.publish, authors=("ci-bot[bot]",)))
    double.fail("POST", "/comments", "lost", "lost")
    double.fail("GET", "/comments", 502, 503)
    outcome = await telling.publish(run.folder, settings, TO)
    assert (outcome.waits, outcome.refused) == ([], [])
    assert kinds(double) == ["sticky", "opened"]


async def test_a_limit_beyond_the_time_puts_off_and_one_within_it_is_obeyed(
    run: Run, settings: Settings, double: FakeGitHub
) -> None:
    double.fail("POST", "/comments", (429, {"Retry-After": "3600"}))
    outcome = await telling.publish(run.folder, settings, TO)
    assert "429" in outcome.waits[0]
    assert (waiting(settings), kinds(double)) == (2, [])
    with History(settings.outputs / "history.sqlite") as kept:
        kept.db.execute("UPDATE outbox SET not_before_us = 0")
    double.fail("POST", "/comments", (403, {"Retry-After": "1"}))
    before = datetime.now(UTC)
    outcome = await telling.publish(run.folder, settings, TO)
    assert datetime.now(UTC) - before > timedelta(seconds=0.9)
    assert (waiting(settings), kinds(double)) == (0, ["sticky", "opened"])


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"locked": True}, "locked"),
        ({"deleted": True}, "410"),
        (None, "404"),
    ],
)
async def test_an_issue_that_cannot_be_written_to_is_said_and_not_tried_for_ever(
    run: Run, settings: Settings, double: FakeGitHub, change: dict[str, bool] | None, word: str
) -> None:
    double.tokens["t-bot"] = ("ci-bot[bot]", False)
    if change is None:
        del double.issues[1278]
    else:
        double.issues[1278].update(change)
    outcome = await telling.publish(run.folder, settings, TO)
    assert word in outcome.refused[0]
    assert waiting(settings) == 0


async def test_a_closed_issue_is_written_to_with_a_warning(run: Run, settings: Settings, double: FakeGitHub) -> None:
    double.issues[1278]["state"] = "closed"
    outcome = await telling.publish(run.folder, settings, TO)
    assert outcome.warnings == ["issue #1278 is closed; the comment is written all the same"]
    assert kinds(double) == ["sticky", "opened"]


async def test_nothing_goes_to_a_repository_that_is_configured_no_longer(
    run: Run, settings: Settings, double: FakeGitHub
) -> None:
    double.fail("GET", "/issues/1278", (503, {"Retry-After": "3600"}))
    await telling.publish(run.folder, settings, TO)
    asked = len(double.requests)
    moved = replace(settings, publish=PublishSettings(repository="octo/else"))
    with History(settings.outputs / "history.sqlite") as kept:
        outcome = await telling.send_waiting(moved, Keeping(kept))
    assert len(double.requests) == asked
    assert (outcome.sent, waiting(settings)) == ([], 2)


async def test_a_secret_that_got_into_the_text_stops_everything(
    run: Run, settings: Settings, double: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from resilience.core.redact import Redactor

    leaky = replace(settings, secrets=(Secret("backend_api"),))
    monkeypatch.setattr(Redactor, "text", lambda self, text: text)
    with pytest.raises(SecretLeakError, match="nothing was sent"):
        await telling.publish(run.folder, leaky, TO)
    assert double.requests == []


async def test_trouble_with_publishing_is_on_the_timeline_and_changes_no_verdict(
    run: Run, settings: Settings, double: FakeGitHub
) -> None:
    run.report(charts=False)
    before = (run.incident.verdict, run.incident.exit_code)
    double.fail("GET", "/issues/1278", 401)
    await telling.publish_run(run, issue="1278")
    assert (run.incident.verdict, run.incident.exit_code) == before
    assert "not published" in [event.what for event in run.incident.timeline]
    await telling.publish_run(run, issue="1278")


def test_the_report_is_linked_where_a_workflow_keeps_it() -> None:
    there = {"GITHUB_SERVER_URL": "https://github.example", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "77"}
    assert telling.report_url(there) == "https://github.example/o/r/actions/runs/77"
    assert telling.report_url(there, "https://reports.example/7") == "https://reports.example/7"
    assert telling.report_url({}) == ""
    with pytest.raises(UsageError):
        telling.report_url({}, "javascript:alert(1)")


async def test_a_check_is_made_where_it_is_asked_for(run: Run, settings: Settings, double: FakeGitHub) -> None:
    from tests.kits import incident_factory as factory

    run.save(commit="a" * 40, tests=factory.drill().incident.tests)
    run.report(charts=False)
    double.fail("POST", "/check-runs", 403)
    outcome = await telling.publish(run.folder, settings, TO, check=True)
    assert "check" not in str(outcome.sent)
    assert "403" in outcome.refused[0]
