"""Turn configuration texts and variables into Settings, or refuse them by name."""

from __future__ import annotations

import base64
import difflib
import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from resilience.core.envtext import read_env_text
from resilience.core.errors import NotConfiguredError, SettingsError, did_you_mean
from resilience.core.records import ServiceType, TestExecutionMode
from resilience.core.secret import Secret, looks_secret
from resilience.core.settings import (
    PROFILE_FILES,
    Deadlines,
    EscalationSettings,
    ModeSettings,
    RecoverySettings,
    Service,
    Settings,
    Wishes,
)
from resilience.core.urls import (
    SCHEMES,
    UrlParts,
    url_parts,
    url_regions,
)
from resilience.settings.tables import LONGEST_WAIT_S, Table, parse, sort_of

PERCENT_HINT = (
    "percent-encode it: "
    "python3 -c 'import getpass, urllib.parse; print(urllib.parse.quote(getpass.getpass(), safe=\"\"))'"
)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SERVICE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_VARIABLE = re.compile(r"\$\{([^}]*)(\}?)")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)(\}?)|\{([A-Za-z_]+)\}")
_WISH_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def require_configured(settings: Settings) -> Settings:
    """Return the settings back, or raise NotConfiguredError where no service of staging is configured at all."""
    if any(service.configured for service in settings.services):
        return settings
    unset = list(dict.fromkeys(name for service in settings.services for name in service.unset))
    nearest = min((service.unset for service in settings.services if service.unset), key=len, default=())
    first = " ".join(f"{name}=…" for name in nearest)
    shown = ", ".join(unset[:4]) + (f" and {len(unset) - 4} more" if len(unset) > 4 else "")
    raise NotConfiguredError(
        name="services of staging",
        source=_shown(settings.source, settings.root) if settings.source else "",
        found=f"0 of {len(settings.services)} configured" + (f" (unset: {shown})" if unset else ""),
        expected="at least one",
        hint=(
            f"{f'export {first}' if first else 'resilience init'}; all of them: resilience doctor; or look at one without "
            "any configuration: resilience assess --url postgresql://…; or see it at work: resilience drill "
            "database-unavailable"
        ),
    )


def build(
    toml_text: str,
    *,
    source: Path | None,
    root: Path,
    environ: Mapping[str, str],
    profile_texts: Mapping[str, str],
    home: Path | None = None,
    environment: str = "",
) -> Settings:
    """Return the settings of a configuration text, or raise SettingsError by name, file and line.

    `profile_texts` maps the names of env files, relative to `source`'s folder or to `root`, to their texts. Nothing
    is read: that the files named here exist is for the caller to see to. Services may all be unconfigured.
    """
    document = parse(toml_text, _shown(source, root))
    document.only("runbook", "service", "modes", "recovery", "escalation", "safety", "control")
    variables = _Variables.read(environ, profile_texts, source=source, root=root)
    deadlines = _deadlines(variables)
    tables = document.tables("service")
    local_names = _stand_in_names(tables)
    services = tuple(_service(table, variables, deadlines, local_names) for table in tables)
    _check_together(services, tables, variables)

    runbook = document.table("runbook")
    runbook.only("environment", "issue", "env_file", "env_target", "outputs", "python", "env_command")
    state = environ.get("RESILIENCE_STATE", "")
    modes = document.table("modes")
    modes.only(*(mode.value for mode in TestExecutionMode))
    recovery, escalation = document.table("recovery"), document.table("escalation")
    recovery_default, escalation_default = RecoverySettings(), EscalationSettings()
    recovery.only("good", "interval_s", "dwell_s")
    escalation.only("critical_down_minutes", "suite_failures", "persistent_minutes", "label", "mention")
    target = runbook.text("env_target")
    return Settings(
        root=root,
        source=source,
        environment=environment or runbook.text("environment", "staging", filled=True),
        issue=runbook.text("issue"),
        env_file=root / runbook.text("env_file", "config/.env.test.active", filled=True),
        env_target=root / target if target else None,
        outputs=root / runbook.text("outputs", "outputs", filled=True),
        state=root / state if state else root / ".resilience" / "state",
        data=root / state / "data" if state else _data_folder(root, environ, home),
        python=runbook.text("python"),
        env_command=runbook.text("env_command"),
        services=services,
        modes={mode: _mode(modes.table(mode.value)) for mode in TestExecutionMode if mode.value in modes.values},
        recovery=RecoverySettings(
            good=recovery.whole("good", recovery_default.good, least=1),
            interval_s=recovery.number("interval_s", recovery_default.interval_s),
            dwell_s=recovery.number("dwell_s", recovery_default.dwell_s, zero=True),
        ),
        escalation=EscalationSettings(
            critical_down_minutes=escalation.number("critical_down_minutes", escalation_default.critical_down_minutes),
            suite_failures=escalation.whole("suite_failures", escalation_default.suite_failures, least=1),
            persistent_minutes=escalation.number("persistent_minutes", escalation_default.persistent_minutes),
            label=escalation.text("label", escalation_default.label),
            mention=escalation.text("mention", escalation_default.mention),
        ),
        deny_hosts=_hosts(document.table("safety"), "deny_hosts"),
        control_targets=_hosts(document.table("control"), "targets"),
        wishes=_wishes(variables, services),
        deadlines=deadlines,
        profiles=variables.paths,
        profile_values={mode: dict(variables.plain(mode)) for mode in variables.paths},
        values=variables.used,
        secrets=_secrets(services, variables),
        applied_run=environ.get("RESILIENCE_APPLIED", ""),
        drill=environ.get("RESILIENCE_DRILL", ""),
    )


@dataclass(slots=True)
class _Variables:
    """The environment and the profiles' env files, and which may speak where."""

    environ: Mapping[str, str]
    files: tuple[tuple[TestExecutionMode | None, str, Mapping[str, tuple[str, int]]], ...]
    paths: dict[TestExecutionMode, Path]
    applied: bool
    used: dict[str, str]

    @classmethod
    def read(
        cls, environ: Mapping[str, str], texts: Mapping[str, str], *, source: Path | None, root: Path
    ) -> _Variables:
        files: list[tuple[TestExecutionMode | None, str, Mapping[str, tuple[str, int]]]] = []
        paths: dict[TestExecutionMode, Path] = {}
        for name, text in texts.items():
            path = source.parent / name if source is not None and "/" not in name else root / name
            shown = _shown(path, root)
            mode = next((mode for mode, file in PROFILE_FILES.items() if path.name == file), None)
            if mode:
                paths[mode] = path
            files.append((mode, shown, read_env_text(text, shown)))
        order = [*PROFILE_FILES, None]
        files.sort(key=lambda file: order.index(file[0]))
        return cls(environ, tuple(files), paths, bool(environ.get("RESILIENCE_APPLIED")), {})

    def plain(self, mode: TestExecutionMode) -> Mapping[str, str]:
        return {name: value for owner, _, file in self.files if owner is mode for name, (value, _) in file.items()}

    def profile(self, name: str) -> tuple[str, str] | None:
        """Return value and place from the first profile that sets the variable to something."""
        for mode, shown, file in self.files:
            if mode and name in file and file[name][0]:
                return file[name][0], f"{shown}:{file[name][1]}"
        return None

    def environment(self, name: str) -> tuple[str, str] | None:
        value = self.environ.get(name, "")
        return (value, "the environment") if value else None

    def any(self, name: str) -> tuple[str, str] | None:
        return self.environment(name) or self.profile(name)

    def is_applied(self, name: str) -> bool:
        """Whether the environment's value may be one that `apply` or `resilience env` put there."""
        return self.applied and any(file.get(name, ("",))[0] == self.environ.get(name) for _, _, file in self.files)

    def everywhere(self, name: str) -> Iterable[tuple[str, str]]:
        """Return each value with its place, the environment's first: all are checked, the first counts."""
        if found := self.environment(name):
            yield found
        for mode, shown, file in self.files:
            if mode and name in file and file[name][0]:
                yield file[name][0], f"{shown}:{file[name][1]}"


def _stand_in_names(tables: Sequence[Table]) -> frozenset[str]:
    """Return the variables that `apply` may point to a stand-in: those read by a `local`, and every export."""
    names: set[str] = set()
    for table in tables:
        local, exports = table.values.get("local"), table.values.get("exports")
        names.update(match[1] for match in _VARIABLE.finditer(local if isinstance(local, str) else ""))
        names.update(exports if isinstance(exports, dict) else ())
    return frozenset(names)


@dataclass(slots=True)
class _Filled:
    """A template with its variables filled in: what was missing, and where the values came from."""

    text: str
    unset: tuple[str, ...]
    places: tuple[tuple[str, str], ...] = ()
    from_profile: tuple[str, ...] = ()


_Lookup = Callable[[str], tuple[str, str] | None]


def _fill(template: str, lookup: _Lookup, table: Table, key: str) -> _Filled:
    """Fill `${NAME}` in; inside the user info of a URL values are percent-encoded, as they are raw there."""
    masked = _VARIABLE.sub(lambda match: "x" * len(match[0]), template)
    user_end, path_start = url_regions(masked)
    unset: list[str] = []
    places: list[tuple[str, str]] = []

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not match[2] or not _NAME.fullmatch(name):
            raise table.error(key, found=f"${{{name[:40]}", expected="a variable as ${NAME}")
        found = lookup(name)
        if found is None:
            unset.append(name)
            return ""
        places.append((name, found[1]))
        if match.start() < user_end:
            return quote(found[0], safe="")
        return quote(found[0], safe="/?=&%-._~:,+;!$'()*") if match.start() >= path_start else found[0]

    text = _VARIABLE.sub(value, template)
    profiled = tuple(name for name, place in places if place != "the environment")
    return _Filled(text, tuple(dict.fromkeys(unset)), tuple(places), profiled)


_ROUTE = re.compile(r"(?:(?:[A-Z]+|\*) )?/\S*(?: [1-5]\d\d)?")
_COMMON_KEYS = (
    *("name", "type", "url", "local", "exports", "prepare", "ready_query", "critical", "timeout_s"),
    *("degraded_above_s", "network", "depends_on", "markers", "tls_ca", "runbook_url", "owner", "dashboard_url"),
)
_TYPE_KEYS: Mapping[ServiceType, tuple[str, ...]] = {
    ServiceType.POSTGRESQL: ("readiness_url", "write_check"),
    ServiceType.REDIS: ("write_check",),
    ServiceType.CLICKHOUSE: ("write_check", "headers"),
    ServiceType.HTTP: ("headers", "expect_status", "expect_body", "expect_json", "mock_routes"),
    ServiceType.WEBSOCKET: ("headers", "echo", "expect_status"),
    ServiceType.OPENAI: ("headers", "expect_status", "expect_body", "expect_json"),
}


def _service(table: Table, variables: _Variables, deadlines: Deadlines, local_names: frozenset[str]) -> Service:
    name = table.text("name", required=True)
    if not _SERVICE_NAME.fullmatch(name):
        raise table.error("name", found=repr(name[:40]), expected="letters, digits, - and _, beginning with a letter")
    table.label = name
    every = dict.fromkeys([*_COMMON_KEYS, *(key for keys in _TYPE_KEYS.values() for key in keys)])
    table.only(*every, of="[[service]]")
    word = table.text("type", required=True)
    if word not in tuple(ServiceType):
        raise table.error("type", found=repr(word), expected="a service type", hint=did_you_mean(word, ServiceType))
    kind = ServiceType(word)
    silent = [key for key, value in table.values.items() if value in ({}, [], "", False, [200])]
    table.only(*_COMMON_KEYS, *_TYPE_KEYS[kind], *silent, of=f"a service of type {kind}")
    if "url" not in table.values and "local" not in table.values:
        raise table.error("url", found="nothing", expected="a url, a local stand-in, or both")

    headers, header_unset = _headers(table, variables)
    url, unset = _staging_url(table, kind, variables, local_names)
    readiness, readiness_unset = _side_url(table, variables)
    unset = tuple(dict.fromkeys((*unset, *header_unset, *readiness_unset)))
    local, local_unset, local_values = _local_url(table, kind, variables)
    exports = _exports(table, kind, variables, local, local_unset)
    return Service(
        name=name,
        type=kind,
        url=Secret("" if unset else url),
        unset=unset,
        local=Secret(local),
        local_unset=local_unset,
        local_names=tuple(dict.fromkeys(match[1] for match in _VARIABLE.finditer(table.text("local")))),
        local_values=local_values,
        exports=exports,
        prepare=table.texts("prepare"),
        ready_query=table.text("ready_query"),
        critical=table.flag("critical", False),
        timeout_s=_timeout(table, kind, deadlines),
        degraded_above_s=table.number("degraded_above_s", 1.0),
        network=table.text("network"),
        depends_on=table.texts("depends_on"),
        markers=_markers(table),
        tls_ca=_fill(table.text("tls_ca"), variables.any, table, "tls_ca").text,
        headers={} if unset else headers,
        expect_status=_statuses(table, (101,) if kind is ServiceType.WEBSOCKET else (200,)),
        expect_body=table.text("expect_body"),
        expect_json=_expect_json(table),
        mock_routes=_mock_routes(table),
        echo=table.text("echo"),
        readiness_url=readiness,
        write_check=table.flag("write_check", False),
        runbook_url=table.text("runbook_url"),
        owner=table.text("owner"),
        dashboard_url=table.text("dashboard_url"),
    )


def _staging_url(
    table: Table, kind: ServiceType, variables: _Variables, local_names: frozenset[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the URL and what is unset for it. What `apply` may have written never fills it."""

    def lookup(name: str) -> tuple[str, str] | None:
        if name in local_names:
            return None if variables.applied else variables.environment(name)
        return variables.profile(name) if variables.is_applied(name) else variables.any(name)

    template = table.text("url")
    filled = _fill(template, lookup, table, "url")
    if filled.unset or not filled.text:
        return "", filled.unset
    parts = _checked(filled, template, kind, table, "url")
    if parts.is_local and filled.from_profile:
        return "", filled.from_profile
    return filled.text, ()


def _local_url(table: Table, kind: ServiceType, variables: _Variables) -> tuple[str, tuple[str, ...], dict[str, str]]:
    """Return the stand-in's URL, what is unset for it, and its variables.

    It is always on this machine: a developer's POSTGRES_HOST may well name staging's, and then the profile's counts.
    """
    template = table.text("local")
    if not template:
        return "", (), {}

    def profile_first(name: str) -> tuple[str, str] | None:
        return variables.profile(name) or variables.environment(name)

    lookup: _Lookup = profile_first if variables.applied else variables.any
    filled = _fill(template, lookup, table, "local")
    if filled.unset:
        return "", filled.unset, {}
    parts = _checked(filled, template, kind, table, "local")
    if not parts.is_local:
        again = _fill(template, variables.profile, table, "local")
        if not again.unset and again.text != filled.text:
            filled, lookup = again, variables.profile
            parts = _checked(filled, template, kind, table, "local")
    if not parts.is_local:
        raise table.error(
            "local",
            found=parts.host,
            expected="a stand-in on this machine (127.0.0.1, localhost or a socket)",
            hint="a stand-in is prepared and written to, so it is never another host's",
        )
    values = {name: found[0] for name, _ in filled.places if (found := lookup(name))}
    variables.used.update(values)
    return filled.text, (), values


def _side_url(table: Table, variables: _Variables) -> tuple[str, tuple[str, ...]]:
    template = table.text("readiness_url")
    filled = _fill(template, variables.any, table, "readiness_url")
    if filled.text and not filled.unset:
        _checked(filled, template, ServiceType.HTTP, table, "readiness_url")
    return ("", filled.unset) if filled.unset else (filled.text, ())


def _checked(filled: _Filled, template: str, kind: ServiceType, table: Table, key: str) -> UrlParts:
    try:
        return url_parts(filled.text, kind)
    except ValueError as exc:
        what = str(exc)
    whole = _VARIABLE.fullmatch(template)
    names = list(dict.fromkeys(name for name, _ in filled.places))
    schemes = " or ".join(f"{scheme}://" for scheme in SCHEMES[kind])
    expected = f"a URL that begins with {schemes}" if "scheme" in what else "a URL that can be read"
    hint = PERCENT_HINT if "unescaped" in what else ""
    if "scheme" in what and kind is ServiceType.CLICKHOUSE:
        hint = "the HTTP interface is asked, usually port 8123: http://user:password@host:8123/database"
    if whole and filled.places:
        name, place = filled.places[0]
        raise SettingsError(name=name, source=place, found=f"({what})", expected=expected, hint=hint)
    if names and "unescaped" not in what:
        hint = hint or f"look at {', '.join(f'{name} ({place})' for name, place in dict.fromkeys(filled.places))}"
    raise table.error(key, found=f"({what})", expected=expected, hint=hint)


def _headers(table: Table, variables: _Variables) -> tuple[dict[str, Secret], tuple[str, ...]]:
    headers: dict[str, Secret] = {}
    unset: list[str] = []
    for name, template in table.mapping("headers").items():
        filled = _fill(template, variables.any, table, "headers")
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise table.error("headers", found=repr(name[:40]), expected="the name of an HTTP header")
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in filled.text):
            raise table.error(f"headers.{name}", expected="a value without line breaks and control characters")
        unset.extend(filled.unset)
        headers[name] = Secret(filled.text)
    return headers, tuple(unset)


def _exports(
    table: Table, kind: ServiceType, variables: _Variables, local: str, local_unset: tuple[str, ...]
) -> dict[str, Secret]:
    """Fill `{local}` and its parts into the exports; none can be given where the stand-in's own URL is not known."""
    known = ("local", "host", "port", "user", "password", "database")
    exports: dict[str, Secret] = {}
    for name, template in table.mapping("exports").items():
        if not _NAME.fullmatch(name):
            raise table.error("exports", found=repr(name[:40]), expected="the name of a variable")
        used = [match[3] for match in _PLACEHOLDER.finditer(template) if match[3]]
        if unknown := next((word for word in used if word not in known), None):
            raise table.error(
                f"exports.{name}",
                found=f"{{{unknown}}}",
                expected="{" + "}, {".join(known) + "}",
                hint=did_you_mean(unknown, known),
            )
        if used and "local" not in table.values:
            raise table.error(
                f"exports.{name}",
                found=f"{{{used[0]}}}",
                expected="a service with a local stand-in",
                hint='local = "…" beside it',
            )
        if local_unset:
            continue
        exports[name] = Secret(_export(template, name, used, kind, variables, local, table))
    return exports


def _export(
    template: str, name: str, used: Sequence[str], kind: ServiceType, variables: _Variables, local: str, table: Table
) -> str:
    parts = url_parts(local, kind) if local else None
    values = {} if parts is None else _placeholders(parts, local)
    user_end, _ = url_regions(_PLACEHOLDER.sub(lambda match: "x" * len(match[0]), template))

    def value(match: re.Match[str]) -> str:
        if match[3]:
            text = values[match[3]]
        else:
            found = variables.profile(match[1]) or variables.environment(match[1])
            if not match[2] or not _NAME.fullmatch(match[1]) or found is None:
                raise table.error(f"exports.{name}", found=match[0], expected="a variable that is set, as ${NAME}")
            text = found[0]
        return quote(text, safe="") if match.start() < user_end else text

    return _PLACEHOLDER.sub(value, template)


def _placeholders(parts: UrlParts, local: str) -> dict[str, str]:
    return {
        "local": local,
        "host": parts.host,
        "port": "" if parts.port is None else str(parts.port),
        "user": parts.user,
        "password": parts.password.reveal(),
        "database": parts.database,
    }


def _timeout(table: Table, kind: ServiceType, deadlines: Deadlines) -> float:
    default = deadlines.websocket_connection_s if kind is ServiceType.WEBSOCKET else deadlines.staging_connection_s
    if deadlines.health_check_s is not None:
        default = min(default, deadlines.health_check_s)
    return table.number("timeout_s", default)


def _statuses(table: Table, default: tuple[int, ...]) -> tuple[int, ...]:
    given = table.values.get("expect_status", list(default))
    found = given if isinstance(given, list) else [given]
    if not found or not all(type(code) is int and 100 <= code <= 599 for code in found):
        raise table.error("expect_status", found=repr(given)[:40], expected="HTTP statuses as [200, 204]")
    return tuple(found)


def _expect_json(table: Table) -> dict[str, str]:
    given = table.values.get("expect_json", {})
    if not isinstance(given, dict) or any(isinstance(value, list | dict) for value in given.values()):
        raise table.error("expect_json", found=sort_of(given), expected='fields and their values, as { status = "ok" }')
    return {name: _json_text(value) for name, value in given.items()}


def _mock_routes(table: Table) -> tuple[str, ...]:
    routes = table.texts("mock_routes")
    if bad := next((route for route in routes if not _ROUTE.fullmatch(route)), None):
        raise table.error(
            "mock_routes", found=repr(bad)[:60], expected='"METHOD /path STATUS", such as "POST /api/orders 201"'
        )
    return routes


def _json_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _markers(table: Table) -> tuple[str, ...]:
    markers = table.texts("markers")
    if bad := next((marker for marker in markers if not _NAME.fullmatch(marker)), None):
        raise table.error("markers", found=repr(bad[:40]), expected='names of pytest markers, as ["real_database"]')
    return markers


def _check_together(services: Sequence[Service], tables: Sequence[Table], variables: _Variables) -> None:
    """Check what no service can be asked alone: names, dependencies, and that staging is not a stand-in."""
    by_name: dict[str, Service] = {}
    for service, table in zip(services, tables, strict=True):
        if service.name in by_name:
            raise table.error("name", found=repr(service.name), expected="a name that no other service has")
        by_name[service.name] = service
    for service, table in zip(services, tables, strict=True):
        if unknown := next((name for name in service.depends_on if name not in by_name), None):
            raise table.error(
                "depends_on", found=repr(unknown), expected="a service's name", hint=did_you_mean(unknown, by_name)
            )
    if cycle := _cycle({service.name: service.depends_on for service in services}):
        table = next(table for table in tables if table.label == cycle[0])
        raise table.error("depends_on", found=" → ".join(cycle), expected="dependencies without a circle")
    if variables.environ.get("RESILIENCE_DRILL"):
        return
    stand_ins = {_address(service.local, service.type): service for service in services if service.local}
    for service, table in zip(services, tables, strict=True):
        address = _address(service.url, service.type) if service.configured else None
        if address is None or address not in stand_ins:
            continue
        names = [match[1] for match in _VARIABLE.finditer(table.text("url"))]
        hint = f"unset {' '.join(names)}" if names else "a stand-in must never pass for staging"
        # A developer's REDIS_URL may name staging, here through a tunnel: then that is the one to unset.
        if ours := [name for name in stand_ins[address].local_names if variables.environment(name)]:
            hint += f"; or, where it is the stand-in's that names staging: unset {' '.join(ours)}"
        raise table.error(
            "url",
            found=f"({address}, the stand-in of {stand_ins[address].name})",
            expected="staging's own address",
            hint=hint,
        )


def _address(url: Secret, kind: ServiceType) -> str:
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


def _mode(table: Table) -> ModeSettings:
    table.only("commands", "select")
    return ModeSettings(commands=table.texts("commands"), select=table.text("select").strip())


def _hosts(table: Table, key: str) -> tuple[str, ...]:
    table.only(key)
    hosts = table.texts(key)
    if key == "deny_hosts" and (bad := next((host for host in hosts if "://" in host or "@" in host), None)):
        raise table.error(key, found=f"{len(bad)} characters", expected="host names, addresses or ranges, without ://")
    return hosts


_DEADLINES: Mapping[str, str] = {
    "health_check_s": "INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT",
    "staging_connection_s": "STAGING_CONNECTION_TIMEOUT",
    "websocket_connection_s": "WEBSOCKET_CONNECTION_TIMEOUT",
    "websocket_recv_s": "WEBSOCKET_RECV_TIMEOUT",
    "websocket_send_s": "WEBSOCKET_SEND_TIMEOUT",
    "fallback_activation_s": "FALLBACK_ACTIVATION_TIMEOUT",
    "fallback_prepare_s": "FALLBACK_PREPARE_TIMEOUT",
    "agent_execution_s": "AGENT_EXECUTION_TIMEOUT",
    "agent_thinking_s": "AGENT_THINKING_TIMEOUT",
    "agent_tool_s": "AGENT_TOOL_TIMEOUT",
}


def _deadlines(variables: _Variables) -> Deadlines:
    given: dict[str, float] = {}
    for field_name, name in _DEADLINES.items():
        default = getattr(Deadlines(), field_name) or 5.0
        numbers = [_seconds(name, value, place, default) for value, place in variables.everywhere(name)]
        if numbers:
            given[field_name] = numbers[0]
    attempts = [_attempts(value, place) for value, place in variables.everywhere("TEST_RETRY_ATTEMPTS")]
    delays = [
        _seconds("TEST_RETRY_DELAY", value, place, 2.0, zero=True)
        for value, place in variables.everywhere("TEST_RETRY_DELAY")
    ]
    deadlines = Deadlines()
    return replace(
        deadlines,
        **given,
        retry_attempts=attempts[0] if attempts else deadlines.retry_attempts,
        retry_delay_s=delays[0] if delays else deadlines.retry_delay_s,
    )


def _attempts(value: str, place: str) -> int:
    if re.fullmatch(r"[0-9]{1,3}", value.strip()):
        return int(value)
    raise SettingsError(
        name="TEST_RETRY_ATTEMPTS",
        source=place,
        found=repr(value[:40]),
        expected="a whole number",
        hint="TEST_RETRY_ATTEMPTS=3",
    )


def _seconds(name: str, value: str, place: str, example: float, *, zero: bool = False) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if math.isfinite(number) and (number > 0 or (zero and number == 0)) and number <= LONGEST_WAIT_S:
        return number
    raise SettingsError(
        name=name,
        source=place,
        found=repr(value[:40]),
        expected=f"seconds, {'0 or more' if zero else 'more than 0'} and at most a day,",
        hint=f"{name}={example:g}",
    )


def _flag(variables: _Variables, name: str, found: tuple[str, str] | None) -> bool | None:
    if found is None:
        return None
    value = _WISH_WORDS.get(found[0].strip().lower())
    if value is None:
        raise SettingsError(
            name=name,
            source=found[1],
            found=repr(found[0][:40]),
            expected="true or false (or yes, no, on, off, 1, 0)",
            hint=f"{name}=true",
        )
    return value


_POLICIES: Mapping[str, tuple[str, ...]] = {
    "resilience_enabled": ("CONNECTIVITY_RESILIENCE_ENABLED",),
    "fallback_enabled": ("STAGING_CONNECTIVITY_FALLBACK", "TEST_GRACEFUL_DEGRADATION"),
    "skip_on_failure": ("TEST_SKIP_ON_INFRASTRUCTURE_FAILURE",),
}
_WISHES: Mapping[str, tuple[str, ...]] = {
    "degraded_at_least": ("INFRASTRUCTURE_DEGRADED_MODE",),
    "offline": ("TEST_OFFLINE", "NO_REAL_SERVERS"),
    "critical_only": ("TEST_CRITICAL_ONLY", "SKIP_NON_CRITICAL_TESTS"),
    "private_network_down": ("ISSUE_1278_WORKAROUND_ENABLED", "VPC_CONNECTOR_BYPASS_MODE", "CLOUD_SQL_FALLBACK_MODE"),
}
_LOCAL_MODES: Mapping[str, tuple[str, ServiceType | None]] = {
    "DATABASE_MODE": ("database", ServiceType.POSTGRESQL),
    "REDIS_MODE": ("redis", ServiceType.REDIS),
    "CLICKHOUSE_MODE": ("clickhouse", ServiceType.CLICKHOUSE),
}
_MOCK_MODES: Mapping[str, tuple[str, ServiceType | None]] = {
    "WEBSOCKET_MOCK_MODE": ("websocket", ServiceType.WEBSOCKET),
    "AUTH_FALLBACK_MODE": ("auth_service", None),
    "LLM_FALLBACK_MODE": ("llm_service", ServiceType.OPENAI),
}


def _wishes(variables: _Variables, services: Sequence[Service]) -> Wishes:
    """Read what a person asked for; what `apply` itself wrote asks for nothing.

    A mode is asked for in the environment alone: each profile names its own mode, and being there is not asking.
    What a profile may say is what not to do.
    """
    _check_flags(variables)
    asked: dict[str, str] = {}
    given: dict[str, bool] = {}

    def wish(name: str) -> tuple[str, str] | None:
        return None if variables.applied else variables.environment(name)

    def policy(name: str) -> tuple[str, str] | None:
        file = variables.plain(TestExecutionMode.DEGRADED)
        return wish(name) or ((file[name], PROFILE_FILES[TestExecutionMode.DEGRADED]) if file.get(name) else None)

    for field_name, names in _POLICIES.items():
        for name in names:
            found = policy(name)
            if _flag(variables, name, found) is False and found:
                given[field_name] = False
                asked.setdefault(field_name, f"{name}={found[0]}")
    for field_name, names in _WISHES.items():
        for name in names:
            found = wish(name)
            if _flag(variables, name, found) and found:
                given[field_name] = True
                asked.setdefault(field_name, f"{name}={found[0]}")
    local: list[str] = []
    for name, (service_name, kind) in {**_LOCAL_MODES, **_MOCK_MODES}.items():
        found = wish(name)
        wanted = _flag(variables, name, found) if name in _MOCK_MODES else _is_local(name, found)
        if wanted and found:
            for chosen in _called(services, service_name, kind):
                local.append(chosen)
                asked[f"local_services.{chosen}"] = f"{name}={found[0]}"
    if local:
        asked["local_services"] = ", ".join(dict.fromkeys(asked[f"local_services.{name}"] for name in local))
    return Wishes(**given, local_services=tuple(dict.fromkeys(local)), asked_by=asked)


def _called(services: Sequence[Service], name: str, kind: ServiceType | None) -> tuple[str, ...]:
    """Return the service of the guide's name, else all of its type: teams have their own names."""
    if any(service.name == name for service in services):
        return (name,)
    return tuple(service.name for service in services if service.type is kind)


def _is_local(name: str, found: tuple[str, str] | None) -> bool:
    """Whether the variable says local. Words of the team's own say nothing; a slip of the pen is refused."""
    word = found[0].strip().lower() if found else ""
    if found and word != "local" and difflib.get_close_matches(word, ["local"], cutoff=0.7):
        raise SettingsError(
            name=name, source=found[1], found=repr(found[0][:40]), expected="local, or nothing", hint=f"{name}=local"
        )
    return word == "local"


def _check_flags(variables: _Variables) -> None:
    """Refuse what is neither true nor false in any profile, also where the environment says otherwise now."""
    for names in (*_POLICIES.values(), *_WISHES.values(), tuple(_MOCK_MODES)):
        for name in names:
            for found in variables.everywhere(name):
                _flag(variables, name, found)


def secret_texts(variables: Iterable[tuple[str, str]]) -> set[str]:
    """Return the values among these variables that must not be shown: by their name, and passwords in URLs."""
    found: set[str] = set()
    for name, text in variables:
        if looks_secret(name):
            found.add(text)
        if "://" in text and (match := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^:/@\s]*:(.+)@", text)):
            found.update((match[1], unquote(match[1])))
    return found


def _secrets(services: Sequence[Service], variables: _Variables) -> tuple[Secret, ...]:
    """Return every value that must not be shown, longest first, so that no secret is cut by a shorter one."""
    found: set[str] = set()
    for service in services:
        for url in (service.url, service.local):
            if url:
                parts = url_parts(url, service.type)
                found.add(parts.password.reveal())
                if not parts.password and service.type is not ServiceType.POSTGRESQL:
                    found.add(parts.user)
                found.update(value for name, value in parse_qsl(parts.query) if looks_secret(name))
        for name, value in service.headers.items():
            found.update(_in_header(name, value.reveal()))
    everything = [variables.environ.items()]
    everything += [{name: value for name, (value, _) in file.items()}.items() for _, _, file in variables.files]
    for items in everything:
        found |= secret_texts(items)
    kept = sorted((text for text in found if text.strip()), key=lambda text: (-len(text), text))
    return tuple(Secret(text) for text in kept)


def _in_header(name: str, value: str) -> Iterator[str]:
    """Return a header's value, and what a server may make of it: the token, each cookie, the password of basic authentication."""
    yield value
    scheme, _, token = value.partition(" ")
    if "cookie" in name.lower():
        cookies = (cookie.strip().partition("=") for cookie in value.split(";"))
        # theme=dark is a cookie too, and would deface every page.
        yield from (value.strip('"') for name, _, value in cookies if len(value) >= 8 or looks_secret(name))
    else:
        yield token
    if scheme.lower() == "basic":
        with suppress(ValueError):
            yield base64.b64decode(token, validate=True).decode("utf-8", "replace").partition(":")[2]


def _data_folder(root: Path, environ: Mapping[str, str], home: Path | None) -> Path:
    """Return the folder of stand-ins' data: outside of the checkout, so that cleaning it keeps them, but one for each."""
    xdg = environ.get("XDG_STATE_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else (home or Path(environ.get("HOME") or root)) / ".local" / "state"
    return base / "resilience" / hashlib.sha256(str(root).encode()).hexdigest()[:12]


def _shown(path: Path | None, root: Path) -> str:
    if path is None:
        return ""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
