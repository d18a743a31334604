"""All that is known of a mail server that takes mail (SMTP), as a record: addresses, reply codes, clients and stand-in."""

from __future__ import annotations

from collections.abc import Mapping

from resilience.core.faults import fault
from resilience.core.kind import Doubles, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_REPLIES: Mapping[int, FaultCode] = {
    421: C.APP_SHUTDOWN,
    450: C.APP_OVERLOAD,
    451: C.APP_ERROR,
    452: C.APP_OVERLOAD,
    454: C.APP_OVERLOAD,
    530: C.APP_AUTH,
    534: C.APP_AUTH,
    535: C.APP_AUTH,
    538: C.APP_AUTH,
}
"""Reply codes of RFC 5321 and RFC 4954, as far as they say something of the server."""


def smtp_fault(code: int, text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what a reply that refuses means; one that is not known is an error of the server's own."""
    return fault(_REPLIES.get(code, C.APP_ERROR), phase, f"{code} {text}", endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read the reply code that smtplib puts into its errors; a refused sender or recipient is the product's own."""
    code = getattr(link, "smtp_code", None)
    if modules & {"smtplib", "aiosmtplib"} and isinstance(code, int) and code in _REPLIES:
        text = getattr(link, "smtp_error", b"")
        shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        return smtp_fault(code, shown, phase=phase, endpoint=endpoint)
    return None


KIND = Kind(
    name="smtp",
    title="SMTP",
    schemes={"smtp": Scheme(port=25, local=True), "smtps": Scheme(port=465, tls=True)},
    scheme_hint="smtp://mail.staging.example:587, or smtps://… where TLS comes first",
    options={"starttls": "auto"},
    choices={"starttls": ("auto", "required", "never")},
    templates=(
        Template(
            name="smtp",
            label="SMTP",
            short_names=("mail",),
            url="${STAGING_SMTP_URL}",
            local="smtp://127.0.0.1:1026",
            exports=(
                ("SMTP_HOST", "{host}"),
                ("SMTP_PORT", "{port}"),
                ("SMTP_URL", "{local}"),
                ("EMAIL_HOST", "{host}"),
                ("EMAIL_PORT", "{port}"),
                ("MAIL_SERVER", "{host}"),
                ("MAIL_PORT", "{port}"),
            ),
            words=("SMTP",),
            images=r"mailhog|mailpit|maildev|postfix|smtp",
            markers=("real_smtp", "smtp"),
        ),
    ),
    probe="resilience.services.smtp.probe:probe_smtp",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this user or this password, or asks for TLS before it takes one",
            hint="compare the password in the url with the vault's; openssl s_client -starttls smtp -connect {host}:{port}",
        ),
        C.PROTO_SILENT: Words(
            cause="it accepts connections and does not greet: it is busy with a blocklist, or a firewall holds the port",
            hint="nc -v {host} {port}; clouds close port 25 to the outside: is 587 the one?",
        ),
    },
    clients=("aiosmtplib",),
    errors={
        ("smtplib", "SMTPServerDisconnected"): C.PROTO_CLOSED,
        ("smtplib", "SMTPAuthenticationError"): C.APP_AUTH,
        ("aiosmtplib", "SMTPServerDisconnected"): C.PROTO_CLOSED,
        ("aiosmtplib", "SMTPConnectTimeoutError"): C.TCP_TIMEOUT,
        ("aiosmtplib", "SMTPAuthenticationError"): C.APP_AUTH,
    },
    coded=_coded,
    doubles=Doubles(
        stand_in="resilience.services.smtp.stand_in:STAND_INS",
        install="pip install 'resilience-runbook[smtp]'",
        unavailable="aiosmtpd is not installed. Hint: pip install 'resilience-runbook[smtp]', or give `start`",
    ),
)
