"""Turn services whose staging is dead into real ones on this machine, and say which could be: the doors of the room.

Importing this loads nothing but the names: an assessment must not pay for what starts servers, and the supervisor, for whom every
stand-in waits, passes through here as well.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resilience.stand_ins.forgetting import forget as forget
    from resilience.stand_ins.holding import folder as folder, hold as hold, release as release, warning as warning
    from resilience.stand_ins.offers import availability as availability
    from resilience.stand_ins.per_worker import copies as copies
    from resilience.stand_ins.ports import Placement as Placement, foreseen as foreseen, placed as placed
    from resilience.stand_ins.present import status as status
    from resilience.stand_ins.starting import start as start
    from resilience.stand_ins.stopping import stop as stop
    from resilience.stand_ins.usage import (
        answers as answers,
        connections as connections,
        logins as logins,
        workers as workers,
    )

_DOORS = {
    "answers": "usage",
    "Placement": "ports",
    "availability": "offers",
    "connections": "usage",
    "copies": "per_worker",
    "folder": "holding",
    "forget": "forgetting",
    "foreseen": "ports",
    "hold": "holding",
    "logins": "usage",
    "placed": "ports",
    "release": "holding",
    "start": "starting",
    "status": "present",
    "stop": "stopping",
    "warning": "holding",
    "workers": "usage",
}

__all__ = [
    "Placement",
    *(
        "answers",
        "availability",
        "connections",
        "copies",
        "folder",
        "foreseen",
        "forget",
        "hold",
        "logins",
        "placed",
        "release",
    ),
    *("start", "status", "stop", "warning", "workers"),
]


def __getattr__(name: str) -> Any:
    """Return a door of the room, and open its module when it is first asked for."""
    if name not in _DOORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_DOORS[name]}"), name)
