"""Failures as a foreign interpreter tells them, through JSON, for the tests of what judges them."""

from __future__ import annotations

import json
from typing import Any

from resilience.suite import pytest_plugin as plugin
from resilience.suite.events import Failure, Record


def told(exc: BaseException, **more: Any) -> Failure:
    """Give the failure as a foreign interpreter tells it, through JSON."""
    chain = json.loads(json.dumps(plugin.describe(exc)))
    return Failure(
        chain=tuple(chain), spoke=more.pop("spoke", ()), when=more.pop("when", "call"), at=more.pop("at", 100.0), **more
    )


def fed(*events: dict[str, Any]) -> Record:
    record = Record()
    for event in events:
        record.feed({"s": "1", **event})
    return record
