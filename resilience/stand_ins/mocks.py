"""Turn a JSON file into mocks of what is ours to imitate, for real clients, on loopback.

    python -m resilience.stand_ins.mocks CONFIG.json

One process serves all of them. Each response carries `X-Resilience-Mock: <service>; <from where>`, so that no mock passes for the
real thing and no answer for more than it is. Below `/__resilience__/` each port answers `connections` (how many were used, our own
looks left out), `answers` (from where each was had; `?since=` a time) and, with the token of the configuration, `dial` (latency and
failures).
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import ssl
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from pkgutil import resolve_name

from aiohttp import web

from resilience.host.either import Either
from resilience.host.under_way import UnderWay, under_way
from resilience.services.mocking import MARK, MISS, SYNTHETIC, UNDER_WAY, Config, Dial, Imitation, Mock, bearer, port_of
from resilience.services.place import COUNTS

WORKERS = 16
"""So many workers of pytest-xdist get ports of their own, where something is taught."""
OWN_AGENT = "resilience"
"""Requests whose User-Agent begins so are our own looks and do not count as use by the tests."""

ADMIN = COUNTS.rpartition("/")[0] + "/"


def read_config(text: str | bytes) -> Config:
    """Read the configuration; an unknown key or kind is a ValueError or TypeError.

    A configuration of the version before, which names only `kind`, is read as well: its stand-ins may still run.
    """
    raw = json.loads(text)
    services = []
    for item in raw.pop("services"):
        dial = Dial(**item.pop("dial", {}))
        lists = {name: tuple(item[name]) for name in ("routes", "taught") if name in item}
        mock = Mock(**{**item, **lists, "dial": dial})
        if not mock.imitation and mock.kind not in (known := our_mocks()):
            raise ValueError(f"{mock.name}: kind {mock.kind!r}, expected one of {', '.join(known)}")
        services.append(mock)
    return Config(services=tuple(services), **raw)


def write_config(config: Config) -> bytes:
    """Return the JSON that `read_config` reads."""
    told = asdict(replace(config, services=tuple(replace(mock, told=deque()) for mock in config.services)))
    for mock in told["services"]:
        del mock["told"]  # what it answered is no configuration
    return json.dumps(told).encode()


def our_mocks() -> dict[str, str]:
    """Return the mocks of our own kinds → what imitates, by dotted name."""
    # Only for a configuration that does not say: the kinds take 0.06 s, and every mock would come up later.
    from resilience.services.registry import KINDS
    from resilience.services.standing_in import MockedStandIns, stand_ins_of

    every = [stand_ins_of(kind) for kind in KINDS if kind.is_mocked]
    return {name: dotted for one in every if isinstance(one, MockedStandIns) for name, dotted in one.mocks.items()}


class Mocks:
    """The servers, one per port. `start` and `stop`; `ports` says where they listen.

    Services on one port share a server; port 0 takes a free one, which stands in the mock afterwards.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.under_way = Path(config.under_way) if config.under_way else None
        self.imitations: dict[str, Imitation] = {}
        for mock in config.services:
            mock.imitation = mock.imitation or our_mocks()[mock.kind]
            if mock.imitation not in self.imitations:
                self.imitations[mock.imitation] = resolve_name(mock.imitation)(config)
        self.runners: list[web.AppRunner] = []
        self.eithers: list[Either] = []
        """The ports that speak TLS as well."""
        self.workers: dict[str, list[int]] = {}

    async def start(self) -> Mocks:
        """Listen on every port, or on none. Raises OSError where one is taken."""
        places: dict[tuple[str, int], list[Mock]] = {}
        context = self._tls()
        for number, mock in enumerate(self.config.services):
            places.setdefault((mock.bind, mock.port or -number), []).append(mock)
        try:
            for (bind, port), mocks in places.items():
                runner = web.AppRunner(self._app(mocks), access_log=None, shutdown_timeout=0.2, handle_signals=False)
                await runner.setup()
                self.runners.append(runner)
                tls = context if any(mock.tls for mock in mocks) else None
                used = await self._listen(runner, tls, mocks, bind, max(port, 0))
                for mock in mocks:
                    mock.port = used
                if any(mock.taught for mock in mocks):
                    await self._open_for_workers(runner, tls, bind, mocks)
        except BaseException:
            await self.stop()
            raise
        return self

    def _tls(self) -> ssl.SSLContext | None:
        """Return how those speak TLS that are to; the authority is read only where one is."""
        if not any(mock.tls for mock in self.config.services):
            return None
        folder = Path(self.config.tls)
        authority = resolve_name("resilience.host.authority:kept")(folder)
        made: ssl.SSLContext = authority.context(folder)
        return made

    async def _listen(
        self,
        runner: web.AppRunner,
        tls: ssl.SSLContext | None,
        mocks: Sequence[Mock],
        bind: str,
        port: int,
        worker: str = "",
    ) -> int:
        """Listen on a port, and return which it is; a handshake that fails is a miss of the test under way."""
        if tls is None:
            await web.TCPSite(runner, bind, port).start()
            return int(runner.addresses[-1][1])
        assert runner.server is not None

        def refused(why: str) -> None:
            found = under_way(self.under_way, worker) if self.under_way is not None else None
            said = f"a handshake of TLS that failed: {why}"
            mocks[0].told.append((time.time(), MISS, said, found.test if found else ""))

        either = Either(runner.server, tls, bind=bind, port=port, refused=refused)
        self.eithers.append(either)
        return either.port

    async def _open_for_workers(
        self, runner: web.AppRunner, tls: ssl.SSLContext | None, bind: str, mocks: Sequence[Mock]
    ) -> None:
        """Open a port for each worker of pytest-xdist, by which a request says in which process its test is."""
        ports = [await self._listen(runner, tls, mocks, bind, 0, f"gw{number}") for number in range(WORKERS)]
        for mock in mocks:
            self.workers[mock.name] = ports
        for imitation in {id(one): one for one in self.imitations.values()}.values():
            imitation.workers |= {port: f"gw{number}" for number, port in enumerate(ports)}

    async def stop(self) -> None:
        for either in self.eithers:
            either.close()
        self.eithers.clear()
        await asyncio.gather(*(runner.cleanup() for runner in self.runners))
        self.runners.clear()

    async def __aenter__(self) -> Mocks:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def mock(self, name: str) -> Mock:
        return next(mock for mock in self.config.services if mock.name == name)

    def _app(self, mocks: Sequence[Mock]) -> web.Application:
        app = web.Application(client_max_size=16 * 2**20)
        place = _Place(self, mocks)
        app.on_response_prepare.append(place.mark)
        app.router.add_route("*", "/{tail:.*}", place.handle)
        return app


class _Place:
    """One port: whose request is it, and is it to fail."""

    def __init__(self, mocks: Mocks, services: Sequence[Mock]) -> None:
        self.all = mocks
        self.services = services
        pairs = [(mock, mocks.imitations[mock.imitation]) for mock in services]
        self.ranked = sorted(pairs, key=lambda pair: pair[1].rank)
        self.workers: dict[int, str] = pairs[0][1].workers
        self.answering: dict[int, Imitation] = {}
        """What answers the requests in flight, by their identity: a streamed answer is marked before it ends."""

    def whose(self, request: web.Request) -> Mock:
        """Find the service by the request, for several may share a port.

        An upgrade says most, then the longest path of a service's own, then the paths that one sort of service has
        everywhere; what is left is the backend's, who says best that it has no such route.
        """
        path = request.path
        upgrade = request.headers.get("Upgrade", "").lower() == "websocket"
        for mock, imitation in self.ranked:
            if upgrade and imitation.upgrades:
                return mock
        for mock in sorted((mock for mock in self.services if mock.base), key=lambda mock: -len(mock.base)):
            if f"{path}/".startswith(f"{mock.base}/"):
                return mock
        for mock, imitation in self.ranked:
            if imitation.claims(path):
                return mock
        return self.ranked[0][0]

    async def mark(self, request: web.Request, response: web.StreamResponse) -> None:
        if MARK not in response.headers:
            imitation = self.answering.get(id(request))
            source = imitation.source(request, response) if imitation is not None else SYNTHETIC
            response.headers[MARK] = f"{self.whose(request).name}; {source}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Count the request, delay or fail it as dialled, and else have it answered.

        Our own looks are not counted; they are delayed and failed like any other, so that a dialled fault is seen.
        """
        if request.path.startswith(ADMIN):
            return await self.admin(request)
        mock = self.whose(request)
        own = request.headers.get("User-Agent", "").lower().startswith(OWN_AGENT)
        mock.used += not own
        dial = mock.dial
        if dial.latency_s:
            await asyncio.sleep(dial.latency_s)
        if dial.fail_next or (dial.fail_rate and random.random() < dial.fail_rate):  # noqa: S311 - dice, not a secret
            return self.fail(request, mock)
        imitation = self.all.imitations[mock.imitation]
        asked = request.path.rstrip("/")
        health = ("/health", *(mock.health_paths if imitation.well_at_its_path else ()))
        if request.method in ("GET", "HEAD") and asked in health and (own or not imitation.says_health):
            return mock.health()
        self.answering[id(request)] = imitation
        at, under = time.time(), self._under_way(request)
        UNDER_WAY.set(under)
        try:
            if own:
                response = await imitation.answer(request, mock)
                return _marked(response, mock.name, imitation.source(request, response))
            response = await imitation.answer(request, mock)
            source = imitation.source(request, response)
            mock.told.append(
                (at, source.partition(";")[0], f"{request.method} {request.path}", under.test if under else "")
            )
            return _marked(response, mock.name, source)
        finally:
            del self.answering[id(request)]

    def _under_way(self, request: web.Request) -> UnderWay | None:
        """Return the test that is under way in the process to which this port belongs, as far as anybody can tell."""
        folder = self.all.under_way
        return under_way(folder, self.workers.get(port_of(request), "")) if folder is not None else None

    def fail(self, request: web.Request, mock: Mock) -> web.StreamResponse:
        """Answer with the dialled status, or cut the connection; a count of failures to come goes down by one."""
        dial = mock.dial
        if dial.fail_next > 0:
            mock.dial = replace(dial, fail_next=dial.fail_next - 1)
        if dial.drop and request.transport is not None:
            request.transport.abort()
        headers = {"Retry-After": "1"} if dial.fail_status in (429, 503) else {}
        body = {"error": {"message": f"failure dialled on the mock of {mock.name}", "type": "mock", "code": None}}
        return web.json_response(body, status=dial.fail_status, headers=headers)

    async def admin(self, request: web.Request) -> web.StreamResponse:
        """Answer what only we and the drill ask: the counts, which prove whose mocks these are, and the dial."""
        match request.path.removeprefix(ADMIN), request.method:
            case "connections", "GET":
                used = {mock.name: mock.used for mock in self.services}
                return web.json_response({"pid": os.getpid(), "checkout": self.all.config.checkout, "services": used})
            case "workers", "GET":
                return web.json_response({mock.name: self.all.workers.get(mock.name, []) for mock in self.services})
            case "answers", "GET":
                since = float(request.query.get("since", 0))
                return web.json_response(
                    {mock.name: [one for one in mock.told if one[0] >= since] for mock in self.services}
                )
            case "dial", "POST" | "GET":
                if not secrets.compare_digest(bearer(request), self.all.config.token):
                    return web.json_response({"error": "the token of the mocks' configuration is needed"}, status=401)
                if request.method == "POST":
                    try:
                        await self.turn(request)
                    except (ValueError, TypeError, KeyError, AttributeError) as exc:
                        return web.json_response({"error": f"{type(exc).__name__}: {exc}"}, status=400)
                return web.json_response({mock.name: asdict(mock.dial) for mock in self.all.config.services})
        return web.json_response({"error": "known: answers, connections, dial, workers"}, status=404)

    async def turn(self, request: web.Request) -> None:
        """Set the named figures of one service's dial, or of all; `reset` makes it healthy.

        Raises for what it does not know.
        """
        wanted = await request.json()
        known = {mock.name: mock for mock in self.all.config.services}
        for mock in [known[wanted.pop("service")]] if "service" in wanted else known.values():
            mock.dial = Dial() if wanted.get("reset") else replace(mock.dial, **wanted)


def _marked(response: web.StreamResponse, name: str, source: str) -> web.StreamResponse:
    """Return the response with our mark, where it is not under way already: a streamed one was marked as it began."""
    if not response.prepared and MARK not in response.headers:
        response.headers[MARK] = f"{name}; {source}"
    return response


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Mocks(config):
        await stop.wait()


def main(argv: Sequence[str]) -> int:
    if len(argv) != 1:
        sys.stderr.write("usage: python -m resilience.stand_ins.mocks CONFIG.json\n")
        return 2
    try:
        config = read_config(Path(argv[0]).read_bytes())
    except (OSError, ValueError, TypeError, KeyError) as exc:
        sys.stderr.write(f"{argv[0]}: {type(exc).__name__}: {exc}\n")
        return 2
    try:
        asyncio.run(serve(config))
    except OSError as exc:
        sys.stderr.write(f"the mocks cannot listen: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
