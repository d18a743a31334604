"""What the first word typed names is found, explained, or refused with what was meant."""

from __future__ import annotations

import json
import platform
import re
import shlex
import subprocess
import sys
from importlib import import_module, metadata
from pathlib import Path

import pytest
import typer

import resilience
from resilience.cli import verbs
from resilience.cli.group import GROUPS, VERBS, Verbs
from tests.cli.test_demand import EXPLAINED as LOADED_ALL, HEAVY
from tests.kits.typing_in import Type

LOADED = """
import json, sys
from resilience.cli import main
sys.argv = ["resilience", *sys.argv[1:]]
try:
    main()
except SystemExit:
    print(json.dumps([name for name in sys.modules if name.startswith("resilience.cli.verbs.")]))
"""


def test_help_names_every_verb_and_opens_with_two_examples(type_in: Type) -> None:
    said = type_in("--help")
    assert said.code == 0
    assert "resilience assess" in said.out
    assert "resilience drill database-unavailable" in said.out
    assert {line.split()[0] for line in said.out.splitlines() if line.strip()} >= set(VERBS)


def test_each_file_of_a_verb_has_its_row_and_each_row_its_file() -> None:
    files = {path.stem for path in Path(verbs.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_row_of_a_verb_is_the_first_line_of_its_own_help(verb: str) -> None:
    command = typer.main.get_command(import_module(f"resilience.cli.verbs.{verb}").app)
    assert command.name in (verb, "")
    assert command.help is not None
    assert command.help.splitlines()[0] == VERBS[verb]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(type_in: Type, verb: str) -> None:
    said = type_in(verb, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"resilience {verb}" in said.out


def examples(verb: str) -> list[list[str]]:
    """The command lines of ours in the help of a verb, split as a shell would, without what is said of them."""
    command = typer.main.get_command(import_module(f"resilience.cli.verbs.{verb}").app)
    indented = re.findall(r"^ +(.*)$", command.help or "", re.M)
    commands = [
        re.sub(r"  +.*| \| .*| [<>] .*", "", line).removeprefix('eval "$(').removesuffix(')"') for line in indented
    ]
    return [shlex.split(command) for command in commands if command.startswith("resilience ")]


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "undo"])
def test_the_help_of_a_verb_has_examples_and_each_can_be_typed(verb: str) -> None:
    assert examples(verb)
    for _, name, *arguments in examples(verb):
        Verbs().get_command(None, name).make_context(name, arguments)


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_fits_a_terminal_of_80_columns(type_in: Type, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert [line for line in type_in(*filter(None, [verb]), "-h").out.splitlines() if len(line) > 80] == []


def test_each_verb_of_the_help_takes_one_line_and_the_daily_ones_stand_first(
    type_in: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = type_in("-h").out.splitlines()
    assert [line.split(maxsplit=1) for line in lines if line.split()[:1] and line.split()[0] in VERBS] == [
        [name, text] for name, text in VERBS.items()
    ]
    assert next(iter(GROUPS)) == "When staging is down, in this order"
    assert [line[:-1] for line in lines if line.endswith(":") and not line.startswith(("Options", " "))] == [*GROUPS]


def test_the_version_names_which_installation_answers(type_in: Type) -> None:
    said = type_in("--version")
    assert (said.code, said.err) == (0, "")
    assert said.out == (
        f"resilience {metadata.version('resilience-runbook')} "
        f"(Python {platform.python_version()}, {Path(resilience.__file__).parent})\n"
    )


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_asks_nothing_of_a_verb_loads_nothing_heavy(word: str) -> None:
    said = subprocess.run([sys.executable, "-c", LOADED_ALL, word], capture_output=True, text=True, check=True)
    assert HEAVY.intersection(json.loads(said.stdout.splitlines()[-1])) == set()


@pytest.mark.parametrize(
    ("typed", "files"),
    [(["--help"], []), (["asess"], []), (["lab", "--help"], ["lab"]), (["undo", "-h"], ["restore", "undo"])],
)
def test_no_verb_is_imported_but_the_one_that_is_named(typed: list[str], files: list[str]) -> None:
    said = subprocess.run([sys.executable, "-c", LOADED, *typed], capture_output=True, text=True, check=True)
    assert sorted(json.loads(said.stdout.splitlines()[-1])) == [f"resilience.cli.verbs.{name}" for name in files]
