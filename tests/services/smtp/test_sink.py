"""The sink is what its configuration says: with a login where it has a user, without one where it has none."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from tests.kits.ports import free_port

pytest.importorskip("aiosmtpd", reason="no aiosmtpd: pip install 'resilience-runbook[smtp]'")


def test_without_a_user_it_takes_any_mail(tmp_path: Path) -> None:
    from resilience.services.smtp.sink import controller

    port = free_port()
    server = controller(
        {"bind": "127.0.0.1", "port": port, "user": "", "password": "", "inbox": str(tmp_path / "inbox")}
    )
    server.start()
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.sendmail("a@x.invalid", ["b@x.invalid"], "Subject: hello\r\n\r\n.")
    finally:
        server.stop()
    assert len(list((tmp_path / "inbox" / "new").iterdir())) == 1
