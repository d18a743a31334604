"""What a kind of service must hold, and how the kinds of others are found, loaded and refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from resilience.core import kind as kinds
from resilience.core.errors import SettingsError
from resilience.core.kind import Kind, Kinds, Scheme, check_kind, is_authentication

Rule = Callable[[Kind], kinds.Broken]

GOOD = Kind(
    name="queue",
    title="Queue",
    schemes={"queue": Scheme(port=7000, local=True), "q": Scheme(port=7000, alias_of="queue")},
    probe="package.probe:probe",
)


NO_KINDS = (
    ("queue", "(a str)"),
    (replace(GOOD, name="other"), "name 'other'"),
)
BROKEN = (
    (kinds._a_scheme_names_a_host, replace(GOOD, schemes={}), "no scheme but a socket's"),
    (
        kinds._a_scheme_names_a_host,
        replace(GOOD, schemes={"queue": Scheme(socket=True)}),
        "no scheme but a socket's",
    ),
    (kinds._ports_are_ports, replace(GOOD, schemes={"queue": Scheme(port=70_000)}), "port 70000"),
    (kinds._ports_are_ports, replace(GOOD, schemes={"queue": Scheme(port=0)}), "port 0"),
    (
        kinds._aliases_are_of_its_schemes,
        replace(GOOD, schemes={"queue": Scheme(port=7, alias_of="tail")}),
        "alias of tail://",
    ),
    (kinds._keys_are_shared_ones, replace(GOOD, keys=("colour",)), "'colour'"),
    (kinds._choices_are_of_options, replace(GOOD, choices={"colour": ("red",)}), "choices for 'colour'"),
    (kinds._a_probe_is_named, replace(GOOD, probe=""), "no probe"),
    (kinds._imports_are_dotted_names, replace(GOOD, probe="not a name"), "'not a name'"),
    (kinds._imports_are_dotted_names, replace(GOOD, preload="a-b"), "'a-b'"),
)
"""Kinds that break one rule each, with the rule and what is said of them."""


@pytest.mark.parametrize(("kind", "said"), [*NO_KINDS, *((kind, said) for _, kind, said in BROKEN)])
def test_a_kind_that_breaks_its_record_is_refused_by_name_with_what_was_expected(kind: object, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_kind(kind, "queue", "its-package")
    text = str(refused.value)
    assert "service type queue" in text
    assert "its-package" in text
    assert said in text
    assert "was expected" in text


@pytest.mark.parametrize("rule", kinds.RULES, ids=lambda rule: rule.__name__)
def test_each_rule_is_broken_by_its_rows_and_by_no_other_and_says_why_it_is_one(rule: Rule) -> None:
    assert [kind for _, kind, _ in BROKEN if list(rule(kind))] == [kind for its, kind, _ in BROKEN if its is rule] != []
    assert list(rule(GOOD)) == []
    assert rule.__doc__


def test_other_kinds_are_asked_for_only_where_no_built_in_one_has_the_name_or_the_scheme() -> None:
    asked: list[str] = []

    def others() -> dict[str, object]:
        asked.append("names")
        return {"late": lambda: replace(GOOD, name="late", schemes={"late": Scheme(port=1)})}

    known = Kinds(built_in=(GOOD,), others=others)  # type: ignore[arg-type]
    assert known["queue"] is GOOD
    assert known.by_url("q://host") == (GOOD, "q://host")
    assert asked == []
    assert known["late"].name == "late"
    found = known.by_url("late://host")
    assert found is not None
    assert found[0].name == "late"
    assert known.by_url("never://host") is None
    assert known.get("nothing") is None
    assert known.unknown("lat") == 'did you mean "late"?'


def test_a_prefix_names_a_kind_where_the_scheme_alone_is_another_kinds() -> None:
    web = replace(GOOD, name="web", schemes={"http": Scheme(port=80)})
    store = replace(
        GOOD, name="store", schemes={"http": Scheme(port=81), "store": Scheme(port=81)}, url_prefix="store+"
    )
    known = Kinds(built_in=(store, web))
    assert known.by_url("http://h") == (web, "http://h")
    assert known.by_url("store+http://h") == (store, "http://h")
    assert known.by_url("store://h") == (store, "store://h")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("auth_service", True), ("my-auth", True), ("Auth", True), ("author_api", False), ("backend_api", False)],
)
def test_the_authentication_service_is_told_by_the_words_of_its_name(name: str, is_one: bool) -> None:
    assert is_authentication(name) is is_one


def test_words_for_a_key_of_its_options_are_taken() -> None:
    coloured = replace(GOOD, options={"colour": ""}, choices={"colour": ("red",)})
    assert check_kind(coloured, GOOD.name, "a package") is coloured
