"""What each test connects to is remembered, and nothing breaks where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resilience.core.records import Outcome
from resilience.services.registry import KINDS
from resilience.suite import uses
from resilience.suite.board import Standing
from resilience.suite.endpoints import Endpoint
from resilience.suite.events import Test
from resilience.suite.evidence import Judged

REDIS = Endpoint(service="redis", kind=KINDS["redis"], host="127.0.0.1", port=6379)
PAIR = ("127.0.0.1", 6379)


def standing(name: str, outcome: Outcome, *pairs: tuple[str, int | None]) -> Standing:
    return Standing(Test(name, spoke=pairs), Judged(outcome=outcome), rounds=1)


def test_what_passed_replaces_what_was_known_and_what_failed_leaves_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "uses.json"
    before = {"a": ("redis",), "b": ("redis",), "c": ("redis",)}
    found = [
        standing("a", Outcome.PASSED),
        standing("b", Outcome.INFRASTRUCTURE_UNAVAILABLE),
        standing("d", Outcome.PASSED, PAIR, ("127.0.0.1", 1)),
    ]
    uses.save(path, before, found, [REDIS])
    assert uses.load(path) == {"b": ("redis",), "c": ("redis",), "d": ("redis",)}


def test_what_is_remembered_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / ".resilience" / "state" / "uses.json"
    before = os.umask(0)
    try:
        uses.save(path, {}, [standing("a", Outcome.PASSED, PAIR)], [REDIS])
    finally:
        os.umask(before)
    assert [one.stat().st_mode & 0o777 for one in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o755]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tests": 3}', '{"tests": {"a": 3}}'])
def test_what_cannot_be_read_is_as_if_nothing_were_remembered(text: str, tmp_path: Path) -> None:
    (tmp_path / "uses.json").write_text(text)
    assert uses.load(tmp_path / "uses.json") == {}
    assert uses.load(None) == uses.load(tmp_path / "none.json") == {}
