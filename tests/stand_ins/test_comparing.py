"""What staging had and its stand-in lacks is said."""

from __future__ import annotations

import json
from collections.abc import Callable

from resilience import stand_ins as local
from resilience.core.settings import Settings
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import (
    needs_servers,
    service,
)

pytestmark = needs_servers


async def test_what_staging_had_and_the_stand_in_lacks_is_named(checkout: Callable[..., Settings]) -> None:
    port = free_ports(1)[0]
    settings = checkout([service("database", f"postgresql://app:pw@localhost:{port}/app")])
    settings.state.mkdir()
    seen = {"database": {"server_version": "9.6.24", "extensions": "plpgsql 1.0, postgis 3.4, moonphase 1.0"}}
    (settings.state / "seen.json").write_text(json.dumps(seen))
    found = (await local.start(settings.services, settings))[0]
    assert found.ready
    assert any("9.6.24 on staging" in gap for gap in found.gaps)
    assert "extension moonphase is on staging and cannot be had here" in found.gaps
    assert not any("plpgsql" in gap for gap in found.gaps)
