"""What the rest must know of one kind of service, as a record: values, pure functions, and dotted names of what acts.

It imports no driver and no probe: what acts is named by a dotted name and imported when it is used, so that a look at
Redis does not pay for asyncpg. `docs/adding-a-service.md` walks through one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from resilience.core.errors import SettingsError, did_you_mean
from resilience.core.records import Fault, FaultCode, Phase

GROUP = "resilience.services"
"""The entry-point group in which a package registers a kind: `mysql = package.kind:KIND`."""
SHARED_KEYS = (
    *("headers", "expect_status", "expect_body", "expect_json", "mock_routes", "echo"),
    *("readiness_url", "write_check"),
    *("teach", "teach_contract", "teach_routes", "recorder_tls", "teach_from", "seed", "mask", "require", "build_from"),
)
"""Keys of `[[service]]` that several kinds may take; each is a field of `Service`."""
Facts = Mapping[str, str]
"""What a probe noted of a service that answered: role, server_version, …"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """A URL scheme of a kind. `port` is where its servers listen by default; None: a URL must name it.

    None as a port is right where any would be a guess, as for tcp://, or where there is none (a socket).
    """

    port: int | None = None
    tls: bool = False
    socket: bool = False
    """Whether its path is that of a unix socket, so that it has no port."""
    local: bool = False
    """Whether a stand-in may have it; on loopback it speaks no TLS."""
    alias_of: str = ""
    """The scheme it is read as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What a fault means for this kind, where that says more than the fault's own words. `hint` is a command to type."""

    cause: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is not right about a service that answered; the hint of the fault's own words where none is given.

    A finding makes the service degraded and never unavailable: it did answer.
    """

    code: FaultCode
    detail: str
    hint: str = ""


class Role(StrEnum):
    """What a service is to others, as far as a shared cause can be told by it."""

    CLOUD_SQL = "cloud_sql"
    """A database that Cloud SQL may run: lost through its VPC connector or Auth Proxy, never a symptom of other services."""
    HTTP_FRONT = "http_front"
    """It answers 502 to 504 for what stands behind it and is down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A service as `init` recognises and writes it, under the guide's name.

    `url`, `local` and `exports` are texts with ${VARIABLES} and {parts}, filled in when a configuration is read.
    `needs` are edges for the cause "dependency" where no service of a configuration declares `depends_on`.
    """

    name: str
    label: str
    """What the guide's log calls its stand-in."""
    short_names: tuple[str, ...] = ()
    """What tests may call it besides, as in `is_service_available("postgres")`."""
    url: str
    local: str
    exports: tuple[tuple[str, str], ...]
    """What a team's code may read; those that its env files name are kept, else the first."""
    words: tuple[str, ...] = ()
    """Words in the names of variables by which it is surely recognised, as REDIS in CACHE_REDIS_HOST."""
    vague_words: tuple[str, ...] = ()
    """Words that others use too, as DB: they count only where a scheme, an image or a driver says the same."""
    clients_read: Mapping[str, str] = field(default_factory=dict)
    """Part of an address → the variable in which its client libraries look for it by themselves, as PGPASSWORD."""
    images: str = ""
    """A pattern: the images in compose files by which it is recognised."""
    url_by_parts: tuple[str, str] = ("", "")
    """A variable, and the URL that is written in place of `url` where an env file names it."""
    local_password: str = ""
    """User info of `local`, left out where nothing exported hands it on: a client that is told none sends none."""
    critical: bool = False
    markers: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    """Names of other templates' services that it depends on."""
    migrates: bool = False
    """Whether a migration tool of the repository prepares its stand-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """Its service in docker/docker-compose.local.yml: the variables there begin with `prefix`."""

    service: str
    prefix: str
    users: bool = True
    """Whether the container takes a user and a database besides the password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubles:
    """How services of this kind are stood in for on this machine; texts with a colon are dotted names.

    `install` and `unavailable` end in a command to type: they are the hint of a stand-in that cannot be had.
    """

    mock: str = ""
    """Which mock of ours imitates it; empty: a real server does."""
    stand_in: str = ""
    """What starts, proves, asks and counts them; see `resilience.services.standing_in`."""
    recordable: bool = False
    """Whether what it says over HTTP can be recorded while staging is well, and said again by its mock."""
    teaches: tuple[str, ...] = ()
    """What else than traffic staging can teach it, such as `schema`."""
    lessons: str = ""
    """What holds those lessons; see `resilience.services.teaching`."""
    install: str = ""
    """What to type where no server can be started."""
    unavailable: str = ""
    """Why none could be, and what to type, where nothing was tried."""
    compose: Composed | None = None
    user: str = ""
    """The user where the URL names none."""
    has_database: bool = False
    """Whether the URL's path names a database."""
    database_is_user: bool = False
    """Whether the database is called as the user where the URL names none."""


def no_findings(_: Facts) -> Finding | None:
    """Find nothing wrong with a service that answered."""
    return None


def no_code(_link: BaseException, _modules: frozenset[str], _phase: Phase | None, _endpoint: str) -> Fault | None:
    """Read no server's code out of an exception."""
    return None


Coded = Callable[[BaseException, frozenset[str], Phase | None, str], Fault | None]
"""(link of an exception's chain, top-level modules of its types, phase, endpoint) → the fault its server's code means."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Kind:
    """A kind of service. One folder holds all that is known of it; no other module asks which kind a service is.

    `name` is the `type` in a configuration and in every document; `title` is the product's name for people. A kind
    equals only itself.

    It is made once, as `KIND` of the folder's `kind.py`, and handed on as a value. Fields that are left out have a
    default that says "nothing of its own"; required are a name, a title, a scheme of a host and port, and a probe
    (see `check_kind`).
    """

    name: str
    title: str

    # how it is addressed
    schemes: Mapping[str, Scheme]
    """The first is the one that is written and suggested."""
    url_prefix: str = ""
    """What names the kind before a scheme that others have as well: `clickhouse+` in clickhouse+https://."""
    driver_in_scheme: bool = False
    """Whether a driver may follow the scheme: postgresql+asyncpg://."""
    password_in_url: bool = False
    """Whether an @ behind the host is an unescaped password rather than a path."""
    host_in_query: bool = False
    """Whether `?host=&port=` names the host, or a socket's folder, as libpq reads it."""
    socket_name: str = ""
    """What the socket in such a folder is called; {port} is filled in."""
    scheme_hint: str = ""
    """What to say to a URL of another scheme."""

    # how it is configured
    keys: tuple[str, ...] = ()
    """Those of SHARED_KEYS that it takes."""
    options: Mapping[str, str | bool | float] = field(default_factory=dict)
    """Keys of its own, with their defaults, whose type a configuration keeps to: found in `Service.options`."""
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Of its options those that take one of a few words, with these; the default may be none of them."""
    side_urls: Mapping[str, str] = field(default_factory=dict)
    """Of its keys those that are URLs, with the kind of service they lead to."""
    expect_status: tuple[int, ...] = (200,)
    deadline: str = "staging_connection_s"
    """The field of `Deadlines` that is its default time-out."""
    user_is_secret: bool = True
    """Whether a user without a password is a secret, as tokens in place of the user are."""
    templates: tuple[Template, ...] = ()

    # how it is looked at
    probe: str = ""
    """async (service, url, trace, context) → None; see `resilience.services.wire`."""
    preload: str = ""
    """What to import before the clock starts: a module, or module:function to call."""
    may_hang: bool = False
    """Whether its probe runs a driver's code, and so gets a task of its own that can be left behind."""
    tls_request: tuple[bytes, bytes] = (b"", b"")
    """What asks for TLS on a plain connection, and the answer that grants it."""

    # what it means
    words: Mapping[FaultCode, Words] = field(default_factory=dict)
    findings: Callable[[Facts], Finding | None] = no_findings
    clients: tuple[str, ...] = ()
    """Top-level modules of the client libraries that speak to it alone."""
    plain_clients: tuple[str, ...] = ()
    """Those that speak its protocol to anybody: they tell that a test went to another server of the kind, and whose no error is."""
    errors: Mapping[tuple[str, str], FaultCode] = field(default_factory=dict)
    """(module, class) of a client's error → what it surely means."""
    vague: Mapping[tuple[str, str], FaultCode] = field(default_factory=dict)
    """The same, where nothing else in the exception's chain says more."""
    coded: Coded = no_code
    gap_codes: frozenset[str] = frozenset()
    """SQLSTATEs by which a stand-in says that something was not prepared in it."""
    roles: frozenset[Role] = frozenset()
    commands: tuple[str, ...] = ()
    """Commands of its own in hints; shown as code."""

    doubles: Doubles | None = None
    """How it is stood in for; None: only by the team's own command."""
    untried: str = ""
    """What to say of a probe that no real server has answered yet; whatever it finds carries these words. Empty: one has."""

    def __repr__(self) -> str:
        return f"Kind({self.name!r})"

    @property
    def is_mocked(self) -> bool:
        """Whether a mock of ours stands in for it, not a real server."""
        return self.doubles is not None and bool(self.doubles.mock)

    @property
    def service_name(self) -> str:
        """The guide's name for a service of this kind; its own where the guide has none."""
        return self.templates[0].name if self.templates else self.name

    @property
    def local_schemes(self) -> tuple[str, ...]:
        """The schemes that a stand-in's URL may begin with, the one to suggest first."""
        return tuple(name for name, scheme in self.schemes.items() if scheme.local)

    @property
    def default_port(self) -> int:
        """The port of the first scheme that has one; 0 where a URL must name it."""
        return next((scheme.port for scheme in self.schemes.values() if scheme.port), 0)


_DOTTED = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_]\w*)?")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def check_kind(kind: object, name: str, source: str) -> Kind:
    """Return a kind that `source` registers under this name, or raise SettingsError that says what breaks its record.

    What is checked is what would otherwise fail in the middle of a look, far from the package that is to blame: the
    name it is registered under, and each of RULES. Nothing is imported here.
    """

    def broken(found: str, expected: str) -> SettingsError:
        hint = "docs/adding-a-service.md says what a kind holds"
        return SettingsError(name=f"service type {name}", source=source, found=found, expected=expected, hint=hint)

    if not isinstance(kind, Kind):
        raise broken(f"(a {type(kind).__name__})", "a resilience.core.kind.Kind")
    if kind.name != name or not _NAME.fullmatch(name):
        raise broken(f"(name {kind.name!r})", "its name as registered, of lower-case letters, digits and _,")
    for rule in RULES:
        for found, expected in rule(kind):
            raise broken(found, expected)
    return kind


Broken = Iterator[tuple[str, str]]
"""What of a kind breaks a rule: what was found, and what was expected."""


def _a_scheme_names_a_host(kind: Kind) -> Broken:
    """A service is given as a URL of a host: with a socket's scheme alone, staging's could not be."""
    if all(scheme.socket for scheme in kind.schemes.values()):
        yield "(no scheme but a socket's)", "at least one URL scheme of a host and port"


def _ports_are_ports(kind: Kind) -> Broken:
    """A URL without a port goes to its scheme's, and 0 or 70000 would fail as if the service were down."""
    for name, scheme in kind.schemes.items():
        if scheme.port is not None and not 0 < scheme.port < 65536:
            yield f"({name}:// with port {scheme.port})", "a port from 1 to 65535"


def _aliases_are_of_its_schemes(kind: Kind) -> Broken:
    """A URL is rewritten to what its scheme is an alias of, which the probe must know."""
    for name, scheme in kind.schemes.items():
        if scheme.alias_of and scheme.alias_of not in kind.schemes:
            yield f"({name}:// as an alias of {scheme.alias_of}://)", f"one of {', '.join(kind.schemes)}"


def _keys_are_shared_ones(kind: Kind) -> Broken:
    """`keys` says which of the fields that all services have are read; any other is never read."""
    for key in kind.keys:
        if key not in SHARED_KEYS:
            yield f"(key {key!r})", f"one of {', '.join(SHARED_KEYS)}; a key of its own stands in options"


def _choices_are_of_options(kind: Kind) -> Broken:
    """Words for a key that no configuration can set would be refused to everybody."""
    for key in kind.choices:
        if key not in kind.options:
            yield f"(choices for {key!r})", "choices for a key of its options"


def _a_probe_is_named(kind: Kind) -> Broken:
    """Without a probe a service is never looked at, and unknown for good."""
    if not kind.probe:
        yield "(no probe)", "the dotted name of its probe, as package.module:function"


def _imports_are_dotted_names(kind: Kind) -> Broken:
    """They are imported in the middle of a look, where a slip would read as a fault of the service."""
    for dotted in (kind.probe, kind.preload):
        if dotted and not _DOTTED.fullmatch(dotted):
            yield f"({dotted!r})", "a dotted name, as package.module:function"


RULES = (
    _a_scheme_names_a_host,
    _ports_are_ports,
    _aliases_are_of_its_schemes,
    _keys_are_shared_ones,
    _choices_are_of_options,
    _a_probe_is_named,
    _imports_are_dotted_names,
)
"""What `check_kind` holds each record against, in this order; the first that is broken is said."""


Register = Callable[[], Mapping[str, Callable[[], Kind]]]
"""Returns, by name, what loads each kind that other packages register."""


def _nothing() -> Mapping[str, Callable[[], Kind]]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinds:
    """The kinds of services: those of this package, and those that others register, which are loaded when asked for.

    Iterating gives the built-in ones only: another package's code is not run before a configuration names its kind.
    """

    built_in: tuple[Kind, ...]
    others: Register = _nothing

    def __iter__(self) -> Iterator[Kind]:
        return iter(self.built_in)

    def __getitem__(self, name: str) -> Kind:
        """Return the kind of this name; KeyError where there is none.

        SettingsError where two packages register the name, or where what is registered is not a kind.
        """
        for kind in self.built_in:
            if kind.name == name:
                return kind
        return self.others()[name]()

    def get(self, name: str) -> Kind | None:
        """Return the kind of this name, or None. What another package registers wrongly raises SettingsError."""
        try:
            return self[name]
        except KeyError:
            return None

    def names(self) -> tuple[str, ...]:
        """Return all names that a configuration may use as `type`; of other packages only the names are read."""
        return tuple(dict.fromkeys((*(kind.name for kind in self.built_in), *self.others())))

    def unknown(self, name: str) -> str:
        """Return the hint for a type that is none: the nearest, and all that are known."""
        return did_you_mean(name, self.names())

    def by_url(self, url: str) -> tuple[Kind, str] | None:
        """Return the kind that a URL's scheme alone names, and the URL without the kind's prefix.

        A scheme that several kinds have is that of the one without a prefix.

        So http:// is a backend, and clickhouse+http:// a ClickHouse. Other packages' kinds are loaded only where no
        built-in one knows the scheme. Raises SettingsError for one of those that is broken.
        """
        scheme = url.partition("://")[0].lower()
        if "://" not in url:
            return None
        for kind in self._everyone(scheme):
            if kind.url_prefix and scheme.startswith(kind.url_prefix):
                return kind, url[len(kind.url_prefix) :]
        for kind in sorted(self._everyone(scheme), key=lambda kind: bool(kind.url_prefix)):
            plain = scheme.partition("+")[0] if kind.driver_in_scheme else scheme
            if plain in kind.schemes:
                return kind, url
        return None

    def _everyone(self, scheme: str) -> tuple[Kind, ...]:
        """Return the built-in kinds; all others too where none of those knows the scheme."""
        for kind in self.built_in:
            if scheme.partition("+")[0] in kind.schemes or (kind.url_prefix and scheme.startswith(kind.url_prefix)):
                return self.built_in
        return (*self.built_in, *(load() for load in self.others().values()))

    def url_schemes(self) -> tuple[str, ...]:
        """Return the beginnings of URLs that name a kind of this package, as `assess --url` takes them."""
        plain = {f"{name}://" for kind in self for name in kind.schemes}
        prefixed = {f"{kind.url_prefix}{next(iter(kind.schemes))}://" for kind in self if kind.url_prefix}
        return (*sorted(plain), *sorted(prefixed))

    def short_names(self) -> dict[str, str]:
        """Return short name → the guide's name of the service."""
        return {short: template.name for _, template in self.templates() for short in template.short_names}

    def templates(self) -> tuple[tuple[Kind, Template], ...]:
        """Return the guide's services with their kinds."""
        return tuple((kind, template) for kind in self.built_in for template in kind.templates)


_AUTHENTICATION = frozenset({"auth", "authentication", "authn", "oidc", "sso", "idp", "login"})


def is_authentication(service_name: str) -> bool:
    """Whether a service is the one that checks who somebody is, by the words of its name: auth_service, not author_api.

    A name is all there is: the guide's auth_service has the same type as a backend.
    """
    return bool(_AUTHENTICATION & set(re.split(r"[_-]+", service_name.lower())))
