"""The recorder is a process that ends with whoever started it, and whose death nothing is learned from."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.host.trust import trusting
from resilience.services.registry import KINDS
from resilience.teach.recording import RecorderError, Recording
from tests.kits.taught_kit import Staging, served


@pytest.fixture
def staging() -> Iterator[Staging]:
    with served() as made:
        yield made


def service(url: str, **more: object) -> Service:
    exports = {"BACKEND_URL": Secret(url.removesuffix("/health"))}
    return Service(name="api", kind=KINDS["http"], url=Secret(url), staging_exports=exports, **more)  # type: ignore[arg-type]


async def test_it_records_and_ends(staging: Staging, tmp_path: Path) -> None:
    async with Recording([service(f"{staging.origin}/health")], tmp_path, root=tmp_path, workers=1) as recording:
        (way,) = recording.ways
        async with httpx.AsyncClient(trust_env=False) as http:
            for url in (way.exports["BACKEND_URL"], way.workers[0]["BACKEND_URL"]):
                assert (await http.get(f"{url}/teapot")).status_code == 418
        pid = recording.pid
        heard = await recording.end()
    assert [(one.path, one.status, one.worker) for one in heard] == [("/teapot", 418, "main"), ("/teapot", 418, "gw0")]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_left_without_its_end_it_ends_all_the_same(staging: Staging, tmp_path: Path) -> None:
    async with Recording([service(f"{staging.origin}/health")], tmp_path, root=tmp_path, workers=0) as recording:
        pid = recording.pid
        assert recording.alive
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_of_one_that_was_killed_nothing_is_learned(staging: Staging, tmp_path: Path) -> None:
    async with Recording([service(f"{staging.origin}/health")], tmp_path, root=tmp_path, workers=0) as recording:
        os.kill(recording.pid, signal.SIGKILL)
        with pytest.raises(RecorderError, match="nothing of this lesson is kept"):
            await recording.end()


async def test_one_that_cannot_start_says_why(tmp_path: Path) -> None:
    broken = service("https://api.example/health", tls_ca="no-such-file.pem")
    with pytest.raises(RecorderError, match=r"did not start: .*No such file"):
        async with Recording([broken], tmp_path, root=tmp_path):
            pass


CLIENT = """
import asyncio, os, sys, urllib.request
url, library = sys.argv[1:]
if library == "urllib":
    body = urllib.request.urlopen(url).read()
elif library == "requests":
    import requests
    body = requests.get(url).content
elif library == "httpx":
    import httpx
    body = httpx.get(url).content
elif library == "aiohttp":
    import aiohttp
    async def get():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.read()
    body = asyncio.run(get())
sys.stdout.buffer.write(body)
"""


async def asked(url: str, library: str, trusted: dict[str, str]) -> tuple[int, bytes]:
    """Have a program of a team ask for this, with that in its environment."""
    environ = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "error", "-c", CLIENT, url, library, env={**environ, **trusted},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    return process.returncode or 0, out or err


def secure(staging: Staging) -> Service:
    """Return a service whose tests are led by https, and by host and port alone."""
    made = service(f"{staging.origin}/health", recorder_tls=True)
    named = {"API": Secret(f"https://127.0.0.1:{staging.port}"), "PLAIN": Secret(staging.origin)}
    return replace(made, staging_exports={**named, "NETLOC": Secret(f"127.0.0.1:{staging.port}")})


async def test_clients_that_insist_on_https_are_recorded_where_their_service_has_tls(
    staging: Staging, tmp_path: Path
) -> None:
    folder = tmp_path / "lesson"
    one = secure(staging)
    async with Recording([one], tmp_path, root=tmp_path, workers=1, folder=folder) as recording:
        trusted = trusting(folder, ())
        (way,) = recording.ways
        urls = {
            "urllib": way.exports["API"],
            "requests": f"https://{way.exports['NETLOC']}",
            "httpx": way.workers[0]["API"],
            "aiohttp": way.exports["API"].replace("127.0.0.1", "localhost"),
        }
        assert all(url.startswith("https://") for url in urls.values())
        found = await asyncio.gather(*(asked(f"{url}/health", name, trusted) for name, url in urls.items()))
        assert found == [(0, b'{"status": "ok", "build": "1.4.2"}')] * 4
        assert way.exports["PLAIN"].startswith("http://")
        assert (await asked(f"{way.exports['PLAIN']}/health", "urllib", {}))[0] == 0, "plain is answered as well"
        assert b"PRIVATE" not in b"".join(path.read_bytes() for path in folder.iterdir())
        heard = await recording.end()
    assert sorted((one.path, one.status, one.worker, one.lost) for one in heard) == [
        ("/health", 200, "gw0", ""),
        *[("/health", 200, "main", "")] * 4,
    ]
    assert not folder.exists(), "the lesson's own folder is gone with it"


async def test_a_client_that_trusts_another_certificate_is_named(staging: Staging, tmp_path: Path) -> None:
    folder = tmp_path / "lesson"
    async with Recording([secure(staging)], tmp_path, root=tmp_path, workers=0, folder=folder) as recording:
        (way,) = recording.ways
        code, said = await asked(f"{way.exports['API']}/health", "urllib", {})
        assert (code, b"CERTIFICATE_VERIFY_FAILED" in said) == (1, True)
        (one,) = await recording.end()
    assert one.lost.startswith("its client does not take the certificate of the recorder (tlsv1 alert unknown ca)")


async def test_what_is_turned_is_turned_by_the_scheme_that_the_client_speaks(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        response = web.Response(headers={"Location": f"http://{request.host}/next"})
        response.headers["Set-Cookie"] = "__Host-sid=a; Path=/; Secure; Domain=staging.example"
        return response

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        one = replace(service(f"{origin}/"), recorder_tls=True)
        async with Recording([one], tmp_path, root=tmp_path, workers=0, folder=tmp_path / "lesson") as recording:
            netloc = recording.ways[0].exports["BACKEND_URL"].partition("://")[2].rstrip("/")
            context = ssl.create_default_context(cafile=str(tmp_path / "lesson" / "authority.pem"))
            async with httpx.AsyncClient(trust_env=False, verify=context) as http:
                told = (await http.get(f"https://{netloc}/")).headers
                plain = (await http.get(f"http://{netloc}/")).headers
    finally:
        await runner.cleanup()
    assert (told["Location"], plain["Location"]) == (f"https://{netloc}/next", f"http://{netloc}/next")
    assert (told["Set-Cookie"], plain["Set-Cookie"]) == ("__Host-sid=a; Path=/; Secure", "__Host-sid=a; Path=/")


async def test_a_staging_that_dies_resets_a_client_with_tls_as_well(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        one = replace(service(f"http://127.0.0.1:{nobody.getsockname()[1]}"), recorder_tls=True)
        async with Recording([one], tmp_path, root=tmp_path, workers=0, folder=tmp_path / "lesson") as recording:
            netloc = recording.ways[0].exports["BACKEND_URL"].partition("://")[2].rstrip("/")
            context = ssl.create_default_context(cafile=str(tmp_path / "lesson" / "authority.pem"))
            async with httpx.AsyncClient(trust_env=False, verify=context) as http:
                with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
                    await http.get(f"https://{netloc}/")
            (heard,) = await recording.end()
    assert heard.fault == "ClientConnectorError"
