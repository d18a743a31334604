import json

import pytest
from shop.config import setting
from websockets.sync.client import connect

pytestmark = pytest.mark.websocket


@pytest.fixture
def channel():
    with connect(setting("WEBSOCKET_URL"), open_timeout=3, close_timeout=1, proxy=None) as channel:
        yield channel


@pytest.mark.critical
def test_a_message_comes_back(channel):
    channel.send("hello")
    assert "hello" in channel.recv(timeout=3)


def test_the_channel_answers_pings(channel):
    assert channel.ping().wait(3)


def test_an_agent_tells_what_it_does(channel):
    channel.send(json.dumps({"type": "start_agent", "message": "Where is my order?"}))
    seen = []
    while "agent_completed" not in seen:
        seen.append(json.loads(channel.recv(timeout=10))["type"])
    assert seen[0] == "agent_started"
    assert {"agent_thinking", "tool_executing", "tool_completed"} <= set(seen)
