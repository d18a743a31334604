"""One table: the word, the sign, the colour and the tone of every status, outcome, verdict, mode, stage and phase.

Terminal, notebook, page, Markdown, diagram, charts and JUnit read it here, so that a thing has one word and one sign
wherever it stands. A member of an enum without a row here fails a test. What must be told apart at night is told apart
thrice: by word, by sign and by colour, and in charts by a hatch as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from resilience.core.records import ConnectivityStatus, FaultCode, Outcome, StageStatus, TestExecutionMode, Verdict


class Tone(StrEnum):
    """How good or bad news is. A tone has one sign and one set of colours; the values are the page's class names.

    `UNKNOWN` is a tone of its own and not a lighter "bad": whoever reads "unknown" must look, not repair.
    """

    GOOD = "good"
    PARTIAL = "partial"
    BAD = "bad"
    UNKNOWN = "unknown"
    QUIET = "quiet"
    """Neither good nor bad: not configured, skipped, not run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a tone looks. `ink` is for text on white and for a ground below white text, `ink_dark` for the dark page.

    Both hold a contrast of 4.5:1, which is what WCAG 2 asks of text at level AA. The signs differ in shape, so that
    they are told apart without colour.
    """

    sign: str
    ink: str
    ink_dark: str
    terminal: str
    """A style of Rich: the terminal's own colours, which fit its theme."""


LOOKS: Mapping[Tone, Look] = {
    Tone.GOOD: Look(sign="●", ink="#0a6b4e", ink_dark="#6fd6b0", terminal="green"),
    Tone.PARTIAL: Look(sign="▲", ink="#7a4f00", ink_dark="#f2c35c", terminal="yellow"),
    Tone.BAD: Look(sign="✕", ink="#a53a00", ink_dark="#ff9e6b", terminal="bold red"),
    Tone.UNKNOWN: Look(sign="?", ink="#4a5058", ink_dark="#c0c7d0", terminal="magenta"),
    Tone.QUIET: Look(sign="–", ink="#4a5058", ink_dark="#c0c7d0", terminal="dim"),
}

GREEN, AMBER, RED, GREY, SKY, PURPLE, YELLOW, BLUE = (
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#b3b3b3",
    "#56b4e9",
    "#cc79a7",
    "#f0e442",
    "#0072b3",
)
"""Fills of charts: Okabe and Ito's colours, which colour-blind readers tell apart. BLUE is a step beside the blue of lines,
which stands for a variable of the page."""
LIGHT, DARK = "#fefefe", "#16191d"
"""Labels on coloured bars, the same in light and dark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What stands for one member: its word, its tone, and its fill and hatch in charts. `own_sign` replaces the tone's."""

    word: str
    tone: Tone
    fill: str = GREY
    hatch: str = ""
    label: str = DARK
    """The colour of a label on the fill."""
    own_sign: str = ""
    plural: str = ""
    """The word behind a number of several, where it is another."""

    @property
    def look(self) -> Look:
        return LOOKS[self.tone]

    @property
    def sign(self) -> str:
        return self.own_sign or self.look.sign

    @property
    def signed(self) -> str:
        """The sign before the word."""
        return f"{self.sign} {self.word}"


STATUSES: Mapping[ConnectivityStatus, Mark] = {
    ConnectivityStatus.AVAILABLE: Mark(word="available", tone=Tone.GOOD, fill=GREEN),
    ConnectivityStatus.DEGRADED: Mark(word="degraded", tone=Tone.PARTIAL, fill=AMBER, hatch="///"),
    ConnectivityStatus.UNAVAILABLE: Mark(word="unavailable", tone=Tone.BAD, fill=RED, hatch="xxx"),
    ConnectivityStatus.UNKNOWN: Mark(word="unknown", tone=Tone.UNKNOWN, fill=GREY, hatch="---"),
    ConnectivityStatus.NOT_CONFIGURED: Mark(word="not configured", tone=Tone.QUIET, fill="#dddddd"),
}

STAGING: Mapping[ConnectivityStatus, str] = {
    ConnectivityStatus.AVAILABLE: "UP",
    ConnectivityStatus.DEGRADED: "DEGRADED",
    ConnectivityStatus.UNAVAILABLE: "DOWN",
    ConnectivityStatus.UNKNOWN: "UNKNOWN",
    ConnectivityStatus.NOT_CONFIGURED: "NOT CONFIGURED",
}
"""The word for staging as a whole, in capitals behind `STAGING:`; a service never carries it."""

OUTCOMES: Mapping[Outcome, Mark] = {
    Outcome.PASSED: Mark(word="passed", tone=Tone.GOOD, fill=GREEN),
    Outcome.FAILED: Mark(word="failed", tone=Tone.BAD, fill=RED, hatch="xxx"),
    Outcome.ERROR: Mark(word="error", plural="errors", tone=Tone.BAD, fill="#a34700", hatch="+++"),
    Outcome.TIMEOUT: Mark(word="timed out", tone=Tone.UNKNOWN, fill=PURPLE, hatch="---"),
    Outcome.INFRASTRUCTURE_UNAVAILABLE: Mark(word="held back or lost", tone=Tone.PARTIAL, fill=AMBER, hatch="///"),
    Outcome.UNDECIDED: Mark(word="undecided", tone=Tone.UNKNOWN, fill="#cc79a7", hatch="..."),
    Outcome.STAND_IN_GAP: Mark(word="stand-in gap", tone=Tone.PARTIAL, fill=YELLOW, hatch="\\\\\\"),
    Outcome.NOT_RUN: Mark(word="not run", tone=Tone.QUIET, fill="#8c8c8c", hatch="---"),
    Outcome.SKIPPED: Mark(word="skipped", tone=Tone.QUIET, fill=GREY),
    Outcome.XFAILED: Mark(word="xfailed", tone=Tone.QUIET, fill=GREY, hatch="|||"),
    Outcome.XPASSED: Mark(word="xpassed", tone=Tone.QUIET, fill=SKY, hatch="|||"),
    Outcome.DESELECTED: Mark(word="deselected", tone=Tone.QUIET, fill="#dddddd"),
}
"""In the order in which outcomes are listed everywhere."""


def outcome_word(name: str) -> str:
    """Return the word of an outcome, given its value; what a running test run counts besides is shown with blanks."""
    return OUTCOMES[Outcome(name)].word if name in set(Outcome) else name.replace("_", " ")


class Blame(StrEnum):
    """Who has to act on an outcome: the one classification that every rendering uses.

    Not who is guilty: who can do something about it now. A test that failed from an outage is infrastructure's even
    where the product handles that outage badly.
    """

    PRODUCT = "product"
    INFRASTRUCTURE = "infrastructure"
    UNDECIDED = "undecided"
    """The product or an outage: not to be told apart before the service is back."""
    GAP = "gap"
    """A stand-in that lacks what staging has: whoever keeps the stand-ins."""
    UNKNOWN = "unknown"
    """Nothing is known of why, or the test never ran."""
    NONE = "none"
    """Nothing failed."""


BLAME: Mapping[Outcome, Blame] = {
    Outcome.PASSED: Blame.NONE,
    Outcome.FAILED: Blame.PRODUCT,
    Outcome.ERROR: Blame.PRODUCT,
    Outcome.SKIPPED: Blame.NONE,
    Outcome.XFAILED: Blame.NONE,
    Outcome.XPASSED: Blame.NONE,
    Outcome.INFRASTRUCTURE_UNAVAILABLE: Blame.INFRASTRUCTURE,
    Outcome.UNDECIDED: Blame.UNDECIDED,
    Outcome.STAND_IN_GAP: Blame.GAP,
    # A test that was still running when its time was up says nothing of who kept it waiting.
    Outcome.TIMEOUT: Blame.UNKNOWN,
    Outcome.NOT_RUN: Blame.UNKNOWN,
    Outcome.DESELECTED: Blame.NONE,
}

VERDICTS: Mapping[Verdict, Mark] = {
    Verdict.RUNNING: Mark(word="still running", tone=Tone.UNKNOWN),
    Verdict.PASSED: Mark(word="passed", tone=Tone.GOOD),
    Verdict.PASSED_ON_STAND_INS: Mark(word="passed on stand-ins", tone=Tone.PARTIAL),
    Verdict.PRODUCT_FAILURES: Mark(word="product failures", tone=Tone.BAD),
    Verdict.INFRASTRUCTURE_UNAVAILABLE: Mark(word="infrastructure unavailable", tone=Tone.BAD),
    Verdict.UNDECIDED: Mark(word="undecided", tone=Tone.UNKNOWN),
    Verdict.STAND_IN_GAPS: Mark(word="gaps of the stand-ins", tone=Tone.PARTIAL),
    Verdict.UNKNOWN: Mark(word="unknown", tone=Tone.UNKNOWN),
    Verdict.RUNBOOK_FAILED: Mark(word="runbook failed", tone=Tone.BAD),
    Verdict.INTERRUPTED: Mark(word="interrupted", tone=Tone.UNKNOWN),
    Verdict.TIMED_OUT: Mark(word="timed out", tone=Tone.BAD),
    Verdict.KILLED: Mark(word="killed", tone=Tone.BAD),
}


def verdict_word(name: str) -> str:
    """Return the word of a verdict, given its value; a value of another version is shown with blanks."""
    known = {verdict.value: mark.word for verdict, mark in VERDICTS.items()}
    return known.get(name, name.replace("_", " "))


STAGES: Mapping[StageStatus, Mark] = {
    StageStatus.STARTED: Mark(word="started", tone=Tone.PARTIAL, fill=SKY, hatch="---", own_sign="▶"),
    StageStatus.FINISHED: Mark(word="finished", tone=Tone.GOOD, fill=GREEN, own_sign="✓"),
    StageStatus.DONE_BY_HAND: Mark(word="done by hand", tone=Tone.GOOD, fill=SKY, own_sign="✓"),
    StageStatus.SKIPPED: Mark(word="skipped", tone=Tone.QUIET, fill=GREY),
    StageStatus.FAILED: Mark(word="failed", tone=Tone.BAD, fill=RED, hatch="xxx"),
    StageStatus.KILLED: Mark(word="killed", tone=Tone.BAD, fill=RED, hatch="xxx"),
    StageStatus.TIMED_OUT: Mark(word="timed out", tone=Tone.BAD, fill=RED, hatch="xxx"),
    StageStatus.INTERRUPTED: Mark(word="interrupted", tone=Tone.BAD, fill=RED, hatch="xxx"),
}
BROKEN = tuple(status for status, mark in STAGES.items() if mark.tone is Tone.BAD)
"""The statuses of a stage that did not do its work and was not meant to be left out."""

NO_FALLBACK = "no fallback"
"""What was in force before a fallback was applied and after it ended: no mode of the tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeMark:
    """How a mode is shown: what it means in words, its fill in charts, and the colour of a label on it."""

    meaning: str
    fill: str
    label: str


MODES: Mapping[TestExecutionMode, ModeMark] = {
    TestExecutionMode.FULL: ModeMark(meaning="everything, on real staging", fill=BLUE, label=LIGHT),
    TestExecutionMode.DEGRADED: ModeMark(
        meaning="everything that stand-ins and the living services can carry", fill=AMBER, label=DARK
    ),
    TestExecutionMode.OFFLINE: ModeMark(
        meaning="only what needs nothing off this machine", fill="#555555", label=LIGHT
    ),
    TestExecutionMode.CRITICAL_ONLY: ModeMark(meaning="only the critical tests", fill=PURPLE, label=DARK),
}
"""The word of a mode is its value, as it is typed."""
MODE_FILLS: Mapping[str, tuple[str, str]] = {
    **{mode.value: (mark.fill, mark.label) for mode, mark in MODES.items()},
    NO_FALLBACK: ("#d0d7de", DARK),
}
"""Fill and colour of the label by what was in force, no fallback among them."""

PHASES: Mapping[str, Mark] = {
    "dns": Mark(word="dns", tone=Tone.QUIET, fill=PURPLE),
    "tcp": Mark(word="tcp", tone=Tone.QUIET, fill=SKY),
    "tls": Mark(word="tls", tone=Tone.QUIET, fill=YELLOW),
    "first_byte": Mark(word="first byte", tone=Tone.QUIET, fill=BLUE, label=LIGHT),
    "query": Mark(word="query", tone=Tone.QUIET, fill=GREEN, label=LIGHT),
}
"""The measured phases of a probe by the name of their field in `Phases`, without `_s`, in order."""
NO_ANSWER = Mark(word="no answer", tone=Tone.BAD, fill=RED, hatch="xxx")
"""The time that a probe waited in the phase that did not end."""

C = FaultCode
FAULTS: Mapping[FaultCode, str] = {
    C.DNS_NXDOMAIN: "name not found",
    C.DNS_NODATA: "name has no address",
    C.DNS_TEMPFAIL: "name server failed",
    C.DNS_TIMEOUT: "name server time-out",
    C.DNS_BAD_NAME: "not a host name",
    C.TCP_REFUSED: "connection refused",
    C.TCP_TIMEOUT: "connect time-out",
    C.TCP_HOST_UNREACH: "host unreachable",
    C.TCP_NO_ROUTE: "no route to the host",
    C.TCP_PROHIBITED: "forbidden by this machine",
    C.UNIX_MISSING: "socket file missing",
    C.PROTO_RESET: "resets the connection",
    C.PROTO_CLOSED: "closes the connection",
    C.PROTO_SILENT: "accepts, then no answer",
    C.PROTO_SLOW: "answers too slowly",
    C.PROTO_WRONG: "speaks another protocol",
    C.TLS_EXPIRED: "certificate expired",
    C.TLS_SELF_SIGNED: "self-signed certificate",
    C.TLS_UNKNOWN_CA: "unknown certificate authority",
    C.TLS_NOT_YET_VALID: "certificate not yet valid",
    C.TLS_HOSTNAME: "certificate of another host",
    C.TLS_VERSION: "no TLS version in common",
    C.TLS_CLIENT_CERT: "wants a client certificate",
    C.TLS_RESET: "resets the TLS handshake",
    C.TLS_TIMEOUT: "TLS time-out",
    C.TLS_NOT_TLS: "does not speak TLS",
    C.TLS_REFUSED: "has TLS switched off",
    C.TLS_OTHER: "TLS failed",
    C.APP_STARTING: "starting up",
    C.APP_SHUTDOWN: "shutting down",
    C.APP_OVERLOAD: "overloaded",
    C.APP_AUTH: "login refused",
    C.APP_NO_DB: "no such database",
    C.APP_READONLY: "read-only",
    C.APP_REPLICA_DOWN: "replica down",
    C.APP_REPLICA_LAG: "replica behind",
    C.APP_CLUSTER_DOWN: "cluster down",
    C.APP_CLUSTER_MOVED: "key is on another cluster node",
    C.APP_CLUSTER_TRYAGAIN: "cluster is moving keys",
    C.APP_SLOW: "query time-out",
    C.APP_ERROR: "answers with an error",
    C.APP_POOLER: "pooler without its database",
    C.APP_HTTP_404: "page not found",
    C.APP_HTTP_STATUS: "unexpected HTTP status",
    C.APP_BAD_BODY: "says that it is not well",
    C.APP_RATE_LIMIT: "rate limit",
    C.APP_QUOTA: "quota used up",
    C.APP_UPSTREAM: "what it depends on fails",
    C.APP_PROXY_NOT_READY: "proxy not ready",
    C.APP_MESSAGE_TOO_BIG: "message too big",
    C.APP_SCHEMA_GAP: "missing from the schema",
    C.WS_NOT_UPGRADED: "no WebSocket upgrade",
    C.CONFIG_INVALID: "configuration invalid",
    C.DENIED_HOST: "host on the deny list",
    C.INTERNAL: "internal error of the probe",
}
"""What is said of a service with this fault, in few words; what it means and what to do stands in `core/faults`."""
TIMED = frozenset({C.TCP_TIMEOUT, C.DNS_TIMEOUT, C.PROTO_SILENT, C.PROTO_SLOW, C.TLS_TIMEOUT})
"""Faults that are a wait without an end, of which one wants to know how long it was."""
