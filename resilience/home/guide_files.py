"""Turn the outage guide's list of files into files of a team's repository: configuration, env files, compose and scripts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from resilience.core.errors import UsageError
from resilience.settings.environment import CONFIG_NAMES, find_root, shipped

_RESILIENT = """\
#!/bin/bash
# run_resilient_tests.sh

# Load resilient configuration; pytest gets its switches, and no address of a stand-in that nobody started
source config/.env.test.resilient
export INFRASTRUCTURE_DEGRADED_MODE TEST_GRACEFUL_DEGRADATION TEST_SKIP_ON_INFRASTRUCTURE_FAILURE
export TEST_RETRY_ATTEMPTS TEST_RETRY_DELAY INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT STAGING_CONNECTION_TIMEOUT

# Run infrastructure health check
python -c "
import asyncio
from resilience import validate_infrastructure_health

async def main():
    health = await validate_infrastructure_health()
    print(f'Infrastructure status: {health.overall_status.value}')
    if not health.is_staging_available:
        print('Staging unavailable - using fallback configuration')

asyncio.run(main())
"

# Run tests with resilience
pytest tests/ --tb=short -v \\
    --maxfail=5 \\
    --durations=10 \\
    -m "not slow"
"""
_CRITICAL = """\
#!/bin/bash
# run_critical_tests.sh

# Enable critical-only mode
export TEST_CRITICAL_ONLY=true
export SKIP_NON_CRITICAL_TESTS=true

# Run business-critical tests only
pytest tests/ \\
    -m "critical or mission_critical or golden_path" \\
    --tb=short \\
    -v
"""
_WORKFLOW = """\
#!/bin/bash
# dev_workflow_during_outage.sh

echo "Checking infrastructure health..."

# Quick health check
python -c "
import asyncio
from resilience import validate_critical_services

async def main():
    health = await validate_critical_services()
    print(f'Critical services: {health.overall_status.value}')
    if health.should_use_fallback:
        print('Using fallback configuration')

asyncio.run(main())
"

# Load resilient configuration; into the active file, so that a .env of your own stays as it is, and so does what is applied
grep -qs RESILIENCE_APPLIED config/.env.test.active || cp config/.env.test.resilient config/.env.test.active

# Run development tests
pytest tests/unit/ tests/integration/ \\
    -x \\
    --tb=short \\
    -q \\
    -m "not staging"
code=$?

echo "Development tests complete"
exit $code
"""
SCRIPTS: Mapping[str, str] = {
    "run_resilient_tests.sh": _RESILIENT,
    "run_critical_tests.sh": _CRITICAL,
    "dev_workflow_during_outage.sh": _WORKFLOW,
}
"""The guide's scripts; each ends with the exit code of its tests."""
_SHIPPED = {
    "config/.env.test.resilient": "config",
    "config/.env.test.local": "config",
    "config/.env.test.minimal": "config",
    "docker/docker-compose.local.yml": "docker",
}
_IGNORED = ("config/.env.test.active", "outputs/", ".resilience/")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideFiles:
    """What of the guide's files was written, and what was there already and left as it is."""

    written: tuple[Path, ...]
    kept: tuple[Path, ...]


def guide_files() -> Mapping[str, str]:
    """Return the path of each file of the guide, from the repository's root, with its text."""
    files = {"config/runbook.toml": (shipped("config") / "runbook.toml").read_text(encoding="utf-8")}
    for name, room in _SHIPPED.items():
        files[name] = (shipped(room) / Path(name).name).read_text(encoding="utf-8")
    return {**files, **SCRIPTS}


def write_guide_files(folder: Path) -> GuideFiles:
    """Write the guide's files below the repository's root; a file that is there is left as it is.

    Refused where a `resilience.toml` is there: it would count, and the guide's `config/runbook.toml` would not. The active
    env file and what the runbook writes are added to `.gitignore`, since they may hold passwords.
    """
    root = find_root(folder.resolve() / CONFIG_NAMES[0])
    if (root / CONFIG_NAMES[0]).exists():
        raise UsageError(
            f"{CONFIG_NAMES[0]} is there: it would count, and the guide's config/runbook.toml would not.",
            hint=f"mv {CONFIG_NAMES[0]} {CONFIG_NAMES[0]}.old; resilience init --guide --write",
        )
    written, kept = [], []
    for name, text in guide_files().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            kept.append(path)
            continue
        if name.endswith(".sh"):
            path.chmod(0o755)
        written.append(path)
    if _ignore(root / ".gitignore"):
        written.append(root / ".gitignore")
    return GuideFiles(written=tuple(written), kept=tuple(kept))


def _ignore(path: Path) -> bool:
    """Add what git is not to keep, each line once; return whether anything was added."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    known = set(re.split(r"\s*\n\s*", text.strip()))
    missing = [line for line in _IGNORED if line not in known]
    if missing:
        gap = "" if not text or text.endswith("\n") else "\n"
        path.write_text(text + gap + "\n".join(missing) + "\n", encoding="utf-8")
    return bool(missing)
