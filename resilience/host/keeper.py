"""Keep a team's own command: bound its log, notice when it ends or forks away, and leave nothing of it running.

    python -I -S keeper.py [--parent PID --death-signal N] --log FILE --limit BYTES -- ARGV…

Run by path with the standard library only, since every stand-in of this sort waits for it. With --parent it ends with its
parent, as what launch.py starts does: it is run in its place, as a second interpreter took 20 ms of each start. It is the parent
of the command and adopts what that leaves behind (Linux: child subreaper), so that all of it can be ended. It ends as the
command does, by the same exit code or signal.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import time

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
GRACE_S = 4.0
"""Seconds between asking all to end and killing them; the supervisor's own patience is a second longer."""
CHUNK = 1 << 16


class Log:
    """The log of a command, of two files at most `limit` bytes each: what is older is dropped, which the log says.

    A disk that is full takes nothing from the command: what cannot be written is dropped as well.
    """

    def __init__(self, path: str, limit: int) -> None:
        self.path, self.limit = path, limit
        self.fd, self.size = -1, 0
        self.open()

    def open(self) -> None:
        with contextlib.suppress(OSError):
            self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            self.size = os.fstat(self.fd).st_size

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            if self.size + len(data) > self.limit:
                os.replace(self.path, self.path + ".1")
                os.close(self.fd)
                self.open()
                self.size += os.write(
                    self.fd, f"(what was before is in {self.path}.1; what is older is dropped)\n".encode()
                )
            self.size += os.write(self.fd, data)

    def say(self, text: str) -> None:
        self.write(f"resilience: {text}\n".encode())


def main(argv: list[str]) -> None:
    """Run the command until it or we are ended, then end all that is left of it, and end in its way."""
    options, command = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    value = dict(zip(options[::2], options[1::2], strict=True))
    if parent := value.get("--parent"):
        prctl(PR_SET_PDEATHSIG, int(value["--death-signal"]))
        if os.getppid() != int(parent):
            sys.exit("the process that asked for this server is gone")
    log = Log(value["--log"], int(value["--limit"]))
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(woken, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda number, _: told.append(number))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    adopt_orphans()
    output, child = spawn(command, (woken, wake))
    status = watch(child, output, woken, told, log)
    left = descendants()
    if status is not None and left:
        pids = ", ".join(str(pid) for pid in left)
        log.say(f"the command ended and left processes behind ({pids}), which are ended: let it stay in the foreground")
    end_all(output, log)
    if status is None:
        sys.exit(0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        signal.signal(-code, signal.SIG_DFL) if -code not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), -code)
    sys.exit(code)


def spawn(command: list[str], ours: tuple[int, ...]) -> tuple[int, int]:
    """Start the command, which is killed should we be; return the end of a pipe with all it prints, and its pid."""
    output, printed = os.pipe()
    child = os.fork()
    if child == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        for fd in (output, printed, *ours):
            os.close(fd)
        try:
            os.execvp(command[0], command)  # noqa: S606 - the shell is in the command
        except OSError as exc:
            os.write(2, f"{command[0]}: {exc.strerror}\n".encode())
            os._exit(127)
    os.close(printed)
    return output, child


def watch(child: int, output: int, woken: int, told: list[int], log: Log) -> int | None:
    """Write what it prints to the log until it ends, and return its wait status; None where we were told to end."""
    sources = [output, woken]
    while not told:
        ready, _, _ = select.select(sources, [], [])
        if output in ready and not pump(output, log):
            sources.remove(output)
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 4096)
            if (status := reap(child)) is not None:
                return status
    return None


def pump(output: int, log: Log) -> bool:
    """Write what was printed to the log; False at its end."""
    data = os.read(output, CHUNK)
    if data:
        log.write(data)
    return bool(data)


def reap(child: int) -> int | None:
    """Take the status of all that ended; return that of the command itself, None while it lives."""
    found = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                found = status
    return found


def end_all(output: int, log: Log) -> None:
    """End every process that came of the command, politely first, and write what they still print.

    Where descendants cannot be listed (not Linux), its process group, which is ours, is signalled.
    """
    os.set_blocking(output, False)
    until = time.monotonic() + GRACE_S
    number = signal.SIGTERM
    asked: set[int] = set()
    while left := descendants():
        if time.monotonic() > until:
            number = signal.SIGKILL
            asked.clear()
        for pid in left:
            if pid not in asked:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, number)
                asked.add(pid)
        with contextlib.suppress(OSError):
            pump(output, log)
        reap(-1)
        time.sleep(0.005)
    if sys.platform != "linux":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTERM)
    with contextlib.suppress(OSError):
        while pump(output, log):
            pass


def descendants() -> list[int]:
    """Return the pids of all living processes below us; none where there is no /proc."""
    children = families()
    found, below = list[int](), [os.getpid()]
    while below:
        more = children.get(below.pop(), [])
        found += more
        below += more
    return found


def families() -> dict[int, list[int]]:
    """Return the pids of living processes by their parent's; empty where there is no /proc."""
    children: dict[int, list[int]] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                    words = file.read().rpartition(b") ")[2].split()
                    if words[0] not in (b"Z", b"X"):
                        children.setdefault(int(words[1]), []).append(int(name))
    return children


def adopt_orphans() -> None:
    """Become the parent of what our children leave behind (Linux), so that it can be found and ended."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    main(sys.argv[1:])
