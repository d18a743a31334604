"""The system's etcd stands in: up, written to and read, refusing a wrong password, full, dead, and gone again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.settings import Settings
from resilience.services.etcd.kind import KIND
from resilience.services.etcd.probe import Gateway
from resilience.services.place import port_open
from resilience.services.wire import Trace, Wire, parse
from tests.kits.kind_kit import code_of, judged, look, of_kind, with_password
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(shutil.which("etcd") is None, reason="no etcd: apt-get install etcd-server")


async def asked(url: str, path: str, body: dict[str, object]) -> dict[str, object]:
    """Ask a running etcd through its gateway, as its root."""
    address, wire = parse(KIND, url), Wire(Trace(5.0))
    await asyncio.get_running_loop().create_connection(lambda: wire, address.host, address.port)
    gateway = Gateway(wire, address)
    try:
        if address.user:
            await gateway.login()
        return await gateway.ask(path, body)
    finally:
        wire.abort()


async def test_it_is_up_refuses_fills_dies_and_is_gone(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("etcd", f"http://app:it%27s%20secret@127.0.0.1:{port}")
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "system")
    seen = await judged(one)
    assert (seen.status, seen.facts["login"], seen.facts["leader"]) == (
        ConnectivityStatus.AVAILABLE,
        "by password",
        "known",
    )
    assert code_of(await look(with_password(one, "app", "wrong"))) is FaultCode.APP_AUTH
    assert code_of(await look(of_kind("etcd", f"http://127.0.0.1:{port}"))) is FaultCode.APP_AUTH
    await asked(one.url.reveal(), "kv/put", {"key": "aw==", "value": "dg=="})
    read = await asked(one.url.reveal(), "kv/range", {"key": "aw=="})
    assert read["kvs"][0]["value"] == "dg=="  # type: ignore[index]

    await asked(one.url.reveal(), "maintenance/alarm", {"action": "ACTIVATE", "alarm": "NOSPACE"})
    full = await judged(one)
    assert (full.status, full.fault) == (ConnectivityStatus.DEGRADED, FaultCode.APP_READONLY), full

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    [again] = await local.start([one], settings)
    assert again.ready, again.error
    await local.stop(settings)
    assert not port_open("127.0.0.1", port)


async def test_a_login_is_no_fault_where_authentication_is_off(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("etcd", f"http://127.0.0.1:{port}")
    settings = checkout([one])
    assert (await local.start([one], settings))[0].error == ""
    seen = await look(with_password(one, "app", "whatever"))
    assert (seen.fault, seen.facts["login"]) == (None, "not asked for: authentication is off")
    await local.stop(settings)
