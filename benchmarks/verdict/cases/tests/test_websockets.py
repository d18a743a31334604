import asyncio
import json

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_sync

from shop import settings

OPTIONS = {"open_timeout": 0.8, "close_timeout": 0.3, "ping_interval": None, "proxy": None}


@pytest.fixture
async def socket():
    async with connect(settings.WEBSOCKET_URL, **OPTIONS) as made:
        yield made


@pytest.fixture(scope="module")
def long_lived():
    with connect_sync(settings.WEBSOCKET_URL, open_timeout=0.8, close_timeout=0.3, proxy=None) as made:
        yield made


async def ask(socket, **words):
    await socket.send(json.dumps(words))
    return json.loads(await asyncio.wait_for(socket.recv(), 0.8))


class Feed:
    def __init__(self, socket):
        self.socket, self.seen = socket, []

    async def run(self, channel, count):
        await ask(self.socket, op="subscribe", channel=channel)
        for _ in range(count):
            self.seen.append(json.loads(await asyncio.wait_for(self.socket.recv(), 0.3)))
        return [event["n"] for event in self.seen]


async def test_ping(socket):
    assert (await ask(socket, op="ping"))["op"] == "pong"


async def test_feed(socket):
    assert await Feed(socket).run("orders", 3) == [0, 1, 2]


async def test_two_clients():
    async with connect(settings.WEBSOCKET_URL, **OPTIONS) as one, connect(settings.WEBSOCKET_URL, **OPTIONS) as two:
        answers = await asyncio.gather(ask(one, op="ping"), ask(two, op="ping"))
    assert [answer["seq"] for answer in answers] == [1, 1]


async def test_protocol():
    async with connect(settings.WEBSOCKET_URL, subprotocols=["shop.v1"], **OPTIONS) as made:
        assert made.subprotocol == "shop.v1"


async def test_is_live():
    async def live():
        try:
            async with connect(settings.WEBSOCKET_URL, **OPTIONS) as made:
                return (await ask(made, op="ping"))["op"] == "pong"
        except (OSError, websockets.WebSocketException):
            return False

    assert await live()


def test_long_lived(long_lived):
    long_lived.send('{"op": "ping"}')
    assert json.loads(long_lived.recv(timeout=0.8))["seq"] == 1


def test_long_lived_again(long_lived):
    long_lived.send('{"op": "ping"}')
    assert json.loads(long_lived.recv(timeout=0.8))["op"] == "pong"


def test_long_lived_at_last(long_lived):
    long_lived.send('{"op": "ping"}')
    assert json.loads(long_lived.recv(timeout=0.8))["op"] == "pong"


async def test_reconnecting_client():
    class Reconnecting:
        async def ask(self):
            problems = []
            for _ in range(2):
                try:
                    async with connect(settings.WEBSOCKET_URL, **OPTIONS) as made:
                        return await ask(made, op="ping")
                except (OSError, websockets.InvalidStatus) as exc:
                    problems.append(exc)
            raise ExceptionGroup("no connection", problems)

    assert await Reconnecting().ask()


async def test_payment_is_answered():
    async with connect(settings.WEBSOCKET_URL, **OPTIONS) as made:
        assert (await ask(made, op="payment", id=1))["op"] == "error"


async def test_open_within_own_limit():
    options = {**OPTIONS, "open_timeout": None}
    async with asyncio.timeout(0.5):
        made = await connect(settings.WEBSOCKET_URL, **options)
    await made.close()


def test_encoding():
    assert json.loads(json.dumps({"op": "ping"})) == {"op": "ping"}


async def test_send_after_close(socket):
    await socket.close()
    await ask(socket, op="ping")


async def test_fourth_event(socket):
    assert await Feed(socket).run("orders", 4) == [0, 1, 2, 3]


async def test_not_json(socket):
    await socket.send("hello")
    await socket.recv()


async def test_server_says_bye(socket):
    await ask(socket, op="bye")


async def test_admin_is_not_allowed(socket):
    await ask(socket, op="admin")


async def test_unknown_op(socket):
    assert (await ask(socket, op="order"))["op"] == "order"


async def test_two_readers(socket):
    await asyncio.gather(socket.recv(), socket.recv())


async def test_wrong_path():
    async with connect(settings.WEBSOCKET_URL.replace("/ws", "/socket"), **OPTIONS):
        pass


async def test_http_scheme():
    async with connect(settings.WEBSOCKET_URL.replace("ws://", "http://"), **OPTIONS):
        pass


async def test_plain_page():
    async with connect(settings.WEBSOCKET_URL.replace("/ws", "/health"), **OPTIONS):
        pass


async def test_wrong_port():
    port = int(settings.WEBSOCKET_URL.rsplit(":", 1)[1].split("/")[0])
    async with connect(settings.WEBSOCKET_URL.replace(str(port), str(port + 1)), **OPTIONS):
        pass


async def test_secure_scheme():
    async with connect(settings.WEBSOCKET_URL.replace("ws://", "wss://"), **OPTIONS):
        pass


async def test_send_dictionary(socket):
    await socket.send({"op": 1})


async def test_sequence_starts_at_zero(socket):
    assert (await ask(socket, op="ping"))["seq"] == 0


async def test_own_handler_crashes():
    async def handler(socket):
        raise KeyError("user")

    from websockets.asyncio.server import serve

    async with serve(handler, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", **OPTIONS) as made:
            await made.recv()


async def test_message_is_too_big(socket):
    async with connect(settings.WEBSOCKET_URL, max_size=10, **OPTIONS) as made:
        await ask(made, op="ping")
