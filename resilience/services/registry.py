"""The kinds of services as a value: the built-in ones, a line each, and those that other packages register."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from resilience.core.errors import SettingsError
from resilience.core.kind import GROUP, Kind, Kinds, check_kind

FOLDERS = (
    "postgresql",
    "redis",
    "clickhouse",
    "http",
    "websocket",
    "openai",
    "tcp",
    "memcached",
    "mysql",
    "rabbitmq",
    "smtp",
    "s3",
    "grpc",
    "elasticsearch",
    "mongodb",
    "kafka",
    "nats",
    "etcd",
    "ldap",
)
"""The kinds of this package, a line each: the folder that holds all that is known of it."""

BUILT_IN: tuple[Kind, ...] = tuple(import_module(f"{__package__}.{folder}.kind").KIND for folder in FOLDERS)


@cache
def registered() -> Mapping[str, Callable[[], Kind]]:
    """Return, by name, what loads each kind that other packages register in the group `resilience.services`.

    Only the names are read here; a package's code is imported when its kind is asked for. A name that two packages
    register is refused when it is asked for, and one of ours at once, as ours would be taken for it without a word: in
    both cases it cannot be told which was meant.

    A name that is registered and never configured costs nothing and breaks nothing.
    """
    # Asked for by few configurations, and slow: an assessment must not pay for it.
    from importlib.metadata import entry_points

    ours = {kind.name for kind in BUILT_IN}
    found: dict[str, Callable[[], Kind]] = {}
    packages: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        package = _package(point)
        if point.name in ours:
            raise _twice(point.name, "resilience", package)
        if packages.setdefault(point.name, package) == package:
            found[point.name] = _loader(point)
        else:
            found[point.name] = _refusal(point.name, packages[point.name], package)
    return found


def _twice(name: str, first: str, second: str) -> SettingsError:
    return SettingsError(
        name=f"service type {name}",
        found=f"(registered by {first} and by {second})",
        expected="one package that registers it",
        hint=f"pip uninstall {second}",
    )


def _refusal(name: str, first: str, second: str) -> Callable[[], Kind]:
    def refuse() -> Kind:
        raise _twice(name, first, second)

    return refuse


def _package(point: Any) -> str:
    return point.dist.name if point.dist is not None else str(point.value)


def _loader(point: Any) -> Callable[[], Kind]:
    """Return what loads and checks a registered kind, once.

    Whatever its import raises becomes a SettingsError that names it.
    """

    @cache
    def load() -> Kind:
        try:
            kind = point.load()
        except Exception as exc:
            raise SettingsError(
                name=f"service type {point.name}",
                source=_package(point),
                found=f"({type(exc).__name__}: {exc})",
                expected=f"a kind that {point.value} names",
                hint=f"python -c 'import {point.value.partition(':')[0]}'",
            ) from exc
        return check_kind(kind, point.name, _package(point))

    return load


KINDS = Kinds(built_in=BUILT_IN, others=registered)
"""All kinds of services, to be handed on: what takes it knows none by name."""


def resolve(dotted: str) -> Any:
    """Return what a dotted name names, module:attribute, or the module where there is no colon; it is imported now.

    Raises ImportError, AttributeError: a name in a kind's record that leads nowhere is a defect of that kind.
    """
    module, _, attribute = dotted.partition(":")
    return getattr(import_module(module), attribute) if attribute else import_module(module)
