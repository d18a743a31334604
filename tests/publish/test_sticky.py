"""resilience.publish.sticky: exactly one comment stays, whatever is lost, refused, or done by several hosts at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from resilience.core.secret import Secret
from resilience.publish.github import connect
from resilience.publish.markers import Kind, Mark, mark_in
from resilience.publish.outbox import PutOffError
from resilience.publish.sticky import Done, Who, ensure, ensure_label, find_or_create_issue
from tests.kits.servers.github import FakeGitHub

MARK = Mark(kind=Kind.STICKY, environment="staging", incident="i-1", opened=datetime(2026, 11, 25, 1, tzinfo=UTC))
NOW = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@pytest.fixture
def double() -> Iterator[FakeGitHub]:
    with FakeGitHub() as server:
        yield server


def body(mark: Mark, text: str = "down") -> str:
    return f"{text}\n{mark.text()}"


async def stick(
    double: FakeGitHub, text: str, who: Who, *, token: str = "t-bot", mark: Mark = MARK, edits: bool = True
) -> Done:
    async with connect(double.url, "octo/shop", Secret(token)) as github:
        return await ensure(github, 1278, mark, lambda found: body(found, text), who, edits=edits)


async def test_it_is_made_once_then_edited_and_not_touched_where_it_is_the_same(double: FakeGitHub) -> None:
    who = Who()
    first = await stick(double, "one", who)
    assert first.created
    assert who.ours == {"ci-bot[bot]"}
    await stick(double, "two", who)
    writes = len(double.writes)
    again = await stick(double, "two", who)
    assert len(double.writes) == writes
    assert (again.created, [one["body"] for one in double.on()]) == (False, [body(MARK, "two")])


async def test_news_is_never_edited(double: FakeGitHub) -> None:
    who, news = Who(), replace(MARK, kind=Kind.OPENED)
    for text in ("one", "two"):
        await stick(double, text, who, mark=news, edits=False)
    assert [one["body"] for one in double.on()] == [body(news, "one")]


async def test_a_strangers_comment_with_our_mark_is_not_ours(double: FakeGitHub) -> None:
    double.add_comment(1278, "mallory", body(MARK, "all is well"), NOW)
    await stick(double, "down", Who())
    assert [one["user"]["login"] for one in double.on()] == ["mallory", "ci-bot[bot]"]


async def test_a_lost_answer_makes_no_second_comment(double: FakeGitHub) -> None:
    who = Who(authors=["CI-bot[bot]"])
    double.fail("POST", "/comments", "lost")
    with pytest.raises(PutOffError):
        await stick(double, "down", who)
    assert len(double.on()) == 1
    await stick(double, "down", who)
    assert len(double.on()) == 1


async def test_of_two_comments_the_lowest_stays_and_only_our_own_other_goes(double: FakeGitHub) -> None:
    double.add_comment(1278, "other-bot", body(MARK), NOW)
    double.add_comment(1278, "ci-bot[bot]", body(MARK), NOW)
    double.add_comment(1278, "other-bot", body(MARK), NOW)
    who = Who(ours={"ci-bot[bot]"}, authors=["other-bot"])
    done = await stick(double, "new", who)
    assert [one["user"]["login"] for one in double.on()] == ["other-bot", "other-bot"]
    assert done.warnings == (
        "the comment of other-bot could not be edited: GitHub answered 403 "
        "(Must have admin rights to Repository.): the token may not do this, or the issue is locked",
    )


async def test_five_hosts_with_two_identities_come_to_one_comment_within_one_more_round(double: FakeGitHub) -> None:
    """Each host has a history of its own, and so another name for the outage and no login that it knows."""
    double.tokens["t-two"] = ("two-bot", True)
    double.others_may_edit = True
    hosts = [
        (
            Who(authors=["ci-bot[bot]", "two-bot"]),
            "t-two" if number % 2 else "t-bot",
            replace(MARK, incident=f"i-{number}"),
        )
        for number in range(5)
    ]

    async def round_() -> None:
        await asyncio.gather(*(stick(double, "down", who, token=token, mark=mark) for who, token, mark in hosts))

    # GitHub keeps times of its own; the double's are fixed, so let what is made be recent.
    before = double.add_comment
    double.add_comment = lambda issue, login, text, updated_at=NOW: before(issue, login, text, updated_at)  # type: ignore[method-assign]
    await round_()
    await round_()
    (left,) = double.on()
    told = mark_in(left["body"])
    assert told is not None
    assert told.incident.startswith("i-")


async def test_a_comment_that_another_host_deleted_first_is_as_it_should_be(double: FakeGitHub) -> None:
    for _ in range(2):
        double.add_comment(1278, "ci-bot[bot]", body(MARK), NOW)
    double.fail("DELETE", "/comments/", 404)
    await stick(double, "down", Who(ours={"ci-bot[bot]"}))


async def test_comments_beyond_the_first_page_are_found(double: FakeGitHub) -> None:
    for _ in range(230):
        double.add_comment(1278, "ana", "me too")
    who = Who(ours={"ci-bot[bot]"})
    await stick(double, "one", who)
    await stick(double, "two", who)
    assert len(double.on()) == 231


async def test_an_issue_is_found_by_mark_and_label_else_made_and_found_again_without_its_label(
    double: FakeGitHub,
) -> None:
    who = Who()

    async def find(token: str = "t-bot") -> tuple[int, tuple[str, ...]]:
        async with connect(double.url, "octo/shop", Secret(token)) as github:
            issue, warnings = await find_or_create_issue(
                github, MARK, title="outage", body="down", label="infrastructure", who=who
            )
        return issue.number, warnings

    double.add_issue(1300, "mallory", MARK.text().replace("sticky", "issue"), ("infrastructure",))
    number, warnings = await find()
    assert (number, warnings) == (1301, ())
    assert double.issues[1301]["labels"] == [{"name": "infrastructure"}]
    double.issues[1301]["labels"] = []
    assert await find() == (1301, ())
    double.issues[1301]["state"] = "closed"
    double.tokens["t-bot"] = ("ci-bot[bot]", False)
    number, warnings = await find()
    assert number == 1302
    assert "dropped" in warnings[0]
    double.add_issue(1303, "ci-bot[bot]", double.issues[1302]["body"])
    assert (await find())[0] == 1302
    assert double.issues[1303]["state"] == "closed"


async def test_a_label_is_read_back(double: FakeGitHub) -> None:
    async with connect(double.url, "octo/shop", Secret("t-bot")) as github:
        assert await ensure_label(github, await github.issue(1278), "infrastructure") == ()
        assert await ensure_label(github, await github.issue(1278), "infrastructure") == ()
        double.tokens["t-bot"] = ("ci-bot[bot]", False)
        assert "dropped" in (await ensure_label(github, await github.issue(1278), "urgent"))[0]
        double.fail("POST", "/labels", 403)
        assert "could not be set" in (await ensure_label(github, await github.issue(1278), "urgent"))[0]
