"""Start the recorder, tell tests the way through it, and take what it heard when they have ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name

from resilience.core.errors import ResilienceError
from resilience.core.settings import Service
from resilience.host.processes import import_path
from resilience.teach.recorder import Config, Heard, Upstream, heard_from
from resilience.teach.ways import WORKERS, Way, address_of, way

_START_S = 30.0
_END_S = 60.0


class RecorderError(ResilienceError):
    """The recorder did not start, or is gone: then nothing of its lesson is kept."""

    exit_code = 30


class Recording:
    """A recorder under way. Use it as a context; `end` takes what it heard, and leaving without it throws that away."""

    def __init__(
        self,
        services: Sequence[Service],
        under_way: Path,
        *,
        root: Path,
        workers: int = WORKERS,
        folder: Path | None = None,
    ) -> None:
        """Record these services. `folder` is the lesson's own: whom clients are to trust lies there, and it is removed."""
        self.services = tuple(services)
        self.folder = folder or under_way / "lesson"
        self.secure = any(service.recorder_tls for service in services)
        """Whether clients have to trust an authority of this lesson, whose files are in the folder."""
        self.config = Config(
            services=tuple(
                Upstream(
                    name=service.name,
                    origin=address_of(service),
                    tls_ca=str(root / service.tls_ca) if service.tls_ca else "",
                    tls=service.recorder_tls,
                )
                for service in services
            ),
            under_way=str(under_way),
            workers=workers,
            folder=str(self.folder),
        )
        self.ways: tuple[Way, ...] = ()
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Recording:
        """Start it. Raises RecorderError where it does not say in time where it listens."""
        shutil.rmtree(self.folder, ignore_errors=True)
        environ = {**os.environ, "PYTHONPATH": import_path(os.environ.get("PYTHONPATH", ""))}
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "resilience.teach.recorder",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=environ, start_new_session=True, limit=1 << 30,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(self.config)).encode() + b"\n")
            async with asyncio.timeout(_START_S):
                await process.stdin.drain()
                line = await process.stdout.readline()
                certificate = await process.stdout.readline() if self.secure else b""
            ports = json.loads(line)
            if self.secure:
                write_trust = resolve_name("resilience.host.authority:write_trust")
                write_trust(self.folder, json.loads(certificate).encode())
        except (OSError, TimeoutError, ValueError) as exc:
            why = await self._last_words()
            await self._end()
            raise RecorderError(f"the recorder did not start: {why or type(exc).__name__}.") from exc
        self.ways = tuple(way(service, ports[service.name]) for service in self.services)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._end()

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def end(self) -> tuple[Heard, ...]:
        """Return all it heard, and end it. Raises RecorderError where it is gone: nothing can be kept then."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            async with asyncio.timeout(_END_S):
                process.stdin.write(b"end\n")
                await process.stdin.drain()
                data = await process.stdout.read()
                code = await process.wait()
            if code:
                raise ValueError(f"exit code {code}")
            return heard_from(data)
        except (OSError, TimeoutError, ValueError) as exc:
            raise RecorderError(
                "the recorder is gone, and with it all it heard: nothing of this lesson is kept.",
                hint="teach again: resilience test --teach",
            ) from exc
        finally:
            await self._end()

    async def _last_words(self) -> str:
        assert self._process is not None
        assert self._process.stderr is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                lines = (await self._process.stderr.read()).decode("utf-8", "replace").strip().splitlines()
                return lines[-1] if lines else ""
        return ""

    async def _end(self) -> None:
        """End the process by closing its stdin, and by force where that does not."""
        shutil.rmtree(self.folder, ignore_errors=True)
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(5.0):
                await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        transport = getattr(process, "_transport", None)
        if transport is not None:
            transport.close()
