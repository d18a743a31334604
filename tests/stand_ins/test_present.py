"""A stand-in that died says so."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from resilience import stand_ins as local
from resilience.core.settings import Settings
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    eventually,
    needs_servers,
    team,
)

pytestmark = needs_servers


async def test_a_stand_in_that_dies_is_seen_and_the_others_are_not_touched(checkout: Callable[..., Settings]) -> None:
    settings = checkout(team(free_ports(6))[:3])
    found = {one.service: one for one in await local.start(settings.services, settings)}
    os.kill(found["redis"].pid or 0, signal.SIGKILL)
    assert eventually(lambda: any(not one.ready for one in local.status(settings)))
    assert eventually(
        lambda: "ended by signal 9" in {one.service: one for one in local.status(settings)}["redis"].error
    )
    assert [one.service for one in local.status(settings) if one.ready] == ["database", "backend_api"]
    again = {one.service: one for one in await local.start(settings.services, settings)}
    assert again["redis"].ready
    assert again["redis"].pid != found["redis"].pid
    assert again["database"].pid == found["database"].pid
