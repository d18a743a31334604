"""What a kind of service must hold, and how the kinds of others are found, loaded and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from resilience.core.errors import SettingsError
from resilience.core.kind import Kind, Kinds, Scheme, check_kind, is_authentication

GOOD = Kind(
    name="queue",
    title="Queue",
    schemes={"queue": Scheme(port=7000, local=True), "q": Scheme(port=7000, alias_of="queue")},
    probe="package.probe:probe",
)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("queue", "(a str)"),
        (replace(GOOD, name="other"), "name 'other'"),
        (replace(GOOD, schemes={}), "no scheme but a socket's"),
        (replace(GOOD, schemes={"queue": Scheme(socket=True)}), "no scheme but a socket's"),
        (replace(GOOD, schemes={"queue": Scheme(port=70_000)}), "port 70000"),
        (replace(GOOD, schemes={"queue": Scheme(port=7, alias_of="tail")}), "alias of tail://"),
        (replace(GOOD, keys=("colour",)), "'colour'"),
        (replace(GOOD, probe=""), "no probe"),
        (replace(GOOD, probe="not a name"), "'not a name'"),
    ],
)
def test_a_kind_that_breaks_its_record_is_refused_by_name_with_what_was_expected(kind: object, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        check_kind(kind, "queue", "its-package")
    text = str(refused.value)
    assert "service type queue" in text
    assert "its-package" in text
    assert said in text
    assert "was expected" in text


def test_other_kinds_are_asked_for_only_where_no_built_in_one_has_the_name_or_the_scheme() -> None:
    asked: list[str] = []

    def others() -> dict[str, object]:
        asked.append("names")
        return {"late": lambda: replace(GOOD, name="late", schemes={"late": Scheme(port=1)})}

    kinds = Kinds(built_in=(GOOD,), others=others)  # type: ignore[arg-type]
    assert kinds["queue"] is GOOD
    assert kinds.by_url("q://host") == (GOOD, "q://host")
    assert asked == []
    assert kinds["late"].name == "late"
    found = kinds.by_url("late://host")
    assert found is not None
    assert found[0].name == "late"
    assert kinds.by_url("never://host") is None
    assert kinds.get("nothing") is None
    assert kinds.unknown("lat") == 'did you mean "late"?'


def test_a_prefix_names_a_kind_where_the_scheme_alone_is_another_kinds() -> None:
    web = replace(GOOD, name="web", schemes={"http": Scheme(port=80)})
    store = replace(
        GOOD, name="store", schemes={"http": Scheme(port=81), "store": Scheme(port=81)}, url_prefix="store+"
    )
    kinds = Kinds(built_in=(store, web))
    assert kinds.by_url("http://h") == (web, "http://h")
    assert kinds.by_url("store+http://h") == (store, "http://h")
    assert kinds.by_url("store://h") == (store, "store://h")


@pytest.mark.parametrize(
    ("name", "is_one"),
    [("auth_service", True), ("my-auth", True), ("Auth", True), ("author_api", False), ("backend_api", False)],
)
def test_the_authentication_service_is_told_by_the_words_of_its_name(name: str, is_one: bool) -> None:
    assert is_authentication(name) is is_one


def test_words_for_a_key_that_is_none_of_its_options_break_the_record_of_a_kind() -> None:
    with pytest.raises(SettingsError, match=r"choices for 'colour'.*a key of its options"):
        check_kind(replace(GOOD, choices={"colour": ("red",)}), GOOD.name, "a package")
    coloured = replace(GOOD, options={"colour": ""}, choices={"colour": ("red",)})
    assert check_kind(coloured, GOOD.name, "a package") is coloured
