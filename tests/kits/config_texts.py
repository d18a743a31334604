"""Configuration texts for tests, and what becomes of them: settings, or the words of the refusal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.core.settings import Settings
from resilience.services.registry import KINDS
from resilience.settings.build import build

ROOT = Path("/srv/app")
DATABASE = """
[[service]]
name = "database"
type = "postgresql"
url = "postgresql://${STAGING_USER}:${STAGING_PASSWORD}@${STAGING_HOST}:5432/app"
local = "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${POSTGRES_HOST}:${POSTGRES_PORT}/app_test"
exports = { DATABASE_URL = "{local}" }
"""
PROFILE = "POSTGRES_USER=dev\nPOSTGRES_PASSWORD=dev-only\nPOSTGRES_HOST=127.0.0.1\nPOSTGRES_PORT=5435\n"
STAGING = {"STAGING_USER": "app", "STAGING_PASSWORD": "s3cret-pw", "STAGING_HOST": "db.staging.example"}


def settings(
    toml: str = "",
    environ: Mapping[str, str] | None = None,
    profiles: Mapping[str, str] | None = None,
    *,
    staging: str = "",
) -> Settings:
    return build(
        toml,
        source=ROOT / "config/runbook.toml",
        root=ROOT,
        environ=environ or {},
        profile_texts=profiles or {},
        kinds=KINDS,
        home=Path("/home/me"),
        staging_text=staging,
    )


def refused(
    toml: str,
    environ: Mapping[str, str] | None = None,
    profiles: Mapping[str, str] | None = None,
    *,
    staging: str = "",
) -> str:
    with pytest.raises(SettingsError) as caught:
        settings(toml, environ, profiles, staging=staging)
    return str(caught.value)


def one(type_: str, **lines: str) -> str:
    rest = "\n".join(f"{key} = {value}" for key, value in lines.items())
    return f'[[service]]\nname = "it"\ntype = "{type_}"\n{rest}\n'
