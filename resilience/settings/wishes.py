"""Turn the guide's variables into what a person wishes and how long things may take."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from resilience.core.errors import SettingsError
from resilience.core.records import TestExecutionMode
from resilience.core.settings import PROFILE_FILES, Deadlines, Service, Wishes
from resilience.core.variables import GUIDE, Asks, GuideVariable, Writes
from resilience.settings.tables import LONGEST_WAIT_S
from resilience.settings.variables import Variables

_WISH_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def read_deadlines(variables: Variables) -> Deadlines:
    """Return each deadline as set by the environment, else by the first profile that sets it, else the guide's.

    Every value in every profile is checked, also one that does not count now: it would in the mode of that profile.
    """
    defaults = Deadlines()
    given: dict[str, Any] = {}
    for row in GUIDE:
        if row.asks is not Asks.NUMBER:
            continue
        values = [_number(row, value, place, defaults) for value, place in variables.everywhere(row.name)]
        if values:
            given[row.wish] = values[0]
    return replace(defaults, **given)


def _number(row: GuideVariable, value: str, place: str, defaults: Deadlines) -> float:
    if row.wish == "retry_attempts":
        return _attempts(value, place)
    example = getattr(defaults, row.wish) or 5.0
    return _seconds(row.name, value, place, example, zero=row.wish == "retry_delay_s")


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


def read_wishes(variables: Variables, services: Sequence[Service]) -> Wishes:
    """Read what a person asked for; what `apply` itself wrote asks for nothing.

    A mode is asked for in the environment alone: each profile names its own mode, and being there is not asking.
    What a profile may say is what not to do.
    """
    _check_flags(variables)
    degraded = variables.plain(TestExecutionMode.DEGRADED)

    def wish(name: str) -> tuple[str, str] | None:
        return None if variables.applied else variables.environment(name)

    def policy(name: str) -> tuple[str, str] | None:
        return wish(name) or (
            (degraded[name], PROFILE_FILES[TestExecutionMode.DEGRADED]) if degraded.get(name) else None
        )

    asked: dict[str, str] = {}
    given: dict[str, bool] = {}
    local: dict[str, str] = {}
    for row in GUIDE:
        if row.asks is Asks.NUMBER:
            continue
        found = policy(row.name) if row.asks is Asks.FALSE else wish(row.name)
        if found is None or not _is_asked(row, *found):
            continue
        who = f"{row.name}={found[0]}"
        if row.writes is Writes.FOR_STAND_IN:
            called = row.switched(services)
            local |= dict.fromkeys(called, who)
            if not called:
                asked["nothing_to_switch"] = ", ".join(filter(None, (asked.get("nothing_to_switch"), who)))
        else:
            given[row.wish] = row.asks is Asks.TRUE
            asked.setdefault(row.wish, who)
    if local:
        asked |= {f"local_services.{name}": who for name, who in local.items()}
        asked["local_services"] = ", ".join(dict.fromkeys(local.values()))
    return Wishes(**given, local_services=tuple(local), asked_by=asked)


def _is_asked(row: GuideVariable, value: str, place: str) -> bool:
    """Say whether this value asks for what the row is about, or raise SettingsError where it is no word for it."""
    if row.asks is Asks.LOCAL:
        return _is_local(row.name, value, place)
    return _flag(row.name, value, place) is (row.asks is Asks.TRUE)


def _flag(name: str, text: str, place: str) -> bool:
    value = _WISH_WORDS.get(text.strip().lower())
    if value is None:
        raise SettingsError(
            name=name,
            source=place,
            found=repr(text[:40]),
            expected="true or false (or yes, no, on, off, 1, 0)",
            hint=f"{name}=true",
        )
    return value


def _is_local(name: str, value: str, place: str) -> bool:
    """Say whether the variable says local.

    A team's own word for it, such as cluster, says nothing. A misspelt local is refused, and so is true or off: who writes
    that wishes something, and would get nothing.
    """
    word = value.strip().lower()
    if word in _WISH_WORDS or (word != "local" and difflib.get_close_matches(word, ["local"], cutoff=0.7)):
        raise SettingsError(
            name=name, source=place, found=repr(value[:40]), expected="local, or nothing", hint=f"{name}=local"
        )
    return word == "local"


def _check_flags(variables: Variables) -> None:
    """Refuse what is neither true nor false in any profile, also where the environment says otherwise now."""
    for row in GUIDE:
        if row.asks in (Asks.FALSE, Asks.TRUE):
            for value, place in variables.everywhere(row.name):
                _flag(row.name, value, place)
