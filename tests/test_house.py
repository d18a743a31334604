"""The house stays readable: rules are told in words, imports stand at the top, each module has its tests."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "resilience"
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if not {"project", "_shipped"} & set(path.relative_to(PACKAGE).parts)
)
LONG = 20
"""Lines from which on a function says its rule in a docstring."""
INNER_IMPORTS = 60
"""Imports inside functions, for start-up or optional libraries only."""
LARGEST_ROOM = 0.20
"""Share of all lines that one room may hold."""


FAMILIES = {"home/schedules": "test_schedules.py"}
"""Folder of modules that are the rows of one table → the test file that walks the table."""


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_long_function_says_its_rule(path: Path) -> None:
    silent = [
        f"{node.name} (line {node.lineno})"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 >= LONG
        and not ast.get_docstring(node)
    ]
    assert not silent


def test_imports_inside_functions_are_few() -> None:
    count = sum(
        isinstance(inner, ast.Import | ast.ImportFrom)
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    )
    assert count < INNER_IMPORTS


def test_no_room_is_the_house() -> None:
    lines: Counter[str] = Counter()
    for path in MODULES:
        lines[path.relative_to(PACKAGE).parts[0]] += len(path.read_text().splitlines())
    room, most = lines.most_common(1)[0]
    assert most <= LARGEST_ROOM * lines.total(), f"{room} holds {most} of {lines.total()} lines"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_has_its_test_file(path: Path) -> None:
    if path.name in ("__init__.py", "__main__.py") or not path.read_text().strip():
        return
    inside = path.relative_to(PACKAGE)
    test = FAMILIES.get(inside.parent.as_posix(), f"test_{inside.name}")
    assert (ROOT / "tests" / inside.parent / test).is_file()
