"""One process has all mocks: those that go on, those that are new, and none in the place of a real server."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from resilience import stand_ins as local
from resilience.core.secret import Secret
from resilience.core.settings import Deadlines, Settings
from resilience.services.mocking import Config, Mock
from resilience.stand_ins.mocked import CONFIG
from resilience.stand_ins.mocks import Mocks
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import errors, service, team


async def test_a_mock_is_added_without_ending_the_others_for_good(checkout: Callable[..., Settings]) -> None:
    ports = free_ports(6)
    services = team(ports)[2:]
    settings = checkout(services)
    assert errors(await local.start(services[:2], settings)) == []
    token = json.loads((settings.data / CONFIG).read_bytes())["token"]
    assert errors(await local.start(services[2:], settings)) == []
    assert [one.ready for one in local.status(settings)] == [True] * 4
    assert len({one.pid for one in local.status(settings)}) == 1
    config = json.loads((settings.data / CONFIG).read_bytes())
    assert config["token"] == token
    assert [(item["name"], item["kind"]) for item in config["services"]] == [
        ("auth_service", "auth"),
        ("backend_api", "backend"),
        ("llm_service", "llm"),
        ("websocket", "websocket"),
    ]
    async with httpx.AsyncClient(trust_env=False) as http:
        for port, name in zip(ports[2:], ("backend_api", "auth_service", "websocket", "llm_service"), strict=True):
            answer = await http.get(f"http://127.0.0.1:{port}/health")
            assert answer.headers["X-Resilience-Mock"] == f"{name}; synthetic"


async def test_a_real_server_in_the_place_of_each_mock_is_proven_by_its_probe_and_used(
    checkout: Callable[..., Settings],
) -> None:
    """Each at the path and with the token of its `local` URL; a WebSocket server needs no /health."""
    real = (
        Mock(name="x", kind="backend", path="/api/health"),
        Mock(name="y", kind="websocket", path="/ws"),
        Mock(name="z", kind="llm", path="/v1", password="sk-local"),
    )
    async with Mocks(Config(services=real, token="t")):
        http, ws, llm = (mock.port for mock in real)
        services = [
            service("backend_api", f"http://localhost:{http}/api/health", shared=True),
            service("websocket", f"ws://localhost:{ws}/ws", shared=True),
            replace(
                service("llm_service", f"http://:sk-local@localhost:{llm}/v1", shared=True),
                kind=team([1] * 6)[5].kind,
            ),
        ]
        settings = checkout(services)
        found = await local.start(services, settings)
        assert errors(found) == []
        assert [(one.provider, one.started_here) for one in found] == [("running", False)] * 3
        assert [
            await local.connections(replace(one, name=mock.name)) for one, mock in zip(services, real, strict=True)
        ] == [0] * 3
        assert await local.stop(settings) == ()
        wrong = replace(services[2], local=type(services[2].local)(f"http://:sk-wrong@localhost:{llm}/v1"))
        refused = (await local.start([wrong], settings))[0]
        assert f"port {llm} is taken by" in refused.error
        assert "sk-wrong" not in refused.error


async def test_the_imports_of_the_mocks_are_preparation_and_may_take_longer_than_a_switch(
    checkout: Callable[..., Settings],
) -> None:
    """On a busy machine they take seconds, and a mock that was late dropped the tests of all mocks."""
    settings = checkout(team(free_ports(6))[2:3])
    hurried = replace(settings, deadlines=Deadlines(fallback_activation_s=0.01))
    assert errors(await local.start(settings.services, hurried)) == []
    await local.stop(settings)
    short = replace(settings, deadlines=Deadlines(fallback_prepare_s=0.01))
    (late,) = await local.start(settings.services, short)
    assert not late.ready
    assert "FALLBACK_PREPARE_TIMEOUT" in late.error


async def test_an_export_by_http_to_what_staging_has_by_https_is_a_gap_of_a_stand_in_with_tls(
    checkout: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/theirs.pem")
    for name in ("REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"):
        monkeypatch.delenv(name, raising=False)
    (port,) = free_ports(1)
    here, there = f"//127.0.0.1:{port}", "https://api.example"
    one = replace(
        service("backend_api", f"http:{here}/health", recorder_tls=True),
        exports={"PLAIN": Secret(f"http:{here}"), "TLS": Secret(f"https:{here}")},
        staging_exports={"PLAIN": Secret(there), "TLS": Secret(there)},
    )
    settings = checkout([one])
    (found,) = await local.start([one], settings)
    assert [gap.partition(" ")[0] for gap in found.gaps] == ["PLAIN", "SSL_CERT_FILE"], found
    trusted = ssl.create_default_context(cafile=str(settings.data / "tls" / "trusted.pem"))
    async with httpx.AsyncClient(trust_env=False, verify=trusted) as http:
        assert (await http.get(f"https:{here}/health")).headers["X-Resilience-Mock"] == "backend_api; synthetic"
