"""The table of docs/guide.md has a row for each snippet of the guide, and each says that it works and names a test that exists."""

from __future__ import annotations

import re

from tests.guide import test_snippets
from tests.kits.guide_kit import snippets
from tests.kits.light_kit import ROOT

ROW = re.compile(r"^\| (\d+) \| .* \| works[^|]* \| `(test_\w+)` \|$", re.M)


def test_each_snippet_works_by_its_row_and_each_rows_test_exists() -> None:
    rows = ROW.findall((ROOT / "docs/guide.md").read_text(encoding="utf-8"))
    assert [int(number) for number, _ in rows] == list(snippets())
    missing = [name for _, name in rows if not callable(getattr(test_snippets, name, None))]
    assert missing == []
