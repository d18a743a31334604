"""What a kind does not say of its stand-ins is answered with "it cannot", and what it says is found by its record."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import StandInError
from resilience.core.kind import Kind
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.mocking import Imitation
from resilience.services.registry import BUILT_IN, resolve
from resilience.services.standing_in import MockedStandIns, Owner, StandIns, emptied, major, stand_ins_of
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.ground import SupervisedGround
from tests.kits.queue_kind import QUEUE
from tests.kits.stand_in_kit import settings_for


@pytest.mark.parametrize("kind", [kind for kind in BUILT_IN if kind.doubles], ids=lambda kind: kind.name)
def test_every_kind_with_a_stand_in_has_what_its_record_names(kind: Kind) -> None:
    found = stand_ins_of(kind)
    assert type(found) is not StandIns
    assert isinstance(found, MockedStandIns) is kind.is_mocked
    if isinstance(found, MockedStandIns):
        assert all(issubclass(resolve(dotted), Imitation) for dotted in found.mocks.values())


async def test_a_kind_without_one_can_nothing_and_says_so() -> None:
    one = Service(name="jobs", kind=QUEUE, local=Secret("queue://u:p@localhost:7/x"), headers={"X-Token": Secret("t")})
    place, found = endpoint(one), stand_ins_of(QUEUE)
    assert type(found) is StandIns
    assert found.offer(place) is None
    assert await found.owner(place) == Owner(version="", address=None)
    assert await found.count(one, place) is None
    assert await found.gaps(place, {"extensions": "postgis 3.4"}) == ()
    with pytest.raises(StandInError, match="type queue cannot be asked a ready_query"):
        await found.ask(place, "x")
    # What staging is told is told to nobody else, and the look writes nothing.
    asked = found.probed(one, place)
    assert asked.local.reveal() == "queue://u:p@127.0.0.1:7/x"
    assert asked.headers == {}
    assert not asked.write_check


@pytest.mark.parametrize(("version", "first"), [("16.4 (Debian)", 16), ("9", 9), ("", 0), ("v2.1", 0), (" 7.2", 7)])
def test_the_major_version_is_the_first_number(version: str, first: int) -> None:
    assert major(version) == first


async def test_data_are_thrown_away_only_where_fresh_ones_are_wanted(tmp_path: Path) -> None:
    settings, data = settings_for(tmp_path, []), tmp_path / "kept"
    for fresh in (False, True):
        data.mkdir(exist_ok=True)
        await emptied(SupervisedGround(settings, fresh=fresh), "x", data)
        assert data.exists() is not fresh
