"""An option means the same in each verb that takes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import typer

from resilience.cli.group import VERBS

DIFFERENT = {
    "--for": "ack is for minutes, say for a reader",
    "--hand-over": "status prints it with what is applied, say alone",
    "--issue": "run names the option that it belongs to",
    "--out": "run takes another folder for its outputs, schedule one for its files",
    "--force": "restore overrides an edited file, the others a mode",
    "--total-timeout": "test bounds commands, run bounds stages",
}


def commands() -> Iterator[Any]:
    for verb in VERBS:
        command = typer.main.get_command(import_module(f"resilience.cli.verbs.{verb}").app)
        yield from getattr(command, "commands", {verb: command}).values()


def test_options_of_one_name_have_one_text_but_for_those_that_say_why() -> None:
    helps: dict[str, set[str]] = defaultdict(set)
    for command in commands():
        for option in command.params:
            for name in option.opts:
                if name.startswith("--"):
                    helps[name].add(option.help)
    assert {name for name, texts in helps.items() if len(texts) > 1} == set(DIFFERENT)
    assert len(helps["--config"]) == 1


def test_whatever_reads_a_configuration_can_be_told_which() -> None:
    without = {command.name for command in commands() if "config" not in {option.name for option in command.params}}
    assert without == {"drill", "lab", "init", "notebook", "kinds", "help", "completion"}, (
        "they have their own, make it, copy, or need none"
    )
