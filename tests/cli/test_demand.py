"""A verb loads what its work needs, and its help nothing of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.cli.group import VERBS

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
    "openapi_core", "genson",
    "resilience.core.records", "resilience.core.settings", "resilience.core.kind", "resilience.services.registry",
    "resilience.settings.build", "resilience.stand_ins.starting", "resilience.fallback.journal", "resilience.suite.testrun",
    "resilience.runs.runbook", "resilience.runs.stages", "resilience.show.terminal", "resilience.notebook.headless",
    "resilience.lab.lab", "resilience.home.doctor",
}  # fmt: skip
"""What a verb needs for its work, and not to explain itself. Each costs more than the help text itself."""


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_loads_nothing_of_what_the_verb_does(verb: str) -> None:
    said = subprocess.run([sys.executable, "-c", EXPLAINED, verb, "--help"], capture_output=True, text=True, check=True)
    assert HEAVY.intersection(json.loads(said.stdout.splitlines()[-1])) == set()


UNASKED = {
    "psutil", "msgspec", "typing_extensions", "sqlite3", "resilience.core.alerts", "resilience.core.codec",
    "resilience.core.recurrence", "resilience.core.groups", "resilience.core.trends", "resilience.runs.memory",
    "resilience.runs.runbook", "resilience.services.standing_in", "resilience.host.processes", "resilience.stand_ins.own_rules",
    "resilience.fallback.originals",
}  # fmt: skip
"""What a look at one URL has no use for: it keeps nothing, and nothing of the service stands in for it."""


def test_a_look_by_url_loads_only_what_it_looks_and_tells_with(tmp_path: Path, free_port: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", EXPLAINED, "assess", "--url", f"redis://127.0.0.1:{free_port}/0"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "connection refused" in said.stdout
    assert UNASKED.intersection(json.loads(said.stdout.splitlines()[-1])) == set()


def test_what_counts_as_heavy_is_there_under_its_name() -> None:
    ours = [name for name in HEAVY | UNASKED if name.startswith("resilience.")]
    said = subprocess.run(
        [sys.executable, "-c", f"import importlib\nfor name in {ours}: importlib.import_module(name)"], check=False
    )
    assert said.returncode == 0
