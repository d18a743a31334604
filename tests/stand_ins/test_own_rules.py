"""What a team names itself is refused by name, gets its exports, and waits for what it depends on, before anything is started."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilience.core.errors import StandInError
from resilience.core.secret import Secret
from resilience.core.settings import OwnStandIn, Service, Settings
from resilience.services.standing_in import Wanted
from resilience.stand_ins import own_rules
from resilience.stand_ins.endpoints import endpoint
from tests.kits.kinds import ServiceType
from tests.kits.servers.looking import service


def wanted(name: str, port: int, *needs: str, command: str = "sleep 600") -> Wanted:
    local = Secret(f"http://127.0.0.1:{port}/")
    kind = service(ServiceType.HTTP, local.reveal()).kind
    one = Service(name=name, kind=kind, local=local, own=OwnStandIn(command=command), depends_on=needs)
    return Wanted(service=one, place=endpoint(one, ()))


def test_a_command_waits_for_what_it_depends_on_and_a_circle_comes_last_together() -> None:
    api, auth, mock = wanted("api", 1, "auth", "mock"), wanted("auth", 2), wanted("mock", 3, "api", command="")
    names = [[one.service.name for one in wave] for wave in own_rules.waves([api, auth, mock])]
    assert names == [["auth", "mock"], ["api"]]
    circle = [wanted("a", 1, "b"), wanted("b", 2, "a"), wanted("c", 3)]
    assert [[one.service.name for one in wave] for wave in own_rules.waves(circle)] == [["c"], ["a", "b"]]


def test_it_gets_the_exports_of_what_it_depends_on_and_of_nothing_else() -> None:
    by_name = {
        "database": Service(name="database", kind=wanted("x", 1).service.kind, exports={"DB_URL": Secret("db")}),
        "cache": Service(name="cache", kind=wanted("x", 1).service.kind, exports={"CACHE_URL": Secret("cache")}),
    }
    assert own_rules.exported(wanted("api", 1, "database", "gone").service, by_name) == {"DB_URL": "db"}


def test_two_on_one_port_are_refused_only_where_a_command_is_among_them() -> None:
    both = own_rules.refuse_one_port([wanted("a", 7), wanted("b", 7), wanted("c", 8)])
    assert set(both) == {"a", "b"}
    assert "want one port, 7" in str(both["a"])
    assert own_rules.refuse_one_port([wanted("a", 7, command=""), wanted("b", 7, command="")]) == {}


def test_what_it_depends_on_must_be_ready_where_it_was_to_be_stood_in_for() -> None:
    api = wanted("api", 1, "database", "elsewhere")
    own_rules.needed(api, {"database": True})
    with pytest.raises(StandInError, match="depends on database, whose stand-in did not come up"):
        own_rules.needed(api, {"database": False})


def test_a_shell_s_own_word_is_no_program_that_could_be_missing(checkout: Callable[..., Settings]) -> None:
    settings = checkout([])
    for command in ("exec python -m http.server", "$SHELL -c x", "cd web && ./run"):
        own_rules.check(wanted("api", 1, command=command).service, settings, {})
    with pytest.raises(StandInError, match="begins with no-such-program, which is not found"):
        own_rules.check(wanted("api", 1, command="no-such-program --x").service, settings, {})
