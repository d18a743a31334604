"""Start kernels of our own interpreter ahead of their use, and end each with everything that its cells started."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty

import psutil
from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.connect import write_connection_file

from resilience.core.errors import RunbookError
from resilience.host.files import write_atomically
from resilience.notebook.kernel import HEADLESS

_TOKEN = "RESILIENCE_KERNEL"  # noqa: S105 - a marker in the environment of a kernel's children, not a credential
_LAUNCH = (
    "import sys; sys.modules['debugpy'] = None; "
    "from ipykernel.kernelapp import launch_new_instance; launch_new_instance()"
)
"""Start a kernel without its debugger, which nobody attaches to and which is 0.3 s of the 0.9 s that a start takes."""

_START_S = 60.0
_CLOSE_S = 1.0
_AHEAD = 2


class Kernel:
    """A kernel of our own interpreter, reached over sockets in a private folder."""

    def __init__(self, process: asyncio.subprocess.Process, client: AsyncKernelClient, token: str) -> None:
        self.process = process
        self.client = client
        self.token = token

    @classmethod
    async def start(cls, folder: Path, name: str, environ: Mapping[str, str], log: Path) -> Kernel:
        """Start the process and open the channels to it; it is in use only after `ready`.

        Its environment is `environ` with a token of its own, by which `sweep` finds what its cells leave behind. The
        file of the connection holds the key, and stands in `folder`, which only this user may enter.

        No port is opened, so that there is none to race for. The debugger is left out: 0.3 s.
        """
        # ipc instead of tcp: no port to race for, and nothing that listens.
        file, info = write_connection_file(
            str(folder / f"{name}.json"), transport="ipc", ip=str(folder / name), key=uuid.uuid4().hex.encode()
        )
        token = uuid.uuid4().hex
        env = {key: value for key, value in environ.items() if key != "JPY_SESSION_NAME"}
        env |= {HEADLESS: "1", _TOKEN: token, "IPYTHONDIR": str(folder / "ipython"), "JPY_PARENT_PID": str(os.getpid())}
        log.touch(mode=0o600)
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-c", _LAUNCH, "-f", file, "--HistoryManager.enabled=False",
                env=env, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        client = AsyncKernelClient()
        client.load_connection_info(info)
        client.start_channels(stdin=False, hb=False, control=True)
        client.allow_stdin = False
        return cls(process, client, token)

    async def ready(self) -> None:
        """Wait until it answers and has imported what every stage needs. Raises RunbookError.

        It has 60 s: a loaded machine takes its time, and a kernel that hangs must not hang the run.
        """
        died = asyncio.ensure_future(self.process.wait())
        warm = asyncio.ensure_future(self._warm_up())
        try:
            await asyncio.wait({died, warm}, timeout=_START_S, return_when=asyncio.FIRST_COMPLETED)
            if not warm.done():
                what = f"ended with exit code {died.result()}" if died.done() else f"did not answer in {_START_S:.0f} s"
                raise RunbookError(f"a notebook kernel {what}.", hint="see logs/kernels.log in the run's folder")
            await warm
        finally:
            for task in (died, warm):
                task.cancel()

    async def _warm_up(self) -> None:
        """Import the runbook in the kernel, then wait until its output arrives: before that, output is lost.

        A subscription has no acknowledgement, so that we ask for something until it comes, then take what is left of the
        answers. Raises RunbookError where the import fails.
        """
        message = self.client.execute("from resilience.notebook.kernel import warm_up; warm_up()", silent=True)
        while True:
            reply = await self.client.get_shell_msg(timeout=None)
            if reply["parent_header"].get("msg_id") == message:
                break
        if reply["content"]["status"] != "ok":
            raise RunbookError(
                f"a notebook kernel cannot import the runbook: {reply['content'].get('evalue', '')}",
                hint="make setup",
            )
        # Ask until something comes through the subscription.
        while True:
            with suppress(Empty):
                await self.client.get_iopub_msg(timeout=0.2)
                break
            self.client.kernel_info()
        while True:
            try:
                await self.client.get_iopub_msg(timeout=0.01)
            except Empty:
                return

    def interrupt(self) -> None:
        """Tell the kernel, and what its cell started in its group, to put down their work."""
        self._signal(signal.SIGINT)

    def kill(self) -> None:
        """End the kernel's group at once."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)

    async def close(self) -> None:
        """End it politely, else by force; its sockets and threads are gone afterwards."""
        try:
            if self.process.returncode is None:
                self.client.shutdown()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.process.wait(), _CLOSE_S)
            if self.process.returncode is None:
                self.kill()
                await self.process.wait()
        finally:
            self.client.stop_channels()
            self.client.context.destroy(linger=0)


class Kernels:
    """One kernel in use, the next ones booting: a boot takes 0.9 s of processor time, a stage often less.

    `folder` is for sockets and must have a short path: that of a socket holds at most 107 characters.

    The next kernel's boot hides behind the wait of the current stage; each stage has a fresh one, so that none
    inherits the other's state.
    """

    def __init__(
        self, wanted: int, *, folder: Path, log: Path, environ: Mapping[str, str], redact: Callable[[str], str]
    ) -> None:
        self.wanted = wanted
        self.folder = folder
        self.log = log
        self.environ = environ
        self.redact = redact
        self.booting: list[asyncio.Task[Kernel]] = []
        self.alive: list[Kernel] = []
        self.closing: set[asyncio.Task[None]] = set()
        self.count = 0

    def warm(self, ahead: int = _AHEAD) -> None:
        """Boot kernels until this many are waiting, but no more than there are stages."""
        while len(self.booting) < ahead and self.count < self.wanted:
            self.count += 1
            self.booting.append(asyncio.ensure_future(self._start(f"k{self.count}")))

    async def _start(self, name: str) -> Kernel:
        self.log.parent.mkdir(exist_ok=True)
        kernel = await Kernel.start(self.folder, name, self.environ, self.log)
        self.alive.append(kernel)
        await kernel.ready()
        return kernel

    async def take(self) -> Kernel:
        """Return a kernel that is ready. Raises RunbookError."""
        self.warm(1)
        return await self.booting.pop(0)

    def put_away(self, kernel: Kernel, *, broken: bool) -> None:
        """End a kernel without waiting for it; one in which something broke holds on to threads, and is killed."""
        if broken:
            kernel.kill()
        task = asyncio.ensure_future(self._close(kernel))
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

    async def _close(self, kernel: Kernel) -> None:
        await kernel.close()
        self.alive.remove(kernel)

    async def close(self) -> None:
        """End all kernels, the ones that still boot included, and redact what they said."""
        for task in self.booting:
            task.cancel()
        if self.booting:
            await asyncio.wait(self.booting)
        while self.closing:
            await asyncio.wait(set(self.closing))
        for kernel in list(self.alive):
            # Never used: nothing in it is worth a polite end.
            kernel.kill()
            await self._close(kernel)
        _redact_log(self.log, self.redact)


def _redact_log(path: Path, redact: Callable[[str], str]) -> None:
    """Rewrite what kernels said beside their protocol: warnings and tracebacks of threads hold whatever they like."""
    with suppress(OSError):
        said = path.read_text(encoding="utf-8", errors="replace")
        write_atomically(path, redact(said).encode("utf-8", "replace"), mode=0o644, durable=False)


def sweep(token: str) -> tuple[int, ...]:
    """Kill what a kernel's cells started and left behind, found by the kernel's own mark in its environment.

    Linux only, by /proc; what dropped its environment is not found. Returns the pids that were killed.
    """
    mark = f"{_TOKEN}={token}".encode()
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                process.kill()
                found.append(process.pid)
    return tuple(found)
