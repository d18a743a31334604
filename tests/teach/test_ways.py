"""Exports lead to another port, and to it alone; who cannot be recorded is told why."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.core.urls import url_parts
from resilience.services.registry import KINDS
from resilience.teach.ways import Way, address_of, led, origin_of, refused, way, workers_of


def service(url: str, kind: str = "http", **exports: str) -> Service:
    told = {name: Secret(value) for name, value in exports.items()}
    return Service(name="api", kind=KINDS[kind], url=Secret(url), staging_exports=told)


@pytest.mark.parametrize(
    ("url", "value", "expected"),
    [
        ("https://api.example/health", "https://api.example", "http://127.0.0.1:99"),
        (
            "https://api.example/health",
            "https://api.example:443/v1?x=api.example",
            "http://127.0.0.1:99/v1?x=api.example",
        ),
        ("http://api.example:8080/health", "http://u:p@api.example:8080/", "http://u:p@127.0.0.1:99/"),
        ("http://api.example:8080/health", "api.example", "127.0.0.1"),
        ("http://api.example:8080/health", "8080", "99"),
        ("http://api.example:8080/health", "api.example:8080", "127.0.0.1:99"),
        ("http://api.example:8080/health", "a-key-of-the-tests", "a-key-of-the-tests"),
        ("http://[2001:db8::1]:80/", "http://[2001:db8::1]:80/a", "http://127.0.0.1:99/a"),
    ],
)
def test_the_address_is_turned_and_nothing_else(url: str, value: str, expected: str) -> None:
    one = service(url, X=value)
    assert led(one.staging_exports, url_parts(one.url, one.kind), 99) == {"X": expected}


def test_where_the_port_speaks_tls_each_export_keeps_its_scheme() -> None:
    one = service("https://api.example/", A="https://api.example/v1", B="http://api.example", C="api.example:443")
    made = way(replace(one, recorder_tls=True), {"": 99})
    assert made.exports == {"A": "https://127.0.0.1:99/v1", "B": "http://127.0.0.1:99", "C": "127.0.0.1:99"}


def test_an_address_is_whole_and_an_origin_as_servers_write_it() -> None:
    assert address_of(service("https://api.example/a")) == "https://api.example:443"
    assert origin_of(service("https://api.example/a")) == "https://api.example"
    assert origin_of(service("http://api.example:8080/a")) == "http://api.example:8080"
    assert way(service("http://h:1/", X="http://h:1"), {"": 5, "gw0": 6}).workers == ({"X": "http://127.0.0.1:6"},)


@pytest.mark.parametrize(
    ("one", "deny", "said"),
    [
        (service("redis://h:6379", "redis"), (), "teaches no traffic"),
        (Service(name="api", kind=KINDS["http"]), (), "not configured"),
        (service("http://prod.example/", X="http://prod.example"), ("prod.*",), "deny_hosts"),
        (service("http://api.example/"), (), "no export leads tests to it"),
        (service("http://api.example/", X="http://api.example"), ("prod.*",), ""),
    ],
)
def test_who_cannot_be_recorded_is_told_why(one: Service, deny: tuple[str, ...], said: str) -> None:
    found = refused(one, deny)
    assert said in found
    assert bool(found) is bool(said)


def test_the_workers_variable_names_a_value_for_each_worker() -> None:
    one = Way(service="a", exports={}, workers=({"A": "1"}, {"A": "2"}), ports=())
    two = Way(service="b", exports={}, workers=({"B": "x"},), ports=())
    assert json.loads(workers_of([one, two])) == {"A": ["1", "2"], "B": ["x"]}
