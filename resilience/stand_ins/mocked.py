"""Turn what is ours to imitate into one process of mocks, beside those that it mocks already."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from resilience.core.errors import StandInError
from resilience.core.records import ServiceType
from resilience.core.settings import Service, Settings
from resilience.host.files import write_atomically
from resilience.host.processes import SIGTERM, Launch, import_path, is_alive
from resilience.services.place import ask_json, port_open
from resilience.stand_ins import running
from resilience.stand_ins.endpoints import endpoint
from resilience.stand_ins.ground import Item, Start, Up
from resilience.stand_ins.providers import _within
from resilience.stand_ins.records import Record
from resilience.stand_ins.state import Running, last_line

MOCKS = "mocks"

MOCKED = (ServiceType.HTTP, ServiceType.WEBSOCKET, ServiceType.OPENAI)


async def _mocks(run: Start, group: Sequence[Item], passed: list[str]) -> list[Up]:
    """Have one process mock all of these, beside those it mocks already."""
    now = run.running(MOCKS)
    ups: dict[str, Up] = {}
    ours: list[Item] = []
    # Ports of mocks that run belong to us.
    held = {record.port for record in run.records.values() if record.supervised == MOCKS} if now else set()
    if now:  # also those of a start that was killed before it could record them
        held |= {mock["port"] for mock in _mocks_before(run).get("services", [])}
    for item in group:
        found = (
            None if item.place.port in held else await running.prove(item.service, item.place, timeout_s=run.patience_s)
        )
        if found is None:
            ours.append(item)
        else:
            ups[item.service.name] = Up(provider="running", version=found.version, pid=found.pid, started_here=False)
    if ours:
        passed.append("running: nothing listens there")
        config = _mock_config(run, ours, keep=now is not None)
        path = run.settings.data / "mocks.json"
        write_atomically(path, config, durable=False)
        log = run.logs / "mocks.log"
        launch = Launch(
            name=MOCKS,
            argv=(sys.executable, "-m", "resilience.stand_ins.mocks", str(path)),
            cwd=str(run.settings.data),
            log=str(log),
            stop_signals=(SIGTERM,),
            env={
                "PYTHONPATH": import_path(os.environ.get("PYTHONPATH", "")),
                # The mocks speak no TLS, and aiohttp reads the system's certificates at import: 0.04 s.
                "SSL_CERT_FILE": os.devnull,
                "SSL_CERT_DIR": os.devnull,
            },
            digest=hashlib.sha256(config).hexdigest()[:16],
        )

        async def coming_up() -> None:
            service = await run.run(launch)
            for item in ours:
                await _mock_answers(item, service, log)

        await _within(run, MOCKS, False, coming_up())
        service = run.running(MOCKS)
        for item in ours:
            ups[item.service.name] = Up(
                provider="mock",
                pid=service.pid if service else None,
                supervised=MOCKS,
                log=str(log),
                data_dir=str(run.settings.data),
            )
    return [ups[item.service.name] for item in group]


def _mocks_before(run: Start) -> dict[str, Any]:
    """Return the configuration that the mocks were last started with."""
    with suppress(OSError, ValueError):
        return dict(json.loads((run.settings.data / "mocks.json").read_bytes()))
    return {}


def _mock_config(run: Start, items: Sequence[Item], *, keep: bool) -> bytes:
    """Return the configuration of the mocks, in the same bytes for the same services."""
    earlier = _mocks_before(run)
    services: dict[str, dict[str, Any]] = {}
    if keep:
        recorded = {name for name, record in run.records.items() if record.supervised == MOCKS}
        services = {item["name"]: item for item in earlier.get("services", []) if item["name"] in recorded}
    for item in items:
        place = item.place
        services[item.service.name] = {
            "name": item.service.name,
            "kind": kind_of(item.service),
            "bind": place.bind,
            "port": place.port,
            "path": place.path,
            "user": place.user,
            "password": place.password,
            "routes": list(item.service.mock_routes),
            "expect_json": dict(item.service.expect_json),
            "expect_body": item.service.expect_body,
            "expect_status": 200
            if place.type == ServiceType.WEBSOCKET
            else next(iter(item.service.expect_status), 200),
        }
    limits = run.settings.deadlines
    config = {
        "services": [services[name] for name in sorted(services)],
        "token": earlier.get("token") or secrets.token_urlsafe(24),
        "key_file": str(run.settings.data / "mocks.key"),
        "agent_execution_s": limits.agent_execution_s,
        "agent_thinking_s": limits.agent_thinking_s,
        "agent_tool_s": limits.agent_tool_s,
    }
    return json.dumps(config, indent=1).encode()


def kind_of(service: Service) -> str:
    """Return which mock imitates this service: the guide's auth service is the one HTTP service that is not a backend."""
    match service.type:
        case ServiceType.WEBSOCKET:
            return "websocket"
        case ServiceType.OPENAI:
            return "llm"
    return "auth" if "auth" in service.name.lower() else "backend"


async def _mock_answers(item: Item, service: Running, log: Path) -> None:
    while True:
        if not is_alive(service.pid, service.identity):
            raise StandInError(f"the mocks ended while starting: {last_line(log)}", hint=f"read {log}")
        if port_open(item.place.bind, item.place.port):
            answer = await asyncio.to_thread(ask_json, item.place, "/__resilience__/connections", 2.0)
            if answer.get("pid") != service.pid or item.service.name not in answer.get("services", {}):
                raise StandInError(
                    f"port {item.place.port} is answered by other mocks (pid {answer.get('pid')}).",
                    hint=f"ss -ltnp 'sport = :{item.place.port}'",
                )
            return
        await asyncio.sleep(0.01)


async def _fewer_mocks(settings: Settings, wanted: Mapping[str, Record], kept: Mapping[str, Record]) -> None:
    """Mock what is left, where some but not all of the mocks are to end."""
    if not any(record.supervised == MOCKS for record in wanted.values()) or not any(
        record.supervised == MOCKS for record in kept.values()
    ):
        return
    run = Start(settings, fresh=False, say=lambda _: None)
    run.records = dict(kept)
    services = [
        service for service in settings.services if service.name in kept and kept[service.name].supervised == MOCKS
    ]
    await run.end(MOCKS)
    await _mocks(run, [Item(service=service, place=endpoint(service)) for service in services], [])
