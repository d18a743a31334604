"""A team's own command stands in for its service: proven by the kind's probe, ended with all of it, or refused by name."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx
import pytest

from resilience import stand_ins as local
from resilience.core.records import StandIn
from resilience.core.secret import Secret
from resilience.core.settings import OwnStandIn, Service, Settings
from resilience.host.processes import identity, is_alive
from resilience.services.place import port_open
from resilience.services.registry import KINDS
from resilience.stand_ins.listeners import listener
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import errors, eventually, listening, needs_servers, processes_naming, service

PYTHON = shlex.quote(sys.executable)
APP = """
import http.server, json, os, sys
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(dict(os.environ)).encode()
        self.send_response(int(os.environ.get("STATUS", "200")))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), App).serve_forever()
"""
SERVE = f"{PYTHON} app.py {{host}} {{port}}"


@pytest.fixture
def backend(checkout: Callable[..., Settings]) -> Callable[..., tuple[Service, Settings]]:
    """A backend with its own command, and the checkout it is of, in whose root app.py lies."""

    def make(
        command: str = SERVE, *, others: tuple[Service, ...] = (), timeout_s: float = 20.0, **fields: object
    ) -> tuple[Service, Settings]:
        env = fields.pop("env", {})
        assert isinstance(env, Mapping)
        own = OwnStandIn(
            command=command,
            timeout_s=timeout_s,
            env={name: Secret(value) for name, value in env.items()},
            **{key: fields.pop(key) for key in ("cwd", "reads", "unset") if key in fields},  # type: ignore[arg-type]
        )
        one = service("backend_api", f"http://127.0.0.1:{free_ports(1)[0]}/health", own=own, **fields)
        settings = checkout([*others, one])
        (settings.root / "app.py").write_text(APP)
        return one, settings

    return make


def port_of(one: Service) -> int:
    return int(one.local.reveal().split(":")[2].split("/")[0])


def told_by(one: Service) -> dict[str, str]:
    answer: dict[str, str] = httpx.get(one.local.reveal(), trust_env=False).json()
    return answer


async def start(one: Service, settings: Settings) -> StandIn:
    return (await local.start([one], settings))[0]


async def test_it_comes_up_is_kept_and_is_gone_again_with_its_children(
    backend: Callable[..., tuple[Service, Settings]], tmp_path: Path
) -> None:
    one, settings = backend(f"{SERVE} & sleep 600 & wait")
    assert local.availability([one], settings)[0].provider == "start"
    found = await start(one, settings)
    assert (found.error, found.ready, found.provider, found.started_here) == ("", True, "start", True)
    assert found.pid
    assert (await start(one, settings)).pid == found.pid
    assert local.status(settings)[0].ready
    assert len(processes_naming(tmp_path)) >= 2
    assert await local.stop(settings) == ("backend_api",)
    assert not port_open("127.0.0.1", port_of(one))
    assert eventually(lambda: not processes_naming(tmp_path))


async def test_it_gets_its_env_with_the_place_in_it_and_no_value_stands_in_its_argument_list(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    one, settings = backend(env={"SELF": "{local}", "WHERE": "{host}:{port}", "API_TOKEN": "tok-123"})
    found = await start(one, settings)
    assert found.error == ""
    told = told_by(one)
    assert told["SELF"] == one.local.reveal()
    assert told["WHERE"] == f"127.0.0.1:{port_of(one)}"
    assert told["API_TOKEN"] == "tok-123"
    assert b"tok-123" not in Path(f"/proc/{found.pid}/cmdline").read_bytes()
    assert "tok-123" not in (settings.data / "supervisor" / "state.json").read_text()


async def test_another_configuration_is_another_process(backend: Callable[..., tuple[Service, Settings]]) -> None:
    one, settings = backend(env={"TOLD": "one"})
    first = await start(one, settings)
    other = Service(
        name=one.name, kind=one.kind, local=one.local, own=OwnStandIn(command=SERVE, env={"TOLD": Secret("two")})
    )
    second = await start(other, settings)
    assert (second.ready, told_by(one)["TOLD"]) == (True, "two")
    assert second.pid != first.pid


@needs_servers
async def test_it_is_run_after_what_it_depends_on_is_ready_and_gets_its_exports(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    url = f"redis://:pw@127.0.0.1:{free_ports(1)[0]}/0"
    port = url.rpartition(":")[2].partition("/")[0]
    redis = service("redis", url, exports={"REDIS_URL": Secret(url)})
    asked = f"{PYTHON} -c 'import socket; socket.create_connection((\"127.0.0.1\", {port}))'"
    one, settings = backend(f"{asked} && exec {SERVE}", others=(redis,), depends_on=("redis",))
    found = await local.start([one, redis], settings)
    assert errors(found) == []
    assert told_by(one)["REDIS_URL"] == url


async def test_it_is_not_run_where_what_it_depends_on_did_not_come_up(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    with listening() as taken:
        redis = service("redis", f"redis://127.0.0.1:{taken}/0")
        one, settings = backend("touch was-run", others=(redis,), depends_on=("redis",))
        found = (await local.start([one, redis], settings))[0]
    assert "depends on redis, whose stand-in did not come up" in found.error
    assert not (settings.root / "was-run").exists()


async def test_its_crash_is_said_with_how_it_ended(
    backend: Callable[..., tuple[Service, Settings]], tmp_path: Path
) -> None:
    one, settings = backend(f"{PYTHON} -c 'import time; time.sleep(600)' & exec {SERVE}")
    found = await start(one, settings)
    assert found.ready
    server = listener(port_of(one)).pid
    assert server
    os.kill(server, signal.SIGKILL)
    assert eventually(lambda: "ended by signal 9" in local.status(settings)[0].error)
    assert not local.status(settings)[0].ready
    assert eventually(lambda: not processes_naming(settings.root)), "its children outlived it"
    again = await start(one, settings)
    assert again.ready
    assert again.pid != found.pid


async def test_its_children_end_where_its_keeper_is_killed(
    backend: Callable[..., tuple[Service, Settings]], tmp_path: Path
) -> None:
    one, settings = backend(f"{SERVE} & {PYTHON} -c 'import time; time.sleep(600)' & wait")
    found = await start(one, settings)
    assert found.pid
    child = listener(port_of(one)).pid
    known = identity(child or 0)
    os.kill(found.pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(child, known))
    assert eventually(lambda: "ended by signal 9" in local.status(settings)[0].error)


# bad input: each is named before anything is started, or undone


async def test_one_that_exits_is_named_with_its_code_and_its_last_words(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    one, settings = backend("echo no such table >&2; exit 3")
    found = await start(one, settings)
    assert "ended with exit code 3" in found.error
    assert "no such table" in found.error
    assert not found.ready
    assert found.provider == ""


async def test_one_that_forks_away_is_named_and_what_it_left_is_ended(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    one, settings = backend(f"(setsid {SERVE} &); exit 0")
    found = await start(one, settings)
    assert "ended with exit code 0" in found.error
    assert "foreground" in found.error
    assert eventually(lambda: not port_open("127.0.0.1", port_of(one)))


async def test_one_that_never_answers_is_ended_when_its_time_is_over(
    backend: Callable[..., tuple[Service, Settings]], tmp_path: Path
) -> None:
    one, settings = backend(
        f"{PYTHON} -c 'import time; print(\"waiting\", flush=True); time.sleep(600)'", timeout_s=0.7
    )
    found = await start(one, settings)
    assert "did not come up within 0.7 s" in found.error
    assert "waiting" in found.error
    assert "{port}" in found.error, "the hint names what its command does not read"
    assert eventually(lambda: not processes_naming(settings.root))


async def test_one_that_answers_wrongly_is_ended_with_what_its_probe_saw(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    one, settings = backend(env={"STATUS": "500"}, timeout_s=2.0)
    found = await start(one, settings)
    assert "answers, but" in found.error
    assert "500" in found.error
    assert not port_open("127.0.0.1", port_of(one))


async def test_one_that_takes_the_port_of_another_is_named(
    backend: Callable[..., tuple[Service, Settings]], checkout: Callable[..., Settings]
) -> None:
    victim_port, taker_port = free_ports(2)
    victim = service(
        "victim",
        f"http://127.0.0.1:{victim_port}/",
        own=OwnStandIn(command="sleep 600", timeout_s=3.0),
        depends_on=("other",),
    )
    taker = service(
        "taker",
        f"http://127.0.0.1:{taker_port}/",
        own=OwnStandIn(command=f"{PYTHON} app.py {{host}} {victim_port}", timeout_s=3.0),
    )
    settings = checkout([victim, taker])
    (settings.root / "app.py").write_text(APP)
    found = await local.start([victim, taker], settings)
    assert f"port {victim_port} is taken by" in found[0].error
    assert f"http-{taker_port}" in found[0].error
    assert f"nothing listens on 127.0.0.1:{taker_port}" in found[1].error
    assert not port_open("127.0.0.1", victim_port)


async def test_one_that_finds_its_port_taken_is_not_run(backend: Callable[..., tuple[Service, Settings]]) -> None:
    one, settings = backend("touch was-run")
    with listening(port_of(one)):
        found = await start(one, settings)
    assert "is taken by" in found.error or "is held by" in found.error
    assert not (settings.root / "was-run").exists()


async def test_one_that_prints_without_end_fills_no_disk(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    one, settings = backend(f"head -c 60000000 /dev/zero; exec {SERVE}")
    found = await start(one, settings)
    assert found.error == ""
    sizes = [path.stat().st_size for path in (settings.data / "logs").glob("backend_api-start.log*")]
    assert len(sizes) == 2
    assert sum(sizes) <= 10_000_000


async def test_one_that_needs_a_variable_that_is_unset_is_not_run(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    for fields, name in (({"reads": {"NOT_SET_1": Secret("")}}, "NOT_SET_1"), ({"unset": ("NOT_SET_2",)}, "NOT_SET_2")):
        one, settings = backend("touch was-run", **fields)
        assert not local.availability([one], settings)[0].usable
        found = await start(one, settings)
        assert f"needs {name}" in found.error
        assert not (settings.root / "was-run").exists()


async def test_a_program_or_folder_that_is_not_there_is_named_before(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    for fields, said in (({"command": "no-such-program --x"}, "no-such-program"), ({"cwd": "no/folder"}, "no/folder")):
        one, settings = backend(**fields)
        assert said in local.availability([one], settings)[0].reason
        assert said in (await start(one, settings)).error


async def test_two_that_want_one_port_are_both_refused(
    backend: Callable[..., tuple[Service, Settings]],
) -> None:
    one, settings = backend("touch was-run")
    other = Service(name="other", kind=one.kind, local=one.local, own=one.own)
    found = await local.start([one, other], settings)
    assert all(f"want one port, {port_of(one)}" in stand_in.error for stand_in in found)
    assert not (settings.root / "was-run").exists()


async def test_a_kind_without_a_stand_in_of_ours_is_stood_in_for_by_a_command(
    checkout: Callable[..., Settings],
) -> None:
    greets = (
        "import socket, sys\n"
        "server = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True:\n    client = server.accept()[0]; client.sendall(b'220 hello'); client.close()\n"
    )
    one = Service(
        name="mail",
        kind=KINDS["tcp"],
        local=Secret(f"tcp://127.0.0.1:{free_ports(1)[0]}"),
        options={"greeting_send": "", "greeting_expect": "220"},
        own=OwnStandIn(command=f"{PYTHON} greets.py {{port}}"),
    )
    settings = checkout([one])
    (settings.root / "greets.py").write_text(greets)
    found = await start(one, settings)
    assert (found.error, found.provider) == ("", "start")
