"""A place is asked at its bound address, past any proxy, and shows no credentials."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import unquote, urlsplit

import pytest

from resilience.services.place import Endpoint, ask, ask_json, local_schemes, netloc, port_open
from resilience.services.registry import KINDS
from tests.kits.ports import free_ports
from tests.kits.queue_kind import QUEUE
from tests.kits.stand_in_kit import listening


def place(**fields: object) -> Endpoint:
    given = {"kind": KINDS["postgresql"], "host": "localhost", "bind": "127.0.0.1", "port": 5, **fields}
    return Endpoint(**given)  # type: ignore[arg-type]


def test_a_url_leads_to_the_bound_address_and_its_credentials_survive_any_sign() -> None:
    odd = "p@ss:/?#% w"
    url = urlsplit(place(user="a@b", password=odd, database="my db").url("postgresql"))
    assert (url.hostname, url.port) == ("127.0.0.1", 5)
    assert (unquote(url.username or ""), unquote(url.password or "")) == ("a@b", odd)
    assert url.path == "/my%20db"
    assert place(bind="::1", path="/ws").url("ws") == "ws://[::1]:5/ws"
    assert netloc("::1", 5) == "[::1]:5"


def test_what_is_shown_has_no_credentials_and_the_digest_differs_by_them() -> None:
    one, two = place(user="u", password="s3cret", database="d"), place(user="u", password="other", database="d")
    assert one.shown == two.shown == "localhost:5/d"
    assert one.digest() != two.digest()
    assert "s3cret" not in one.digest()


def test_a_kind_without_stand_ins_takes_its_schemes_without_tls() -> None:
    assert local_schemes(QUEUE) == ("queue",)
    assert local_schemes(KINDS["openai"]) == ("http",)


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"agent": self.headers["User-Agent"]}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def test_it_is_asked_as_ourselves_and_past_the_proxy_of_the_environment(
    server: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    where = netloc("127.0.0.1", server.server_address[1])
    assert ask_json(where, "/x", 2.0) == {"agent": "resilience"}
    headers, body = ask(where, "/x", 2.0, {"User-Agent": "other"})
    assert body == '{"agent": "other"}'
    assert headers["content-length"] == str(len(body))


def test_a_port_is_open_while_something_listens() -> None:
    with listening() as port:
        assert port_open("127.0.0.1", port)
    assert not port_open("127.0.0.1", free_ports(1)[0])
