"""Stories to be reported, and what a reader of their markup sees."""

from __future__ import annotations

from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path

import cmarkgfm
from cmarkgfm.cmark import Options

from tests.kits import incident_factory as factory

STORIES = (factory.drill, factory.night, factory.green, factory.failed, factory.hostile)


FILES = {
    "report.md", "report.html", "summary.md", "junit.xml", "ctrf.json", "samples.csv", "metrics.prom"
}  # fmt: skip
"""What a report without charts consists of, beside what only a run of tests has: Allure's folder and GitHub's annotations."""


def files_of(written: Iterable[Path], folder: Path) -> set[str]:
    """Return the files among those written that stand in the run's folder itself, all but those of a run of tests."""
    inside = {path.relative_to(folder).parts[0] for path in written}
    return inside - {"allure-results", "annotations.txt"}


def gfm(text: str) -> str:
    return str(cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE))


class Tags(HTMLParser):
    """Collects the tags with their attributes, and the text outside of code."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.loose = ""
        self._code = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._code += tag in ("code", "pre", "style")

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre", "style")

    def handle_data(self, data: str) -> None:
        if not self._code:
            self.loose += data
