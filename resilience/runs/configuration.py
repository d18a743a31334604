"""Turn the configuration that counts here into Settings, with the kinds of services that this package and others know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from resilience.core.settings import Settings
from resilience.services.registry import KINDS
from resilience.settings import environment as reading


def load_settings(
    config: Path | str | None = None,
    *,
    environment: str = "",
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of the configuration that counts here, or raise SettingsError.

    `resilience.settings.environment.load_settings` says which one that is.

    The only door to settings that knows the registry of kinds: rooms below take Settings as a value.

    For example:

        [service.name for service in load_settings().services if service.configured]
    """
    return reading.load_settings(config, kinds=KINDS, environment=environment, cwd=cwd, environ=environ)


def settings_for_url(
    urls: Sequence[str], *, environment: str = "", cwd: Path | None = None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Return settings for a look at these URLs alone; see `resilience.settings.environment.settings_for_url`."""
    return reading.settings_for_url(urls, kinds=KINDS, environment=environment, cwd=cwd, environ=environ)
