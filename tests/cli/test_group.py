"""What the first word typed names is found, explained, or refused with what was meant."""

from __future__ import annotations

import pytest

from tests.kits.typing_in import Type

VERBS = {
    *("assess", "mode", "plan", "apply", "restore", "undo", "env", "test", "recover", "run", "resume", "drill"),
    *("lab", "report", "status", "doctor", "init", "notebook", "services"),
}


def test_help_names_every_verb_and_opens_with_two_examples(type_in: Type) -> None:
    said = type_in("--help")
    assert said.code == 0
    assert "resilience assess" in said.out
    assert "resilience drill database-unavailable" in said.out
    assert {line.split()[0] for line in said.out.splitlines() if line.strip()} >= VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_each_verb_explains_itself(type_in: Type, verb: str) -> None:
    said = type_in(verb, "--help")
    assert (said.code, said.err) == (0, "")
    assert f"resilience {verb}" in said.out
