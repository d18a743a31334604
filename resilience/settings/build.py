"""Turn configuration texts and variables into Settings, or refuse them by name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from resilience.core.errors import NotConfiguredError, SettingsError, did_you_mean
from resilience.core.kind import Kind, Kinds
from resilience.core.records import TestExecutionMode
from resilience.core.secret import Secret
from resilience.core.settings import (
    HistorySettings,
    ModeSettings,
    RecoverySettings,
    Service,
    Settings,
    TeachSettings,
)
from resilience.core.urls import is_loopback, url_parts
from resilience.host.trust import STAND_INS, own_in, trusting
from resilience.settings.secrets import all_secrets
from resilience.settings.service import read_service, stand_in_names
from resilience.settings.tables import Table, parse
from resilience.settings.telling import (
    read_alerts,
    read_escalation,
    read_maintenance,
    read_publish,
    read_watch,
    secrets_of,
)
from resilience.settings.variables import VARIABLE, Variables, shown_path
from resilience.settings.wishes import read_deadlines, read_wishes

CONFIGURATION_KEYS = (
    *("runbook", "service", "modes", "recovery", "escalation", "history", "teach", "safety", "control"),
    *("publish", "alerts", "watch", "maintenance"),
)


def require_configured(settings: Settings) -> Settings:
    """Return the settings back, or raise NotConfiguredError where no service of staging is configured at all."""
    if any(service.configured for service in settings.services):
        return settings
    unset = list(dict.fromkeys(name for service in settings.services for name in service.unset))
    shown = ", ".join(unset[:4]) + (f" and {len(unset) - 4} more" if len(unset) > 4 else "")
    own = settings.source is not None and settings.root in settings.source.parents
    raise NotConfiguredError(
        name="service of staging",
        source=shown_path(settings.source, settings.root) if settings.source else "",
        found=f"0 of {len(settings.services)}; unset: {shown}" if own and unset else "",
        hint=(
            f"resilience {'doctor' if own and unset else 'init'}; one alone: resilience assess --url postgresql://…; "
            "or practise: resilience drill"
        ),
    )


def build(
    toml_text: str,
    *,
    source: Path | None,
    root: Path,
    environ: Mapping[str, str],
    profile_texts: Mapping[str, str],
    kinds: Kinds,
    home: Path | None = None,
    environment: str = "",
    staging_text: str = "",
) -> Settings:
    """Return the settings of a configuration text, or raise SettingsError by name, file and line.

    `profile_texts` maps the names of env files, relative to `source`'s folder or to `root`, to their texts;
    `staging_text` is the text of `staging_env`.

    Nothing is read: that the files named here exist is for the caller to see to. Services may all be unconfigured.
    """
    document = parse(toml_text, shown_path(source, root))
    document.only(*CONFIGURATION_KEYS)
    runbook = document.table("runbook")
    runbook.only(
        *("environment", "issue", "env_file", "env_target", "outputs", "python", "env_command"),
        *("staging_env", "staging_exports", "guide_variables"),
    )
    staging_env = runbook.text("staging_env")
    variables = Variables.read(
        environ, profile_texts, source=source, root=root, staging={staging_env: staging_text} if staging_env else {}
    )
    deadlines = read_deadlines(variables)
    tables = document.tables("service")
    local_names = stand_in_names(tables)
    services = tuple(read_service(table, variables, deadlines, local_names, kinds) for table in tables)
    _check_together(services, tables, variables)

    state = environ.get("RESILIENCE_STATE", "")
    modes = document.table("modes")
    modes.only(*(mode.value for mode in TestExecutionMode))
    recovery, recovery_default = document.table("recovery"), RecoverySettings()
    recovery.only("good", "interval_s", "dwell_s", "commands")
    target = runbook.text("env_target")
    alerts, watch = read_alerts(document.table("alerts"), variables), read_watch(document.table("watch"), variables)
    data = root / state / "data" if state else _data_folder(root, environ, home)
    return Settings(
        root=root,
        source=source,
        environment=environment or runbook.text("environment", "staging", filled=True),
        issue=runbook.text("issue"),
        env_file=root / runbook.text("env_file", "config/.env.test.active", filled=True),
        env_target=root / target if target else None,
        outputs=root / runbook.text("outputs", "outputs", filled=True),
        state=root / state if state else root / ".resilience" / "state",
        data=data,
        python=runbook.text("python"),
        env_command=runbook.text("env_command"),
        staging_exports=runbook.flag("staging_exports", False),
        staging_env=root / staging_env if staging_env else None,
        guide_variables=runbook.flag("guide_variables", False),
        services=services,
        modes={mode: _mode(modes.table(mode.value)) for mode in TestExecutionMode if mode.value in modes.values},
        recovery=RecoverySettings(
            good=recovery.whole("good", recovery_default.good, least=1),
            interval_s=recovery.number("interval_s", recovery_default.interval_s),
            dwell_s=recovery.number("dwell_s", recovery_default.dwell_s, zero=True),
            commands=recovery.texts("commands"),
        ),
        escalation=read_escalation(document.table("escalation")),
        publish=read_publish(document.table("publish")),
        alerts=alerts,
        watch=watch,
        maintenance=read_maintenance(document.tables("maintenance"), services),
        teach=_teach(document.table("teach")),
        history=_history(document.table("history"), environ.get("RESILIENCE_HISTORY", ""), services),
        deny_hosts=_hosts(document.table("safety"), "deny_hosts"),
        control_targets=_hosts(document.table("control"), "targets"),
        wishes=read_wishes(variables, services),
        deadlines=deadlines,
        profiles=variables.paths,
        profile_values={mode: dict(variables.plain(mode)) for mode in variables.paths},
        trusted=_trusted(services, environ, data),
        values=variables.used,
        secrets=all_secrets(services, variables, secrets_of(alerts, watch)),
        applied_run=environ.get("RESILIENCE_APPLIED", ""),
        drill=environ.get("RESILIENCE_DRILL", ""),
    )


def _trusted(services: Sequence[Service], environ: Mapping[str, str], data: Path) -> dict[str, str]:
    if not any(service.recorder_tls for service in services):
        return {}
    return trusting(data / STAND_INS, own_in(environ, data))


def _check_together(services: Sequence[Service], tables: Sequence[Table], variables: Variables) -> None:
    """Check what no service can be asked alone: names, dependencies, and that staging is not a stand-in."""
    told = tuple(zip(services, tables, strict=True))
    _check_names(told)
    _check_dependencies(told)
    # A drill's staging is on this machine, and its own.
    if not variables.environ.get("RESILIENCE_DRILL"):
        _check_addresses(told, variables)


_Told = Sequence[tuple[Service, Table]]


def _check_names(told: _Told) -> None:
    seen: set[str] = set()
    for service, table in told:
        if service.name in seen:
            raise table.error("name", found=repr(service.name), expected="a name that no other service has")
        seen.add(service.name)


def _check_dependencies(told: _Told) -> None:
    names = [service.name for service, _ in told]
    for service, table in told:
        if unknown := next((name for name in service.depends_on if name not in names), None):
            raise table.error(
                "depends_on", found=repr(unknown), expected="a service's name", hint=did_you_mean(unknown, names)
            )
    if cycle := _cycle({service.name: service.depends_on for service, _ in told}):
        table = next(table for service, table in told if service.name == cycle[0])
        raise table.error("depends_on", found=" → ".join(cycle), expected="dependencies without a circle")


def _check_addresses(told: _Told, variables: Variables) -> None:
    """Refuse a staging URL that leads to a stand-in: tests against it would prove nothing about staging.

    The hint names the variables of that URL. A developer's REDIS_URL may name staging, here through a tunnel: then the
    stand-in's variable is the wrong one, and is named as well.
    """
    stand_ins = {_address(service.local, service.kind): service for service, _ in told if service.local}
    for service, table in told:
        address = _address(service.url, service.kind) if service.configured else None
        if address is None or address not in stand_ins:
            continue
        names = [match[1] for match in VARIABLE.finditer(table.text("url"))]
        hint = f"unset {' '.join(names)}" if names else "a stand-in must never pass for staging"
        if ours := [name for name in stand_ins[address].local_names if variables.environment(name)]:
            hint += f"; or, where it is the stand-in's that names staging: unset {' '.join(ours)}"
        raise table.error(
            "url",
            found=f"({address}, the stand-in of {stand_ins[address].name})",
            expected="staging's own address",
            hint=hint,
        )


def _address(url: Secret, kind: Kind) -> str:
    parts = url_parts(url, kind)
    loopback = parts.is_local and not parts.host.startswith("/")
    return f"{'127.0.0.1' if loopback else parts.host.lower()}:{parts.port or ''}"


def _cycle(edges: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return one circle of dependencies, its first name repeated at the end; empty where there is none."""
    done: set[str] = set()

    def walk(name: str, trail: tuple[str, ...]) -> tuple[str, ...]:
        if name in trail:
            return (*trail[trail.index(name) :], name)
        if name in done:
            return ()
        for child in edges.get(name, ()):
            if found := walk(child, (*trail, name)):
                return found
        done.add(name)
        return ()

    return next((found for name in edges if (found := walk(name, ()))), ())


def _teach(table: Table) -> TeachSettings:
    table.only("every_hours", "stale_days", "delete_after_days")
    default = TeachSettings()
    return TeachSettings(
        every_hours=table.number("every_hours", default.every_hours),
        stale_days=table.number("stale_days", default.stale_days),
        delete_after_days=table.number("delete_after_days", default.delete_after_days),
    )


def _history(table: Table, shared: str, services: Sequence[Service]) -> HistorySettings:
    """Read how long samples are kept, and the variable that names the database in which hosts share theirs.

    That is never a database which is itself judged here, or stands in for one: its outage would take along what is known
    of it, and looking back would be load on what is looked at. Raises SettingsError, without the URL.
    """
    table.only("keep_days")
    keep_days = table.number("keep_days", HistorySettings().keep_days)
    if not shared:
        return HistorySettings(keep_days=keep_days)
    url = urlsplit(shared)
    if not re.fullmatch(r"postgres(ql)?", url.scheme) or not url.hostname:
        raise SettingsError(
            name="RESILIENCE_HISTORY",
            found=f"a URL with the scheme {url.scheme or 'of none'!r} and {'a' if url.hostname else 'no'} host",
            expected="the URL of a PostgreSQL",
            hint="export RESILIENCE_HISTORY=postgresql://USER:PASSWORD@HOST/DATABASE, or unset RESILIENCE_HISTORY",
        )
    host = "127.0.0.1" if is_loopback(url.hostname) else url.hostname.lower()
    address = f"{host}:{url.port or 5432}"
    for service in services:
        if address in {_address(where, service.kind) for where in (service.url, service.local) if where}:
            raise SettingsError(
                name="RESILIENCE_HISTORY",
                found=f"({address}, the address of the service {service.name}, which is judged here)",
                expected="a database of its own",
                hint="unset RESILIENCE_HISTORY, or name another server",
            )
    return HistorySettings(keep_days=keep_days, shared=Secret(shared))


def _mode(table: Table) -> ModeSettings:
    table.only("commands", "select")
    return ModeSettings(commands=table.texts("commands"), select=table.text("select").strip())


def _hosts(table: Table, key: str) -> tuple[str, ...]:
    table.only(key)
    hosts = table.texts(key)
    if key == "deny_hosts" and (bad := next((host for host in hosts if "://" in host or "@" in host), None)):
        raise table.error(key, found=f"{len(bad)} characters", expected="host names, addresses or ranges, without ://")
    return hosts


def _data_folder(root: Path, environ: Mapping[str, str], home: Path | None) -> Path:
    """Return the folder of stand-ins' data: outside of the checkout, so that cleaning it keeps them, but one for each."""
    xdg = environ.get("XDG_STATE_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else (home or Path(environ.get("HOME") or root)) / ".local" / "state"
    return base / "resilience" / hashlib.sha256(str(root).encode()).hexdigest()[:12]
