"""Texts of `seed` and `mask` become rules, or a sentence that says what to write instead."""

from __future__ import annotations

import pytest

from resilience.services.postgresql.seed_rules import KeyRule, MaskRule, RowRule, check, read_rules

DOLLARS = "note = $q$it's; -- (fine$q$"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("users where id < 200", RowRule(text="", schema="", table="users", where="id < 200")),
        ("  Users  ", RowRule(text="", schema="", table="users")),
        ("users limit 5", RowRule(text="", schema="", table="users", limit=5)),
        ("a.users where x->>'b' = 'c' limit 3", RowRule(text="", schema="a", table="users", where="x->>'b' = 'c'", limit=3)),
        ('"Odd ""N" where a = \'x;--)\'', RowRule(text="", schema="", table='Odd "N', where="a = 'x;--)'")),
        (f"users where {DOLLARS}", RowRule(text="", schema="", table="users", where=DOLLARS)),
        ("größe where\n id in (1,\n 2)", RowRule(text="", schema="", table="größe", where="id in (1,\n 2)")),
    ],
)  # fmt: skip
def test_a_rule_names_a_table_a_condition_and_a_limit(text: str, rule: RowRule) -> None:
    (found,) = read_rules([text], {}).rows
    assert (found.schema, found.table, found.where, found.limit) == (rule.schema, rule.table, rule.where, rule.limit)
    assert found.text == text


def test_a_key_that_nobody_declared_is_an_arrow() -> None:
    told = read_rules(
        ["orders.user_ref -> users.id", 's.lines(a, "B") -> orders(c,d)', "virtual fk: a.b -> c.d"], {}
    ).keys
    assert told[0] == KeyRule(
        text="orders.user_ref -> users.id",
        child=("", "orders"),
        columns=("user_ref",),
        parent=("", "users"),
        parent_columns=("id",),
    )
    assert (told[1].child, told[1].columns, told[1].parent_columns) == (("s", "lines"), ("a", "B"), ("c", "d"))
    assert told[2].child == ("", "a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot be read; write"),
        ("200", "cannot be read"),
        ("users where ", "nothing behind where"),
        ("users limit 0", "at least 1"),
        ("users where id = 1; drop table users", "; is not allowed"),
        ("users where id = 1 -- all", "-- is not allowed"),
        ("users where id = 1 /* all", "/* is not allowed"),
        ("users where 1 = 1) or (2 = 2", "brackets do not match"),
        ("users where (id = 1", "brackets do not match"),
        ("users where name = 'x", "a quote is not closed"),
        ("users order by id", "cannot be read"),
        ("a -> b.c", "cannot be read; write"),
        ("a(b, c) -> d(e)", "2 columns on one side and 1 on the other"),
        ("a(b, 1) -> d(e, f)", "cannot be read; write"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_by_name_with_what_to_write(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("/*", r"/\*")) as caught:
        check([text], {})
    assert f'"{text}"' in str(caught.value)


def test_a_mask_names_a_column_a_whole_table_or_a_field_inside_json() -> None:
    masks = {
        "users.Email": "email",
        'a."B".c': "keep",
        "t.*": "keep",
        "s.t.*": "null",
        "u.profile->home address": "address",
    }
    assert [(m.schema, m.table, m.column, m.field, m.kind) for m in read_rules([], masks).masks] == [
        ("", "users", "email", "", "email"),
        ("a", "B", "c", "", "keep"),
        ("", "t", "*", "", "keep"),
        ("s", "t", "*", "", "null"),
        ("", "u", "profile", "home address", "address"),
    ]
    assert isinstance(read_rules([], masks).masks[0], MaskRule)


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("users.email", "emial", 'did you mean "email"'),
        ("users.email", "xyzzy", "it is one of keep, null, email"),
        ("users", "keep", "names no column"),
        ("a.b.c.d", "keep", "names no column"),
        ("", "keep", "names no column"),
    ],
)
def test_a_mask_that_cannot_be_is_refused(name: str, kind: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check([], {name: kind})
