"""Turn the guide's variables into what a person wishes and how long things may take."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from resilience.core.errors import SettingsError
from resilience.core.records import ServiceType, TestExecutionMode
from resilience.core.settings import PROFILE_FILES, Deadlines, Service, Wishes
from resilience.settings.tables import LONGEST_WAIT_S
from resilience.settings.variables import Variables

_WISH_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
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


def read_deadlines(variables: Variables) -> Deadlines:
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


def read_wishes(variables: Variables, services: Sequence[Service]) -> Wishes:
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


def _flag(variables: Variables, name: str, found: tuple[str, str] | None) -> bool | None:
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


def _check_flags(variables: Variables) -> None:
    """Refuse what is neither true nor false in any profile, also where the environment says otherwise now."""
    for names in (*_POLICIES.values(), *_WISHES.values(), tuple(_MOCK_MODES)):
        for name in names:
            for found in variables.everywhere(name):
                _flag(variables, name, found)
