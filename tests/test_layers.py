"""The rooms keep their doors: the core touches nothing outside itself, and looking stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "resilience"
DOORS = {"__init__", "cli", "runbook", "guide", "widgets", "headless", "drill", "status"}
CORE = sorted(path for path in PACKAGE.glob("*.py") if path.stem not in DOORS)
WORLD = {
    "aiohttp", "asyncio", "asyncpg", "dotenv", "fcntl", "http", "httpx", "logging", "multiprocessing", "os", "psutil", "redis",
    "requests", "select", "shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time", "websockets",
}  # fmt: skip
ALLOWED = {
    ("faults", "socket"): "the names of the resolver's error numbers; no socket is made",
    ("settings", "dotenv"): "python-dotenv's parser, given a text: no file and no environment is touched",
}


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    nodes = tree.body if top_only else list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path.name}: relative import"
            found.add(node.module or "")
    return found


def type_checking_only(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            for inner in node.body:
                if isinstance(inner, ast.ImportFrom):
                    found.add(inner.module or "")
    return found


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_touches_nothing_outside_itself(path: Path) -> None:
    touched = {name.partition(".")[0] for name in imports(path)} & WORLD
    assert {name for name in touched if (path.stem, name) not in ALLOWED} == set()


@pytest.mark.parametrize("path", CORE, ids=lambda path: path.stem)
def test_the_core_knows_no_edge(path: Path) -> None:
    inner = {name for name in imports(path) if name.startswith("resilience.")} - type_checking_only(path)
    assert not {name for name in inner if name.startswith(("resilience.edge", "resilience.lab", "resilience.report"))}
    assert not {name for name in inner if name.split(".")[1] in DOORS}


def test_the_model_imports_nothing_of_ours() -> None:
    assert not {name for name in imports(PACKAGE / "model.py") if name.startswith("resilience")}


def test_the_edge_knows_no_door() -> None:
    for path in sorted((PACKAGE / "edge").rglob("*.py")):
        used = {name for name in imports(path) if name.startswith("resilience.")} - type_checking_only(path)
        assert not {name for name in used if name.split(".")[1] in DOORS - {"__init__"}}, path


@pytest.mark.parametrize("library", ["pandas", "matplotlib"])
def test_only_the_frames_and_charts_of_the_report_import_the_heavy_libraries(library: str) -> None:
    users = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "lab/project" not in path.as_posix() and any(name.partition(".")[0] == library for name in imports(path))
    }
    assert users <= {"report/frames.py", "report/charts.py"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("resilience", {"typer", "rich", "asyncpg", "redis", "pandas", "matplotlib", "papermill", "httpx", "msgspec"}),
        ("resilience.cli", {"asyncpg", "redis", "pandas", "matplotlib", "papermill", "httpx", "aiohttp", "ipywidgets"}),
        (
            "resilience.runbook",
            {"asyncpg", "redis", "pandas", "matplotlib", "papermill", "httpx", "aiohttp", "jinja2", "rich"},
        ),
    ],
)
def test_an_assessment_does_not_pay_for_what_it_does_not_use(module: str, heavy: set[str]) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    assert heavy & {name.partition(".")[0] for name in loaded} == set()


def test_the_front_door_names_only_what_is_there() -> None:
    import resilience

    for name in resilience.__all__:
        assert getattr(resilience, name) is not None
    assert set(resilience.__all__) <= set(dir(resilience))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = resilience.no_such_name


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_every_module_opens_with_one_sentence(path: Path) -> None:
    if "lab/project" in path.as_posix() or not path.read_text().strip():
        return
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, path
    first = docstring.split("\n\n")[0]
    assert first.endswith((".", ":", "!")), f"{path.name} opens with: {first!r}"
