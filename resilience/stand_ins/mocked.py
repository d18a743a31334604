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
from dataclasses import replace
from pathlib import Path
from typing import Any

from resilience.core.errors import ResilienceError, StandInError
from resilience.core.settings import Service
from resilience.host import trust, under_way
from resilience.host.files import write_atomically
from resilience.host.processes import SIGTERM, Launch, import_path
from resilience.services.place import COUNTS, ask_json, netloc, port_open
from resilience.services.standing_in import MockedStandIns, Server, Wanted, pid_of, stand_ins_of
from resilience.stand_ins.ground import SupervisedGround
from resilience.stand_ins.providers import running
from resilience.stand_ins.records import Record
from resilience.stand_ins.state import Running, last_line
from resilience.teach import key as teach_key
from resilience.teach.store import Store
from resilience.teach.ways import origin_of

MOCKS = "mocks"
"""The supervisor's name of the process."""
CONFIG = "mocks.json"


async def mock(ground: SupervisedGround, group: Sequence[Wanted], passed: list[str]) -> Sequence[Server | StandInError]:
    """Return a mock for each of these services, or the real server in its place already, or why its port is not ours.

    One process has all of them, beside those it mocks already, since a process a mock would cost 40 MB and 0.3 s
    each. It is replaced where its configuration changes, and so the mocks that go on are started with those that are
    new.

    `passed` is told why no real server was used. Raises StandInError for all of the group where the process does not
    come up.
    """
    now = ground.running(MOCKS)
    before = read_config(ground.data)
    # The ports of mocks that run are ours, also those of a start that was killed before it could record them.
    held = {record.port for record in ground.records.values() if record.supervised == MOCKS}
    held = held | {item["port"] for item in before.get("services", ())} if now else set()
    servers: dict[str, Server | StandInError] = {}
    ours: list[Wanted] = []
    for one in group:
        try:
            found = None if one.place.port in held else await ground.prove(one)
        except StandInError as exc:
            servers[one.service.name] = exc
            continue
        if found is None:
            ours.append(one)
        else:
            servers[one.service.name] = running(found)
    if ours:
        passed.append("running: nothing listens there")
        kept = _recorded(ground.records) if now else frozenset[str]()
        items = [item for item in before.get("services", ()) if item["name"] in kept]
        lacking: dict[str, tuple[str, ...]] = {}
        new = [_item(one, ground, lacking) for one in ours]
        await _run(ground, [*items, *new], new)
        common = Server(
            provider="mock",
            pid=pid_of(ground, MOCKS),
            supervised=MOCKS,
            log=str(ground.logs / "mocks.log"),
            data_dir=str(ground.data),
        )
        servers |= {one.service.name: replace(common, gaps=lacking.get(one.service.name, ())) for one in ours}
    return [servers[one.service.name] for one in group]


async def mock_fewer(ground: SupervisedGround, ended: Mapping[str, Record], kept: Mapping[str, Record]) -> None:
    """Mock what is left as it was mocked before, where some but not all of the mocks are to end."""
    left = _recorded(kept)
    if not left or not _recorded(ended):
        return
    items = [item for item in read_config(ground.data).get("services", ()) if item["name"] in left]
    await ground.end(MOCKS)
    await _run(ground, items, items)


def read_config(data: Path) -> dict[str, Any]:
    """Return the configuration that the mocks were last started with; empty where there is none that can be read."""
    with suppress(OSError, ValueError):
        raw = json.loads((data / CONFIG).read_bytes())
        return raw if isinstance(raw, dict) else {}
    return {}


def _recorded(records: Mapping[str, Record]) -> frozenset[str]:
    return frozenset(name for name, record in records.items() if record.supervised == MOCKS)


def _item(wanted: Wanted, ground: SupervisedGround, lacking: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return a service as `resilience.services.mocking.Mock` reads it: with what staging taught of it, where that is whole."""
    service, place = wanted.service, wanted.place
    stand_ins = stand_ins_of(place.kind)
    if not isinstance(stand_ins, MockedStandIns):
        raise StandInError(f"{service.name}: a service of type {place.type} has no mock.")
    kind = stand_ins.mock(service)
    return {
        "name": service.name,
        "kind": kind,
        "imitation": stand_ins.mocks[kind],
        "bind": place.bind,
        "port": place.port,
        "path": place.path,
        "user": place.user,
        "password": place.password,
        "routes": list(service.mock_routes),
        "expect_json": dict(service.expect_json),
        "expect_body": service.expect_body,
        "expect_status": stand_ins.health_status(service),
        **_taught(wanted, ground, lacking),
        **_secured(service, ground, lacking),
    }


def _taught(wanted: Wanted, ground: SupervisedGround, lacking: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return what makes a mock say what staging taught; nothing, and as a gap why, where no byte of it may be served."""
    service = wanted.service
    if not service.teach or wanted.place.kind.doubles is None:
        return {}
    found, key = Store(ground.checkout.state).current(service.name), None
    whole = [one for one in found if not one.problem]
    with suppress(ResilienceError):
        key = teach_key.read(ground.data, os.environ)
    foreign = [one for one in whole if key is None or one.manifest["masked"]["key"] != teach_key.mark(key)]
    gaps = [
        f"what it was taught is damaged ({one.problem}): resilience taught --verify" for one in found if one.problem
    ]
    gaps += [f"what it was taught (generation {one.number}) was masked with another key" for one in foreign]
    if not found:
        gaps.append("nothing was taught to it yet, it only echoes: resilience test --teach, while staging is well")
    lacking[service.name] = tuple(gaps)
    served = [one for one in whole if one not in foreign]
    if not served or key is None:
        return {}
    return {
        "imitation": "resilience.teach.serve:Taught",
        "taught": [str(one.folder) for one in served],
        "teach_key": key.hex(),
        "origin": origin_of(service) if service.configured else "",
    }


def _secured(service: Service, ground: SupervisedGround, lacking: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return what makes a mock speak TLS as well; as gaps, which clients that insist on it do not come to it all the same."""
    if not service.recorder_tls:
        return {}
    plain = [
        f"{name} leads to it by http://, and to staging by https://: "
        'a client that insists on https needs "https://{host}:{port}"'
        for name, value in service.exports.items()
        if value.reveal().startswith("http:")
        and name in service.staging_exports
        and service.staging_exports[name].reveal().startswith("https:")
    ]
    own = trust.words(trust.own_in(os.environ, ground.data))
    lacking[service.name] = (*lacking.get(service.name, ()), *plain, *own)
    return {"tls": True}


async def _run(
    ground: SupervisedGround, items: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]
) -> None:
    """Have one process mock these, the later of two with one name, and return when the expected ones answer.

    The token is kept over starts, so that the same services are the same bytes, and the process is kept as well.
    """
    by_name = {str(item["name"]): item for item in items}
    limits = ground.deadlines
    config = {
        "services": [by_name[name] for name in sorted(by_name)],  # in the same bytes for the same services
        "token": read_config(ground.data).get("token") or secrets.token_urlsafe(24),
        "checkout": ground.nonce,
        "under_way": str(under_way.folder_in(ground.data)),
        "key_file": str(ground.data / "mocks.key"),
        "agent_execution_s": limits.agent_execution_s,
        "agent_thinking_s": limits.agent_thinking_s,
        "agent_tool_s": limits.agent_tool_s,
    }
    if any(item.get("tls") for item in by_name.values()):
        config["tls"] = str(ground.data / trust.STAND_INS)
    text = json.dumps(config, indent=1).encode()
    path, log = ground.data / CONFIG, ground.logs / "mocks.log"
    write_atomically(path, text, durable=False)
    launch = Launch(
        name=MOCKS,
        argv=(sys.executable, "-m", "resilience.stand_ins.mocks", str(path)),
        cwd=str(ground.data),
        log=str(log),
        stop_signals=(SIGTERM,),
        env={
            "PYTHONPATH": import_path(os.environ.get("PYTHONPATH", "")),
            # The mocks are nobody's clients over TLS, and aiohttp reads the system's certificates at import: 0.04 s.
            "SSL_CERT_FILE": os.devnull,
            "SSL_CERT_DIR": os.devnull,
        },
        digest=hashlib.sha256(text).hexdigest()[:16],
    )

    async def coming_up() -> None:
        process = await ground.run(launch)
        for item in expected:
            await _answers(item["name"], item["bind"], item["port"], process, log)

    # The imports of the process are its preparation: seconds on a busy machine, where a switch has three.
    await ground.in_time(MOCKS, coming_up(), new=True)


async def _answers(name: str, bind: str, port: int, process: Running, log: Path) -> None:
    """Return when the process itself, by its pid, says on this port that it mocks this service. Bound it with a time-out."""
    while True:
        if not process.alive:
            raise StandInError(f"the mocks ended while starting: {last_line(log)}", hint=f"read {log}")
        if port_open(bind, port):
            answer = await asyncio.to_thread(ask_json, netloc(bind, port), COUNTS, 2.0)
            if answer.get("pid") != process.pid or name not in answer.get("services", {}):
                raise StandInError(
                    f"port {port} is answered by other mocks (pid {answer.get('pid')}).",
                    hint=f"ss -ltnp 'sport = :{port}'",
                )
            return
        await asyncio.sleep(0.01)
