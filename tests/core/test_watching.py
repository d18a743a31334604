"""resilience.core.watching: only transitions are told, once, at most one message a look, and one resolve."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from resilience.core import codec
from resilience.core.alerts import Action, Alert, Severity
from resilience.core.records import Cause, CauseName, InfrastructureHealth, Notice
from resilience.core.settings import Maintenance, WatchSettings
from resilience.core.watching import Around, Followed, State, Step, Watch, flap_percent, follow, step
from tests.kits.records import AT, S, health

SETTINGS = WatchSettings()
AROUND = Around(settings=SETTINGS, issue="#1278")
WELL = health({})
DOWN = health({"database": S.UNAVAILABLE})
NOT_BELIEVED = replace(
    WELL,
    services=tuple(
        replace(one, status=S.DEGRADED, flapping=True) if one.name == "database" else one for one in WELL.services
    ),
)


def go(
    *looks: InfrastructureHealth, watch: Watch | None = None, around: Around = AROUND, every_s: float = 300
) -> list[Step]:
    """Take looks one after the other, the state written and read again between two, as over a restart."""
    steps, watch = [], watch or Watch()
    for number, seen in enumerate(looks):
        watch = codec.from_json(codec.to_json(watch), Watch)
        steps.append(step(watch, seen, around, AT + timedelta(seconds=number * every_s)))
        watch = steps[-1].watch
    return steps


def messages(steps: list[Step]) -> list[Alert]:
    return [one.alert for one in steps if one.alert is not None]


def test_a_staging_that_is_well_says_nothing() -> None:
    steps = go(*[WELL] * 50)
    assert messages(steps) == []
    assert not any(one.changes or one.soon for one in steps)


def test_one_bad_look_is_repeated_soon_and_is_nobodys_alarm() -> None:
    steps = go(WELL, WELL, WELL, DOWN, WELL, WELL, WELL)
    assert [one.soon for one in steps] == [False, False, False, True, False, False, False]
    assert messages(steps) == []


def test_two_bad_looks_of_three_are_an_outage_told_once_and_resolved_once() -> None:
    steps = go(WELL, DOWN, DOWN, DOWN, DOWN, WELL, WELL, WELL, WELL)
    assert [(alert.kind, alert.action) for alert in messages(steps)] == [
        ("opened", Action.TRIGGER),
        ("resolved", Action.RESOLVE),
    ]
    first, last = messages(steps)
    assert first.key == last.key == "resilience/staging/20261122T032407.000Z"
    assert (first.id, last.id) == (f"{first.key}/0", f"{first.key}/1")
    assert first.severity is Severity.CRITICAL
    assert first.title == "staging outage: database"
    assert "database: up → down (connect time-out" in first.text
    assert first.issue == "#1278"


def test_a_watch_that_begins_in_an_outage_confirms_it_and_alerts_within_a_minute() -> None:
    steps = go(DOWN, DOWN, every_s=SETTINGS.confirm_s)
    assert steps[0].soon
    assert [alert.at - AT for alert in messages(steps)] == [timedelta(seconds=15)]


@pytest.mark.parametrize(("down", "looks"), [((1, 1), 1), ((2, 3), 2), ((3, 5), 3), ((4, 5), 4)])
def test_k_of_n_bad_looks_are_down(down: tuple[int, int], looks: int) -> None:
    steps = go(*[DOWN] * 5, around=replace(AROUND, settings=replace(SETTINGS, down=down)), every_s=15)
    assert steps.index(next(one for one in steps if one.alert)) == looks - 1
    assert messages(steps)[0].at - AT <= timedelta(seconds=60)


def test_follow_ups_are_bounded_where_nothing_is_decided() -> None:
    around = replace(AROUND, settings=replace(SETTINGS, down=(3, 3)))
    steps = go(WELL, *[DOWN, WELL] * 1, DOWN, WELL, around=around)
    assert [one.soon for one in steps] == [False, True, False, True, False]


def test_a_degraded_service_is_a_warning_of_its_own() -> None:
    slow = health({"redis": S.DEGRADED})
    steps = go(WELL, slow, slow, health({"redis": S.UNAVAILABLE}), health({"redis": S.UNAVAILABLE}))
    assert [(one.kind, one.severity) for one in messages(steps)] == [
        ("opened", Severity.WARNING),
        ("changed", Severity.ERROR),
    ]


def test_what_is_not_known_changes_nothing() -> None:
    steps = go(DOWN, DOWN, *[health({"database": S.UNKNOWN})] * 5)
    assert len(messages(steps)) == 1
    assert steps[-1].watch.services["database"].state is State.DOWN


def test_one_message_a_look_with_what_is_under_the_same_cause_muted_and_recorded() -> None:
    cause = Cause(
        cause=CauseName.VPC_CONNECTOR, services=("database", "redis", "backend_api"), evidence=(), next="ask for it"
    )
    ill = health(dict.fromkeys(("database", "redis", "backend_api"), S.UNAVAILABLE), causes=(cause,))
    steps = go(WELL, ill, ill)
    (alert,) = messages(steps)
    assert [(change.service, change.muted) for change in steps[-1].changes] == [
        ("database", False),
        ("redis", True),
        ("backend_api", True),
    ]
    assert alert.text.splitlines()[0].startswith("database: up → down")
    assert alert.text.splitlines()[1] == "with it: redis, backend_api"
    assert set(alert.services) == {"database", "redis", "backend_api"}
    assert "likely cause: VPC connector" in alert.text


def test_nagios_weights_the_newest_change_most() -> None:
    assert flap_percent("") == flap_percent("+") == flap_percent("+" * 30) == 0
    assert flap_percent("+-" * 11) == pytest.approx(100)
    assert flap_percent("+" * 20 + "-") == pytest.approx(6.25)
    assert flap_percent("-" + "+" * 20) == pytest.approx(3.75)


def test_flapping_is_one_state_that_ends_when_it_is_calm() -> None:
    followed, states = Followed(looks="+" * 21, state=State.UP), []
    for sign in "-+-+-+" + "+" * 25:
        followed = follow(followed, sign, SETTINGS, AT)
        states.append(followed.state)
    assert states.count(State.FLAPPING) > 10
    assert states[-1] is State.UP
    changes = sum(a is not b for a, b in pairwise(states))
    assert changes <= 3


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_a_service_that_fails_at_random_for_1000_looks_sends_few_messages(share: float) -> None:
    dice = random.Random(1278)
    looks = [DOWN if dice.random() < share else WELL for _ in range(1000)]
    around = replace(AROUND, settings=replace(SETTINGS, reminder_minutes=0))
    told = messages(go(*looks, around=around))
    raw = sum(a is not b for a, b in pairwise(looks))
    assert raw > 300
    assert len(told) <= 30
    assert sum(one.kind == "resolved" for one in told) <= sum(one.kind == "opened" for one in told)


def test_an_outage_ends_though_its_service_was_taken_out_of_the_configuration_meanwhile() -> None:
    opened = go(DOWN, DOWN)[-1].watch
    rest = replace(WELL, services=tuple(one for one in WELL.services if one.name != "database"))
    for looked in (rest, health({"database": S.NOT_CONFIGURED})):
        steps = go(looked, looked, watch=opened)
        assert [alert.kind for alert in messages(steps)] == ["resolved"]
        assert [change.line for one in steps for change in one.changes] == [
            "database: down → unknown (followed no longer)"
        ]


@pytest.mark.parametrize("share", [0.1, 0.4, 0.6])
def test_a_flapping_service_stays_so_though_looks_call_its_good_answers_degraded(share: float) -> None:
    """A look that is told that a service flaps does not believe its good answers; that is no finding of its own."""
    dice, watch, told = random.Random(1278), Watch(), []
    for number in range(1000):
        flaps = watch.services.get("database", Followed()).state is State.FLAPPING
        seen = DOWN if dice.random() < share else NOT_BELIEVED if flaps else WELL
        around = replace(AROUND, settings=replace(SETTINGS, reminder_minutes=0))
        taken = step(watch, seen, around, AT + timedelta(seconds=number * 300))
        watch = taken.watch
        told += [taken.alert] if taken.alert else []
    assert 0 < len(told) <= 45


def test_a_service_that_flapped_and_is_calm_is_up_and_never_degraded() -> None:
    flapping = Watch(services={"database": Followed(looks="+-" * 10, state=State.FLAPPING)}, key="k", opened_at=AT)
    steps = go(*[NOT_BELIEVED] * 21, watch=flapping)
    assert [change.after for one in steps for change in one.changes] == [State.UP]
    assert [alert.kind for alert in messages(steps)] == ["resolved"]


def test_a_change_on_a_good_look_does_not_give_the_look_as_its_reason() -> None:
    slow = health({"database": S.DEGRADED})
    steps = go(WELL, DOWN, DOWN, slow, WELL)
    assert [change.line for one in steps for change in one.changes][-1] == "database: down → degraded"


NOTICE = Notice(at=AT, reason="critical services down for 31 minutes", whom="", rule="critical_down", text="t")


def test_an_escalation_is_told_once_and_not_while_it_is_quiet() -> None:
    opened = go(DOWN, DOWN)[-1].watch
    quiet = replace(AROUND, notices=(replace(NOTICE, quiet="acknowledged by ana"),))
    assert messages(go(DOWN, DOWN, watch=opened, around=quiet)) == []
    loud = replace(AROUND, notices=(NOTICE,))
    (alert,) = messages(go(DOWN, DOWN, DOWN, watch=opened, around=loud))
    assert alert.kind == "escalated"
    told = [one.escalated for one in go(DOWN, DOWN, DOWN, watch=opened, around=loud)]
    assert told == [(NOTICE,), (), ()]
    assert [one.escalated for one in go(DOWN, DOWN, DOWN, around=loud)] == [(), (NOTICE,), ()]
    assert "ESCALATE: critical services down for 31 minutes" in alert.text


def test_reminders_come_each_hour_and_not_once_it_is_acknowledged() -> None:
    steps = go(*[DOWN] * 40)
    assert [one.kind for one in messages(steps)] == ["opened", "reminder", "reminder", "reminder"]
    taken = go(*[DOWN] * 40, watch=steps[1].watch, around=replace(AROUND, acknowledged=True))
    assert messages(taken) == []


def test_maintenance_is_recorded_in_silence_and_told_when_it_is_over_and_the_service_still_down() -> None:
    window = Maintenance(since=AT, until=AT + timedelta(minutes=22), services=("database",))
    around = replace(AROUND, maintenance=(window,))
    steps = go(WELL, *[DOWN] * 7, around=around)
    assert [bool(one.changes) for one in steps] == [False, False, True] + [False] * 5
    (alert,) = messages(steps)
    assert (alert.kind, alert.at) == ("opened", AT + timedelta(minutes=25))
    assert "database: up → down" in alert.text
    calm = go(WELL, DOWN, DOWN, WELL, WELL, WELL, around=around, every_s=60)
    assert messages(calm) == []
