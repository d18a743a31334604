"""All that a test asked is kept, or nothing of it; of a fixture one set-up stands for all."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import pytest

from resilience.teach.keeping import decoded, keep
from resilience.teach.recorder import Heard


def heard(path: str, owner: str = "test a", **more: Any) -> Heard:
    made = {
        "service": "api",
        "method": "GET",
        "began": 1.0,
        "ended": 2.0,
        "status": 200,
        "worker": "main",
        "attempt": 1,
    }
    return Heard(path=path, owner=owner, **{**made, **more})


def paths(kept: Any) -> list[str]:
    return [one.asked.path for one in kept.exchanges.get("api", ())]


@pytest.mark.parametrize(
    "bad",
    [
        {"lost": "the client left"},
        {"headers": [("Content-Encoding", "br")], "body": b"x"},
        {"headers": [("Content-Encoding", "gzip")], "body": b"no gzip"},
        {"headers": [("X", "\udcff")]},
        {"status": 503},
        {"status": 429},
    ],
    ids=["cut", "brotli", "broken gzip", "bytes that are no text", "503", "429"],
)
def test_one_exchange_that_cannot_be_kept_takes_its_whole_test_with_it(bad: dict[str, Any]) -> None:
    kept = keep([heard("/one"), heard("/two", **bad), heard("/three", "test b")], {"a", "b"})
    assert paths(kept) == ["/three"]
    assert any(gap.startswith("a: not kept") for gap in kept.gaps)


def test_only_what_passed_is_kept_and_what_is_nobodys_stays_nobodys() -> None:
    kept = keep([heard("/one"), heard("/two", "test b"), heard("/three", "")], {"a"})
    assert paths(kept) == ["/one", "/three"]
    assert kept.tests == {"a"}


def test_of_a_test_that_ran_again_the_last_run_counts() -> None:
    kept = keep([heard("/old", began=1), heard("/new", attempt=2, began=3)], {"a"})
    assert paths(kept) == ["/new"]


def in_workers(first: bytes, second: bytes) -> list[Heard]:
    """A fixture set up in two workers, and a test in each that sends back what it was given."""
    found = []
    for number, value in enumerate((first, second)):
        worker = f"gw{number}"
        told = {"worker": worker, "headers": [("Content-Type", "application/json")]}
        found.append(heard("/make", "fixture ::f", body=b'{"id": "%s"}' % value, began=number, **told))
        found.append(heard(f"/use/{value.decode()}", f"test {number}", began=number + 0.5, worker=worker))
    return found


def test_what_a_fixture_was_given_in_another_worker_is_turned_into_what_it_was_in_the_first() -> None:
    kept = keep(in_workers(b"long-id-of-one", b"long-id-of-two"), {"0", "1"})
    assert paths(kept) == ["/make", "/use/long-id-of-one", "/use/long-id-of-one"]


def test_where_only_a_short_value_differs_the_other_workers_tests_are_not_kept() -> None:
    kept = keep(in_workers(b"17", b"18"), {"0", "1"})
    assert paths(kept) == ["/make", "/use/17"]
    assert any("teach without -n" in gap for gap in kept.gaps)


@pytest.mark.parametrize(
    ("data", "encodings"),
    [
        (b"plain", []),
        (b"plain", ["identity"]),
        (gzip.compress(b"plain"), ["gzip"]),
        (zlib.compress(b"plain"), ["deflate"]),
        (zlib.compress(b"plain", wbits=-15), ["deflate"]),
        (gzip.compress(zlib.compress(b"plain")), ["deflate, gzip"]),
        (b"", ["gzip"]),
    ],
    ids=["as it is", "identity", "gzip", "deflate", "raw deflate", "twice", "empty"],
)
def test_packed_bodies_are_unpacked(data: bytes, encodings: list[str]) -> None:
    assert decoded(data, encodings) == (b"plain" if data else b"")


def test_a_bomb_and_a_cut_body_are_refused() -> None:
    with pytest.raises(ValueError, match="unpacked"):
        decoded(gzip.compress(bytes(80 << 20)), ["gzip"])
    with pytest.raises(ValueError, match="cut"):
        decoded(gzip.compress(b"plain" * 100)[:-9], ["gzip"])
