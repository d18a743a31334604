"""How far a test has come decides which recording is said; see test_serve.py for the same over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from resilience.teach.exchange import Answer, Asked, Exchange
from resilience.teach.replay import Bound, Hit, Miss, Recorded, Replay, Whose, differing, said

JSON = (("Content-Type", "application/json"),)


def recorded(
    number: int, method: str, path: str, body: str = "{}", *, at: float | None = None, **more: Any
) -> Recorded:
    began = at if at is not None else float(number)
    answer = Answer(status=more.pop("status", 200), headers=JSON, body=body.encode())
    return Recorded(
        number=number,
        exchange=Exchange(
            asked=Asked(method=method, path=path), answer=answer, began=began, ended=more.pop("until", began + 0.5),
            owner=more.pop("owner", "test t"),
        ),
        **more,
    )  # fmt: skip


def asked(replay: Replay, *requests: str, owner: str = "test t", attempt: int = 1) -> list[int]:
    """Return the numbers of what was said to these requests, 0 for a miss."""
    found = []
    for request in requests:
        method, path = request.split()
        one = replay.answer(Asked(method=method, path=path), Whose(owner=owner, attempt=attempt))
        found.append(one.number if isinstance(one, Hit) else 0)
    return found


def test_reads_and_changes_that_overlapped_when_recorded_may_come_in_either_order() -> None:
    replay = Replay([recorded(1, "POST", "/a", at=1, until=4), recorded(2, "GET", "/a", '{"n": 1}', at=2, until=3)])
    assert asked(replay, "GET /a", "POST /a") == [2, 1]
    assert asked(replay, "POST /a", "GET /a", attempt=2) == [1, 2]


def test_a_refused_change_has_changed_nothing() -> None:
    replay = Replay([recorded(1, "POST", "/a", status=422), recorded(2, "GET", "/a", '{"n": 1}')])
    assert asked(replay, "GET /a", "POST /a", "POST /a") == [2, 1, 1]


def test_changes_to_other_things_may_come_in_any_order() -> None:
    replay = Replay([recorded(1, "POST", "/a"), recorded(2, "POST", "/b"), recorded(3, "GET", "/c")])
    assert asked(replay, "GET /c", "POST /b", "POST /a") == [3, 2, 1]


def test_after_a_miss_of_a_change_what_depends_on_it_is_missed_too() -> None:
    replay = Replay([recorded(1, "POST", "/a"), recorded(2, "GET", "/a", '{"n": 1}')])
    assert asked(replay, "POST /a/x", "GET /a") == [0, 0]


def test_another_test_is_told_only_what_all_recordings_agree_on() -> None:
    replay = Replay(
        [recorded(1, "GET", "/a", owner="test one"), recorded(2, "GET", "/a", owner="test two"),
         recorded(3, "GET", "/b", '{"n": 1}', owner="test one"), recorded(4, "GET", "/b", '{"n": 2}', owner="test two")]
    )  # fmt: skip
    assert asked(replay, "GET /a", "GET /b", owner="test new") == [1, 0]
    assert asked(replay, "GET /b", owner="test two") == [4]
    assert asked(replay, "GET /a", "GET /b", owner="") == [1, 0]


def test_what_two_lessons_found_to_be_of_the_moment_is_no_disagreement() -> None:
    now = (("body", "now"),)
    replay = Replay(
        [recorded(1, "GET", "/t", '{"now": 1, "z": 0}', owner="test one", volatile=now),
         recorded(2, "GET", "/t", '{"now": 2, "z": 0}', owner="test two", volatile=now)]
    )  # fmt: skip
    assert asked(replay, "GET /t", owner="test new") == [1]


def test_a_miss_names_the_nearest() -> None:
    replay = Replay([recorded(1, "GET", "/items/7"), recorded(2, "POST", "/orders")])
    found = replay.answer(Asked(method="GET", path="/items/8"), Whose(owner="test t", attempt=1))
    assert isinstance(found, Miss)
    assert (found.nearest, found.differs) == ("GET /items/7", "path /items/7 was recorded")
    assert isinstance(Replay([]).answer(Asked(method="GET", path="/")), Miss)


def test_two_answers_are_the_same_by_status_headers_and_every_scalar_of_their_bodies() -> None:
    one = Answer(status=200, headers=(*JSON, ("Date", "now"), ("X", "1")), body=b'{"a": 1, "b": []}')
    same = Answer(status=200, headers=(("x", "1"), *JSON), body=b'{"b":[],"a":1}')
    assert differing(said(one), said(same)) == ""
    for other in (
        Answer(status=201, headers=one.headers, body=one.body),
        Answer(status=200, headers=JSON, body=one.body),
        Answer(status=200, headers=one.headers, body=b'{"a": 1.0, "b": [null]}'),
        Answer(status=200, headers=one.headers, body=b"[]"),
        Answer(status=200, headers=one.headers, body=b'{"a": true, "b": []}'),
        Answer(status=200, headers=one.headers, body=b'{"a": 1.0, "b": []}'),
    ):
        assert differing(said(one), said(other))


def test_true_is_not_one_where_another_field_is_made_up_anew() -> None:
    """They are equal to Python, and staging may refuse the one: a changed field would have got the recorded answer."""
    bound = (Bound(variable=1, asked=(("body", "json", "name"),), answered=(("body", "name"),), before="name-0000"),)
    made = recorded(1, "POST", "/a", '{"name": "name-0001"}', bound=bound)
    body = b'{"name": "name-0001", "active": true}'
    taught = replace(
        made, exchange=replace(made.exchange, asked=Asked(method="POST", path="/a", headers=JSON, body=body))
    )
    for active, found in (("true", Hit), ("1", Miss), ("1.0", Miss)):
        sent = f'{{"name": "name-0002", "active": {active}}}'.encode()
        answer = Replay([taught]).answer(
            Asked(method="POST", path="/a", headers=JSON, body=sent), Whose(owner="test t", attempt=1)
        )
        assert isinstance(answer, found), active
