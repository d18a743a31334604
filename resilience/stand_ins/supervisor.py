"""Keep stand-ins running apart from whoever asked for them, until nobody wants them any more.

    python -m resilience.stand_ins.supervisor FOLDER

One supervisor per folder, in a session of its own, so that interrupting a notebook's kernel or closing a terminal does not reach
the stand-ins. It holds `lock`, takes what is in `requests/`, writes `state.json` whole or not at all, and ends with its last
service. A service ends when the supervisor does, however that ends (parent-death signal; elsewhere the next supervisor ends it).

`lease.json` says since when nobody has asked for the stand-ins and who holds them (tests that run). When the lease is over, a
warning is given first; then the configured command puts the env file back; then the services end.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resilience.core.errors import StandInError
from resilience.host.processes import (
    Launch,
    identity,
    import_path,
    is_alive,
    minimal_environment,
    private_log,
    send,
    spawn,
)

LEASE_S = 8 * 3600.0
WARN_S = 15 * 60.0
TICK_S = 1.0
GRACE_S = 5.0
IDLE_S = 15.0
HOOK_S = 120.0
HOOK_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """How long stand-ins stay when nobody asks for them, and what puts the env file back before they end."""

    seconds: float = LEASE_S
    warn_s: float = WARN_S
    hook: tuple[str, ...] = ()
    hook_cwd: str = "/"
    retry_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service as the supervisor last wrote it down. `ended` is how it ended, empty while it lives."""

    name: str
    pid: int
    identity: str
    started_at: float
    log: str
    digest: str = ""
    stop_signals: tuple[int, ...] = ()
    ended: str = ""

    @property
    def alive(self) -> bool:
        return not self.ended and is_alive(self.pid, self.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What `state.json` says."""

    pid: int = 0
    identity: str = ""
    services: Mapping[str, Running]
    warning: str = ""
    lease_ends_at: float | None = None

    @property
    def alive(self) -> bool:
        return is_alive(self.pid, self.identity)


def read_state(folder: Path) -> State:
    """Return the state as last written; an empty one where there is none. A cut or foreign file counts as none."""
    try:
        raw = json.loads((folder / "state.json").read_bytes())
        services = {
            name: Running(**{**item, "stop_signals": tuple(item["stop_signals"])})
            for name, item in raw["services"].items()
        }
        return State(
            pid=int(raw["pid"]),
            identity=str(raw["identity"]),
            services=services,
            warning=str(raw.get("warning", "")),
            lease_ends_at=raw.get("lease_ends_at"),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return State(services={})


async def ensure(
    folder: Path, launches: Sequence[Launch], lease: Lease, *, timeout_s: float = 10.0
) -> Mapping[str, Running]:
    """Have these run: start a supervisor where none is, keep what runs with the same digest, replace what does not.

    Returns what the supervisor wrote down of them. Raises StandInError where it does not answer in time.
    """
    request = {"start": [asdict(launch) for launch in launches], "lease": asdict(lease)}
    await _ask(folder, request, start=True, timeout_s=timeout_s)
    state = read_state(folder)
    return {launch.name: state.services[launch.name] for launch in launches if launch.name in state.services}


async def end(folder: Path, names: Sequence[str] | None = None, *, timeout_s: float = 20.0) -> tuple[str, ...]:
    """End these services, or all of them and the supervisor. Gives the names of those that ran; returns when they are gone."""
    await asyncio.to_thread(_wait_booted, folder)
    state = read_state(folder)
    wanted = [name for name in state.services if names is None or name in names]
    running = tuple(name for name in wanted if state.services[name].alive)
    if state.alive:
        with contextlib.suppress(StandInError):
            await _ask(folder, {"stop": None if names is None else wanted}, start=False, timeout_s=timeout_s)
    for name in wanted:  # of a supervisor that is gone, where the system has no parent-death signal
        await asyncio.to_thread(_end_recorded, state.services[name])
    if names is None:
        await asyncio.to_thread(_wait_gone, state.pid, state.identity)
    return running


def _wait_booted(folder: Path, timeout_s: float = 5.0) -> None:
    """Return when no supervisor is on its way up any more."""
    if not folder.is_dir():
        return
    until = time.monotonic() + timeout_s
    with private_log(folder / "boot.lock") as boot:
        while time.monotonic() < until:
            try:
                fcntl.flock(boot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                time.sleep(0.005)


def _wait_gone(pid: int, known: str, timeout_s: float = 5.0) -> None:
    until = time.monotonic() + timeout_s
    while is_alive(pid, known) and time.monotonic() < until:
        time.sleep(0.003)


async def _ask(folder: Path, request: Mapping[str, Any], *, start: bool, timeout_s: float) -> None:
    """Hand a request to the supervisor. The request's file is gone when it has been acted upon."""
    until = time.monotonic() + timeout_s
    requests = folder / "requests"
    requests.mkdir(parents=True, exist_ok=True, mode=0o700)
    sent: Path | None = None
    state = read_state(folder)
    try:
        while time.monotonic() < until:
            if not state.alive:
                if not start:
                    return
                await _start_supervisor(folder, max(1.0, until - time.monotonic()))
                state, sent = read_state(folder), None
                if not state.alive:
                    raise StandInError(
                        f"the supervisor of the stand-ins ended at once: {last_line(folder / 'supervisor.log')}",
                        hint=f"read {folder / 'supervisor.log'}",
                    )
            if sent is None:
                sent = requests / f"{time.time_ns()}-{os.getpid()}.json"
                write_whole(sent, request)
                send(state.pid, state.identity, signal.SIGUSR1)
            if not sent.exists():
                return
            await asyncio.sleep(0.003)
            if not is_alive(state.pid, state.identity):
                sent.unlink(missing_ok=True)
                state = read_state(folder)
        raise StandInError(
            f"the supervisor of the stand-ins (pid {state.pid}) did not act within {timeout_s:g} s.",
            hint=f"read {folder / 'supervisor.log'}; resilience services down",
        )
    finally:
        if sent is not None:
            sent.unlink(missing_ok=True)


async def _start_supervisor(folder: Path, timeout_s: float) -> None:
    environment = minimal_environment()
    with private_log(folder / "supervisor.log") as log, private_log(folder / "boot.lock") as boot:
        # Held by the supervisor, too, until it can be asked: who ends it waits for it, even where we are killed meanwhile.
        fcntl.flock(boot, fcntl.LOCK_SH)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "resilience.stand_ins.supervisor", str(folder), str(boot.fileno())),
            cwd=folder,
            env={**environment, "PYTHONPATH": import_path(environment.get("PYTHONPATH", ""))},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=(boot.fileno(),),
        )
    try:
        # It forks once it holds the lock and has written its state; what we wait for is only its first half.
        async with asyncio.timeout(timeout_s):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise StandInError(
            "the supervisor of the stand-ins did not start in time.", hint=f"read {folder / 'supervisor.log'}"
        ) from None


def write_whole(path: Path, value: object) -> None:
    """Write JSON aside, then rename: a reader sees the old text or the new one, never half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(aside, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(json.dumps(value).encode())
    os.replace(aside, path)


def last_line(path: Path) -> str:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""


def _end_recorded(service: Running) -> None:
    for number in (*service.stop_signals, int(signal.SIGKILL)):
        if not service.alive or not send(service.pid, service.identity, number):
            return
        _wait_gone(service.pid, service.identity, GRACE_S)


# The lease, as those who want the stand-ins write it.


def touch(folder: Path) -> None:
    """Begin the lease anew: somebody wants the stand-ins."""
    _change_lease(folder, lambda holds: holds)


def hold(folder: Path, reason: str) -> None:
    """Keep the stand-ins while this process lives, or until `release`."""
    mine = {"pid": os.getpid(), "identity": identity(os.getpid()), "reason": reason, "since": time.time()}
    _change_lease(folder, lambda holds: [*holds, mine])


def release(folder: Path, reason: str = "") -> None:
    """End this process's hold of this reason, or all of its holds; the lease begins anew."""
    _change_lease(
        folder,
        lambda holds: [item for item in holds if item["pid"] != os.getpid() or (reason and item["reason"] != reason)],
    )


def read_lease(folder: Path) -> tuple[float, tuple[dict[str, Any], ...]]:
    """Return when the lease began (seconds since the epoch, 0 where never), and the holds of processes that live."""
    try:
        raw = json.loads((folder / "lease.json").read_bytes())
        holds = tuple(item for item in raw["holds"] if is_alive(int(item["pid"]), str(item["identity"])))
        return float(raw["touched_at"]), holds
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, ()


def _change_lease(folder: Path, change: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(folder / "lease.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held for one small write
        _, holds = read_lease(folder)
        write_whole(folder / "lease.json", {"touched_at": time.time(), "holds": list(change(list(holds)))})


# The supervisor itself.


class Supervisor:
    """One loop in one thread: requests, children that ended, the lease."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.requests = folder / "requests"
        self.children: dict[str, tuple[Launch, subprocess.Popen[bytes]]] = {}
        self.services: dict[str, Running] = {}
        self.lease = Lease()
        self.started_at = time.time()
        self.warning = ""
        self.hook: subprocess.Popen[bytes] | None = None
        self.hook_tries = 0
        self.hook_after = 0.0
        self.hook_until = 0.0
        self.ending = False
        self.why = ""
        self.had_services = False
        self.idle_since = time.monotonic()

    def adopt(self) -> None:
        """End what an earlier supervisor left, and forget requests nobody waits for any more."""
        for service in read_state(self.folder).services.values():
            _end_recorded(service)
        self.requests.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in self.requests.iterdir():
            stale.unlink(missing_ok=True)
        self.write()

    def write(self) -> None:
        write_whole(
            self.folder / "state.json",
            {
                "schema": 1,
                "pid": os.getpid(),
                "identity": identity(os.getpid()),
                "started_at": self.started_at,
                "services": {name: asdict(service) for name, service in self.services.items()},
                "warning": self.warning,
                "lease_ends_at": self._lease_ends_at(),
            },
        )

    def loop(self, wake: socket.socket) -> None:
        while True:
            ready, _, _ = select.select([wake], [], [], self.pause_s())
            if ready:
                with contextlib.suppress(BlockingIOError):
                    wake.recv(4096)
            if not self._folder_is_ours():
                self.say("its folder is gone: ending the services")
                self.end(list(self.children))
                return
            self.reap()
            self.take_requests()
            self.look_at_lease()
            if self.ending:
                self.end(list(self.children), self.why)
            if (
                not self.children
                and not self.hook
                and (self.ending or self.had_services or time.monotonic() - self.idle_since > IDLE_S)
            ):
                return

    def pause_s(self) -> float:
        """Seconds until the next look, which is soon only where something of the lease is due."""
        if self.hook is not None:
            return 0.05
        _, holds = read_lease(self.folder)
        due = self._lease_ends_at() - time.time() - (0.0 if self.warning else self.lease.warn_s)
        if self.hook_after > time.monotonic():
            due = self.hook_after - time.monotonic()
        return TICK_S if holds else min(TICK_S, max(0.05, due))

    def _folder_is_ours(self) -> bool:
        try:
            raw = json.loads((self.folder / "state.json").read_bytes())
        except (OSError, ValueError):
            return False
        return bool(raw.get("pid") == os.getpid())

    def take_requests(self) -> None:
        for path in sorted(self.requests.glob("*.json")):
            try:
                request = json.loads(path.read_bytes())
            except (OSError, ValueError):
                path.unlink(missing_ok=True)
                continue
            if "lease" in request:
                raw = request["lease"]
                self.lease = Lease(**{**raw, "hook": tuple(raw["hook"])})
                self.hook_tries = 0
            if "start" in request:
                self.start([_launch(raw) for raw in request["start"]])
            if "stop" in request:
                names = request["stop"]
                self.ending = self.ending or names is None
                self.end(list(self.children) if names is None else names)
                for name in list(self.services) if names is None else names:
                    self.services.pop(name, None)
            self.write()
            path.unlink(missing_ok=True)

    def start(self, launches: Sequence[Launch]) -> None:
        changed = [
            launch.name
            for launch in launches
            if launch.name in self.children and self.children[launch.name][0].digest != launch.digest
        ]
        self.end(changed)
        for launch in launches:
            if launch.name in self.children:
                continue
            try:
                process = spawn(launch)
            except OSError as exc:
                self.say(f"{launch.name} could not be started: {exc}")
                self.services[launch.name] = Running(
                    name=launch.name,
                    pid=0,
                    identity="",
                    started_at=time.time(),
                    log=launch.log,
                    ended=f"not started: {exc}",
                )
                continue
            self.had_services = True
            self.children[launch.name] = (launch, process)
            self.services[launch.name] = Running(
                name=launch.name,
                pid=process.pid,
                identity=identity(process.pid),
                started_at=time.time(),
                log=launch.log,
                digest=launch.digest,
                stop_signals=launch.stop_signals,
            )
            self.say(f"{launch.name} started, pid {process.pid}")

    def reap(self) -> None:
        ended = False
        for name, (_, process) in list(self.children.items()):
            code = process.poll()
            if code is None:
                continue
            ended = True
            del self.children[name]
            how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            running = self.services[name]
            self.services[name] = Running(**{**asdict(running), "ended": f"{how} at {at}"})
            self.say(f"{name} (pid {process.pid}) {how}")
        if ended:
            self.write()

    def end(self, names: Sequence[str], why: str = "") -> None:
        """End these at once and side by side; each gets its signals in order, then SIGKILL. Without a `why` they are forgotten."""
        left = {name: self.children.pop(name) for name in names if name in self.children}
        steps = {name: [*launch.stop_signals, int(signal.SIGKILL)] for name, (launch, _) in left.items()}
        while left and any(steps[name] for name in left):
            for name, (_, process) in left.items():
                if steps[name]:
                    process.send_signal(steps[name].pop(0))
            until = time.monotonic() + GRACE_S
            while left and time.monotonic() < until:
                left = {name: item for name, item in left.items() if item[1].poll() is None}
                time.sleep(0.003)
        for name in names:
            if name in self.services:
                self.say(f"{name} ended {why or 'as asked'}")
                running = self.services.pop(name)
                if why:
                    self.services[name] = Running(**{**asdict(running), "ended": f"ended {why}"})

    def _lease_ends_at(self) -> float:
        touched_at, _ = read_lease(self.folder)
        return max(touched_at, self.started_at) + self.lease.seconds

    def look_at_lease(self) -> None:
        if self.hook is not None:
            self._look_at_hook()
            return
        _, holds = read_lease(self.folder)
        left = self._lease_ends_at() - time.time()
        if holds or left > self.lease.warn_s or not self.children:
            if self.warning:
                self.warning = ""
                self.write()
            return
        if not self.warning:
            at = datetime.fromtimestamp(self._lease_ends_at(), UTC).strftime("%Y-%m-%dT%H:%MZ")
            self.warning = (
                f"nobody has asked for the stand-ins for long: they end at {at} (resilience services up keeps them)"
            )
            self.say(self.warning)
            self.write()
            return
        if left > 0 or time.monotonic() < self.hook_after:
            return
        if self.lease.hook and self.hook_tries < HOOK_TRIES:
            self._start_hook()
            return
        self.say("the lease is over: ending the services")
        self.ending, self.why = True, f"because nobody had asked for it for {self.lease.seconds / 3600:.3g} h"

    def _start_hook(self) -> None:
        self.hook_tries += 1
        self.hook_until = time.monotonic() + HOOK_S
        self.say(f"the lease is over: putting the env file back ({' '.join(self.lease.hook)})")
        try:
            self.hook = subprocess.Popen(
                list(self.lease.hook),
                cwd=self.lease.hook_cwd,
                env=minimal_environment(),
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as exc:
            self._hook_failed(str(exc))

    def _look_at_hook(self) -> None:
        process = self.hook
        if process is None:
            return
        code = process.poll()
        if code is None and time.monotonic() < self.hook_until:
            return
        self.hook = None
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._hook_failed(f"it took longer than {HOOK_S:g} s")
        elif code == 0:
            self.hook_tries, self.hook_after = HOOK_TRIES, 0.0
            self.say("the env file was put back")
        elif code == 75:
            self.say("another run holds the lock: the lease goes on")
            self.hook_tries = 0
            touch(self.folder)
        else:
            self._hook_failed(f"exit code {code}")

    def _hook_failed(self, why: str) -> None:
        self.hook_after = time.monotonic() + self.lease.retry_s
        self.say(
            f"the env file could not be put back ({why}); try {self.hook_tries} of {HOOK_TRIES}: resilience restore"
        )
        self.warning = f"the lease is over, but the env file could not be put back ({why}). Type: resilience restore"
        self.write()

    def say(self, text: str) -> None:
        sys.stderr.write(f"{datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')} {text}\n")
        sys.stderr.flush()


def _launch(raw: Mapping[str, Any]) -> Launch:
    return Launch(**{**raw, "argv": tuple(raw["argv"]), "stop_signals": tuple(raw["stop_signals"])})


def main(argv: Sequence[str]) -> int:
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = open(folder / "lock", "ab")  # noqa: SIM115 - held until the process ends
    until = time.monotonic() + 3.0
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if read_state(folder).alive or time.monotonic() > until:
                sys.stderr.write("another supervisor holds the lock\n")
                return 75
            time.sleep(0.01)
    told, tell = os.pipe()
    if os.fork():
        os.close(tell)
        done = os.read(told, 1)
        os._exit(0 if done else 1)
    os.close(told)
    os.setsid()
    wake, waker = socket.socketpair()
    for end_ in (wake, waker):
        end_.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    supervisor = Supervisor(folder)

    def stop(*_: object) -> None:
        supervisor.ending = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    supervisor.adopt()
    if len(argv) > 1:
        os.close(int(argv[1]))  # whoever waited for us may ask now
    os.write(tell, b"1")
    os.close(tell)
    try:
        supervisor.loop(wake)
    finally:
        supervisor.end(list(supervisor.children))
        if supervisor._folder_is_ours():
            with contextlib.suppress(OSError):
                supervisor.write()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
