"""The nouns of the runbook: what every stage takes and gives.

Records are frozen and hold values only. Times are aware and UTC; units are in the names. A record's fields are the keys of
the JSON documents in which it is written (`resilience.core.codec`), so a field renamed here is a contract changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

SCHEMA = 1
"""Version of every JSON document we write."""


class ConnectivityStatus(StrEnum):
    """How a service, or the whole of staging, is. No answer about ourselves is `unknown`, never `available`."""

    AVAILABLE = "available"
    DEGRADED = "degraded"
    UNAVAILABLE = "unavailable"
    UNKNOWN = "unknown"
    NOT_CONFIGURED = "not_configured"


class TestExecutionMode(StrEnum):
    """How the tests are run."""

    __test__ = False

    FULL = "full"
    DEGRADED = "degraded"
    OFFLINE = "offline"
    CRITICAL_ONLY = "critical_only"


class Phase(StrEnum):
    """The part of a probe in which something happened, in the order they are gone through."""

    CONFIG = "config"
    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    FIRST_BYTE = "first_byte"
    QUERY = "query"


class FaultCode(StrEnum):
    """What went wrong, as a type. The codes are a contract; what each means stands in `resilience.core.faults`."""

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
    """A cause that several services share, or the one service that is its own."""

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
    """What a run proved, in one word."""

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


class ExitCode:
    """The exit codes of `contracts.md`; `worst` orders them where several apply."""

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
    TERMINATED = 143

    ORDER = (30, 130, 143, 124, 1, 20, 21, 10, 0)

    @classmethod
    def worst(cls, *codes: int) -> int:
        """Return the code that stands first in the order of `contracts.md`; codes outside of it win over all."""
        return min(codes, key=lambda code: cls.ORDER.index(code) if code in cls.ORDER else -1, default=cls.PASSED)


class StageName(StrEnum):
    """The stages of the runbook, in order."""

    ASSESS = "assess"
    CHOOSE_MODE = "choose_mode"
    APPLY_FALLBACK = "apply_fallback"
    RUN_TESTS = "run_tests"
    VALIDATE_RECOVERY = "validate_recovery"
    REPORT = "report"


class StageStatus(StrEnum):
    """What became of a stage."""

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
        return str(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Vantage:
    """From where something was seen. `network` names the local network coarsely (a digest), never an address."""

    host: str
    user: str
    network: str = ""
    platform: str = ""
    python: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What an error means. `weak` evidence (a time-out, an empty text, context only) needs a red probe beside it."""

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
    """Seconds from the start of each phase to its end; None where it was not reached."""

    dns_s: float | None = None
    tcp_s: float | None = None
    tls_s: float | None = None
    first_byte_s: float | None = None
    query_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What a probe found, not judged. `facts` are short cleaned texts such as role, server_version, extensions."""

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
    """One service as judged from its observation; the fields are the keys of `assess --json`."""

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
    """Why services are unwell together, with the evidence for and against it and the next thing to do."""

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
    """Whether a service could be stood in for on this machine, found out without starting anything."""

    service: str
    usable: bool
    provider: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InfrastructureHealth:
    """Staging at one moment. The guide's properties are its own; `services` holds one result per service."""

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
        return self.named(ConnectivityStatus.UNAVAILABLE)

    def get_degraded_services(self) -> tuple[ServiceName, ...]:
        return self.named(ConnectivityStatus.DEGRADED)

    def get_available_services(self) -> tuple[ServiceName, ...]:
        return self.named(ConnectivityStatus.AVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One probe of one service, for charts and history. `target` is staging, or stand_in: never mixed in one line."""

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
    """How to run the tests, and why. `asked_by` names who overruled the health: a parameter, a variable, a person."""

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
    """One variable's change. Secret values are masked in both; the true ones are only in the env file."""

    name: str
    before: str | None
    after: str | None
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStandIn:
    """A service to start, or prove, on this machine. `local` is redacted."""

    service: str
    type: str
    provider: str
    local: str
    prepare: tuple[str, ...] = ()
    ready_query: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedCommand:
    """A test command as it will be run."""

    command: str
    select: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that `apply` would do, in the words it will use; nothing has been done."""

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
    """A service on this machine that stands in for staging's. `provider`: running, compose, system, wheel, mock."""

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
    """What was applied, and where its undo data are. `run` is the value of RESILIENCE_APPLIED."""

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
    """What restoring found and did. `identical`: every byte, mode and existence is as before the first change."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TestOutcome:
    """One test, once. `suspect`: a product failure whose evidence points at infrastructure while the probe is green."""

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
    evidence: tuple[Evidence, ...] = ()
    """How it was judged, once for each round in which it failed."""
    answered_by: Mapping[str, int] = field(default_factory=dict)
    """How many answers stand-ins gave it, by where they knew them from: recorded, contract, synthetic, echo, miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """One command. `kind`: pytest, junit, or other (judged by exit code and output). `evidence` says what was seen."""

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
    """Tests by outcome. All up to `deselected` add up to what plain pytest collects; the last two overlap them."""

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
    """Whether tests reached a stand-in, by its own count of connections; None where it cannot count."""

    service: str
    connections: int | None
    canary: bool | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSuiteResult:
    """What the test run gave; the fields are the keys of `test --json`, `exit_code` is one of ours."""

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
    schema: int = SCHEMA

    @property
    def infrastructure_unavailable_tests(self) -> int:
        return self.totals.infrastructure_unavailable

    @property
    def total_tests(self) -> int:
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
        return self.totals.failed + self.totals.error

    @property
    def skipped_tests(self) -> int:
        return self.totals.skipped

    @property
    def retried_tests(self) -> int:
        return self.totals.retried


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryCheck:
    """One look at staging while waiting for it to stay healthy."""

    at: datetime
    good: bool
    in_a_row: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Whether staging stayed healthy: `good_needed` deep checks in a row over at least `dwell_s`."""

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
    """One stage of a run. `error` is what happened, to what, and what to type; never a traceback."""

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
    """Whom to tell, and why; nothing has been sent."""

    at: datetime
    reason: str
    whom: str
    label: str = ""
    issue: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """A run of the runbook from first look to restored; `incident.json` is this record, written after every stage."""

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

    def stage(self, name: StageName) -> Stage | None:
        """Return the latest record of this stage, or None."""
        return next((stage for stage in reversed(self.stages) if stage.name is name), None)
