"""Say of each of the guide's variables what a person asks for with it, and when `apply` writes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from resilience.core.records import TestExecutionMode
from resilience.core.settings import Service

APPLIED = "RESILIENCE_APPLIED"
"""Set in everything `apply` writes or `env` exports: such values fill only stand-ins and ask for nothing."""


class Asks(StrEnum):
    """The word by which a variable asks for something. Any other proper word asks for nothing."""

    FALSE = "false"
    TRUE = "true"
    LOCAL = "local"
    NUMBER = "a number"


class Writes(StrEnum):
    """When `apply` writes a variable.

    A switch that depends on something (the mode, a stand-in, a cause) is taken away where that is not so, because an
    earlier run may have left it in the env file, and the team's tests would believe it. The others stay as they were.
    """

    ALWAYS = "in every mode that falls back"
    IN_MODES = "in the modes named"
    FOR_STAND_IN = "where that stand-in is used"
    FOR_ISSUE_1278 = "where that cause is found, or a person asked for its workaround"
    PASSED_ON = "with the value that counts, where there is one"
    NEVER = "never"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideVariable:
    """One row of the table "The guide's variables" in contracts.md.

    `wish` is read, `writes` is written: the two meet only here, so that a variable cannot be read as one thing and
    written as another.
    """

    name: str
    asks: Asks
    wish: str
    """The field of Wishes that it sets, or for a number the field of Deadlines."""
    writes: Writes
    modes: tuple[TestExecutionMode, ...] = ()
    service: str = ""
    """The guide's name of the service that it switches; a team's own name is found by the kind that the guide's has."""

    @property
    def word(self) -> str:
        """The value that `apply` writes for a switch: what asks for the stand-in asks the tests to use it."""
        return Asks.LOCAL.value if self.asks is Asks.LOCAL else Asks.TRUE.value

    def switched(self, services: Sequence[Service]) -> tuple[str, ...]:
        """Return the names of the services that it switches: the guide's own, else all of the kind that the guide names so.

        Teams have their own names. It is read and written by this same answer, so that what a person switches with it and
        what the tests are told of are the same services.
        """
        if any(service.name == self.service for service in services):
            return (self.service,)
        return tuple(service.name for service in services if service.kind.service_name == self.service)


_M = TestExecutionMode
_FALSE, _TRUE, _LOCAL, _NUMBER = Asks.FALSE, Asks.TRUE, Asks.LOCAL, Asks.NUMBER
_ALWAYS, _IN_MODES, _FOR_STAND_IN, _1278 = Writes.ALWAYS, Writes.IN_MODES, Writes.FOR_STAND_IN, Writes.FOR_ISSUE_1278
_FALLBACKS = (_M.DEGRADED, _M.OFFLINE, _M.CRITICAL_ONLY)


def _switch(name: str, asks: Asks, wish: str, writes: Writes, *modes: TestExecutionMode) -> GuideVariable:
    return GuideVariable(name=name, asks=asks, wish=wish, writes=writes, modes=modes)


def _stand_in(name: str, asks: Asks, service: str) -> GuideVariable:
    return GuideVariable(name=name, asks=asks, wish="local_services", writes=_FOR_STAND_IN, service=service)


def _number(name: str, deadline: str) -> GuideVariable:
    return GuideVariable(name=name, asks=_NUMBER, wish=deadline, writes=Writes.PASSED_ON)


GUIDE: tuple[GuideVariable, ...] = (
    _switch("CONNECTIVITY_RESILIENCE_ENABLED", _FALSE, "resilience_enabled", _ALWAYS),
    _switch("STAGING_CONNECTIVITY_FALLBACK", _FALSE, "fallback_enabled", _ALWAYS),
    _switch("TEST_GRACEFUL_DEGRADATION", _FALSE, "fallback_enabled", _ALWAYS),
    _switch("INFRASTRUCTURE_DEGRADED_MODE", _TRUE, "degraded_at_least", _IN_MODES, *_FALLBACKS),
    _switch("TEST_OFFLINE", _TRUE, "offline", _IN_MODES, _M.OFFLINE),
    _switch("NO_REAL_SERVERS", _TRUE, "offline", _IN_MODES, _M.OFFLINE),
    _switch("TEST_CRITICAL_ONLY", _TRUE, "critical_only", _IN_MODES, _M.CRITICAL_ONLY),
    _switch("SKIP_NON_CRITICAL_TESTS", _TRUE, "critical_only", _IN_MODES, _M.CRITICAL_ONLY),
    _stand_in("DATABASE_MODE", _LOCAL, "database"),
    _stand_in("REDIS_MODE", _LOCAL, "redis"),
    _stand_in("CLICKHOUSE_MODE", _LOCAL, "clickhouse"),
    _stand_in("WEBSOCKET_MOCK_MODE", _TRUE, "websocket"),
    _stand_in("AUTH_FALLBACK_MODE", _TRUE, "auth_service"),
    _stand_in("LLM_FALLBACK_MODE", _TRUE, "llm_service"),
    _switch("ISSUE_1278_WORKAROUND_ENABLED", _TRUE, "private_network_down", _1278),
    _switch("VPC_CONNECTOR_BYPASS_MODE", _TRUE, "private_network_down", _1278),
    _switch("CLOUD_SQL_FALLBACK_MODE", _TRUE, "private_network_down", _1278),
    _switch("TEST_SKIP_ON_INFRASTRUCTURE_FAILURE", _FALSE, "skip_on_failure", Writes.NEVER),
    _number("TEST_RETRY_ATTEMPTS", "retry_attempts"),
    _number("TEST_RETRY_DELAY", "retry_delay_s"),
    _number("INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT", "health_check_s"),
    _number("STAGING_CONNECTION_TIMEOUT", "staging_connection_s"),
    _number("WEBSOCKET_CONNECTION_TIMEOUT", "websocket_connection_s"),
    _number("WEBSOCKET_RECV_TIMEOUT", "websocket_recv_s"),
    _number("WEBSOCKET_SEND_TIMEOUT", "websocket_send_s"),
    _number("FALLBACK_ACTIVATION_TIMEOUT", "fallback_activation_s"),
    _number("FALLBACK_PREPARE_TIMEOUT", "fallback_prepare_s"),
    _number("AGENT_EXECUTION_TIMEOUT", "agent_execution_s"),
    _number("AGENT_THINKING_TIMEOUT", "agent_thinking_s"),
    _number("AGENT_TOOL_TIMEOUT", "agent_tool_s"),
)
"""In the order of contracts.md: where several ask for the same, the first is the one that is named."""


def variable_of(wish: str) -> str:
    """Return the first variable that asks for this field of Wishes, to name it where nobody noted who asked."""
    return next(row.name for row in GUIDE if row.wish == wish)
