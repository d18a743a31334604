"""Looks at services say how they were when something failed."""

from __future__ import annotations

from resilience.core.records import FaultCode
from resilience.suite.looks import Look, Looks, deep_enough, explains
from resilience.suite.signs import PATH, WRITES, Reading, Said


def red(at: float, fault: FaultCode = FaultCode.TCP_REFUSED) -> Look:
    return Look(service="database", at=at, red=True, fault=fault)


def green(at: float, started: str = "", depth: str = "") -> Look:
    return Look(service="database", at=at, red=False, well=True, started=started, depth=depth)


def slow(at: float) -> Look:
    return Look(service="database", at=at, red=False, well=True, degraded=True, fault=FaultCode.APP_SLOW)


def test_a_red_look_in_the_window_wins_over_a_nearer_green_one_and_one_outside_says_nothing() -> None:
    looks = Looks([green(10.0), red(12.0)])
    assert looks.red("database", 9.5, 10.5, 5.0, None) == red(12.0)
    assert looks.green("database", 9.5, 10.5, 5.0, None) == green(10.0)
    assert looks.red("database", 0.0, 1.0, 5.0, None) is None
    assert looks.red("redis", 9.5, 10.5, 5.0, None) is None


def test_where_nobody_looked_meanwhile_the_looks_on_both_sides_say_how_it_was() -> None:
    """On a busy machine the next look came 17 s later: a deadline beside a server slow before and after was the product's."""
    late = Reading(said=Said.SIGN, code=FaultCode.PROTO_SILENT)
    looks = Looks([slow(10.0), slow(40.0)])
    looks.since = 12.0
    assert late.deadline
    assert looks.red("database", 20.0, 25.0, 2.0, late) == slow(10.0)
    assert looks.red("database", 20.0, 35.0, 2.0, late) == slow(40.0)
    assert looks.red("database", 20.0, 25.0, 2.0, None) is None, "a slow server explains no assertion"
    assert looks.red("database", 41.0, 42.0, 0.5, late) is None, "only one side"
    assert Looks([slow(10.0), green(40.0)]).red("database", 20.0, 25.0, 2.0, late) is None
    assert Looks([slow(10.0), green(18.5), slow(40.0)]).red("database", 20.0, 25.0, 2.0, late) is None
    assert Looks([slow(10.0), green(22.0), slow(40.0)]).red("database", 20.0, 25.0, 2.0, late) is None


def test_what_was_red_before_a_round_counts_no_more_in_it_but_is_remembered() -> None:
    looks = Looks([red(10.0)])
    looks.since = 11.0
    assert looks.red("database", 11.0, 12.0, 5.0, None) is None
    assert looks.was_unwell("database", 12.0) == red(10.0)


def test_looks_are_kept_in_the_order_of_their_times() -> None:
    looks = Looks([green(3.0)])
    looks.add(red(1.0))
    assert [look.at for look in looks] == [1.0, 3.0]
    assert looks.last("database") == green(3.0)
    assert looks.before("database", 2.0) == red(1.0)
    assert looks.after("database", 2.0) == green(3.0)


def test_two_starts_of_the_server_are_a_restart_only_once_both_were_seen() -> None:
    looks = Looks([green(1.0, started="a"), green(5.0, started="b")])
    assert not looks.restarted("database", 4.0)
    assert looks.restarted("database", 5.0)


def test_a_refused_write_may_explain_a_failure_that_says_nothing_of_the_far_side() -> None:
    """The code under test may have swallowed it; a sign of anything else than a write is not explained by it."""
    assert explains(red(1.0, FaultCode.APP_READONLY), None)
    assert explains(red(1.0), None)
    assert not explains(green(1.0), None)


def test_any_green_look_speaks_against_a_failure_without_a_depth() -> None:
    assert deep_enough(green(1.0), None)
    assert deep_enough(green(1.0, depth=PATH), None)
    assert deep_enough(green(1.0, depth=WRITES), None)
