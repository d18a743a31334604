"""A start has its time, and the supervisor knows what puts the env file back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from resilience import stand_ins as local
from resilience.core.settings import Deadlines, Settings
from resilience.services.place import port_open
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    needs_servers,
    service,
)

pytestmark = needs_servers


async def test_a_start_that_takes_too_long_is_ended_and_says_which_variable_bounds_it(
    checkout: Callable[..., Settings],
) -> None:
    port = free_ports(1)[0]
    settings = checkout([service("database", f"postgresql://app:pw@localhost:{port}/app")])
    await local.start(settings.services, settings)
    await local.stop(settings)
    short = replace(settings, deadlines=Deadlines(fallback_activation_s=0.001))
    found = (await local.start(settings.services, short))[0]
    assert not found.ready
    assert "FALLBACK_ACTIVATION_TIMEOUT" in found.error
    assert not port_open("127.0.0.1", port)
