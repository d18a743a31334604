"""Answer Ctrl-C at once, before what it stops has been put down."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from resilience.cli.demand import on_demand

with on_demand():
    from resilience.host import signals

if TYPE_CHECKING:
    from resilience.show.sticky import Line

T = TypeVar("T")


async def heeded(work: Coroutine[Any, Any, T], line: Line, *, first: str = "stopping, writing the report") -> T:
    """Return what the work returns; at the first signal say that it is heard and what follows, at the second that it stops now."""

    def say(came: int) -> None:
        line.interrupt("stopping now." if came else f"{first}; again to stop now")
        line.say(first)

    with signals.announced(say):
        return await work
