"""Keep stand-ins running apart from whoever asked for them, until nobody wants them any more.

    python -m resilience.stand_ins.supervisor FOLDER

One supervisor per folder, in a session of its own, so that interrupting a notebook's kernel or closing a terminal does not reach
the stand-ins. It holds `lock`, takes what is in `requests/`, writes `state.json` whole or not at all, and ends with its last
service. A service ends when the supervisor does, however that ends (parent-death signal; elsewhere the next supervisor ends it).

`lease.json` says since when nobody has asked for the stand-ins and who holds them (tests that run). When the lease is over, a
warning is given first; then the configured command puts the env file back; then the services end.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resilience.host.keeper import adopt_orphans, families
from resilience.host.processes import Launch, identity, minimal_environment, spawn
from resilience.stand_ins.lease import Lease, read_lease, touch
from resilience.stand_ins.locks import try_lock
from resilience.stand_ins.state import GRACE_S, Running, end_recorded, read_state, write_whole

TICK_S = 1.0

IDLE_S = 15.0

HOOK_S = 120.0

HOOK_TRIES = 3


class Supervisor:
    """One loop in one thread: requests, children that ended, the lease.

    It imports no kind and no driver: it must come up at once, and knows only commands, signals and files.
    """

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
            end_recorded(service)
        self.requests.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in self.requests.iterdir():
            stale.unlink(missing_ok=True)
        self.write()

    def write(self) -> None:
        """Write the whole state; who asked us reads it when the request's file is gone."""
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
        """Look at everything in turn, at a signal or when something is due, until there is nothing left to keep.

        It ends with its last service, when it was told to end, when nobody asked anything of it, and when its folder is
        gone or another's: then nobody could find its services again, and they would run for ever.
        """
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
        """Say whether the state still names us: a folder that was removed, or taken over, is the sign to end."""
        try:
            raw = json.loads((self.folder / "state.json").read_bytes())
        except (OSError, ValueError):
            return False
        return bool(raw.get("pid") == os.getpid())

    def take_requests(self) -> None:
        """Act upon each request, then write the state, then remove the request.

        In this order: whoever asked waits until it is gone, and reads the state.
        """
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
        """Have these run. A service with the same digest is kept, with another one replaced: its configuration changed.

        What cannot be started is written down as ended, so that whoever asked gets the reason and not a time-out.
        """
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
        """Write down which services have ended, how and when; nothing is started again by itself."""
        ended = False
        for name, (_, process) in list(self.children.items()):
            code = process.poll()
            if code is None:
                continue
            _end_group(process.pid)
            ended = True
            del self.children[name]
            how = f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            running = self.services[name]
            self.services[name] = Running(**{**asdict(running), "ended": f"{how} at {at}"})
            self.say(f"{name} (pid {process.pid}) {how}")
        if ended:
            self.end_orphans()
            self.write()

    def end(self, names: Sequence[str], why: str = "") -> None:
        """End these at once and side by side; each gets its signals in order, then SIGKILL.

        Without a `why` they are forgotten.

        All of them have 5 s for each of their signals.
        """
        left = gone = {name: self.children.pop(name) for name in names if name in self.children}
        steps = {name: [*launch.stop_signals, int(signal.SIGKILL)] for name, (launch, _) in left.items()}
        while left and any(steps[name] for name in left):
            for name, (_, process) in left.items():
                if steps[name]:
                    process.send_signal(steps[name].pop(0))
            until = time.monotonic() + GRACE_S
            while left and time.monotonic() < until:
                left = {name: item for name, item in left.items() if item[1].poll() is None}
                time.sleep(0.003)
        for _, process in gone.values():
            _end_group(process.pid)
        if gone:
            self.end_orphans()
        for name in names:
            if name in self.services:
                self.say(f"{name} ended {why or 'as asked'}")
                running = self.services.pop(name)
                if why:
                    self.services[name] = Running(**{**asdict(running), "ended": f"ended {why}"})

    def end_orphans(self) -> None:
        """Kill what services that have ended left behind in sessions of their own, as a broker its epmd: we are its parent now."""
        known = {process.pid for _, process in self.children.values()}
        if self.hook is not None:
            known.add(self.hook.pid)
        while orphans := [pid for pid in families().get(os.getpid(), []) if pid not in known]:
            for pid in orphans:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)

    def _lease_ends_at(self) -> float:
        touched_at, _ = read_lease(self.folder)
        return max(touched_at, self.started_at) + self.lease.seconds

    def look_at_lease(self) -> None:
        """Warn, then have the env file put back, then end the services: each only where nobody holds them meanwhile.

        The services end last, since an env file that still points to them would send tests to ports where nothing
        listens. After HOOK_TRIES failures they end all the same, and the warning says that the file must be put back.
        """
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
        """Run the command that puts the env file back, in a session of its own, for at most 120 s."""
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
        """Judge the command that puts the env file back by its exit code: 0 done, 75 a run holds the lock, else it failed."""
        process = self.hook
        if process is None:
            return
        code = process.poll()
        if code is None and time.monotonic() < self.hook_until:
            return
        self.hook = None
        if code is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
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
        """Note why, say it as the warning, and try again after the lease's pause."""
        self.hook_after = time.monotonic() + self.lease.retry_s
        self.say(
            f"the env file could not be put back ({why}); try {self.hook_tries} of {HOOK_TRIES}: resilience restore"
        )
        self.warning = f"the lease is over, but the env file could not be put back ({why}). Type: resilience restore"
        self.write()

    def say(self, text: str) -> None:
        sys.stderr.write(f"{datetime.now(UTC).strftime('%Y-%m-%dT%H:%M:%SZ')} {text}\n")
        sys.stderr.flush()


def _end_group(pid: int) -> None:
    """Kill what a service that has ended left in its process group: a command's children, where its keeper was killed too."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _launch(raw: Mapping[str, Any]) -> Launch:
    return Launch(**{**raw, "argv": tuple(raw["argv"]), "stop_signals": tuple(raw["stop_signals"])})


def main(argv: Sequence[str]) -> int:
    """Take the folder's lock, fork, and keep stand-ins in the child; the parent ends when the child can be asked.

    The lock is tried for a while where the state does not name a living supervisor: one that is on its way out, or has
    not signed yet, holds it for a moment. One that lives is not waited for; it is the one to ask.
    """
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = open(folder / "lock", "ab")  # noqa: SIM115 - held until the process ends
    until = time.monotonic() + 3.0
    while True:
        if try_lock(lock):
            break
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
    adopt_orphans()
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
