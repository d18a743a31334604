"""The nouns of the runbook: what every stage takes and gives.

Records are frozen and hold values only. Times are aware and UTC; units are in the names. A record's fields are the keys of
the JSON documents in which it is written (`resilience.core.codec`), so a field renamed here is a contract changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from resilience.core.taught import Taught

SCHEMA = 1
"""Version of every JSON document we write."""


class ConnectivityStatus(StrEnum):
    """How a service, or the whole of staging, is. No answer about ourselves is `unknown`, never `available`.

    `degraded`: it answers, but slowly, read-only, lagging or now and then. `unavailable`: it does not answer, or
    refuses what it is there for. `unknown`: the look says nothing about it. `not_configured`: it was not looked at.
    """

    AVAILABLE = "available"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    NOT_CONFIGURED = "not_configured"


class TestExecutionMode(StrEnum):
    """How the tests are run.

    `full`: everything, on real staging. `degraded`: everything that the living services and stand-ins can carry.
    `offline`: nothing off this machine is reached. `critical_only`: a selection, as a full suite would make staging
    worse or asks for what is not there.
    """

    __test__ = False

    FULL = "full"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    CRITICAL_ONLY = "critical_only"


class Phase(StrEnum):
    """The part of a probe in which something happened, in the order they are gone through.

    `config` is before anything is sent; `first_byte` ends with the first byte of an answer, `query` with the last.
    """

    CONFIG = "config"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    FIRST_BYTE = "first_byte"
    QUERY = "query"


class FaultCode(StrEnum):
    """What went wrong, as a type. The codes are a contract; what each means stands in `resilience.core.faults`.

    By their beginning: `dns_` the name, `tcp_` the way there, `proto_` the connection after it was accepted, `tls_`
    the handshake, `app_` what the server itself said; the others speak of us. A new code needs a row in
    `core.faults.MEANINGS` and one in `core.marks.FAULTS`.
    """

    DNS_NXDOMAIN = "dns_nxdomain"
    DNS_NODATA = "dns_nodata"
    DNS_TEMPFAIL = "dns_tempfail"
    DNS_TIMEOUT = "dns_timeout"
    DNS_BAD_NAME = "dns_bad_name"
    TCP_REFUSED = "tcp_refused"
    TCP_TIMEOUT = "tcp_timeout"
    TCP_HOST_UNREACH = "tcp_host_unreach"
    TCP_NO_ROUTE = "tcp_no_route"
    TCP_PROHIBITED = "tcp_prohibited"
    UNIX_MISSING = "unix_missing"
    PROTO_RESET = "proto_reset"
    PROTO_CLOSED = "proto_closed"
    PROTO_SILENT = "proto_silent"
    PROTO_SLOW = "proto_slow"
    PROTO_WRONG = "proto_wrong"
    TLS_EXPIRED = "tls_expired"
    TLS_SELF_SIGNED = "tls_self_signed"
    TLS_UNKNOWN_CA = "tls_unknown_ca"
    TLS_NOT_YET_VALID = "tls_not_yet_valid"
    TLS_HOSTNAME = "tls_hostname"
    TLS_VERSION = "tls_version"
    TLS_CLIENT_CERT = "tls_client_cert"
    TLS_RESET = "tls_reset"
    TLS_TIMEOUT = "tls_timeout"
    TLS_NOT_TLS = "tls_not_tls"
    TLS_REFUSED = "tls_refused"
    TLS_OTHER = "tls_other"
    APP_STARTING = "app_starting"
    APP_SHUTDOWN = "app_shutdown"
    APP_OVERLOAD = "app_overload"
    APP_AUTH = "app_auth"
    APP_NO_DB = "app_no_db"
    APP_READONLY = "app_readonly"
    APP_REPLICA_DOWN = "app_replica_down"
    APP_REPLICA_LAG = "app_replica_lag"
    APP_CLUSTER_DOWN = "app_cluster_down"
    APP_CLUSTER_MOVED = "app_cluster_moved"
    APP_CLUSTER_TRYAGAIN = "app_cluster_tryagain"
    APP_SLOW = "app_slow"
    APP_ERROR = "app_error"
    APP_POOLER = "app_pooler"
    APP_HTTP_404 = "app_http_404"
    APP_HTTP_STATUS = "app_http_status"
    APP_BAD_BODY = "app_bad_body"
    APP_RATE_LIMIT = "app_rate_limit"
    APP_QUOTA = "app_quota"
    APP_UPSTREAM = "app_upstream"
    APP_PROXY_NOT_READY = "app_proxy_not_ready"
    APP_MESSAGE_TOO_BIG = "app_message_too_big"
    APP_SCHEMA_GAP = "app_schema_gap"
    WS_NOT_UPGRADED = "ws_not_upgraded"
    CONFIG_INVALID = "config_invalid"
    DENIED_HOST = "denied_host"
    INTERNAL = "internal"


class CauseName(StrEnum):
    """A cause that several services share, or the one service that is its own.

    The order is that in which `core.causes` asks; what each takes to be named stands with its rule.
    """

    THIS_MACHINE = "this_machine"
    STAGING_OR_THIS_MACHINE = "staging_or_this_machine"
    DNS_RESOLVER = "dns_resolver"
    VPC_CONNECTOR = "vpc_connector"
    CLOUD_SQL_PROXY = "cloud_sql_proxy"
    DEPENDENCY = "dependency"
    AUTHENTICATION = "authentication"
    CLOCK_OR_CA = "clock_or_ca"
    SINGLE_SERVICE = "single_service"


class Outcome(StrEnum):
    """What became of one test. `failed` and `error` are the product's; an outage is never one of them.

    `undecided` is what cannot be told apart: it failed without a sign of its own while a service it used was unwell.

    `stand_in_gap`: something is missing on a stand-in that staging has. `timeout`: it was still running when the time
    was up. `not_run`: never reached. `deselected`: not of this mode. The values are keys of `TestTotals`.
    """

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    XPASSED = "xpassed"
    INFRASTRUCTURE_UNAVAILABLE = "infrastructure_unavailable"
    UNDECIDED = "undecided"
    STAND_IN_GAP = "stand_in_gap"
    TIMEOUT = "timeout"
    NOT_RUN = "not_run"
    DESELECTED = "deselected"


class Verdict(StrEnum):
    """What a run proved, in one word.

    `running` is what a run has until its end is written, `killed` where its process is gone without one. What each
    proves, and with which exit code, is a table in `core.verdict`.
    """

    RUNNING = "running"
    PASSED = "passed"
    PASSED_ON_STAND_INS = "passed_on_stand_ins"
    PRODUCT_FAILURES = "product_failures"
    INFRASTRUCTURE_UNAVAILABLE = "infrastructure_unavailable"
    UNDECIDED = "undecided"
    STAND_IN_GAPS = "stand_in_gaps"
    UNKNOWN = "unknown"
    RUNBOOK_FAILED = "runbook_failed"
    INTERRUPTED = "interrupted"
    TIMED_OUT = "timed_out"
    KILLED = "killed"


class ExitCode:
    """The exit codes of `contracts.md`; `worst` orders them where several apply.

    20 says that tests were kept from speaking or are undecided, 21 that nothing was proved; 75 is EX_TEMPFAIL
    (sysexits.h), 124 that of timeout(1), 130, 137 and 143 are 128 and the number of the signal, as shells have it: 137
    is written by who finds a run whose process is gone. 2 and 75 stand outside of the order, and win over all in `worst`.
    """

    PASSED = 0
    PRODUCT_FAILURES = 1
    USAGE = 2
    NOT_A_FULL_PASS = 10
    BLOCKED = 20
    UNKNOWN = 21
    RUNBOOK_FAILED = 30
    LOCKED = 75
    TIMED_OUT = 124
    INTERRUPTED = 130
    KILLED = 137
    TERMINATED = 143

    ORDER = (30, 137, 130, 143, 124, 1, 20, 21, 10, 0)

    @classmethod
    def worst(cls, *codes: int) -> int:
        """Return the code that stands first in the order of `contracts.md`; codes outside of it win over all."""
        return min(codes, key=lambda code: cls.ORDER.index(code) if code in cls.ORDER else -1, default=cls.PASSED)


class StageName(StrEnum):
    """The stages of the runbook, in order.

    The values are part of `incident.json`, of file names in a drill's `signals`, and of what `status` and `resume`
    say.
    """

    ASSESS = "assess"
    CHOOSE_MODE = "choose_mode"
    APPLY_FALLBACK = "apply_fallback"
    RUN_TESTS = "run_tests"
    VALIDATE_RECOVERY = "validate_recovery"
    REPORT = "report"


class StageStatus(StrEnum):
    """What became of a stage.

    A stage that still is `started` when its process is gone was killed. `done_by_hand` counts as finished.
    """

    STARTED = "started"
    FINISHED = "finished"
    FAILED = "failed"
    KILLED = "killed"
    TIMED_OUT = "timed_out"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    DONE_BY_HAND = "done_by_hand"


class EventKind(StrEnum):
    """What sort of thing happened, by which a timeline is drawn. One of a later version is read as any event."""

    EVENT = "event"
    BAD_SAMPLE = "bad_sample"
    """The first look of this run that found something wrong."""
    BAD = "bad"
    """A stretch in which a service did not answer, or too slowly; made from samples."""
    WELL = "well"
    DETECTED = "detected"
    MODE = "mode"
    CONFIRMED = "confirmed"
    """A person agreed to a step that changes something."""
    APPLIED = "applied"
    STAND_IN_FAILED = "stand_in_failed"
    TESTS_STARTED = "tests_started"
    TESTS_FINISHED = "tests_finished"
    RECOVERED = "recovered"
    RESTORED = "restored"
    BY_HAND = "by_hand"
    LAB_FAULT = "lab_fault"
    LAB_RECOVERY = "lab_recovery"

    @classmethod
    def _missing_(cls, value: object) -> EventKind | None:
        return cls.EVENT if isinstance(value, str) else None


class ServiceName(str):
    """A service's name that also answers `.value`, as the guide's snippets ask for."""

    __slots__ = ()

    @property
    def value(self) -> str:
        """The name itself: the guide's services were members of an enum."""
        return str(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """From where something was seen. `network` names the local network coarsely (a digest), never an address.

    What one host cannot see another may: each judgement holds from here only, and every report says so.
    """

    host: str
    user: str
    network: str = ""
    platform: str = ""
    python: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an error means. `weak` evidence (a time-out, an empty text, context only) needs a red probe beside it.

    `retryable`: trying again soon may help. `infrastructure`: a failure with it may be the outage's. `cause` is a
    sentence on what it means, `hint` a command to type, `detail` what was found.
    """

    code: FaultCode
    phase: Phase | None
    retryable: bool
    infrastructure: bool
    weak: bool = False
    cause: str = ""
    hint: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phases:
    """Seconds from the start of each phase to its end; None where it was not reached.

    They add up to the response time only where every phase ended: what is left over was waited for in vain.
    """

    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    query_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a probe found, not judged. `facts` are short cleaned texts such as role, server_version, extensions.

    `fault` is what the probe met; None where the service answered as its protocol wants. `response_time_s` is from
    the begin of the probe to its end, which is the deadline at the latest. `endpoint` is host:port, `[v6]:port` or a
    socket's path, without credentials.
    """

    name: str
    started_at: datetime
    response_time_s: float
    phases: Phases
    fault: Fault | None
    endpoint: str
    expected: str = ""
    found: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectivityResult:
    """One service as judged from its observation; the fields are the keys of `assess --json`.

    `endpoint`, `detail` and `hint` are safe to show. `fault` is None where none was met, also of a service that only
    flaps; `response_time_s` where it was not asked. `expected` and `found` stand beside each other in reports.
    `never_reached`: not once from this host and network.
    """

    name: str
    type: str
    status: ConnectivityStatus
    fault: FaultCode | None
    phase: Phase | None
    retryable: bool
    infrastructure: bool
    response_time_s: float | None
    phases: Phases
    endpoint: str
    critical: bool
    detail: str
    hint: str
    started_at: datetime | None = None
    network: str = ""
    expected: str = ""
    found: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    never_reached: bool = False
    flapping: bool = False
    runbook_url: str = ""
    owner: str = ""
    dashboard_url: str = ""
    degraded_above_s: float | None = None
    """From where on this service counts as degraded; drawn as a line in the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why services are unwell together, with the evidence and the next thing to do.

    `services` are in the order of blame, the root first where one is known. `evidence` are sentences, each service's
    own among them; `next` says what to do, with commands to type, `issue` the guide's number where it has one.
    """

    cause: CauseName
    services: tuple[str, ...]
    evidence: tuple[str, ...]
    next: str
    issue: str = ""
    against: tuple[str, ...] = ()
    """What speaks against it: services that it leaves unexplained, and what is not known."""
    also_possible: bool = False
    """Not the cause that is named first, but one that explains what the first does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandInAvailability:
    """Whether a service could be stood in for on this machine, found out without starting anything.

    `reason` is said either way: by what it could be, or why it could not and what to install.
    """

    service: str
    usable: bool
    provider: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InfrastructureHealth:
    """Staging at one moment. The guide's properties are its own; `services` holds one result per service.

    For the rule of `overall_status` see `core.assess`. `should_use_fallback` and `should_skip_tests` are advice for
    these services and stand-ins; the mode is decided in `core.mode`. `checked` and `not_configured` count services.

    >>> health.get_unavailable_services()
    ('database', 'backend_api')
    >>> health.result("database").fault.value
    'tcp_timeout'
    """

    environment: str
    started_at: datetime
    duration_s: float
    vantage: Vantage
    overall_status: ConnectivityStatus
    services: tuple[ConnectivityResult, ...]
    causes: tuple[Cause, ...] = ()
    checked: int = 0
    not_configured: int = 0
    should_use_fallback: bool = False
    should_skip_tests: bool = False
    is_staging_available: bool = False
    stand_ins: tuple[StandInAvailability, ...] = ()

    def result(self, name: str) -> ConnectivityResult | None:
        """Return the result of the service of this name, or None."""
        return next((result for result in self.services if result.name == name), None)

    def named(self, *statuses: ConnectivityStatus) -> tuple[ServiceName, ...]:
        """Return the names of the services with one of these statuses, in the order of the configuration."""
        return tuple(ServiceName(result.name) for result in self.services if result.status in statuses)

    def get_unavailable_services(self) -> tuple[ServiceName, ...]:
        """Return the names of the services that do not answer; unknown ones are not among them."""
        return self.named(ConnectivityStatus.UNAVAILABLE)

    def get_degraded_services(self) -> tuple[ServiceName, ...]:
        """Return the names of the services that answer, but not as they should."""
        return self.named(ConnectivityStatus.DEGRADED)

    def get_available_services(self) -> tuple[ServiceName, ...]:
        """Return the names of the services that are well; degraded ones are not among them."""
        return self.named(ConnectivityStatus.AVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One probe of one service, for charts and history. `target` is staging, or stand_in: never mixed in one line.

    `response_time_s` of a failed probe is how long it was waited for: no latency. `stage` is the stage's value, or a
    word such as "before" outside of stages.
    """

    at: datetime
    service: str
    status: ConnectivityStatus
    response_time_s: float | None
    fault: FaultCode | None = None
    phases: Phases = field(default_factory=Phases)
    target: str = "staging"
    stage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """How to run the tests, and why. `asked_by` names who overruled the health: a parameter, a variable, a person.

    `reasons` are sentences, what is not well first. `forced`: by a parameter. `blocked`: no tests are to run at all.
    `would_be` is the mode by health where somebody overruled it, else None.
    """

    mode: TestExecutionMode
    reasons: tuple[str, ...]
    decided_at: datetime
    forced: bool = False
    asked_by: str = ""
    blocked: bool = False
    would_be: TestExecutionMode | None = None
    stand_ins: tuple[str, ...] = ()
    """Services to be stood in for."""
    held: Mapping[str, str] = field(default_factory=dict)
    """Service → why tests that need it are held back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvChange:
    """One variable's change. Secret values are masked in both; the true ones are only in the env file.

    None: the variable is not there before, or is taken away.
    """

    name: str
    before: str | None
    after: str | None
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStandIn:
    """A service to start, or prove, on this machine. `local` is redacted, and so is `start`, the team's own command."""

    service: str
    type: str
    provider: str
    local: str
    start: str = ""
    prepare: tuple[str, ...] = ()
    ready_query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCommand:
    """A test command as it will be run."""

    command: str
    select: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that `apply` would do, in the words it will use; nothing has been done.

    `undo` and `by_hand` are lines to type. `select` is a pytest marker expression, `profile` the mode's env file by
    name, `env_file` the file that is written, relative to the root. Nothing to change: `changes` is empty, and
    `steps` says so.
    """

    mode: TestExecutionMode
    stand_ins: tuple[PlannedStandIn, ...]
    changes: tuple[EnvChange, ...]
    commands: tuple[PlannedCommand, ...]
    select: str
    held_markers: Mapping[str, str]
    """Marker → why its tests are held back (reported `infrastructure_unavailable`)."""
    undo: tuple[str, ...]
    steps: tuple[str, ...]
    by_hand: tuple[str, ...] = ()
    env_file: str = ""
    profile: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A service on this machine that stands in for staging's. `provider`: start, running, compose, system, …, mock.

    `ready`: it answered with the env file's credentials and its ready query. `started_here`: it is ours to stop.
    `passed_over` says of each provider before why it was not used, `gaps` what it lacks against staging, `error` why
    it is not ready. Times are in seconds.
    """

    service: str
    type: str
    provider: str
    endpoint: str
    ready: bool
    started_here: bool
    pid: int | None = None
    version: str = ""
    start_s: float = 0.0
    prepare_s: float = 0.0
    passed_over: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    data_dir: str = ""
    log: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What was applied, and where its undo data are. `run` is the value of RESILIENCE_APPLIED.

    `failed` are services whose stand-in did not come up; `redecided`: a second decision was applied without them.
    `already`: this very thing was applied before, and no file was changed. `run` and `env_file` are empty where the
    mode changes nothing.
    """

    run: str
    mode: TestExecutionMode
    applied_at: datetime
    host: str
    env_file: str
    stand_ins: tuple[StandIn, ...]
    changes: tuple[EnvChange, ...]
    steps: tuple[str, ...] = ()
    duration_s: float = 0.0
    already: bool = False
    failed: tuple[str, ...] = ()
    redecided: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What restoring found and did. `identical`: every byte, mode and existence is as before the first change.

    `shell_variables` are what a shell that took the values over must unset itself; `kept_copies` are files that
    somebody had edited. `nothing_to_do`: no fallback was applied.
    """

    run: str
    restored_at: datetime
    files: tuple[str, ...]
    identical: bool
    stopped: tuple[str, ...] = ()
    shell_variables: tuple[str, ...] = ()
    kept_copies: tuple[str, ...] = ()
    nothing_to_do: bool = False
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenLook:
    """One look at a service as evidence: when it began, and what it found. `red`: unwell in a way that explains failures."""

    service: str
    at: datetime
    red: bool
    fault: FaultCode | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a test was judged as it was, in one round. `rule` is the number of the rule in docs/verdict.md."""

    round: int
    rule: int
    judgement: Outcome
    reason: str
    error: str = ""
    signs: tuple[str, ...] = ()
    """What the error says by type and code, such as `redis.exceptions.ConnectionError: tcp_refused`."""
    endpoint: str | None = None
    """Host and port that the failing connection was for."""
    service: str | None = None
    used: tuple[str, ...] = ()
    """Services that the test used, or may have used."""
    before: SeenLook | None = None
    """The last look at the service before the failed operation began."""
    during: SeenLook | None = None
    after: SeenLook | None = None
    """The first look after it ended."""
    passed_there: int = 0
    """How many other tests of this round spoke to the service and passed."""
    recordings: str = ""
    """How it ended on recordings of the services it used, on which it had passed before: never the outcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutcome:
    """One test, once. `suspect`: a product failure whose evidence points at infrastructure while the probe is green.

    `id` is pytest's node id. `rounds` is 0 for a test that was held back, 1 for one run, more where it was run again;
    `message` is what its error said, `previous` what it said in an earlier round, `reason` why it was judged so or
    skipped. Texts are redacted.
    """

    __test__ = False

    id: str
    outcome: Outcome
    rounds: int = 1
    duration_s: float = 0.0
    fault: FaultCode | None = None
    service: str | None = None
    suspect: bool = False
    message: str | None = None
    reason: str | None = None
    markers: tuple[str, ...] = ()
    command: int = 0
    previous: str | None = None
    where: str | None = None
    """File and line of the test, as `tests/test_a.py:12`."""
    failed_at: str | None = None
    """File and line of the repository at which its error arose: of the assertion, where it is one."""
    shown: str | None = None
    """The failure as pytest shows it; None beyond the first hundreds of a run, which the log holds."""
    output: str | None = None
    """The end of what it printed and logged, as pytest captured it."""
    evidence: tuple[Evidence, ...] = ()
    """How it was judged, once for each round in which it failed."""
    answered_by: Mapping[str, int] = field(default_factory=dict)
    """How many answers stand-ins gave it, by where they knew them from: recorded, contract, synthetic, echo, miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """One command. `kind`: pytest, junit, or other (judged by exit code and output). `evidence` says what was seen.

    `exit_code` is the command's own. `rounds` counts how often it was run; `log` is a file of the run's folder.
    """

    command: str
    kind: str
    exit_code: int
    duration_s: float
    rounds: int = 1
    evidence: str = ""
    collected: int = 0
    outcome: Outcome = Outcome.PASSED
    fault: FaultCode | None = None
    service: str | None = None
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestTotals:
    """Tests by outcome. All up to `deselected` add up to what plain pytest collects; the last two overlap them.

    `retried` were run more than once; `passed_on_retry` of them passed in the end. The names up to `deselected` are
    Outcome's.
    """

    __test__ = False

    passed: int = 0
    failed: int = 0
    error: int = 0
    skipped: int = 0
    xfailed: int = 0
    xpassed: int = 0
    infrastructure_unavailable: int = 0
    undecided: int = 0
    stand_in_gap: int = 0
    timeout: int = 0
    not_run: int = 0
    deselected: int = 0
    retried: int = 0
    passed_on_retry: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reached:
    """Whether tests reached a stand-in, by its own count of connections and by what was seen; None where neither tells.

    `canary`: True, they did; False, they surely used something else; None, it cannot be told.
    """

    service: str
    connections: int | None
    canary: bool | None = None
    detail: str = ""
    on_staging: bool = False
    """Whether it is staging's own service that tests passed by, and not a stand-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSuiteResult:
    """What the test run gave; the fields are the keys of `test --json`, `exit_code` is one of ours.

    `notes` are sentences on what the result does not prove; `held` is marker or service → why its tests were held
    back.

    >>> result.verdict.value, result.exit_code, result.totals.failed
    ('product_failures', 1, 2)
    """

    __test__ = False

    mode: TestExecutionMode
    started_at: datetime
    duration_s: float
    exit_code: int
    commands: tuple[CommandResult, ...]
    totals: TestTotals
    tests: tuple[TestOutcome, ...]
    verdict: Verdict = Verdict.UNKNOWN
    reached: tuple[Reached, ...] = ()
    notes: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict)
    spoke: int | None = None
    """How many tests spoke to staging, or, where stand-ins were used, to those; None where that cannot be seen."""
    taught: tuple[Taught, ...] = ()
    """What the stand-ins in use had been taught, as it stood when the tests ran."""
    schema: int = SCHEMA

    @property
    def infrastructure_unavailable_tests(self) -> int:
        return self.totals.infrastructure_unavailable

    @property
    def total_tests(self) -> int:
        """How many tests there are, each once: what plain pytest collects, deselected ones included."""
        t = self.totals
        return (
            t.passed
            + t.failed
            + t.error
            + t.skipped
            + t.xfailed
            + t.xpassed
            + t.infrastructure_unavailable
            + t.undecided
            + t.stand_in_gap
            + t.timeout
            + t.not_run
            + t.deselected
        )

    @property
    def passed_tests(self) -> int:
        return self.totals.passed

    @property
    def failed_tests(self) -> int:
        """How many failed as the product's, errors in set-up and tear-down included; an outage's are not among them."""
        return self.totals.failed + self.totals.error

    @property
    def skipped_tests(self) -> int:
        return self.totals.skipped

    @property
    def retried_tests(self) -> int:
        return self.totals.retried


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCheck:
    """One look at staging while waiting for it to stay healthy.

    `why` is empty for a good one; `in_a_row` counts this one, and is 0 for a bad one.
    """

    at: datetime
    good: bool
    in_a_row: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Whether staging stayed healthy: `good_needed` deep checks in a row over at least `dwell_s`.

    `first_good_at` is the first of the good checks in a row, which is when staging came back; `reason` why it has
    not.
    """

    recovered: bool
    started_at: datetime
    duration_s: float
    good_needed: int
    in_a_row: int
    dwell_s: float
    checks: tuple[RecoveryCheck, ...]
    reason: str = ""
    first_good_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a run. `error` is what happened, to what, and what to type; never a traceback.

    `finished_at` is None while it runs, or where its process was killed. `cell` says in which cell a notebook broke,
    `by` who ran it or did it by hand, `note` why it was skipped or how it was done. `exit_code` is what a break makes
    the run end with, where that is known to be another than its status says, such as 143 or 75.
    """

    name: StageName
    status: StageStatus
    started_at: datetime
    finished_at: datetime | None = None
    error: str = ""
    hint: str = ""
    cell: str = ""
    notebook: str = ""
    note: str = ""
    by: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """The process that works on a run. `started` tells it from a later one that got its pid; empty where that is unknown."""

    host: str
    pid: int
    started: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEvent:
    """Something with a time. `link` names the data behind it inside the run's folder."""

    at: datetime
    what: str
    detail: str = ""
    kind: EventKind = EventKind.EVENT
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Whom to tell, and why; what is sent of it is told by the timeline.

    `reason` is a sentence with the limit that was passed; `whom`, `label` and `issue` are those of the configuration.
    `rule` names the rule of `core.escalation`, by which a reason is known again. `title` and `text` are ready to paste,
    in Markdown. `quiet` is why nobody is told: it was acknowledged, or it is maintenance; empty where people are.
    """

    at: datetime
    reason: str
    whom: str
    label: str = ""
    issue: str = ""
    rule: str = ""
    title: str = ""
    text: str = ""
    quiet: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody took an incident: until `until` (None: its end) no escalation of it goes out."""

    at: datetime
    by: str
    until: datetime | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandEnd:
    """How a command ended whose exit code is about what it did: `apply` and `recover` are done, or not."""

    verb: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something that is left to do after a run. `key` names it over all runs of an incident, by which a later run ticks it off.

    `what` is a sentence, `said` what the test or service itself said, `command` what to type. `where` is a file and line,
    `owner` who answers for it by the configuration or CODEOWNERS, empty where neither says. `tests` are the node ids it is
    about. `done` says how it was settled, empty while it is open; `run` is the run that found it.
    """

    key: str
    what: str
    said: str = ""
    command: str = ""
    where: str = ""
    owner: str = ""
    tests: tuple[str, ...] = ()
    run: str = ""
    done: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A run of the runbook from first look to restored; `incident.json` is this record, written after every stage.

    `health` is the first look, by which the mode was decided, `latest` the last one. `applies`: this run may change
    things. `outage_started_at` is the first bad sample of staging; `incident_id` names the outage over all runs that
    saw it. `owner` is who works on it while the verdict is `running`, which it is until all else of the run is written.
    `exit_code` is what the run came to, `command` how the command ended that wrote this end, where that is about what it
    did; None where it ended with `exit_code`. What is None has not come to pass. All texts are redacted as it is written.
    """

    run: str
    slug: str
    environment: str
    started_at: datetime
    vantage: Vantage
    schema: int = SCHEMA
    finished_at: datetime | None = None
    issue: str = ""
    commit: str = ""
    verdict: Verdict = Verdict.RUNNING
    exit_code: int | None = None
    command: CommandEnd | None = None
    owner: Owner | None = None
    applies: bool = False
    drill: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    timeline: tuple[TimelineEvent, ...] = ()
    health: InfrastructureHealth | None = None
    latest: InfrastructureHealth | None = None
    decision: Decision | None = None
    plan: Plan | None = None
    applied: Applied | None = None
    tests: TestSuiteResult | None = None
    recovery: Recovery | None = None
    restored: Restored | None = None
    critical_tests: TestSuiteResult | None = None
    full_tests: TestSuiteResult | None = None
    """The two runs of `recover` on the real staging: critical tests first, then the full suite."""
    notices: tuple[Notice, ...] = ()
    outage_started_at: datetime | None = None
    incident_id: str = ""
    notes: tuple[str, ...] = ()
    left_to_do: tuple[Task, ...] = ()
    """What this run and the earlier ones of the incident left to do, what is done behind what is open."""
    repeat_of: str = ""
    """How often the same happened before, and how that ended; empty for a first time."""

    def stage(self, name: StageName) -> Stage | None:
        """Return the latest record of this stage, or None."""
        return next((stage for stage in reversed(self.stages) if stage.name is name), None)
