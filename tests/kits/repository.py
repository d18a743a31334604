"""A team's repository full of things that `init` recognises; its secret is never to be shown."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.kits.alone import ALONE

SECRET = "Zk-never-shown-9"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def environ(path: Path) -> dict[str, str]:
    return {"HOME": str(path), "PATH": os.environ["PATH"]}


def full_of_things(root: Path) -> Path:
    put(
        root / "pytest.ini",
        f"[pytest]\naddopts = {ALONE}\ntestpaths = tests checks\nmarkers =\n  staging: needs it\n  critical: x\n  db\n  slow\n",
    )
    put(root / ".env", f"DATABASE_URL=postgresql://u:{SECRET}@h/d\nREDIS_HOST=h\nREDIS_PORT=1\nAPI_BASE_URL=http://h\n")
    put(root / "config/.env.ci", f"OPENAI_API_KEY={SECRET}\n")
    with_tests(root, "tests/test_shop.py")
    put(root / "docker-compose.yml", "services:\n  ch:\n    image: 'clickhouse/clickhouse-server:24' # x\n")
    put(root / "alembic.ini", "")
    return root


def with_tests(root: Path, name: str = "tests/test_shop.py", count: int = 2) -> Path:
    """Give a repository tests, and an interpreter of its own that has pytest: this one, by another name."""
    put(root / name, "".join(f"def test_{number}():\n    pass\n\n\n" for number in range(count)))
    with_interpreter(root)
    return root


def with_interpreter(root: Path, *, pytest: bool = True) -> None:
    put(root / ".venv/bin/python", f'#!/bin/sh\nexec {sys.executable} "$@"\n').chmod(0o755)
    if pytest:
        put(root / ".venv/bin/pytest", f'#!/bin/sh\nexec {sys.executable} -m pytest {ALONE} "$@"\n').chmod(0o755)
    put(root / ".venv/pyvenv.cfg", "home = /nowhere\n")
