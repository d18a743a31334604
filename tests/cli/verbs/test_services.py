"""Stand-ins are started, shown and stopped by hand."""

from __future__ import annotations

from pathlib import Path

from resilience.services.registry import KINDS
from tests.kits.stand_in_kit import listening, processes_naming
from tests.kits.typing_in import Type, with_stand_in


def test_a_stand_in_is_started_shown_and_stopped(type_in: Type, team: Path) -> None:
    port = with_stand_in(team)
    assert "No stand-in runs" in type_in("services", "status").out
    try:
        (started,) = type_in("services", "up", "backend_api", "--json").json["services"]
        assert started["ready"] is True
        (shown,) = type_in("services", "status", "--json").json["services"]
        assert shown["service"] == "backend_api"
        assert str(port) in type_in("services", "status").out
    finally:
        stopped = type_in("services", "down", "backend_api")
    assert (stopped.code, stopped.out) == (0, "stopped: backend_api\n")
    assert type_in("services", "down").out == "stopped: nothing was running\n"
    assert not processes_naming(team.parent / "xdg")


def test_one_that_does_not_come_up_exits_20(type_in: Type, team: Path) -> None:
    with listening() as port:
        with_stand_in(team, port=port)
        said = type_in("services", "up")
    assert said.code == 20, said.out
    assert "backend_api" in said.out


def test_the_verb_alone_explains_itself(type_in: Type) -> None:
    said = type_in("services")
    assert said.code == 2
    assert {"up", "down", "status", "kinds"} <= set(said.err.split())


def test_the_types_are_told_with_what_stands_in_for_them_and_what_no_real_server_has_answered(type_in: Type) -> None:
    lines = {line.split()[0]: line for line in type_in("services", "kinds").out.splitlines()}
    assert set(lines) == {kind.name for kind in KINDS}
    assert {name for name, line in lines.items() if "not tried on a real server" in line} == {
        "elasticsearch",
        "kafka",
        "mongodb",
    }
    assert "apt-get install memcached" in lines["memcached"]
    assert "stand-in: start, compose or image" in lines["grpc"]
    told = type_in("services", "kinds", "--json").json["kinds"]
    assert {one["type"] for one in told if one["untried"]} == {"elasticsearch", "kafka", "mongodb"}
