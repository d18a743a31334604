"""resilience.runs.spool: what waits is whole, comes back in its order, and what cannot be read stops nothing."""

from __future__ import annotations

from pathlib import Path

from resilience.runs import spool
from tests.runs.test_merging import MINUTE, START, run, sample


def test_what_was_put_comes_back_in_its_order_until_it_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    for name in ("one", "two"):
        spool.put(folder, [sample(START), sample(START + MINUTE, None)], run(name, "a"))
    for _ in range(2):
        found = list(spool.taken(folder, []))
        assert [incident.run for _, _, incident in found] == ["one", "two"]
        assert [list(samples) for _, samples, _ in found] == [[sample(START), sample(START + MINUTE, None)]] * 2
    for path, _, _ in found:
        path.unlink()
    spool.tidy(folder)
    assert not folder.exists()


def test_half_a_file_is_none_and_one_that_cannot_be_read_is_set_aside_with_a_word(tmp_path: Path) -> None:
    spool.put(tmp_path, [sample(START)], run("whole", "a"))
    (tmp_path / ".1-1.part").write_text("half")
    (tmp_path / "0-1.jsonl").write_text("no record\n")
    notes: list[str] = []
    assert [incident.run for _, _, incident in spool.taken(tmp_path, notes)] == ["whole"]
    assert len(notes) == 1
    assert "0-1.jsonl" in notes[0]
    assert (tmp_path / "0-1.unread").exists()
    spool.tidy(tmp_path)
    assert tmp_path.exists()
