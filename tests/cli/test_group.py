"""What the first word typed names is found, explained, or refused with what was meant."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from resilience.cli import verbs
from resilience.cli.group import VERBS
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


@pytest.mark.parametrize(
    ("typed", "files"),
    [(["--help"], []), (["asess"], []), (["lab", "--help"], ["lab"]), (["undo", "-h"], ["restore", "undo"])],
)
def test_no_verb_is_imported_but_the_one_that_is_named(typed: list[str], files: list[str]) -> None:
    said = subprocess.run([sys.executable, "-c", LOADED, *typed], capture_output=True, text=True, check=True)
    assert sorted(json.loads(said.stdout.splitlines()[-1])) == [f"resilience.cli.verbs.{name}" for name in files]
