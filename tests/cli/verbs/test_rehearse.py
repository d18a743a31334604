"""A rehearsal contacts no staging and says how many tests end as they did there, with each that does not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kits.taught_kit import SUITE, Staging, project, served
from tests.kits.typing_in import Type

RANDOM = """
import uuid
def test_random():
    name = "x-" + uuid.uuid4().hex
    assert ask("/items", {"name": name})[1]["name"] == name

@pytest.mark.cache
def test_cache(): pass
"""
MORE = """
[[service]]
name = "cache"
type = "redis"
url = "${CACHE_URL}"
markers = ["cache"]
"""


@pytest.fixture
def staging() -> Iterator[Staging]:
    with served() as made:
        yield made


@pytest.fixture
def team(home: Path, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project(home.parent / "team", staging, suite=SUITE + RANDOM, more=MORE)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = cache\nasyncio_default_fixture_loop_scope = function\n")
    monkeypatch.setenv("BACKEND_URL", staging.origin)
    monkeypatch.chdir(folder)
    return folder


def test_what_a_first_lesson_cannot_answer_is_named_and_the_second_one_can(
    type_in: Type, team: Path, staging: Staging
) -> None:
    type_in("rehearse").complains("nothing to rehearse", "resilience test --teach")
    found = []
    for _ in range(2):
        assert type_in("test", "--teach").code == 0
        asked = len(staging.asked)
        said = type_in("rehearse", "--json")
        assert said.code == 0, said.err
        assert staging.asked[asked:] == [], "staging is never contacted"
        found.append(said.json["services"]["backend_api"])
    assert [(one["same"], one["ran"], one["gaps"], one["percent"]) for one in found] == [(6, 7, 1, 85), (7, 7, 0, 100)]
    assert [one["test"] for one in found[0]["differing"]] == ["tests/test_shop.py::test_random"]
    assert "had no answer to POST /items" in found[0]["differing"][0]["why"]
    (taught, before) = type_in("taught", "--json").json["taught"]
    assert (taught["fidelity"]["same"], before["fidelity"]["same"]) == (7, 6)
    assert "No stand-in runs" in type_in("services", "status").out
    assert "fidelity 100 %" in type_in("status").out
    assert "fidelity 100 %" in type_in("assess").out


def test_a_test_that_ends_otherwise_is_told_apart_from_a_gap(type_in: Type, team: Path, staging: Staging) -> None:
    assert type_in("test", "--teach").code == 0
    (team / "tests" / "test_shop.py").write_text(SUITE.replace('["user"] == "alice"', '["user"] == "bob"'))
    said = type_in("rehearse", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert said.code == 0
    assert "fidelity 83 %: 5 of 6 tests end as on staging, 0 gaps, 1 differ" in said.out, said.out
    assert "test_me: passed on staging, " in said.out
    assert "1 tests of the lesson were held back or not selected here" in said.out
