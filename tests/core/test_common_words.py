"""A password that is everybody's word costs no report and no line of it; a word of nobody's list is hidden."""

from __future__ import annotations

import pytest

from resilience.core import common_words
from resilience.core.codec import FIELDS
from resilience.core.common_words import CHOSEN, DEFAULTS, INSTEAD, too_common, words_of_records
from resilience.core.redact import Redactor
from resilience.report import render
from tests.kits import incident_factory

LISTED = (*DEFAULTS.split(), *INSTEAD.split(), *CHOSEN.split())
SEEN_AS_PASSWORDS = (
    "password passwd secret token admin root user username guest anonymous default example changeme localhost "
    "postgres postgresql redis valkey clickhouse mysql sqlite backend staging production development testing test "
    "true false none null undefined unknown enabled disabled always never auto strict plain prefer required "
    "basic bearer cookie session https text json keys value string number file memory primary public private "
    "access server service system worker docker linux golden black white dark light strong success title "
    "summary page last left right center middle bottom whatever zero three family green sample mock "
    "hunter dragon monkey letmein sunshine shadow welcome princess football baseball superman freedom qwerty "
    "summer winter orange yellow flower george thomas michael jordan pepper ginger cheese banana diamond "
)
"""Words from the published lists of most used passwords, what images come with, and what such variables hold instead."""
LINES = (
    "INFO: Service database: available (0.123s)",
    "tests/integration/test_session.py::test_default_value[user-guest-true] PASSED [ 50%]",
    "E   AssertionError: assert None is True, expected the primary server's text at localhost",
    "FATAL: password authentication failed for user; the system is starting up in strict mode, always",
    "worker 3 in docker on linux with postgres, redis, mysql, sqlite and valkey; backend in production: postgresql, clickhouse",
    "a public page with a summary, a title and an example: the last value is a number, never undefined or null",
    "white, black and green at the bottom left, dark or light: access to private files, a golden path, zero failures",
    "disabled, enabled, required, optional: plain strings in memory, https by basic or bearer token, a secret cookie",
    "the admin, the administrator, root or anonymous: changeme is a passphrase, passwd a file, testing a sample or a mock",
    "the family, the development database, the frontend, three in the middle, right in the center, strong, whatever; "
    "prefer keys in json; integration with legacy username; success of auto",
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Every file of a whole report, charts included, by its name."""
    story = incident_factory.drill()
    folder = tmp_path_factory.mktemp("outputs") / "2026-11-22" / "031407Z-drill"
    folder.mkdir(parents=True)
    render(story.incident, story.samples, folder, redactor=None)
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("word", dict.fromkeys((*SEEN_AS_PASSWORDS.split(), *LISTED)))
def test_a_password_that_is_a_common_word_costs_no_file_of_a_report(word: str, written: dict[str, bytes]) -> None:
    refused = [name for name, data in written.items() if Redactor([word]).leaks(data) is not None]
    assert not refused


@pytest.mark.parametrize("word", LISTED)
def test_each_word_of_the_list_is_needed_for_a_line_or_a_file(
    word: str, written: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common_words, "_WORDS", frozenset(words_of_records()))
    monkeypatch.setattr(common_words, "_COMMON", " ".join(words_of_records()))
    redactor = Redactor([word])
    ordinary = "\n".join(LINES)
    needed = redactor.text(ordinary) != ordinary or any(redactor.leaks(data) is not None for data in written.values())
    assert needed, f"{word!r} is left alone without being listed (as a part of a record's word?): take it off the list"


@pytest.mark.parametrize("word", LISTED)
def test_ordinary_lines_stay_as_they_are_whichever_common_word_is_the_password(word: str) -> None:
    assert [Redactor([word]).text(line) for line in LINES] == list(LINES)


@pytest.mark.parametrize("word", LISTED)
def test_a_common_word_is_hidden_where_structure_shows_that_it_is_the_password(word: str) -> None:
    hidden = Redactor([word]).text(f"postgresql://app:{word}@db:5432/app and redis://:{word}@cache:6379")
    assert hidden == "postgresql://***@db:5432/app and redis://***@cache:6379"


def test_the_list_says_nothing_twice_and_nothing_that_our_records_say() -> None:
    assert len(set(LISTED)) == len(LISTED)
    assert set(LISTED) & set(words_of_records()) == set()
    assert set(words_of_records()) >= {name for name in FIELDS if len(name) >= 4}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_our_own_field_names_are_never_hidden(field: str) -> None:
    assert too_common(field)


@pytest.mark.parametrize(
    "word", ["hunter", "dragon", "sunshine", "letmein", "Tr0ub4dor", "correcthorse", "unavailabl3"]
)
def test_any_other_word_is_hidden_wherever_it_stands(word: str) -> None:
    assert not too_common(word)
    assert Redactor([word]).text(f"it said {word}, twice: {word}") == "it said ***, twice: ***"


@pytest.mark.parametrize("value", ["", "abc", "***", "....", "12345", "able", "ABLE", "timeout"])
def test_what_is_too_short_or_a_short_part_of_a_word_of_ours_is_too_common(value: str) -> None:
    assert too_common(value)


@pytest.mark.parametrize("value", ["123456", "availabl", "Zq9z"])
def test_a_longer_part_of_a_word_may_be_somebodys_password(value: str) -> None:
    assert not too_common(value)
