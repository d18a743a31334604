"""A service that can be down, up or silent, and suites written as other teams write them, for the tests of the test run."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from resilience.core.records import (
    ConnectivityResult,
    ConnectivityStatus,
    FaultCode,
    Outcome,
    Phases,
    PlannedCommand,
    StandIn,
    TestExecutionMode,
    TestSuiteResult,
)
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Service, Settings, Wishes
from resilience.services.registry import KINDS
from resilience.suite.records import Instruments, Place, Request
from resilience.suite.testrun import run_suite
from tests.kits.alone import ALONE
from tests.kits.kinds import ServiceType
from tests.kits.ports import free_port

INFRA = Outcome.INFRASTRUCTURE_UNAVAILABLE


class LineServer:
    """A server on a fixed port of 127.0.0.1 that greets with OK; down: refused; silent: accepts and says nothing."""

    def __init__(self) -> None:
        self.port = free_port()
        self.listener: socket.socket | None = None
        self.thread: threading.Thread | None = None
        self.kept: list[socket.socket] = []
        self.silent = False
        self.connections = 0
        """Accepted ones, our own looks among them."""
        self.looks = 0

    def up(self, *, silent: bool = False) -> LineServer:
        self.silent = silent
        if self.listener is None:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(("127.0.0.1", self.port))
            self.listener.listen(64)
            self.thread = threading.Thread(target=self._serve, args=(self.listener,), daemon=True)
            self.thread.start()
        return self

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.silent:
                self.kept.append(client)
                continue
            with contextlib.suppress(OSError), client:
                client.sendall(b"OK\n")

    def down(self) -> LineServer:
        if self.listener is not None:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            assert self.thread is not None
            self.thread.join(5)
            self.listener = self.thread = None
        for client in self.kept:
            client.close()
        self.kept.clear()
        return self

    def look(self, timeout_s: float = 0.3) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=timeout_s) as client:
                try:
                    return client.recv(3) == b"OK\n"
                finally:
                    self.looks += 1
        except OSError:
            return False


PYTEST = f"python -m pytest -q -p no:cacheprovider {ALONE}"

HELPERS = """
import os, socket, pytest

def hello(name="DB", timeout=1.0):
    port = int(os.environ[name + "_PORT"])
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        assert client.recv(3) == b"OK\\n"
    return port
"""


def write(root: Path, **files: str) -> Path:
    """Write a project; `a__b` stands for a/b.py. Each has HELPERS in `helpers.py`."""
    root.mkdir(parents=True, exist_ok=True)
    (root / "helpers.py").write_text(HELPERS)
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ("" if name.endswith((".ini", ".toml")) else ".py"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return root


def settings(root: Path, services: Mapping[str, LineServer], *, skip: bool = True, **more: Any) -> Settings:
    return Settings(
        root=root,
        source=None,
        env_file=root / "env",
        outputs=root / "outputs",
        state=root / "state",
        data=root / "data",
        services=tuple(
            Service(
                name=name,
                kind=KINDS[ServiceType.POSTGRESQL if name == "database" else ServiceType.HTTP],
                url=Secret(f"postgresql://user:s3kr3t-pass@127.0.0.1:{server.port}/db"),
                markers=(f"real_{name}",),
                critical=True,
            )
            for name, server in services.items()
        ),
        secrets=(Secret("s3kr3t-pass"),),
        wishes=Wishes(skip_on_failure=skip),
        deadlines=Deadlines(retry_attempts=3, retry_delay_s=0.2),
        **more,
    )


class Probe:
    """Look at the servers as they are; `hook` is called before each look, with its number."""

    def __init__(self, services: Mapping[str, LineServer], hook: Callable[[int], None] | None = None) -> None:
        self.services, self.hook, self.looks = services, hook, 0

    async def __call__(self, names: Sequence[str]) -> Mapping[str, ConnectivityResult]:
        self.looks += 1
        if self.hook is not None:
            self.hook(self.looks)
        found = {}
        for name in names:
            well = self.services[name].look()
            found[name] = ConnectivityResult(
                name=name,
                type=ServiceType.HTTP,
                status=ConnectivityStatus.AVAILABLE if well else ConnectivityStatus.UNAVAILABLE,
                fault=None if well else FaultCode.TCP_REFUSED,
                phase=None,
                retryable=True,
                infrastructure=not well,
                response_time_s=0.0,
                phases=Phases(),
                endpoint="",
                critical=True,
                detail="",
                hint="",
            )
        return found


def environ(services: Mapping[str, LineServer], **more: str) -> dict[str, str]:
    names = {"database": "DB", "redis": "REDIS", "backend_api": "BACKEND"}
    given = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "RESILIENCE_"))
    }
    given["PATH"] = str(Path(sys.executable).parent) + os.pathsep + given.get("PATH", "")
    given["PYTHONDONTWRITEBYTECODE"] = "1"
    given |= {f"{names[name]}_PORT": str(server.port) for name, server in services.items()}
    return given | more


async def run(
    root: Path,
    folder: Path,
    services: Mapping[str, LineServer],
    *commands: str,
    hook: Callable[[int], None] | None = None,
    env: Mapping[str, str] | None = None,
    skip: bool = True,
    made: Settings | None = None,
    printed: list[bytes] | None = None,
    **more: Any,
) -> TestSuiteResult:
    sink = printed if printed is not None else []
    given = made or settings(root, services, skip=skip)
    return await run_suite(
        Request(
            commands=tuple(PlannedCommand(command=command) for command in commands or (PYTEST,)),
            mode=more.pop("mode", TestExecutionMode.FULL),
            skipping=given.wishes.skip_on_failure,
            attempts=more.pop("attempts", given.deadlines.retry_attempts),
            delay_s=more.pop("delay_s", given.deadlines.retry_delay_s),
            wait_s=more.pop("wait_for_services_s", None),
            **{name: more.pop(name) for name in REQUESTED & set(more)},
        ),
        Place(
            root=given.root,
            folder=folder,
            environ=environ(services, **(env or {})),
            env_command=given.env_command,
            services=given.services,
            stand_ins=tuple(more.pop("stand_ins", ())),
            under_way=more.pop("under_way", None),
            uses=more.pop("uses", None),
            secrets=given.secrets,
        ),
        Instruments(probe=more.pop("probe", None) or Probe(services, hook), output=sink.append, **more),
    )


REQUESTED = {field.name for field in fields(Request)}


def environment_with(venv: Path, *packages: str) -> Path:
    """Make an environment of its own with these packages and give its python; skip, saying why, where that cannot be."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    done = subprocess.run(
        [venv / "bin/pip", "install", "-q", *packages], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip(f"{' '.join(packages)} could not be installed: {done.stderr.strip()[-200:]}")
    return venv / "bin/python"


def by_id(result: TestSuiteResult) -> dict[str, Outcome]:
    return {test.id.rpartition("::")[2]: test.outcome for test in result.tests}


def wait_until(claim: Callable[[], bool], limit_s: float = 10.0) -> bool:
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if claim():
            return True
        time.sleep(0.02)
    return False


def adds_up(result: TestSuiteResult, collected: int) -> None:
    assert result.total_tests == collected == len(result.tests), [t.id for t in result.tests]


def stand_in(service: str, server: LineServer) -> StandIn:
    return StandIn(
        service=service,
        type=ServiceType.POSTGRESQL,
        provider="system",
        endpoint=f"127.0.0.1:{server.port}",
        ready=True,
        started_here=True,
    )
