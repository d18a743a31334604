"""Turn what a service taught, and what it says to the same GETs now, into what has changed since: drift, or only something more.

Removed, of another type, another status: drift, since a test that passes on the recordings may fail on staging. Added is only told.
What was not answered, or was an outage, could not be checked. Shapes are compared and not values: staging's data move on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genson import SchemaBuilder

from resilience.teach.exchange import (
    SHARED,
    Answer,
    Asked,
    Exchange,
    canonical,
    is_json,
    is_of_the_way,
    media_type,
    same,
    scalars,
)
from resilience.teach.mask import PSEUDONYM, TOKEN
from resilience.teach.openapi import differences
from resilience.teach.replay import Recorded, said

SAMPLE = 20
"""So many GETs of one service are asked in one check."""
_TOLD = 10
"""So many changes of one answer are told."""
_LEAST = 3
"""Characters from which on a value that a change answered with is known again in a path."""
_OF_THE_MOMENT = frozenset(
    {
        *(
            "date",
            "age",
            "server",
            "via",
            "set-cookie",
            "etag",
            "last-modified",
            "expires",
            "cache-control",
            "vary",
            "warning",
        ),
        *(
            "content-length",
            "content-encoding",
            "transfer-encoding",
            "connection",
            "keep-alive",
            "alt-svc",
            "server-timing",
        ),
    }
)
_OF_WHO_ASKS = frozenset({"authorization", "cookie", "proxy-authorization"})
_OF_A_PART = frozenset({"range", "if-range", "if-none-match", "if-match", "if-modified-since", "if-unmodified-since"})
"""What is asked with these may be answered without the body in which a change would be seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What differs, in words. `drift` breaks a promise, `added` breaks none."""

    drift: tuple[str, ...] = ()
    added: tuple[str, ...] = ()


def sample(
    recordings: Sequence[Recorded], known: Collection[str] = (), routes: Collection[str] = ()
) -> tuple[tuple[Asked, tuple[Answer, ...]], ...]:
    """Return GETs that anybody may ask again at any time, each with all its recorded answers; spread over the paths.

    Left out is what asks as somebody, as only a pseudonym is known of them, what asks for a part or on a condition, and what a test
    may have made: GETs of tests that changed something, and of things that a change answered with. `known` are headers, in lower
    case, that the configuration gives, as are `routes`, which no test has to have made.
    """
    by_request: dict[tuple[str, str], list[Exchange]] = {}
    changing = {one.exchange.owner for one in recordings if not one.exchange.reads} - {SHARED}
    made = _made(recordings)
    for one in recordings:
        exchange, asked = one.exchange, one.exchange.asked
        target = f"{asked.path}?{asked.query}"
        if asked.method != "GET" or exchange.owner in changing or exchange.answer.status >= 500:
            continue
        own = [(name, value) for name, value in asked.headers if name.lower() not in known]
        if any(name.lower() in _OF_WHO_ASKS | _OF_A_PART for name, _ in own) or _hides(target, own):
            continue
        ours = asked.path in routes or target in routes
        if ours or made.isdisjoint(part for part in re.split(r"[/?&=]", target) if len(part) >= _LEAST):
            by_request.setdefault((asked.path, asked.query), []).append(exchange)
    chosen = _spread(by_request, SAMPLE)
    return tuple((exchanges[0].asked, tuple(one.answer for one in exchanges)) for exchanges in chosen)


def _hides(target: str, headers: Iterable[tuple[str, str]]) -> bool:
    texts = (target, *(value for name, value in headers if not is_of_the_way(name)))
    return any(PSEUDONYM.search(text) or TOKEN.search(text) for text in texts)


def _made(recordings: Iterable[Recorded]) -> frozenset[str]:
    """Return the values that changes answered with: what they name exists only because a test made it."""
    found: set[str] = set()
    for one in recordings:
        if one.exchange.reads or not is_json(media_type(one.exchange.answer.headers)):
            continue
        try:
            values = [str(value) for _, value in scalars(json.loads(one.exchange.answer.body))]
        except ValueError:
            continue
        found.update(value for value in values if len(value) >= _LEAST)
    return frozenset(found)


def _spread(by_request: Mapping[tuple[str, str], list[Exchange]], count: int) -> list[list[Exchange]]:
    """Return so many of them: one of each sort of path first, digits left out, then the others."""
    first: dict[str, tuple[str, str]] = {}
    for request in sorted(by_request):
        first.setdefault(re.sub(r"\d+", "0", request[0]), request)
    order = [*first.values(), *(request for request in sorted(by_request) if request not in set(first.values()))]
    return [by_request[request] for request in order[:count]]


def compared(asked: Asked, before: Sequence[Answer], now: Answer) -> Changes:
    """Return what has changed in the answer to one GET, by status, headers that were always there, and the shape of its body."""
    what = f"GET {asked.path}"
    statuses = {one.status for one in before}
    if now.status not in statuses:
        return Changes(
            drift=(f"{what}: status {'/'.join(map(str, sorted(statuses)))} was recorded, {now.status} is said",)
        )
    before = [one for one in before if one.status == now.status]
    drift = [f"{what}: header {name} is gone" for name in _always(before) if not now.header(name)]
    media, was = media_type(now.headers), {media_type(one.headers) for one in before}
    if media not in was:
        drift.append(f"{what}: {'/'.join(sorted(was))} was recorded, {media} is said")
    added: list[str] = []
    if is_json(media) and media in was:
        for place, told, breaks in _compared(_shape(before), _shape([now]), "body"):
            (drift if breaks else added).append(f"{what}: {place} {told}")
    return Changes(drift=tuple(drift[:_TOLD]), added=tuple(added[:_TOLD]))


def _always(answers: Sequence[Answer]) -> list[str]:
    names = [{name.lower() for name, _ in one.headers} for one in answers]
    return sorted(set.intersection(*names) - _OF_THE_MOMENT) if names else []


def _shape(answers: Iterable[Answer]) -> Mapping[str, Any]:
    """Return the schema that all these bodies keep to; empty where one is no JSON."""
    builder = SchemaBuilder()
    for one in answers:
        try:
            builder.add_object(_plain(json.loads(one.body)))
        except (ValueError, RecursionError):
            return {}
    schema = builder.to_schema()
    return schema if isinstance(schema, dict) else {}


def _plain(value: Any) -> Any:
    """Return a value in which objects whose names are all ids or dates are lists: their names are data."""
    if isinstance(value, dict):
        inner = {name: _plain(one) for name, one in value.items()}
        return list(inner.values()) if inner and all(re.search(r"\d", name) for name in inner) else inner
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _compared(old: Mapping[str, Any], new: Mapping[str, Any], at: str) -> Iterator[tuple[str, str, bool]]:
    """Yield what differs between two schemas: the place, how, and whether it is drift.

    Null is of every type, and a whole number may become another one: neither is a change of type. An empty list has no items to
    compare.
    """
    were, are = _types(old), _types(new)
    if were and are and not are <= were:
        yield at, f"was {'/'.join(sorted(were))}, is {'/'.join(sorted(are))}", True
        return
    mine, theirs = _of_type(old, "object"), _of_type(new, "object")
    if mine and theirs:
        names, others = mine.get("properties", {}), theirs.get("properties", {})
        for name in sorted(names):
            if name in others:
                yield from _compared(names[name], others[name], f"{at}.{name}")
            elif name in mine.get("required", ()):
                yield f"{at}.{name}", "is gone", True
        for name in sorted(set(others) - set(names)):
            yield f"{at}.{name}", "is new", False
    items, now = _of_type(old, "array").get("items"), _of_type(new, "array").get("items")
    if items and now:
        yield from _compared(items, now, f"{at}[]")


def _alternatives(schema: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found: Sequence[Mapping[str, Any]] = schema.get("anyOf", (schema,))
    return found


def _types(schema: Mapping[str, Any]) -> frozenset[str]:
    found: set[str] = set()
    for one in _alternatives(schema):
        told = one.get("type", ())
        found.update((told,) if isinstance(told, str) else told)
    return frozenset("number" if name == "integer" else name for name in found if name != "null")


def _of_type(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return next((one for one in _alternatives(schema) if one.get("type") == name), {})


def documents(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changes:
    """Return what has changed of a contract."""
    told = tuple(differences(old, new))
    drift = [f"contract: {what}" for what, breaks in told if breaks]
    return Changes(
        drift=tuple(_shortened(drift)),
        added=tuple(_shortened([f"contract: {what}" for what, breaks in told if not breaks])),
    )


def _shortened(lines: list[str]) -> list[str]:
    return [*lines[:_TOLD], *([f"contract: {len(lines) - _TOLD} more changes"] if lines[_TOLD:] else [])]


def first_difference(recorded: Sequence[Recorded], now: Sequence[Exchange]) -> str:
    """Return the first answer to a test that is another than was recorded to the same request at this place; empty where none is.

    Both are masked. A status, a field more or less and another type come before a mere value, such as the id of what was made; what
    was of its moment does not count, and what the recordings lack is no difference of staging's.
    """
    by_key: dict[str, list[Recorded]] = {}
    for one in sorted(recorded, key=lambda one: one.exchange.began):
        by_key.setdefault(canonical(one.exchange.asked).key, []).append(one)
    values = ""
    for exchange in sorted(now, key=lambda one: one.began):
        canon = canonical(exchange.asked)
        if not (left := by_key.get(canon.key)):
            continue
        before = left.pop(0)
        ours, theirs = said(before.exchange.answer, before.volatile), said(exchange.answer, before.volatile)
        for place in sorted({*ours, *theirs}, key=lambda place: (place != ("status",), str(place))):
            mine, other = ours.get(place, _NOTHING), theirs.get(place, _NOTHING)
            if same(mine, other):
                continue
            line = f"{canon.shown}: {'.'.join(map(str, place))} was {_value(mine)}, is {_value(other)}"
            if place == ("status",) or type(mine) is not type(other):
                return line
            values = values or line
    return values


_NOTHING = object()


def _value(value: Any) -> str:
    if value is _NOTHING:
        return "not there"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:59]}…"
