"""Of looks in a row each says what is new in it, and nothing else."""

from __future__ import annotations

from dataclasses import replace

from resilience.cli.changes import Changes
from resilience.core.records import ConnectivityStatus as S, InfrastructureHealth
from tests.kits.records import AT, health

AT_ = f"{AT:%Y-%m-%d %H:%M:%SZ}"
WELL, ILL = health({}), health({"redis": S.UNAVAILABLE})


def test_the_first_look_is_the_headline_and_one_like_it_says_nothing() -> None:
    changes = Changes()
    (line,) = changes.lines(WELL)
    assert line.startswith(f"{AT_} STAGING: UP")
    assert changes.lines(WELL) == []


def test_a_changed_status_is_told_with_its_fault_and_the_new_headline_behind_it() -> None:
    changes = Changes()
    changes.lines(WELL)
    change, headline = changes.lines(ILL)
    assert change.startswith(f"{AT_} redis: available → unavailable (")
    assert headline.startswith(f"{AT_} STAGING: ")
    assert "redis" in headline
    back, _ = changes.lines(WELL)
    assert back.startswith(f"{AT_} redis: unavailable → available")


def test_a_service_that_is_no_longer_looked_at_changes_the_headline() -> None:
    changes = Changes()
    changes.lines(WELL)
    (line,) = changes.lines(replace(WELL, services=WELL.services[:1]))
    assert "STAGING: " in line


def test_a_service_that_comes_and_goes_flaps_and_the_next_look_knows_it() -> None:
    changes = Changes()
    told = [line for look in (WELL, ILL) * 8 for line in changes.lines(look)]
    assert changes.flapping == ("redis",)
    assert any("redis: " in line and line.endswith("→ flapping") for line in told)


def test_several_bad_looks_in_a_row_are_told_once_as_down() -> None:
    changes = Changes()
    looks: list[InfrastructureHealth] = [WELL] * 3 + [ILL] * 6
    told = [line for look in looks for line in changes.lines(look)]
    assert [line for line in told if line.endswith("→ down")] == [f"{AT_} redis: up → down"]
