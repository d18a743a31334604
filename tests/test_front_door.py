"""The front door is typed for whoever installs it, and each of its names is held by the typed test."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import resilience

ROOT = Path(__file__).resolve().parent.parent
TYPED = ROOT / "tests" / "typing" / "public_api.py"


def test_the_typed_test_uses_every_public_name() -> None:
    tree = ast.parse(TYPED.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "resilience"
    }
    assert set(resilience.__all__) - used == set()


def test_every_public_name_is_there_and_listed_for_type_checkers() -> None:
    tree = ast.parse(Path(resilience.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    listed = {alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert listed == set(resilience.__all__)
    assert all(getattr(resilience, name) is not None for name in resilience.__all__)


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        assert "resilience/py.typed" in wheel.namelist()
