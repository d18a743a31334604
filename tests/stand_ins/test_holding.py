"""Who holds the stand-ins is seen by the supervisor, and its warning by us."""

from __future__ import annotations

from collections.abc import Callable

from resilience import stand_ins as local
from resilience.core.settings import Settings
from resilience.stand_ins import ground, lease
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    needs_servers,
    team,
)

pytestmark = needs_servers


async def test_a_hold_is_seen_by_the_supervisor_and_a_warning_by_us(checkout: Callable[..., Settings]) -> None:
    settings = checkout(team(free_ports(6))[1:2])
    await local.start(settings.services, settings)
    local.hold(settings, "run 1")
    assert [hold["reason"] for hold in lease.read_lease(local.folder(settings))[1]] == ["run 1"]
    assert local.warning(settings) == ""
    local.release(settings, "run 1")
    assert lease.read_lease(local.folder(settings))[1] == ()
    hook = ground.SupervisedGround(settings).lease.hook
    assert hook[-1] == "restore"
