"""Rows that rules ask for become all rows that foreign keys need, in any shape of schema, each key looked up once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings, strategies as st

from resilience.services.postgresql.closure import Found, Key, TooManyError, close, linked
from resilience.services.postgresql.schema import Column, ForeignKey, Schema, Table

Rows = dict[str, list[dict[str, str | None]]]


def schema(keys: Sequence[tuple[str, tuple[str, ...], str, tuple[str, ...]]]) -> Schema:
    columns: dict[str, dict[str, None]] = {}
    for child, own, parent, theirs in keys:
        columns.setdefault(child, {}).update(dict.fromkeys(own))
        columns.setdefault(parent, {}).update(dict.fromkeys(theirs))
    tables = {
        name: Table(
            schema="", name=name, oid=at, leaves={at: name},
            columns=tuple(Column(name=column, type="text", family="text") for column in names),
        )
        for at, (name, names) in enumerate(columns.items())
    }  # fmt: skip
    return Schema(
        tables=tables,
        keys=tuple(ForeignKey(name="k", child=c, columns=o, parent=p, parent_columns=t) for c, o, p, t in keys),
    )


class Memory:
    """Tables in memory that answer as a server does, and note what they were asked."""

    def __init__(self, described: Schema, rows: Rows) -> None:
        self.schema, self.rows = described, rows
        self.asked: list[tuple[str, Key]] = []

    def found(self, table: str, at: int) -> Found:
        values = tuple(self.rows[table][at].get(column) for column in linked(self.schema, table))
        return Found(place=(self.schema.tables[table].oid, str(at)), values=values)

    async def look_up(self, table: Table, columns: Sequence[str], keys: Sequence[Key]) -> Iterable[Found]:
        self.asked += [(table.name, key) for key in keys]
        rows = self.rows[table.name]
        return [
            self.found(table.name, at)
            for at, row in enumerate(rows)
            if tuple(row.get(column) for column in columns) in set(keys)
        ]

    async def close(self, table: str, *places: int, at_most: int = 1000) -> dict[str, set[str]]:
        starts = {table: [self.found(table, at) for at in places]}
        taking = await close(self.schema, starts, self.look_up, why={table: "rule"}, at_most=at_most)
        return {name: {place[1] for place in rows} for name, rows in taking.rows.items() if rows}


async def test_parents_come_along_and_children_do_not() -> None:
    described = schema([("orders", ("user",), "users", ("id",)), ("users", ("team",), "teams", ("id",))])
    rows: Rows = {
        "teams": [{"id": "1"}, {"id": "2"}],
        "users": [{"id": "a", "team": "2"}, {"id": "b", "team": None}],
        "orders": [{"user": "a"}, {"user": "b"}],
    }
    assert await Memory(described, rows).close("orders", 0) == {"orders": {"0"}, "users": {"0"}, "teams": {"1"}}
    assert await Memory(described, rows).close("users", 1) == {"users": {"1"}}


async def test_a_cycle_and_a_table_that_names_itself_end() -> None:
    described = schema([("a", ("b",), "b", ("id",)), ("b", ("a",), "a", ("id",)), ("a", ("up",), "a", ("id",))])
    rows: Rows = {
        "a": [{"id": "0", "b": "0", "up": "1"}, {"id": "1", "b": "1", "up": "2"}, {"id": "2", "b": "0", "up": "2"}],
        "b": [{"id": "0", "a": "0"}, {"id": "1", "a": "2"}, {"id": "2", "a": "0"}],
    }
    memory = Memory(described, rows)
    assert await memory.close("a", 0) == {"a": {"0", "1", "2"}, "b": {"0", "1"}}
    assert len(memory.asked) == len(set(memory.asked))


async def test_a_key_of_two_columns_names_a_row_only_with_both() -> None:
    described = schema([("lines", ("no", "shop"), "orders", ("no", "shop"))])
    rows: Rows = {
        "orders": [{"no": "1", "shop": "x"}, {"no": "1", "shop": "y"}],
        "lines": [{"no": "1", "shop": "y"}, {"no": "1", "shop": None}],
    }
    assert await Memory(described, rows).close("lines", 0) == {"lines": {"0"}, "orders": {"1"}}
    assert await Memory(described, rows).close("lines", 1) == {"lines": {"1"}}


async def test_more_rows_than_allowed_end_it_at_the_table_where_that_was_seen() -> None:
    described = schema([("orders", ("user",), "users", ("id",))])
    rows: Rows = {"users": [{"id": str(at)} for at in range(9)], "orders": [{"user": str(at)} for at in range(9)]}
    assert await Memory(described, rows).close("orders", *range(9), at_most=18)
    with pytest.raises(TooManyError) as caught:
        await Memory(described, rows).close("orders", *range(9), at_most=17)
    assert caught.value.table == "users"


NAMES = ("a", "b", "c")
LINKS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=5)


@settings(max_examples=60)
@given(LINKS, st.data())
async def test_whatever_the_schema_every_key_of_what_is_taken_finds_its_row(
    links: list[tuple[str, str]], data: st.DataObject
) -> None:
    keys = [(child, (f"k{at}",), parent, ("id",)) for at, (child, parent) in enumerate(links)]
    described = schema([*keys, *((name, ("id",), name, ("id",)) for name in NAMES)])
    places = st.none() | st.integers(0, 4).map(str)
    rows: Rows = {
        name: [
            {"id": str(at), **{f"k{n}": data.draw(places) for n, (child, _) in enumerate(links) if child == name}}
            for at in range(5)
        ]
        for name in NAMES
    }
    taken = await Memory(described, rows).close("a", *data.draw(st.sets(st.integers(0, 4))))
    for child, (column,), parent, _ in keys:
        for at in taken.get(child, set()):
            named = rows[child][int(at)][column]
            assert named is None or named in taken.get(parent, set())
