"""Turn the words behind a verb into settings, a mode, seconds, pairs, a run's folder and services, or refuse them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from resilience.cli.demand import on_demand
from resilience.core.errors import UsageError, did_you_mean
from resilience.core.plain import plain
from resilience.core.secret import looks_secret

with on_demand():
    from resilience.core import redact
    from resilience.runs import configuration, folder, stages

if TYPE_CHECKING:
    from resilience.core.records import TestExecutionMode
    from resilience.core.settings import Service, Settings


def settings_from(config: str, environment: str = "", urls: list[str] | None = None) -> Settings:
    """Return the settings of `--config`, or those of `--url` alone, which need no configuration.

    Raises SettingsError. `--url` leaves every configuration file aside.
    """
    if urls:
        return configuration.settings_for_url(urls)
    return configuration.load_settings(config or None, environment=environment)


def mode_from(force: str) -> TestExecutionMode | None:
    """Return the mode that `--force` names, None where it names none."""
    return stages.parse_mode(force) if force else None


def check_seconds(option: str, value: float | None, *, zero: bool = False) -> None:
    """Refuse what is no length of time; click takes -1 and nan for numbers."""
    if value is not None and not (0 < value < float("inf") or (zero and value == 0)):
        least = "0 or more" if zero else "above 0"
        raise UsageError(f"{option} {value:g}: seconds {least} were expected.", hint=f"{option} 300")


def pairs_from(given: Sequence[str] | None, settings: Settings) -> dict[str, object]:
    """Return what `-p name=value` gave, values still as texts.

    A value that is a secret of these settings, or looks like one, is refused and not shown: papermill writes parameters
    into each notebook, which is passed on. It comes by a variable that the configuration names.
    """
    redactor = redact.Redactor(settings.secrets)
    pairs: dict[str, object] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UsageError(f"-p {redactor.short(text)}: name=value was expected.", hint="-p samples=3")
        name = name.strip()
        if looks_secret(name) or redactor.text(value) != plain(value):
            raise UsageError(
                f"-p {redactor.short(name)}: its value looks like a secret, which notebooks would show.",
                hint='export NAME=…, and "${NAME}" where resilience.toml needs it',
            )
        pairs[name] = value
    return pairs


def run_folder(settings: Settings, name: str) -> Path:
    """Return the folder of a run by its path, or by its name in outputs; of the newest for `latest`.

    Raises UsageError for a run that is not there, or none at all.
    """
    if name in ("", "latest"):
        return folder.latest(settings)
    for path in (Path(name), settings.outputs / name):
        if folder.holds_run(path):
            return path.resolve()
    raise UsageError(f"run {name!r} is unknown.", hint=f"ls {settings.outputs}")


def services_named(settings: Settings, names: Sequence[str] | None) -> list[Service]:
    """Return the services of these names; all that have a stand-in where none is named.

    Raises UsageError, with the nearest name. The order is that of the configuration.
    """
    known = [service.name for service in settings.services]
    for name in names or ():
        if name not in known:
            raise UsageError(f"service {name!r} is unknown.", hint=did_you_mean(name, known))
    return [service for service in settings.services if (service.name in names if names else bool(service.local))]
