"""A team's repository full of things that `init` recognises; its secret is never to be shown."""

from __future__ import annotations

import os
from pathlib import Path

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
        "[pytest]\ntestpaths = tests checks\nmarkers =\n  staging: needs it\n  critical: x\n  db\n  slow\n",
    )
    put(root / ".env", f"DATABASE_URL=postgresql://u:{SECRET}@h/d\nREDIS_HOST=h\nREDIS_PORT=1\nAPI_BASE_URL=http://h\n")
    put(root / "config/.env.ci", f"OPENAI_API_KEY={SECRET}\nBROKEN LINE\n")
    put(root / "docker-compose.yml", "services:\n  ch:\n    image: 'clickhouse/clickhouse-server:24' # x\n")
    put(root / "alembic.ini", "")
    put(root / ".venv/bin/python", "#!/bin/sh\n").chmod(0o755)
    return root
