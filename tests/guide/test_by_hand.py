"""What `plan` prints to do by hand works as it is printed: files are there, and variables come before compose asks for them."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
import yaml

from resilience.host.files import read_env_file
from resilience.lab.lab import Lab
from resilience.lab.proxy import Dial, Mode
from resilience.settings.environment import shipped
from tests.kits.guide_kit import GuideTeam, compose_checker

DOUBLE = """#!/bin/sh
# Refuses as compose does: a file that is not there or is none by its schema, a variable that has to be set.
while [ "$1" != "-f" ]; do shift; done
test -f "$2" || exit 14
"$CHECKER" "$2" || exit 16
for name in $(grep -o '\\${[A-Z_]*:*?' "$2" | tr -d '${:?'); do
  eval "test -n \\"\\$$name\\"" || { echo "required variable $name is missing a value" >&2; exit 15; }
done
env | grep -E '^(POSTGRES|REDIS|CLICKHOUSE)_' > double.env
"""


@pytest.mark.slow
def test_the_recipe_by_hand_runs_as_it_is_printed(team: GuideTeam, lab: Lab) -> None:
    for name in ("database", "redis"):
        asyncio.run(lab.turn(name, Dial(mode=Mode.REFUSE)))
    (team.root / "bin").mkdir(exist_ok=True)
    (team.root / "bin/docker").write_text(DOUBLE)
    (team.root / "bin/docker").chmod(0o755)
    printed = json.loads(team.resilience("plan", "--json").stdout)["by_hand"]
    assert any("docker compose" in line for line in printed), printed
    done = team.bash("set -e\n" + "\n".join(printed), CHECKER=compose_checker(team.root))
    assert done.returncode == 0, done.stderr + "\n".join(printed)
    assert "REDIS_PASSWORD=local-stand-in-only" in (team.root / "double.env").read_text()
    assert (team.root / "config/.env.test.active").exists()


def test_the_shipped_compose_file_binds_to_loopback_and_takes_its_passwords_from_the_env_files() -> None:
    """Beyond the schema of the compose specification: ports are of loopback, passwords come from the env files."""
    path = shipped("docker") / "docker-compose.local.yml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(document) == {"name", "services", "volumes"}
    for name, service in document["services"].items():
        assert set(service) <= {"image", "environment", "command", "ports", "volumes", "healthcheck", "ulimits"}, name
        assert all(re.match(r"\$\{\w+_BIND:-127\.0\.0\.1\}:\$\{\w+:-\d+\}:\d+$", port) for port in service["ports"]), (
            name
        )
        assert {volume.partition(":")[0] for volume in service["volumes"]} <= set(document["volumes"])
        assert service["healthcheck"]["test"][0] == "CMD-SHELL"
    needed = set(re.findall(r"\$\{(\w+):?\?", path.read_text(encoding="utf-8")))
    for file in (".env.test.resilient", ".env.test.local", ".env.test.minimal"):
        assert needed <= set(read_env_file(Path(shipped("config")) / file)), file
