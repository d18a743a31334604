"""The system's MariaDB stands in: up with the user of the env file, used by PyMySQL, refusing a wrong password, dead, gone."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.settings import Settings
from resilience.services.mysql.stand_in import STAND_INS, _path
from resilience.services.place import port_open
from tests.kits.kind_kit import code_of, judged, look, of_kind, with_password
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(
    shutil.which("mariadbd", path=_path()) is None, reason="no MariaDB: apt-get install mariadb-server"
)


async def test_it_is_up_refuses_a_wrong_password_dies_and_is_gone(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("mysql", f"mysql://app:it%27s%20secret@127.0.0.1:{port}/shop", ready_query="select 1 from dual")
    settings = checkout([one])
    assert STAND_INS.found()[0] == "system"
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "system")
    assert "MariaDB" in found.version
    good = await judged(one)
    assert (good.status, good.facts["read_only"]) == (ConnectivityStatus.AVAILABLE, "0")
    assert code_of(await look(with_password(one, "app", "wrong"))) is FaultCode.APP_AUTH
    assert (await local.start([one], settings))[0].pid == found.pid
    assert b"secret" not in Path(f"/proc/{found.pid}/cmdline").read_bytes()

    pymysql = pytest.importorskip("pymysql")
    with (
        pymysql.connect(host="127.0.0.1", port=port, user="app", password="it's secret", database="shop") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("create table kept (n int)")
        cursor.execute("insert into kept values (7)")
        connection.commit()

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    assert (await local.start([one], settings))[0].ready
    with (
        pymysql.connect(host="127.0.0.1", port=port, user="app", password="it's secret", database="shop") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select n from kept")
        assert cursor.fetchone() == (7,)
    await local.stop(settings)
    assert not port_open("127.0.0.1", port)
