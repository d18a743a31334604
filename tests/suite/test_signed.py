"""Only what our plug-in wrote, at the place where it wrote it, is an event."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from resilience.suite.pytest_plugin import _Writer
from resilience.suite.signed import ForgedError, Signed

KEY = "0123456789abcdef0123456789abcdef"


def written(path: Path) -> list[bytes]:
    writer = _Writer(str(path), "1.a", KEY)
    writer.event("start", root="/p")
    writer.hold(b'{"k":"u","s":"1.a","i":0,"p":[]}')
    writer.event("finish", exit=0)
    return [line for line in path.read_bytes().split(b"\n") if line]


def test_what_was_signed_is_read_in_order(tmp_path: Path) -> None:
    signed = Signed(KEY)
    assert [signed.read(line)["k"] for line in written(tmp_path / "e")] == ["start", "u", "finish"]


@pytest.mark.parametrize(
    "forge",
    [
        lambda lines: [b'{"k":"t","s":"1.a","i":0,"o":"passed"}', *lines],
        lambda lines: [lines[0], lines[0], *lines[1:]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [lines[0], lines[1].replace(b'"i":0', b'"i":1'), lines[2]],
        lambda lines: [b"\x00\xff not json", *lines],
        lambda lines: [b"[1, 2] 0123", *lines],
    ],
    ids=["added", "copied", "moved", "changed", "rubbish", "no event"],
)
def test_what_was_not_written_there_is_told_apart(forge, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    signed = Signed(KEY)
    bad = 0
    for line in forge(written(tmp_path / "e")):
        try:
            signed.read(line)
        except ValueError:
            bad += 1
    assert bad


def test_a_line_that_never_came_is_missed(tmp_path: Path) -> None:
    signed = Signed(KEY)
    lines = written(tmp_path / "e")
    for line in (lines[0], lines[2]):
        signed.read(line)
    assert signed.missing == 1


def test_threads_that_write_at_once_break_no_line(tmp_path: Path) -> None:
    path = tmp_path / "e"
    writer = _Writer(str(path), "1.a", KEY)
    threads = [threading.Thread(target=lambda: [writer.event("c") for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    signed = Signed(KEY)
    assert sum(signed.read(line)["k"] == "c" for line in path.read_bytes().split(b"\n") if line) == 800
    assert signed.missing == 0


def test_a_line_of_another_session_cannot_be_forged_without_the_key() -> None:
    with pytest.raises(ForgedError):
        Signed(KEY).read(b'{"k":"start","s":"9.z"} 0000000000000000')


def test_rubbish_without_an_end_takes_no_line_of_ours_with_it(tmp_path: Path) -> None:
    path = tmp_path / "e"
    writer = _Writer(str(path), "1.a", KEY)
    with path.open("ab") as hostile:
        hostile.write(b"rubbish")
    writer.event("start")
    good = [line for line in path.read_bytes().split(b"\n") if line.startswith(b"{")]
    assert Signed(KEY).read(good[0])["k"] == "start"
