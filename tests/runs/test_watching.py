"""resilience.runs.watching: a watch tells each change once, over restarts and kills, and its troubles change nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import LockedError
from resilience.core.secret import Secret
from resilience.core.settings import AlertSettings, Settings
from resilience.runs.history import History
from resilience.runs.keeping import Keeping
from resilience.runs.watching import Watcher
from tests.kits.run_kit import change, settings_of
from tests.kits.servers.receiver import Receiver
from tests.kits.small_staging import SmallStaging


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def settings(team: Path, receiver: Receiver) -> Settings:
    found = settings_of(team)
    return replace(
        found,
        alerts=replace(found.alerts, webhook_url=Secret(f"{receiver.url}/hook"), timeout_s=2.0),
        watch=replace(found.watch, interval_s=0.01, confirm_s=0.01),
    )


async def rounds(settings: Settings, count: int) -> list[str]:
    """Watch for so many looks in a watcher of its own, as after a restart."""
    lines: list[str] = []
    await Watcher(settings, tell=lines.append).run(rounds=count)
    return lines


async def test_an_outage_is_told_once_over_restarts_and_its_end_once(
    settings: Settings, staging: SmallStaging, receiver: Receiver
) -> None:
    assert len(await rounds(settings, 2)) == 1
    staging.status = 503
    for _ in range(4):
        await rounds(settings, 1)
    with History(settings.outputs / "history.sqlite") as kept:
        assert kept.open_incident("staging") is not None
    staging.status = 200
    for _ in range(5):
        await rounds(settings, 1)
    ((key, alerts),) = receiver.by_key.items()
    assert [one["kind"] for one in alerts] == ["opened", "resolved"]
    assert [one["id"] for one in alerts] == [f"{key}/0", f"{key}/1"]
    with History(settings.outputs / "history.sqlite") as kept:
        assert kept.open_incident("staging") is None
        assert len(kept.incidents("staging")) == 1


async def test_a_second_outage_is_another_one(settings: Settings, staging: SmallStaging, receiver: Receiver) -> None:
    calm = replace(settings, watch=replace(settings.watch, up=(1, 1)))
    for status in (503, 503, 200, 200, 503, 503, 200, 200):
        staging.status = status
        await rounds(calm, 1)
    assert [[one["kind"] for one in alerts] for alerts in receiver.by_key.values()] == [["opened", "resolved"]] * 2


async def test_an_escalation_that_comes_with_the_first_message_is_printed_too(
    settings: Settings, staging: SmallStaging
) -> None:
    """Where nothing can be sent the lines are all that anybody sees."""
    staging.status = 503
    early = replace(
        settings, escalation=replace(settings.escalation, critical_down_minutes=0.0), alerts=AlertSettings()
    )
    lines = await rounds(early, 4)
    assert [line.split(" ", 2)[2].split(":")[0] for line in lines][-2:] == ["OPENED", "ESCALATE"]
    assert sum("ESCALATE" in line for line in lines) == 1


async def test_a_service_that_comes_and_goes_flaps_and_is_not_told_each_time(
    settings: Settings, staging: SmallStaging, receiver: Receiver
) -> None:
    """The watch tells its looks what flaps, and they answer differently then: that must not end the flapping."""
    dice = random.Random(1278)
    for _ in range(40):
        staging.status = 503 if dice.random() < 0.4 else 200
        await rounds(settings, 1)
    kinds = [body["kind"] for body in receiver.bodies]
    assert kinds[0] == "opened"
    assert len(kinds) <= 4


async def test_a_receiver_that_is_down_is_said_once_and_gets_all_in_order_when_it_is_back(
    settings: Settings, staging: SmallStaging, receiver: Receiver
) -> None:
    staging.status = 503
    receiver.faults = [500] * 8
    lines = await rounds(settings, 4)
    assert [line for line in lines if line.startswith("alert:")] == [
        "alert:webhook: the receiver answered 500; it waits in the outbox"
    ]
    staging.status = 200
    lines = await rounds(settings, 4)
    assert [one["kind"] for one in next(iter(receiver.by_key.values()))] == ["opened", "resolved"]
    with History(settings.outputs / "history.sqlite") as kept:
        assert Keeping(kept).waiting() == ()


async def test_a_lost_answer_sends_it_again_under_the_same_id(
    settings: Settings, staging: SmallStaging, receiver: Receiver
) -> None:
    staging.status = 503
    receiver.faults = ["lost"]
    await rounds(settings, 2)
    assert len(receiver.bodies) == 2
    assert receiver.bodies[0]["id"] == receiver.bodies[1]["id"]


async def test_nothing_is_sent_where_nothing_is_configured(
    settings: Settings, staging: SmallStaging, receiver: Receiver
) -> None:
    staging.status = 503
    bare = replace(settings, alerts=replace(settings.alerts, webhook_url=Secret("")))
    lines = await rounds(bare, 3)
    assert any("OPENED" in line for line in lines)
    assert receiver.got == []


async def test_an_unset_variable_is_said(settings: Settings) -> None:
    lacking = replace(settings, alerts=replace(settings.alerts, webhook_url=Secret(""), unset=("HOOK",)))
    assert "alerts: not set: HOOK" in await rounds(lacking, 2)


async def test_a_textfile_and_a_heartbeat_are_written_each_round(
    settings: Settings, staging: SmallStaging, receiver: Receiver
) -> None:
    beating = replace(settings.watch, heartbeat_url=Secret(f"{receiver.url}/beat"), textfile="metrics/resilience.prom")
    staging.status = 503
    await rounds(replace(settings, watch=beating), 2)
    text = (settings.root / "metrics" / "resilience.prom").read_text()
    assert 'probe_success{environment="staging",service="backend_api"} 0' in text
    assert 'resilience_watch_outage{environment="staging"} 1' in text
    assert [path for path, _, _ in receiver.got].count("/beat") == 2


async def test_a_second_watch_of_a_checkout_is_refused(settings: Settings) -> None:
    from resilience.host.lock import locked

    with locked(settings.state / "watch", "watch"), pytest.raises(LockedError):
        await rounds(settings, 1)


async def test_a_state_that_cannot_be_read_begins_anew(settings: Settings) -> None:
    settings.outputs.mkdir(exist_ok=True)
    with History(settings.outputs / "history.sqlite") as kept:
        Keeping(kept).keep({"watch:staging": "{"})
    assert any("begins anew" in line for line in await rounds(settings, 1))


async def test_a_password_in_what_a_service_said_is_not_sent(
    settings: Settings, staging: SmallStaging, receiver: Receiver
) -> None:
    staging.status = 503
    await rounds(replace(settings, secrets=(Secret("backend_api"),)), 2)
    assert "backend_api" not in str([body["text"] for body in receiver.bodies])


def test_the_wait_is_jittered_and_short_while_a_look_is_unconfirmed(settings: Settings) -> None:
    watcher = Watcher(replace(settings, watch=replace(settings.watch, interval_s=300, confirm_s=15)), tell=print)
    waits = {watcher.pause(False) for _ in range(50)}
    assert len(waits) > 10
    assert 270 <= min(waits) <= max(waits) <= 330
    assert watcher.pause(True) == 15


@pytest.mark.slow
def test_killed_ten_times_while_it_alerts_no_alert_is_lost_and_none_is_doubled(
    team: Path, staging: SmallStaging, receiver: Receiver
) -> None:
    change(
        team,
        "[runbook]\n",
        f'[alerts]\nwebhook_url = "{receiver.url}/hook"\n'
        '[watch]\ninterval_s = 0.05\nconfirm_s = 0.05\nup = "2 of 2"\n\n[runbook]\n',
    )
    command = [sys.executable, "-m", "resilience.cli", "watch", "--environment"]

    def watch(name: str, looks: int) -> None:
        words = [*command, name, "--rounds", str(looks)]
        done = subprocess.run(words, cwd=team, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr

    def kill_while_it_alerts(name: str) -> None:
        """Its next message is taken and not answered: it is killed between sending and marking."""
        got = len(receiver.bodies)
        receiver.faults = ["hang"]
        one = subprocess.Popen([*command, name], cwd=team, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while len(receiver.bodies) == got and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(one.pid, signal.SIGKILL)
        one.wait()
        receiver.released.set()
        receiver.released.clear()
        assert len(receiver.bodies) == got + 1

    for number in range(10):
        name = f"place-{number}"
        staging.status = 503
        if number % 2 == 0:
            kill_while_it_alerts(name)
        watch(name, 3)
        staging.status = 200
        if number % 2:
            kill_while_it_alerts(name)
        watch(name, 4)
    assert [[one["kind"] for one in alerts] for alerts in receiver.by_key.values()] == [["opened", "resolved"]] * 10
    sent = len(receiver.bodies)
    sys.stdout.write(f"\n10 kills: {sent} sent, {sent - 20} of them again, 20 by key and id\n")
    with History(team / "outputs" / "history.sqlite") as kept:
        assert Keeping(kept).waiting() == ()
