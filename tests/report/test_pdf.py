"""resilience.report.pdf: the page is printed where a Chromium is, and a browser that fails leaves nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from resilience.core.redact import Redactor
from resilience.report import render
from resilience.report.pdf import browser, to_pdf
from tests.kits import incident_factory as factory


@pytest.mark.slow
async def test_the_page_prints_to_pdf_where_a_chromium_is(tmp_path: Path) -> None:
    chromium = browser(os.environ)
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    story = factory.drill()
    render(story.incident, story.samples, tmp_path, redactor=Redactor())
    made = await to_pdf(tmp_path / "report.html", tmp_path / "report.pdf", chromium=chromium)
    assert made is not None
    assert made.read_bytes().startswith(b"%PDF")
    assert not list(tmp_path.glob(".*part*"))


async def test_a_browser_that_hangs_or_fails_gives_no_pdf_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("x")
    sleeper = tmp_path / "chromium"
    sleeper.write_text("#!/bin/sh\nsleep 60\n")
    sleeper.chmod(0o755)
    begin = asyncio.get_running_loop().time()
    assert await to_pdf(tmp_path / "page.html", tmp_path / "a.pdf", chromium=str(sleeper), timeout_s=0.3) is None
    assert asyncio.get_running_loop().time() - begin < 5
    assert await to_pdf(tmp_path / "page.html", tmp_path / "a.pdf", chromium=str(tmp_path / "none")) is None
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", "chromium"}
