"""What a kind of service says of lessons that are no traffic, and what it is given to hold them.

A kind's record names its object (`Doubles.lessons`) and what it can be taught (`Doubles.teaches`). Nobody else knows how its schema
is read, proved or loaded; the files and the manifest of what was taught are kept by whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from resilience.core.errors import ResilienceError
from resilience.core.kind import Kind
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.place import Endpoint
from resilience.services.registry import resolve

AT_MOST_S = 60.0
"""Seconds that a lesson may ask anything of staging."""


class CannotTeachError(ResilienceError):
    """A lesson that gave nothing: what was taught before stays. The text says why, the hint what would make it possible."""

    exit_code = 30


class InTheWayError(CannotTeachError):
    """A lesson that gave up because somebody on staging waited for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a lesson is given. `scratch` is a folder of its own for a server to prove it in; whoever asks removes it."""

    service: Service
    root: Path
    scratch: Path
    key: bytes = field(repr=False)
    """By which what is masked gets its pseudonyms."""
    deny_hosts: Sequence[str] = ()
    secrets: Sequence[Secret] = ()
    known: frozenset[str] = frozenset()
    """What the lesson before knew by name, such as columns: what is new is said to be."""
    at_most_s: float = AT_MOST_S
    say: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a lesson took: files, what the manifest is to say, and in sentences what is missing."""

    files: Mapping[str, bytes]
    manifest: Mapping[str, Any] = field(default_factory=dict)
    gaps: tuple[str, ...] = ()
    unmasked: Any = field(default=None, repr=False)
    """What `prove` turns into files, of staging as it is: for memory alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaughtData:
    """One generation, as a stand-in is loaded with it. `mark` names its bytes; `read` returns a file whose bytes were checked."""

    service: str
    generation: int
    mark: str
    manifest: Mapping[str, Any]
    read: Callable[[str], bytes]


class Lessons:
    """How services of one kind are taught otherwise than by traffic."""

    def check(self, service: Service) -> None:
        """Raise ValueError, in words, where what the configuration asks to be taught cannot be read."""

    async def take(self, asked: Asked) -> Taken:
        """Read it from staging, which is only read, within `at_most_s`. Raises CannotTeachError."""
        raise NotImplementedError

    async def prove(self, asked: Asked, taken: Taken) -> Taken:
        """Load it into a scratch stand-in; return it with the gaps that are known now. Raises CannotTeachError."""
        raise NotImplementedError

    async def plan(self, asked: Asked) -> Sequence[str]:
        """Return lines on what a lesson would take and how it would be masked; nothing is kept. Raises CannotTeachError."""
        raise NotImplementedError

    async def load(self, place: Endpoint, taught: TaughtData, *, ours: bool) -> tuple[str, ...]:
        """Give the stand-in a fresh copy of what was taught; return what it lacks.

        `ours`: whatever is there may be thrown away. Raises CannotTeachError where nothing was changed.
        """
        raise NotImplementedError

    async def unload(self, place: Endpoint, service: str) -> bool:
        """Remove what was loaded for this service. Return whether any was there."""
        raise NotImplementedError

    async def loaded(self, place: Endpoint) -> bool:
        """Whether what the stand-in holds is a copy of what was taught, and not anybody's."""
        return False

    async def copies(self, place: Endpoint, number: int) -> tuple[str, ...]:
        """Make so many databases beside the stand-in's, each as that is now, in place of those of an earlier run.

        Return their names. Raises CannotTeachError where they cannot be had.
        """
        return ()

    async def logins(self, place: Endpoint) -> Mapping[str, int]:
        """Return database → logins so far at the stand-in's server, ours left out; the stand-in's own has the empty name."""
        return {}

    async def shape(self, place: Endpoint) -> object | None:
        """Return what the stand-in's data look like now, for `drift`; None where it cannot be told."""
        return None

    def drift(self, before: object, after: object) -> tuple[str, ...]:
        """Return by what two shapes differ, in words; none where they are the same."""
        return ()


def lessons_of(kind: Kind) -> Lessons | None:
    """Return how services of this kind are taught; None where traffic is all there is."""
    doubles = kind.doubles
    if doubles is None or not doubles.lessons:
        return None
    found: Lessons = resolve(doubles.lessons)
    return found
