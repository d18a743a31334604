"""Turn two lessons of the same tests into what is made up anew in each run, and what an answer has only of its moment.

A scalar of eight characters or more that differs between the two in a request, and stands in the answer at the same places in
both, is bound: a stand-in takes the test's own value there and says it back. What staging gave, such as an id, and is sent back to
it is never bound: the stand-in gives the recorded one, and any other is another request. What differs in an answer and is not bound
is volatile.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from resilience.teach.exchange import SHARED, Place, canonical, places, same
from resilience.teach.replay import Bound, Recorded, body_places, said

_LEAST = 8


def bound(recordings: Sequence[Recorded], before: Sequence[Recorded]) -> list[Recorded]:
    """Return the recordings with what the lesson before shows of them; those of a test whose requests changed stay as they are."""
    old_by_owner: dict[str, list[Recorded]] = defaultdict(list)
    new_by_owner: dict[str, list[Recorded]] = defaultdict(list)
    for one in before:
        old_by_owner[one.exchange.owner].append(one)
    for one in recordings:
        new_by_owner[one.exchange.owner].append(one)
    found: dict[int, Recorded] = {one.number: one for one in recordings}
    pairs = [
        (owner, new, old_by_owner[owner])
        for owner, new in new_by_owner.items()
        if owner != SHARED and len(old_by_owner.get(owner, ())) == len(new)
    ]
    to_all: _Given = set()
    for owner, new, old in pairs:
        if owner.startswith("fixture "):
            for mine, theirs in zip(new, old, strict=True):
                to_all |= _given(mine, theirs)
    for _, new, old in pairs:
        for one in _bound_in_order(new, old, to_all):
            found[one.number] = one
    return list(found.values())


_Given = set[tuple[type, object, object]]
"""What staging gave in the lesson before, and what in this one in its place, with the type, since 1 is not true."""


def _given(mine: Recorded, theirs: Recorded) -> _Given:
    """Return what staging gave otherwise in two answers to one request."""
    now, then = said(mine.exchange.answer), said(theirs.exchange.answer)
    return {
        (type(value), then[place], value)
        for place, value in now.items()
        if place in then and type(then[place]) is type(value) and not same(then[place], value)
    }


def _was_given(old: object, new: object, given: _Given) -> bool:
    """Whether a value of a request is what staging gave, holds it, as a header does a token, or is held by it, as a cursor is.

    It may be wrong by chance without harm: what was given is not free, and must be the recorded one to the letter.
    """
    if type(old) is not type(new):
        return False
    if (type(new), old, new) in given:
        return True
    if not (isinstance(old, str) and isinstance(new, str)):
        return False
    pairs = [(a, b) for _, a, b in given if isinstance(a, str) and isinstance(b, str)]
    if min(len(old), len(new)) >= _LEAST:
        forms = ((old, new), (quote(old, safe=""), quote(new, safe="")))
        if any(a in before and b in now for before, now in pairs for a, b in forms):
            return True
    for before, now in sorted(pairs, key=lambda pair: -len(pair[0])):
        if len(before) >= _LEAST:
            old = old.replace(before, now)
    return old == new


def _bound_in_order(new: Sequence[Recorded], old: Sequence[Recorded], to_all: _Given) -> list[Recorded]:
    """Return one test's recordings with what is bound in them; as they were where the two lessons are not of the same requests.

    A value that an earlier request of the test bound is known in later ones, such as an id of its own in a path. `to_all` is what
    lasting fixtures were given.
    """
    variables: dict[tuple[object, object], int] = {}
    given = set(to_all)
    found = []
    for mine, theirs in zip(new, old, strict=True):
        made = _one(mine, theirs, variables, given)
        if made is None:
            return list(new)
        found.append(made)
        given |= _given(mine, theirs)
    return found


def _one(
    mine: Recorded, theirs: Recorded, variables: dict[tuple[object, object], int], given: _Given
) -> Recorded | None:
    """Return a recording with what is bound and volatile in it; None where the two are not of the same request.

    Each value that differs in the request must be known from before, be what staging gave, or be long enough and come back: else
    it is another request.
    """
    asked, before = places(canonical(mine.exchange.asked)), places(canonical(theirs.exchange.asked))
    if (mine.exchange.asked.method, set(asked)) != (theirs.exchange.asked.method, set(before)):
        return None
    answer, answer_before = body_places(mine.exchange.answer), body_places(theirs.exchange.answer)
    pairs = _differing(asked, before, variables, given)
    if pairs is None:
        return None
    bounds = []
    for (old, new), where in pairs.items():
        if not _binds(old) or not _binds(new):
            return None
        back = tuple(place for place, value in answer.items() if value == new and answer_before.get(place) == old)
        if not back and (old, new) not in variables:
            return None
        first = (old, new) not in variables
        number = variables.setdefault((old, new), len(variables) + 1)
        bounds.append(Bound(variable=number, asked=tuple(where), answered=back, before=str(old) if first else ""))
    told = {place for one in bounds for place in one.answered}
    for (old, new), number in variables.items():
        back = tuple(
            place
            for place, value in answer.items()
            if place not in told and value == new and answer_before.get(place) == old
        )
        if back:
            bounds.append(Bound(variable=number, asked=(), answered=back))
            told |= set(back)
    now, then = said(mine.exchange.answer), said(theirs.exchange.answer)
    moment = tuple(place for place, value in now.items() if place not in told and not same(then.get(place), value))
    if ("status",) in moment:
        return None
    return replace(mine, bound=tuple(bounds), volatile=moment)


def _differing(
    asked: Mapping[Place, object],
    before: Mapping[Place, object],
    variables: Mapping[tuple[object, object], int],
    given: _Given,
) -> dict[tuple[object, object], list[Place]] | None:
    """Return where two requests differ by what the test made up, as old and new value; None where they differ by more than scalars.

    What staging gave is no such place, unless the test had made it up before.
    """
    pairs: dict[tuple[object, object], list[Place]] = defaultdict(list)
    for place, value in asked.items():
        # What the lesson before bound was kept with that lesson's value, which is compared like any other.
        if same(before[place], value):
            continue
        if isinstance(value, list | dict) or isinstance(before[place], list | dict):
            return None
        if (before[place], value) in variables or not _was_given(before[place], value, given):
            pairs[before[place], value].append(place)
    return pairs


def _binds(value: object) -> bool:
    """Whether a scalar is long enough that it stands at two places by no chance."""
    return isinstance(value, str) and len(value) >= _LEAST
