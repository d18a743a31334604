"""A test that fails on staging is run once more on what staging said when it passed: one line of evidence, never the outcome."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from resilience.runs.configuration import load_settings
from resilience.teach.store import Store
from tests.kits.taught_kit import SUITE, Staging, project, served
from tests.kits.typing_in import Said, Type

PAGES = (
    SUITE.partition("def test_flow")[0]
    + """
def test_total():
    assert ask("/items?page=7")[1]["total"] == 0

def test_page():
    assert ask("/items?page=8")[1]["page"] == 8

def test_teapot():
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask("/teapot")
    refused.value.close()
"""
)


@pytest.fixture
def staging() -> Iterator[Staging]:
    with served() as made:
        yield made


@pytest.fixture
def team(home: Path, staging: Staging, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = project(home.parent / "team", staging, suite=PAGES)
    monkeypatch.setenv("BACKEND_URL", staging.origin)
    monkeypatch.chdir(folder)
    return folder


def of(said: Said, name: str) -> dict[str, Any]:
    (found,) = (test for test in said.json["tests"] if test["id"].endswith(f"::{name}"))
    return dict(found)


def told(said: Said, name: str) -> str:
    return str(of(said, name)["evidence"][-1]["recordings"])


def test_a_change_of_staging_is_told_from_a_change_of_the_code(type_in: Type, team: Path, staging: Staging) -> None:
    assert type_in("test", "--teach").code == 0
    staging.retyped = True
    suite = PAGES.replace('ask("/teapot")', 'ask("/items")').replace('["page"] == 8', '["page"] == 9')
    (team / "tests" / "test_shop.py").write_text(suite)
    asked = len(staging.asked)
    said = type_in("test", "--json")
    assert said.code == 1
    names = ("test_total", "test_teapot", "test_page")
    assert [of(said, name)["outcome"] for name in names] == ["failed"] * 3, "never the outcome"
    changed, other, bug = (told(said, name) for name in names)
    assert changed.startswith("passes on the recordings of 20")
    assert "what staging answers has changed (which of them was not seen" in changed
    assert other.startswith("asks what it did not ask when the recordings of 20")
    assert "(GET /items)" in other
    assert bug.startswith("fails on both, on staging and on the recordings of 20")
    assert any("test_total passes on the recordings" in note for note in said.json["notes"])
    assert [path for path in staging.asked[asked:] if path != "/health"] == ["GET /items"] * 3, "staging is asked once"
    assert "recorded  it passes on the recordings" in type_in("why", "test_total").out


@pytest.mark.slow
def test_beside_a_recorder_the_first_difference_is_told_and_the_test_is_not_learned(
    type_in: Type, team: Path, staging: Staging
) -> None:
    assert type_in("test", "--teach").code == 0
    staging.retyped = True
    said = type_in("test", "--teach", "--json")
    assert '(first difference: GET /items?page=7: body.total was 0, is "0")' in told(said, "test_total")
    newest = Store(load_settings(None).state).generations("backend_api")[-1]
    assert newest.number == 2
    assert [name.rpartition("::")[2] for name in newest.manifest["tests"]] == ["test_page", "test_teapot"]
