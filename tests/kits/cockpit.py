"""A person in front of the cockpit: JupyterLab as `resilience notebook` starts it, and a browser driven by clicks."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
_SHOWN = "[...document.querySelectorAll('.jp-Notebook')].find(book => book.getClientRects().length)"
"""The notebook in front: a page that opened two holds both."""
_URL = re.compile(r"http://(?:127\.0\.0\.1|localhost):\d+/\S*token=\w+")


@contextmanager
def cockpit_server(
    team: Path, environ: Mapping[str, str], own: Path, *, theme: str = "JupyterLab Light", options: tuple[str, ...] = ()
) -> Iterator[str]:
    """Run `resilience notebook` in the team's folder, with settings and data of its own in `own`; give the address it says."""
    own.mkdir(exist_ok=True)
    names = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTERLAB_SETTINGS_DIR", "IPYTHONDIR")
    settings = own / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "themes.jupyterlab-settings").write_text(f'{{"theme": "{theme}"}}')
    log = own / "jupyterlab.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "resilience.cli", "notebook", "--no-browser", *options],
            cwd=team,
            env={**environ, **{name: str(own / name.lower()) for name in names}},
            stdout=out,
            stderr=out,
        )
    try:
        deadline = time.monotonic() + 60
        while (said := _URL.search(log.read_text())) is None:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield said[0]
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(30)


class Cockpit:
    """A notebook in a browser, driven as a person would: by what is on the screen."""

    def __init__(self, page: Any, shots: Path) -> None:
        self.page = page
        self.shots = shots
        self.count = 0
        shots.mkdir(parents=True, exist_ok=True)

    def open(self, url: str, book: str = "00_incident") -> None:
        self.page.goto(url.replace("00_incident", book), timeout=60_000)
        self.opened()

    def opened(self) -> None:
        self.page.wait_for_function(
            "() => document.querySelectorAll('.jp-Notebook .jp-Cell').length > 3 && "
            "!document.querySelector('#main-logo-none')",
            timeout=60_000,
        )
        self.idle()

    def idle(self) -> None:
        self.page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status='idle']", timeout=60_000)

    def menu(self, name: str, item: str) -> None:
        self.page.locator(f".lm-MenuBar-itemLabel:text-is('{name}')").click()
        self.page.locator(f".lm-Menu-itemLabel:has-text('{item}')").first.click()

    def run_all(self) -> None:
        self.menu("Run", "Run All Cells")

    def restart_and_run_all(self) -> None:
        """Restart by the menu, and wait until the strip that is there is not the one of the kernel before."""
        self.page.evaluate("() => { document.querySelector('.rb-live').dataset.before = 'yes' }")
        self.menu("Kernel", "Restart Kernel and Run All Cells")
        self.page.locator(".jp-Dialog button:has-text('Restart')").click()
        self.page.wait_for_selector(".rb-live[data-before]", state="detached", timeout=60_000)
        self.sees("RUN ")
        self.idle()

    def click(self, label: str) -> None:
        """Click a button of ours that is called so, with or without the dots of one that asks first."""
        named = ", ".join(f".jupyter-button:text-is('{name}')" for name in (label, f"{label}…"))
        self.page.locator(f":is({named}):not([disabled]) >> visible=true").first.click(timeout=60_000)

    def next_step(self, label: str, *, click: bool = True) -> None:
        """Click the one coloured button, or only see that it is there; it must be this one, and the only one."""
        coloured = self.page.locator(".jupyter-button.mod-primary:not([disabled]) >> visible=true")
        named = self.page.locator(f".jupyter-button.mod-primary:has-text('{label}'):not([disabled]) >> visible=true")
        named.wait_for(timeout=60_000)
        assert coloured.count() == 1
        if click:
            named.click(timeout=60_000)

    def buttons_called(self, label: str) -> int:
        return int(self.page.locator(f".jupyter-button:has-text('{label}') >> visible=true").count())

    def save(self) -> None:
        self.menu("File", "Save Notebook")
        self.page.wait_for_selector(".jp-mod-dirty", state="detached", timeout=30_000)
        self.page.wait_for_timeout(500)

    def follow(self, label: str) -> str:
        """Click a link, and return the name of the tab that it opened beside the notebook."""
        self.page.locator(f".jp-Notebook a:text-is('{label}') >> visible=true").first.click()
        tab = self.page.locator(f".lm-TabBar-tabLabel:text-is('{label}')")
        try:
            tab.wait_for(timeout=30_000)
        except sync_api.TimeoutError:
            self.shoot("not-opened")
            raise
        return str(tab.inner_text())

    def back(self) -> None:
        self.page.locator(".lm-TabBar-tabLabel:has-text('00_incident')").click()

    def sees(self, text: str, *, seconds: float = 120) -> None:
        """Wait until a text stands on the page, wherever it is scrolled to."""
        try:
            self.page.wait_for_function(
                f"text => {_SHOWN}?.innerText.includes(text)",
                arg=text,
                timeout=seconds * 1000,
            )
        except sync_api.TimeoutError:
            self.shoot("not-seen")
            raise AssertionError(f"{text!r} was not seen in: {self.text()}") from None

    def text(self) -> str:
        return str(self.page.evaluate(f"() => {_SHOWN}.innerText"))

    def on_screen(self, text: str) -> None:
        """Wait until a text can be read without scrolling: below the strip, and above the lower edge."""
        self.page.wait_for_function(
            """text => [...document.querySelectorAll('.jp-Notebook *')].some(node => {
                if (node.children.length > 4 || !node.innerText?.includes(text)) return false
                const at = node.getBoundingClientRect()
                return at.height > 0 && at.height < 200 && at.top >= 0 && at.top + 16 <= window.innerHeight
            })""",
            arg=text,
            timeout=30_000,
        )

    def shoot(self, name: str) -> None:
        self.page.wait_for_timeout(400)
        self.count += 1
        self.page.screenshot(path=str(self.shots / f"{self.count:02d}-{name}.png"))
