"""A person clicks through the cockpit in JupyterLab, against a lab outage; screenshots are kept to be looked at."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from resilience.core.records import ConnectivityStatus, StageName, StageStatus, Verdict
from resilience.lab import Lab
from resilience.notebook.engine import notebooks_folder, read_incident
from tests.kits.ports import free_port

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on PATH"),
    pytest.mark.timeout(300),
]


@contextmanager
def jupyterlab(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """Serve a copy of the notebooks from a JupyterLab of its own: own port, own settings, own data."""
    port = free_port()
    books = folder / "notebooks"
    shutil.copytree(notebooks_folder(), books)
    own = {
        name: str(folder / name.lower())
        for name in (
            "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_WORKSPACES_DIR",
            "JUPYTERLAB_SETTINGS_DIR", "IPYTHONDIR",
        )
    }  # fmt: skip
    settings = Path(own["JUPYTERLAB_SETTINGS_DIR"]) / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with (folder / "jupyterlab.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(
                    sys.executable,
                    "-m",
                    "jupyterlab",
                    "--no-browser",
                    "--allow-root",
                    "--ip=127.0.0.1",
                    f"--port={port}",
                ),
                *("--ServerApp.port_retries=0", "--IdentityProvider.token=", "--ServerApp.password="),
                *("--LabApp.expose_app_in_browser=True", f"--ServerApp.root_dir={books}"),
            ],
            cwd=books,
            env={**environ, **own},
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=1).read()
                break
            except OSError:
                assert server.poll() is None, (folder / "jupyterlab.log").read_text()
                assert time.monotonic() < deadline, (folder / "jupyterlab.log").read_text()
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


class Cockpit:
    """`00_incident` in a browser, driven as a person would."""

    def __init__(self, page: Any, shots: Path) -> None:
        self.page = page
        self.shots = shots
        self.count = 0

    def open(self, url: str, theme: str, book: str = "00_incident") -> None:
        page = self.page
        page.goto(f"{url}/lab/tree/{book}.ipynb?reset", timeout=60_000)
        self.ready()
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        self.idle()
        page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")

    def ready(self) -> None:
        self.page.wait_for_function(
            "() => window.jupyterapp && window.jupyterapp.commands.hasCommand('notebook:run-all-cells')", timeout=60_000
        )

    def idle(self) -> None:
        self.page.wait_for_function(
            "() => window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )

    def restart_and_run_all(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.idle()
        self.page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
        self.run_all()

    def save_and_reload(self) -> None:
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        self.page.reload(timeout=60_000)
        self.ready()
        self.idle()

    def run_all(self) -> None:
        self.page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")

    def click(self, label: str) -> None:
        self.page.locator(f"button:has-text('{label}'):not([disabled]) >> visible=true").last.click(timeout=60_000)

    def sees(self, text: str) -> None:
        self.page.wait_for_function(
            "text => document.querySelector('.jp-Notebook').innerText.includes(text)", arg=text, timeout=120_000
        )

    def text(self) -> str:
        return str(self.page.evaluate("() => document.querySelector('.jp-Notebook').innerText"))

    def look(self, heading: str, name: str, *, of: str = "h2") -> None:
        self.page.locator(f"{of}:has-text('{heading}')").first.evaluate("element => element.scrollIntoView()")
        self.page.wait_for_timeout(300)
        self.count += 1
        self.page.screenshot(path=str(self.shots / f"{self.count:02d}-{name}.png"))


def _wait(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Await something of the lab's in another thread: Playwright's synchronous calls own the loop of this one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result(120)


@pytest.mark.parametrize(("width", "theme"), [(1280, "JupyterLab Light"), (1920, "JupyterLab Dark")])
def test_an_outage_is_gone_through_by_clicking(tmp_path: Path, width: int, theme: str) -> None:
    """Assess, overrule the mode and take it back, apply, run the tests, watch the recovery, restore, report."""
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path / "screenshots")) / f"{width}-{theme[-5:].strip()}"
    shots.mkdir(parents=True, exist_ok=True)
    lab = Lab("database-unavailable", tmp_path / "lab")
    _wait(lab.__aenter__())
    try:
        _wait(lab.at("outage"))
        with jupyterlab(tmp_path, lab.environ) as url, sync_api.sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            cockpit = Cockpit(browser.new_page(viewport={"width": width, "height": 1000}), shots)
            cockpit.open(url, theme)
            cockpit.run_all()
            cockpit.sees("STAGING: DOWN")
            cockpit.sees("What to do next")
            cockpit.look("1 ·", "assessed")
            cockpit.click("offline")
            cockpit.sees("mode offline")
            cockpit.look("2 ·", "overruled")
            cockpit.click("by health")
            cockpit.sees("PLAN: mode degraded")
            cockpit.look("3 ·", "plan")
            cockpit.click("Apply the plan")
            cockpit.click("Yes, do it")
            cockpit.sees("APPLIED: ")
            cockpit.click("Run the tests")
            cockpit.sees("TESTS: running")
            cockpit.look("4 ·", "testing")
            cockpit.sees("exit code 1")
            cockpit.sees("Product failures (2)")
            cockpit.look("4 ·", "tested")
            _wait(lab.at("recovered"))
            cockpit.click("Watch staging")
            cockpit.sees("RECOVERY: confirmed")
            cockpit.click("Restore")
            cockpit.click("Yes, do it")
            cockpit.sees("RESTORED: every file is as it was")
            cockpit.look("5 ·", "restored")
            cockpit.click("Write the report")
            cockpit.sees("Report: ")
            cockpit.look("6 ·", "reported")
            shown = cockpit.text()
            browser.close()
        assert "Traceback" not in shown
        incident = read_incident((lab.settings.outputs / "latest").resolve())
        assert incident.verdict is Verdict.PRODUCT_FAILURES
        assert incident.health is not None
        assert incident.health.overall_status is ConnectivityStatus.UNAVAILABLE
        assert [incident.stage(name).status for name in StageName] == [StageStatus.FINISHED] * 6  # type: ignore[union-attr]
        assert incident.restored is not None
        assert incident.restored.identical
        assert len(list(shots.glob("*.png"))) >= 7
    finally:
        _wait(lab.__aexit__(None, None, None))


def test_what_is_applied_is_known_after_a_restart_a_reload_and_in_a_second_tab(tmp_path: Path) -> None:
    """Restart-and-run-all goes on with the run that is applied; each page says so, and any of them can undo it."""
    shots = Path(os.environ.get("SCREENSHOTS", tmp_path / "screenshots")) / "applied"
    shots.mkdir(parents=True, exist_ok=True)
    lab = Lab("database-unavailable", tmp_path / "lab")
    _wait(lab.__aenter__())
    try:
        _wait(lab.at("outage"))
        with jupyterlab(tmp_path, lab.environ) as url, sync_api.sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
            context = browser.new_context(viewport={"width": 1280, "height": 1000})
            book = tmp_path / "notebooks" / "00_incident.ipynb"
            # So many that the watching does not end by itself before it is stopped.
            book.write_text(book.read_text().replace("good: int = 0", "good: int = 9999"))
            first = Cockpit(context.new_page(), shots)
            first.open(url, "JupyterLab Light")
            first.run_all()
            first.sees("What to do next")
            first.sees("PLAN: mode degraded")
            assert "APPLIED by run" not in first.text()
            env = lab.settings.env_file
            before = env.read_bytes() if env.exists() else None
            first.click("Apply the plan")
            first.click("Yes, do it")
            first.sees("APPLIED: ")
            first.sees("APPLIED by run")
            applied = lab.settings.env_file.read_bytes()

            first.restart_and_run_all()
            first.sees("goes on with that run")
            first.sees("carried out, see below")
            first.sees("APPLIED: ")
            assert "nothing has been done yet" not in first.text()
            first.look("Staging is down", "restarted", of="h1")

            first.save_and_reload()
            first.sees("goes on with that run")
            first.look("Staging is down", "reloaded", of="h1")

            second = Cockpit(context.new_page(), shots)
            second.count = first.count
            second.open(url, "JupyterLab Light")
            second.sees("goes on with that run")
            second.look("Staging is down", "second-tab", of="h1")
            third = Cockpit(context.new_page(), shots)
            third.count = second.count
            third.open(url, "JupyterLab Light", "03_apply_fallback")
            third.run_all()
            third.sees("APPLIED by run")
            third.sees("exit code 20")
            third.idle()
            third.look("3 ·", "second-notebook", of="h1")

            second.click("Watch staging")
            second.sees("next look at ")
            second.look("5 ·", "watching")
            second.click("Stop")
            second.sees("Stopped by you")
            assert lab.settings.env_file.read_bytes() == applied
            third.click("Undo")
            third.click("Yes, do it")
            third.sees("RESTORED: every file is as it was")
            second.click("Go on")
            second.sees("Nothing is applied here any more")
            shown = [page.text() for page in (first, second, third)]
            browser.close()
        assert not any("Traceback" in text for text in shown)
        assert (env.read_bytes() if env.exists() else None) == before
        assert len(list(lab.settings.outputs.glob("*/*/incident.json"))) == 1
    finally:
        _wait(lab.__aexit__(None, None, None))
