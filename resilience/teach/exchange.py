"""One request and its answer, and the canonical form by which two requests are the same one."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from email.parser import BytesHeaderParser
from typing import Any
from urllib.parse import parse_qsl, urlencode

Headers = tuple[tuple[str, str], ...]
SHARED = ""
"""The owner of what belongs to no test: a lesson's own GETs, imported files, background work of the suite."""
READS = frozenset({"GET", "HEAD", "OPTIONS"})
"""What changes nothing (RFC 9110, 9.2.1); of these, and no others, the last answer is said again."""
_SELF = frozenset(
    {
        *("host", "connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-length", "expect", "user-agent", "accept-encoding", "dnt", "date", "via", "forwarded", "priority"),
        *("x-request-id", "x-correlation-id", "x-amzn-trace-id", "x-cloud-trace-context", "uber-trace-id"),
        *("traceparent", "tracestate", "baggage", "sentry-trace", "referer", "origin", "proxy-authorization"),
    }
)
_SELF_PREFIXES = ("x-b3-", "x-datadog-", "x-stainless-", "x-forwarded-", "sec-fetch-", "sec-ch-", "newrelic", "ot-")
"""Headers that say who asks by which way and nothing of what is asked; every other one is part of the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request. `query` is as it stood in the URL; header names are as they came."""

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str:
        return header(self.headers, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response, its body decoded of any `Content-Encoding`. `chunked`: it came without a length, as streams do."""

    status: int
    reason: str = ""
    headers: Headers = ()
    body: bytes = b""
    chunked: bool = False

    def header(self, name: str) -> str:
        return header(self.headers, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request with its answer; times in seconds since the epoch. `owner` is a test or a fixture, `attempt` which run of it."""

    asked: Asked
    answer: Answer
    began: float = 0.0
    ended: float = 0.0
    owner: str = SHARED
    attempt: int = 0
    worker: str = ""

    @property
    def reads(self) -> bool:
        return self.asked.method in READS


def header(headers: Headers, name: str) -> str:
    """Return all values of a header as one text (RFC 9110, 5.3); empty where it is not there."""
    return ", ".join(value for key, value in headers if key.lower() == name.lower())


def media_type(headers: Headers) -> str:
    return header(headers, "content-type").partition(";")[0].strip().lower()


def is_json(media: str) -> bool:
    return media == "application/json" or media.endswith("+json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canon:
    """A request taken apart: two are the same one where all of it is. `body` is a value where it has places, else its hash."""

    method: str
    path: tuple[str, ...]
    query: tuple[tuple[str, str], ...]
    headers: Headers
    body: Any

    @property
    def key(self) -> str:
        """Return the hash of all of it."""
        told = [self.method, self.path, self.query, self.headers, self.body]
        return hashlib.sha256(json.dumps(told, sort_keys=True, ensure_ascii=False).encode()).hexdigest()

    @property
    def shown(self) -> str:
        query = f"?{urlencode(self.query)}" if self.query else ""
        return f"{self.method} /{'/'.join(self.path)}{query}"


def canonical(asked: Asked) -> Canon:
    """Return a (masked) request in the form in which its parts are compared.

    The order of query and form fields of different names, of JSON's keys and of headers does not count; the boundary of multipart
    is by lot. A cookie counts by name and value, as every header does that says what is asked or who asks.
    """
    headers = []
    for name, value in asked.headers:
        low = name.lower()
        if is_of_the_way(low):
            continue
        if low == "content-type":
            value = _without_boundary(value)
        elif low == "cookie":
            value = "; ".join(sorted(part.strip() for part in value.split(";") if part.strip()))
        headers.append((low, " ".join(value.split())))
    return Canon(
        method=asked.method,
        path=tuple(asked.path.lstrip("/").split("/")),
        query=fields(asked.query),
        headers=tuple(sorted(headers)),
        body=body_value(asked.body, asked.headers),
    )


def is_of_the_way(name: str) -> bool:
    """Say whether a request's header tells by which way it came, and nothing of what is asked."""
    low = name.lower()
    return low in _SELF or low.startswith(_SELF_PREFIXES)


def fields(text: str) -> tuple[tuple[str, str], ...]:
    """Return the fields of a query or a form; those of one name stay in their order."""
    return tuple(sorted(parse_qsl(text, keep_blank_values=True), key=lambda pair: pair[0]))


def body_value(body: bytes, headers: Headers) -> Any:
    """Return a body as a value to compare: JSON and forms by their fields, parts of multipart by theirs, all else by its hash."""
    if not body:
        return None
    media = media_type(headers)
    if is_json(media) or not media:
        try:
            return {"json": json.loads(body)}
        except ValueError:
            pass
    if media == "application/x-www-form-urlencoded":
        try:
            return {"form": [list(pair) for pair in fields(body.decode())]}
        except UnicodeDecodeError:
            pass
    if media.startswith("multipart/"):
        parts = parts_of(body, headers)
        if parts is not None:
            return {
                "parts": [[[list(pair) for pair in sorted(head)], body_value(data, head) or ""] for head, data in parts]
            }
    return {"sha256": hashlib.sha256(body).hexdigest()}


def parts_of(body: bytes, headers: Headers) -> list[tuple[Headers, bytes]] | None:
    """Return the parts of a multipart body (RFC 2046), their headers in lower case; None where it cannot be taken apart."""
    found = re.search(r'boundary="?([^";,]+)"?', header(headers, "content-type"), re.I)
    if found is None:
        return None
    mark = b"--" + found[1].strip().encode()
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        return None
    parts = []
    for piece in pieces[1:-1]:
        head, blank, data = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not blank:
            return None
        told = BytesHeaderParser().parsebytes(head + b"\r\n\r\n")
        parts.append((tuple((name.lower(), str(value)) for name, value in told.items()), data))
    return parts


def _without_boundary(value: str) -> str:
    return re.sub(r";\s*boundary=[^;]*", "", value, flags=re.I)


Place = tuple[str | int, ...]
"""Where a scalar stands: ("path", 1), ("query", "name", 0), ("body", "json", "items", 0, "id")."""


def places(canon: Canon) -> dict[Place, Any]:
    """Return every scalar of a request by its place."""
    found: dict[Place, Any] = {("path", number): part for number, part in enumerate(canon.path)}
    found |= {("query", name, number): value for number, (name, value) in enumerate(canon.query)}
    found |= {("headers", name, number): value for number, (name, value) in enumerate(canon.headers)}
    found |= {("body", *place): value for place, value in scalars(canon.body)}
    return found


def scalars(value: Any, at: Place = ()) -> Iterable[tuple[Place, Any]]:
    """Yield the scalars of a JSON value with their places; what is empty is one."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from scalars(inner, (*at, name))
    elif isinstance(value, list) and value:
        for number, inner in enumerate(value):
            yield from scalars(inner, (*at, number))
    else:
        yield at, value


def same(one: Any, other: Any) -> bool:
    """Say whether two scalars are the same in JSON, where true is not 1 and 1 is not 1.0, as they are to Python."""
    return type(one) is type(other) and bool(one == other)


def difference(wanted: Canon, found: Canon) -> str:
    """Return the first thing by which two requests differ, in words; empty where they are the same."""
    if wanted.key == found.key:
        return ""
    for name in ("method", "path", "query", "headers", "body"):
        ours, theirs = getattr(wanted, name), getattr(found, name)
        if ours == theirs and name != "body":
            continue
        if name in ("method", "path"):
            return f"{name} {_told(theirs, name)} was recorded"
        mine, other = places(wanted), places(found)
        for place in sorted({*mine, *other}, key=str):
            if place[0] == name and not same(mine.get(place, _NOTHING), other.get(place, _NOTHING)):
                where = ".".join(map(str, place))
                if place not in other:
                    return f"{where} was not there"
                return f"{where} is {_short(mine[place]) if place in mine else 'missing'}, {_short(other[place])} was recorded"
        return f"another {name} was recorded"
    return ""


_NOTHING = object()


def _told(value: Any, name: str) -> str:
    return f"/{'/'.join(value)}" if name == "path" else str(value)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}…"
