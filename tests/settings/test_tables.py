"""Each test's name is a claim about where in a TOML text a mistake is found."""

from __future__ import annotations

import pytest

from resilience.core.errors import SettingsError
from resilience.settings.tables import parse

TEXT = """\
title = "x"                         # 1
[a]
text = "t"
long = \'\'\'
text = "not a key"
\'\'\'
"quoted key" = 1

[[item]]
name = "one"
[item.inner]
deep = 1

[[item]]
name = "two"
number = 3
list = [
  "b = c",
]
"""


def test_the_line_of_a_key_is_its_own() -> None:
    table = parse(TEXT, "f.toml")
    first, second = table.tables("item")
    for found, key, line in (
        (table, "title", 1),
        (table.table("a"), "text", 3),
        (table.table("a"), "quoted key", 7),
        (first, "name", 10),
        (first.table("inner"), "deep", 12),
        (second, "name", 15),
        (second, "list", 17),
    ):
        assert found.error(key).source == f"f.toml:{line}"


def test_a_key_that_is_missing_is_blamed_on_its_table() -> None:
    table = parse(TEXT, "f.toml")
    assert table.table("a").error("absent").source == "f.toml:2"
    assert table.tables("item")[1].error("absent").source == "f.toml:14"


@pytest.mark.parametrize(
    ("text", "line"), [("a = ", 1), ("a = 1\nb = [\n", 2), ("x = 1\ny = 2\n= 3", 3), ("a = 'x\n", 1), ("[a]\n[a]\n", 2)]
)
def test_what_is_no_toml_is_refused_by_line(text: str, line: int) -> None:
    with pytest.raises(SettingsError) as caught:
        parse(text, "f.toml")
    assert f"f.toml:{line}" in str(caught.value)


def test_values_in_the_wrong_place_are_named_by_their_kind_never_shown() -> None:
    table = parse(
        "number = 'hunter2'\nflag = 'hunter2'\ntexts = 'hunter2'\nmapping = ['hunter2']\ntable = 'hunter2'", "f"
    )
    for read in (
        lambda: table.number("number", 1.0),
        lambda: table.whole("number", 1, least=1),
        lambda: table.flag("flag", False),
        lambda: table.texts("texts"),
        lambda: table.mapping("mapping"),
        lambda: table.table("table"),
        lambda: table.tables("table"),
    ):
        with pytest.raises(SettingsError) as caught:
            read()
        assert "hunter2" not in str(caught.value)
