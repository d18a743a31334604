"""A checkout's stand-ins are on the ports that its files wish for, or on free ones where somebody else holds those."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.secret import Secret
from resilience.core.settings import PORT, PortWish, Service, Settings
from resilience.host.ports import read_ports, write_ports
from resilience.stand_ins.owners import own_mark
from resilience.stand_ins.ports import COUNT, LOWEST, Placement, foreseen, placed
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import listening, service, settings_for

SERVER = (
    "import socket, sys\n"
    "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
    "print('up', flush=True)\n"
    "sys.stdin.read()\n"
)


def wishing(name: str, url: str, **fields: object) -> Service:
    """A service whose port an env file set: another may be used."""
    made = service(name, url, **fields)
    port = int(url.rpartition("/")[0].rpartition(":")[2])
    wish = PortWish(port=port, local=Secret(url.replace(str(port), PORT)))
    return replace(made, port_wish=wish)


def redis_at(port: int, **fields: object) -> Service:
    return wishing("redis", f"redis://:pw@localhost:{port}/0", **fields)


def checkouts(tmp_path: Path, *services: Service) -> tuple[Settings, Settings]:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    here, there = (settings_for(tmp_path / name, services) for name in ("here", "there"))
    return here, there


@contextmanager
def serving(settings: Settings, port: int) -> Iterator[None]:
    """Something that listens on this port and works in this checkout's data, as its stand-ins do."""
    own_mark(settings)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], cwd=settings.data, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield
        assert process.stdin is not None
        process.stdin.close()


def test_a_port_that_is_free_is_used_as_wished_and_nothing_is_said(tmp_path: Path) -> None:
    wish = redis_at(free_ports(1)[0])
    here, _ = checkouts(tmp_path, wish)
    assert foreseen([wish], here) == Placement()
    assert not here.data.exists(), "a look writes nothing"


def test_in_the_place_of_another_checkouts_port_the_same_free_one_is_chosen_each_time(tmp_path: Path) -> None:
    wanted = free_ports(1)[0]
    wish = redis_at(wanted)
    here, there = checkouts(tmp_path, wish)
    with serving(there, wanted):
        first = foreseen([wish], here)
        assert foreseen([wish], here) == first
        assert foreseen([wish], there) == Placement(), "it is its own"
    used = first.ports[wanted]
    assert LOWEST <= used < LOWEST + COUNT
    said = f"redis: port {wanted} is held by the stand-in of {there.root}; port {used} is used instead"
    assert first.why == {"redis": said}


def test_a_port_that_a_person_typed_is_never_moved(tmp_path: Path) -> None:
    wanted = free_ports(1)[0]
    typed = service("redis", f"redis://:pw@localhost:{wanted}/0")
    here, there = checkouts(tmp_path, typed)
    with serving(there, wanted):
        assert foreseen([typed], here) == Placement()


def test_what_nobody_started_is_used_where_it_may_be_shared_and_else_given_way_to(tmp_path: Path) -> None:
    with listening() as wanted:
        own, shared = redis_at(wanted), redis_at(wanted, shared=True)
        here, _ = checkouts(tmp_path, own)
        moved = foreseen([own], here)
        assert set(moved.ports) == {wanted}
        assert f"redis: port {wanted} is held by " in moved.why["redis"]
        assert foreseen([shared], here) == Placement(), "only a start asks it"


async def test_a_server_that_may_be_shared_but_is_not_what_is_wanted_is_given_way_to_at_the_start(
    tmp_path: Path,
) -> None:
    with listening() as wanted:
        shared = redis_at(wanted, shared=True)
        here, _ = checkouts(tmp_path, shared)
        here = replace(here, deadlines=replace(here.deadlines, fallback_activation_s=0.3))
        async with placed([shared], here) as placement:
            assert set(placement.ports) == {wanted}
            assert read_ports(here.data) == placement.ports


def test_services_of_one_wished_port_stay_together_and_no_other_services_port_is_taken(tmp_path: Path) -> None:
    wanted = free_ports(1)[0]
    pair = (redis_at(wanted), replace(redis_at(wanted), name="queue"))
    here, there = checkouts(tmp_path, *pair)
    with serving(there, wanted):
        (used,) = foreseen(pair, here).ports.values()
        # The chosen one is named by a third service: it is left to that one.
        third = replace(redis_at(used), name="cache")
        crowded = replace(here, services=(*pair, third))
        assert foreseen(pair, crowded).ports[wanted] not in (wanted, used)


def test_a_port_of_before_that_is_no_longer_ours_is_chosen_anew_and_others_are_kept(tmp_path: Path) -> None:
    wanted, other = free_ports(2)
    wish = redis_at(wanted)
    here, _ = checkouts(tmp_path, wish)
    here.data.mkdir()
    write_ports(here.data, {wanted: 20_001, other: 20_002})
    assert foreseen([wish], here).ports == {other: 20_002}


@pytest.mark.skipif(sys.platform != "linux", reason="names of the kernel are Linux'")
async def test_of_two_that_start_at_the_same_moment_one_has_the_port_and_the_other_gives_way(tmp_path: Path) -> None:
    wanted = free_ports(1)[0]
    wish = redis_at(wanted)
    here, there = checkouts(tmp_path, wish)
    async with placed([wish], here) as first, placed([wish], there) as second:
        assert first == Placement()
        assert set(second.ports) == {wanted}
        assert "held by another checkout, which is starting its stand-ins" in second.why["redis"]
        # Another process of the same checkout is not another checkout.
        async with placed([wish], here) as again:
            assert again == Placement()
    async with placed([wish], there) as alone:
        assert alone == Placement(), "nothing is held after the start"
    assert not (there.data / "ports.json").exists()


def test_a_lone_port_file_of_a_foreign_shape_moves_nothing(tmp_path: Path) -> None:
    wish = redis_at(free_ports(1)[0])
    here, _ = checkouts(tmp_path, wish)
    here.data.mkdir()
    (here.data / "ports.json").write_text(json.dumps({"x": 1}))
    assert foreseen([wish], here) == Placement()
