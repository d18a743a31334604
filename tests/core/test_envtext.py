"""What we write into env files is read the same by shells, by dotenv and by us; what cannot be read is refused by line."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest
from dotenv import dotenv_values
from hypothesis import given, settings, strategies as st

from resilience.core.envtext import changed_names, export_lines, quote, read_env_text, render, unset_lines
from resilience.core.errors import SettingsError

names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,12}", fullmatch=True)
texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r", exclude_categories=["Cs", "Cc"])
    | st.sampled_from("'\"\\$`# \n"),
    max_size=12,
)
DUMP = "import json,os,sys; print(json.dumps({n: os.environ.get(n) for n in sys.argv[1:]}))"


def sourced(text: str, wanted: list[str]) -> dict[str, str]:
    script = f"set -a; eval \"$1\"; set +a; exec {sys.executable} -c '{DUMP}' {' '.join(wanted)}"
    done = subprocess.run(
        ["sh", "-c", script, "sh", text], capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    return dict(json.loads(done.stdout))


def writable(values: dict[str, str]) -> dict[str, str]:
    kept = {}
    for name, value in values.items():
        try:
            quote(name, value)
        except SettingsError:
            continue
        kept[name] = value
    return kept


@given(st.dictionaries(names, texts, max_size=4))
def test_dotenv_reads_what_was_rendered(values: dict[str, str]) -> None:
    kept = writable(values)
    assert dotenv_values(stream=io.StringIO(render(kept)), interpolate=False) == kept


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(names.filter(lambda name: name not in ("_", "PWD", "IFS", "PATH")), texts, min_size=1, max_size=8)
)
def test_a_shell_reads_what_was_rendered(values: dict[str, str]) -> None:
    kept = writable(values)
    assert sourced(render(kept), list(kept)) == kept


def test_values_with_quotes_blanks_and_hashes_are_written() -> None:
    values = {
        "A": "it's",
        "B": 'say "hi" # no comment',
        "C": "p@ss#word/!",
        "D": "",
        "E": "two\nlines",
        "F": "back\\slash",
    }
    assert writable(values) == values
    assert sourced(render(values), list(values)) == values


@pytest.mark.parametrize("value", ["it's $HOME", "${HOME}", "carriage\rreturn", "`id`'"])
def test_a_value_that_two_readers_read_differently_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(SettingsError, match="SECRET_THING") as caught:
        quote("SECRET_THING", value)
    assert value not in str(caught.value)


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(SettingsError):
        quote("NOT-A-NAME", "x")


def test_exports_survive_eval_and_unset_takes_them_back() -> None:
    values = {"A": "it's $HOME", "B": "x y"}
    assert sourced(export_lines(values), ["A", "B"]) == values
    assert sourced(export_lines(values) + unset_lines(values), ["A", "B"]) == {"A": None, "B": None}


def test_changed_names_are_named_in_order() -> None:
    assert changed_names({"A": "1", "B": "2", "C": None}, {"B": "3", "C": None, "D": "4"}) == ("A", "B", "D")


def test_env_files_are_read_to_the_letter() -> None:
    text = "\ufeff# c\nexport A=1\nB='x # y'\nC=\"a b\"\nD=$A-${B}\nE=\n"
    assert {name: value for name, (value, _) in read_env_text(text.lstrip("\ufeff"), "f").items()} == {
        "A": "1",
        "B": "x # y",
        "C": "a b",
        "D": "$A-${B}",
        "E": "",
    }


@pytest.mark.parametrize("line", ["JUST_A_WORD", "=x", "A-B=1", "A='open", "1A=2", "two words=3"])
def test_a_broken_line_of_an_env_file_is_refused_by_line(line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_env_text(f"GOOD=1\n\n{line}\n", "config/.env.test.local")
    assert "config/.env.test.local:3" in str(caught.value)
