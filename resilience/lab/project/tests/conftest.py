import pytest
from shop import sessions


@pytest.fixture
def store():
    """A connection to Redis of this test's own, with no carts or limits left over from an earlier test."""
    with sessions.connect() as client:
        for key in client.scan_iter("drill:*"):
            client.delete(key)
        yield client
