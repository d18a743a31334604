"""Write what pytest does, as it happens, to a file of ours; stand-alone, for Python 3.8 and later and pytest 6.2 and later.

This module is copied into a folder on PYTHONPATH and enters the team's pytest by an entry point. It imports nothing but the
standard library and pytest, and stays silent where the variable RESILIENCE_PYTEST does not name a configuration. Each line of
the events file is one `os.write` to a descriptor opened with O_APPEND, so that several processes share the file and a crash
loses nothing that was known.
"""
# Its types are pytest's own, of many versions at once, and Python 3.8 reads it.
# mypy: ignore-errors

import faulthandler
import hashlib
import json
import os
import re
import socket
import struct
import sys
import threading
import time
import weakref

import pytest

VARIABLE = "RESILIENCE_PYTEST"
SNAPSHOT = "RESILIENCE_SNAPSHOT"
WORKERS = "RESILIENCE_WORKERS"

MARKERS = {
    "staging": "needs the staging environment itself",
    "real_services": "needs real services, not mocks",
    "real_database": "needs a real database",
    "real_redis": "needs a real Redis",
    "clickhouse": "needs ClickHouse",
    "websocket": "needs the WebSocket service",
    "critical": "business critical",
    "mission_critical": "mission critical",
    "golden_path": "the golden path of a user",
    "offline_capable": "runs without any service",
    "slow": "takes long",
    "unit": "a unit test",
    "integration": "an integration test",
    "e2e": "an end-to-end test",
}

SNAPSHOT_MAX_AGE_S = 3600.0
# BEGIN of the tables of kinds
# Written by: python -m tests.kits.plugin_tables
ALIASES = {
    "postgres": "database",
    "postgresql": "database",
    "backend": "backend_api",
    "auth": "auth_service",
    "llm": "llm_service",
    "mariadb": "mysql",
    "amqp": "rabbitmq",
    "mail": "smtp",
    "minio": "s3",
    "opensearch": "elasticsearch",
    "mongo": "mongodb",
}
_PORTS = {
    "postgresql": 5432,
    "postgres": 5432,
    "redis": 6379,
    "rediss": 6379,
    "valkey": 6379,
    "valkeys": 6379,
    "http": 80,
    "https": 443,
    "ws": 80,
    "wss": 443,
    "memcached": 11211,
    "mysql": 3306,
    "mariadb": 3306,
    "amqp": 5672,
    "amqps": 5671,
    "smtp": 25,
    "smtps": 465,
    "grpcs": 443,
    "mongodb": 27017,
    "kafka": 9092,
    "kafkas": 9093,
    "nats": 4222,
    "ldap": 389,
    "ldaps": 636,
    "clickhouse+http": 8123,
    "clickhouse+https": 8443,
    "openai+https": 443,
    "openai+http": 80,
    "s3+https": 443,
    "s3+http": 80,
    "elasticsearch+https": 9200,
    "elasticsearch+http": 9200,
    "etcd+http": 2379,
    "etcd+https": 2379,
}
_KINDS_CLIENTS = (
    "asyncpg",
    "psycopg",
    "psycopg2",
    "pg8000",
    "aiopg",
    "redis",
    "valkey",
    "aioredis",
    "clickhouse_connect",
    "clickhouse_driver",
    "asynch",
    "websockets",
    "websocket",
    "wsproto",
    "openai",
    "anthropic",
    "pymemcache",
    "pylibmc",
    "memcache",
    "bmemcached",
    "aiomcache",
    "MySQLdb",
    "aiomysql",
    "asyncmy",
    "mariadb",
    "mysql",
    "pymysql",
    "pika",
    "amqp",
    "aio_pika",
    "aiormq",
    "aiosmtplib",
    "boto3",
    "botocore",
    "aiobotocore",
    "aioboto3",
    "minio",
    "s3fs",
    "grpc",
    "grpclib",
    "elasticsearch",
    "elastic_transport",
    "elasticsearch_dsl",
    "opensearchpy",
    "pymongo",
    "motor",
    "mongoengine",
    "beanie",
    "confluent_kafka",
    "cimpl",
    "kafka",
    "aiokafka",
    "faust",
    "nats",
    "pynats",
    "etcd3",
    "etcd3gw",
    "aetcd",
    "etcd",
    "ldap3",
    "ldap",
    "bonsai",
)
_PLAIN_CLIENTS = (
    "httpx",
    "requests",
    "aiohttp",
    "httpcore",
    "urllib3",
    "urllib",
    "http",
)
# END of the tables of kinds

_CONTROL_EVERY_S = 0.05
_SLOW_S = 1.0
_VERDICT_WAIT_S = 0.15
_CHAIN_LIMIT = 24
_TEXT_LIMIT = 400
_SHOWN_LIMIT = 4000
_SHOWN_AT_MOST = 300
"""Failures told as pytest shows them, in a session; of those that smell of an outage a sixth, as they are all alike."""
_CHUNK = 1000
_TRY_EVERY = 10
"""Of so many tests held back by a fixture that every test gets, one is let go to try it."""


def snapshot(path=None):
    """Return the last assessment, of `path` or RESILIENCE_SNAPSHOT, or None where there is none or it is older than an hour."""
    from datetime import datetime, timezone

    try:
        with open(os.environ.get(SNAPSHOT, "") if path is None else path, encoding="utf-8") as stream:
            document = json.load(stream)
        text = document["started_at"].replace("Z", "+00:00")
        text = re.sub(r"\.(\d+)", lambda match: "." + (match.group(1) + "000000")[:6], text)
        age = (datetime.now(timezone.utc) - datetime.fromisoformat(text)).total_seconds()
        return document if age <= SNAPSHOT_MAX_AGE_S else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def is_service_available(name):
    """Say whether the tests can use a service: it answered at the last assessment, or a ready stand-in serves it to them.

    `staging_NAME` asks for staging's own, which a stand-in never is. False where nothing is known. Never touches the
    network. `resilience.is_service_available` answers by the same rule.
    """
    document = snapshot()
    return document is not None and available(document, name)


def available(document, name):
    """Say what a snapshot tells of a service. Raises ValueError for one that it does not know."""
    services = {str(service.get("name")): service for service in document.get("services", ())}
    short = name[len("staging_") :] if name.startswith("staging_") else name
    known = [candidate for candidate in (name, short, ALIASES.get(short, short)) if candidate in services]
    if not known:
        raise ValueError("service %r is unknown; known: %s" % (name, ", ".join(sorted(services))))
    stood_in = name == short and known[0] in (document.get("in_use") or ())
    return stood_in or services[known[0]].get("status") in ("available", "degraded")


class MarkerExpression:
    """A marker expression such as `not staging and (critical or slow)`, asked with the names of an item's markers."""

    _token = re.compile(r"\s*(?:(\()|(\))|((?:[\w:+.\-\[\]\\/])+))")

    def __init__(self, text):
        self.text = text
        self._tokens = []
        position = 0
        stripped = text.rstrip()
        while position < len(stripped):
            match = self._token.match(stripped, position)
            if match is None:
                raise ValueError("not a marker expression: %r" % text)
            self._tokens.append(match.group().strip())
            position = match.end()
        self._at = 0
        self._tree = self._or() if self._tokens else None
        if self._at != len(self._tokens):
            raise ValueError("not a marker expression: %r" % text)

    def _peek(self):
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self):
        token = self._peek()
        self._at += 1
        return token

    def _or(self):
        parts = [self._and()]
        while self._peek() == "or":
            self._next()
            parts.append(self._and())
        return ("or", parts)

    def _and(self):
        parts = [self._not()]
        while self._peek() == "and":
            self._next()
            parts.append(self._not())
        return ("and", parts)

    def _not(self):
        word = self._next()
        if word == "not":
            return ("not", [self._not()])
        if word == "(":
            tree = self._or()
            if self._next() != ")":
                raise ValueError("not a marker expression: %r" % self.text)
            return tree
        if word in ("", ")", "and", "or"):
            raise ValueError("not a marker expression: %r" % self.text)
        return ("is", word)

    def __call__(self, names):
        return True if self._tree is None else self._ask(self._tree, names)

    def _ask(self, tree, names):
        kind, parts = tree
        if kind == "is":
            return parts in names
        if kind == "not":
            return not self._ask(parts[0], names)
        asked = (self._ask(part, names) for part in parts)
        return any(asked) if kind == "or" else all(asked)


# What an exception says of itself, by type and code; texts are only for people.

_ANSI = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|"
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_USERINFO = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.\-]*://)[^\s/@'\"]*@")
_SECRET = re.compile(
    r"(?i)\b(password|passwd|pwd|secret|token|api[_-]?key|authorization|cookie)(['\"]?\s*[=:]\s*)((?:bearer|basic)\s+\S+|['\"][^'\"]*['\"]|[^\s,;&'\"]+)"
)


def clean(text, limit=_TEXT_LIMIT):
    """One line without control characters, credentials in URLs or values of secret-looking names."""
    text = _ANSI.sub("", str(text)[: limit * 4])
    text = _SECRET.sub(r"\1\2***", _USERINFO.sub(r"\1***@", text))
    text = " ".join(text.split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _clean_lines(text, limit=_SHOWN_LIMIT):
    """Several lines as `clean` leaves one; of a long text the end, where pytest shows what failed."""
    text = str(text)[-limit * 4 :]
    text = _ANSI.sub("", text.replace("\r\n", "\n").expandtabs(4))
    text = _SECRET.sub(r"\1\2***", _USERINFO.sub(r"\1***@", text)).strip("\n")
    if len(text) <= limit:
        return text
    return "…\n" + text[-limit:].partition("\n")[2]


def _name(kind):
    module = getattr(kind, "__module__", "") or ""
    name = getattr(kind, "__qualname__", None) or getattr(kind, "__name__", "?")
    return name if module in ("builtins", "exceptions", "") else module + "." + name


def _attribute(thing, *names):
    for name in names:
        try:
            thing = getattr(thing, name)
        except Exception:
            return None
        if thing is None:
            return None
    return thing


def _number(thing):
    return thing if isinstance(thing, int) and not isinstance(thing, bool) else None


def _port(thing):
    if isinstance(thing, str) and thing.isdigit():
        thing = int(thing)
    return thing if isinstance(thing, int) and not isinstance(thing, bool) and 0 < thing < 65536 else None


def _from_url(url):
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(str(url))
        port = _PORTS.get(parts.scheme) or _PORTS.get(parts.scheme.split("+")[0])
        if not parts.hostname:
            return None
        return [parts.hostname, parts.port or port]
    except Exception:
        return None


_CLIENTS = (
    *_KINDS_CLIENTS,
    *("sqlalchemy", "httpx", "httpcore", "aiohttp", "urllib3", "requests", "urllib", "http", "asyncio"),
    *("socket", "anyio", "trio", "grpc", "kombu", "celery", "kafka", "pymongo", "elasticsearch"),
    *("elastic_transport", "boto3", "botocore", "docker", "pymysql", "pika", "tornado", "uvloop", "ssl"),
)


_URL_PATHS = (
    ("request", "url"),
    ("response", "url"),
    ("response", "request", "url"),
    ("request_info", "url"),
    ("url",),
)
"""Where an exception of an HTTP client keeps the URL that it is about."""
_HOLDERS = ((), ("pool",), ("conn",), ("_conn",), ("connection_key",))
"""Where an exception keeps a thing with a host and a port; first the exception itself."""


def _addresses(exc):
    """Return [host, port] pairs that the exception or the client's own frames name; nothing but hosts and ports is read.

    What the exception says of itself comes first: a frame may hold addresses of other connections as well. Where servers were
    asked for the address of another one in vain, they alone are what failed.
    """
    found = []
    for host, port in _asked(exc) or (*_named_by(exc), *_named_in_frames(exc)):
        if isinstance(host, bytes):
            host = host.decode("utf-8", "replace")
        if isinstance(host, (list, tuple)) and len(host) == 1:
            host = host[0]
        if isinstance(host, str) and 0 < len(host) < 256 and "@" not in host and [host, _port(port)] not in found:
            found.append([host, _port(port)])
    return found[:8]


def _in_url(url):
    """Return [host, port] of what is a URL, in a list of one; an empty list of anything else."""
    if not (isinstance(url, (str, bytes)) or type(url).__name__ == "URL"):
        return []
    pair = _from_url(url.decode("utf-8", "replace") if isinstance(url, bytes) else url)
    return [pair] if pair else []


def _named_by(exc):
    """Yield (host, port) that the exception itself names: by its URLs, by what it holds, by its arguments."""
    for path in _URL_PATHS:
        for pair in _in_url(_attribute(exc, *path)):
            yield pair
    for path in _HOLDERS:
        owner = _attribute(exc, *path)
        host = _attribute(owner, "host") if owner is not None else None
        if isinstance(host, str):
            yield host, _attribute(owner, "port")
    for arg in getattr(exc, "args", ())[:4]:
        if isinstance(arg, tuple) and len(arg) >= 2 and isinstance(arg[0], str) and _port(arg[1]):
            yield arg[0], arg[1]


def _asked(exc):
    """Return (host, port) of the sentinels that were asked, in the frame that raised it, where another server is."""
    trace = getattr(exc, "__traceback__", None)
    steps = 0
    while trace is not None and trace.tb_next is not None and steps < 200:
        steps += 1
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_globals.get("__name__", "").split(".")[0] not in _CLIENTS:
        return []
    clients = getattr(trace.tb_frame.f_locals.get("self"), "__dict__", {}).get("sentinels")
    told = [_attribute(one, "connection_pool", "connection_kwargs") for one in clients] if type(clients) is list else []
    return [(one.get("host"), one.get("port")) for one in told if type(one) is dict]


def _named_in_frames(exc):
    """Yield (host, port) that the frames of client libraries hold: only there do such names mean an address."""
    trace = getattr(exc, "__traceback__", None)
    steps = 0
    while trace is not None and steps < 200:
        steps += 1
        frame = trace.tb_frame
        if frame.f_globals.get("__name__", "").split(".")[0] in _CLIENTS:
            for pair in (*_named_by_locals(frame.f_locals), *_named_by_self(frame.f_locals.get("self"))):
                yield pair
        trace = trace.tb_next


def _named_by_locals(values):
    """Yield (host, port) that a client's local variables name."""
    for key in ("addr", "address", "server_address", "sockaddr", "sa"):
        value = values.get(key)
        if isinstance(value, (tuple, list)) and len(value) >= 2 and _port(value[1]):
            yield value[0], value[1]
    if isinstance(values.get("host"), (str, bytes)) and _port(values.get("port")):
        yield values["host"], values["port"]
    for key in ("url", "uri", "dsn", "wsuri"):
        for pair in _in_url(values.get(key)):
            yield pair


def _named_by_self(owner):
    """Yield (host, port) that the object names whose method a client's frame is."""
    inside = getattr(owner, "__dict__", None)
    if not isinstance(inside, dict):
        return
    for host, port in (("host", "port"), ("_host", "_port")):
        if isinstance(inside.get(host), str) and _port(inside.get(port)):
            yield inside[host], inside[port]
    for key in ("uri", "url"):
        for pair in _in_url(inside.get(key)):
            yield pair


def _children(exc):
    """Return (edge, exception) for all that lies behind this one: cause, context even if suppressed, groups, wrapped ones."""
    for edge, name in (("cause", "__cause__"), ("context", "__context__")):
        other = getattr(exc, name, None)
        if isinstance(other, BaseException):
            yield edge, other
    for name in ("exceptions", "failures"):
        others = _attribute(exc, name)
        if isinstance(others, (list, tuple)):
            for other in others[:16]:
                if isinstance(other, BaseException):
                    yield "group", other
    for name in ("exc_info", "excinfo"):
        info = _attribute(exc, name)
        if isinstance(info, tuple) and len(info) == 3 and isinstance(info[1], BaseException):
            yield "cause", info[1]
    for name in ("reason", "os_error", "_os_error", "orig", "cause", "inner_exception", "original_exception"):
        other = _attribute(exc, name)
        if isinstance(other, BaseException):
            yield "cause", other
    for other in getattr(exc, "args", ())[:4]:
        if isinstance(other, BaseException):
            yield "cause", other


_SQLSTATES = (("sqlstate",), ("pgcode",), ("diag", "sqlstate"))
_STATUSES = (("response", "status_code"), ("response", "status"), ("status_code",), ("status",), ("code",))
_NUMBERS = (("errno", ("errno",)), ("verify_code", ("verify_code",)), ("close_code", ("rcvd", "code")))
"""What a described exception calls a number, and where the exception keeps it; the last is of a WebSocket's close frame."""


def _describe_codes(exc, text, node):
    """Add the codes that an exception holds as attributes: numbers, SQLSTATE, status, OpenSSL's reason.

    The first place that holds a fitting one decides. A status that is a word, as redis-py's and OpenAI's, stands apart.
    """
    for name, path in _NUMBERS:
        number = _number(_attribute(exc, *path))
        if number is not None:
            node[name] = int(number)
    states = (_attribute(exc, *path) for path in _SQLSTATES)
    state = next((one for one in states if isinstance(one, str) and len(one) == 5), None)
    if state is not None:
        node["sqlstate"] = state
    statuses = (_number(_attribute(exc, *path)) for path in _STATUSES)
    status = next((one for one in statuses if one is not None and 100 <= one < 600), None)
    if status is not None:
        node["status"] = int(status)
    word = _attribute(exc, "status_code")
    if isinstance(word, str) and len(word) < 40:
        node["status_word"] = word
    reason = _attribute(exc, "reason")
    if isinstance(reason, str) and "ssl.SSLError" in node["mro"]:
        node["ssl_reason"] = clean(reason, 80)
    if " of pipeline caused error: " in text and "status_word" not in node:
        # redis-py puts the command before the reply, whose first word is its code.
        node["status_word"] = text.rpartition(" of pipeline caused error: ")[2].lstrip("('\"").split(" ", 1)[0][:40]


def describe(exc):
    """Return the exception and all that lies behind it as JSON-able dicts, the outermost first."""
    nodes = []
    queue = [("root", -1, exc)]
    seen = set()
    while queue and len(nodes) < _CHAIN_LIMIT:
        edge, parent, current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        try:
            text = str(current)
        except Exception:
            text = ""
        node = {
            "type": _name(type(current)),
            "mro": [_name(kind) for kind in type(current).__mro__ if kind not in (object, BaseException)][:10],
            "via": edge,
            "of": parent,
            "text": clean(text),
        }
        _describe_codes(current, text, node)
        _describe_client(current, text, node)
        if not nodes and _raised_by_pytest(current):
            node["runner"] = True
        raised_in = _raised_in(current)
        if raised_in in _DOUBLES:
            node["double"] = raised_in
        try:
            # What a double was told to raise may name any address: nobody was spoken to.
            addresses = _addresses(current) if "double" not in node else []
        except Exception:
            addresses = []
        if addresses:
            node["addresses"] = addresses
        nodes.append(node)
        at = len(nodes) - 1
        queue.extend((edge, at, other) for edge, other in _children(current))
    return nodes


_DOUBLES = (
    *(
        "unittest.mock",
        "mock",
        "respx",
        "pytest_httpx",
        "responses",
        "requests_mock",
        "aioresponses",
        "httpretty",
        "pook",
    ),
    *("vcr", "fakeredis", "mongomock", "moto", "flexmock", "doublex"),
)
"""Modules that stand in for a client or a server within the process of a test, and raise what they were told to."""


def _raised_in(exc):
    """Return the module, or its package, whose code raised an exception first; "" where that is not known."""
    at = getattr(exc, "__traceback__", None)
    if at is None:
        return ""
    while at.tb_next is not None:
        at = at.tb_next
    name = str(at.tb_frame.f_globals.get("__name__", ""))
    return name if name in _DOUBLES else name.split(".")[0]


def _raised_by_pytest(exc):
    """Whether pytest's own code broke an assertion of its own: what an earlier fixture left in this process is not as it was."""
    return type(exc) is AssertionError and _raised_in(exc) == "_pytest"


_LIBPQ = ("psycopg", "psycopg2")
_SAID_NO = re.compile(r"failed: \w[^\n:]{0,20}:  ")
"""How libpq gives a server's own message in whatever language: a severity, a colon and two blanks."""


def _describe_client(exc, text, node):
    """Add what clients of C and of protocols without Python types say in attributes of their own."""
    root = type(exc).__module__.split(".")[0]
    names = [name.rpartition(".")[2] for name in node["mro"]]
    if root in _LIBPQ and "OperationalError" in names and "sqlstate" not in node:
        _describe_libpq(exc, text, node)
    elif root == "grpc":
        try:
            node["grpc"] = str(exc.code().name)
            node["text"] = clean(exc.details() or text)
        except Exception:
            return
    elif root in ("pymysql", "MySQLdb", "aiomysql", "asyncmy"):
        args = getattr(exc, "args", ())
        if args and _number(args[0]) is not None:
            node["number"] = int(args[0])
    if node.get("status"):
        _describe_path(exc, node)


def _describe_libpq(exc, text, node):
    """Add when libpq failed: the server answered and said no, while connecting, or on a connection that broke."""
    broken, addresses = _libpq_connection(exc)
    if addresses and not node.get("addresses"):
        node["addresses"] = addresses
    if _SAID_NO.search(text):
        node["libpq"] = "answered"
    elif _attribute(exc, "pgconn") is not None or _in_connect(exc):
        node["libpq"] = "connect"
    elif broken:
        node["libpq"] = "bad"


def _describe_path(exc, node):
    """Add the path that an HTTP status answered, so that the same path can be asked for again."""
    for path in (("request", "url"), ("response", "url"), ("request_info", "url"), ("url",)):
        found = _path_of(_attribute(exc, *path))
        method = _attribute(exc, "request", "method") or _attribute(exc, "request_info", "method")
        if found and method in (None, "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
            node["path"] = found
            return


def _path_of(url):
    """Return the path of a URL, without what follows it; nothing of its query is read."""
    from urllib.parse import urlsplit

    try:
        return urlsplit(str(url)).path[:200] if url is not None else ""
    except Exception:
        return ""


def _in_connect(exc):
    trace = getattr(exc, "__traceback__", None)
    steps = 0
    while trace is not None and steps < 200:
        steps += 1
        code = trace.tb_frame.f_code
        if trace.tb_frame.f_globals.get("__name__", "").split(".")[0] in _LIBPQ and "connect" in code.co_name:
            return True
        trace = trace.tb_next
    return False


def _libpq_connection(exc):
    """Return whether a connection in the error's reach is broken by the far side, and where connections there lead."""
    broken = False
    addresses = []

    def ask(connection):
        # psycopg2: 1 is closed by us, 2 is broken; psycopg: the state of libpq's connection.
        bad = _attribute(connection, "closed") == 2 or bool(_attribute(connection, "broken"))
        info = _attribute(connection, "info")
        host, port = _attribute(info, "host"), _port(_attribute(info, "port"))
        if isinstance(host, str) and host and port and [host, port] not in addresses:
            addresses.append([host, port])
        return bad

    pgconn = _attribute(exc, "pgconn")
    if pgconn is not None:
        host, port = _attribute(pgconn, "host"), _attribute(pgconn, "port")
        host = host.decode("utf-8", "replace") if isinstance(host, bytes) else host
        port = port.decode("ascii", "replace") if isinstance(port, bytes) else port
        if isinstance(host, str) and host and _port(port):
            addresses.append([host, _port(port)])
    connection = _attribute(exc, "cursor", "connection")
    if connection is not None:
        broken = ask(connection)
    trace = getattr(exc, "__traceback__", None)
    steps = 0
    while trace is not None and steps < 100:
        steps += 1
        for value in list(trace.tb_frame.f_locals.values())[:40]:
            module = type(value).__module__.split(".")[0]
            if module in _LIBPQ:
                found = value if type(value).__name__.endswith("onnection") else _attribute(value, "connection")
                if found is not None:
                    broken = ask(found) or broken
        trace = trace.tb_next
    return broken, addresses[:2]


_ANSWERS = ("httpx", "requests", "aiohttp", "urllib3", "http", "httplib2", "pycurl", "tornado")


def _answers(exc):
    """Return [host, port, status, path] of the unwell answers that lay in the hands of the code that failed."""
    found = []
    trace = getattr(exc, "__traceback__", None)
    steps = 0
    while trace is not None and steps < 100 and len(found) < 4:
        steps += 1
        if trace.tb_frame.f_globals.get("__name__", "").split(".")[0] not in _CLIENTS:
            for value in list(trace.tb_frame.f_locals.values())[:60]:
                answer = _unwell_answer(value)
                if answer is not None and answer not in found:
                    found.append(answer)
        trace = trace.tb_next
    return found


def _unwell_answer(value):
    """Return [host, port, status, path] of an answer that says its server is unwell; None of anything else, or without a URL."""
    if type(value).__module__.split(".")[0] not in _ANSWERS:
        return None
    status = _number(_attribute(value, "status_code")) or _number(_attribute(value, "status"))
    if status is None or not 429 <= status < 600:
        return None
    url = _attribute(value, "url")
    if url is None and _attribute(value, "geturl") is not None:
        try:
            url = value.geturl()
        except Exception:  # http.client's answers have it, and know their URL only where urllib made them
            return None
    pair = _from_url(url)
    return [pair[0], pair[1], int(status), _path_of(url)] if pair is not None else None


_NETWORK = frozenset(
    ("ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError", "ConnectionAbortedError",
     "TimeoutError", "gaierror", "timeout", "SSLError", "SSLCertVerificationError", "OperationalError", "ConnectError",
     "ConnectTimeout", "ReadTimeout", "InterfaceError", "CannotConnectNowError", "NewConnectionError", "MaxRetryError",
     "ConnectTimeoutError", "ClientConnectorError", "InvalidStatus", "ConnectionDoesNotExistError",
     "TooManyConnectionsError")
)  # fmt: skip


def _smells_of_network(nodes):
    """Whether an error at collection may be an outage's; the parent judges for good."""
    if any(name.split(".")[-1] == "AssertionError" for name in nodes[0]["mro"]):
        return False
    return any(
        name.split(".")[-1] in _NETWORK
        or node.get("errno") in (101, 104, 110, 111, 113)
        or node.get("status") in (502, 503, 504)
        for node in nodes
        for name in node["mro"]
    )


_IN_C = ("MySQLdb", "grpc", "confluent_kafka", "pycurl", "pyodbc", "oracledb", "cx_Oracle", "pymssql")
"""Clients that connect outside of Python, so that nothing of it is seen here."""
_HARMLESS = ("uname", "ldconfig", "gcc", "cc", "git", "file", "lsb_release", "hostname", "id", "which")


def _asked_for():
    """Return how many children multiprocessing was asked for: it starts them past every audit hook, but where it forks."""
    return str(getattr(sys.modules.get("multiprocessing.process"), "_process_counter", "count(1)"))


class _Spoken:
    """The addresses this process connected to, by an audit hook, and by what libpq and uvloop are told, whose sockets none sees."""

    def __init__(self):
        """Start with nothing heard: an audit hook cannot be taken away again, so that it is set only when tests begin."""
        self.on = False
        self.recent = []
        """All of this test, in order; what was only looked up by name as well."""
        self.connected = []
        self.own = set()
        """Those of them that a thread of this test connected to: a pool that an earlier test opened connects by itself."""
        self.older = frozenset()
        """Threads that ran already when this test began."""
        self.had_children = False
        self._spawned = False
        self._asked = _asked_for()
        self.bound = []
        """Weak references to the sockets that this process bound: servers of the suite's own."""
        self.all = {}
        self.libpq = set()
        self.uvloop = False
        self.clients = {}
        """Which client connected there: two servers of a kind are told from two servers."""
        self.watched = frozenset()
        """Addresses of services: that a test connects there is told at once, since it may never come to its end."""
        self.tell = None

    @property
    def spawned(self):
        """Whether there was a child since this was last set, whose connections nobody sees."""
        if self._asked != _asked_for():
            self._spawned = self.had_children = True
        return self._spawned

    @spawned.setter
    def spawned(self, value):
        self.had_children = self.spawned or value or self.had_children
        self._spawned, self._asked = value, _asked_for()

    def begin(self):
        """A test begins."""
        del self.recent[:], self.connected[:]
        self.own.clear()
        self.older = frozenset(thread.ident for thread in threading.enumerate()) - {threading.get_ident()}
        self.spawned = False
        if "psycopg2" in sys.modules or "psycopg" in sys.modules:
            self.watch_libpq()
        if not self.uvloop and "uvloop" in sys.modules:
            self.watch_uvloop()

    def add(self, pair, connected=True, client=""):
        if pair not in self.recent[-8:] and len(self.recent) < 60:
            self.recent.append(pair)
        if connected:
            if threading.get_ident() not in self.older:
                self.own.add(pair)
            if pair not in self.connected and len(self.connected) < 20:
                self.connected.append(pair)
                if self.tell is not None and pair in self.watched:
                    self.tell(pair)
            if len(self.all) < 200 or pair in self.all:
                self.all[pair] = self.all.get(pair, 0) + 1
                if pair not in self.clients:
                    client = client or _client_at_work()
                    self.clients[pair] = "" if client in _PLAIN_CLIENTS and self.is_own(pair) else client

    def is_own(self, pair):
        """Whether a plain client speaks there to a server of the suite's own, or to a proxy, behind which may be anybody."""
        host, port = pair
        if host in ("127.0.0.1", "::1", "localhost"):
            sockets = [found for found in (one() for one in self.bound) if found is not None]
            if (
                self.spawned
                or self.had_children
                or port in [sock.getsockname()[1] for sock in sockets if sock.fileno() >= 0]
            ):
                return True
        names = ("http_proxy", "https_proxy", "all_proxy")
        proxies = [os.environ.get(name) or os.environ.get(name.upper()) for name in names]
        return list(pair) in [_from_url(url) for url in proxies if url]

    def watch_libpq(self):
        """Hear where libpq is told to connect: through the functions that put its parameters together, which raise nothing."""
        try:
            extensions = sys.modules.get("psycopg2.extensions")
            if extensions is not None and "psycopg2" not in self.libpq:
                self.libpq.add("psycopg2")
                make_dsn = extensions.make_dsn

                def heard_dsn(*args, **kwargs):
                    dsn = make_dsn(*args, **kwargs)
                    self.hear_dsn(dsn)
                    return dsn

                extensions.make_dsn = heard_dsn
            for name, function in (
                ("psycopg.connection", "conninfo_attempts"),
                ("psycopg.connection_async", "conninfo_attempts_async"),
            ):
                module = sys.modules.get(name)
                attempts = getattr(module, function, None)
                if attempts is None or name in self.libpq:
                    continue
                self.libpq.add(name)
                setattr(module, function, self.heard_attempts(attempts))
        except Exception:
            return

    def watch_uvloop(self):
        """Hear where uvloop is told to connect, by its class that is written in Python; what it returns stays its own."""
        try:
            loop = sys.modules["uvloop"].Loop
            connect, sock_connect = loop.create_connection, loop.sock_connect

            def create_connection(self, protocol_factory, host=None, port=None, **kwargs):
                _spoken.hear(host, port)
                return connect(self, protocol_factory, host, port, **kwargs)

            def heard_sock_connect(self, sock, address):
                _spoken.hear(*(address if isinstance(address, tuple) else (None,))[:2])
                return sock_connect(self, sock, address)

            loop.create_connection, loop.sock_connect = create_connection, heard_sock_connect
            self.uvloop = True
        except Exception:
            return

    def hear(self, host=None, port=None):
        try:
            if host and port:
                self.add((str(host), _port(port)))
        except Exception:
            return

    def heard_attempts(self, attempts):
        def heard(params, *args, **kwargs):
            self.hear_parameters(params)
            return attempts(params, *args, **kwargs)

        return heard

    def hear_dsn(self, dsn):
        try:
            self.hear_parameters(sys.modules["psycopg2.extensions"].parse_dsn(dsn))
        except Exception:
            return

    def hear_parameters(self, params):
        try:
            hosts = str(params.get("hostaddr") or params.get("host") or os.environ.get("PGHOST") or "localhost").split(
                ","
            )
            ports = str(params.get("port") or os.environ.get("PGPORT") or "5432").split(",")
            for number, host in enumerate(hosts[:4]):
                port = ports[number] if number < len(ports) else ports[-1]
                if host and not host.startswith("/"):
                    self.add((host, _port(port or "5432")), client="psycopg")
        except Exception:
            return

    def unseen(self):
        """Return the clients that are loaded and whose connections are not seen."""
        found = [name for name in _IN_C if name in sys.modules]
        if "uvloop" in sys.modules and not self.uvloop:
            found.append("uvloop")
        if "psycopg2" in sys.modules and "psycopg2" not in self.libpq:
            found.append("psycopg2")
        if "psycopg" in sys.modules and not any(name.startswith("psycopg.") for name in self.libpq):
            found.append("psycopg")
        return found

    def install(self):
        """Hear of each connection and child by an audit hook: it sees all of Python, patches nothing, and cannot be taken out."""
        if self.on or not hasattr(sys, "addaudithook"):
            return
        self.on = True

        def hook(event, args):
            """Keep where this process connects to, and that it has children, whose connections nobody sees."""
            if event == "socket.connect":
                address = args[1]
            elif event == "socket.getaddrinfo":
                address = args
            elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork", "os.forkpty"):
                if not (event == "subprocess.Popen" and os.path.basename(str(args[0])) in _HARMLESS):
                    self.spawned = True
                return
            elif event == "socket.bind":
                try:
                    self.bound = [*(one for one in self.bound[-200:] if one() is not None), weakref.ref(args[0])]
                except Exception:
                    return
                return
            else:
                return
            try:
                if isinstance(address, tuple) and len(address) >= 2:
                    host = address[0].decode("ascii", "replace") if isinstance(address[0], bytes) else address[0]
                    if isinstance(host, str):
                        self.add((host, _port(address[1])), event == "socket.connect")
            except Exception:
                return

        try:
            sys.addaudithook(hook)
        except Exception:
            self.on = False


_PLUMBING = frozenset(("asyncio", "socket", "anyio", "trio", "uvloop", "ssl", "http", "urllib", "urllib3", "httpcore"))
_STANDARD = os.path.dirname(os.__file__)
_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")


def _client_at_work():
    """Return the client library whose code is connecting, or an empty text.

    A kind's own client wins, also where it stands above a plain one, as OpenAI's above httpx. Else it is the nearest that
    is no plumbing, and last the nearest that speaks HTTP to anybody. Those plain ones count only where the team's own code
    called them: what a library sends by itself, such as telemetry, says nothing of the tests.
    """
    try:
        frame = sys._getframe(2)
    except ValueError:
        return ""
    nearest = plain = ""
    for root, path in _outwards(frame):
        if root in _KINDS_CLIENTS:
            return root
        if root in _PLAIN_CLIENTS:
            plain = plain if plain and plain not in _PLUMBING else root
        elif root == "anyio" and "httpcore" in sys.modules:
            plain = plain or "httpcore"  # it connects in a task of its own, and no stack shows for whom
        elif root in _CLIENTS:
            nearest = nearest or ("" if root in _PLUMBING else root)
        elif root in ("_pytest", "pluggy"):
            break
        elif _INSTALLED.search(path):
            if plain or nearest:
                plain = ""
                break
        elif not path.startswith((_STANDARD, "<")):
            break
    return nearest or plain


def _outwards(frame):
    """Yield the package and the file of this frame and of those that called it, 80 at most, without our own."""
    for _ in range(80):
        if frame is None:
            return
        if frame.f_globals is not globals():
            yield frame.f_globals.get("__name__", "").split(".")[0], frame.f_code.co_filename
        frame = frame.f_back


_spoken = _Spoken()


_TCP_INFO = 11
_LAST_DATA_SENT, _LAST_DATA_RECEIVED, _SEGMENTS_IN, _SEGMENTS_OUT = 44, 52, 152, 156
"""Where Linux' struct tcp_info says how many milliseconds ago data went each way, and in how many segments (linux/tcp.h)."""


class _Sockets:
    """This process's sockets and how much went over each until the last test ended; only on Linux.

    It sees clients in C as well, which no audit hook sees.
    """

    def __init__(self):
        self.before = {}
        self.now = {}

    def mark(self):
        """A test ended: what was seen last is not the next one's."""
        self.before = self.now

    def used(self, since):
        """Return [host, port] of the far sides of the sockets on which data went since then, and since the last test.

        A pool that an earlier test filled and this one left alone is not used. The clock alone does not tell: it has the
        kernel's ticks, and an earlier test's last data may be younger than one of them.
        """
        elapsed = (time.time() - since) * 1000.0 + 5
        found = []
        self.now = {}
        try:
            names = os.listdir("/proc/self/fd")
        except OSError:
            return found
        for name in names:
            try:
                link = os.readlink("/proc/self/fd/" + name)
                far = _far_side(name) if link.startswith("socket:[") else None
            except (OSError, ValueError, struct.error):
                continue
            if far is None:
                continue
            pair, ago, count = far
            self.now[link] = count
            if ago <= elapsed and (not count or count != self.before.get(link)) and pair not in found:
                found.append(pair)
        return found[:20]


def _far_side(descriptor):
    """Return whom a TCP socket speaks to, how many milliseconds ago data went, and how many segments so far; else None."""
    with socket.socket(fileno=os.dup(int(descriptor))) as copy:
        if copy.family not in (socket.AF_INET, socket.AF_INET6) or not copy.type & socket.SOCK_STREAM:
            return None
        peer = copy.getpeername()
        info = copy.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, 160)
    ago = min(struct.unpack_from("I", info, at)[0] for at in (_LAST_DATA_SENT, _LAST_DATA_RECEIVED))
    # An older kernel's record is shorter: then the clock has to do.
    count = struct.unpack_from("II", info, _SEGMENTS_IN) if len(info) >= _SEGMENTS_OUT + 4 else ()
    host = peer[0][7:] if peer[0].startswith("::ffff:") and "." in peer[0] else peer[0]
    return [host, peer[1]], ago, count


class _Writer:
    """Writes events, each numbered and signed: what somebody else writes into the file, or copies there, is told apart.

    A line begins on a line of its own, so that rubbish without an end takes none of ours with it. Threads of the tests write
    as well, by what they connect to.
    """

    def __init__(self, path, session, key=""):
        self.fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.set_inheritable(self.fd, False)
        self.session = session
        self.held = b""
        self.pid = os.getpid()
        self.key = key.encode("ascii")
        self.name = session.encode("utf-8", "replace")
        self.count = 0
        self.lock = threading.RLock()

    def sign(self, line):
        if not self.key:
            return line + b"\n"
        self.count += 1
        number = b" %d" % self.count
        mark = hashlib.blake2b(self.name + number + line, key=self.key, digest_size=8).hexdigest().encode("ascii")
        return b"\n" + line + number + b" " + mark + b"\n"

    def hold(self, line):
        """Write this together with what comes next: one call to the system for each test that passes."""
        with self.lock:
            self.held += self.sign(line)

    def raw(self, line):
        # A child that was forked off in a test is not the session that was.
        if os.getpid() != self.pid:
            return
        with self.lock:
            data, self.held = self.held + self.sign(line), b""
            try:
                os.write(self.fd, data)
            except OSError:
                return

    def event(self, kind, **fields):
        fields["k"] = kind
        fields["s"] = self.session
        self.raw(json.dumps(fields, default=str, separators=(",", ":")).encode("utf-8", "replace"))


class _UnderWay:
    """A note of the test that this process is in, for the stand-ins, which cannot know from whom a request comes.

    One `pwrite` over the note before; the length in front tells the reader how much of it is new.
    """

    def __init__(self, folder, worker):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        self.path = os.path.join(folder, worker or "main")
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        os.set_inheritable(self.fd, False)
        self.pid = os.getpid()
        self.test, self.attempt, self.fixtures, self.times = "", 0, [], {}

    def begin(self, test):
        self.test, self.attempt = test, self.attempt + 1
        self.write()

    def end(self):
        self.test = ""
        self.write()

    def enter(self, fixture, anew):
        """A fixture begins to be set up, anew, or to be torn down: then what it does belongs to its last set-up."""
        if anew:
            self.times[fixture] = self.times.get(fixture, 0) + 1
        self.fixtures.append(fixture)
        self.write()

    def leave(self):
        if self.fixtures:
            self.fixtures.pop()
            self.write()

    def write(self):
        if os.getpid() != self.pid:
            return
        fixture = self.fixtures[-1] if self.fixtures else ""
        attempt = self.times.get(fixture, 0) if fixture else self.attempt
        note = json.dumps({"test": self.test, "fixture": fixture, "attempt": attempt}).encode()
        try:
            os.pwrite(self.fd, b"%08d" % len(note) + note, 0)
        except OSError:
            return

    def close(self):
        if os.getpid() == self.pid:
            os.close(self.fd)
            os.unlink(self.path)


class Recorder:
    """One pytest session, or one worker of pytest-xdist, and what it tells."""

    def __init__(self, settings, worker=""):
        """Begin to tell of one session; its id is made of process, time and worker, so that no two share one."""
        self.settings = settings
        self.worker = worker
        self.pid = os.getpid()
        self.session = "%d.%x%s" % (self.pid, int(time.time() * 1000) & 0xFFFFFF, "." + worker if worker else "")
        self.writer = _Writer(settings["events"], self.session, settings.get("sign", ""))
        name = self.session.encode().replace(b"%", b"")
        self.begin_line = b'{"k":"b","s":"' + name + b'","i":%d,"l":%d}'
        self.end_line = b'{"k":"t","s":"' + name + b'","i":%d,"o":"%b","d":%.4f}'
        self.index = {}
        self.names = {}
        self.pending = {}
        self.cached = {}
        self.lost = set()
        self.since = time.time()
        self.sockets = _Sockets()
        self.by_fixture = {}
        self.ending = {}
        """Lasting fixtures whose end is to be noted, by identity."""
        self.raised = {}
        self.came_through = set()
        self.tried = {}
        self.setting_up = []
        self.lasting = ()
        """Fixtures of the present test that last longer than it, and that connected to something."""
        _spoken.watched = frozenset((str(host), port) for host, port in settings.get("endpoints", ()))
        _spoken.tell = self.connects
        self.failures = []
        self.current = None
        self.state = None
        self.duration = 0.0
        self.reported = None
        self.controller = False
        self.started = False
        self.held = {}
        self.held_fixtures = {}
        self.held_tests = {}
        """Tests that earlier runs saw connect to what is down now."""
        self.set_up = set()
        """Set-ups that were begun in this process."""
        self.let_go = set()
        """Set-ups, as tests have them together, for which a test ran though it was held by its past."""
        self.made_before = frozenset()
        """Set-ups for which a test ran in an earlier process of this run."""
        self.waited = frozenset()
        """Set-ups in which an earlier process waited in vain until it was ended."""
        self.call_held = None
        self.next_look = 0.0
        self.control_seen = None
        self.rearm = False
        self.slow = False
        self.shown = [_SHOWN_AT_MOST, _SHOWN_AT_MOST // 6]
        """How many failures may still be told in full: the others, and those that smell of an outage."""
        self.stack = None
        self.nothing_of_ours = False
        self.only = None
        self.config = None
        self.held.update({name: tuple(value) for name, value in settings.get("held", {}).items()})
        self.under_way = None
        self.note_tests()

    def note_tests(self):
        """Begin to note the test that is under way where the stand-ins want to know; the team's user may not be let in there."""
        folder = self.settings.get("under_way")
        if not folder or self.under_way is not None:
            return
        try:
            self.under_way = _UnderWay(folder, self.worker)
        except OSError:
            self.under_way = None

    def take(self, told):
        """Take what was decided after this session had begun: selection, what is held back, which addresses are services'."""
        own = ("events", "sign", "again")
        self.settings.update({name: value for name, value in told.items() if name not in own})
        self.held.update({name: tuple(value) for name, value in told.get("held", {}).items()})
        _spoken.watched = frozenset((str(host), port) for host, port in told.get("endpoints", ()))
        self.note_tests()

    # the session

    def start(self, config, **more):
        """Say that this session began, and know of a later round which of its tests are to run again.

        The key, root and arguments, tells the pytest sessions of one command apart: a round restricts only those it has seen.
        """
        if self.started:
            return
        self.started = True
        self.config = config
        args = []
        root = ""
        try:
            args = [str(arg) for arg in config.invocation_params.args]
            root = str(getattr(config, "rootpath", None) or config.rootdir)
        except Exception:
            args = args or []
        self.root = root
        self.key = self.settings.get("session_key") or root + "\0" + "\0".join(args)
        self.writer.event(
            "start", at=time.time(), pid=self.pid, python="%d.%d.%d" % sys.version_info[:3], executable=sys.executable,
            pytest=pytest.__version__, root=root, key=hashlib.sha256(self.key.encode("utf-8",
            "replace")).hexdigest()[:16],
            cwd=_cwd(), worker=self.worker, **more
        )  # fmt: skip
        again = self.settings.get("again")
        if again is not None:
            key = hashlib.sha256(self.key.encode("utf-8", "replace")).hexdigest()[:16]
            if again.get("every"):
                self.only = (set(again["ids"][""]), ())
            elif key in again["seen"] or (self.worker and more.get("known")):
                self.only = (set(again["ids"].get(root, ())), tuple(again["prefixes"].get(root, ())))

    def arm(self):
        """Have the stacks of all threads written shortly before the parent's deadline ends this process."""
        self.rearm = False
        deadline = self.settings.get("deadline")
        if not deadline:
            return
        try:
            if float(self.config.getini("faulthandler_timeout") or 0) > 0:
                return
            left = deadline - time.time()
            if left <= 0:
                return
            if self.stack is None:
                path = os.path.join(self.settings["stacks"], "%s.txt" % self.session)
                self.stack = open(path, "w")  # noqa: SIM115  faulthandler writes to it until the end
            faulthandler.dump_traceback_later(left, file=self.stack)
        except Exception:
            self.stack = None

    def disarm(self):
        if self.stack is None:
            return
        try:
            faulthandler.cancel_dump_traceback_later()
            self.stack.close()
        finally:
            self.stack = None

    def digests(self):
        """Return digests of the variables that lead to stand-ins, as this process sees them."""
        salt = self.settings.get("run", "")
        return {
            name: hashlib.sha256((salt + os.environ[name]).encode("utf-8", "surrogateescape")).hexdigest()[:16]
            if name in os.environ
            else None
            for name in self.settings.get("exports", ())
        }

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session):
        self.arm()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        self.disarm()
        if self.under_way is not None:
            try:
                self.under_way.close()
            except OSError:
                pass
            self.under_way = None
        if int(exitstatus) == 5 and self.nothing_of_ours and not self.worker and not self.settings.get("own_exit"):
            session.exitstatus = pytest.ExitCode.OK
        self.writer.event(
            "finish", at=time.time(), exit=int(exitstatus), digests=self.digests(),
            spoke=[[host, port, count, _spoken.clients.get((host, port), "")] for (host, port), count in
            list(_spoken.all.items())], unseen=_spoken.unseen(),
        )  # fmt: skip

    # collection

    @pytest.hookimpl(hookwrapper=True)
    def pytest_make_collect_report(self, collector):
        """Tell what could not be collected, and remember whether the network was in it: see pytest_runtestloop."""
        outcome = yield
        try:
            report = outcome.get_result()
        except BaseException:
            return
        if report.outcome == "passed":
            return
        try:
            call = getattr(report, "call", None)
            info = getattr(call, "excinfo", None)
            nodes = describe(info.value) if info is not None else []
            self.writer.event(
                "collect_error" if report.outcome == "failed" else "collect_skip", at=time.time(), id=report.nodeid,
                chain=nodes, **self.uses(None, None)
            )  # fmt: skip
            if report.outcome == "failed":
                self.failures.append(bool(nodes) and _smells_of_network(nodes))
        except Exception:
            return

    def pytest_collectreport(self, report):
        if self.controller and report.outcome == "failed":
            self.failures.append(None)

    @pytest.hookimpl(hookwrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(self, session, config, items):
        """Tell ids and markers of all that was collected before anybody leaves out any of it, and leave out ours after theirs."""
        before = list(items)
        original = {id(item): number for number, item in enumerate(before)}
        ids = [item.nodeid for item in before]
        marked = {}
        names = [None] * len(before)
        wanted = self.settings.get("marks")
        wanted = None if wanted is None else frozenset(wanted)
        above = {}
        for number, item in enumerate(before):
            parent = item.parent
            if id(parent) not in above:
                above[id(parent)] = (
                    frozenset(mark.name for mark in parent.iter_markers()) if parent is not None else frozenset()
                )
            found = above[id(parent)]
            if item.own_markers:
                found = found.union([mark.name for mark in item.own_markers])
            if found:
                names[number] = found
                for name in found:
                    if wanted is None or name in wanted:
                        marked.setdefault(name, []).append(number)
        for start in range(0, len(ids), _CHUNK):
            self.writer.event("ids", first=start, ids=ids[start : start + _CHUNK])
        self.writer.event("collected", at=time.time(), n=len(ids), marked=marked, digests=self.digests())
        yield
        try:
            self._leave_out(config, items, before, original, names)
        except Exception as exc:
            self.writer.event("trouble", what="selection", text=clean(repr(exc)))
        self.index = {item.nodeid: original[id(item)] for item in items if id(item) in original}
        del before[:]

    def _leave_out(self, config, items, before, original, names):
        """Deselect what this round and the mode do not ask for, and say who left out what: the command, the round, the mode.

        Held markers do not count for the mode's expression: their tests are to be listed as held back, not to vanish.
        """
        kept = {id(item) for item in items}
        theirs = [number for number, item in enumerate(before) if id(item) not in kept]
        if theirs:
            self.writer.event("left_out", why="command", i=theirs)
        expression = MarkerExpression(self.settings.get("select") or "")
        empty = frozenset()
        out = {"round": [], "mode": []}
        left, dropped = [], []
        for item in items:
            number = original.get(id(item))
            if number is None:
                left.append(item)
                continue
            if self.only is not None and not self._again(item.nodeid):
                out["round"].append(number)
                dropped.append(item)
                continue
            if expression.text:
                found = names[number] or empty
                if self.held:
                    found = found.difference(self.held)
                if not expression(found):
                    out["mode"].append(number)
                    dropped.append(item)
                    continue
            left.append(item)
        for why, numbers in out.items():
            if numbers:
                self.writer.event("left_out", why=why, i=numbers)
        if dropped:
            items[:] = left
            self.nothing_of_ours = not left
            config.hook.pytest_deselected(items=dropped)

    def _again(self, nodeid):
        ids, prefixes = self.only
        if nodeid in ids or nodeid.rsplit("@", 1)[0] in ids:
            return True
        return bool(prefixes) and nodeid.startswith(prefixes)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        # A healthy suite has no such errors, so its behaviour is not touched.
        if self.failures and all(self.failures) and not self.controller:
            try:
                session.config.option.continue_on_collection_errors = True
            except Exception:
                return

    # tests

    def pytest_runtest_logstart(self, nodeid, location):
        if self.controller:
            return
        number = self.index.get(nodeid)
        self.current = nodeid
        self.state = None
        self.duration = 0.0
        _spoken.begin()
        self.since = time.time()
        line = location[1] + 1 if isinstance(location[1], int) else 0
        if number is None or not nodeid.startswith(str(location[0])):
            self.writer.event("begin", id=self._id(nodeid), l=line, f=str(location[0]))
        else:
            self.writer.raw(self.begin_line % (number, line))
        if self.rearm:
            self.arm()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        """Hold back a test before its set-up begins, by what the parent said last; where failures are slow, wait for its word."""
        if self.under_way is not None:
            self.under_way.begin(item.nodeid)
        now = time.monotonic()
        if now >= self.next_look:
            self.next_look = now + _CONTROL_EVERY_S
            self.look()
        if self.slow:
            # Where the parent knows already that this service is down, its word is worth more than another long wait.
            self.slow = False
            seen, until = self.control_seen, now + _VERDICT_WAIT_S
            while self.control_seen == seen and time.monotonic() < until:
                time.sleep(0.01)
                self.look()
        if self.by_fixture:
            self.lasting = tuple(key for key in _fixture_keys(item) if key in self.by_fixture)
        self.call_held = None
        if self.held or self.held_fixtures or self.held_tests:
            self.hold(item)
        self.set_up.update(_unittest_keys(item, ("setUpClass", "setUp")))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        if self.call_held is not None:
            found, self.call_held = self.call_held, None
            self.hold_for(item, found)

    def look(self):
        """Read what the parent holds back, if it changed."""
        path = self.settings.get("control")
        if not path:
            return
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp == self.control_seen:
                return
            self.control_seen = stamp
            with open(path, encoding="utf-8") as stream:
                control = json.load(stream)
            back = set(control.get("back", ()))
            held = {name: tuple(value) for name, value in self.settings.get("held", {}).items() if value[1] not in back}
            held.update({name: tuple(value) for name, value in control.get("markers", {}).items()})
            self.held = held
            self.held_fixtures = {name: tuple(value) for name, value in control.get("fixtures", {}).items()}
            self.held_tests = control.get("tests", {})
            self.made_before = frozenset(control.get("made", ()))
            self.waited = frozenset(control.get("waited", ()))
        except Exception:
            return

    def hold(self, item):
        """Skip a test that would only meet what is down: by its marker, else a fixture of it that failed, else by its past."""
        found = None
        if self.held:
            for mark in item.iter_markers():
                if mark.name in self.held:
                    found = self.held[mark.name]
                    break
        if found is None and self.held_fixtures:
            for name in _fixture_keys(item):
                if name in self.held_fixtures and not self.tries(name):
                    found = self.held_tests.get(item.nodeid, self.held_fixtures[name])
                    break
        if found is None:
            found = self.held_tests.get(item.nodeid)
            if found is None or self.makes(item, found):
                return
        self.hold_for(item, found)

    def makes(self, item, found):
        """Whether a test that only its past holds runs all the same, as the first in this process to make one of its set-ups.

        What a set-up leaves in the process is there then for other tests, as in plain pytest. Each combination of set-ups is
        tried once. In a later process of the run, a set-up that an earlier one had begun is made again without the test's own
        part: that may be what waited. One in which it waited is not.
        """
        keys = frozenset(_set_ups(item))
        new = keys - self.set_up
        if not new or keys in self.let_go or keys & self.waited:
            return False
        self.let_go.add(keys)
        if new <= self.made_before:
            self.call_held = found
        self.writer.event(
            "let", id=self._id(item.nodeid), reason=found[0], keys=sorted(keys), whole=self.call_held is None
        )
        return True

    def hold_for(self, item, found):
        reason, service = found
        self.state = "held"
        self.writer.event("held", id=self._id(item.nodeid), reason=reason, service=service)
        raise _skip("infrastructure unavailable: " + reason)

    def tries(self, name):
        """Whether a test is let go after all, to try a fixture that every test gets: for others it may come through."""
        if not name.startswith("autouse "):
            return False
        if name in self.came_through:
            return True
        self.tried[name] = self.tried.get(name, 0) + 1
        return self.tried[name] % _TRY_EVERY == 1

    def _id(self, nodeid):
        number = self.index.get(nodeid)
        return nodeid if number is None else number

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item, call):
        """Read an error while it lives, for the report of it that comes later; an exception of a lasting fixture is read once."""
        info = call.excinfo
        if info is None:
            # pytest's own plug-in for unittest hands these over only after us.
            kept = getattr(item, "_excinfo", None)
            if not kept:
                return
            info = kept[0]
        try:
            value = info.value
            if type(value).__name__ in ("Skipped", "SkipTest", "XFailed", "Exit", "KeyboardInterrupt"):
                return
            known = self.cached.get(id(value))
            if known is not None and known[0] is value:
                evidence = dict(known[1])
            else:
                evidence = {"chain": describe(value)}
                evidence.update(self.uses(item, value))
            if call.when == "setup":
                lasting = _is_kept(item, value)
                evidence["fixtures"] = self.failed_fixtures(item, value)
                if lasting:
                    # pytest keeps it too, and raises it again for each test that asks for this fixture.
                    if len(self.cached) > 200:
                        self.cached.clear()
                    self.cached[id(value)] = (value, evidence)
            elif call.when == "call":
                evidence["fixtures"] = _failed_set_up(item, value)
            evidence["when"] = call.when
            # Of the phase itself: what pytest makes of the error takes a while, and its report comes after that.
            evidence["at"] = call.stop
            self.pending.setdefault(item.nodeid, []).append(evidence)
        except Exception as exc:
            self.lost.add(item.nodeid)
            self.writer.event("trouble", what="makereport", text=clean(repr(exc)))

    def uses(self, item, value):
        """Return what a failing test, or whatever else failed, used: connections, its fixtures' ones, children, answers."""
        used = []
        children = _spoken.spawned and not _never_started(value)
        if item is not None:
            for key in _fixture_keys(item):
                pairs, spawned = self.by_fixture.get(key, ((), False))
                used.extend(list(pair) for pair in pairs if list(pair) not in used)
                children = children or spawned
        used.extend(pair for pair in self.sockets.used(self.since) if pair not in used)
        found = {"spoke": [list(pair) for pair in _spoken.recent[-40:]]}
        unseen = _spoken.unseen()
        seen = _answers(value) if value is not None else []
        for name, what in (("used", used[:40]), ("children", children), ("unseen", unseen), ("seen", seen)):
            if what:
                found[name] = what
        return found

    def failed_fixtures(self, item, value):
        """Return what victims of the same failure share with this test: the innermost fixture that failed, as `where::name`."""
        raised = self.raised.get(id(value))
        if raised is None or raised[0] is not value:
            return _failed_set_up(item, value)
        definition = raised[1]
        name = definition.argname
        if name.lstrip("_").startswith("unittest_setUpClass"):
            return _unittest_keys(item, ("setUpClass",)) or ["%s::%s" % (definition.baseid, name)]
        keys = [key for key in _fixture_keys(item) if key.rpartition("::")[2] == name]
        for key in keys:
            self.came_through.discard(key)
        return keys[:1] or ["%s::%s" % (getattr(definition, "baseid", ""), name)]

    def connects(self, pair):
        """A test, or what sets it up, connects to a service for the first time."""
        keys = self.setting_up[-1:]
        self.writer.event("c", p=list(pair), f=keys[0] if keys else "", id=self.current and self._id(self.current))

    def lasts(self, fixturedef, request):
        """Return the name under which what a fixture does is noted: empty for one of this test alone."""
        if self.under_way is None or getattr(fixturedef, "scope", "function") == "function":
            return ""
        where = getattr(getattr(request, "node", None), "nodeid", "")
        index = getattr(request, "param_index", 0)
        return "%s::%s%s" % (where, fixturedef.argname, "[%s]" % index if index else "")

    def note_end(self, fixturedef, name):
        """Have it noted when a lasting fixture is torn down, in the middle of some test: finalizers run last in, first out."""

        def begin():
            if self.under_way is not None:
                self.under_way.enter(name, False)

        try:
            fixturedef.addfinalizer(begin)
            self.ending[id(fixturedef)] = name
        except Exception:
            return

    def pytest_fixture_post_finalizer(self, fixturedef):
        if self.ending.pop(id(fixturedef), None) is not None and self.under_way is not None:
            self.under_way.leave()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        """Keep what a fixture connects to and what it raised; note while it works whether it lasts longer than this test."""
        lasting = self.lasts(fixturedef, request)
        if lasting:
            self.under_way.enter(lasting, True)
        before, spawned = len(_spoken.connected), _spoken.spawned
        _spoken.spawned = False
        key = "%s::%s" % (getattr(fixturedef, "baseid", ""), fixturedef.argname)
        self.set_up.add(key)
        self.setting_up.append(key)
        outcome = yield
        self.setting_up.pop()
        if lasting:
            self.under_way.leave()
            self.note_end(fixturedef, lasting)
        if outcome.excinfo is not None and len(self.raised) < 500:
            # The first to see it is the innermost: what others only pass on is not why.
            self.raised.setdefault(id(outcome.excinfo[1]), (outcome.excinfo[1], fixturedef))
        elif self.held_fixtures:
            self.came_through.add("autouse %s::%s" % (getattr(fixturedef, "baseid", ""), fixturedef.argname))
        pairs = _spoken.connected[before:]
        # What a fixture of one test connects to is that test's own, whoever else may ask for the fixture.
        if (pairs or _spoken.spawned) and getattr(fixturedef, "scope", "function") != "function":
            key = "%s::%s" % (getattr(fixturedef, "baseid", ""), fixturedef.argname)
            old, known = self.by_fixture.get(key, ((), False))
            self.by_fixture[key] = (tuple(dict.fromkeys((*old, *pairs)))[:20], known or _spoken.spawned)
        _spoken.spawned = _spoken.spawned or spawned

    def pytest_runtest_logreport(self, report):
        # An exception here would be pytest's INTERNALERROR: it would end the team's run, and look like theirs.
        try:
            self._reported(report)
        except Exception as exc:
            self.writer.event("trouble", what="logreport", text=clean(repr(exc)))

    def _reported(self, report):
        """Write what a phase failed by, and after the last phase what the test came to: the worst of its phases.

        A subtest has a context: it says nothing of the test as a whole unless it failed.
        """
        if self.controller:
            if report.when not in ("setup", "call", "teardown"):
                ended = _ended_by(getattr(report, "node", None))
                self.writer.event("crash", at=time.time(), id=report.nodeid, text=clean(report.longrepr), signal=ended)
            return
        if report.outcome == "passed" and report.when == "call" and getattr(report, "context", None) is not None:
            return
        self.duration += report.duration
        if report.outcome == "passed":
            if report.when == "call" and self.state is None:
                self.state = "xpassed" if hasattr(report, "wasxfail") else "passed"
        elif report.outcome == "failed":
            self._phase_failed(report)
        elif report.outcome == "skipped":
            self._phase_skipped(report)
        elif report.outcome == "rerun":
            self.pending.pop(report.nodeid, None)
            self.state = "rerun"
            self.writer.event("rerun", id=self._id(report.nodeid))
        if report.when == "teardown":
            self.finish(report.nodeid)

    def _phase_failed(self, report):
        """Write each error of a phase that failed: those that were read while they lived, else the report's text alone.

        A report without an error of its own after one that failed is the same failure once more, as subtests have it.
        """
        nodeid, when = report.nodeid, report.when
        # Report hooks cancel the timer of faulthandler.
        self.rearm = True
        if report.duration >= _SLOW_S and nodeid in self.pending:
            self.slow = _smells_of_network(self.pending[nodeid][-1]["chain"])
        found = self.pending.pop(nodeid, None)
        if found is None:
            found = [] if self.state == "failed" else [{"chain": [], "when": when, "spoke": []}]
        text = _crash_text(report)
        if found:
            found[-1] = dict(found[-1], **self._shown(report, found[-1]["chain"]))
        for evidence in found:
            if nodeid in self.lost and not evidence["chain"]:
                evidence = dict(evidence, lost=True)
            evidence = dict({"at": time.time()}, **evidence)
            self.writer.event("fail", id=self._id(nodeid), text=text, d=round(report.duration, 4), **evidence)
        if self.state != "failed":
            self.state = "failed" if when == "call" else "error"

    def _shown(self, report, chain):
        """Return the failure as pytest shows it, where in the repository it arose, and what was captured, while there is room."""
        kind = 1 if chain and _smells_of_network(chain) else 0
        found = {"at_line": _failed_at(report, str(getattr(self.config, "rootpath", "") or os.getcwd()))}
        if self.shown[kind] > 0:
            self.shown[kind] -= 1
            found["shown"] = _clean_lines(getattr(report, "longreprtext", None) or report.longrepr or "")
            captured = [(name, text) for name, text in report.sections if text.strip()]
            found["out"] = _clean_lines("\n".join("--- %s ---\n%s" % one for one in captured))
        return {name: value for name, value in found.items() if value}

    def _phase_skipped(self, report):
        """Note a skip, or a failure that was expected, unless the test is worse already."""
        self.pending.pop(report.nodeid, None)
        if self.state not in (None, "passed"):
            return
        if hasattr(report, "wasxfail"):
            self.state = "xfailed"
        elif getattr(report, "context", None) is None:
            self.state = "skipped"
            self.writer.event("skip", id=self._id(report.nodeid), reason=_skip_reason(report))

    def finish(self, nodeid):
        """Write the outcome of a test, its connections before it, and forget all that was its own."""
        number = self.index.get(nodeid)
        self.pending.clear()
        state = self.state or "unknown"
        if state == "rerun":
            # A retry plug-in of the team's runs it once more; what comes then counts.
            self.state = self.current = None
            return
        # Written together with the next test's beginning: one call to the system for each test that passes.
        if number is None:
            self.writer.event("end", id=nodeid, o=state, d=round(self.duration, 4))
        else:
            line = self.end_line % (number, state.encode(), self.duration)
            pairs, aside = self.spoke_to() if _spoken.all else ((), ())
            if pairs:
                told = json.dumps(pairs, separators=(",", ":")).encode()
                more = b',"b":' + json.dumps(aside, separators=(",", ":")).encode() if aside else b""
                self.writer.hold(b'{"k":"u","s":"%b","i":%d,"p":%b%b}' % (self.session.encode(), number, told, more))
            if state == "passed":
                self.writer.hold(line)
            else:
                self.writer.raw(line)
        self.state = None
        self.current = None
        if self.under_way is not None:
            self.under_way.end()

    def spoke_to(self):
        """Return [host, port] of what this test spoke to, and those of them that only a thread of an earlier one connected to.

        New connections, its fixtures' ones, and old ones that it used.
        """
        own = {tuple(pair) for key in self.lasting for pair in self.by_fixture.get(key, ((), False))[0]} | _spoken.own
        aside = [list(pair) for pair in _spoken.connected if pair not in own]
        found = [list(pair) for pair in _spoken.connected]
        found.extend(list(pair) for pair in own if list(pair) not in found)
        found.extend(pair for pair in self.sockets.used(self.since) if pair not in found)
        self.sockets.mark()
        return found[:20], aside

    # what ends a run

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr, excinfo):
        self.writer.event(
            "internal",
            at=time.time(),
            chain=describe(excinfo.value),
            **self.uses(None, None),
        )

    @pytest.hookimpl(tryfirst=True)
    def pytest_keyboard_interrupt(self, excinfo):
        more = {}
        if type(excinfo.value).__name__ == "Exit":
            # A fixture of the team's that gives the whole session up: what made it do so stands behind it.
            more = dict(self.uses(None, excinfo.value), chain=describe(excinfo.value), when="exit")
        self.writer.event(
            "interrupt", at=time.time(), type=_name(type(excinfo.value)), text=clean(excinfo.value), **more
        )


class Nodes:
    """What the controller of pytest-xdist hands to its workers; registered only where pytest-xdist is."""

    def __init__(self, recorder):
        self.recorder = recorder

    def pytest_configure_node(self, node):
        self.recorder.controller = True
        node.workerinput["resilience"] = json.dumps(
            dict(self.recorder.settings, known=self.recorder.only is not None, key=self.recorder.key)
        )


def _cwd():
    try:
        return os.getcwd()
    except OSError:
        return ""


def _skip(reason):
    try:
        return pytest.skip.Exception(reason, _use_item_location=True)
    except TypeError:
        return pytest.skip.Exception(reason)


def _skip_reason(report):
    longrepr = report.longrepr
    return clean(longrepr[2] if isinstance(longrepr, tuple) and len(longrepr) == 3 else longrepr or "")


def _ended_by(worker):
    """Return the signal that ended a worker of pytest-xdist; None where there was none, or its process is not here to ask."""
    try:
        return max(0, -worker.gateway._io.popen.wait(1)) or None
    except Exception:
        return None


def _crash_text(report):
    try:
        message = report.longrepr.reprcrash.message
    except Exception:
        message = report.longrepr if isinstance(report.longrepr, str) else ""
    return clean(message)


def _failed_at(report, root):
    """Return file:line of the innermost frame that lies in the repository, else where it was raised; empty where it is unseen.

    What is installed below the repository is not the team's code.
    """
    places = []
    try:
        for entry in report.longrepr.reprtraceback.reprentries:
            place = getattr(entry, "reprfileloc", None)
            if place is not None:
                places.append((str(place.path), place.lineno))
        crash = report.longrepr.reprcrash
        places.insert(0, (str(crash.path), crash.lineno))
    except Exception:
        return ""
    best = ""
    for path, line in places:
        path = os.path.normpath(os.path.join(os.getcwd(), path))
        inside = path.startswith(root.rstrip(os.sep) + os.sep)
        ours = inside and "site-packages" not in path and os.sep + ".venv" not in path
        if ours:
            best = "%s:%d" % (os.path.relpath(path, root).replace(os.sep, "/"), line)
    return best


def _fixture_keys(item):
    """Yield what a test shares with others that its set-up may fail by: its fixtures, and unittest's set-up methods."""
    info = getattr(item, "_fixtureinfo", None)
    asked = set(getattr(info, "argnames", ()))
    initial = [name for name in getattr(info, "initialnames", ()) if name not in asked]
    if initial:
        for mark in item.iter_markers("usefixtures"):
            asked.update(mark.args)
    for name, defs in (getattr(info, "name2fixturedefs", None) or {}).items():
        if defs:
            alone = name in initial and name not in asked and getattr(defs[-1], "scope", "") == "function"
            yield "%s%s::%s" % ("autouse " if alone else "", getattr(defs[-1], "baseid", ""), name)
    for key in _unittest_keys(item, ("setUpClass", "setUp")):
        yield key


def _set_ups(item):
    """Yield the set-ups of a test: fixtures, what pytest makes of setup_module and its like, unittest's; none of pytest's own."""
    info = getattr(item, "_fixtureinfo", None)
    for name, defs in (getattr(info, "name2fixturedefs", None) or {}).items():
        base = getattr(defs[-1], "baseid", "") if defs else ""
        where = getattr(getattr(defs[-1], "func", None), "__module__", "") or "" if defs else "_pytest"
        # One of unittest's for each class, of which many may inherit the same method.
        if (base or where.split(".")[0] != "_pytest") and not name.lstrip("_").startswith("unittest_setUpClass"):
            yield "%s::%s" % (base, name)
    for key in _unittest_keys(item, ("setUpClass", "setUp")):
        yield key


def _unittest_keys(item, methods):
    """Return the methods as they are defined, so that classes that inherit one share it; unittest's own do nothing."""
    cls = getattr(item, "cls", None)
    if cls is None or "unittest" not in sys.modules or not issubclass(cls, sys.modules["unittest"].TestCase):
        return []
    found = []
    for name in methods:
        method = getattr(cls, name, None)
        module = getattr(method, "__module__", "") or ""
        if method is not None and module.split(".")[0] != "unittest":
            found.append("%s.%s()" % (module, getattr(method, "__qualname__", name)))
    return found


def _never_started(value):
    """Whether this is a child's program that could not be started: then there was no child."""
    trace = getattr(value, "__traceback__", None)
    while isinstance(value, OSError) and trace is not None:
        if trace.tb_frame.f_code.co_name == "_execute_child":
            return True
        trace = trace.tb_next
    return False


def _failed_set_up(item, value):
    """Return the `setUp` of unittest where that is what failed: pytest runs it within the test."""
    keys = _unittest_keys(item, ("setUp",))
    trace = getattr(value, "__traceback__", None)
    steps = 0
    while keys and trace is not None and steps < 100:
        steps += 1
        if trace.tb_frame.f_code.co_name == "setUp":
            return keys
        trace = trace.tb_next
    return []


def _cached_exception(definition):
    """Return the exception that pytest keeps for a failed fixture, or None.

    pytest 8.0, 8.1 and 8.2 keep the exception itself in `cached_result[2]`; before and after, it is the first item of a tuple.
    """
    cached = getattr(definition, "cached_result", None)
    raised = cached[2] if isinstance(cached, tuple) and len(cached) == 3 else None
    if isinstance(raised, tuple):
        raised = next((part for part in raised if isinstance(part, BaseException)), None)
    return raised if isinstance(raised, BaseException) else None


def _is_kept(item, value):
    """Whether pytest keeps this exception for the fixture that raised it, and raises it again for the next test."""
    info = getattr(item, "_fixtureinfo", None)
    for defs in (getattr(info, "name2fixturedefs", None) or {}).values():
        for definition in defs[-1:]:
            if _cached_exception(definition) is value and getattr(definition, "scope", "function") != "function":
                return True
    return False


class Alone:
    """What a team's own plug-in does without the runbook: tests marked `staging` skip themselves while staging is not there."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item):
        if item.get_closest_marker("staging") is None:
            return
        document = snapshot()
        if document is not None and document.get("is_staging_available") is False:
            raise _skip(
                "staging is %s since %s" % (document.get("overall_status", "down"), document.get("started_at", ""))
            )


class _Doors:
    """Modules of ours that the outage guide has tests import, where the team's interpreter has none of that name."""

    names = ("resilience", "test_framework", "test_framework.resilience")

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name not in cls.names:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, cls(), is_package=name == "test_framework")

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        if module.__name__ != "test_framework":
            module.is_service_available = is_service_available


def _load():
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            return json.load(stream)
    except Exception:
        return None


def _lead_worker():
    """Lead this worker of pytest-xdist to the ports that are its own, before the suite's settings are imported."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if not (worker.startswith("gw") and worker[2:].isdigit() and os.environ.get(WORKERS)):
        return
    try:
        for name, values in json.loads(os.environ[WORKERS]).items():
            if int(worker[2:]) < len(values):
                os.environ[name] = values[int(worker[2:])]
    except Exception:
        return


_recorder = None


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config, parser, args):
    """Begin before the first conftest, where a connection at import may already end the run."""
    global _recorder
    _lead_worker()
    settings = _load()
    if settings is not None and not hasattr(early_config, "workerinput"):
        try:
            _recorder = Recorder(settings)
            _spoken.install()
            _recorder.start(early_config)
        except Exception:
            _recorder = None
    outcome = yield
    if _recorder is not None and outcome.excinfo is not None:
        try:
            _recorder.writer.event(
                "conftest",
                at=time.time(),
                chain=describe(outcome.excinfo[1]),
                **_recorder.uses(None, None),
            )
        except Exception:
            return


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Register the recorder: the one that was made early, or in a worker of pytest-xdist one from what the controller hands on."""
    global _recorder
    recorder = _recorder
    _recorder = None
    worker = getattr(config, "workerinput", None)
    if worker is not None:
        if "resilience" not in worker:
            return
        try:
            settings = json.loads(worker["resilience"])
            recorder = Recorder(settings, worker.get("workerid", "worker"))
            _spoken.install()
            recorder.start(config, known=settings.get("known", False))
        except Exception:
            return
    # A pytest that the suite itself starts must not write to this file.
    os.environ.pop(VARIABLE, None)
    if recorder is None:
        return
    leave_no_line(config, __name__)
    if os.environ.get(SNAPSHOT):
        sys.meta_path.append(_Doors)
    attach(config, recorder)


def attach(config, recorder):
    """Register the recorder, and in the controller of pytest-xdist what hands its settings to the workers."""
    register_markers(config, recorder.settings.get("markers", ()))
    recorder.config = config
    config.pluginmanager.register(recorder, "resilience-recorder")
    if getattr(config, "workerinput", None) is not None:
        return
    if config.pluginmanager.hasplugin("dsession"):
        recorder.controller = True
    if config.pluginmanager.hasplugin("xdist"):
        config.pluginmanager.register(Nodes(recorder), "resilience-nodes")


def leave_no_line(config, name):
    """Keep our name out of the header's list of plug-ins, so that the output is the team's own."""
    try:
        listed = config.pluginmanager._plugin_distinfo
        listed[:] = [pair for pair in listed if getattr(pair[0], "__name__", "") != name]
    except Exception:
        return


def register_markers(config, services):
    try:
        known = {line.split(":", 1)[0].split("(", 1)[0].strip() for line in config.getini("markers")}
        more = dict(MARKERS)
        more.update({name: "needs a service" for name in services if name not in more})
        for name, what in more.items():
            if name not in known:
                config.addinivalue_line("markers", "%s: %s" % (name, what))
    except Exception:
        return
