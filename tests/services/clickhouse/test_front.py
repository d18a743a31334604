"""What comes in the URL and in the body is told apart as the server does it."""

from __future__ import annotations

import pytest

from resilience.services.clickhouse.front import Query, read_query


@pytest.mark.parametrize(
    ("text", "body", "expected"),
    [
        ("", b"select 1", Query(sql="select 1")),
        ("select 1 format JSON", b"", Query(sql="select 1 format JSON")),
        ("select", b"2", Query(sql="select\n2")),
        ("insert into t format CSV", b"1,2\n", Query(sql="insert into t format CSV", data=b"1,2\n")),
        (
            "",
            b"INSERT INTO t (a, b) FORMAT Native\n\x02\x01",
            Query(sql="INSERT INTO t (a, b) FORMAT Native\n", data=b"\x02\x01"),
        ),
        ("", b"insert into t values (1)", Query(sql="insert into t values (1)")),
        ("insert into t values", b"(1)", Query(sql="insert into t values\n(1)")),
        ("", b"insert into t format Values (1)", Query(sql="insert into t format Values (1)")),
        ("", b"insert into t select * from s", Query(sql="insert into t select * from s")),
    ],
)
def test_statement_and_data_are_told_apart(text: str, body: bytes, expected: Query) -> None:
    assert read_query(text, body, "TabSeparated") == expected
