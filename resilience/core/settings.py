"""What a run is told: services, modes, deadlines and wishes, as values; `resilience.settings` makes them from texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from resilience.core.kind import Kind
from resilience.core.records import TestExecutionMode
from resilience.core.secret import Secret

_NONE = Secret("")
PORT = "\ue000"
"""Stands for the port in the texts of `PortWish`: a private-use character, so that no URL and no password holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortWish:
    """The port that a stand-in is wanted on, and all that names it, with PORT in its place: another port may be used.

    Only a port that the shipped files wish for has one. What a person typed is meant as it stands.
    """

    port: int
    local: Secret
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    exports: Mapping[str, Secret] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnStandIn:
    """A service's stand-in as its team names it: a command, an image, or a service of a compose file; one of them, or none.

    `command` and the values of `env` hold {local}, {host} and {port}, filled in when it is started. Its `${NAMES}` are left to
    the shell, so that no value stands in an argument list or a plan.
    """

    command: str = ""
    image: str = ""
    compose_file: str = ""
    """Relative to the root."""
    compose_service: str = ""
    cwd: str = ""
    """Relative to the root; empty: the root."""
    env: Mapping[str, Secret] = field(default_factory=dict)
    reads: Mapping[str, Secret] = field(default_factory=dict)
    """The variables that the command names, with the value of an env file; empty where none has one."""
    unset: tuple[str, ...] = ()
    """The variables that `env` needs and that are not set."""
    timeout_s: float = 30.0
    """Seconds until its probe must find it well."""

    @property
    def contained(self) -> bool:
        """Whether it is a container, which needs an engine."""
        return bool(self.image or self.compose_service)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service of staging as configured. URLs hold credentials, hence Secret; empty where not configured.

    Times are in seconds. `degraded_above_s` is the response time above which a service that answered well is
    degraded; `network` names the path that services share; `depends_on` names other services.
    """

    name: str
    kind: Kind
    url: Secret = _NONE
    """Empty: not configured; `unset` then names the variables that are missing."""
    unset: tuple[str, ...] = ()
    url_names: tuple[str, ...] = ()
    """The variables that staging's URLs and headers are made of: taken from the tests in mode offline."""
    local: Secret = _NONE
    local_unset: tuple[str, ...] = ()
    local_names: tuple[str, ...] = ()
    """The variables that `local` is made of, such as POSTGRES_HOST: written by `apply` only while it is used."""
    local_values: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The same with their values."""
    exports: Mapping[str, Secret] = field(default_factory=dict)
    """Variable → value with `{local}` and its parts filled in."""
    staging_exports: Mapping[str, Secret] = field(default_factory=dict)
    """The same with staging's own URL and parts; without those that hold nothing of it, and empty where it is not configured."""
    port_wish: PortWish | None = None
    """How another port is used than `local` asks for; None: that one or none."""
    shared: bool = False
    """Whether a server on `local` that is nobody's stand-in may be used: a team's compose, or its own backend."""
    own: OwnStandIn = OwnStandIn()
    """The stand-in that the team names itself, before any that its kind could start."""
    providers: tuple[str, ...] = ()
    """Who may provide the stand-in, best first; empty: whoever can, in the order of the room."""
    prepare: tuple[str, ...] = ()
    ready_query: str = ""
    critical: bool = False
    timeout_s: float = 10.0
    degraded_above_s: float = 1.0
    network: str = ""
    depends_on: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    tls_ca: str = ""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    expect_status: tuple[int, ...] = (200,)
    expect_body: str = ""
    """A text the body must contain."""
    expect_json: Mapping[str, str] = field(default_factory=dict)
    """Dotted field → value the JSON body must hold."""
    mock_routes: tuple[str, ...] = ()
    """What the mock of a backend echoes: `METHOD /path/{any} STATUS`, GET and 200 where they are left out."""
    echo: str = ""
    """WebSocket: a message to send that must come back; empty: ping only."""
    readiness_url: str = ""
    """Cloud SQL Auth Proxy's /readiness."""
    write_check: bool = False
    teach: tuple[str, ...] = ()
    """What staging teaches its stand-in while it is well: traffic, contract, schema, seed."""
    teach_contract: str = "/openapi.json"
    """Where the service says its own OpenAPI document."""
    teach_from: Secret = field(default_factory=lambda: Secret(""))
    """URL of a replica that lessons read in staging's place."""
    seed: tuple[str, ...] = ()
    """Rules that name the rows to take."""
    mask: Mapping[str, str] = field(default_factory=dict)
    """Column → how its values are masked; `keep` is the only way to keep one."""
    teach_routes: tuple[str, ...] = ()
    """Paths, with their queries, that a lesson asks by GET."""
    recorder_tls: bool = False
    """Whether the recorder and the stand-in speak TLS as well, for clients that insist on it."""
    require: str = "any"
    """`recorded` makes a test that was given anything weaker of this stand-in a gap."""
    build_from: str = ""
    """Which build of the service answered: `header:NAME`, or `json:FIELD` of its health check."""
    options: Mapping[str, str | bool | float] = field(default_factory=dict)
    """The keys of its kind alone, each with its value or default."""
    runbook_url: str = ""
    owner: str = ""
    dashboard_url: str = ""

    @property
    def type(self) -> str:
        """The kind's name: `type` in the configuration."""
        return self.kind.name

    @property
    def configured(self) -> bool:
        return bool(self.url)

    def at_port(self, port: int) -> Service:
        """Return the service with its stand-in on this port: its URL, its variables and its exports say so."""
        wish = self.port_wish
        if wish is None:
            return self
        return replace(
            self,
            local=Secret(wish.local.reveal().replace(PORT, str(port))),
            local_values={name: value.replace(PORT, str(port)) for name, value in wish.values.items()},
            exports={name: Secret(value.reveal().replace(PORT, str(port))) for name, value in wish.exports.items()},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSettings:
    """How tests run in one mode: the team's commands and a marker expression joined to their own -m by "and".

    A mode without commands is refused by a test run, which says what to write, and left out by a recovery. An empty
    `select` means the guide's.
    """

    commands: tuple[str, ...] = ()
    select: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoverySettings:
    """When staging counts as back: `good` deep checks in a row, `interval_s` apart, over at least `dwell_s`.

    Five, since a brown-out that fails 40 % of probes passes 5 in a row by luck with probability 0.08, 2 in a row with
    0.36 (simulated).
    """

    good: int = 5
    interval_s: float = 10.0
    dwell_s: float = 60.0
    commands: tuple[str, ...] = ()
    """The full suite after the recovery; empty: pytest alone, as the repository's own settings have it run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalationSettings:
    """The limits of the guide's rules of whom to tell, and how it is labelled; see `core.escalation` for the rules."""

    critical_down_minutes: float = 30.0
    suite_failures: int = 3
    persistent_minutes: float = 15.0
    label: str = "infrastructure"
    mention: str = ""
    """Whom an escalation names, such as a team; empty, as a name that is a stranger's account elsewhere does harm."""
    contacts: tuple[str, ...] = ()
    """Lines on how to reach people, such as a phone number of the on-call; they stand in the text of an escalation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSettings:
    """Where an incident may be written about. Nothing is ever written where `repository` is empty.

    `authors` are logins whose comments with our marker are ours too; `wait_s` is how many seconds in all a publication
    may wait for GitHub (retries, rate limits) before it goes into the outbox.
    """

    repository: str = ""
    authors: tuple[str, ...] = ()
    wait_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """Where alerts go: a JSON webhook, and URLs of `apprise`. Nothing is sent where neither is set.

    `template` is JSON with `{placeholders}` in its texts; empty sends our own document. `unset` are the variables that
    are missing for it: then nothing can be sent, and that is said.
    """

    webhook_url: Secret = _NONE
    headers: Mapping[str, Secret] = field(default_factory=dict)
    template: str = ""
    values: Mapping[str, Secret] = field(default_factory=dict)
    """`${NAME}` of the template → its value: put in after the scan, as a routing key is a secret that must leave."""
    urls: tuple[Secret, ...] = ()
    unset: tuple[str, ...] = ()
    timeout_s: float = 10.0

    @property
    def configured(self) -> bool:
        return bool(self.webhook_url) or bool(self.urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """How staging is watched. A service is down by `down` = (k, n): k of the last n looks were bad; up likewise.

    While that is undecided it looks again after `confirm_s` seconds. `reminder_minutes` 0: no reminders. `textfile`:
    metrics for Prometheus, relative to the root; empty: none.
    """

    interval_s: float = 300.0
    confirm_s: float = 15.0
    down: tuple[int, int] = (2, 3)
    up: tuple[int, int] = (3, 3)
    reminder_minutes: float = 60.0
    heartbeat_url: Secret = _NONE
    textfile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A window in which nobody is told of these services (none named: of any). Times are aware; `until` is its end."""

    since: datetime
    until: datetime
    services: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    keep_days: float = 90.0
    """Days that samples are kept in `history.sqlite`; those of an incident longer."""
    shared: Secret = _NONE
    """URL of the PostgreSQL in which hosts share their history (RESILIENCE_HISTORY); empty: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TeachSettings:
    """How often the scheduled job teaches, and how old what was taught may become, in days: then it is stale, then deleted."""

    every_hours: float = 24.0
    stale_days: float = 7.0
    delete_after_days: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the guide's variables ask for (table in contracts.md). None or empty: nothing was asked.

    Values that carry RESILIENCE_APPLIED ask for nothing: `apply` wrote them, and no person.
    """

    resilience_enabled: bool = True
    """CONNECTIVITY_RESILIENCE_ENABLED: false never plans a fallback."""
    fallback_enabled: bool = True
    """STAGING_CONNECTIVITY_FALLBACK and TEST_GRACEFUL_DEGRADATION: false means no stand-ins."""
    degraded_at_least: bool = False
    offline: bool = False
    critical_only: bool = False
    local_services: tuple[str, ...] = ()
    """DATABASE_MODE, REDIS_MODE, CLICKHOUSE_MODE = local, and *_MOCK/FALLBACK_MODE: service names to stand in for."""
    private_network_down: bool = False
    """ISSUE_1278_WORKAROUND_ENABLED, VPC_CONNECTOR_BYPASS_MODE, CLOUD_SQL_FALLBACK_MODE."""
    skip_on_failure: bool = True
    """TEST_SKIP_ON_INFRASTRUCTURE_FAILURE: false holds nothing back."""
    asked_by: Mapping[str, str] = field(default_factory=dict)
    """Field above → the variable and value that asked, for the reasons.

    `local_services.NAME` is who asked for that service, `nothing_to_switch` who asked for a kind of which there is none.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """Seconds, from the guide's variables. The limit for health checks, when set, cuts the longer ones of probes.

    `None` for the limit means that none is set. The agent's are handed on to the mock and the tests; nothing here
    waits by them. `fallback_activation_s` bounds the switch to prepared stand-ins, `fallback_prepare_s` making their
    data.
    """

    health_check_s: float | None = None
    staging_connection_s: float = 10.0
    websocket_connection_s: float = 30.0
    websocket_recv_s: float = 20.0
    websocket_send_s: float = 15.0
    fallback_activation_s: float = 3.0
    fallback_prepare_s: float = 120.0
    agent_execution_s: float = 20.0
    agent_thinking_s: float = 15.0
    agent_tool_s: float = 10.0
    retry_attempts: int = 3
    retry_delay_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a checkout's files are: all that what writes needs to know of the settings. Paths are absolute."""

    root: Path
    state: Path
    """Lock, journal and undo data of this checkout."""
    data: Path
    """Data of stand-ins, kept between runs (XDG state folder), keyed by the checkout."""
    outputs: Path
    env_file: Path
    env_target: Path | None = None
    """A second file, such as `.env`, that apply writes too; none by default."""

    @property
    def env_files(self) -> tuple[Path, ...]:
        """The files that applying writes and restoring puts back."""
        return (self.env_file,) if self.env_target is None else (self.env_file, self.env_target)

    def shown(self, path: Path) -> str:
        """Return a path as a person is told it: below the root it is relative to it."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """What a plan is made of beside a decision and a health: see the fields of Settings of the same names.

    The secrets are for masking the plan's texts; its values hold them.
    """

    services: tuple[Service, ...]
    wishes: Wishes
    modes: Mapping[TestExecutionMode, ModeSettings]
    deadlines: Deadlines
    profiles: Mapping[TestExecutionMode, Path]
    profile_values: Mapping[TestExecutionMode, Mapping[str, str]] = field(repr=False)
    places: Places
    staging_exports: bool
    guide_variables: bool
    secrets: tuple[Secret, ...]
    trusted: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a run is told. Paths are absolute. `values` are the resolved variables, for `${NAME}` and exports.

    It is made by `resilience.settings` and not changed afterwards. What needs only a part gets only that: `places`
    for what writes, `services` for what looks, `secrets` for the redactor.
    """

    root: Path
    source: Path | None
    environment: str = "staging"
    issue: str = ""
    env_file: Path
    env_target: Path | None = None
    outputs: Path
    state: Path
    data: Path
    python: str = ""
    env_command: str = ""
    staging_exports: bool = False
    """Whether the tests get staging's own values for `exports` in mode full."""
    staging_env: Path | None = None
    """An env file with staging's values, of last resort for what says how to reach staging; never exported."""
    guide_variables: bool = False
    """Whether `apply` writes the guide's switches, such as REDIS_MODE, beside what the services export."""
    services: tuple[Service, ...]
    modes: Mapping[TestExecutionMode, ModeSettings] = field(default_factory=dict)
    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    escalation: EscalationSettings = field(default_factory=EscalationSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    teach: TeachSettings = field(default_factory=TeachSettings)
    publish: PublishSettings = field(default_factory=PublishSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    watch: WatchSettings = field(default_factory=WatchSettings)
    maintenance: tuple[Maintenance, ...] = ()
    deny_hosts: tuple[str, ...] = ()
    control_targets: tuple[str, ...] = ()
    wishes: Wishes = field(default_factory=Wishes)
    deadlines: Deadlines = field(default_factory=Deadlines)
    profiles: Mapping[TestExecutionMode, Path] = field(default_factory=dict)
    profile_values: Mapping[TestExecutionMode, Mapping[str, str]] = field(default_factory=dict, repr=False)
    """Mode → the variables of its env file, verbatim (degraded → .env.test.resilient, …)."""
    trusted: Mapping[str, str] = field(default_factory=dict)
    """Variables by which the tests trust stand-ins that speak TLS, without those that the team sets itself."""
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: tuple[Secret, ...] = ()
    """Every secret value known: passwords and user info of URLs, header values, variables with secret names."""
    applied_run: str = ""
    """RESILIENCE_APPLIED as found in the environment: a shell in which `resilience env` was evaluated."""
    drill: str = ""
    """The scenario's name where this is a drill."""

    @property
    def places(self) -> Places:
        """Return the paths alone, for what writes."""
        return Places(
            root=self.root,
            state=self.state,
            data=self.data,
            outputs=self.outputs,
            env_file=self.env_file,
            env_target=self.env_target,
        )

    @property
    def planning(self) -> Planning:
        """Return what a plan is made of, for `core.plan`."""
        return Planning(
            services=self.services,
            wishes=self.wishes,
            modes=self.modes,
            deadlines=self.deadlines,
            profiles=self.profiles,
            profile_values=self.profile_values,
            places=self.places,
            staging_exports=self.staging_exports,
            guide_variables=self.guide_variables,
            secrets=self.secrets,
            trusted=self.trusted,
        )

    def service(self, name: str) -> Service | None:
        """Return the service of this name, or None; short names of the guide are not known here."""
        return next((service for service in self.services if service.name == name), None)

    def at_ports(self, ports: Mapping[int, int]) -> Settings:
        """Return the settings with stand-ins on other ports than wished for: wanted → used; the rest where it is wanted."""
        if not ports and not any(service.port_wish for service in self.services):
            return self
        services = (
            service.at_port(ports.get(service.port_wish.port, service.port_wish.port)) if service.port_wish else service
            for service in self.services
        )
        return replace(self, services=tuple(services))

    def path(self, before: str) -> str:
        """Return PATH for the team's commands: the folder of their interpreter first, where `python` names one."""
        if "/" not in self.python:
            return before
        return ":".join(filter(None, (str((self.root / self.python).parent), before)))


PROFILE_FILES: Mapping[TestExecutionMode, str] = {
    TestExecutionMode.DEGRADED: ".env.test.resilient",
    TestExecutionMode.OFFLINE: ".env.test.local",
    TestExecutionMode.CRITICAL_ONLY: ".env.test.minimal",
}
"""Mode → the file name of its profile, in the order in which `${NAME}` is looked up."""
