"""Take mail on one loopback address and keep it in a folder that one can read; it goes nowhere else.

    python -m resilience.services.smtp.sink CONFIG

A process of its own. CONFIG is JSON with bind, port, user, password (empty: no login) and inbox, in which each mail is a file
of a Maildir, with X-MailFrom and X-RcptTo as it was sent.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import AuthResult, LoginPassword


def controller(config: Mapping[str, Any]) -> Controller:
    """Return the server of this configuration, not started yet. It takes any sender and recipient."""
    user, password = str(config["user"]).encode(), str(config["password"]).encode()

    def check(_server: object, _session: object, _envelope: object, _mechanism: str, told: object) -> AuthResult:
        right = isinstance(told, LoginPassword) and (told.login, told.password) == (user, password)
        return AuthResult(success=right, handled=False)

    return Controller(
        Mailbox(config["inbox"]),
        hostname=config["bind"],
        port=config["port"],
        authenticator=check,
        auth_required=bool(user),
        auth_require_tls=False,
        server_hostname="stand-in.invalid",
    )


def main(argv: Sequence[str]) -> None:
    server = controller(json.loads(Path(argv[0]).read_bytes()))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    server.start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
