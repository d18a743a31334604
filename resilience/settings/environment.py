"""Find the configuration and its env files, read them, and turn them into Settings."""

from __future__ import annotations

import os
import shlex
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

from resilience.core.errors import SettingsError, UsageError, did_you_mean
from resilience.core.kind import Kind, Kinds
from resilience.core.secret import Secret
from resilience.core.settings import PROFILE_FILES, Service, Settings
from resilience.core.urls import url_parts
from resilience.host.ports import read_ports
from resilience.settings.build import CONFIGURATION_KEYS, build
from resilience.settings.service import PERCENT_HINT
from resilience.settings.variables import shown_path

CONFIG_NAMES = ("resilience.toml", "config/runbook.toml")
LARGEST_FILE = 1_000_000
"""Bytes; a configuration that is longer is some other file."""


def load_settings(
    config: Path | str | None = None,
    *,
    kinds: Kinds,
    environment: str = "",
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings of the configuration that counts here, or raise SettingsError.

    That is `config`, else RESILIENCE_CONFIG, else the first of resilience.toml and config/runbook.toml from `cwd`
    upwards to the repository's root, else the one shipped with this package; then everything written goes to
    `.resilience/` below `cwd`.
    """
    environ = os.environ if environ is None else environ
    cwd = Path(cwd or Path.cwd()).resolve()
    source = _given(config, environ, cwd) or find_config(cwd)
    if source is None:
        return _shipped_settings(environment, cwd, environ, kinds)
    root = find_root(source)
    text = _read(source, root)
    _refuse_another_tools(text, source, root)
    settings = build(
        text,
        source=source,
        root=root,
        environ=environ,
        profile_texts=_profile_texts(source, root),
        kinds=kinds,
        home=_home(environ),
        environment=environment,
        staging_text=_staging_text(text, root),
    )
    return _at_its_ports(with_data_that_can_be_written(_with_files(settings)))


def with_data_that_can_be_written(settings: Settings) -> Settings:
    """Keep the stand-ins' data below the state folder where HOME is not there or read-only, as in many containers."""
    nearest = next(folder for folder in (settings.data, *settings.data.parents) if folder.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return settings
    return replace(settings, data=settings.state / "data")


def find_config(cwd: Path) -> Path | None:
    """Return the configuration nearest above `cwd`, not beyond the repository's root, or None."""
    for folder in (cwd, *cwd.parents):
        for name in CONFIG_NAMES:
            if (found := folder / name).is_file():
                _refuse_foreign(found)
                return found
        if (folder / ".git").exists():
            return None
    return None


def find_root(source: Path) -> Path:
    """Return the root of the repository a configuration lies in; without one, the folder it speaks for."""
    folder = source.parent.parent if source.parent.name == "config" else source.parent
    return next((above for above in (source.parent, *source.parents) if (above / ".git").exists()), folder)


def shipped(name: str) -> Path:
    """Return the folder shipped with this package under this name: config, notebooks or docker."""
    package = Path(str(resources.files("resilience")))
    installed = package / "_shipped" / name
    return installed if installed.is_dir() else package.parent / name


def is_shipped(source: Path | None) -> bool:
    """Say whether a configuration is the shipped one, as it is or copied, where not all seven services need to be set."""
    try:
        return source is not None and source.read_bytes() == shipped("config/runbook.toml").read_bytes()
    except OSError:
        return False


def settings_for_url(
    urls: Sequence[str],
    *,
    kinds: Kinds,
    environment: str = "",
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Return settings for a look at these URLs alone. No configuration is needed; deny_hosts of one that is here holds.

    The type is told by the scheme; `clickhouse+http://` and `openai+https://` name it where http alone does not.
    """
    environ = os.environ if environ is None else environ
    cwd = Path(cwd or Path.cwd()).resolve()
    if not urls:
        raise UsageError("No URL was given.", hint="resilience assess --url postgresql://user@host:5432/db")
    base = _shipped_settings(environment or "given by URL", cwd, environ, kinds, services=False)
    services: list[Service] = []
    for number, url in enumerate(urls, start=1):
        kind, plain = _by_scheme(url, number, kinds)
        name = kind.service_name
        taken = sum(1 for service in services if service.name == name or service.name.startswith(f"{name}_"))
        timeout: float = getattr(base.deadlines, kind.deadline)
        services.append(
            Service(
                name=f"{name}_{taken + 1}" if taken else name,
                kind=kind,
                url=Secret(plain),
                critical=True,
                timeout_s=min(timeout, base.deadlines.health_check_s or timeout),
                expect_status=kind.expect_status,
                options=kind.options,
            )
        )
    passwords = [url_parts(service.url, service.kind).password for service in services]
    return replace(
        base,
        source=None,
        services=tuple(services),
        deny_hosts=_deny_hosts(environ, cwd),
        secrets=(*base.secrets, *(password for password in passwords if password)),
    )


def _by_scheme(url: str, number: int, kinds: Kinds) -> tuple[Kind, str]:
    label = f"--url (number {number})"
    found = kinds.by_url(url)
    if found is None:
        known = ", ".join(kinds.url_schemes())
        raise SettingsError(name=label, found="(no scheme that is known)", expected=f"one of {known}")
    kind, plain = found
    try:
        url_parts(plain, kind)
    except ValueError as exc:
        hint = PERCENT_HINT if "unescaped" in str(exc) else ""
        raise SettingsError(name=label, found=f"({exc})", expected="a URL that can be read", hint=hint) from None
    return kind, plain


def _deny_hosts(environ: Mapping[str, str], cwd: Path) -> tuple[str, ...]:
    """Return the hosts a configuration here forbids; what else is wrong with it does not matter for a look by URL."""
    source = _given(None, environ, cwd) or find_config(cwd)
    if source is None:
        return ()
    try:
        safety = tomllib.loads(_read(source, find_root(source))).get("safety", {})
        return tuple(str(host) for host in safety.get("deny_hosts", ()))
    except (tomllib.TOMLDecodeError, AttributeError, TypeError) as exc:
        raise SettingsError(
            name="safety.deny_hosts",
            source=str(source),
            found=f"({exc})",
            expected="a configuration whose [safety] can be read",
            hint="correct it, or run this from another folder",
        ) from exc


def _shipped_settings(
    environment: str, cwd: Path, environ: Mapping[str, str], kinds: Kinds, *, services: bool = True
) -> Settings:
    source = shipped("config") / "runbook.toml"
    own = cwd / ".resilience"
    settings = build(
        _read(source, source.parent.parent) if services else "",
        source=source,
        root=cwd,
        environ=environ,
        profile_texts={str(source.parent / name): text for name, text in _texts(source.parent, source.parent).items()},
        kinds=kinds,
        home=_home(environ),
        environment=environment,
    )
    settings = replace(settings, env_file=own / ".env.test.active", outputs=own / "outputs")
    return _at_its_ports(with_data_that_can_be_written(settings))


def _at_its_ports(settings: Settings) -> Settings:
    """Return the settings with the stand-ins where this checkout has them: its wished ports may have been another's."""
    return settings.at_ports(read_ports(settings.data))


def _given(config: Path | str | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    asked = str(config or environ.get("RESILIENCE_CONFIG", ""))
    if not asked:
        return None
    path = cwd / Path(asked).expanduser()
    if path.is_dir():
        path = next((path / name for name in CONFIG_NAMES if (path / name).is_file()), path)
    if not path.is_file():
        raise SettingsError(
            name="--config" if config else "RESILIENCE_CONFIG",
            found=repr(asked),
            expected="a file that exists" if not path.is_dir() else f"a folder with {' or '.join(CONFIG_NAMES)}",
            hint="resilience init writes one",
        )
    return path.resolve()


def _refuse_foreign(found: Path) -> None:
    """Refuse a configuration that a stranger may have put here: it names commands that we would run.

    Followed is one of ours, of root's, or of the owner of the repository's root, who in a container is often somebody else
    altogether; and which not everybody may write. Naming it (`--config`, RESILIENCE_CONFIG) is the other way to trust it.
    """
    if not hasattr(os, "getuid"):
        return
    named = f"RESILIENCE_CONFIG={shlex.quote(str(found))} resilience …   # if you trust it"
    if not {found.stat().st_uid, found.lstat().st_uid} <= {0, os.getuid(), find_root(found).stat().st_uid}:
        raise SettingsError(
            name=str(found), found="(owned by another user)", expected="a configuration of your own", hint=named
        )
    if found.stat().st_mode & stat.S_IWOTH:
        raise SettingsError(
            name=str(found),
            found="(everybody may write it)",
            expected="a configuration that only its owner and group may write",
            hint=f"chmod o-w {shlex.quote(str(found))}; or {named}",
        )


def _refuse_another_tools(text: str, source: Path, root: Path) -> None:
    """Refuse a file that is another tool's: no key of it is one of ours, nor like one.

    To name our keys helps nobody there: the file is to be moved where it has our name, else another is to be named.
    """
    try:
        keys = tomllib.loads(text).keys()
    except tomllib.TOMLDecodeError:
        return
    if not keys or any(did_you_mean(key, CONFIGURATION_KEYS).startswith("did") for key in keys):
        return
    shown = shown_path(source, root)
    moved = f"mv {shlex.quote(shown)} {shlex.quote(f'{shown}.old')} && resilience init --write"
    raise SettingsError(
        name="configuration",
        source=shown,
        found=f"another tool's, with {', '.join(list(keys)[:3])}",
        expected="tables such as [runbook], [[service]] and [modes.full]",
        hint=moved
        if shown in CONFIG_NAMES
        else "resilience --config PATH/resilience.toml doctor; or: resilience init --write",
    )


def _profile_texts(source: Path, root: Path) -> dict[str, str]:
    """Read the env files next to the configuration, else those in config/ of the root."""
    for folder in dict.fromkeys((source.parent, root / "config")):
        if texts := _texts(folder, root):
            return {str(folder / name): text for name, text in texts.items()}
    return {}


def _staging_text(text: str, root: Path) -> str:
    """Read the env file with staging's values, where the configuration names one that is there.

    One that is not there is no error: it holds secrets, so it lies on some machines only, and the services say what is
    unset. What is wrong with the configuration is said when it is read as a whole.
    """
    try:
        name = tomllib.loads(text).get("runbook", {}).get("staging_env")
    except (tomllib.TOMLDecodeError, AttributeError):
        return ""
    if not isinstance(name, str) or not name or not (root / name).exists():
        return ""
    return _read(root / name, root)


def _texts(folder: Path, root: Path) -> dict[str, str]:
    return {name: _read(folder / name, root) for name in PROFILE_FILES.values() if (folder / name).exists()}


def _read(path: Path, root: Path) -> str:
    shown = str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode) or path.stat().st_size > LARGEST_FILE:
            raise SettingsError(name=shown, found="(no file, or a very large one)", expected="a text file of ours")
        data = path.read_bytes()
    except OSError as exc:
        raise SettingsError(
            name=shown, found=f"({exc.strerror})", expected="a file that can be read", hint=f"ls -l {path}"
        ) from exc
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise SettingsError(
            name="a byte", source=f"{shown}:{line}", found=f"(0x{data[exc.start]:02x})", expected="UTF-8"
        ) from exc


def _with_files(settings: Settings) -> Settings:
    """Refuse certificates that are not there; make the rest of the paths absolute."""
    services: list[Service] = []
    for service in settings.services:
        path = settings.root / Path(service.tls_ca).expanduser() if service.tls_ca else None
        if path and not path.is_file():
            raise SettingsError(
                name=f"{service.name}.tls_ca",
                source=str(settings.source),
                found=repr(service.tls_ca),
                expected="a file with CA certificates in PEM",
                hint=f"ls -l {path}",
            )
        services.append(replace(service, tls_ca=str(path)) if path else service)
    return replace(settings, services=tuple(services))


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())
