"""No module outside of a kind's folder asks which kind a service is: the names of kinds stand nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.core.records import Phase
from resilience.services.registry import BUILT_IN
from tests.test_layers import MODULES, name_of

KINDS = {kind.name for kind in BUILT_IN} - {phase.value for phase in Phase}
"""The names of kinds, but those that are a phase's as well."""
ALLOWED = {
    "core/faults.py": "http is a module of the standard library whose exceptions are known",
    "core/variables.py": "the guide's services, by their names, in the table of the guide's variables",
    "lab/": "the drill is a world of its own, with the guide's services by their names",
    "runs/looking.py": "the path that a test asked for is asked for again over HTTP, whatever the service's own probe speaks",
    "runs/memory.py": "packages whose versions a report names",
    "runs/uploading.py": "the scheme of URLs of object stores",
    "stand_ins/mocks.py": "the word of HTTP's Upgrade header",
    "suite/blocks.py": "modules of client libraries, by whose errors' texts a status is read",
    "suite/pytest_plugin.py": "generated tables, which a test compares, and the guide's markers",
    "suite/rounds.py": "the guide's markers",
    "teach/": "the scheme of URLs: what is recorded is HTTP, of whatever kind of service",
    "suite/signs.py": "modules of client libraries, whose own errors say nothing of the far side",
}
"""Where a text that is also a kind's name means something else."""


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each text of a module that is exactly a kind's name, and each attribute of an enum of kinds."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and node.value in KINDS:
            yield node.lineno, repr(node.value)
        elif isinstance(node, ast.ImportFrom):
            room, _, rest = (node.module or "").partition("resilience.services.")
            if not room and not KINDS.isdisjoint(rest.split(".")):
                yield node.lineno, str(node.module)


@pytest.mark.parametrize("path", [path for path in MODULES if not name_of(path).startswith("services/")], ids=name_of)
def test_no_module_asks_which_kind_a_service_is(path: Path) -> None:
    found = dict(texts(path))
    assert not found or name_of(path).startswith(tuple(ALLOWED)), found


def test_each_exception_is_still_needed() -> None:
    used = {name_of(path) for path in MODULES if dict(texts(path))}
    assert {rule for rule in ALLOWED if not any(name.startswith(rule) for name in used)} == set()


@pytest.mark.parametrize("path", [path for path in MODULES if name_of(path).startswith("services/")], ids=name_of)
def test_what_the_kinds_share_asks_neither(path: Path) -> None:
    if path.parent.name in KINDS or path.name == "registry.py":
        return
    named = {number: text for number, text in texts(path) if not text.endswith(".kind")}
    assert named == {}
