"""COPY's text format becomes rows and rows become it again."""

from __future__ import annotations

from hypothesis import given, strategies as st

from resilience.services.postgresql.copytext import bytes_of, rows_of

VALUES = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.lists(VALUES, min_size=2, max_size=4)))
def test_rows_survive_the_way_out_and_back(rows: list[list[str | None]]) -> None:
    assert rows_of(bytes_of(rows)) == rows


def test_what_postgresql_writes_is_read_as_the_manual_says() -> None:
    assert rows_of(b"a\\tb\t\\N\t\\\\N\t\\x41\\101\\q\n\t\n") == [["a\tb", None, "\\N", "AAq"], ["", ""]]


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    assert bytes_of(rows_of(b"\xff\xfe\n")) == b"\xff\xfe\n"
