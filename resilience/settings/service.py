"""Turn one [[service]] table into a Service, or refuse it by key, file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from resilience.core.errors import SettingsError, did_you_mean
from resilience.core.kind import SHARED_KEYS, Kind, Kinds
from resilience.core.secret import Secret
from resilience.core.settings import PORT, Deadlines, PortWish, Service
from resilience.core.urls import UrlParts, url_parts, url_regions
from resilience.settings.own import OWN_KEYS, read_own, read_providers
from resilience.settings.tables import Table, sort_of
from resilience.settings.variables import ENVIRONMENT, NAME, VARIABLE, Filled, Lookup, Variables, fill

PERCENT_HINT = (
    "percent-encode it: "
    "python3 -c 'import getpass, urllib.parse; print(urllib.parse.quote(getpass.getpass(), safe=\"\"))'"
)
_SERVICE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
_PLACEHOLDER = re.compile(r"\$\{([^}]*)(\}?)|\{([A-Za-z_]+)\}")
_ROUTE = re.compile(r"(?:(?:[A-Z]+|\*) )?/\S*(?: [1-5]\d\d)?")
_COMMON_KEYS = (
    *("name", "type", "url", "local", "exports", "prepare", "ready_query", "critical", "timeout_s"),
    *("degraded_above_s", "network", "depends_on", "markers", "tls_ca", "runbook_url", "owner", "dashboard_url"),
    *("shared", *OWN_KEYS),
)


def stand_in_names(tables: Sequence[Table]) -> frozenset[str]:
    """Return the variables that `apply` may point to a stand-in: those read by a `local`, and every export."""
    names: set[str] = set()
    for table in tables:
        local, exports = table.values.get("local"), table.values.get("exports")
        names.update(match[1] for match in VARIABLE.finditer(local if isinstance(local, str) else ""))
        names.update(exports if isinstance(exports, dict) else ())
    return frozenset(names)


def read_service(
    table: Table, variables: Variables, deadlines: Deadlines, local_names: frozenset[str], kinds: Kinds
) -> Service:
    """Return the service of one table, or raise SettingsError by key and line.

    A key that no kind knows is refused before the type is looked at, one that only another kind knows afterwards; the
    latter may stand there with its default, so that a copied table need not be stripped. What has an unset variable is
    not configured as a whole: half a URL or a request without its header would be judged as an outage.
    `local_names` are the variables that `apply` may have pointed to a stand-in.
    """
    name = table.text("name", required=True)
    if not _SERVICE_NAME.fullmatch(name):
        raise table.error("name", found=repr(name[:40]), expected="letters, digits, - and _, beginning with a letter")
    table.label = name
    told = table.values.get("type")
    kind = kinds.get(told) if isinstance(told, str) else None
    table.only(*_COMMON_KEYS, *SHARED_KEYS, *(kind.options if kind else ()), of="[[service]]")
    word = table.text("type", required=True)
    if kind is None:
        raise table.error("type", found=repr(word), expected="a service type", hint=kinds.unknown(word))
    silent = [key for key, value in table.values.items() if value in ({}, [], "", False, [200])]
    table.only(*_COMMON_KEYS, *kind.keys, *kind.options, *silent, of=f"a service of type {kind.name}")
    if "url" not in table.values and "local" not in table.values:
        raise table.error("url", found="nothing", expected="a url, a local stand-in, or both")

    headers, header_unset = _headers(table, variables)
    url, unset = _staging_url(table, kind, variables, local_names)
    readiness, readiness_unset = _side_url(table, "readiness_url", kind, variables, kinds)
    replica, replica_unset = _side_url(table, "teach_from", kind, variables, kinds)
    unset = tuple(dict.fromkeys((*unset, *header_unset, *readiness_unset, *replica_unset)))
    teach = _teach(table, kind)
    found = _local_url(table, kind, variables)
    exports = _exports(table, kind, variables, found)
    return Service(
        name=name,
        kind=kind,
        url=Secret("" if unset else url),
        unset=unset,
        url_names=_url_names(table),
        local=Secret(found.url),
        local_unset=found.unset,
        local_names=tuple(dict.fromkeys(match[1] for match in VARIABLE.finditer(table.text("local")))),
        local_values=found.values,
        exports=exports,
        staging_exports={} if unset else _staging_exports(table, kind, variables, url),
        port_wish=_port_wish(table, kind, variables, found),
        shared=table.flag("shared", False),
        own=read_own(table, variables, url_parts(found.url, kind) if found.url else None),
        providers=read_providers(table),
        prepare=table.texts("prepare"),
        ready_query=table.text("ready_query"),
        critical=table.flag("critical", False),
        timeout_s=_timeout(table, kind, deadlines),
        degraded_above_s=table.number("degraded_above_s", 1.0),
        network=table.text("network"),
        depends_on=table.texts("depends_on"),
        markers=_markers(table),
        tls_ca=fill(table.text("tls_ca"), variables.any, table, "tls_ca").text,
        headers={} if unset else headers,
        expect_status=_statuses(table, kind.expect_status),
        expect_body=table.text("expect_body"),
        expect_json=_expect_json(table),
        mock_routes=_mock_routes(table),
        echo=table.text("echo"),
        readiness_url=readiness,
        write_check=table.flag("write_check", False),
        teach=teach,
        teach_contract=_teach_contract(table),
        teach_from=Secret("" if unset else replica),
        seed=_seed(table, teach),
        mask=_mask(table, teach),
        teach_routes=_teach_routes(table),
        recorder_tls=table.flag("recorder_tls", False),
        require=_word(table, "require", ("any", "recorded")),
        build_from=_build_from(table),
        options={key: _option(table, key, kind) for key in kind.options},
        runbook_url=table.text("runbook_url"),
        owner=table.text("owner"),
        dashboard_url=table.text("dashboard_url"),
    )


def _url_names(table: Table) -> tuple[str, ...]:
    """Return the variables in what says how to reach staging, whether they are set or not."""
    headers = table.values.get("headers")
    texts = [table.text("url"), table.text("readiness_url"), table.text("teach_from")]
    texts += [str(value) for value in headers.values()] if isinstance(headers, dict) else []
    return tuple(dict.fromkeys(match[1] for text in texts for match in VARIABLE.finditer(text)))


def _staging_url(
    table: Table, kind: Kind, variables: Variables, local_names: frozenset[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the URL and what is unset for it. What `apply` may have written never fills it.

    The file with staging's values comes last. What it names is staging, on this machine as well: a tunnel ends here.
    """

    def lookup(name: str) -> tuple[str, str] | None:
        if name in local_names:
            found = None if variables.applied else variables.environment(name)
        else:
            found = variables.profile(name) if variables.is_applied(name) else variables.any(name)
        return found or variables.staging_file.get(name)

    template = table.text("url")
    filled = fill(template, lookup, table, "url")
    if filled.unset or not filled.text:
        return "", filled.unset
    parts = _checked(filled, template, kind, table, "url")
    stood_in = tuple(name for name in filled.from_profile if lookup(name) != variables.staging_file.get(name))
    if parts.is_local and stood_in:
        return "", stood_in
    return filled.text, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
    """A stand-in's URL, what is unset for it, and its variables with where their values come from."""

    url: str = ""
    unset: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    lookup: Lookup = lambda _: None


def _local_url(table: Table, kind: Kind, variables: Variables) -> _Local:
    """Return the stand-in's URL, what is unset for it, and its variables.

    It is always on this machine: a developer's POSTGRES_HOST may well name staging's, and then the profile's counts.
    """
    template = table.text("local")
    if not template:
        return _Local()

    lookup = _profile_first(variables) if variables.applied else variables.any
    filled = fill(template, lookup, table, "local")
    if filled.unset:
        return _Local(unset=filled.unset)
    parts = _checked(filled, template, kind, table, "local")
    if not parts.is_local:
        again = fill(template, variables.profile, table, "local")
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
    return _Local(url=filled.text, values=values, lookup=lookup)


def _port_wish(table: Table, kind: Kind, variables: Variables, local: _Local) -> PortWish | None:
    """Return how the stand-in may be on another port than its URL names; None where it may not.

    A wish is the value of a variable that an env file sets, for the shipped files do so in every repository, and in a
    literal URL the port that `init` writes. A port that a person typed is none: it is meant. Nor is one a wish that
    neither an export nor a variable of `local` tells the tests, which would go on to the old one.
    """
    marked = _marked(local.url)
    if marked is None or any(PORT in value for value in local.values.values()):
        return None
    text, port = marked
    template = table.text("local")
    told = next((name for name in local.values if _names_port(name, template, local, table, text)), "")
    if told:
        at_file = any(
            value == local.values[told] for value, place in variables.everywhere(told) if place != ENVIRONMENT
        )
        if not at_file:
            return None
    else:
        shipped = {url_parts(one.local, kind).port for one in kind.templates}
        if port not in shipped or _marked(template) is None:
            return None
    values = {name: _marked_value(value) if name == told else value for name, value in local.values.items()}

    plain = _profile_first(variables)

    def lookup(name: str) -> tuple[str, str] | None:
        found = plain(name)
        return found if found is None or name != told else (_marked_value(found[0]), found[1])

    exports = _exports(table, kind, variables, local, marked=text, lookup=lookup)
    if not told and not any(PORT in value.reveal() for value in exports.values()):
        return None
    return PortWish(port=port, local=Secret(text), values=values, exports=exports)


def _marked(url: str) -> tuple[str, int] | None:
    """Return a URL with PORT in the place of its port, and the port; None where it names none."""
    user_end, path_start = url_regions(url)
    found = re.search(r":([0-9]{1,5})$", url[:path_start])
    if found is None or found.start() < user_end or "://" not in url:
        return None
    return f"{url[: found.start(1)]}{PORT}{url[found.end(1) :]}", int(found[1])


def _marked_value(value: str) -> str:
    """Return a variable's value with PORT in the place of the port: the value itself, or that of a URL."""
    marked = _marked(value)
    return PORT if value.isdecimal() else marked[0] if marked else value


def _names_port(name: str, template: str, local: _Local, table: Table, text: str) -> bool:
    """Say whether this variable is the one from which the URL has its port: with it marked, the URL is the marked one."""

    def lookup(other: str) -> tuple[str, str] | None:
        found = local.lookup(other)
        return found if found is None or other != name else (_marked_value(found[0]), found[1])

    return fill(template, lookup, table, "local").text == text


def _side_url(table: Table, key: str, kind: Kind, variables: Variables, kinds: Kinds) -> tuple[str, tuple[str, ...]]:
    """Return a URL beside the service's own, of the kind that the service's kind names for this key, and what is unset."""
    template = table.text(key)
    filled = fill(template, variables.of_staging, table, key)
    if filled.text and not filled.unset:
        _checked(filled, template, kinds[kind.side_urls[key]], table, key)
    return ("", filled.unset) if filled.unset else (filled.text, ())


def _checked(filled: Filled, template: str, kind: Kind, table: Table, key: str) -> UrlParts:
    try:
        return url_parts(filled.text, kind)
    except ValueError as exc:
        what = str(exc)
    whole = VARIABLE.fullmatch(template)
    names = list(dict.fromkeys(name for name, _ in filled.places))
    schemes = " or ".join(f"{scheme}://" for scheme in kind.schemes)
    expected = f"a URL that begins with {schemes}" if "scheme" in what else "a URL that can be read"
    hint = PERCENT_HINT if "unescaped" in what else ""
    if "scheme" in what and kind.scheme_hint:
        hint = kind.scheme_hint
    if whole and filled.places:
        name, place = filled.places[0]
        raise SettingsError(name=name, source=place, found=f"({what})", expected=expected, hint=hint)
    if names and "unescaped" not in what:
        hint = hint or f"look at {', '.join(f'{name} ({place})' for name, place in dict.fromkeys(filled.places))}"
    raise table.error(key, found=f"({what})", expected=expected, hint=hint)


def _headers(table: Table, variables: Variables) -> tuple[dict[str, Secret], tuple[str, ...]]:
    headers: dict[str, Secret] = {}
    unset: list[str] = []
    for name, template in table.mapping("headers").items():
        filled = fill(template, variables.of_staging, table, "headers")
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise table.error("headers", found=repr(name[:40]), expected="the name of an HTTP header")
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in filled.text):
            raise table.error(f"headers.{name}", expected="a value without line breaks and control characters")
        unset.extend(filled.unset)
        headers[name] = Secret(filled.text)
    return headers, tuple(unset)


def _exports(
    table: Table,
    kind: Kind,
    variables: Variables,
    local: _Local,
    *,
    marked: str = "",
    lookup: Lookup | None = None,
) -> dict[str, Secret]:
    """Fill `{local}` and its parts into the exports; none can be given where the stand-in's own URL is not known.

    With `marked`, the URL with PORT in the place of its port, they have PORT there as well.
    """
    known = ("local", "host", "port", "user", "password", "database")
    values = _placeholders(url_parts(local.url, kind), local.url) if local.url else {}
    if marked:
        values |= {"local": marked, "port": PORT}
    exports: dict[str, Secret] = {}
    for name, template in table.mapping("exports").items():
        if not NAME.fullmatch(name):
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
        if local.unset:
            continue
        exports[name] = Secret(_export(template, name, values, lookup or _profile_first(variables), table))
    return exports


def _profile_first(variables: Variables) -> Lookup:
    return lambda name: variables.profile(name) or variables.environment(name)


def _staging_exports(table: Table, kind: Kind, variables: Variables, url: str) -> dict[str, Secret]:
    """Fill staging's own URL and parts into the exports, `{local}` being the whole of it.

    An export that holds nothing of a URL, such as a key for the mock alone, says nothing of staging, and one that needs a
    variable of the profile is the stand-in's: both are left out. A scheme that is written out is the stand-in's; where
    staging speaks TLS it would lead nowhere, so staging's stands in its place.
    """
    if not url:
        return {}
    exports: dict[str, Secret] = {}
    scheme = url.partition("://")[0]
    for name, template in table.mapping("exports").items():
        matches = list(_PLACEHOLDER.finditer(template))
        if not any(match[3] for match in matches):
            continue
        if any(not match[3] and variables.environment(match[1]) is None for match in matches):
            continue
        written, _, rest = template.partition("://")
        told, ours = kind.schemes.get(written), kind.schemes.get(scheme)
        if told is not None and ours is not None and told.tls is not ours.tls:
            template = f"{scheme}://{rest}"
        exports[name] = Secret(_fill_export(template, _placeholders(url_parts(url, kind), url), variables.environment))
    return exports


def _export(template: str, name: str, values: Mapping[str, str], lookup: Lookup, table: Table) -> str:
    for match in _PLACEHOLDER.finditer(template):
        if not match[3] and (not match[2] or not NAME.fullmatch(match[1]) or lookup(match[1]) is None):
            raise table.error(f"exports.{name}", found=match[0], expected="a variable that is set, as ${NAME}")
    return _fill_export(template, values, lookup)


def _fill_export(template: str, values: Mapping[str, str], lookup: Lookup) -> str:
    """Return the template with its placeholders and variables filled in, percent-encoded where a URL's user info is."""
    user_end, _ = url_regions(_PLACEHOLDER.sub(lambda match: "x" * len(match[0]), template))

    def value(match: re.Match[str]) -> str:
        text = values[match[3]] if match[3] else (lookup(match[1]) or ("", ""))[0]
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


def _option(table: Table, key: str, kind: Kind) -> str | bool | float:
    """Return a key of the kind's own, of the type of its default, and one of its words where it has only a few."""
    default = kind.options[key]
    if isinstance(default, bool):
        return table.flag(key, default)
    if not isinstance(default, str):
        return table.number(key, default, zero=True)
    found, words = table.text(key, default), kind.choices.get(key, ())
    if words and found not in (*words, default):
        raise table.error(
            key,
            found=repr(found[:40]),
            expected=" or ".join(f'"{word}"' for word in words),
            hint=f'{key} = "{words[0]}", or leave it out',
        )
    return found


def _timeout(table: Table, kind: Kind, deadlines: Deadlines) -> float:
    default: float = getattr(deadlines, kind.deadline)
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


TRAFFIC = ("traffic", "contract")
"""What a service that speaks HTTP can be asked to teach; what another can, its kind says."""


def _teach(table: Table, kind: Kind) -> tuple[str, ...]:
    """Return what the service teaches, of what its kind can be taught."""
    words, doubles = table.texts("teach"), kind.doubles
    known = (TRAFFIC if doubles and doubles.recordable else ()) + (doubles.teaches if doubles else ())
    if bad := next((word for word in words if word not in known), None):
        expected = " or ".join(f'"{word}"' for word in known) or f"nothing: a {kind.title} teaches nothing"
        raise table.error("teach", found=repr(bad[:40]), expected=expected, hint=did_you_mean(bad, known))
    return tuple(dict.fromkeys(words))


def _seed(table: Table, teach: Sequence[str]) -> tuple[str, ...]:
    """Return the rules that name rows. Rules that are not asked for, and a seed without rules, are each half a configuration."""
    rules = table.texts("seed")
    if rules and "seed" not in teach:
        raise table.error("seed", found="rules", expected='"seed" in its teach', hint='teach = ["schema", "seed"]')
    if "seed" in teach and not rules:
        raise table.error(
            "seed", found="nothing", expected="rules that name rows", hint='seed = ["users where id < 200"]'
        )
    return rules


def _mask(table: Table, teach: Sequence[str]) -> dict[str, str]:
    """Return how columns are masked, where anything is."""
    masks = table.mapping("mask")
    if masks and "seed" not in teach:
        raise table.error("mask", found="columns", expected='"seed" in its teach', hint='teach = ["schema", "seed"]')
    return masks


def _teach_routes(table: Table) -> tuple[str, ...]:
    """Return what a lesson asks: paths alone, for it only ever asks by GET, and of this service."""
    routes = table.texts("teach_routes")
    if bad := next((route for route in routes if not re.fullmatch(r"/[^\s#]*", route)), None):
        raise table.error(
            "teach_routes", found=repr(bad)[:60], expected='paths such as "/api/products?page=1", asked by GET'
        )
    return routes


def _teach_contract(table: Table) -> str:
    """Return where the contract is: a path alone, for a document of another address would not be this service's."""
    path = table.text("teach_contract", "/openapi.json", filled=True)
    if not re.fullmatch(r"/[^\s#]*", path):
        raise table.error("teach_contract", found=repr(path[:60]), expected='a path such as "/openapi.json"')
    return path


def _build_from(table: Table) -> str:
    text = table.text("build_from")
    if text and not re.fullmatch(r"header:[A-Za-z0-9-]+|json:[\w.-]+", text):
        raise table.error("build_from", found=repr(text[:40]), expected='"header:X-Version" or "json:build"')
    return text


def _word(table: Table, key: str, words: tuple[str, ...]) -> str:
    found = table.text(key, words[0], filled=True)
    if found not in words:
        raise table.error(
            key, found=repr(found[:40]), expected=" or ".join(f'"{word}"' for word in words),
            hint=did_you_mean(found, words),
        )  # fmt: skip
    return found


def _json_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _markers(table: Table) -> tuple[str, ...]:
    markers = table.texts("markers")
    if bad := next((marker for marker in markers if not NAME.fullmatch(marker)), None):
        raise table.error("markers", found=repr(bad[:40]), expected='names of pytest markers, as ["real_database"]')
    return markers
