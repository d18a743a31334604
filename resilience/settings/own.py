"""Turn `start`, `image` or `compose` and what stands beside it into the stand-in that a team names itself, or refuse it by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches

from resilience.core.errors import did_you_mean
from resilience.core.secret import Secret, looks_secret
from resilience.core.settings import OwnStandIn
from resilience.core.urls import UrlParts
from resilience.settings.tables import Table
from resilience.settings.variables import NAME, VARIABLE, Variables, fill

OWN_KEYS = ("start", "image", "compose", "cwd", "env", "start_timeout_s", "provider")
PLACEHOLDERS = ("local", "host", "port")
PROVIDERS = ("running", "compose", "image", "system", "wheel", "mock")
"""The words of `provider`."""
_WAYS = ("start", "image", "compose")
"""Of these one may be given."""
_IMAGE = re.compile(r"[A-Za-z0-9][\w./:@-]*")
_COMPOSE = re.compile(r"(?P<file>.+):(?P<service>[A-Za-z0-9][\w.-]*)")
_SINGLE_QUOTED = re.compile(r"'[^']*'")
_BARE = re.compile(r"(?<![\\$])\$([A-Z_][A-Z0-9_]*)(?!\w)")
_SET_BY_IT = re.compile(r"\b([A-Z_][A-Z0-9_]*)=|\b(?:for|read|export|local)\s+([A-Z_][A-Z0-9_]*)")
_OF_THE_SHELL = frozenset(
    {"EUID", "IFS", "LINENO", "OLDPWD", "OPTARG", "OPTIND", "PPID", "PWD", "RANDOM", "SECONDS", "UID"}
)
_BRACES = re.compile(r"(?<!\$)\{([A-Za-z_]+)\}")
_OPTION = re.compile(r"(?<!\S)--?([A-Za-z][\w-]*)(?:=|\s+)(?!-)([^\s;|&]+)")
_ASSIGNED = re.compile(r"(?<![^\s;|&(])([A-Za-z_]\w*)=([^\s;|&$]\S*)")
_URL = re.compile(r"[A-Za-z][\w+.-]*://[^:/@\s]*:[^@/\s]+@")
_FILE = re.compile(r".*/|.*\.(?:key|pem|crt|txt|json|ya?ml)$")


def read_own(table: Table, variables: Variables, local: UrlParts | None) -> OwnStandIn:
    """Return the stand-in that a [[service]] table names, or raise SettingsError by key and line.

    It needs a `local`, which says where it is to answer. What stands only beside it is refused without it. `local` is that URL
    taken apart; None where it is not known.
    """
    ways = [key for key in _WAYS if table.text(key)]
    timeout_s = table.number("start_timeout_s", 30.0)
    if len(ways) > 1:
        raise table.error(ways[1], found=f"beside {ways[0]}", expected=f"one of {', '.join(_WAYS)}")
    if ways != ["start"] and table.values.get("cwd"):
        raise table.error("cwd", found="without start", expected='cwd beside start = "…"')
    if not ways:
        if table.values.get("env"):
            raise table.error("env", found="without start", expected='env beside start, image or compose = "…"')
        return OwnStandIn()
    if not table.text("local"):
        expected = "a service whose `local` says where its stand-in answers"
        raise table.error(ways[0], found="without local", expected=expected, hint='local = "…://127.0.0.1:…" beside it')
    image, compose, command = _image(table), _compose(table), table.text("start")
    _check_braces(table, "start", command)
    _check_secrets(table, command, local)
    env, unset = _env(table, variables)
    return OwnStandIn(
        command=command,
        image=image,
        compose_file=compose[0],
        compose_service=compose[1],
        cwd=table.text("cwd"),
        env=env,
        reads=_reads(table, command, variables),
        unset=unset,
        timeout_s=timeout_s,
    )


def _image(table: Table) -> str:
    """Return the image's name, refused where an engine would take it for an option or several words."""
    image = table.text("image")
    if image and not _IMAGE.fullmatch(image):
        raise table.error(
            "image", found=repr(image[:60]), expected="the name of an image", hint='image = "postgres:16"'
        )
    return image


def _compose(table: Table) -> tuple[str, str]:
    """Return the compose file and the service in it, both empty where none is given."""
    text = table.text("compose")
    if not text:
        return "", ""
    match = _COMPOSE.fullmatch(text)
    if match is None:
        hint = 'compose = "docker-compose.yml:db"'
        raise table.error("compose", found=repr(text[:60]), expected="a compose file and a service in it", hint=hint)
    return match["file"], match["service"]


def read_providers(table: Table) -> tuple[str, ...]:
    """Return the words of `provider` in their order; one that nothing is called is refused."""
    told = table.texts("provider")
    if unknown := next((word for word in told if word not in PROVIDERS), None):
        expected, hint = f"some of {', '.join(PROVIDERS)}", did_you_mean(unknown, PROVIDERS)
        raise table.error("provider", found=repr(unknown[:40]), expected=expected, hint=hint)
    return tuple(dict.fromkeys(told))


def _check_braces(table: Table, key: str, text: str) -> None:
    """Refuse a slip of a placeholder; other words in braces are the shell's, or a program's."""
    for match in _BRACES.finditer(text):
        word = match[1]
        if word not in PLACEHOLDERS and get_close_matches(word.lower(), PLACEHOLDERS, 1, 0.7):
            expected, hint = "{" + "}, {".join(PLACEHOLDERS) + "}", did_you_mean(word, PLACEHOLDERS)
            raise table.error(key, found=f"{{{word}}}", expected=expected, hint=hint)


def _check_secrets(table: Table, command: str, local: UrlParts | None) -> None:
    """Refuse a command that shows a secret: everybody on a machine can read argument lists, and the plan shows it too.

    A secret is known by the name of its variable or option, by a URL with a password, and by {local} where that has one. A
    value that is a file's name is none. The message names where it stands, and not the value.
    """
    found = next((f"${{{match[1]}}}" for match in VARIABLE.finditer(command) if looks_secret(match[1])), "")
    for match in _OPTION.finditer(command):
        if looks_secret(match[1]) and not _FILE.match(match[2]):
            found = found or f"the value of {match[0][: match.end(1) - match.start()]}"
    for match in _ASSIGNED.finditer(command):
        if looks_secret(match[1]) and not _FILE.match(match[2]):
            found = found or f"{match[1]}=…"
    if _URL.search(command):
        found = found or "a URL with a password"
    if "{local}" in command and local is not None and local.password:
        found = found or "{local}, which has a password"
    if found:
        hint = (
            'env = { TOKEN = "${TOKEN}" } beside it, read by the program itself; in env {local} may have its password'
        )
        expected = "a command that everybody on this machine may read"
        raise table.error("start", found=f"(a secret: {found})", expected=expected, hint=hint)


def _env(table: Table, variables: Variables) -> tuple[dict[str, Secret], tuple[str, ...]]:
    """Return `env` with its ${NAMES} filled in and its {placeholders} left, and which of the names are not set."""
    env, unset = {}, list[str]()
    for name, template in table.mapping("env").items():
        if not NAME.fullmatch(name):
            raise table.error("env", found=repr(name[:40]), expected="the name of a variable")
        _check_braces(table, f"env.{name}", template)
        filled = fill(template, variables.any, table, f"env.{name}")
        unset.extend(filled.unset)
        env[name] = Secret(filled.text)
    return env, tuple(dict.fromkeys(unset))


def _reads(table: Table, command: str, variables: Variables) -> Mapping[str, Secret]:
    """Return the variables that the command names, with the value of an env file where one has it.

    That is each ${NAME}; and each $NAME in upper case that the command does not set itself, but for what stands between
    single quotes, which is another program's, and for what the shell always has.
    """
    named = [match[1] for match in VARIABLE.finditer(command) if match[2] and NAME.fullmatch(match[1])]
    bare = _SINGLE_QUOTED.sub("", command)
    own = {word for match in _SET_BY_IT.finditer(bare) for word in match.groups() if word}
    named += [name for name in _BARE.findall(bare) if name not in own and name not in _OF_THE_SHELL]
    values = {name: variables.profile(name) for name in named}
    return {name: Secret(value[0] if value else "") for name, value in values.items()}
