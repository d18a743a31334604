"""Turn the exchanges of a lesson into a proved generation: masked, numbered, replayed equal, scanned, and only then written."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.teach import har
from resilience.teach.binding import bound
from resilience.teach.exchange import SHARED, Exchange
from resilience.teach.key import mark
from resilience.teach.mask import Masker, people_in, tokens_in
from resilience.teach.replay import Hit, Recorded, Replay, Whose, differing, said
from resilience.teach.store import CONTRACT, Generation, Store

TOKENS = "tokens.json"
_SECRET_LEAST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What was learned of one service, before it is proved. `source` is traffic, routes or har."""

    service: str
    source: str
    at: datetime
    exchanges: Sequence[Exchange]
    build: str = ""
    gaps: tuple[str, ...] = ()
    unwell: frozenset[str] = frozenset()
    origin: str = ""
    tls: bool = False
    """Whether its stand-in speaks TLS as well."""
    ended: Mapping[str, str] = field(default_factory=dict)
    """Test → how it ended on staging, of those that asked this service."""


def masker_of(key: bytes, secrets: Sequence[Secret], exchanges: Sequence[Exchange]) -> Masker:
    """Return what masks the exchanges of one lesson, of all its services: a token of one is the same token at another."""
    values = sorted({one.reveal() for one in secrets if len(one.reveal()) >= _SECRET_LEAST}, key=len, reverse=True)
    return Masker(key=key, secrets=Redactor(secrets), issued=tokens_in(exchanges), values=tuple(values))


def teach(store: Store, lesson: Lesson, masker: Masker) -> Generation | None:
    """Prove a lesson and write it; return the generation, None where nothing of it could be kept.

    In this order, since each step may throw something away: masked; numbered; what the lesson before shows to be made up anew in
    each run; replayed, all of a test or nothing; scanned for every secret that is known. Raises StoreError.
    """
    masked = [masker.exchange(one) for one in lesson.exchanges]
    before = previous(store, lesson.service, lesson.source)
    recordings = bound(_numbered(masked), before)
    recordings, gaps = _proved(recordings)
    recordings, leaked = _scanned(recordings, masker)
    gaps = [*lesson.gaps, *gaps, *leaked, *_known_gaps(recordings, lesson)]
    if not recordings:
        store.mark_stale(lesson.service, gaps[0] if gaps else "no test that passed asked anything of it")
        return None
    files = har.written(lesson.service, recordings)
    used = "".join(data.decode("utf-8", "ignore") for data in files.values())
    tokens = {name: token for name, token in masker.tokens.items() if name in used}
    files[TOKENS] = _tokens_file(tokens)
    tests = _counts(recordings)
    manifest: dict[str, Any] = {
        "at": lesson.at.isoformat(timespec="seconds"),
        "source": lesson.source,
        "build": lesson.build,
        "exchanges": len(recordings),
        "tests": tests,
        "gaps": list(dict.fromkeys(gaps)),
        "unwell": sorted(lesson.unwell),
        "ended": dict(sorted(lesson.ended.items())),
        "masked": {"key": mark(masker.key), "pseudonyms": sum(name in used for name in masker.used)},
        "personal": people_in([one.exchange for one in recordings]),
        "proof": {"replayed": len(recordings), "scanned": sum(map(len, files.values()))},
    }
    return store.write(lesson.service, manifest, files)


def previous(store: Store, service: str, source: str) -> tuple[Recorded, ...]:
    """Return the recordings of the lesson before; none where there is none that can be believed."""
    for generation in store.current(service):
        if generation.source == source and not generation.problem:
            return recordings_of(generation)
    return ()


def recordings_of(generation: Generation) -> tuple[Recorded, ...]:
    """Return the recordings of a generation, each byte checked. Raises StoreError, ValueError, LookupError or TypeError."""
    files = {name: generation.read(name) for name in generation.manifest["files"]}
    return har.read(files) if generation.source != CONTRACT else ()


def unwell_before(store: Store, services: Collection[str]) -> frozenset[str]:
    """Return the tests that met 5xx or 429 in the lesson before."""
    return frozenset(
        str(test)
        for service in services
        for generation in store.current(service)
        for test in generation.manifest.get("unwell", ())
    )


def _numbered(exchanges: Sequence[Exchange]) -> list[Recorded]:
    ordered = sorted(exchanges, key=lambda one: (one.owner, one.began, one.ended))
    return [Recorded(number=number, exchange=one) for number, one in enumerate(ordered, 1)]


def _proved(recordings: Sequence[Recorded]) -> tuple[list[Recorded], list[str]]:
    """Return the recordings that were said again equal, and of whom the others were.

    A shared one whose request was answered differently elsewhere is said to nobody and counts as proved: it is why it is not said.
    """
    kept, gaps = list(recordings), list[str]()
    while True:
        replay, wrong = Replay(kept), dict[str, str]()
        for one in sorted(kept, key=lambda one: (one.exchange.owner, one.exchange.began)):
            exchange = one.exchange
            if exchange.owner == SHARED or exchange.owner in wrong:
                continue
            found = replay.answer(exchange.asked, Whose(owner=exchange.owner, attempt=1))
            if not isinstance(found, Hit):
                wrong[exchange.owner] = f"{found.asked}: {found.reason}"
            elif found.number != one.number:
                differs = differing(said(exchange.answer), said(found.answer))
                if differs:
                    wrong[exchange.owner] = f"{exchange.asked.method} {exchange.asked.path} is said again otherwise"
        if not wrong:
            return kept, gaps
        gaps += [f"{owner.partition(' ')[2]}: not kept: {why}" for owner, why in wrong.items()]
        kept = [one for one in kept if one.exchange.owner not in wrong]


def _scanned(recordings: Sequence[Recorded], masker: Masker) -> tuple[list[Recorded], list[str]]:
    """Return the recordings in which no known secret is left, in whatever encoding, and of whom the others were."""
    if masker.secrets is None:
        return list(recordings), []
    if not any(masker.secrets.leaks(data) is not None for data in har.written("x", recordings).values()):
        return list(recordings), []
    leaking = {
        one.number
        for one in recordings
        if any(masker.secrets.leaks(data) is not None for data in har.written("x", [one]).values())
    }
    owners = {one.exchange.owner for one in recordings if one.number in leaking} - {SHARED}
    gaps = [
        f"{one.exchange.owner.partition(' ')[2] or 'a shared exchange'}: not kept: a secret is in "
        f"{one.exchange.asked.method} of a form in which it cannot be masked"
        for one in recordings
        if one.number in leaking
    ]
    return [one for one in recordings if one.number not in leaking and one.exchange.owner not in owners], gaps


def _known_gaps(recordings: Sequence[Recorded], lesson: Lesson) -> list[str]:
    """Name what a stand-in cannot do, from what was seen: staging's own addresses in bodies, signed hosts, hosts' own cookies."""
    origin = lesson.origin.removesuffix(":80").removesuffix(":443")
    found: list[str] = []
    bodies = sum(bool(origin) and origin.encode() in one.exchange.answer.body for one in recordings)
    if bodies:
        found.append(
            f"{bodies} answers hold staging's own address in their bodies: a test that follows it leaves the stand-in"
        )
    # Of what was heard: the signature is a secret, and masked with all that stands beside it.
    signed = sum(
        "SignedHeaders=" in one.asked.header("authorization") or "X-Amz-SignedHeaders=" in one.asked.query
        for one in lesson.exchanges
    )
    if signed:
        found.append(f"{signed} requests sign their Host header: a stand-in has another host")
    if not lesson.tls and any("__Host-" in one.exchange.answer.header("set-cookie") for one in recordings):
        found.append("__Host- cookies are kept by no client of a stand-in without TLS")
    return found


def _counts(recordings: Sequence[Recorded]) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in recordings:
        if one.exchange.owner.startswith("test "):
            name = one.exchange.owner.removeprefix("test ")
            found[name] = found.get(name, 0) + 1
    return found


def _tokens_file(tokens: Mapping[str, Any]) -> bytes:
    told = {
        name: {"claims": one.claims, "algorithm": one.algorithm, "lifetime_s": one.lifetime_s}
        for name, one in sorted(tokens.items())
    }
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def shared(exchanges: Sequence[Exchange]) -> tuple[Exchange, ...]:
    """Return exchanges as nobody's."""
    return tuple(replace(one, owner=SHARED) for one in exchanges)
