"""The drill: an embedded staging with faults on demand, and the scenarios of the outage guide.

Names are fetched when they are asked for: a proxy, or a scenario to read, needs neither aiohttp nor a driver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resilience.lab.lab import Lab, serve
    from resilience.lab.scenario import Scenario
    from resilience.lab.scenario_file import load_scenario
    from resilience.lab.shipped import scenario_names

__all__ = ["Lab", "Scenario", "load_scenario", "scenario_names", "serve"]

_HOMES = {
    "Lab": "lab",
    "serve": "lab",
    "Scenario": "scenario",
    "load_scenario": "scenario_file",
    "scenario_names": "shipped",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
