from pathlib import Path

import pytest
from shop import sessions

LAB = Path(__file__).resolve().parent.parent / ".lab"


def pytest_runtest_logstart(nodeid):
    """Tell the drill which test begins: its timetable hangs on tests, not on the speed of the machine."""
    if LAB.is_dir():
        with (LAB / "begun").open("a", encoding="utf-8") as file:
            file.write(f"{nodeid}\n")


@pytest.fixture
def store():
    """A connection to Redis of this test's own, with no carts or limits left over from an earlier test."""
    with sessions.connect() as client:
        for key in client.scan_iter("drill:*"):
            client.delete(key)
        yield client
