"""All that is known of NATS, as a record: addresses, findings, clients and stand-in."""

from __future__ import annotations

from resilience.core.faults import fault
from resilience.core.kind import Doubles, Facts, Finding, Kind, Scheme, Template, Words
from resilience.core.records import Fault, FaultCode, Phase

C = FaultCode
_ERRORS = (
    ("authorization", C.APP_AUTH),
    ("authentication", C.APP_AUTH),
    ("user authentication", C.APP_AUTH),
    ("maximum connections", C.APP_OVERLOAD),
    ("maximum account", C.APP_OVERLOAD),
    ("secure connection", C.TLS_REFUSED),
)
"""Beginnings of what stands behind -ERR: the protocol has no codes ("-ERR", "Client protocol" of the manual)."""


def nats_fault(text: str, *, phase: Phase | None = Phase.QUERY, endpoint: str = "") -> Fault:
    """Return what an error of the server's means; one that is not known is an error of its own."""
    said = text.strip(" '\r\n")
    code = next((code for begin, code in _ERRORS if said.lower().startswith(begin)), C.APP_ERROR)
    return fault(code, phase, said, endpoint=endpoint)


def _coded(link: BaseException, modules: frozenset[str], phase: Phase | None, endpoint: str) -> Fault | None:
    """Read what the server said, which nats-py raises as a plain Error behind its own name."""
    text = str(link)
    if "nats" in modules and type(link).__name__ == "Error" and text.startswith("nats: '"):
        return nats_fault(text.removeprefix("nats: "), phase=phase, endpoint=endpoint)
    return None


def _findings(facts: Facts) -> Finding | None:
    """Find that it sends its clients away before it goes down, as it says itself."""
    if facts.get("lame_duck") == "yes":
        return Finding(code=C.APP_SHUTDOWN, detail="[ldm] (true): it is in lame duck mode, and closes soon")
    return None


KIND = Kind(
    name="nats",
    title="NATS",
    schemes={"nats": Scheme(port=4222, local=True)},
    scheme_hint="nats://user:password@nats.staging.example:4222; nats://TOKEN@host for a token",
    templates=(
        Template(
            name="nats",
            label="NATS",
            url="${STAGING_NATS_URL}",
            local="nats://127.0.0.1:4225",
            exports=(
                ("NATS_URL", "{local}"),
                ("NATS_SERVERS", "{local}"),
                ("NATS_HOST", "{host}"),
                ("NATS_PORT", "{port}"),
            ),
            words=("NATS",),
            images=r"\bnats\b(?!-box|-exporter)",
            markers=("real_nats", "nats"),
        ),
    ),
    probe="resilience.services.nats.probe:probe_nats",
    words={
        C.APP_AUTH: Words(
            cause="it is up and refuses this user, password or token",
            hint="nats server check connection --server nats://{endpoint}; compare the secret with the vault's",
        ),
    },
    findings=_findings,
    clients=("nats", "pynats"),
    errors={
        ("nats", "AuthorizationError"): C.APP_AUTH,
        ("nats", "ConnectionClosedError"): C.PROTO_CLOSED,
        ("nats", "StaleConnectionError"): C.PROTO_CLOSED,
        ("nats", "UnexpectedEOF"): C.PROTO_CLOSED,
        ("nats", "NoRespondersError"): C.APP_UPSTREAM,
    },
    vague={("nats", "TimeoutError"): C.PROTO_SILENT, ("nats", "NoServersError"): C.TCP_REFUSED},
    coded=_coded,
    commands=("nats",),
    doubles=Doubles(
        stand_in="resilience.services.nats.stand_in:STAND_INS",
        install="apt-get install nats-server",
        unavailable="no NATS server on this machine. Hint: apt-get install nats-server, or give `start`",
    ),
)
