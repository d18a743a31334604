"""Turn a masked request into the one recorded answer that fits it, or into a miss that says why there is none.

Exact or nothing: an answer that staging did not give to this very request, at this place of this test, would let a test pass that
staging fails. So a miss is said where a later request of the same kind could be meant, or a change has come in between.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from resilience.teach.exchange import (
    SHARED,
    Answer,
    Asked,
    Canon,
    Exchange,
    Place,
    canonical,
    difference,
    is_json,
    media_type,
    places,
    same,
    scalars,
)

_NOT_SAID = frozenset(
    {
        *("date", "age", "server", "via", "x-request-id", "x-correlation-id", "x-runtime", "x-amzn-trace-id", "cf-ray"),
        *("x-cloud-trace-context", "x-response-time", "server-timing", "x-served-by", "x-process-time"),
    }
)
"""Headers of an answer that are of the moment, and by which two answers do not differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A scalar that a test makes up anew in each run: where it stands in its request, and where in the answer it comes back.

    `before` is what it was in the lesson before, where this request is the first with it; else empty.
    """

    variable: int
    asked: tuple[Place, ...]
    answered: tuple[Place, ...] = ()
    before: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One recording, masked. `volatile` are places of its answer that two lessons found to differ by themselves."""

    number: int
    exchange: Exchange
    bound: tuple[Bound, ...] = ()
    volatile: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """The answer to say. `volatile` counts what in it is of the moment it was recorded in."""

    answer: Answer
    number: int
    volatile: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """Why there is no answer. `nearest` is the recording that is most like the request, `differs` the first difference."""

    reason: str
    asked: str
    key: str
    nearest: str = ""
    differs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whose:
    """Who asks: a test or fixture, and which run of it in which process."""

    owner: str = SHARED
    attempt: int = 0
    worker: str = ""


NOBODY = Whose()


@dataclass(slots=True)
class _Entry:
    """A recording with what the rules ask of it: which changes had come before it."""

    recorded: Recorded
    canon: Canon
    said: Any
    changes: tuple[int, int] = (0, 0)
    """How many changes of its owner had surely ended when it began, and how many had begun when it ended."""
    related: tuple[int, int] = (0, 0)
    """The same of changes to what it is about."""

    @property
    def reads(self) -> bool:
        return self.recorded.exchange.reads

    @property
    def alters(self) -> bool:
        return _alters(self.recorded.exchange)


@dataclass(slots=True)
class _Run:
    """How far one run of a test has come."""

    said: set[int] = field(default_factory=set)
    changes: list[tuple[str, ...]] = field(default_factory=list)
    variables: dict[int, Any] = field(default_factory=dict)


class Replay:
    """The recordings of one service. It keeps how far each test has come; `answer` is asked in the order of requests."""

    def __init__(self, recordings: Iterable[Recorded]) -> None:
        self.entries = _entries(recordings)
        self._own: dict[tuple[str, str], list[_Entry]] = defaultdict(list)
        self._all: dict[str, list[_Entry]] = defaultdict(list)
        self._free: dict[str, list[_Entry]] = defaultdict(list)
        self._owners: set[str] = set()
        for entry in self.entries:
            owner, key = entry.recorded.exchange.owner, entry.canon.key
            if entry.recorded.bound:
                self._free[owner].append(entry)
            else:
                self._own[owner, key].append(entry)
                self._all[key].append(entry)
            self._owners.add(owner)
        self._runs: dict[Whose, _Run] = {}
        self._latest: dict[tuple[str, str], Whose] = {}

    def answer(self, asked: Asked, whose: Whose = NOBODY) -> Hit | Miss:
        """Return the answer to this masked request: of the test's own recordings, else where all recordings of it agree."""
        canon = canonical(asked)
        run = self._run(whose)
        own = self._own.get((whose.owner, canon.key), []) if whose.owner != SHARED else []
        if not own and whose.owner != SHARED:
            own = [one for one in self._free[whose.owner] if _fits(one, canon, run)]
        if own:
            found = _next(own, canon, run)
            return self._say(found, canon, run) if isinstance(found, _Entry) else found
        return self._shared(canon, run, reads=asked.method in ("GET", "HEAD", "OPTIONS"))

    def _run(self, whose: Whose) -> _Run:
        """Return how far this run of a test has come; an earlier run of it in the same process is forgotten."""
        last = self._latest.get((whose.owner, whose.worker))
        if last is not None and last != whose:
            self._runs.pop(last, None)
        self._latest[whose.owner, whose.worker] = whose
        return self._runs.setdefault(whose, _Run())

    def _shared(self, canon: Canon, run: _Run, *, reads: bool) -> Hit | Miss:
        """Answer what the test has no recording of: only where every recording of it agrees, and nothing was changed before."""
        found = self._all.get(canon.key, [])
        if not found:
            return self._miss(canon, "it was not recorded")
        first = found[0]
        for other in found[1:]:
            differs = differing(first.said, other.said)
            if differs:
                return self._miss(canon, f"{len(found)} recordings of it differ, none of them this test's: {differs}")
        if run.changes and reads:
            return self._miss(canon, "it was recorded in other tests, and this one has changed something before")
        if any(one.alters for one in found):
            if first.recorded.number in run.said:
                return self._miss(canon, "it changes something, and is asked once more than any test did")
            run.said.add(first.recorded.number)
            run.changes.append(canon.path)
        return Hit(
            answer=first.recorded.exchange.answer, number=first.recorded.number, volatile=len(first.recorded.volatile)
        )

    def _say(self, entry: _Entry, canon: Canon, run: _Run) -> Hit:
        run.said.add(entry.recorded.number)
        if entry.alters:
            run.changes.append(canon.path)
        answer = entry.recorded.exchange.answer
        if entry.recorded.bound:
            answer = _bind(entry, canon, run)
        return Hit(answer=answer, number=entry.recorded.number, volatile=len(entry.recorded.volatile))

    def _miss(self, canon: Canon, reason: str) -> Miss:
        nearest, differs = self._nearest(canon)
        return Miss(reason=reason, asked=canon.shown, key=canon.key[:16], nearest=nearest, differs=differs)

    def _nearest(self, canon: Canon) -> tuple[str, str]:
        """Return the recording with which the request has most scalars in common, of the same method and length of path first."""
        best: tuple[float, _Entry] | None = None
        mine = places(canon)
        for entry in self.entries:
            if entry.canon.key == canon.key:
                continue
            theirs = places(entry.canon)
            alike = sum(mine.get(place, _NOTHING) == value for place, value in theirs.items())
            score = 2.0 * (entry.canon.method == canon.method) + (len(entry.canon.path) == len(canon.path))
            score += alike / max(len(mine), len(theirs), 1) * 4
            if best is None or score > best[0]:
                best = score, entry
        if best is None:
            return "", ""
        return best[1].canon.shown, difference(canon, best[1].canon)


_NOTHING = object()


def _entries(recordings: Iterable[Recorded]) -> tuple[_Entry, ...]:
    """Return the recordings with what changes came before each, by the times in which they overlapped."""
    told = [_Entry(one, canonical(one.exchange.asked), said(one.exchange.answer, one.volatile)) for one in recordings]
    by_owner: dict[str, list[_Entry]] = defaultdict(list)
    for entry in told:
        by_owner[entry.recorded.exchange.owner].append(entry)
    for owner, entries in by_owner.items():
        if owner == SHARED:
            continue
        changes = [one for one in entries if one.alters]
        for entry in entries:
            others = [one for one in changes if one is not entry]
            entry.changes = _between(entry, others)
            entry.related = _between(entry, [one for one in others if _related(one.canon.path, entry.canon.path)])
    return tuple(told)


def _between(entry: _Entry, others: Sequence[_Entry]) -> tuple[int, int]:
    mine = entry.recorded.exchange
    ended = sum(one.recorded.exchange.ended <= mine.began for one in others)
    begun = sum(one.recorded.exchange.began < mine.ended for one in others)
    return ended, max(ended, begun)


def _alters(exchange: Exchange) -> bool:
    """Whether an exchange may have changed something: what was refused has not (a 4xx), and reading never does."""
    return not exchange.reads and exchange.answer.status < 400


def _related(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two paths are of the same thing: one lies below the other, or is it."""
    a, b = (tuple(part for part in path if part) for path in (one, other))
    return a[: len(b)] == b or b[: len(a)] == a


def _next(own: Sequence[_Entry], canon: Canon, run: _Run) -> _Entry | Miss:
    """Return which of a test's own recordings of one request comes now.

    A change comes in the order of the changes to the same thing, and once. What is read comes where as many changes came before as
    when it was recorded; where all its answers agree, only changes to the same thing count. The last one is said again.
    """
    done = len(run.changes)
    about = sum(_related(path, canon.path) for path in run.changes)
    left = [one for one in own if one.recorded.number not in run.said]
    reads = own[0].reads
    if not reads:
        left = [one for one in left if not one.alters or one.related[0] <= about <= one.related[1]]
        if left:
            return left[0]
        again = all(one.recorded.number in run.said for one in own)
        if again and not any(one.alters for one in own) and not any(
            differing(own[0].said, one.said) for one in own[1:]
        ):  # fmt: skip
            return own[-1]
        reason = (
            f"it was recorded {len(own)} times in this test, and is asked once more"
            if again
            else "it was recorded after other changes to the same thing than this test has made by now"
        )
        return _own_miss(canon, reason)
    fits = [one for one in own if one.changes[0] <= done <= one.changes[1]]
    if not fits and not any(differing(own[0].said, one.said) for one in own[1:]):
        fits = [one for one in own if one.related[0] <= about <= one.related[1]]
    if not fits:
        first = own[0]
        return _own_miss(
            canon, f"it was recorded after {first.changes[0]} changes, and is asked after {done}: in another order"
        )
    return next((one for one in fits if one.recorded.number not in run.said), fits[-1])


def _own_miss(canon: Canon, reason: str) -> Miss:
    return Miss(reason=reason, asked=canon.shown, key=canon.key[:16], nearest=canon.shown)


def said(answer: Answer, volatile: Iterable[Place] = ()) -> Mapping[Place, Any]:
    """Return an answer by its parts, for telling two apart; what is of the moment is left out."""
    found: dict[Place, Any] = {("status",): answer.status}
    for name, value in sorted((name.lower(), value) for name, value in answer.headers):
        if name not in _NOT_SAID and name not in ("content-length", "transfer-encoding"):
            place: Place = ("headers", name)
            found[place] = f"{found[place]}, {value}" if place in found else value
    found |= body_places(answer)
    for place in volatile:
        if place in found:
            found[place] = None
    return found


def body_places(answer: Answer) -> dict[Place, Any]:
    """Return the scalars of an answer's body by their places; the whole body at one place where it is no JSON."""
    if is_json(media_type(answer.headers)):
        try:
            return {("body", *place): value for place, value in scalars(json.loads(answer.body))}
        except ValueError:
            pass
    return {("body",): answer.body.decode("utf-8", "surrogateescape")}


def differing(one: Mapping[Place, Any], other: Mapping[Place, Any]) -> str:
    """Return the first place at which two answers differ, in words; empty where they do not."""
    for place in sorted({*one, *other}, key=str):
        if not same(one.get(place, _NOTHING), other.get(place, _NOTHING)):
            return ".".join(map(str, place))
    return ""


def _fits(entry: _Entry, canon: Canon, run: _Run) -> bool:
    """Whether a request is this recording's but for what the test makes up anew, and that is what it was before in this run."""
    mine, theirs = places(canon), places(entry.canon)
    if set(mine) != set(theirs) or canon.method != entry.canon.method:
        return False
    free = {place: bound for bound in entry.recorded.bound for place in bound.asked}
    now: dict[int, Any] = {}
    for place, value in theirs.items():
        bound = free.get(place)
        if bound is None:
            if not same(mine[place], value):
                return False
            continue
        known = run.variables.get(bound.variable, now.get(bound.variable, _NOTHING))
        if known is _NOTHING and not _of_their_sort(mine[place], str(value), bound.before):
            return False
        if known is not _NOTHING and known != mine[place]:
            return False
        now[bound.variable] = mine[place]
    return True


def _of_their_sort(value: Any, one: str, other: str) -> bool:
    """Whether a value varies only as these two did, which two lessons saw; where they saw one, nothing is free.

    As long as they were, of the letters, digits and signs they had, with the words up to the first and from the last sign that
    both had: what staging says to a name that is longer, or empty, or of other letters, nobody has seen.
    """
    if not other or not isinstance(value, str):
        return False
    if not min(len(one), len(other)) <= len(value) <= max(len(one), len(other)):
        return False
    before, after = _alike(one, other), _alike(one[::-1], other[::-1])[::-1]
    return value.startswith(before) and value.endswith(after) and _sorts(value) <= _sorts(one) | _sorts(other)


def _alike(one: str, other: str) -> str:
    """Return what both begin with, up to its last sign: a letter after it may be the same in both by chance."""
    count = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    begin = one[:count]
    while begin and begin[-1].isalnum():
        begin = begin[:-1]
    return begin


def _sorts(text: str) -> set[str]:
    return {"0" if c.isdigit() else "a" if c.islower() else "A" if c.isupper() else c for c in text}


def _bind(entry: _Entry, canon: Canon, run: _Run) -> Answer:
    """Return the recorded answer with what this run made up in the places where it came back."""
    mine, answer = places(canon), entry.recorded.exchange.answer
    if entry.recorded.bound:
        for bound in entry.recorded.bound:
            if bound.asked:
                run.variables[bound.variable] = mine[bound.asked[0]]
    values = {
        place[1:]: run.variables[bound.variable]
        for bound in entry.recorded.bound
        for place in bound.answered
        if bound.variable in run.variables
    }
    if not values:
        return answer
    document = json.loads(answer.body)
    return replace(answer, body=json.dumps(_put(document, values, ()), ensure_ascii=False).encode())


def _put(value: Any, values: Mapping[Place, Any], at: Place) -> Any:
    if isinstance(value, dict) and value:
        return {name: _put(inner, values, (*at, name)) for name, inner in value.items()}
    if isinstance(value, list) and value:
        return [_put(inner, values, (*at, number)) for number, inner in enumerate(value)]
    return values.get(at, value)
