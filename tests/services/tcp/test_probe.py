"""A service known by host, port and greeting alone is looked at, and what is wrong with it is said."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from resilience.core.assess import judge
from resilience.core.errors import SettingsError
from resilience.core.records import ConnectivityStatus, FaultCode, Observation, Phase
from resilience.core.settings import Service, Settings
from resilience.runs.configuration import load_settings, settings_for_url
from resilience.services.looking import probe_all
from tests.kits.servers import fakes

C = FaultCode


def configured(folder: Path, port: int | str, *lines: str) -> Settings:
    (folder / ".git").mkdir(exist_ok=True)
    head = ["[[service]]", 'name = "broker"', 'type = "tcp"', f'url = "tcp://127.0.0.1:{port}"', "timeout_s = 0.5"]
    (folder / "resilience.toml").write_text("\n".join([*head, *lines]))
    return load_settings(cwd=folder, environ={"HOME": str(folder)})


async def look(service: Service) -> Observation:
    (seen,) = await probe_all([service])
    return seen


async def test_a_port_that_accepts_is_all_that_is_asked_for_without_a_greeting(tmp_path: Path) -> None:
    async with fakes.serve(fakes.silent) as port:
        (service,) = configured(tmp_path, port).services
        seen = await look(service)
    assert (seen.fault, seen.found, seen.endpoint) == (None, "connected", f"127.0.0.1:{port}")
    assert seen.phases.tcp_s is not None
    assert judge(service, seen).status is ConnectivityStatus.AVAILABLE


@pytest.mark.parametrize(
    ("lines", "handler"),
    [
        (['greeting_expect = "AMQP"'], fakes.says(b"AMQP\x00\x00\x09\x01", first=True, stay=True)),
        (['greeting_send = "ruok"', 'greeting_expect = "imok"'], fakes.says(b"imok")),
        (['greeting_expect = "220 mail\\r\\n"'], fakes.says(b"22", b"0 mail\r\n", b"more", first=True, stay=True)),
        (['greeting_send = "hello"'], fakes.silent),
    ],
    ids=["it greets first", "it answers", "in pieces, and more behind", "nothing is waited for"],
)
async def test_the_greeting_that_is_expected_is_a_service_that_is_well(
    tmp_path: Path, lines: list[str], handler: fakes.Handler
) -> None:
    async with fakes.serve(handler) as port:
        (service,) = configured(tmp_path, port, *lines).services
        seen = await look(service)
    assert seen.fault is None, seen.fault


async def nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize(
    ("handler", "code", "said"),
    [
        (fakes.says(b"SSH-2.0-x\r\n", first=True, stay=True), C.PROTO_WRONG, "an SSH server answers"),
        (nothing, C.PROTO_CLOSED, "closed after 0 bytes"),
        (fakes.says(b"im", first=True), C.PROTO_CLOSED, "closed after 2 bytes"),
        (fakes.silent, C.PROTO_SILENT, "no answer within 0.5 s"),
    ],
    ids=["another server", "closed", "cut", "silent"],
)
async def test_another_greeting_or_none_is_a_fault_in_the_words_of_the_kind(
    tmp_path: Path, handler: fakes.Handler, code: FaultCode, said: str
) -> None:
    async with fakes.serve(handler) as port:
        (service,) = configured(tmp_path, port, 'greeting_expect = "imok"').services
        seen = await look(service)
    assert seen.fault is not None
    assert seen.fault.code is code
    assert said in seen.fault.detail
    if code in service.kind.words:
        assert f"nc -v 127.0.0.1 {port}" in seen.fault.hint


async def test_nothing_listens(tmp_path: Path) -> None:
    (service,) = settings_for_url([f"tcp://127.0.0.1:{fakes.refused()}"], cwd=tmp_path, environ={}).services
    seen = await look(service)
    assert seen.fault is not None
    assert (seen.fault.code, seen.fault.phase) == (C.TCP_REFUSED, Phase.TCP)
    assert service.name == "tcp"


@pytest.mark.parametrize(
    ("port", "line", "said"),
    [
        ("", "", "no port"),
        ("9", "greeting_expect = 220", "a text in quotes was expected"),
        ("9", 'greeting_expekt = "x"', 'did you mean "greeting_expect"?'),
        ("9", 'echo = "x"', "a key of a service of type tcp was expected"),
    ],
)
def test_what_cannot_be_configured_is_refused_by_name(tmp_path: Path, port: str, line: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        configured(tmp_path, port, line)
    assert said in str(refused.value)
    assert "broker" in str(refused.value)


def test_the_page_of_docs_shows_a_service_that_can_be_configured(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/services/tcp.md").read_text(encoding="utf-8")
    (tmp_path / ".git").mkdir()
    (tmp_path / "resilience.toml").write_text(page.split("```toml\n")[1].split("```")[0], encoding="utf-8")
    environ = {"HOME": str(tmp_path), "STAGING_BROKER_URL": "tcp://broker.staging.example:5672"}
    (service,) = load_settings(cwd=tmp_path, environ=environ).services
    assert service.configured
    assert service.options == {"greeting_send": "AMQP\0\0\t\1", "greeting_expect": "AMQP"}
