"""resilience.show.notebook: every record shows itself, and the hostile text of a service stays text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from resilience.show import notebook as views
from tests.kits.shown import RECORDS


class Tags(HTMLParser):
    """Collects what a browser would see as tags, and whether each is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in ("br", "img", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", RECORDS)
def test_hostile_text_stays_text_and_every_tag_is_closed(name: str) -> None:
    shown = views.html(RECORDS[name])
    tags = Tags()
    tags.feed(shown)
    tags.close()
    assert not tags.open
    assert "img" not in tags.seen
    assert "script" not in tags.seen
    assert "http" not in re.sub(r"xmlns=\S+", "", shown)  # nothing is loaded from anywhere
