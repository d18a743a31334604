"""The system's slapd stands in: up, used by the team's own client, refusing a wrong password, dead, and gone again."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.services.ldap.stand_in import STAND_INS
from resilience.services.place import port_open
from tests.kits.kind_kit import by_client, code_of, judged, look, of_kind, with_password
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(not STAND_INS.found()[1], reason="no slapd: apt-get install slapd")

ADMIN = "cn=admin,dc=shop,dc=example"
USER = "cn%3Dadmin%2Cdc%3Dshop%2Cdc%3Dexample"


async def test_it_is_up_refuses_dies_and_is_gone(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("ldap", f"ldap://{USER}:it%27s%20%22secret@127.0.0.1:{port}/dc=shop,dc=example")
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "system")
    seen = await judged(one)
    assert (seen.status, seen.facts["login"]) == (ConnectivityStatus.AVAILABLE, "by password")
    refused = await look(with_password(one, USER, "wrong"))
    assert code_of(refused) is FaultCode.APP_AUTH
    assert refused.fault is not None
    assert "invalidCredentials" in refused.fault.detail
    elsewhere = replace(one, url=Secret(one.url.reveal().replace("/dc=shop", "/dc=nowhere")))
    assert code_of(await look(elsewhere)) is FaultCode.APP_NO_DB
    nobody = await look(of_kind("ldap", f"ldap://127.0.0.1:{port}"))
    assert (nobody.fault, nobody.facts["bases"]) == (None, "dc=shop,dc=example")
    strict = await look(replace(one, options={"starttls": "required"}))
    assert strict.fault is not None, "slapd has no certificate here"

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    [again] = await local.start([one], settings)
    assert again.ready, again.error
    await local.stop(settings)
    assert not port_open("127.0.0.1", port)


CLIENT = """
import ldap3
def bound(password):
    return ldap3.Connection(ldap3.Server("127.0.0.1", {port}), "{admin}", password, raise_exceptions=True, auto_bind=True)
"""


@pytest.mark.slow  # a process of its own, and a client that tries again
async def test_the_teams_client_works_with_it_and_its_errors_are_read(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    pytest.importorskip("ldap3")
    [port] = free_ports(1)
    one = of_kind("ldap", f"ldap://{USER}:pw@127.0.0.1:{port}/dc=shop,dc=example")
    settings = checkout([one])
    assert (await local.start([one], settings))[0].error == ""
    script = CLIENT.format(port=port, admin=ADMIN)
    work = """
client = bound("pw")
client.add("ou=people,dc=shop,dc=example", "organizationalUnit")
client.search("dc=shop,dc=example", "(ou=people)")
print([entry.entry_dn for entry in client.entries])
print(fault_of("ldap", lambda: bound("wrong")))
"""
    assert await by_client(script + work) == ["['ou=people,dc=shop,dc=example']", FaultCode.APP_AUTH]
    await local.stop(settings)
    assert await by_client(script + 'print(fault_of("ldap", lambda: bound("pw")))') == [FaultCode.TCP_REFUSED]
