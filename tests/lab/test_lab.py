"""The lab: a staging that is real, breaks by the timetable, and leaves nothing behind however it ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from resilience.core.errors import RunbookError, UsageError
from resilience.core.kind import Kind
from resilience.core.mode import decide
from resilience.core.records import ConnectivityStatus, FaultCode, Incident, Observation
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.lab import Lab, load_scenario, scenario_names, serve
from resilience.lab.differences import differences
from resilience.lab.lab import PROJECT
from resilience.lab.proxy import Dial, Mode
from resilience.lab.scenario import CONTROL, SERVICES, At, Step
from resilience.runs import runbook
from resilience.runs.configuration import load_settings
from resilience.services.looking import ProbeContext, control, probe_all

BUGS = {
    "tests/integration/test_a_orders.py::test_revenue_leaves_out_cancelled_orders",
    "tests/unit/test_pricing.py::test_an_invoice_abroad_has_no_vat",
}


async def look(lab: Lab) -> dict[str, Observation]:
    async with ProbeContext() as context:
        services = [service for service in lab.settings.services if service.configured]
        seen = await probe_all(services, context=context)
        controls = await control(lab.settings.control_targets, context=context)
    return {**{found.name: found for found in seen}, CONTROL: controls[0]}


async def faults(lab: Lab) -> dict[str, FaultCode]:
    return {name: seen.fault.code for name, seen in (await look(lab)).items() if seen.fault}


async def until(condition: object, timeout_s: float = 5.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.01)


def revealed(settings: Settings) -> str:
    """A digest of everything in the settings, secrets included."""

    def plain(value: object) -> object:
        if isinstance(value, Secret):
            return value.reveal()
        if isinstance(value, Kind):
            return value.name
        if isinstance(value, dict):
            return {str(key): plain(entry) for key, entry in value.items()}
        if isinstance(value, tuple):
            return [plain(entry) for entry in value]
        if hasattr(value, "__dataclass_fields__"):
            return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
        return str(value)

    return hashlib.sha256(json.dumps(plain(settings), sort_keys=True).encode()).hexdigest()


REVEAL = """
import os, sys
sys.path.insert(0, sys.argv[1])
from test_lab import revealed
from resilience.runs.configuration import load_settings
print(revealed(load_settings()), load_settings(os.environ["RESILIENCE_CONFIG"]).drill)
"""


async def test_the_main_drill_from_health_to_recovery(lab: Lab) -> None:
    """Well at first; then a database that is a black hole, a backend that misses it, Redis gone for a while; then well."""
    assert await faults(lab) == {}
    (step,) = lab.scenario.at(At.DURING_TESTS)
    assert step.for_tests
    step = replace(step, for_s=0.05)
    lab.scenario = replace(lab.scenario, steps=(*lab.scenario.at(At.OUTAGE), step))
    await lab.begin_outage()
    assert await faults(lab) == {"database": FaultCode.TCP_TIMEOUT, "backend_api": FaultCode.APP_OVERLOAD}

    lab.signals.mkdir(parents=True)
    (lab.signals / "run_tests.started").touch()
    await until(lambda: lab.staging.doors["redis"].dial.mode is Mode.HEALTHY)
    begun = lab.folder / ".lab" / "begun"
    begin = iter(range(100))

    def begins(name: str = "") -> None:
        with begun.open("a") as file:
            file.write(f"{name or f'tests/test_x.py::test_{next(begin)}'}\n")

    port = lab.staging.doors["redis"].port

    def knock() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            return True
        except ConnectionResetError:
            pass  # met in the very moment in which the door was shut
        return False

    for _ in range(20):
        begins()
        assert not await asyncio.to_thread(knock), "however many connections were made, its test has not begun"
    begins(f"tests/integration/{step.at_test}")
    await until(lambda: lab.staging.doors["redis"].dial.mode is Mode.REFUSE)
    assert await asyncio.to_thread(knock)
    for _ in range(10):
        assert await asyncio.to_thread(knock), "no test has met it, however long it lasted"
        await asyncio.sleep(0.02)
    for _ in range(step.for_tests + 1):
        begins()
    await until(lambda: lab.staging.doors["redis"].dial.mode is Mode.HEALTHY)
    (lab.signals / "run_tests.finished").touch()
    await until(lambda: any(event.what == "staging is repaired" for event in lab.events))
    assert await faults(lab) == {}
    assert [event.what for event in lab.events][:3] == ["database: black hole", "redis: refuse", "redis: healthy"]


async def test_another_process_gets_the_same_settings(lab: Lab) -> None:
    assert lab.settings.drill == "database-unavailable"
    assert [service.name for service in lab.settings.services] == [*SERVICES, "clickhouse"]
    assert [service.name for service in lab.settings.services if not service.configured] == ["clickhouse"]
    assert revealed(load_settings(lab.config, environ=lab.environ)) == revealed(lab.settings)
    seen = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", REVEAL, str(Path(__file__).parent)],
        env=lab.environ,
        cwd=lab.folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert seen.stdout.split() == [revealed(lab.settings), "database-unavailable"]


async def test_a_drill_touches_nothing_but_its_folder(lab: Lab) -> None:
    """Every path is below the folder, and stand-ins have ports of their own, not those of a real fallback."""
    s = lab.settings
    for path in (s.root, s.env_file, s.outputs, s.state, s.data, lab.signals, *s.profiles.values()):
        assert path.is_relative_to(lab.folder)
    ports = {value for service in s.services for name, value in service.local_values.items() if name.endswith("_PORT")}
    assert ports
    assert not ports & {"5435", "6382", "8126"}
    assert all(service.network == "vpc" for service in s.services if service.name in ("database", "redis"))


async def test_the_folder_is_its_own_root_even_inside_a_checkout(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "config").mkdir()
    async with Lab("healthy", tmp_path / "outputs" / "drill", environ=environ) as lab:
        assert lab.settings.root == (tmp_path / "outputs" / "drill").resolve()


async def test_the_persons_own_wishes_and_addresses_stay_outside(tmp_path: Path, environ: dict[str, str]) -> None:
    own = {"TEST_OFFLINE": "true", "DATABASE_URL": "postgresql://db.example/x", "POSTGRES_PORT": "1", "KEPT": "yes"}
    async with Lab("healthy", tmp_path / "lab", environ={**environ, **own}) as lab:
        assert not lab.settings.wishes.offline
        assert not {"TEST_OFFLINE", "DATABASE_URL", "POSTGRES_PORT"} & lab.environ.keys()
        assert lab.environ["KEPT"] == "yes"


async def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(RunbookError, match="is not empty"):
        async with Lab("healthy", tmp_path, environ=environ):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


async def test_an_unknown_scenario_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="staging-down"):
        Lab("staging-dwon", tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


async def test_the_shop_finds_its_two_bugs_and_nothing_else(tmp_path: Path, environ: dict[str, str]) -> None:
    """On a healthy staging the project's own pytest passes but for the two true product bugs."""
    async with Lab("healthy", tmp_path / "lab", environ=environ) as lab:
        run = await asyncio.to_thread(
            subprocess.run,
            ["bin/python", "-m", "pytest", "-q", "--tb=no", "-rfE", "-W", "error"],
            cwd=lab.folder,
            env=lab.environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        used = lab.connections()
    failed = {line.split()[1] for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))}
    assert failed == BUGS, run.stdout + run.stderr
    assert "45 passed, 1 skipped, 1 xfailed" in run.stdout
    assert all(used[name] for name in SERVICES)


async def test_the_timetable_waits_returns_and_ends_with_the_recovery(tmp_path: Path, environ: dict[str, str]) -> None:
    quick = Step(at=At.OUTAGE, services=("redis",), dial=Dial(mode=Mode.RESET), after_s=0.1, for_s=0.2)
    late = Step(at=At.OUTAGE, services=("websocket",), dial=Dial(mode=Mode.REFUSE), after_s=600)
    scenario = replace(load_scenario("healthy"), steps=(quick, late))
    async with Lab(scenario, tmp_path / "lab", environ=environ) as lab:
        redis, websocket = lab.staging.doors["redis"], lab.staging.doors["websocket"]
        await lab.at("outage")
        assert redis.dial.mode is Mode.HEALTHY
        await until(lambda: redis.dial.mode is Mode.RESET)
        await until(lambda: redis.dial.mode is Mode.HEALTHY)
        await lab.turn("websocket", Dial(mode=Mode.SILENT))
        await lab.at("recovered")
        assert websocket.dial.mode is Mode.HEALTHY
        told = [event.what for event in lab.events]
        assert told == ["redis: reset", "redis: healthy", "websocket: silent", "staging is repaired"]


async def test_by_hand_a_person_turns_the_dials(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["redis refuse", "status", "redis melted", "outage", "recovery", "", "quit", "never read"])
    said: list[str] = []
    monkeypatch.setenv("XDG_STATE_HOME", environ["XDG_STATE_HOME"])
    await serve("vpc-connector", tmp_path / "lab", say=said.append, ask=lambda: next(lines, None))
    text = "\n".join(said)
    assert "export RESILIENCE_CONFIG=" in text
    assert "redis: refuse" in said
    assert "'redis melted' is not known" in text
    assert {"database: black hole", "backend_api: black hole", "staging is repaired"} <= set(said)
    assert next(lines) == "never read"


@pytest.mark.slow
@pytest.mark.parametrize("name", scenario_names())
async def test_each_outage_is_diagnosed_as_its_scenario_says(
    tmp_path: Path, environ: dict[str, str], name: str
) -> None:
    """Real clients meet the faults, statuses, causes and mode that the scenario expects, and health before and after."""
    async with Lab(name, tmp_path / "lab", environ=environ) as lab:
        assert (await runbook.look(lab.settings)).overall_status is ConnectivityStatus.AVAILABLE
        await lab.begin_outage()
        health = await runbook.look(lab.settings)
        incident = Incident(
            run="r",
            slug="s",
            environment="staging",
            started_at=health.started_at,
            vantage=health.vantage,
            health=health,
            decision=decide(health, lab.settings.services, lab.settings.wishes, now=health.started_at),
        )
        expected = replace(
            lab.scenario.expect,
            verdict=None,
            exit_code=None,
            recovered=None,
            restored=None,
            tests={},
            product_failures=None,
        )
        assert differences(expected, incident) == []
        lasting = lab.scenario.at(At.RECOVERY)
        await lab.recover()
        assert lasting or await faults(lab) == {}


# Nothing is left


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def listening(ports: set[int]) -> set[int]:
    found = set()
    for port in ports:
        with socket.socket() as client:
            client.settimeout(0.5)
            if client.connect_ex(("127.0.0.1", port)) == 0:
                found.add(port)
    return found


class Boom(Exception):
    pass


@pytest.mark.parametrize("how", ["end", "error", "cancel"])
async def test_nothing_is_left_however_a_drill_ends(tmp_path: Path, environ: dict[str, str], how: str) -> None:
    before, tasks, began = children(), asyncio.all_tasks(), time.monotonic()
    ports: set[int] = set()

    async def drill() -> None:
        async with Lab("vpc-connector", tmp_path / "lab", environ=environ) as lab:
            ports.update(door.port for door in lab.staging.doors.values())
            ports.update(door.upstream[1] for door in lab.staging.doors.values())
            assert listening(ports) == ports
            await lab.begin_outage()
            if how == "error":
                raise Boom
            if how == "cancel":
                asyncio.current_task().cancel()  # type: ignore[union-attr]
                await asyncio.sleep(60)

    task = asyncio.create_task(drill())
    await asyncio.wait((task,))
    assert task.cancelled() if how == "cancel" else isinstance(task.exception(), Boom if how == "error" else type(None))
    assert children() == before
    assert listening(ports) == set()
    assert asyncio.all_tasks() == tasks
    assert time.monotonic() - began < 20


def test_the_project_ships_whole() -> None:
    wanted = {"pytest.ini", "db/schema.sql", "db/seed.sql", "db/prepare.py", "shop/orders.py", "tests/conftest.py"}
    assert {name for name in wanted if not (PROJECT / name).is_file()} == set()
