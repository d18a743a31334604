"""One URL means one place: for settings, for `assess --url`, for the probe, for a stand-in and for attribution."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from resilience.core.settings import Settings
from resilience.runs.configuration import load_settings, settings_for_url
from resilience.services.looking import probe_all
from resilience.suite.addresses import endpoints_of
from tests.kits.servers import fakes
from tests.kits.servers.redis import Redis, binary


def configured(folder: Path, kind: str, url: str) -> Settings:
    (folder / ".git").mkdir(exist_ok=True)
    (folder / "resilience.toml").write_text(f'[[service]]\nname = "mine"\ntype = "{kind}"\nurl = "{url}"\n')
    return load_settings(cwd=folder, environ={"HOME": str(folder)})


@pytest.mark.parametrize(
    ("kind", "url", "port"),
    [
        ("clickhouse", "http://127.0.0.1/shop", 8123),
        ("clickhouse", "https://127.0.0.1/shop", 8443),
        ("clickhouse", "clickhouse+https://127.0.0.1/shop", 8443),
        ("redis", "valkey://127.0.0.1/0", 6379),
        ("redis", "valkeys://127.0.0.1/0", 6379),
        ("postgresql", "postgresql://u@/shop?host=127.0.0.1&port=6543", 6543),
        ("postgresql", "postgres://u@127.0.0.1/shop", 5432),
        ("http", "https://127.0.0.1/health", 443),
        ("websocket", "wss://127.0.0.1/ws", 443),
    ],
)
async def test_the_probe_and_the_attribution_of_failures_go_to_the_same_port(
    tmp_path: Path, kind: str, url: str, port: int
) -> None:
    settings = configured(tmp_path, kind, url)
    (endpoint,) = endpoints_of(settings.services, (), resolve_s=0.0)
    (seen,) = await probe_all(settings.services)
    assert endpoint.port == port
    assert seen.endpoint == f"127.0.0.1:{port}"


@pytest.mark.skipif(binary() is None, reason="no Redis binary here")
async def test_a_redis_behind_a_unix_socket_is_proposed_taken_and_looked_at(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # a socket's path has at most 107 characters
        server = Redis("--unixsocket", f"{folder}/r.sock")
        try:
            settings = settings_for_url([f"unix://{folder}/r.sock?db=1"], cwd=tmp_path, environ={})
            (seen,) = await probe_all(settings.services)
        finally:
            server.stop()
    assert seen.fault is None, seen.fault
    assert seen.endpoint == f"{folder}/r.sock"
    assert seen.facts["role"] == "primary"


@pytest.mark.parametrize("scheme", ["valkey", "redis"])
def test_assess_takes_every_scheme_that_the_probe_speaks(tmp_path: Path, scheme: str) -> None:
    (service,) = settings_for_url([f"{scheme}://127.0.0.1/0"], cwd=tmp_path, environ={}).services
    assert (service.name, service.type) == ("redis", "redis")


async def test_an_at_sign_in_the_path_of_an_http_service_is_no_password(tmp_path: Path) -> None:
    async with fakes.serve(fakes.says(fakes.http(200))) as port:
        settings = settings_for_url([f"http://127.0.0.1:{port}/users/me@team.example"], cwd=tmp_path, environ={})
        (seen,) = await probe_all(settings.services)
    assert seen.fault is None, seen.fault
