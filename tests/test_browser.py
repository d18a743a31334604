"""A person clicks through the cockpit in JupyterLab, against a lab outage; screenshots are kept to be looked at."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from resilience.core.records import ConnectivityStatus, StageName, StageStatus, Verdict
from resilience.lab import Lab
from resilience.notebook.engine import read_incident
from tests.kits.cockpit import ARGUMENTS, CHROMIUM, Cockpit, cockpit_server
from tests.kits.servers.github import FakeGitHub

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
    pytest.mark.timeout(300),
]


def _wait(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Await something of the lab's in another thread: Playwright's synchronous calls own the loop of this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result(120)


@dataclass
class Outage:
    """A lab whose database is down, and a browser."""

    lab: Lab
    browser: Any
    folder: Path

    def tab(self, width: int = 1280, height: int = 900) -> Cockpit:
        shots = Path(os.environ.get("SCREENSHOTS", self.folder / "screenshots"))
        return Cockpit(self.browser.new_page(viewport={"width": width, "height": height}), shots)

    @property
    def book(self) -> Path:
        return self.lab.folder / ".resilience" / "notebooks" / "00_incident.ipynb"


@pytest.fixture
def outage(tmp_path: Path) -> Iterator[Outage]:
    lab = Lab("database-unavailable", tmp_path / "lab")
    _wait(lab.__aenter__())
    try:
        _wait(lab.at("outage"))
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            yield Outage(lab, browser, tmp_path)
            browser.close()
    finally:
        _wait(lab.__aexit__(None, None, None))


@pytest.mark.parametrize(
    ("width", "height", "theme"), [(1024, 768, "JupyterLab Light"), (1440, 900, "JupyterLab Dark")]
)
def test_an_outage_is_gone_through_by_clicking_with_a_restart_in_the_middle(
    outage: Outage, width: int, height: int, theme: str
) -> None:
    """Each step is the one coloured button, and what it found is on the screen; publishing is read, and answered with no."""
    lab = outage.lab
    lab.config.write_text(lab.config.read_text() + '\n[publish]\nrepository = "octo/shop"\n')
    lab.config.write_text(lab.config.read_text().replace("[runbook]\n", '[runbook]\nissue = "1278"\n', 1))
    with FakeGitHub() as github:
        environ = {**lab.environ, "GITHUB_API_URL": github.url, "GITHUB_TOKEN": "t-bot"}
        with cockpit_server(lab.folder, environ, outage.folder / "own", theme=theme) as url:
            cockpit = outage.tab(width, height)
            cockpit.open(url)
            cockpit.run_all()
            cockpit.sees("Apply the plan")
            cockpit.on_screen("STAGING: DOWN")
            cockpit.shoot("assessed")
            cockpit.click("offline")
            cockpit.sees("mode offline")
            cockpit.click("by health")
            cockpit.sees("PLAN: mode degraded")
            cockpit.next_step("Apply the plan")
            cockpit.on_screen("variables in")
            cockpit.click("Yes, do it")
            cockpit.sees("APPLIED: ")
            cockpit.on_screen("APPLIED: ")
            cockpit.next_step("Run the tests")
            cockpit.sees("TESTS: running")
            cockpit.on_screen("TESTS: running")
            assert cockpit.buttons_called("Stop") == 1, "one Stop for all"
            cockpit.sees("exit code 1")
            cockpit.on_screen("Product failures (2)")
            cockpit.shoot("tested")

            cockpit.restart_and_run_all()
            cockpit.sees("carried out, see below")
            cockpit.on_screen("Product failures (2)")
            cockpit.shoot("restarted")

            _wait(lab.at("recovered"))
            cockpit.next_step("Watch staging")
            cockpit.sees("RECOVERY: confirmed")
            cockpit.on_screen("RECOVERY: confirmed")
            cockpit.next_step("Restore")
            cockpit.click("Yes, do it")
            cockpit.sees("RESTORED: every file is as it was")
            cockpit.on_screen("RESTORED: every file is as it was")
            cockpit.next_step("Write the report")
            cockpit.sees("Report: ")
            cockpit.on_screen("Report: ")
            cockpit.shoot("reported")
            cockpit.click("Publish")
            cockpit.sees("onto issue 1278 of octo/shop")
            cockpit.click("No")
            opened = cockpit.follow("report.html")
            assert "report.html" in opened
            cockpit.back()
            shown = cockpit.text()
            cockpit.save()
        assert github.requests == []
    assert "Traceback" not in shown
    incident = read_incident((lab.settings.outputs / "latest").resolve())
    assert incident.verdict is Verdict.PRODUCT_FAILURES
    assert incident.health is not None
    assert incident.health.overall_status is ConnectivityStatus.UNAVAILABLE
    assert [incident.stage(name).status for name in StageName] == [StageStatus.FINISHED] * 6  # type: ignore[union-attr]
    assert incident.restored is not None
    assert incident.restored.identical
    saved = outage.book.read_text()
    assert "(children=" not in saved
    texts = [
        "".join(output["data"]["text/plain"])
        for cell in json.loads(saved)["cells"]
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert any(text.startswith("Buttons in JupyterLab: ") for text in texts)
    strip = next(text for text in texts if text.startswith("as of "))
    assert "APPLIED: nothing" in strip
    assert "product failures" in strip


def test_what_is_applied_is_known_after_a_restart_a_reload_and_in_a_second_tab(outage: Outage) -> None:
    """Restart-and-run-all goes on with the run that is applied; each page says so, and any of them can undo it."""
    lab = outage.lab
    config = lab.config.read_text()
    # So many that the watching does not end by itself before it is stopped.
    lab.config.write_text(config.replace("good = 5", "good = 1000"))
    with cockpit_server(lab.folder, lab.environ, outage.folder / "own") as url:
        first = outage.tab()
        first.open(url)
        first.run_all()
        first.sees("PLAN: mode degraded")
        env = lab.settings.env_file
        before = env.read_bytes() if env.exists() else None
        first.next_step("Apply the plan")
        first.click("Yes, do it")
        first.sees("APPLIED: ")
        applied = env.read_bytes()
        first.restart_and_run_all()
        first.sees("carried out, see below")
        assert "nothing has been done yet" not in first.text()
        first.save()
        first.page.reload(timeout=60_000)
        first.opened()
        first.next_step("Run the tests", click=False)

        second = outage.tab()
        second.open(url)
        second.next_step("Run the tests", click=False)
        third = outage.tab()
        third.open(url, "03_apply_fallback")
        third.run_all()
        third.sees("mode degraded · since ")
        third.sees("exit code 20")

        second.click("Watch staging")
        second.sees("next look at ")
        second.click("Stop")
        second.sees("Stopped by you")
        assert env.read_bytes() == applied
        third.click("Undo")
        third.click("Yes, do it")
        third.sees("RESTORED: every file is as it was")
        second.click("Look again")
        second.sees("in this checkout")
        shown = [page.text() for page in (first, second, third)]
    assert not any("Traceback" in text for text in shown)
    assert (env.read_bytes() if env.exists() else None) == before
    assert len(list(lab.settings.outputs.glob("*/*/incident.json"))) == 1


def test_a_notebook_whose_kernel_is_gone_says_how_it_was_and_how_to_go_on(outage: Outage) -> None:
    """It said "model not found" in each place of a button."""
    with cockpit_server(outage.lab.folder, outage.lab.environ, outage.folder / "own") as url:
        cockpit = outage.tab()
        cockpit.open(url)
        cockpit.run_all()
        cockpit.sees("Apply the plan")
        cockpit.sees("RUN ")
        cockpit.save()
    with cockpit_server(outage.lab.folder, outage.lab.environ, outage.folder / "own") as url:
        again = outage.tab()
        again.open(url)
        again.sees("The buttons went with the kernel")
        shown = again.text()
        again.shoot("reopened")
    assert "model not found" not in shown
    assert "STAGING: DOWN" in shown
    assert "as of 20" in shown
