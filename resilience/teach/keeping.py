"""Turn what the recorder heard, and which tests passed, into the exchanges that may be kept, and say why others may not.

Kept is what a test that passed asked from beginning to end; all of a test or nothing of it. What a lasting fixture asked is the
fixture's. What nobody can be named for is shared: said only where all recordings of a request agree.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from resilience.teach.exchange import SHARED, Answer, Asked, Exchange, canonical, header, is_of_the_way
from resilience.teach.recorder import Heard
from resilience.teach.replay import body_places

_DECODED_AT_MOST = 64 << 20
_LEAST = 8
"""Characters from which on a scalar is known again by itself, as a token or a UUID is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """By service the exchanges to keep, not yet masked, and the gaps that are known now. `unwell` are tests that met 5xx or 429."""

    exchanges: Mapping[str, tuple[Exchange, ...]]
    tests: frozenset[str]
    gaps: tuple[str, ...] = ()
    unwell: frozenset[str] = frozenset()


def keep(heard: Sequence[Heard], passed: Collection[str], unwell_before: Collection[str] = ()) -> Kept:
    """Return what may be kept of a lesson in which these tests passed.

    A test with an exchange that was cut, too large or not to be decoded is left out with all its exchanges, as is one that met a
    5xx or 429 for the first time: only from one that passed on them twice, in two lessons, are they believed.
    """
    gaps: Counter[str] = Counter()
    out: dict[str, str] = {}
    unwell: set[str] = set()
    by_service: dict[str, list[Exchange]] = defaultdict(list)
    for one in heard:
        exchange, why = _exchange(one)
        name = one.owner.removeprefix("test ") if one.owner.startswith("test ") else ""
        if exchange is None:
            what = f"{one.method} {one.path.partition('?')[0]}" if one.method else "a connection"
            gaps[f"{one.service}: {what}: {why}"] += 1
            if one.owner:
                out.setdefault(one.owner, why)
            continue
        if exchange.answer.status >= 500 or exchange.answer.status == 429:
            if not name:
                continue
            unwell.add(name)
            if name not in unwell_before:
                out.setdefault(one.owner, f"it met a {exchange.answer.status}, which is believed at its second lesson")
        by_service[one.service].append(exchange)
    for service, exchanges in by_service.items():
        by_service[service] = [
            one
            for one in exchanges
            if one.owner not in out and (not one.owner.startswith("test ") or one.owner.removeprefix("test ") in passed)
        ]
    chosen, other_workers = _one_run_each(by_service)
    out |= other_workers
    kept = {service: tuple(one for one in exchanges if one.owner not in out) for service, exchanges in chosen.items()}
    said = [f"{gap} ({count} times)" if count > 1 else gap for gap, count in sorted(gaps.items())]
    said += [f"{owner.partition(' ')[2]}: not kept: {why}" for owner, why in sorted(out.items())]
    tests = {one.owner.removeprefix("test ") for all in kept.values() for one in all if one.owner.startswith("test ")}
    return Kept(exchanges=kept, tests=frozenset(tests), gaps=tuple(said), unwell=frozenset(unwell))


def _exchange(one: Heard) -> tuple[Exchange | None, str]:
    """Return what was heard as an exchange with its body decoded, or why it cannot be kept."""
    if one.lost:
        return None, one.lost
    try:
        body = decoded(one.body, [value for name, value in one.headers if name.lower() == "content-encoding"])
        for name, value in (*one.headers, *one.request_headers):
            f"{name}{value}".encode()
    except (ValueError, zlib.error) as exc:
        return None, f"it cannot be decoded ({exc})"
    path, _, query = one.path.partition("?")
    return Exchange(
        asked=Asked(
            method=one.method,
            path=path,
            query=query,
            headers=tuple(pair for pair in one.request_headers if not is_of_the_way(pair[0])),
            body=one.request_body,
        ),
        answer=Answer(
            status=one.status,
            reason=one.reason,
            headers=tuple(pair for pair in one.headers if pair[0].lower() not in ("content-length", "date")
                          or (one.method == "HEAD" and pair[0].lower() == "content-length")),
            body=body,
            chunked=one.chunked,
        ),
        began=one.began,
        ended=one.ended,
        owner=one.owner,
        attempt=one.attempt,
        worker=one.worker,
    ), ""  # fmt: skip


def decoded(body: bytes, encodings: Sequence[str]) -> bytes:
    """Return a body without its content encodings. Raises ValueError for one that is not gzip or deflate, or grows too large."""
    names = [name.strip().lower() for text in encodings for name in text.split(",") if name.strip()]
    for name in reversed(names):
        if name == "identity" or not body:
            continue
        if name not in ("gzip", "x-gzip", "deflate"):
            raise ValueError(f"Content-Encoding {name}")
        wbits = 47 if name != "deflate" or body[:1] == b"\x78" else -15
        unpack = zlib.decompressobj(wbits)
        body = unpack.decompress(body, _DECODED_AT_MOST)
        if unpack.unconsumed_tail:
            raise ValueError(f"above {_DECODED_AT_MOST >> 20} MiB unpacked")
        if not unpack.eof:
            raise ValueError("it is cut")
    return body


_RunKey = tuple[str, int]


def _one_run_each(
    by_service: Mapping[str, Sequence[Exchange]],
) -> tuple[dict[str, list[Exchange]], dict[str, str]]:
    """Return one run of each test and fixture, and the tests that cannot be kept for it.

    Of a test that ran again its last run counts, which is the one that passed; of a fixture that was set up several times, or in
    several workers, its first. What other set-ups were given in its place is turned, in the tests of those workers, into what the
    first was given. Where only a short value differs, which may stand anywhere by chance, those tests are not kept.
    """
    first: dict[str, _RunKey] = {}
    last: dict[str, _RunKey] = {}
    began: dict[str, float] = {}
    for exchange in sorted((one for all in by_service.values() for one in all), key=lambda one: one.began):
        run = (exchange.worker, exchange.attempt)
        first.setdefault(exchange.owner, run)
        last[exchange.owner] = run
        began.setdefault(exchange.owner, exchange.began)
    turned: dict[str, dict[str, str]] = defaultdict(dict)
    doubtful: dict[str, str] = {}
    chosen: dict[str, list[Exchange]] = {}
    for service, exchanges in by_service.items():
        runs: dict[tuple[str, _RunKey], list[Exchange]] = defaultdict(list)
        for one in exchanges:
            runs[one.owner, (one.worker, one.attempt)].append(one)
        for (owner, run), others in runs.items():
            if owner.startswith("fixture ") and run != first[owner]:
                pairs = _given_instead(runs.get((owner, first[owner]), []), others)
                if pairs is None:
                    doubtful[run[0]] = f"{owner} was given something else in worker {run[0]}: teach without -n"
                else:
                    turned[run[0]] |= pairs
        chosen[service] = [
            one
            for one in exchanges
            if one.owner == SHARED
            or (one.worker, one.attempt) == (first if one.owner.startswith("fixture ") else last)[one.owner]
        ]
    out = {
        one.owner: doubtful[one.worker]
        for exchanges in chosen.values()
        for one in exchanges
        if one.owner.startswith("test ") and one.worker in doubtful
    }
    for service, exchanges in chosen.items():
        chosen[service] = [
            _with(one, turned[one.worker]) if one.worker in turned and one.owner.startswith("test ") else one
            for one in exchanges
        ]
    return chosen, out


def _given_instead(first: Sequence[Exchange], other: Sequence[Exchange]) -> dict[str, str] | None:
    """Return what another set-up of a fixture was given → what the first was; None where they cannot be told to be alike."""
    if len(first) != len(other):
        return None
    pairs: dict[str, str] = {}
    for one, two in zip(first, other, strict=True):
        if (one.asked.method, one.answer.status) != (two.asked.method, two.answer.status):
            return None
        ours, theirs = body_places(one.answer), body_places(two.answer)
        ours |= {("set-cookie",): header(one.answer.headers, "set-cookie").partition(";")[0].partition("=")[2]}
        theirs |= {("set-cookie",): header(two.answer.headers, "set-cookie").partition(";")[0].partition("=")[2]}
        if set(ours) != set(theirs):
            return None
        for place, value in ours.items():
            if theirs[place] == value:
                continue
            if not (isinstance(value, str) and isinstance(theirs[place], str)):
                return None
            if min(len(value), len(theirs[place])) < _LEAST:
                return None
            pairs[theirs[place]] = value
        if canonical(one.asked).path != canonical(_with(two, pairs).asked).path:
            return None
    return pairs


def _with(exchange: Exchange, pairs: Mapping[str, str]) -> Exchange:
    """Return an exchange with these values in the places of those: in path, query, headers and bodies."""
    if not pairs:
        return exchange

    def text(value: str) -> str:
        for old, new in pairs.items():
            value = value.replace(old, new)
        return value

    def data(value: bytes) -> bytes:
        for old, new in pairs.items():
            value = value.replace(old.encode(), new.encode())
        return value

    asked, answer = exchange.asked, exchange.answer
    return replace(
        exchange,
        asked=replace(
            asked,
            path=text(asked.path),
            query=text(asked.query),
            headers=tuple((name, text(value)) for name, value in asked.headers),
            body=data(asked.body),
        ),
        answer=replace(
            answer, headers=tuple((name, text(value)) for name, value in answer.headers), body=data(answer.body)
        ),
    )
