"""The addresses that a failure names lead to one service or to none, never by the host alone."""

from __future__ import annotations

import pytest

from resilience.services.registry import KINDS
from resilience.suite.endpoints import Endpoint, Pair, addresses_in, by_marker, whose
from tests.kits.kinds import ServiceType

DATABASE = Endpoint(
    service="database", kind=KINDS[ServiceType.POSTGRESQL], host="db.example", port=5432,
    aliases=frozenset({"10.0.0.7"}), markers=frozenset({"real_database"}),
)  # fmt: skip
LOCAL = Endpoint(service="redis", kind=KINDS[ServiceType.REDIS], host="127.0.0.1", port=6399)


@pytest.mark.parametrize(
    ("pair", "service"),
    [
        (("db.example", 5432), "database"),
        (("DB.example.", 5432), "database"),
        (("10.0.0.7", 5432), "database"),
        (("localhost", 6399), "redis"),
        (("::1", 6399), "redis"),
        (("db.example", 5433), None),
        (("db.example", None), None),
        (("127.0.0.1", 5432), None),
    ],
)
def test_an_address_is_a_services_only_with_its_port(pair: Pair, service: str | None) -> None:
    found = whose([pair], [DATABASE, LOCAL])
    assert (found.service if found is not None else None) == service


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("Connect call failed ('10.0.0.7', 5432)", (("10.0.0.7", 5432),)),
        ('connection to server at "db.example" (10.0.0.7), port 5432 failed', (("db.example", 5432),)),
        ("HTTPConnectionPool(host='api.example', port=80)", (("api.example", 80),)),
        ("Error 111 connecting to localhost:6399. Connection refused.", (("localhost", 6399),)),
        ("connect ECONNREFUSED [::1]:6399", (("::1", 6399),)),
        ("http://testserver:80/orders", ()),
        ("at 12:30 nothing", ()),
    ],
)
def test_addresses_are_read_as_clients_print_them_and_those_of_test_clients_are_nobodys(
    text: str, pairs: tuple[Pair, ...]
) -> None:
    assert set(pairs) <= set(addresses_in([{"text": text}]))
    assert bool(pairs) or not [pair for pair in addresses_in([{"text": text}]) if whose([pair], [DATABASE, LOCAL])]


def test_a_marker_that_two_services_share_tells_neither() -> None:
    other = Endpoint(
        service="redis", kind=LOCAL.kind, host="127.0.0.1", port=6399, markers=frozenset({"real_database"})
    )
    assert by_marker(["real_database"], [DATABASE, LOCAL]) == DATABASE
    assert by_marker(["real_database"], [DATABASE, other]) is None
