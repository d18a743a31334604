"""A module imported on demand is loaded by its first use, and not before; outside of the block all is as ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

USED = """
import sys
from resilience.host.demand import on_demand
sys.path.insert(0, sys.argv[1])
with on_demand():
    from shelf import early, late
from shelf import plain
print("before")
print(late.WORD)
"""


def test_a_module_is_loaded_by_its_first_use_and_one_that_is_not_used_never(tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    (shelf / "__init__.py").touch()
    for name in ("early", "late", "plain"):
        (shelf / f"{name}.py").write_text(f"print('loading {name}')\nWORD = '{name} is used'\n")
    said = subprocess.run([sys.executable, "-c", USED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["loading plain", "before", "loading late", "late is used"]
