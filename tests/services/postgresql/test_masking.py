"""A schema, rules and a look at values decide how columns are masked; what must stay equal, apart, or listed, stays so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings, strategies as st

from resilience.services.postgresql.fakes import Bounds, Fakes
from resilience.services.postgresql.masking import (
    Assigner,
    Group,
    Masking,
    RuleError,
    affixes_of,
    compared,
    decide,
    has_inside,
    inner,
    is_taken_whole,
)
from resilience.services.postgresql.schema import Check, Column, ForeignKey, Schema, Table
from resilience.services.postgresql.seed_rules import read_rules

FAKES = Fakes(b"a key of the tests, long enough")


def text(name: str, **more: object) -> Column:
    return Column(name=name, type="text", **{"family": "text", **more})  # type: ignore[arg-type]


def table(name: str, *columns: Column, uniques: Sequence[tuple[str, ...]] = (), checks: Sequence[Check] = ()) -> Table:
    return Table(
        schema="public",
        name=name,
        oid=hash(name),
        columns=columns,
        leaves={},
        uniques=tuple(uniques),
        checks=tuple(checks),
    )


def schema(*tables: Table, keys: Sequence[ForeignKey] = (), domains: Mapping[str, str] | None = None) -> Schema:
    return Schema(tables={one.full: one for one in tables}, keys=tuple(keys), domains=domains or {})


def key(child: str, column: str, parent: str, theirs: str) -> ForeignKey:
    return ForeignKey(
        name="k", child=f"public.{child}", columns=(column,), parent=f"public.{parent}", parent_columns=(theirs,)
    )


def kinds(
    described: Schema, mask: Mapping[str, str] | None = None, samples: Mapping[str, Sequence[str]] | None = None
) -> dict[str, str]:
    decided = decided_of(described, mask, samples)
    return {f"{name.partition('.')[2]}.{column}": how.kind for (name, column), how in decided.columns.items()}


def decided_of(
    described: Schema, mask: Mapping[str, str] | None = None, samples: Mapping[str, Sequence[str]] | None = None
) -> Masking:
    told = {
        ("public." + name.partition(".")[0], name.partition(".")[2]): values for name, values in (samples or {}).items()
    }
    return decide(described, described.tables, read_rules([], mask or {}).masks, told)


FAMILIES = ("text", "json", "words", "ip", "mac", "bytes", "xml", "hstore", "row", "enum", "vector", "other")


@pytest.mark.parametrize("family", FAMILIES)
def test_what_can_hold_anything_is_masked_without_a_rule(family: str) -> None:
    assert kinds(schema(table("t", text("x", family=family))))["t.x"] != "keep"


@pytest.mark.parametrize("family", ["number", "date", "place", "gis", "range", "uuid"])
def test_numbers_dates_and_places_are_masked_by_a_name_that_suggests_a_person(family: str) -> None:
    told = kinds(
        schema(
            table("t", text("x", family=family), text("birth", family=family), text("list", family=family, array=True))
        )
    )
    assert told["t.x"] == "keep"
    assert told["t.birth"] != "keep"
    assert told["t.list"] != "keep"
    assert kinds(schema(table("t", text("x", family="plain"))))["t.x"] == "keep"


def test_only_a_rule_keeps_and_one_of_a_column_goes_before_one_of_its_table() -> None:
    described = schema(
        table("t", text("a"), text("b"), text("status", labels=("x", "y"), family="enum")), table("u", text("a"))
    )
    assert kinds(described, {"t.*": "keep", "t.b": "email"}) == {
        "t.a": "keep",
        "t.b": "email",
        "t.status": "keep",
        "u.a": "text",
    }


def test_values_tell_the_kind_before_the_name_does_and_a_secret_is_one_whatever_it_looks_like() -> None:
    described = schema(table("t", text("contact"), text("city"), text("password")))
    mails = ["a@b.cd", "e@f.gh"]
    told = kinds(described, samples={"t.contact": mails, "t.city": ["Bern"], "t.password": mails})
    assert told == {"t.contact": "email", "t.city": "city", "t.password": "secret"}


def test_columns_of_a_foreign_key_and_of_a_domain_are_masked_as_one() -> None:
    described = schema(
        table("users", text("email"), text("code", domain="public.code")),
        table("orders", text("who"), text("ref", domain="public.code")),
        keys=[key("orders", "who", "users", "email")],
    )
    decided = decided_of(described)
    of = {(name[7:], column): how for (name, column), how in decided.columns.items()}
    assert of["users", "email"].group == of["orders", "who"].group
    assert of["users", "code"].group == of["orders", "ref"].group != of["users", "email"].group
    assert kinds(described)["orders.who"] == "email"
    assert kinds(described, {"orders.who": "code"})["users.email"] == "code"


def test_a_number_that_a_key_ties_to_one_of_a_person_is_masked_with_it() -> None:
    described = schema(
        table("users", text("ssn", family="number")),
        table("visits", text("who", family="number")),
        keys=[key("visits", "who", "users", "ssn")],
    )
    assert kinds(described) == {"users.ssn": "number", "visits.who": "number"}


def test_a_keep_of_one_end_of_a_foreign_key_is_refused_with_the_line_to_add() -> None:
    described = schema(
        table("users", text("email")), table("orders", text("who")), keys=[key("orders", "who", "users", "email")]
    )
    with pytest.raises(RuleError, match=r'add "public\.users\.email" = "keep"'):
        decided_of(described, {"orders.who": "keep"})
    assert set(kinds(described, {"orders.who": "keep", "users.email": "keep"}).values()) == {"keep"}
    with pytest.raises(RuleError, match="masked as email and name: choose one"):
        decided_of(described, {"orders.who": "email", "users.email": "name"})


@pytest.mark.parametrize(("name", "words"), [("gone.x", "no table gone"), ("t.gone", "no column gone")])
def test_a_rule_of_what_is_not_there_is_refused(name: str, words: str) -> None:
    with pytest.raises(RuleError, match=words):
        decided_of(schema(table("t", text("a"))), {name: "keep"})


def test_the_ledgers_of_migrations_stay_but_for_who_ran_them() -> None:
    described = schema(
        table("alembic_version", text("version_num")),
        table("flyway_schema_history", text("script"), text("installed_by")),
        table("migrations", text("id", family="number"), text("migration"), text("batch", family="number")),
    )
    told = kinds(described)
    assert told.pop("flyway_schema_history.installed_by") != "keep"
    assert set(told.values()) == {"keep"}
    assert not is_taken_whole(table("migrations", text("of_whom"), text("migration")))


LISTED = Check(name="c", columns=("level",), text="CHECK ((level = ANY (ARRAY['gold'::text, 'it''s'::text])))")


def test_proposals_name_enums_lists_foreign_keys_and_few_words_and_no_people() -> None:
    described = schema(
        table(
            "t", text("state", family="enum", labels=("a", "b")), text("level"), text("size", few=3), text("note", few=2),
            text("email", few=2), text("code"), checks=[LISTED],
        ),
        table("codes", text("code")),
        keys=[key("t", "code", "codes", "code")],
    )  # fmt: skip
    decided = decided_of(
        described,
        samples={"t.size": ["S", "XL"], "t.note": ["a sentence that may well name somebody"], "t.email": ["a@b.cd"]},
    )
    told = {column: how.proposal for (name, column), how in decided.columns.items() if name == "public.t"}
    assert told == {
        "state": "keep: an enum",
        "level": "keep: its CHECK lists its values",
        "size": "keep: 3 different values",
        "note": "",
        "email": "",
        "code": "keep: a foreign key, with public.codes.code",
    }
    group = decided.groups[decided.columns["public.t", "level"].group]
    assert (group.kind, group.bounds.choices) == ("choice", ("gold", "it's"))


VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
KINDS = st.sampled_from(
    ["text", "code", "email", "name", "phone", "secret", "username", "card", "city", "ip", "number", "date"]
)


@settings(max_examples=60)
@given(KINDS, st.sets(VALUES, max_size=30), st.randoms())
def test_unique_stays_unique_and_the_order_of_rows_changes_nothing(kind: str, values: set[str], random: object) -> None:
    first, second = (Assigner(FAKES, Group(kind=kind, members=(), unique=True)) for _ in range(2))
    first.learn(values)
    listed = list(values)
    random.shuffle(listed)  # type: ignore[attr-defined]
    second.learn(listed)
    assert first.made == second.made
    fakes = [fake.casefold() for fake in first.made.values() if fake is not None]
    assert len(set(fakes)) == len(fakes)


@settings(max_examples=5)
@given(st.sets(st.integers(0, 99).map(lambda at: f"{at:02d}"), min_size=90))
def test_a_space_that_is_nearly_full_is_enough(values: set[str]) -> None:
    assigner = Assigner(FAKES, Group(kind="code", members=(), unique=True))
    assigner.learn(values)
    assert assigner.lost == 0
    assert not set(assigner.made.values()) - {f"{at:02d}" for at in range(100)}


def test_a_refused_fake_is_made_in_other_shapes_and_at_last_is_null() -> None:
    group = Group(kind="name", members=(), bounds=Bounds(choices=("a", "b")), default="nobody")
    assigner = Assigner(FAKES, group, affixes=("An", "a"))
    assigner.learn(["Anna"])
    shapes = [assigner.made["Anna"]]
    while assigner.refuse("Anna"):
        shapes.append(assigner.made["Anna"])
    assert len(shapes) == 7
    assert shapes[-2:] == [assigner.fakes.fake("choice", "Anna", 0, group.bounds), "nobody"]
    assert [one for one in shapes if one and one.startswith("An") and one.endswith("a")] == shapes[3:5]
    assert "Anna" not in shapes
    assert assigner.made["Anna"] is None
    assert assigner.lost == 1
    assert not assigner.refuse("Anna")


def test_a_rule_of_null_makes_null_and_is_no_loss() -> None:
    assigner = Assigner(FAKES, Group(kind="null", members=()))
    assigner.learn(["Anna"])
    assert assigner.made == {"Anna": None}
    assert assigner.lost == 0


def test_case_makes_no_difference_where_the_type_says_so() -> None:
    assigner = Assigner(FAKES, Group(kind="username", members=(), unique=True, folded=True))
    assigner.learn(["Anna", "anna"])
    assert assigner.made["Anna"] == assigner.made["anna"]
    assert compared(text("x", folded=True), "Anna") == "anna"
    assert compared(text("x", family="number"), "1.50") == compared(text("x", family="number"), "1.5")


def test_how_all_values_begin_stays_only_where_a_check_itself_says_it() -> None:
    values = ["INV-100-x", "INV-200-x"]
    assert affixes_of(values, "CHECK (x ~ '^INV-[0-9]+-x$')") == ("INV-", "-x")
    assert affixes_of(["Smith A", "Smith B"], "CHECK (length(x) < 9)") == ("", "")
    assert affixes_of([], "x") == affixes_of(["a"], "") == ("", "")


def test_values_inside_are_masked_by_rule_name_and_looks() -> None:
    column = text("profile", family="json")
    value = '{"email": "anna@corp.de", "status": "active", "age": 44, "visits": 17, "note": "Anna", '
    value += '"x": ["anna@corp.de"], "+49 171 5550123": null}'
    told = inner(column, "text", {"status": "keep", "note": "null"}, value, FAKES, Bounds())
    assert has_inside(column)
    assert '"status": "active"' in told
    assert '"visits": 17' in told
    assert '"note": ""' in told
    assert told.count(FAKES.fake("email", "anna@corp.de")) == 2
    for word in ("anna", "Anna", "44", "5550123"):
        assert word not in told
    assert inner(text("a", array=True), "text", {}, '{"anna@corp.de",NULL}', FAKES, Bounds()) == (
        '{"' + FAKES.fake("email", "anna@corp.de") + '",NULL}'
    )
    assert "Anna" not in inner(
        text("a", family="json", array=True), "text", {}, '{"{\\"a\\": \\"Anna\\"}"}', FAKES, Bounds()
    )
    assert inner(text("n", family="range"), "number", {}, "[10,20)", FAKES, Bounds()) == (
        f"[{FAKES.fake('shifted', '10', 1)},{FAKES.fake('shifted', '20', 1)})"
    )
    assert inner(column, "text", {}, "no json", FAKES, Bounds()) == "{}"
