"""resilience.publish.comment: it fits, mentions nobody but in the escalation, and never calls a fallback a success."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from resilience.core.records import Notice, Verdict
from resilience.publish.comment import CONCLUSIONS, Draft, check_run, drafts, sticky
from resilience.publish.github import LONGEST_BODY
from resilience.publish.markers import Kind
from tests.kits import incident_factory as factory
from tests.kits.records import AT

INCIDENT = replace(factory.drill().incident, incident_id="staging-1", notices=())
NOTICE = Notice(
    at=AT, reason="r", whom="@devops", rule="critical_down", text="**Escalation:** r\n\n@devops: please have a look.\n"
)


def kinds(found: tuple[Draft, ...]) -> list[str]:
    return [draft.mark.kind.value for draft in found]


def test_news_is_opened_escalated_and_recovered_as_they_came_to_pass() -> None:
    assert INCIDENT.recovery is not None
    assert INCIDENT.recovery.recovered
    whole = replace(INCIDENT, notices=(NOTICE,))
    assert kinds(drafts(whole, summary="s")) == ["sticky", "opened", "escalated", "recovered"]
    assert kinds(drafts(replace(whole, recovery=None), summary="s")) == ["sticky", "opened", "escalated"]
    assert kinds(drafts(INCIDENT, summary="s")) == ["sticky", "opened", "recovered"]
    assert kinds(drafts(replace(whole, outage_started_at=None), summary="s")) == ["sticky"]


def test_only_the_escalation_mentions_anybody_and_not_where_it_is_quiet() -> None:
    found = drafts(replace(INCIDENT, notices=(NOTICE,)), summary="s")
    assert ["@devops" in draft.body(draft.mark) for draft in found] == [False, False, True, False]
    quiet = replace(NOTICE, quiet="acknowledged by ana")
    assert Kind.ESCALATED.value not in kinds(drafts(replace(INCIDENT, notices=(quiet,)), summary="s"))


def test_a_body_is_below_githubs_limit_whatever_the_summary_and_the_diagram() -> None:
    for summary, diagram in (("line\n" * 40_000, "g" * 70_000), ("short", "g" * 70_000), ("x" * 61_000, "g" * 400)):
        text = sticky(INCIDENT, summary, diagram, "https://github.example/o/r/actions/runs/1")
        draft = Draft(mark=drafts(INCIDENT, summary="s")[0].mark, text=text, edits=True)
        assert len(draft.body(draft.mark)) < LONGEST_BODY
        assert "[Full report](https://github.example/o/r/actions/runs/1)" in text
    assert "```mermaid\ngantt" in sticky(INCIDENT, "s", "gantt", "")


def test_a_check_is_a_success_only_after_a_pass_on_real_staging() -> None:
    assert {verdict for verdict, conclusion in CONCLUSIONS.items() if conclusion == "success"} == {Verdict.PASSED}
    assert CONCLUSIONS[Verdict.PASSED_ON_STAND_INS] == "neutral"
    assert set(CONCLUSIONS) == set(Verdict) - {Verdict.RUNNING}


@pytest.mark.parametrize("missing", [{"commit": ""}, {"verdict": Verdict.RUNNING}, {"tests": None}])
def test_no_check_without_a_commit_a_verdict_or_tests(missing: dict[str, object]) -> None:
    whole = replace(INCIDENT, commit="a" * 40, verdict=Verdict.PASSED_ON_STAND_INS)
    found = check_run(whole, "s")
    assert found is not None
    assert (found["conclusion"], found["head_sha"]) == ("neutral", "a" * 40)
    assert check_run(replace(whole, **missing), "s") is None  # type: ignore[arg-type]


def test_an_outage_that_ended_outside_of_every_run_is_told_by_the_run_that_found_staging_well() -> None:
    well = replace(INCIDENT, outage_started_at=None, recovery=None)
    (sticky_one, recovered) = drafts(well, summary="s", began_at=AT, ended_at=AT + timedelta(hours=1))
    assert recovered.mark.kind is Kind.RECOVERED
    assert recovered.text.startswith("**Recovered** at 2026-11-22 04:14 UTC")
    assert (sticky_one.mark.opened, sticky_one.mark.closed) == (AT, AT + timedelta(hours=1))
