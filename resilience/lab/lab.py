"""Turn a scenario into a drill's world: a staging, a project to test, settings, and an outage by the timetable."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import json
import os
import secrets
import shutil
import stat
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from resilience.core.errors import RunbookError
from resilience.core.records import EventKind, TimelineEvent
from resilience.core.settings import Settings
from resilience.core.variables import APPLIED, GUIDE
from resilience.host.free_ports import free_port
from resilience.lab.proxy import Dial, Mode
from resilience.lab.reaper import Reaper
from resilience.lab.scenario import CONTROL, NETWORK, NETWORK_SERVICES, At, Scenario, Step
from resilience.lab.scenario_file import load_scenario
from resilience.lab.staging import Staging
from resilience.runs.configuration import load_settings

T = TypeVar("T")

PROJECT = Path(__file__).with_name("project")
_POLL_S = 0.05
_WISHES = (
    *(row.name for row in GUIDE),
    *(APPLIED, "RESILIENCE_CONFIG", "RESILIENCE_STATE", "RESILIENCE_DRILL"),
)
_ADDRESSES = (
    *("DATABASE_URL", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB"),
    *("REDIS_URL", "BACKEND_URL", "AUTH_SERVICE_URL", "WEBSOCKET_URL", "LLM_URL"),
    *("CLICKHOUSE_URL", "CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_USER", "CLICKHOUSE_PASSWORD"),
    *("CLICKHOUSE_DB",),
)


class Lab:
    """The drill's world in `folder`, which must be new or empty; outside of it only a template of data is kept.

    It runs on a thread of its own, so that whatever blocks the caller's loop (notebooks do) holds up no server and no
    timetable. `settings` are those of `config`; another process gets the same ones with `environ`. The watcher turns
    the dials when the runbook leaves `run_tests.started` and `run_tests.finished` in `signals`.

    Servers, proxies and the project are real, on 127.0.0.1 and on free ports; nothing of the person's own
    configuration, env files or running stand-ins is read or touched. A process that is killed is cleaned up after by
    the reaper.

    For example:

        async with Lab("database-unavailable", folder) as lab:
            await lab.begin_outage()
    """

    def __init__(
        self,
        scenario: Scenario | str,
        folder: Path,
        *,
        environ: Mapping[str, str] | None = None,
        on_event: Callable[[TimelineEvent], None] | None = None,
    ) -> None:
        """Prepare the lab; `async with` starts it.

        `environ`: what the drill's processes inherit, the guide's wishes and all addresses of services left out.
        `on_event`: called from the lab's thread with whatever the lab does.
        """
        self.scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
        self.folder = folder.resolve()
        self.config = self.folder / "resilience.toml"
        self.signals = self.folder / ".resilience" / "state" / "signals"
        self.events: list[TimelineEvent] = []
        """What the lab did, in order."""
        self.settings: Settings
        given = os.environ if environ is None else environ
        self.environ = {
            **{name: value for name, value in given.items() if name not in _WISHES and name not in _ADDRESSES},
            **self.scenario.environment,
            "RESILIENCE_CONFIG": str(self.config),
            "RESILIENCE_STATE": str(self.folder / ".resilience" / "state"),
            "RESILIENCE_DRILL": self.scenario.name,
        }
        """The whole environment for processes of this drill; the person's own wishes and addresses are left out."""
        self.cache = _cache(given)
        self.staging = Staging(
            self.folder / ".lab",
            self.scenario.all_services,
            sql=(PROJECT / "db" / "schema.sql", PROJECT / "db" / "seed.sql"),
            cache=self.cache,
        )
        self._on_event = on_event
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._reaper: Reaper | None = None
        self._running: set[asyncio.Task[None]] = set()
        self._called: set[asyncio.Task[Any]] = set()
        self._happened: set[At] = set()

    async def __aenter__(self) -> Lab:
        self._write_project()
        self._open_thread()
        try:
            self._reaper = Reaper(self.folder, self.environ)
            await self._call(self.staging.start())
            self._write_configuration()
            self.settings = load_settings(self.config, cwd=self.folder, environ=self.environ)
            await self._call(self._start_watching())
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        # Not awaited: a second Ctrl-C must not cut the cleaning short.
        self.close()

    def close(self) -> None:
        """End servers, proxies and the thread; the folder stays for its owner to remove. Safe to call again.

        It may block for up to 40 s, and is also called at the interpreter's end.
        """
        atexit.unregister(self.close)
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None:
            return
        stopped = asyncio.run_coroutine_threadsafe(self._stop(), loop)
        try:
            stopped.result(timeout=30)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(timeout=10)
            if self._reaper is not None:
                self._reaper.dismiss()

    async def at(self, moment: At | str) -> None:
        """Let a moment of the timetable come, once: what has no delay has happened when this returns.

        "recovered" is read as recovery. Raises RunbookError where the lab is closed, ValueError for an unknown
        moment.
        """
        await self._call(self._at(At("recovery" if moment == "recovered" else moment)))

    async def begin_outage(self) -> None:
        await self.at(At.OUTAGE)

    async def recover(self) -> None:
        """End all faults, and what of the timetable is still to come."""
        await self.at(At.RECOVERY)

    def again(self, moment: At) -> None:
        """Let a moment that has been come once more."""
        self._happened.discard(moment)

    async def turn(self, service: str, dial: Dial) -> None:
        """Turn one dial by hand.

        Raises KeyError for a service that the lab has not.
        """
        await self._call(self._turn(service, dial))

    def connections(self) -> dict[str, int]:
        """Return how many connections each service of staging has been given so far."""
        return {name: door.accepted for name, door in self.staging.doors.items()}

    def tests_begun(self) -> list[str]:
        """Return the ids of the shop's tests that have begun so far, as its conftest notes them."""
        try:
            return (self.folder / ".lab" / "begun").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []

    # The thread

    def _open_thread(self) -> None:
        loop = asyncio.new_event_loop()

        def run() -> None:
            asyncio.set_event_loop(loop)
            try:
                loop.run_forever()
            finally:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
                loop.close()

        self._loop = loop
        self._thread = threading.Thread(target=run, name="lab", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    async def _call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run work on the lab's own loop and await it on the caller's. Raises RunbookError where the lab is closed."""
        if self._loop is None:
            work.close()
            raise RunbookError("the lab is closed.", hint="async with Lab(…) as lab: …")
        future: concurrent.futures.Future[T] = asyncio.run_coroutine_threadsafe(self._noted(work), self._loop)
        return await asyncio.wrap_future(future)

    async def _noted(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._called.add(task)
        try:
            return await work
        finally:
            self._called.discard(task)

    async def _stop(self) -> None:
        # What was called for may be starting servers still: it must have ended before they are stopped.
        await self._cancel((*self._called, *self._running))
        await self.staging.stop()

    async def _cancel(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        ended = [task for task in tasks if task is not asyncio.current_task()]
        for task in ended:
            task.cancel()
        await asyncio.gather(*ended, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        assert self._loop is not None
        task = self._loop.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    # The timetable

    async def _start_watching(self) -> None:
        self._spawn(self._watch(), "watch")

    async def _watch(self) -> None:
        """Follow the runbook by the marks it leaves; where no tests were run, recovery comes when it is looked for."""
        while At.RECOVERY not in self._happened:
            if (self.signals / "run_tests.started").exists() and At.DURING_TESTS not in self._happened:
                await self._at(At.DURING_TESTS)
            if any((self.signals / name).exists() for name in ("run_tests.finished", "validate_recovery.started")):
                await self._at(At.RECOVERY)
            await asyncio.sleep(_POLL_S)

    async def _at(self, moment: At) -> None:
        """Turn the dials of a moment that has no delay, and follow the other steps in tasks of their own.

        Each moment comes once.

        At the recovery what is still to come is cancelled first, and every dial turned back.
        """
        if moment in self._happened:
            return
        self._happened.add(moment)
        if moment is At.RECOVERY:
            await self._cancel(task for task in self._running if task.get_name() == "step")
            await self.staging.recover()
            self._tell("staging is repaired", kind=EventKind.LAB_RECOVERY)
        steps = self.scenario.at(moment)
        now = [step for step in steps if not (step.after_s or step.after_connections or step.at_test)]
        await asyncio.gather(*(self._turn(service, step.dial) for step in now for service in step.services))
        for step in steps:
            if step not in now or step.for_s is not None:
                self._spawn(self._follow(step, begun=step in now), "step")

    async def _follow(self, step: Step, *, begun: bool) -> None:
        """Wait for the step's seconds, connections or test, turn its dials, and turn them back where it ends by itself.

        What hangs on tests holds on any machine: on a slow one seven connections were the runbook's own before the first test
        of Redis had begun, and three seconds were over before one had failed.
        """
        if not begun:
            await asyncio.sleep(step.after_s)
            if step.after_connections:
                door = self.staging.doors[step.services[0]]
                enough = door.accepted + step.after_connections
                while door.accepted < enough:  # noqa: ASYNC110 - the proxy knows nothing of timetables
                    await asyncio.sleep(0.005)
            while step.at_test and not any(one.endswith(step.at_test) for one in self.tests_begun()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            await asyncio.gather(*(self._turn(service, step.dial) for service in step.services))
        if step.for_s is not None:
            # The test that runs now may have passed already; the one behind the last has to begin for that one to have ended.
            enough = len(self.tests_begun()) + step.for_tests + 1 if step.for_tests else 0
            await asyncio.sleep(step.for_s)
            while len(self.tests_begun()) < enough:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)
            await asyncio.gather(*(self._turn(service, Dial()) for service in step.services))

    async def _turn(self, service: str, dial: Dial) -> None:
        await self.staging.set(service, dial)
        kind = EventKind.LAB_RECOVERY if dial.mode is Mode.HEALTHY else EventKind.LAB_FAULT
        self._tell(f"{service}: {dial.mode.value.replace('_', ' ')}", kind=kind)

    def _tell(self, what: str, *, kind: EventKind) -> None:
        event = TimelineEvent(at=datetime.now(UTC), what=what, detail=f"drill {self.scenario.name}", kind=kind)
        self.events.append(event)
        if self._on_event is not None:
            self._on_event(event)

    # The files

    def _write_project(self) -> None:
        """Copy the shop that is tested into the empty folder, with what makes it look like a repository of its own.

        Raises RunbookError where the folder holds anything.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if any(self.folder.iterdir()):
            raise RunbookError(f"the lab's folder {self.folder} is not empty.", hint="give it a new one")
        shutil.copytree(
            PROJECT, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache")
        )
        # Ends every search for a repository's root here: the drill must never find the real one above it.
        (self.folder / ".git").mkdir()
        (self.folder / "config").mkdir()
        (self.folder / ".lab").mkdir(mode=0o700)
        python = self.folder / "bin" / "python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n', encoding="utf-8")
        python.chmod(python.stat().st_mode | stat.S_IXUSR)

    def _write_configuration(self) -> None:
        """Write what a team's own repository would hold: a configuration, three profiles, and an env file in use.

        Ports and the password of the stand-ins are new each time, so that two drills never meet.
        """
        config = self.folder / "config"
        password = secrets.token_urlsafe(18)
        mocks = {name: free_port() for name in ("backend", "auth", "websocket", "llm")}
        profile = {
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(free_port()),
            "POSTGRES_USER": "shop",
            "POSTGRES_PASSWORD": password,
            "POSTGRES_DB": "shop",
            "REDIS_URL": f"redis://:{password}@127.0.0.1:{free_port()}/0",
            "BACKEND_URL": f"http://127.0.0.1:{mocks['backend']}",
            "AUTH_SERVICE_URL": f"http://127.0.0.1:{mocks['auth']}",
            "WEBSOCKET_URL": f"ws://127.0.0.1:{mocks['websocket']}/ws",
            "LLM_URL": f"http://127.0.0.1:{mocks['llm']}/v1",
            "TEST_RETRY_ATTEMPTS": "3",
            "TEST_RETRY_DELAY": "1",
            "FALLBACK_ACTIVATION_TIMEOUT": "10",
        }
        for name in (".env.test.resilient", ".env.test.local", ".env.test.minimal"):
            _write_env(config / name, profile, f"The shop's stand-ins; a drill writes this as {name}.")
        staging = self.staging.project_environment()
        _write_env(config / "staging.env", staging, "What the shop's tests use as long as nobody says otherwise.")
        _write_env(config / ".env.test.active", staging, "The shop's tests, on staging.\n# Restored to the byte later.")
        self.config.touch(mode=0o600)
        self.config.write_text(self._toml(), encoding="utf-8")

    def _toml(self) -> str:
        """Return the configuration. A service that the scenario has not is configured by a variable that is unset."""
        timing, url = self.scenario.timing, self.staging.url
        blocks = [
            "[runbook]",
            'environment = "staging"',
            'env_file = "config/.env.test.active"',
            "guide_variables = true",
            f"python = {_quote(sys.executable)}",
        ]
        for name in dict.fromkeys((*self.scenario.all_services, "clickhouse")):
            configured = name in self.staging.doors
            blocks += ["", "[[service]]", f'name = "{name}"', *_SERVICES[name]]
            blocks += [f"url = {_quote(url(name) if configured else '${STAGING_CLICKHOUSE_URL}')}"]
            blocks += [f"timeout_s = {timing.probe_timeout_s}", f"degraded_above_s = {timing.degraded_above_s}"]
            if name in NETWORK_SERVICES:
                blocks.append(f"network = {_quote(NETWORK)}")
        blocks += [
            "",
            *_MODES,
            "",
            "[recovery]",
            f"good = {timing.good}",
            f"interval_s = {timing.interval_s}",
            f"dwell_s = {timing.dwell_s}",
            "",
            "[control]",
            f"targets = [{_quote(url(CONTROL))}]",
        ]
        return "\n".join(blocks) + "\n"


_MODES = (
    "[modes.full]",
    'commands = ["bin/python -m pytest tests --tb=short -v"]',
    "[modes.degraded]",
    """commands = ['bin/python -m pytest tests --tb=short -v -m "not slow"']""",
    "[modes.offline]",
    """commands = ['bin/python -m pytest tests/unit tests/integration --tb=short -v -m "not slow"']""",
    "[modes.critical_only]",
    'commands = ["bin/python -m pytest tests --tb=short -v"]',
)

_SERVICES: Mapping[str, tuple[str, ...]] = {
    "database": (
        'type = "postgresql"',
        'local = "postgresql://${POSTGRES_USER}:${POSTGRES_PASSWORD}@${POSTGRES_HOST}:${POSTGRES_PORT}/${POSTGRES_DB}"',
        'exports = { DATABASE_URL = "{local}" }',
        'prepare = ["bin/python db/prepare.py"]',
        'ready_query = "select 1 from product limit 1"',
        "critical = true",
        'markers = ["real_database"]',
    ),
    "redis": (
        'type = "redis"',
        'local = "${REDIS_URL}"',
        'exports = { REDIS_URL = "{local}" }',
        'markers = ["real_redis"]',
    ),
    "backend_api": (
        'type = "http"',
        'local = "${BACKEND_URL}/health"',
        'exports = { BACKEND_URL = "http://{host}:{port}" }',
        'teach = ["traffic"]',
        'teach_routes = ["/shop/catalogue", "/shop/catalogue/LAMP"]',
        "critical = true",
        'depends_on = ["database", "redis", "auth_service"]',
        'markers = ["real_services"]',
    ),
    "auth_service": (
        'type = "http"',
        'local = "${AUTH_SERVICE_URL}/health"',
        'exports = { AUTH_SERVICE_URL = "http://{host}:{port}" }',
        'teach = ["traffic"]',
        'markers = ["real_auth"]',
    ),
    "websocket": (
        'type = "websocket"',
        'local = "${WEBSOCKET_URL}"',
        'exports = { WEBSOCKET_URL = "{local}" }',
        'echo = "resilience"',
        'markers = ["websocket"]',
    ),
    "llm_service": (
        'type = "openai"',
        'local = "${LLM_URL}"',
        'exports = { LLM_URL = "{local}" }',
        'markers = ["real_llm"]',
    ),
    "clickhouse": ('type = "clickhouse"', 'markers = ["clickhouse"]'),
}


def _quote(text: str) -> str:
    """Quote for TOML, whose basic strings take JSON's escapes."""
    return json.dumps(text)


def _write_env(path: Path, values: Mapping[str, str], comment: str) -> None:
    path.touch(mode=0o600)
    lines = [f"# {comment}", *(f"{name}={value}" for name, value in values.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _cache(environ: Mapping[str, str]) -> Path:
    """Return where the template of PostgreSQL's data is kept between drills (XDG state folder)."""
    state = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or Path.home()) / ".local" / "state")
    return Path(state) / "resilience" / "drills"


async def serve(scenario: str, folder: Path, *, say: Callable[[str], None], ask: Callable[[], str | None]) -> None:
    """Run the lab by hand: show what it is, and turn dials as the lines of `ask` say, until it gives None.

    `say` shows a line; `ask` blocks for the next line (it is called on a thread) and gives None at the end of input.

    `say` and `ask` keep the terminal out of here, so that a test can type. Raises UsageError for an unknown scenario.
    """
    async with Lab(scenario, folder, on_event=lambda event: say(event.what)) as lab:
        say(f"{lab.scenario.title}: staging is up; its configuration is {lab.config}")
        for name in ("RESILIENCE_CONFIG", "RESILIENCE_STATE", "RESILIENCE_DRILL"):
            say(f"export {name}={lab.environ[name]}")
        for name, door in lab.staging.doors.items():
            say(f"{name:<14} 127.0.0.1:{door.port}")
        say(f"type: outage, during_tests, recovery, status, SERVICE FAULT (faults: {', '.join(Mode)}), or quit")
        while (line := await _line(ask)) is not None:
            try:
                if not await _obey(lab, line.split(), say):
                    return
            except (ValueError, KeyError) as exc:
                say(f"{type(exc).__name__}: {exc}")


async def _line(ask: Callable[[], str | None]) -> str | None:
    """Return the next line. The thread is a daemon: one that waits for a keyboard must not hold up the end."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str | None] = loop.create_future()

    def give(line: str | None) -> None:
        if not answer.done():
            answer.set_result(line)

    def wait() -> None:
        try:
            line = ask()
        except (EOFError, KeyboardInterrupt):
            line = None
        with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
            loop.call_soon_threadsafe(give, line)

    threading.Thread(target=wait, name="lab-input", daemon=True).start()
    return await answer


async def _obey(lab: Lab, words: list[str], say: Callable[[str], None]) -> bool:
    """Do what a line says; False for quit."""
    match words:
        case []:
            pass
        case ["quit" | "exit"]:
            return False
        case ["outage" | "during_tests" | "recovery" as moment]:
            lab.again(At(moment))
            await lab.at(moment)
        case ["status"]:
            for name, door in lab.staging.doors.items():
                say(f"{name:<14} 127.0.0.1:{door.port}  {door.dial.mode.value}  {door.accepted} connections")
        case [service, fault] if service in lab.staging.doors and fault in tuple(Mode):
            await lab.turn(service, Dial(mode=Mode(fault)))
        case _:
            known = (
                f"outage, during_tests, recovery, status, quit, or one of {', '.join(lab.staging.doors)} and a fault"
            )
            say(f"{' '.join(words)[:60]!r} is not known. Known: {known}")
    return True
