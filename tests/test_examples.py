"""The examples in docstrings are true: each `>>>` is typed in, and what it shows is what comes back.

Only what needs no server and no configuration is written with `>>>`.
"""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

from resilience.notebook.parameters import BY_NAME
from resilience.services.registry import KINDS
from tests.kits import incident_factory

ROOT = Path(__file__).resolve().parent.parent
NIGHT = incident_factory.night().incident
SHOWN = {"KINDS": KINDS, "BY_NAME": BY_NAME, "health": NIGHT.health, "result": NIGHT.tests}
"""What an example may use that its module does not hold: the registry, the parameters, and the records of the night of 03:14."""
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "resilience").rglob("*.py")
    if ">>>" in path.read_text() and not {"project", "_shipped"} & set(path.parts)
)


@pytest.mark.parametrize("name", MODULES)
def test_what_an_example_shows_is_what_comes_back(name: str) -> None:
    module = import_module(name)
    examples = [found for found in doctest.DocTestFinder().find(module, extraglobs=SHOWN) if found.examples]
    assert examples
    said: list[str] = []
    runner = doctest.DocTestRunner()
    for example in examples:
        runner.run(example, out=said.append)
    assert "".join(said) == ""
