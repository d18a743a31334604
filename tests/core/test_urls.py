"""Each test's name is a claim about how a service's URL is taken apart, or what is said to be wrong with it."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from resilience.core.kind import Kind
from resilience.core.secret import Secret
from resilience.core.urls import is_loopback, url_parts, url_regions
from resilience.services.registry import BUILT_IN, KINDS


@pytest.mark.parametrize(
    ("type_", "url", "host", "port"),
    [
        ("postgresql", "postgres://u@h/d", "h", 5432),
        ("postgresql", "postgresql+asyncpg://u:p@h:6000/d?ssl=require", "h", 6000),
        ("postgresql", "postgresql:///d?host=/cloudsql/p:r:i", "/cloudsql/p:r:i", None),
        ("redis", "rediss://:p@h/1", "h", 6379),
        ("redis", "unix:///run/redis.sock?db=2", "/run/redis.sock", None),
        ("redis", "valkeys://:p@h", "h", 6379),
        ("postgresql", "postgresql://u@localhost/d?host=/cloudsql/p:r:i", "/cloudsql/p:r:i", None),
        ("postgresql", "postgresql://u@/d?host=h&port=6543", "h", 6543),
        ("clickhouse", "http://h/d", "h", 8123),
        ("clickhouse", "clickhouse+https://h/d", "h", 8443),
        ("http", "https://h/health?mail=a@b.c", "h", 443),
        ("websocket", "wss://[2001:db8::1]:8443/ws", "2001:db8::1", 8443),
    ],
)
def test_urls_that_teams_write_are_read(type_: str, url: str, host: str, port: int | None) -> None:
    parts = url_parts(url, KINDS[type_])
    assert (parts.host, parts.port) == (host, port)


@given(st.text(min_size=1), st.text(min_size=1), st.integers(1, 65535))
def test_what_is_percent_encoded_comes_out_as_it_was(user: str, password: str, port: int) -> None:
    url = Secret(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@cache.example:{port}/0")
    parts = url_parts(url, KINDS["redis"])
    assert (parts.user, parts.password.reveal(), parts.host, parts.port) == (user, password, "cache.example", port)
    assert parts.database == "0"


@given(st.text(), st.sampled_from(BUILT_IN))
def test_what_is_wrong_is_said_without_showing_it(text: str, kind: Kind) -> None:
    first = next(iter(kind.schemes))
    for url in (text, f"{first}://{text}", f"{first}://u:Zk-{text}@h"):
        with contextlib.suppress(ValueError):
            url_parts(url, kind)
    try:
        url_parts(f"{first}://u:Zk-9{text}#@h", kind)
    except ValueError as exc:
        said = str(exc)
    assert "Zk-9" not in said


def test_a_template_is_told_apart_before_it_is_filled() -> None:
    assert url_regions("redis://xxx:xxx@host/1") == (15, 20)
    assert url_regions("xxxxxx/health") == (0, 13)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST.", "a.localhost", "::1", "[::1]", "/run/x"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "db", "localhost.evil.example", "0.0.0.0", "::2", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)
