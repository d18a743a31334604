"""A server that takes no writes is found by what it says, and its codes are read whoever raised them."""

from __future__ import annotations

import pytest

from resilience.core.records import FaultCode
from resilience.core.urls import url_parts
from resilience.services.postgresql.kind import KIND

C = FaultCode


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"role": "standby"}, C.APP_READONLY),
        ({"read_only": "on"}, C.APP_READONLY),
        ({"role": "standby", "read_only": "on", "writes": "ok"}, None),
        ({"role": "primary", "read_only": "off"}, None),
    ],
)
def test_no_writes_are_found_unless_one_was_made(facts: dict[str, str], code: FaultCode | None) -> None:
    found = KIND.findings(facts)
    assert (found.code if found else None) is code


class Raised(Exception):
    def __init__(self, **fields: str) -> None:
        super().__init__("said so")
        self.__dict__.update(fields)


@pytest.mark.parametrize("field", ["sqlstate", "pgcode"])
def test_a_sqlstate_is_read_from_asyncpg_and_from_psycopg2(field: str) -> None:
    found = KIND.coded(Raised(**{field: "28P01"}), frozenset(), None, "")
    assert found is not None
    assert found.code is C.APP_AUTH


@pytest.mark.parametrize("code", ["08003", "", "4"])
def test_a_sqlstate_that_says_nothing_is_left_to_the_cause(code: str) -> None:
    assert KIND.coded(Raised(sqlstate=code), frozenset(), None, "") is None


def test_a_socket_is_named_as_libpq_names_it() -> None:
    assert url_parts("postgresql:///app?host=/run/pg&port=5433", KIND).socket == "/run/pg/.s.PGSQL.5433"
