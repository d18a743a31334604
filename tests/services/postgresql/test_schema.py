"""The described schema finds its tables as PostgreSQL names them."""

from __future__ import annotations

from resilience.services.postgresql.schema import Column, ForeignKey, Schema, Table, quoted


def table(schema: str, name: str) -> Table:
    return Table(
        schema=schema, name=name, oid=1, columns=(Column(name="id", type="int", family="number"),), leaves={1: name}
    )


SCHEMA = Schema(
    tables={
        f"{schema}.{name}": table(schema, name)
        for schema, name in (("public", "users"), ("shop", "users"), ("shop", "Odd"), ("b", "x"), ("c", "x"))
    },
    keys=(ForeignKey(name="k", child="shop.Odd", columns=("a",), parent="public.users", parent_columns=("id",)),),
)


def test_a_table_is_found_by_both_names_else_in_public_else_where_it_is_the_only_one() -> None:
    found = SCHEMA.find("shop", "users")
    assert found is not None
    assert found.full == "shop.users"
    assert (one := SCHEMA.find("", "users")) is not None
    assert one.schema == "public"
    assert (one := SCHEMA.find("", "Odd")) is not None
    assert one.quoted == '"shop"."Odd"'
    assert SCHEMA.find("", "x") is None
    assert SCHEMA.find("", "odd") is None


def test_a_column_and_the_keys_of_a_table_are_found() -> None:
    users = SCHEMA.tables["public.users"]
    assert users.column("id") is not None
    assert users.column("ID") is None
    assert [key.shown for key in SCHEMA.keys_of("shop.Odd")] == ["k (shop.Odd → public.users)"]
    assert SCHEMA.keys_of("public.users") == ()


def test_an_identifier_is_quoted_whatever_it_holds() -> None:
    assert quoted('a"; drop table users; --') == '"a""; drop table users; --"'
