"""The catalog of a real server becomes the described schema."""

from __future__ import annotations

import asyncpg

from resilience.services.postgresql.catalog import read_schema


async def test_the_catalog_is_read_with_partitions_domains_enums_and_what_is_generated(
    staging: asyncpg.Connection,
) -> None:
    schema = await read_schema(staging)
    users, orders = schema.tables["public.users"], schema.tables["public.orders"]
    column = {one.name: one for one in users.columns}
    assert "initials" not in column
    assert (column["email"].domain, column["email"].family, column["email"].nullable) == (
        "public.email_address",
        "text",
        False,
    )
    assert "VALUE" in schema.domains["public.email_address"]
    assert column["state"].labels == ("new", "paid", "sent")
    assert (column["state"].default, column["created"].default, column["nick"].folded) == ("new", None, True)
    assert (column["phone"].length, column["age"].top, column["tags"].array) == (20, 32767, True)
    assert {one: column[one].family for one in ("ip", "profile", "avatar", "born", "home", "search", "salary", "mac")} == {
        "ip": "ip", "profile": "json", "avatar": "bytes", "born": "date", "home": "place", "search": "words", "salary": "number",
        "mac": "mac",
    }  # fmt: skip
    assert users.primary == ("id",)
    assert {("id",), ("email",), ("nick",), ("code",), ("full_name",)} <= set(users.uniques)
    assert {check.columns for check in users.checks} == {("phone",), ("born",), ("age",), ("level",), ("code",)}
    assert orders.partitioned
    assert orders.routed == ("placed",)
    assert sorted(orders.leaves.values()) == ["public.orders_2025", "public.orders_2026"]
    assert "public.orders_2025" not in schema.tables
    keys = {(key.child, key.columns, key.parent) for key in schema.keys}
    assert ("public.lines", ("order_id", "placed"), "public.orders") in keys
    assert ("public.users", ("invited_by",), "public.users") in keys
    assert len(schema.keys) == 6
    last = {one.column: one.last for one in schema.sequences if one.table == "public.users"}
    assert last == {"id": 40}
    assert users.rows == 40


async def test_odd_names_domains_over_domains_and_defaults_of_a_shared_sequence(empty: asyncpg.Connection) -> None:
    await empty.execute(
        """
        create schema "Odd ""S";
        create domain low as text check (value = lower(value));
        create domain lower_code as low not null check (length(value) < 9);
        create sequence numbers;
        create table "Odd ""S"."T.1" ("A b" lower_code, no bigint default nextval('numbers'), codes low[], q char(3) default 'x''y',
          primary key ("A b", no));
        create table plain (no bigint default nextval('numbers'), ok boolean default true, n numeric(4,1) default -1.5);
        """
    )
    schema = await read_schema(empty)
    table = schema.tables['Odd "S.T.1']
    assert table.quoted == '"Odd ""S"."T.1"'
    code, number, codes, letter = table.columns
    assert (code.domain, code.family, code.nullable) == ("public.lower_code", "text", False)
    assert "lower" in schema.domains["public.lower_code"]
    assert "length" in schema.domains["public.lower_code"]
    assert (codes.array, codes.family) == (True, "text")
    assert (letter.length, letter.default) == (3, "x'y")
    assert number.default is None
    assert [one.default for one in schema.tables["public.plain"].columns] == [None, "true", "-1.5"]
    assert {(one.name, one.table, one.last) for one in schema.sequences} >= {("public.numbers", 'Odd "S.T.1', None)}


async def test_tables_of_extensions_and_of_the_system_are_none_of_ours(empty: asyncpg.Connection) -> None:
    await empty.execute("create table mine (x int); create table theirs (x int)")
    await empty.execute("create extension if not exists citext; alter extension citext add table theirs")
    await empty.execute("create temp table passing (x int); create view seen as select 1 as one")
    assert list((await read_schema(empty)).tables) == ["public.mine"]
