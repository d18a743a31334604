"""What the reply codes of SMTP mean, of a server and in smtplib's errors."""

from __future__ import annotations

import smtplib

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode, Phase
from resilience.services.smtp.kind import KIND, smtp_fault

C = FaultCode


@pytest.mark.parametrize(
    ("code", "meaning"), [(421, C.APP_SHUTDOWN), (452, C.APP_OVERLOAD), (535, C.APP_AUTH), (554, C.APP_ERROR)]
)
def test_a_reply_says_what_it_means(code: int, meaning: FaultCode) -> None:
    assert smtp_fault(code, "text").code is meaning


def test_smtplibs_errors_are_read() -> None:
    for error, meaning in (
        (smtplib.SMTPAuthenticationError(535, b"no"), C.APP_AUTH),
        (smtplib.SMTPServerDisconnected("closed"), C.PROTO_CLOSED),
        (smtplib.SMTPConnectError(421, b"try later"), C.APP_SHUTDOWN),
    ):
        assert classify(error, Phase.QUERY, kinds=(KIND,)).code is meaning
