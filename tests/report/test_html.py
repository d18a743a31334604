"""resilience.report.html: the page loads nothing, runs nothing, and no text in it means anything."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html as html_module
import json
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from resilience import report
from resilience.core.records import Outcome, TimelineEvent
from resilience.core.redact import Redactor
from resilience.report import render
from resilience.report.html import TIMELINE_SHOWN, html as page_of
from resilience.report.pdf import FLAGS, browser
from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory
from tests.kits.markup import Tags
from tests.kits.shown import CAUSES


def test_one_cause_is_likely_and_the_others_stand_in_one_line(tmp_path: Path) -> None:
    story = factory.drill()
    assert story.incident.health is not None
    incident = replace(story.incident, health=replace(story.incident.health, causes=CAUSES))
    render(incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    page = (tmp_path / "report.html").read_text()
    assert page.count("Likely cause") == 1
    assert "against it: it does not explain [redis]" in page
    assert "Also possible:</strong> DNS resolver (clickhouse); this service alone (redis, websocket)" in page


def test_hostile_texts_mean_nothing_in_the_page(tmp_path: Path) -> None:
    story = factory.hostile()
    render(story.incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    page = (tmp_path / "report.html").read_text()
    found = Tags(page)
    assert not {tag for tag, _ in found.tags} & {"img", "iframe", "object", "form", "base"}
    assert [tag for tag, _ in found.tags].count("script") == 1
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    links = [attrs["href"] or "" for tag, attrs in found.tags if tag == "a"]
    assert all(link.startswith(("./", "#")) for link in links)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u200b]", page)
    assert "{{ 7*7 }}" in page


def test_the_page_allows_nothing_from_anywhere() -> None:
    page = report.html(factory.green().incident)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert html_module.unescape(policy[1]).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert not re.search(r'(?:src|href)="(?!data:|\./|#)', page)


def test_the_policy_allows_our_own_script_alone_by_its_digest() -> None:
    page = report.html(factory.drill().incident)
    text = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    policy = html_module.unescape(page.partition('http-equiv="Content-Security-Policy" content="')[2].partition('"')[0])
    assert policy.endswith(f"; script-src 'sha256-{digest}'")
    assert "{{" not in text
    assert page.count("<script") == 1


def test_every_link_of_the_contents_leads_to_a_section_of_the_page() -> None:
    story = factory.drill()
    page = report.html(story.incident, story.samples)
    anchors = re.findall(r'href="#([\w-]+)"', page)
    assert {"impact", "todo", "down", "tests", "details", "timeline", "latency", "review"} <= set(anchors)
    assert all(page.count(f'id="{anchor}"') == 1 for anchor in anchors)


def test_a_failure_shows_where_it_arose_what_pytest_showed_its_output_and_its_place_in_the_log() -> None:
    story = factory.drill()
    tests = story.incident.tests
    assert tests is not None
    failing = next(test for test in tests.tests if test.outcome is Outcome.FAILED)
    told = replace(
        failing, failed_at="shop/orders.py:17", shown="    assert total\nE   assert 0", output="hello from print"
    )
    suite = replace(tests, tests=(told, *(test for test in tests.tests if test is not failing)))
    view = build(replace(story.incident, tests=suite), Columns.of(story.samples), places={told.id: ("logs/a.log", 58)})
    page = page_of(view)
    part = page.partition(f"<code>{told.id}</code>")[2].partition("</div>")[0]
    assert "shop/orders.py:17" in part
    assert "E   assert 0</pre>" in part
    assert "<summary>Captured output</summary><pre>hello from print</pre>" in part
    assert 'href="./logs/a.log#:~:text=_%20test_total_is_rounded%20_">logs/a.log, line 58' in part


def test_the_well_services_are_folded_into_one_line_with_their_number() -> None:
    story = factory.drill()
    page = report.html(story.incident, story.samples)
    assert "<summary>2 services were well all the time: auth_service, websocket</summary>" in page


def test_of_a_timeline_too_long_to_show_the_page_says_how_many_rows_are_left_out() -> None:
    story = factory.drill()
    start = story.incident.started_at
    events = tuple(TimelineEvent(at=start + timedelta(seconds=n), what=f"event {n}") for n in range(900))
    view = build(replace(story.incident, timeline=events), Columns.of(story.samples))
    left = re.search(r"<em>(\d+) rows between are left out", page_of(view))
    assert left is not None
    assert int(left[1]) == len(view.timeline) - TIMELINE_SHOWN > 500


@pytest.mark.slow
async def test_chromium_asks_for_nothing_and_reports_no_error(tmp_path: Path) -> None:
    chromium = browser(os.environ)
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    story = factory.hostile()
    render(story.incident, story.samples, tmp_path, redactor=Redactor())
    page = (tmp_path / "report.html").as_uri()
    async with devtools(chromium, tmp_path / "profile") as ask:
        for scheme, width in (("dark", 390), ("light", 1280)):
            await ask(
                "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
            )
            await ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            ask.events.clear()
            await ask("Page.navigate", url=page)
            await ask.until("Page.loadEventFired")
            asked = [e["params"]["request"]["url"] for e in ask.events if e["method"] == "Network.requestWillBeSent"]
            assert asked == [page]
            assert not [e for e in ask.events if e["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
            size = await ask("Runtime.evaluate", expression="document.documentElement.scrollWidth")
            assert size["result"]["value"] <= width, "the page must not scroll sideways"


class DevTools:
    """Speaks to one page of a Chromium and keeps the events that it sends."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket, self.number = socket, 0
        self.events: list[dict[str, Any]] = []

    async def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        await self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            answer = json.loads(await asyncio.wait_for(self.socket.recv(), 20))
            if answer.get("id") == self.number:
                return dict(answer["result"])
            if "method" in answer:
                self.events.append(answer)

    async def until(self, method: str) -> None:
        while not any(event["method"] == method for event in self.events):
            answer = json.loads(await asyncio.wait_for(self.socket.recv(), 20))
            if "method" in answer:
                self.events.append(answer)


@asynccontextmanager
async def devtools(chromium: str, profile: Path) -> AsyncIterator[DevTools]:
    flags = [*FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    nothing = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        chromium, *flags, stdout=nothing, stderr=nothing, start_new_session=True
    )
    try:
        async with asyncio.timeout(60):
            file = profile / "DevToolsActivePort"
            while not file.exists() or len(file.read_text().split()) < 2:  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.05)
            port = file.read_text().split()[0]
            async with httpx.AsyncClient(trust_env=False) as client:
                target = (await client.put(f"http://127.0.0.1:{port}/json/new?about:blank")).json()
            async with connect(target["webSocketDebuggerUrl"], max_size=1 << 27, proxy=None) as socket:
                ask = DevTools(socket)
                for domain in ("Page", "Network", "Log", "Runtime"):
                    await ask(f"{domain}.enable")
                yield ask
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
