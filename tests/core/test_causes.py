"""The seven rules, in their order, each with its evidence; and what they must not say."""

from __future__ import annotations

from typing import Any

import pytest

from resilience.core.assess import judge
from resilience.core.causes import LOOPBACK_CHECK, RULES, find_causes
from resilience.core.faults import fault
from resilience.core.records import Cause, CauseName, FaultCode, Observation, Phase
from resilience.core.settings import Service
from tests.core.test_assess import observed, service
from tests.kits.kinds import ServiceType

C, T, N = FaultCode, ServiceType, CauseName


def causes(
    *seen: tuple[Service, Observation], controls: tuple[Observation, ...] = (), **more: Any
) -> tuple[Cause, ...]:
    return find_causes([s for s, _ in seen], [judge(s, o, **more) for s, o in seen], controls)


def one(name: str, code: FaultCode | None, phase: Phase = Phase.TCP, **more: Any) -> tuple[Service, Observation]:
    endpoint = more.pop("endpoint", f"{name}.staging.example:443")
    found = more.pop("found", "")
    made = service(name, **more)
    return made, observed(name, code, phase, endpoint=endpoint, found=found)


def control(code: FaultCode | None, name: str = "control") -> Observation:
    return observed(name, code, Phase.TCP, endpoint="control.example:443")


DB = one("database", C.TCP_TIMEOUT, network="vpc")
BACKEND_503 = one("backend_api", C.APP_OVERLOAD, Phase.QUERY, found="status 503")
REDIS_OK = one("redis", None, network="vpc2")


def test_the_rules_stand_in_the_order_of_the_diagnosis() -> None:
    assert [rule.__name__ for rule in RULES][:5] == [
        "own_process",
        "control_targets",
        "no_route",
        "staging_or_this_machine",
        "dns_resolver",
    ]
    assert RULES[-1].__name__ == "single_service"


def test_all_control_targets_dead_means_this_machine_is_offline() -> None:
    (cause,) = causes(
        DB, one("redis", C.DNS_TIMEOUT, Phase.DNS), controls=(control(C.TCP_TIMEOUT), control(C.DNS_TIMEOUT))
    )
    assert cause.cause is N.THIS_MACHINE
    assert cause.services == ("database", "redis")
    assert any("control target" in line for line in cause.evidence)


def test_one_control_target_answering_clears_this_machine() -> None:
    made = causes(DB, one("redis", C.TCP_TIMEOUT, network="vpc"), controls=(control(None), control(C.TCP_TIMEOUT)))
    assert N.THIS_MACHINE not in [c.cause for c in made]
    assert N.STAGING_OR_THIS_MACHINE not in [c.cause for c in made]


def test_no_route_anywhere_is_this_machine_without_any_target() -> None:
    (cause,) = causes(one("database", C.TCP_NO_ROUTE), one("backend_api", C.TCP_NO_ROUTE))
    assert cause.cause is N.THIS_MACHINE


def test_everything_timed_out_without_targets_cannot_be_told() -> None:
    (cause,) = causes(DB, one("backend_api", C.TCP_TIMEOUT))
    assert cause.cause is N.STAGING_OR_THIS_MACHINE
    assert "[control] targets" in cause.next
    assert len([line for line in cause.evidence if "tcp_timeout" in line]) == 2


def test_a_process_that_cannot_reach_itself_says_nothing_about_staging() -> None:
    (cause,) = causes(DB, REDIS_OK, controls=(control(C.TCP_TIMEOUT, LOOPBACK_CHECK),))
    assert cause.cause is N.THIS_MACHINE


def test_two_names_not_resolved_are_the_resolver() -> None:
    made = causes(
        one("database", C.DNS_TIMEOUT, Phase.DNS), one("backend_api", C.DNS_TEMPFAIL, Phase.DNS), one("redis", None)
    )
    assert [c.cause for c in made] == [N.DNS_RESOLVER]
    assert made[0].services == ("database", "backend_api")


def test_one_name_not_resolved_is_that_service() -> None:
    (cause,) = causes(one("database", C.DNS_TIMEOUT, Phase.DNS), one("redis", None))
    assert cause.cause is N.SINGLE_SERVICE


def test_a_whole_network_lost_while_others_answer_is_the_vpc_connector() -> None:
    made = causes(DB, one("redis", C.TCP_TIMEOUT, network="vpc"), one("llm_service", None))
    assert [c.cause for c in made] == [N.VPC_CONNECTOR]
    assert made[0].services == ("database", "redis")
    assert made[0].issue == "#1278"
    assert "llm_service" in made[0].evidence[0]


def test_a_private_range_is_a_network_where_none_is_declared() -> None:
    made = causes(
        one("database", C.TCP_TIMEOUT, endpoint="10.52.0.3:5432"),
        one("redis", C.TCP_TIMEOUT, endpoint="10.52.0.4:6379"),
        one("llm_service", None),
    )
    assert [c.cause for c in made] == [N.VPC_CONNECTOR]


def test_one_of_a_network_answering_clears_the_connector() -> None:
    made = causes(DB, one("redis", None, network="vpc"), one("llm_service", None))
    assert [c.cause for c in made] == [N.SINGLE_SERVICE]


@pytest.mark.parametrize("redis", [{"network": "vpc"}, {"endpoint": "10.52.0.4:6379"}])
@pytest.mark.parametrize("code", [None, C.TCP_REFUSED, C.APP_AUTH])
def test_the_guides_issue_blames_no_network_of_which_another_service_answers(
    redis: dict[str, str], code: FaultCode | None
) -> None:
    database = one("database", C.TCP_TIMEOUT, **({"endpoint": "10.52.0.3:5432"} if "endpoint" in redis else redis))
    made = causes(database, BACKEND_503, one("redis", code, Phase.QUERY, **redis), one("auth_service", None))
    assert N.VPC_CONNECTOR not in [cause.cause for cause in made]
    assert (made[0].cause, made[0].services) == (N.DEPENDENCY, ("database", "backend_api"))


def test_the_first_cause_explains_most_and_says_what_it_does_not() -> None:
    made = causes(
        one("redis", C.APP_AUTH, Phase.QUERY),
        one("clickhouse", C.DNS_TIMEOUT, Phase.DNS),
        one("llm_service", C.DNS_TIMEOUT, Phase.DNS),
        one("database", C.TCP_TIMEOUT, network="vpc", critical=True),
        BACKEND_503,
        one("auth_service", None),
    )
    assert [(cause.cause, cause.also_possible) for cause in made] == [
        (N.VPC_CONNECTOR, False),
        (N.DNS_RESOLVER, True),
        (N.SINGLE_SERVICE, True),
    ]
    assert made[0].services == ("database", "backend_api")
    assert "it does not explain redis (login refused)" in made[0].against
    assert "it does not explain llm_service (name server time-out after 123 ms)" in made[0].against
    assert "no other service of its network was asked" in made[0].against
    assert made[1].against == (), "only the first is read as the cause"


def test_what_is_wrong_with_this_machine_stands_before_all_it_makes_doubtful() -> None:
    made = causes(
        one("database", C.TCP_TIMEOUT, critical=False),
        one("redis", C.APP_AUTH, Phase.QUERY, critical=True, endpoint="127.0.0.1:6379"),
        controls=(control(C.TCP_TIMEOUT),),
    )
    assert [cause.cause for cause in made] == [N.THIS_MACHINE, N.SINGLE_SERVICE]


@pytest.mark.parametrize("code", [C.TCP_TIMEOUT, C.PROTO_SILENT, C.PROTO_CLOSED, C.TCP_NO_ROUTE, C.APP_PROXY_NOT_READY])
@pytest.mark.parametrize("status", ["502", "503"])
@pytest.mark.parametrize("endpoint", ["10.52.0.3:5432", "127.0.0.1:40001"])
def test_the_guides_issue_is_recognised_by_name(code: FaultCode, status: str, endpoint: str) -> None:
    backend = one(
        "backend_api", C.APP_OVERLOAD if status == "503" else C.APP_UPSTREAM, Phase.QUERY, found=f"status {status}"
    )
    made = causes(
        one("database", code, network="vpc", endpoint=endpoint), backend, one("redis", None), one("auth_service", None)
    )
    assert [c.cause for c in made] == [N.VPC_CONNECTOR]
    cause = made[0]
    assert cause.issue == "#1278"
    assert cause.services == ("database", "backend_api")
    for word in (
        "ISSUE_1278_WORKAROUND_ENABLED=true",
        "VPC_CONNECTOR_BYPASS_MODE=true",
        "CLOUD_SQL_FALLBACK_MODE=true",
    ):
        assert word in cause.next
    assert any("redis, auth_service answered" in line for line in cause.evidence)
    assert any(line.startswith("backend_api (") and "app_" in line for line in cause.evidence), "its own evidence stays"


def test_a_refused_database_beside_a_503_is_a_dependency_not_the_issue() -> None:
    (cause,) = causes(one("database", C.TCP_REFUSED), BACKEND_503, REDIS_OK)
    assert (cause.cause, cause.issue) == (N.DEPENDENCY, "")
    assert cause.services == ("database", "backend_api")


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:5432", "localhost:5432", "/cloudsql/p:r:i/.s.PGSQL.5432", "[::1]:5432"]
)
@pytest.mark.parametrize("code", [C.PROTO_SILENT, C.PROTO_CLOSED])
def test_a_silent_database_on_loopback_is_the_auth_proxy(endpoint: str, code: FaultCode) -> None:
    made = causes(one("database", code, Phase.FIRST_BYTE, endpoint=endpoint), one("redis", None))
    assert [c.cause for c in made] == [N.CLOUD_SQL_PROXY]


@pytest.mark.parametrize("root", [C.APP_STARTING, C.APP_OVERLOAD])
def test_a_database_that_starts_makes_the_backend_a_symptom(root: FaultCode) -> None:
    websocket = one("websocket", C.APP_ERROR, Phase.QUERY)
    (cause,) = causes(one("database", root, Phase.QUERY), BACKEND_503, websocket)
    assert cause.cause is N.DEPENDENCY
    assert cause.services == ("database", "backend_api", "websocket")
    assert "database first" in cause.next


def test_declared_edges_win_over_the_guides() -> None:
    made = causes(
        one("database", C.APP_STARTING, Phase.QUERY), one("backend_api", C.APP_OVERLOAD, depends_on=("redis",))
    )
    assert {c.cause for c in made} == {N.SINGLE_SERVICE}


def test_a_circle_of_needs_ends() -> None:
    made = causes(
        one("a", C.APP_OVERLOAD, Phase.QUERY, depends_on=("b",)),
        one("b", C.APP_OVERLOAD, Phase.QUERY, depends_on=("a",)),
    )
    assert {n for c in made for n in c.services} == {"a", "b"}


def test_a_backend_that_refuses_while_auth_is_down_is_authentication() -> None:
    made = causes(one("auth_service", C.TCP_REFUSED), one("backend_api", C.APP_AUTH, Phase.QUERY))
    assert [c.cause for c in made] == [N.AUTHENTICATION]


def test_no_certificate_believed_is_the_clock_or_a_proxys_ca() -> None:
    made = causes(
        one("backend_api", C.TLS_EXPIRED, Phase.TLS),
        one("auth_service", C.TLS_UNKNOWN_CA, Phase.TLS),
        one("redis", None),
    )
    assert [c.cause for c in made] == [N.CLOCK_OR_CA]
    assert "date -u" in made[0].next


def test_a_symptom_of_an_explained_service_joins_its_cause() -> None:
    made = causes(
        one("database", C.TCP_TIMEOUT, network="vpc"),
        one("redis", C.TCP_TIMEOUT, network="vpc"),
        one("backend_api", C.APP_ERROR, Phase.QUERY),
        one("llm_service", None),
    )
    assert [c.cause for c in made] == [N.VPC_CONNECTOR]
    assert made[0].services == ("database", "redis", "backend_api")


@pytest.mark.parametrize("code", [c for c in FaultCode if c is not C.DENIED_HOST])
def test_every_unwell_service_has_exactly_one_cause_and_keeps_its_own_evidence(code: FaultCode) -> None:
    made = causes(one("database", code, Phase.QUERY, network="vpc"), BACKEND_503, one("redis", None))
    named = [n for c in made for n in c.services]
    assert sorted(named) == ["backend_api", "database"]
    lines = [line for c in made for line in c.evidence]
    assert any(line.startswith("database (") and code.value in line for line in lines)
    assert all(c.next for c in made)


def test_a_service_never_yet_reached_is_said_to_be_so() -> None:
    (cause,) = causes(DB, one("redis", C.TCP_TIMEOUT), never_reached=True)
    assert any("never yet reached" in line for line in cause.evidence)


def test_all_well_has_no_cause() -> None:
    assert causes(one("database", None), one("redis", None)) == ()


def test_faults_are_built_by_the_table() -> None:
    assert fault(C.TCP_TIMEOUT, Phase.TCP).weak
