import random

import pytest
from shop.storefront import Storefront


def pytest_addoption(parser):
    parser.addoption("--shuffle", type=int, default=None, help="run the tests in an order drawn by this number")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--shuffle") is not None:
        random.Random(config.getoption("--shuffle")).shuffle(items)


@pytest.fixture
def visitor():
    store = Storefront()
    yield store
    store.close()


@pytest.fixture(scope="session")
def ada():
    """A customer who is known by a token for as long as the tests run."""
    store = Storefront("ada")
    yield store
    store.close()


@pytest.fixture
def hedy(visitor):
    """A customer who has logged in."""
    visitor.log_in("hedy", "hopping-1914")
    return visitor
