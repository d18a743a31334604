"""Which ports a checkout uses in the place of others is kept beside its stand-ins' data."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.host.ports import NAME, read_ports, write_ports


def test_what_is_written_is_read_and_nothing_is_left_of_none(tmp_path: Path) -> None:
    assert read_ports(tmp_path) == {}
    write_ports(tmp_path, {5435: 20001})
    assert read_ports(tmp_path) == {5435: 20001}
    write_ports(tmp_path, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"5435": "x"}', '{"5435": null}', '{"5435": 99999999}'])
def test_a_file_that_is_cut_or_foreign_counts_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read_ports(tmp_path) == {}
