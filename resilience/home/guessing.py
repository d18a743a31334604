"""Turn signs of services into services as a configuration has them, and into questions where a sign was not understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from resilience.core.kind import Kind, Kinds, Template
from resilience.core.urls import url_parts
from resilience.home.signs import Image, Literal, Signs, Variable, sources

_PARTS = {
    "url": "URL URI DSN ENDPOINT BROKER BACKEND ISSUER",
    "urls": "URLS URIS DSNS",
    "host": "HOST HOSTNAME SERVER ADDR ADDRESS",
    "port": "PORT",
    "user": "USER USERNAME LOGIN",
    "password": "PASS PASSWORD PASSWD PWD",
    "database": "DB DATABASE NAME BASE",
}
_PART_OF = {word: part for part, words in _PARTS.items() for word in words.split()}
_NAME = re.compile(rf"(?P<prefix>[A-Z0-9_]*?[A-Z0-9])??_?(?P<word>{'|'.join(sorted(_PART_OF, key=len, reverse=True))})")
_OF_STAGING = re.compile(r"(^|_)(STAGING|STAGE)(?=_|$)_?")
_NO_SERVER = re.compile(
    r"(db\+)?(sqlite3?|file|memory|mem|cache|dummy\w*|locmem\w*|dbcache|filesystem|smtp\w*|console\w*|s3)"
)
_NOT_ASKED = re.compile(
    r"SENTRY|WEBHOOK|STATIC|MEDIA|ADMIN|CDN|FRONTEND|REDIRECT|CALLBACK|CORS|ORIGIN|DOCS|OPENAPI|EMAIL|MAIL|LOGIN_URL"
    r"|LOGOUT|PROXY|REPO|GIT|PYPI|INDEX_URL|^(VITE|NEXT_PUBLIC|REACT_APP|GITHUB|CI|COMPOSE|DOCKER|TWINE)_"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """A service as it would be written, and what points to it."""

    name: str
    kind: Kind
    template: Template
    url: str
    local: str = ""
    """Empty: nothing is to stand in for it, since a mock of a team's own service knows nothing before it is taught."""
    exports: tuple[tuple[str, str], ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    services: tuple[Guess, ...]
    questions: tuple[str, ...]
    staging_env: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A variable that was understood: which service it belongs to, and which part of its address it is."""

    variable: Variable
    kind: Kind
    template: Template
    name: str
    part: str


def guess(signs: Signs, dependencies: Collection[str], kinds: Kinds) -> Guesses:
    """Return the services that the signs point to, in the kinds' order; where no sign points to one, there is none.

    All of one kind is one service, as a team's DATABASE_URL and POSTGRES_HOST are; a database known by an image alone is
    another compose file's where variables lead to one; services over HTTP are told apart by their names. What a variable
    is to a service is told by its value's scheme first, which cannot lie about the driver, then by its name.
    """
    known, questions = _variables(signs, dependencies, kinds)
    services: list[Guess] = []
    staging_env = _staging_file(signs, known)
    has_database = any(one.template.migrates and one.variable.is_read for one in known)
    for kind, template in kinds.templates():
        named = [one for one in known if one.template.name == template.name]
        if kind.is_mocked:
            services += _over_http(named, signs, staging_env)
            continue
        pictures = _images(template, signs)
        literals = _literals(kind, signs, kinds, pictures)
        is_read = any(one.variable.is_read for one in named) or bool(literals)
        if pictures and not is_read and template.migrates and has_database:
            questions.append(
                f"{template.name}: {pictures[0].where} has an image of it, but the variables here lead to another database:"
                " do tests need both? then add a [[service]] for it"
            )
            continue
        # A user alone does not say where it is, but to a client library that looks for the rest by itself.
        is_led_to = any(one.part in ("url", "urls", "host", "port") or template.clients_read for one in named)
        if is_led_to or pictures or (literals and _in_tests(literals[0].where)):
            service, asked = _real(kind, template, named, literals, pictures, staging_env)
            services += (service, *_fixed(service, literals))
            questions += asked
            if not named and not literals:
                port = url_parts(service.local, kind).port
                usual = "its usual port" if port == kind.default_port else "the port published there"
                questions.append(
                    f"{service.name}: {pictures[0].where} has an image of it, but no variable says where the tests look"
                    f" for it: the stand-in listens on {usual}, {port}"
                )
    return Guesses(services=tuple(services), questions=tuple(dict.fromkeys(questions)), staging_env=staging_env)


def _fixed(service: Guess, literals: Sequence[Literal]) -> list[Guess]:
    """Return a further stand-in for each other port of this machine at which a conftest looks, whatever a variable says.

    Staging is the same for all of them: what is down there has to stand at each of these ports. Without a database's name
    the client libraries ask for the user's.
    """
    match = _LOCAL.fullmatch(service.local)
    found: dict[int, Guess] = {}
    for one in literals:
        port = one.port or service.kind.default_port
        if match is None or not one.is_fixed or port is None or port in found or port == int(match["port"]):
            continue
        login = f"{one.user}:{one.password}@" if one.user or one.password else ""
        local = f"{match['scheme']}://{login}127.0.0.1:{port}/{one.database or one.user or match['database'] or ''}"
        found[port] = replace(service, name=f"{service.name}_{port}", local=local, exports=(), why=one.where)
    return list(found.values())


def _variables(signs: Signs, dependencies: Collection[str], kinds: Kinds) -> tuple[list[_Known], list[str]]:
    """Return the variables that were understood, and a question for each other that tests may need."""
    known: list[_Known] = []
    questions: list[str] = []
    evident = _evident(signs, dependencies, kinds)
    for name in dict.fromkeys(one.name for one in signs.variables):
        answer = _understood([one for one in signs.variables if one.name == name], evident, kinds)
        if isinstance(answer, str):
            questions.append(answer)
        else:
            known += answer
    return known, questions


def _images(template: Template, signs: Signs) -> list[Image]:
    if not template.images:
        return []
    return [one for one in signs.images if re.search(template.images, one.image.split("/")[-1])]


def _literals(kind: Kind, signs: Signs, kinds: Kinds, pictures: Sequence[Image]) -> list[Literal]:
    """Return the addresses of this kind that stand in the code; where tests have some, only those.

    One at a port that compose or a CI publishes is first: tests of a lost connection name ports where nothing listens.
    """
    found = [(one, kinds.by_url(f"{one.scheme}://h:1")) for one in signs.literals]
    own = [one for one, by_scheme in found if by_scheme and by_scheme[0] is kind]
    published = {host for one in pictures for host, _ in one.ports}
    usable = [one for one in own if _in_tests(one.where)] or own
    return sorted(usable, key=lambda one: (one.port or kind.default_port) not in published)


def _in_tests(path: str) -> bool:
    return bool(re.search(r"(^|/)(tests?|t)/|(^|/)(conftest|test_\w+|\w+_test)\.py$", path))


def _evident(signs: Signs, dependencies: Collection[str], kinds: Kinds) -> frozenset[str]:
    """Return the names of the templates that more than a vague name speaks for: a scheme, a sure name, an image, a driver."""
    found: set[str] = set()
    for kind, template in kinds.templates():
        by_driver = any(client in dependencies for client in kind.clients)
        by_name = any(_words(one.name) & set(template.words) for one in signs.variables)
        if by_driver or by_name or _images(template, signs):
            found.add(template.name)
    return frozenset(found)


def _words(name: str) -> set[str]:
    return set(_prefix(name))


def _prefix(name: str) -> list[str]:
    """Return the words of a name before the one that says which part of an address it is."""
    match = _NAME.fullmatch(_OF_STAGING.sub("", name))
    return (match["prefix"] or "").split("_") if match else []


def _understood(told: Sequence[Variable], evident: Collection[str], kinds: Kinds) -> list[_Known] | str:
    """Return what a variable is, from all places that name it; a question where it leads somewhere that is not understood.

    Nothing where it is no part of an address at all, or leads to no server: a file, this process, a vendor's public
    page, a browser. A name counts where the value's scheme is one of its kind, else the scheme does.
    """
    name = told[0].name
    match = _NAME.fullmatch(_OF_STAGING.sub("", name))
    if match is None or not match["prefix"]:
        return _understood_by_kind(told, kinds)
    if _NOT_ASKED.search(name):
        return []
    part, words = _PART_OF[match["word"]], match["prefix"].split("_")
    if part == "urls":
        return _understood_as_list(told, kinds)
    if not _SEVERAL.isdisjoint(words):
        return _question(name, told, " leads to several servers together, which one does not stand in for", part)
    scheme = _scheme_told(told, _stood_in_for(kinds, evident), _stood_in_for(kinds))
    if _NO_SERVER.fullmatch(scheme.partition("+")[0] if not scheme.startswith("db+") else scheme):
        return []
    by_name = _by_words(words, evident, kinds) or _by_source(told, evident, kinds)
    found = by_name if by_name and (not scheme or scheme.split("+")[0] in by_name[0].schemes) else None
    found = found or _by_scheme(scheme, kinds)
    if found is None:
        if scheme:
            return _question(name, told, f" is {scheme}://…, which nothing here stands in for", part)
        return _question(name, told, "", part)
    kind, template = found
    if not kind.is_mocked:
        return [_Known(variable=one, kind=kind, template=template, name=template.name, part=part) for one in told]
    return _understood_over_http(told, match["word"], words, found, kinds, is_named=by_name is not None)


def _understood_as_list(told: Sequence[Variable], kinds: Kinds) -> list[_Known]:
    """Return a list of URLs as its first kind's that a real server stands in for; an export holds one service's addresses."""
    by_scheme = [_by_scheme(scheme, kinds) for one in told for scheme in one.listed if "://" not in scheme]
    for kind, template in kinds.templates():
        if not kind.is_mocked and any(found and found[0] is kind for found in by_scheme):
            return [_Known(variable=one, kind=kind, template=template, name=template.name, part="urls") for one in told]
    return []


def _understood_by_kind(told: Sequence[Variable], kinds: Kinds) -> list[_Known]:
    """Return a whole address under a name that ends with its kind and no more, as CACHE_REDIS with redis://…"""
    last = _OF_STAGING.sub("", told[0].name).rpartition("_")[2]
    for kind, template in kinds.templates():
        if last in template.words and any(one.scheme.partition("+")[0] in kind.schemes for one in told if one.scheme):
            return [_Known(variable=one, kind=kind, template=template, name=template.name, part="url") for one in told]
    return []


def _understood_over_http(
    told: Sequence[Variable],
    word: str,
    words: Sequence[str],
    found: tuple[Kind, Template],
    kinds: Kinds,
    *,
    is_named: bool,
) -> list[_Known] | str:
    """Return what a variable of a service over HTTP is: a whole URL, as a host or a port is mostly the team's own server's.

    Nothing where it leads to a vendor alone. A question where only http:// speaks for it, as for any page.
    """
    kind, template = found
    schemes = [one for one in told if one.scheme]
    if (_PART_OF[word] != "url" and word != "BASE") or (schemes and all(one.is_public for one in schemes)):
        return []
    if not is_named and not kind.url_prefix and not {"API", "SERVICE"} & set(words):
        return _question(told[0].name, told, f" is {_scheme_told(told, _stood_in_for(kinds))}://…", "url")
    name = _own_name(words, template)
    return [_Known(variable=one, kind=kind, template=template, name=name, part="url") for one in told]


def _scheme_told(told: Sequence[Variable], *preferred: Callable[[str], bool]) -> str:
    """Return the scheme of a variable's values, "" where none is told: of servers one that the first question takes, else the next.

    The questions: does more than this value speak for it, as an image; and can a stand-in be had for it? A CI that tests
    with several databases says so by one variable with several values. Of equals one with a driver is first. What is first
    told as no server's stays that: a team whose tests use a file is not given a server.
    """
    schemes = [one.scheme for one in told if one.scheme]
    if schemes and not _NO_SERVER.fullmatch(schemes[0].partition("+")[0]):
        taken = ([scheme for scheme in schemes if is_good(scheme)] for is_good in preferred)
        schemes = next((some for some in taken if some), schemes)
    return next((scheme for scheme in schemes if "+" in scheme), next(iter(schemes), ""))


def _stood_in_for(kinds: Kinds, evident: Collection[str] | None = None) -> Callable[[str], bool]:
    """Return whether a real server of one of these kinds can stand in for what a scheme leads to, as a question.

    With `evident` only of the kinds whose template is named there.
    """

    def stood_in_for(scheme: str) -> bool:
        found = _by_scheme(scheme, kinds)
        return found is not None and not found[0].is_mocked and (evident is None or found[1].name in evident)

    return stood_in_for


def _by_source(told: Sequence[Variable], evident: Collection[str], kinds: Kinds) -> tuple[Kind, Template] | None:
    """Return what the variable is from which this one takes its value."""
    found = (_by_words(_prefix(one.same_as), evident, kinds) for one in told if one.same_as)
    return next((one for one in found if one is not None), None)


def _question(name: str, told: Sequence[Variable], what: str, part: str) -> list[_Known] | str:
    if part != "url" or not any(one.is_read for one in told):
        return []
    what = what or " has no value that says what it leads to"
    return (
        f"{name} ({sources(told)}){what}: do tests need it? then add a [[service]] with its type and url"
        ' (type = "tcp" looks at any host and port)'
    )


def _by_words(words: Sequence[str], evident: Collection[str], kinds: Kinds) -> tuple[Kind, Template] | None:
    """Return the kind that the words of a name speak for: sure words first, the leftmost; vague ones where it is evident.

    A name with the word of a server that no kind speaks to is that server's, whatever else it says.
    """
    if not _OTHERS.isdisjoint(words):
        return None
    for word in words:
        for kind, template in kinds.templates():
            if word in template.words:
                return kind, template
    for kind, template in kinds.templates():
        if template.name in evident and set(words) & set(template.vague_words):
            return kind, template
    return None


def _by_scheme(scheme: str, kinds: Kinds) -> tuple[Kind, Template] | None:
    for candidate in (scheme, scheme.partition("+")[2]):
        if candidate and (found := kinds.by_url(f"{candidate}://h:1")) and found[0].templates:
            return found[0], found[0].templates[0]
    return None


_OTHERS = frozenset({"MSSQL", "ORACLE", "CASSANDRA"})
_SEVERAL = frozenset({"SENTINEL", "SENTINELS", "CLUSTER", "REPLICA", "REPLICAS"})
"""Words of an arrangement of several servers, which a single one does not stand in for."""
_GENERIC = frozenset({"API", "BASE", "SERVER", "SERVICE", "HTTP", "HTTPS", "APP", "INTERNAL", "PUBLIC", "HOST", "TEST"})


def _own_name(words: Sequence[str], template: Template) -> str:
    """Return the name of a service over HTTP: the guide's, or the team's own where a word of the name is its own."""
    own = [word for word in words if word not in _GENERIC and word not in template.words]
    return "_".join(words).lower() if own else template.name


def _staging_file(signs: Signs, known: Sequence[_Known]) -> str:
    """Return the env file of staging that says most of what is to be known, or "" where there is none."""
    names = {one.variable.name for one in known}
    counted = {path: sum(one.name in names for one in found) for path, found in signs.staging.items()}
    best = max(counted, key=lambda path: counted[path], default="")
    return best if best and counted[best] else ""


def _staging_url(named: Sequence[_Known], template: Template, staging_env: str, default: str) -> str:
    """Return staging's address: by the names in staging's env file, else by STAGING_… ones, else by one variable to set."""
    here = [one for one in named if one.variable.where == staging_env] if staging_env else []
    here = here or [one for one in named if _OF_STAGING.search(one.variable.name)]
    if whole := next((one for one in here if one.part == "url" or one.kind.is_mocked), None):
        return f"${{{whole.variable.name}}}"
    parts = {one.part: f"${{{one.variable.name}}}" for one in reversed(here)}
    if "host" not in parts:
        return default
    user = parts.get("user", "")
    login = f"{user}:{parts['password']}@" if "password" in parts else f"{user}@" if user else ""
    port = f":{parts['port']}" if "port" in parts else ""
    database = f"/{parts['database']}" if "database" in parts else ""
    return f"{_scheme_of(template.local)}://{login}{parts['host']}{port}{database}"


def _over_http(named: Sequence[_Known], signs: Signs, staging_env: str) -> Iterator[Guess]:
    for name in dict.fromkeys(one.name for one in named):
        these = [one for one in named if one.name == name]
        template = these[0].template
        default = template.url if name == template.name else f"${{STAGING_{name.upper()}_URL}}"
        yield Guess(
            name=name,
            kind=these[0].kind,
            template=template,
            url=_staging_url(these, template, staging_env, default),
            why=sources([one.variable for one in these]),
        )


def _real(
    kind: Kind,
    template: Template,
    named: Sequence[_Known],
    literals: Sequence[Literal],
    pictures: Sequence[Image],
    staging_env: str,
) -> tuple[Guess, list[str]]:
    """Return a service that a real server stands in for, with exports that hold all that the code reads of its address.

    What no variable hands on must be as the code has it: the stand-in takes the usual port, or the one that stands in
    the tests. A password that nothing hands on is handed on by the variable that the client libraries read by themselves,
    and where there is none, the stand-in has no password.
    """
    deciding = _deciding(template, named, literals)
    handed = {one.part for one in deciding if not _OF_STAGING.search(one.variable.name)}
    exports = _exports(named, template)
    local, questions = template.local, list[str]()
    if handed.isdisjoint(("url", "urls")):
        names = template.clients_read.values()
        if any(one.part == "host" and one.variable.name in names for one in deciding):
            # The client libraries read the rest of these by themselves, whether the code names them or not.
            exports |= {name: f"{{{part}}}" for part, name in template.clients_read.items()}
            handed |= set(template.clients_read)
        written = literals[0] if literals else None
        local, more, questions = _fitted(kind, template, handed, written, named, pictures)
        exports |= more
    questions += _left_out(kind, named)
    if first := next((one for one in literals if one.password and f":{one.password}@" in local), None):
        questions.append(
            f"`local` holds the password that {first.where} has as a constant: is it used for this machine alone? else"
            " take it from a variable in both"
        )
    if not any("{local}" in value or "{password}" in value for value in exports.values()) and template.local_password:
        local = local.replace(template.local_password, "")
    service = Guess(
        name=template.name,
        kind=kind,
        template=template,
        url=_staging_url(named, template, staging_env, template.url),
        local=local,
        exports=tuple(exports.items()),
        why=sources([one.variable for one in named]) if named else (literals[0].where if literals else ""),
    )
    return service, [f"{template.name}: {question}" for question in questions]


def _left_out(kind: Kind, named: Sequence[_Known]) -> list[str]:
    """Return the question on what a list of URLs names besides: no export holds the addresses of two services."""
    questions = []
    for name in dict.fromkeys(one.variable.name for one in named if one.part == "urls"):
        told = [one.variable for one in named if one.variable.name == name]
        schemes = [item for one in told for item in one.listed if "://" not in item]
        others = dict.fromkeys(one for one in schemes if {*one.split("+")}.isdisjoint(kind.schemes))
        if others:
            them = ", ".join(f"{scheme}://" for scheme in others)
            questions.append(
                f"{name} ({sources(told)}) names {them} as well, left out of its export, which holds the addresses of"
                " one service: do tests need them? then write them into it"
            )
    return questions


def _deciding(template: Template, named: Sequence[_Known], literals: Sequence[Literal]) -> list[_Known]:
    """Return the variables that decide how the code gets the address: those it reads, or its client libraries do.

    Where the code reads a host of its own, the libraries' variables may be a command's, as psql's in a CI. Where none is
    read and no address stands in the code either, those that env files and containers name.
    """
    of_code = [one for one in named if one.variable.where.endswith(".py")]
    if not any(one.part in ("url", "urls", "host") for one in of_code):
        of_code += [one for one in named if one.variable.name in template.clients_read.values()]
    return of_code or ([] if literals else list(named))


def _exports(named: Sequence[_Known], template: Template) -> dict[str, str]:
    """Return variable → what it is to hold, for each that is read; staging's own are left alone."""
    variables = [one.variable for one in named]
    exports: dict[str, str] = {}
    for one in named:
        if one.variable.is_read and not _OF_STAGING.search(one.variable.name) and one.variable.name not in exports:
            exports[one.variable.name] = _export(one, variables, template)
    return exports


_LOCAL = re.compile(
    r"(?P<scheme>\w+)://(?:(?P<user>[^:@/]*)(?::(?P<password>[^@]*))?@)?[^:/]+:(?P<port>\d+)(?P<path>/(?P<database>.*))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Address:
    """The address of a stand-in on this machine, in its parts."""

    scheme: str
    user: str
    password: str
    port: str
    path: str
    """The / before the database; empty for a kind whose servers have none."""
    database: str

    @property
    def url(self) -> str:
        login = f"{self.user}:{self.password}@" if self.password else f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{login}127.0.0.1:{self.port}{self.path[:1]}{self.database}"


def _fitted(
    kind: Kind,
    template: Template,
    handed: Collection[str],
    literal: Literal | None,
    named: Sequence[_Known],
    pictures: Sequence[Image],
) -> tuple[str, dict[str, str], list[str]]:
    """Return the stand-in's address as the code expects it, more exports, and questions on what nothing hands on.

    Where not even a host is handed on, the tests look for it on this machine: where compose or a CI publishes its port.
    """
    match = _LOCAL.fullmatch(template.local)
    assert match is not None, template.local
    parts = {part: value or "" for part, value in match.groupdict().items()}
    if "port" not in handed:
        published = None if "host" in handed else _published(kind, pictures)
        usual = kind.schemes[parts["scheme"]].port if parts["scheme"] in kind.schemes else kind.default_port
        parts["port"] = str((literal.port if literal else None) or published or usual or parts["port"])
    of_code = {"user": literal.user, "password": literal.password, "database": literal.database} if literal else {}
    written = {part: value for part, value in of_code.items() if value}
    parts |= {part: value for part, value in written.items() if part not in handed}
    address, more = _with_login(_Address(**parts), template, handed, written)
    questions = _missing(address, handed, more) if named and "host" in handed else []
    return address.url, more, questions


def _published(kind: Kind, pictures: Sequence[Image]) -> int | None:
    """Return the port of this machine at which the first of these images is reached that listens on its kind's port."""
    return next((host for one in pictures for host, inside in one.ports if inside == kind.default_port), None)


def _with_login(
    address: _Address, template: Template, handed: Collection[str], written: Collection[str]
) -> tuple[_Address, dict[str, str]]:
    """Return the address with a login that the code will have, and the exports by which it has it.

    What neither a variable nor the code has is handed on by the variable that the client libraries read. A password
    that they look for nowhere is left out, as a client that has none sends none; so is a user, as it takes its usual one.
    """
    needed = {"user": address.user, "password": address.password}
    unsaid = [part for part, value in needed.items() if value and part not in written and part not in handed]
    more = {template.clients_read[part]: f"{{{part}}}" for part in unsaid if part in template.clients_read}
    if "password" in unsaid and "password" not in template.clients_read and template.local_password:
        address = replace(address, password="", user="" if "user" in unsaid else address.user)
    return address, more


def _missing(address: _Address, handed: Collection[str], more: Mapping[str, str]) -> list[str]:
    """Return the question on the parts of the stand-in's address that nothing tells the code."""
    told = {*handed, *(value.strip("{}") for value in more.values())}
    there = {"user": address.user, "password": address.password, "database": address.database}
    missing = [part for part, value in there.items() if part not in told and value not in ("", "0")]
    if not missing:
        return []
    them = "it" if len(missing) == 1 else "them"
    return [
        f"the code reads no variable for its {' and '.join(missing)}: add to exports what hands {them} on, "
        "or write into `local` what the code has"
    ]


def _export(one: _Known, others: Sequence[Variable], template: Template) -> str:
    """Return what a variable is to hold while the stand-in is used: with the scheme, driver and database number it has now."""
    if one.part not in ("url", "urls"):
        return f"{{{one.part}}}"
    ours = _scheme_of(template.local)
    form = f"{_login_form(template.local)}{{host}}:{{port}}"
    if one.part == "urls":
        listed = next((other.listed for other in others if other.name == one.variable.name and other.listed), ())
        own = [item for item in listed if "://" in item or not {*item.split("+")}.isdisjoint(one.kind.schemes)]
        return ",".join(item if "://" in item else f"{item}://{form}/{{database}}" for item in own)
    same = [other for other in others if other.name == one.variable.name]
    scheme = _scheme_told(same, lambda scheme: not {*scheme.split("+")}.isdisjoint(one.kind.schemes))
    known = one.kind.schemes.get(scheme)
    if known is not None and (known.tls or known.socket):
        scheme = ""
    number = next((match[0] for other in same if (match := re.fullmatch(r"/\d+", other.path))), "")
    kept = f"/{number.strip('/')}" if number and number.strip("/") != template.local.rpartition("/")[2] else ""
    if scheme in ("", ours) and not kept:
        return "{local}"
    return f"{scheme or ours}://{form}{kept or '/{database}'}"


def _login_form(local: str) -> str:
    """Return what stands before the host in such an address: user and password, a password alone, or nothing."""
    login = re.match(r"\w+://([^@]*@)?", local)
    if login is None or not login[1]:
        return ""
    return ":{password}@" if login[1].startswith(":") else "{user}:{password}@"


def _scheme_of(url: str) -> str:
    return url.partition("://")[0]


def markers_of(template: Template, markers: Collection[str]) -> tuple[str, ...]:
    """Return the markers of a template that this repository has."""
    return tuple(name for name in template.markers if name in markers)
