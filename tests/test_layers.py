"""The rooms keep their floors: a room imports only lower ones, the core touches nothing, looking stays light."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "resilience"
FLOORS = (
    ("core",),
    ("host",),
    ("settings", "services"),
    ("teach",),
    ("stand_ins", "fallback", "suite"),
    ("report", "publish", "show"),
    ("runs",),
    ("notebook", "lab", "home"),
    ("cli",),
)
"""From the ground; a room is the first folder below the package. The files beside the rooms are its front door."""
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}
WORLD = frozenset(
    {
        "aiohttp", "asyncio", "asyncpg", "dotenv", "fcntl", "http", "httpx", "logging", "multiprocessing", "os", "psutil",
        "redis", "requests", "select", "shutil", "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time",
        "websockets",
    }
)  # fmt: skip
"""What touches the world: no file of the core, and no kind's own record, imports any of it."""
PURE = {
    ("core/faults.py", "socket"): "the names of the resolver's error numbers; no socket is made",
    ("core/envtext.py", "dotenv"): "python-dotenv's parser, given a text: no file and no environment is touched",
}
HEAVY = {"pandas": {"report/frames.py", "runs/frames.py"}, "matplotlib": {"report/charts"}}
MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if not {"project", "_shipped"} & set(path.relative_to(PACKAGE).parts)
)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def room_of(module: str) -> str:
    """The room of a dotted name of ours; empty for the front door."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "resilience" and parts[1] in HEIGHT else ""


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_room_imports_only_lower_floors(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room not in HEIGHT:
        assert path.parent == PACKAGE, f"{name_of(path)} stands in no room of the house"
        return
    theirs = {room_of(module) for module in imports(path)} - {"", room}
    assert {other for other in theirs if HEIGHT[other] >= HEIGHT[room]} == set()
    assert not {m for m in imports(path) if m.split(".")[:2] in (["resilience", "guide"], ["resilience", "__main__"])}


@pytest.mark.parametrize(
    "path", [p for p in MODULES if name_of(p).startswith("core/") or p.name == "kind.py"], ids=name_of
)
def test_the_core_and_the_records_of_kinds_touch_nothing_outside_themselves(path: Path) -> None:
    used = {module.partition(".")[0] for module in imports(path)} & WORLD
    assert {module for module in used if (name_of(path), module) not in PURE} == set()


@pytest.mark.parametrize("path", [p for p in MODULES if p.name == "kind.py"], ids=name_of)
def test_the_record_of_a_kind_imports_only_the_core(path: Path) -> None:
    if path.parent.name == "core":
        return
    assert {room_of(module) for module in imports(path)} <= {"core", ""}


@pytest.mark.parametrize("library", sorted(HEAVY))
def test_the_heavy_libraries_are_imported_only_where_they_draw_or_tabulate(library: str) -> None:
    users = {name_of(path) for path in MODULES if any(m.partition(".")[0] == library for m in imports(path))}
    assert {user for user in users if not user.startswith(tuple(HEAVY[library]))} == set()


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("resilience", {"typer", "rich", "asyncpg", "redis", "pandas", "matplotlib", "papermill", "httpx", "msgspec"}),
        ("resilience.cli", {"asyncpg", "redis", "pandas", "matplotlib", "papermill", "httpx", "aiohttp", "ipywidgets"}),
        (
            "resilience.runs.runbook",
            {"asyncpg", "redis", "pandas", "matplotlib", "papermill", "httpx", "aiohttp", "jinja2", "rich"},
        ),
    ],
)
def test_an_assessment_does_not_pay_for_what_it_does_not_use(module: str, heavy: set[str]) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)
    assert heavy & {name.partition(".")[0] for name in loaded} == set()


def test_a_look_by_url_loads_no_stage_of_a_run_no_history_and_no_client_of_http() -> None:
    code = (
        "import sys, json; sys.argv = ['resilience', 'assess', '--url', 'redis://127.0.0.1:1'];"
        "from resilience.cli import main\ntry: main()\nexcept SystemExit: pass\n"
        "print(json.dumps([n for n, m in sys.modules.items() if type(m).__name__ != '_LazyModule']))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    loaded = set(json.loads(said.splitlines()[-1]))
    assert "resilience.runs.looking" in loaded
    spared = {"sqlite3", "urllib.request", "http.client", "resilience.runs.stages", "resilience.runs.testing"}
    assert loaded & (spared | {"resilience.suite.testrun", "resilience.fallback.apply", "pandas", "asyncpg"}) == set()


def test_the_front_door_names_only_what_is_there() -> None:
    import resilience

    for name in resilience.__all__:
        assert getattr(resilience, name) is not None
    assert set(resilience.__all__) <= set(dir(resilience))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = resilience.no_such_name


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_every_module_opens_with_one_sentence(path: Path) -> None:
    if not path.read_text().strip():
        return
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, path
    first = docstring.split("\n\n")[0]
    assert first.endswith((".", ":", "!")), f"{path.name} opens with: {first!r}"
