"""A module imported on demand is loaded by its first use, and not before; outside of the block all is as ever."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.cli.group import VERBS

USED = """
import sys
from resilience.cli.demand import on_demand
sys.path.insert(0, sys.argv[1])
with on_demand():
    from shelf import early, late
from shelf import plain
print("before")
print(late.WORD)
"""

EXPLAINED = """
import json, sys
from resilience.cli import main
sys.argv = ["resilience", *sys.argv[1:]]
try:
    main()
except SystemExit:
    loaded = [name for name, module in sys.modules.items() if type(module).__name__ != "_LazyModule"]
    print(json.dumps(loaded))
"""

HEAVY = {
    "rich.console", "msgspec", "psutil", "dotenv", "sqlite3", "xml.etree.ElementTree", "asyncpg", "redis", "websockets",
    "aiohttp", "jinja2", "papermill", "nbclient", "pandas", "matplotlib", "ipywidgets",
    "resilience.core.records", "resilience.core.settings", "resilience.core.kind", "resilience.services.registry",
    "resilience.settings.build", "resilience.stand_ins.starting", "resilience.fallback.journal", "resilience.suite.testrun",
    "resilience.runs.runbook", "resilience.runs.stages", "resilience.show.terminal", "resilience.notebook.headless",
    "resilience.lab.lab", "resilience.home.doctor",
}  # fmt: skip
"""What a verb needs for its work, and not to explain itself. Each costs more than the help text itself."""


def test_a_module_is_loaded_by_its_first_use_and_one_that_is_not_used_never(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "__init__.py").touch()
    for name in ("early", "late", "plain"):
        (shelf / f"{name}.py").write_text(f"print('loading {name}')\nWORD = '{name} is used'\n")
    said = subprocess.run([sys.executable, "-c", USED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["loading plain", "before", "loading late", "late is used"]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_loads_nothing_of_what_the_verb_does(verb: str) -> None:
    said = subprocess.run([sys.executable, "-c", EXPLAINED, verb, "--help"], capture_output=True, text=True, check=True)
    assert HEAVY.intersection(json.loads(said.stdout.splitlines()[-1])) == set()


def test_what_counts_as_heavy_is_there_under_its_name() -> None:
    ours = [name for name in HEAVY if name.startswith("resilience.")]
    said = subprocess.run(
        [sys.executable, "-c", f"import importlib\nfor name in {ours}: importlib.import_module(name)"], check=False
    )
    assert said.returncode == 0
