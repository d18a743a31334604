"""What MySQL's error numbers mean, of a server and of its clients, and what is not right about one that answers."""

from __future__ import annotations

import pytest

from resilience.core.faults import classify
from resilience.core.records import FaultCode, Phase
from resilience.services.mysql.kind import KIND, mysql_fault

C = FaultCode


@pytest.mark.parametrize(
    ("number", "code"),
    [(1040, C.APP_OVERLOAD), (1045, C.APP_AUTH), (1049, C.APP_NO_DB), (1290, C.APP_READONLY), (1064, C.APP_ERROR)],
)
def test_an_error_number_says_what_it_means(number: int, code: FaultCode) -> None:
    assert mysql_fault(number, "text").code is code


def test_a_clients_error_is_read_by_its_number() -> None:
    pymysql = pytest.importorskip("pymysql")
    for number, code in ((1045, C.APP_AUTH), (2013, C.PROTO_CLOSED), (1040, C.APP_OVERLOAD)):
        assert classify(pymysql.err.OperationalError(number, "said"), Phase.QUERY, kinds=(KIND,)).code is code


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"replication": "stopped", "read_only": "1"}, C.APP_REPLICA_DOWN),
        ({"read_only": "1"}, C.APP_READONLY),
        ({"replica_delay_s": "31"}, C.APP_REPLICA_LAG),
        ({"replica_delay_s": "30", "read_only": "0", "replication": "running"}, None),
    ],
)
def test_what_is_not_right_about_one_that_answers(facts: dict[str, str], code: FaultCode | None) -> None:
    found = KIND.findings(facts)
    assert (found.code if found else None) is code


def test_a_driver_in_the_scheme_is_understood() -> None:
    assert KIND.driver_in_scheme
    assert {"mysql", "mariadb"} <= set(KIND.schemes)
