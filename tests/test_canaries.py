"""No canary of twelve kinds, planted at any source, is in any byte that any way writes or says; the scan finds those that are."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest

from tests.canaries import KINDS, SOURCES_OF, WAYS, Planted, Row, drawn, table, went


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_no_canary_gets_through(tmp_path: Path, way: str) -> None:
    rows, _ = went(way, tmp_path, 1)
    assert not [row for row in rows if row.found], table(rows)
    assert {row.source for row in rows} == set(SOURCES_OF[way])
    assert len(KINDS) == 12


def test_the_scan_finds_what_is_written_packed_or_said(tmp_path: Path) -> None:
    values = drawn(5)["tests"]
    kinds = sorted(values)
    team = tmp_path / "team"
    team.mkdir()
    (team / "plain.json").write_text(json.dumps([values[kinds[0]], values[kinds[1]].upper()]))
    (team / "packed.gz").write_bytes(gzip.compress(values[kinds[2]].encode()))
    with zipfile.ZipFile(team / "packed.zip", "w") as archive:
        archive.writestr("inner", values[kinds[3]].encode().hex())
    (team / "mine").write_text(values[kinds[4]])
    here = Planted(team, {"tests": values}, {}, frozenset({team / "mine"}), [repr(values[kinds[5]].encode()).encode()])
    assert {kind for _, kind in here.found()} == {*kinds[:4], kinds[5]}


def test_the_table_counts_what_was_tried_and_says_where_the_wrong_ones_are() -> None:
    told = table([Row(way="plan", source="tests", kind="JWT"), Row(way="plan", source="tests", kind="PEM", found="x")])
    assert told.splitlines()[1].split() == ["plan", "tests", "2", "1"]
    assert told.endswith("plan, tests, PEM: x")
