"""resilience.publish.outbox: what was put off says when it may be tried again, and the history keeps the letters as asked."""

from __future__ import annotations

from resilience.publish.outbox import Outbox, PutOffError
from resilience.runs.keeping import Keeping
from tests.kits.records import AT


def test_the_far_side_may_say_when_to_come_back() -> None:
    assert PutOffError("503").until is None
    assert PutOffError("429", until=AT).until == AT


def test_the_history_is_an_outbox() -> None:
    asked = {name for name in vars(Outbox) if not name.startswith("_")}
    assert asked == {"waiting", "sent", "put_off", "refused"}
    assert all(callable(getattr(Keeping, name)) for name in asked)
