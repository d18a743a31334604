"""aiosmtpd stands in: up, used by smtplib, its inbox can be read, a wrong password is refused, dead, and gone."""

from __future__ import annotations

import asyncio
import os
import signal
import smtplib
from collections.abc import Callable
from pathlib import Path

import pytest

from resilience import stand_ins as local
from resilience.core.records import ConnectivityStatus, FaultCode
from resilience.core.settings import Settings
from resilience.services.place import port_open
from resilience.services.smtp.stand_in import INBOX, STAND_INS
from tests.kits.kind_kit import code_of, judged, look, of_kind, with_password
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually
from tests.stand_ins.conftest import checkout  # noqa: F401 - a fixture

pytestmark = pytest.mark.skipif(not STAND_INS.found()[1], reason="no aiosmtpd: pip install 'resilience-runbook[smtp]'")


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.login("app", "s3cret")
        client.sendmail("shop@x.invalid", ["you@x.invalid"], "Subject: your order\r\n\r\nThank you.")


async def test_it_takes_mail_that_can_be_read_refuses_dies_and_is_gone(checkout: Callable[..., Settings]) -> None:  # noqa: F811
    [port] = free_ports(1)
    one = of_kind("smtp", f"smtp://app:s3cret@127.0.0.1:{port}")
    settings = checkout([one])
    [found] = await local.start([one], settings)
    assert (found.error, found.provider) == ("", "wheel")
    assert (await judged(one)).status is ConnectivityStatus.AVAILABLE
    assert code_of(await look(with_password(one, "app", "wrong"))) is FaultCode.APP_AUTH
    await asyncio.to_thread(send, port)
    inbox = Path(found.data_dir) / INBOX
    [mail] = [path.read_text() for path in (inbox / "new").iterdir()]
    assert "Subject: your order" in mail
    assert "you@x.invalid" in mail
    assert str(inbox) in found.gaps[0]

    os.kill(found.pid or 0, signal.SIGKILL)
    assert eventually(lambda: not port_open("127.0.0.1", port))
    assert code_of(await look(one)) is FaultCode.TCP_REFUSED
    assert (await local.start([one], settings))[0].ready
    await local.stop(settings)
    assert not port_open("127.0.0.1", port)
