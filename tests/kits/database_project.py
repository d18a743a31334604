"""A team's repository with one database that teaches its schema, a staging for it, and a PostgreSQL that can be killed."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.kits.ports import free_port
from tests.kits.servers.postgres import Postgres

CONFIG = """\
[runbook]
environment = "staging"

[[service]]
name = "database"
type = "postgresql"
url = "{url}"
local = "postgresql://resilience:local-only@127.0.0.1:{port}/app_test"
exports = {{ DATABASE_URL = "{{local}}" }}
critical = true
timeout_s = 5.0
{more}
[modes.full]
commands = ["{python} -m pytest -q -p no:cacheprovider tests"]

[recovery]
good = 2
interval_s = 0.05
dwell_s = 0.0
"""


def project(folder: Path, server: Postgres, database: str, more: str = 'teach = ["schema"]\n') -> Path:
    """Make the repository, whose staging is this database; `more` stands in the service's table."""
    (folder / "config").mkdir(parents=True)
    text = CONFIG.format(
        url=server.url("sslmode=disable", database=database),
        port=free_port(),
        more=more,
        python=sys.executable,
    )
    (folder / "config" / "runbook.toml").write_text(text)
    return folder
