"""The system's memcached stands in: up, used by the team's own client, dead, and gone again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.settings import Settings
from resilience.services.place import port_open
from tests.kits.kind_kit import code_of, judged, look, of_kind
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(shutil.which("memcached") is None, reason="no memcached: apt-get install memcached")


async def test_it_is_up_then_dead_then_gone(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("memcached", f"memcached://127.0.0.1:{port}")
    settings = checkout([one])
    assert local.availability([one], settings)[0].provider == "system"
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "system")
    assert found.version
    assert (await judged(one)).status is ConnectivityStatus.AVAILABLE
    [again] = await local.start([one], settings)
    assert again.pid == found.pid

    pymemcache = pytest.importorskip("pymemcache.client.base")
    client = pymemcache.Client(("127.0.0.1", port))
    client.set("key", b"value")
    assert client.get("key") == b"value"
    client.close()

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    assert eventually(lambda: "ended by signal 9" in local.status(settings)[0].error)
    assert (await local.start([one], settings))[0].ready
    await local.stop(settings)
    assert not port_open("127.0.0.1", port)
