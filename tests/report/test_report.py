"""resilience.report: one record, several renderings; nothing secret, nothing hostile, and what fails is named in the rest."""

from __future__ import annotations

import asyncio
import base64
import html as html_module
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cmarkgfm
import httpx
import pytest
from cmarkgfm.cmark import Options
from hypothesis import HealthCheck, given, settings, strategies as st
from websockets.asyncio.client import ClientConnection, connect

from resilience import report
from resilience.core import codec
from resilience.core.errors import SecretLeakError
from resilience.core.records import Outcome, Sample, Verdict
from resilience.core.redact import Redactor
from resilience.report import charts, render
from resilience.report.markdown import LIMIT
from resilience.report.mermaid import gantt
from resilience.report.pdf import FLAGS, browser, to_pdf
from resilience.report.series import Columns, intervals, outage
from resilience.report.texts import code, fence, hint, pieces, prose, redacted
from resilience.report.view import build
from resilience.report.writing import check, publish
from resilience.runs.history import History
from tests.kits import incident_factory as factory

STORIES = (factory.drill, factory.night, factory.green, factory.failed, factory.hostile)
FILES = {"report.md", "report.html", "junit.xml", "samples.csv", "metrics.prom"}


def gfm(text: str) -> str:
    return str(cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE))


@pytest.mark.parametrize("tell", STORIES)
def test_every_story_gives_every_text(tell: object, tmp_path: Path) -> None:
    story = tell()  # type: ignore[operator]
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    assert {path.name for path in written} == FILES
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert "could not be made" not in (tmp_path / "report.md").read_text()


def test_charts_stand_beside_the_page_and_inside_it(tmp_path: Path) -> None:
    story = factory.drill()
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor())
    names = {path.stem for path in written if path.suffix == ".png"}
    assert names == {path.stem for path in written if path.suffix == ".svg"} == set(charts.CHARTS) - {"history"}
    page = (tmp_path / "report.html").read_text()
    assert all(f'id="chart-{name}"' in page for name in names)


VERDICTS = {
    Verdict.PASSED: "PASSED",
    Verdict.PASSED_ON_STAND_INS: "NOT A FULL PASS",
    Verdict.PRODUCT_FAILURES: "PRODUCT FAILURES",
    Verdict.INFRASTRUCTURE_UNAVAILABLE: "NOT A FULL PASS",
    Verdict.UNDECIDED: "UNDECIDED",
    Verdict.STAND_IN_GAPS: "NOT A FULL PASS",
    Verdict.UNKNOWN: "UNKNOWN",
    Verdict.RUNBOOK_FAILED: "THE RUNBOOK FAILED",
    Verdict.INTERRUPTED: "Interrupted",
    Verdict.TIMED_OUT: "TIMED OUT",
    Verdict.RUNNING: "Still running",
}


@pytest.mark.parametrize("verdict", list(Verdict))
def test_the_verdict_is_the_first_sentence_in_page_and_markdown(verdict: Verdict) -> None:
    incident = replace(factory.drill().incident, verdict=verdict)
    first = report.markdown(incident).split("\n\n")[1]
    assert VERDICTS[verdict] in first
    assert VERDICTS[verdict] in report.html(incident).partition('<p class="word">')[2][:120]


def test_status_and_mode_stand_with_their_nouns() -> None:
    text = report.markdown(factory.drill().incident)
    assert "**STAGING:** WAS DOWN (database, backend\\_api); UP again since 20:41:22 UTC." in text
    assert "**TESTS:** ran on local stand-ins for database and backend\\_api (mode degraded)" in text


def test_a_run_that_failed_before_any_look_knows_nothing_and_says_so() -> None:
    text = report.markdown(factory.failed().incident)
    assert "THE RUNBOOK FAILED; nothing is known about your tests" in text
    assert "STAGING:** UNKNOWN (it was not assessed)" in text
    assert "df -h outputs" in text


def test_the_times_are_reckoned_from_the_first_bad_sample() -> None:
    story = factory.night()
    view = build(story.incident, Columns.of(story.samples))
    figures = {label: value for label, value, _ in view.figures}
    assert figures == {
        "Time to detect": "10 min 42 s",
        "Time to mitigate": "11 min 10 s",
        "Time to recover": "1 h 51 min",
        "In mode degraded": "1 h 55 min",
    }


def test_the_timeline_is_in_order_and_every_row_names_its_data() -> None:
    story = factory.night()
    rows = build(story.incident, Columns.of(story.samples)).timeline
    assert [row.at for row in rows] == sorted(row.at for row in rows)
    assert all(row.link for row in rows)
    assert sum(row.what.startswith("websocket") for row in rows) <= 3, "a flapping service is folded"


def test_product_failures_come_first() -> None:
    view = build(factory.drill().incident, Columns())
    assert [group.key for group in view.suites[0].groups][:2] == ["product", "suspect"]
    text = report.markdown(factory.drill().incident)
    assert text.index("test_total_is_rounded") < text.index("test_flow") < text.index("test_counter")


@pytest.mark.parametrize("count", [10, 2_000, 20_000])
def test_markdown_fits_a_comment_and_says_what_was_cut(count: int) -> None:
    incident = factory.drill().incident
    assert incident.tests is not None
    tests = tuple(
        replace(test, id=f"tests/{'deep/' * 8}test_{number}.py::test_x", message="boom\n" * 400)
        for number, test in enumerate(incident.tests.tests * (count // 30 + 1))
    )
    text = report.markdown(replace(incident, tests=replace(incident.tests, tests=tests)))
    assert len(text) <= LIMIT
    assert "Contributing factors" in text
    assert "PRODUCT FAILURES" in text
    assert ("Cut to fit" in text) == (count > 10)


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


def test_hostile_texts_mean_nothing_on_github() -> None:
    story = factory.hostile()
    cleaned = redacted(story.incident, Redactor().text)
    found = Tags(gfm(report.markdown(cleaned, story.samples)))
    names = {tag for tag, _ in found.tags}
    assert not names & {"script", "img", "a", "iframe", "input"}
    for sign in ("@devops", "#12", "GH-12", "evil.example", "Duplicate of"):
        assert sign not in found.loose


def test_hostile_texts_mean_nothing_in_the_page(tmp_path: Path) -> None:
    story = factory.hostile()
    render(story.incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    page = (tmp_path / "report.html").read_text()
    found = Tags(page)
    assert not {tag for tag, _ in found.tags} & {"script", "img", "iframe", "object", "form", "base"}
    assert not [name for _, attrs in found.tags for name in attrs if name.startswith("on")]
    links = [attrs["href"] or "" for tag, attrs in found.tags if tag == "a"]
    assert all(link.startswith("./") for link in links)
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u200b]", page)
    assert "{{ 7*7 }}" in page


def test_the_page_allows_nothing_from_anywhere() -> None:
    page = report.html(factory.green().incident)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    assert html_module.unescape(policy[1]).startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert not re.search(r'(?:src|href)="(?!data:|\./|#)', page)


@given(st.text())
def test_a_code_span_holds_any_text(text: str) -> None:
    shown = gfm(f"a {code(text)} b")
    found = Tags(shown)
    assert {tag for tag, _ in found.tags} <= {"p", "code"}


@given(st.text(alphabet=st.sampled_from("`~\n a*_<>[]()!#@|\\-")))
def test_a_fence_is_longer_than_any_run_of_backticks_in_it(text: str) -> None:
    found = Tags(gfm(fence(text) + "\n\nafter"))
    assert [tag for tag, _ in found.tags] == ["pre", "code", "p"]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
def test_prose_never_becomes_markup(text: str) -> None:
    found = Tags(gfm(f"x {prose(text)} y"))
    assert {tag for tag, _ in found.tags} <= {"p", "code"}
    assert not re.search(r"[@#]\w", found.loose)


def test_the_diagram_holds_no_text_of_a_service() -> None:
    story = factory.hostile()
    view = build(story.incident, Columns.of(story.samples))
    diagram = gantt(view)
    assert "evil" not in diagram
    assert "devops" not in diagram
    assert len(diagram) < 6_000


def test_what_people_wrote_survives_and_is_in_the_page(tmp_path: Path) -> None:
    story = factory.drill()
    render(story.incident, story.samples, tmp_path, redactor=Redactor(["hunter2-secret"]), charts=False)
    path = tmp_path / "report.md"
    mark = "<!-- people:lessons -->\n"
    before, _, after = path.read_text().partition(mark)
    ours = "We had no alert on the connector.\n\n- add one <b>soon</b>\n- the password hunter2-secret must go"
    path.write_text(
        before + mark + ours + "\n<!-- /people:lessons -->" + after.partition("<!-- /people:lessons -->")[2]
    )
    for _ in range(2):
        render(story.incident, story.samples, tmp_path, redactor=Redactor(["hunter2-secret"]), charts=False)
        assert "We had no alert on the connector.\n\n- add one <b>soon</b>\n" in path.read_text()
        assert "add one &lt;b&gt;soon&lt;/b&gt;" in (tmp_path / "report.html").read_text()
        assert "hunter2-secret" not in path.read_text()
    assert "Missing from this report" not in path.read_text()


def test_a_file_whose_marks_are_gone_is_kept_aside(tmp_path: Path) -> None:
    story = factory.green()
    (tmp_path / "report.md").write_text("somebody deleted the marks")
    render(story.incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    assert (tmp_path / "report.previous.md").read_text() == "somebody deleted the marks"
    assert "report.previous.md" in (tmp_path / "report.md").read_text()


class Blind(Redactor):
    """Hides nothing, yet knows: what a rendering that forgets to redact would be caught by."""

    def text(self, text: str) -> str:
        return text


def test_a_secret_in_the_bytes_is_refused_by_file_and_offset_and_the_rest_is_written(tmp_path: Path) -> None:
    story = factory.drill()
    incident = replace(story.incident, vantage=replace(story.incident.vantage, user="hunter2-secret"))
    with pytest.raises(SecretLeakError, match=r"report\.md: a secret stands at byte \d+") as caught:
        render(incident, story.samples, tmp_path, redactor=Blind(["hunter2-secret"]), charts=False)
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "report.md").exists()
    assert not (tmp_path / "report.html").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"junit.xml", "samples.csv", "metrics.prom"}


def test_check_looks_into_every_file_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("fine")
    assert len(check(tmp_path, Redactor(["hunter2-secret"]))) == 1
    (tmp_path / "notebooks" / "01.ipynb").write_text(json.dumps({"cells": ["x" * 50, "hunter2-secret"]}))
    with pytest.raises(SecretLeakError, match=r"notebooks/01\.ipynb: a secret stands at byte \d+"):
        check(tmp_path, Redactor(["hunter2-secret"]))


ENCODINGS = (
    lambda s: s,
    urllib.parse.quote,
    urllib.parse.quote_plus,
    html_module.escape,
    lambda s: json.dumps(s)[1:-1],
    lambda s: repr(s)[1:-1],
    lambda s: base64.b64encode(s.encode()).decode(),
    lambda s: base64.b64encode(f"user:{s}".encode()).decode(),
    lambda s: s.encode().hex(),
)
SECRETS = st.text(alphabet="abcXYZ0189!\"$%&/'<>+ äß€", min_size=8, max_size=24).filter(
    lambda s: (
        len(s.strip()) >= 8 and len(set(s)) > 5 and not any(w.isalpha() and w.lower() in s.lower() for w in ("abcabc",))
    )
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(secret=SECRETS, encode=st.sampled_from(ENCODINGS))
def test_no_form_of_a_secret_is_in_any_byte_of_any_file(tmp_path: Path, secret: str, encode: object) -> None:
    form = encode(secret)  # type: ignore[operator]
    story = factory.hostile(f"FATAL: login failed for {form} at postgresql://app:{form}@db:5432 (Cookie: s={form})")
    redactor = Redactor([secret])
    for path in render(story.incident, story.samples, tmp_path, redactor=redactor, charts=False):
        data = path.read_bytes()
        assert redactor.leaks(data) is None
        assert secret.encode() not in data


def test_public_hides_what_strangers_need_not_know(tmp_path: Path) -> None:
    text = "10.52.0.3:5432 refused for ops@corp.example at db.corp.internal"
    story = factory.hostile(text)
    render(story.incident, story.samples, tmp_path, redactor=Redactor(), public=True, charts=False)
    for name in FILES:
        data = (tmp_path / name).read_text()
        assert not re.search(r"10\.52\.0\.3|ops@corp|corp\.internal", data), name
    assert "pseudonyms" in (tmp_path / "report.html").read_text()


def test_one_chart_that_fails_loses_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("no such glyph")

    monkeypatch.setitem(charts.KINDS, "latency", replace(charts.KINDS["latency"], draw=broken))
    story = factory.green()
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor())
    assert {path.stem for path in written if path.suffix == ".png"} >= {"status", "tests"}
    for name in ("report.md", "report.html"):
        assert "chart latency: could not be made" in html_module.unescape((tmp_path / name).read_text())


class Damaged:
    """A history that fails at every question."""

    def __getattr__(self, name: str) -> object:
        raise OSError(5, "Input/output error")


def test_a_damaged_history_costs_only_what_was_in_it(tmp_path: Path) -> None:
    story = factory.green()
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor(), history=Damaged(), charts=False)  # type: ignore[arg-type]
    assert {path.name for path in written} == FILES
    assert "history: could not be made" in (tmp_path / "report.md").read_text()


def test_samples_that_end_in_an_error_cost_only_themselves(tmp_path: Path) -> None:
    def breaking() -> Iterator[Sample]:
        yield factory.green().samples[0]
        raise OSError(5, "Input/output error")

    written = render(factory.green().incident, breaking(), tmp_path, redactor=Redactor(), charts=False)
    assert {path.name for path in written} == FILES
    assert "samples: could not be made" in (tmp_path / "report.md").read_text()


def test_a_report_shows_the_incident_so_far_and_not_only_this_run(tmp_path: Path) -> None:
    story = factory.night()
    half = len(story.samples) // 2
    earlier = replace(story.incident, run="2026-11-22/earlier", recovery=None, restored=None)
    with History(tmp_path / "history.sqlite") as kept:
        kept.record(story.samples[:half], earlier)
        kept.record(story.samples[half:], story.incident)
        render(story.incident, story.samples[half:], tmp_path / "run", redactor=Redactor(), history=kept, charts=False)
    text = (tmp_path / "run" / "report.md").read_text()
    assert "This incident so far: 2 runs" in text
    assert len((tmp_path / "run" / "samples.csv").read_text().splitlines()) == len(story.samples) + 1


def test_a_cut_record_leaves_the_samples(tmp_path: Path) -> None:
    story = factory.drill()
    folder = tmp_path / "2026-11-22" / "031407Z-run"
    folder.mkdir(parents=True)
    (folder / "incident.json").write_bytes(codec.to_json(story.incident)[:700])
    lines = [codec.to_json(one, indent=0) for one in story.samples]
    (folder / "samples.jsonl").write_bytes(b"\n".join([*lines, lines[0][:40]]))
    incident, samples, missing = report.load(folder)
    assert incident.started_at == datetime(2026, 11, 22, 3, 14, 7, tzinfo=UTC)
    assert len(missing) == 2
    render(incident, samples, folder, redactor=Redactor(), charts=False, missing=missing)
    text = (folder / "report.md").read_text()
    assert "incident.json could not be read" in text
    assert "database no longer answers" in text


def test_of_a_newer_record_the_known_part_is_shown(tmp_path: Path) -> None:
    story = factory.drill()
    data = json.loads(codec.to_json(story.incident))
    (tmp_path / "incident.json").write_text(json.dumps({**data, "schema": 99, "moon": "full"}))
    incident, _, missing = report.load(tmp_path)
    assert incident == story.incident
    assert "schema 99" in missing[0]


def test_samples_csv_has_each_sample_once_and_no_formula() -> None:
    story = factory.drill()
    odd = replace(story.samples[0], service='=cmd|"x"!A1, y')
    rows = "".join(Columns.of([*story.samples, odd]).csv()).splitlines(keepends=True)
    assert len(rows) == len(story.samples) + 2
    assert '"\'=cmd|""x""!A1, y"' in rows[-1]
    assert rows[1].startswith("2026-11-22T20:41:03.")


def test_a_password_of_digits_does_not_refuse_the_samples_but_one_in_a_name_does(tmp_path: Path) -> None:
    story = factory.drill()
    digits = f"{story.samples[7].at:%f}"
    columns = Columns.of(story.samples)
    assert digits in "".join(columns.csv())
    path = publish(tmp_path / "samples.csv", columns.csv(), Redactor([digits]), texts=columns.texts())
    assert digits in path.read_text()
    named = Columns.of([*story.samples, replace(story.samples[0], service="of Xq-9z!Kw7")])
    with pytest.raises(SecretLeakError, match=r"samples.csv: a secret stands at byte \d{4}"):
        publish(path, named.csv(), Redactor(["Xq-9z!Kw7"]), texts=named.texts())


@pytest.mark.parametrize("half", [0, 1, 57])
def test_samples_of_earlier_runs_come_before_those_of_this_one(half: int) -> None:
    samples = list(factory.drill().samples)
    whole = Columns.of(samples)
    for first, second in ((samples[:half], samples[half:]), (samples[half:], samples[:half])):
        joined = Columns.of(second).after(Columns.of(first))
        assert len(joined) == len(whole)
        for key, line in whole.lines.items():
            assert [bytes(c) for c in joined.lines[key].columns()[:4]] == [bytes(c) for c in line.columns()[:4]]
            stages = [joined.stages[number] for number in joined.lines[key].stage]
            assert stages == [whole.stages[number] for number in line.stage]
        assert sorted("".join(joined.csv()).splitlines()) == sorted("".join(whole.csv()).splitlines())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nc -vz db 5432; start it (here: docker ps, resilience services up) or correct the port",
         "`nc -vz db 5432`; start it (here: `docker ps`, `resilience services up`) or correct the port"),
        ("meanwhile: resilience apply, which sets ISSUE_1278_WORKAROUND_ENABLED=true DATABASE_MODE=local",
         "meanwhile: `resilience apply`, which sets `ISSUE_1278_WORKAROUND_ENABLED=true DATABASE_MODE=local`"),
        ("psql -h db -c 'select usename, count(*) from x' (as a superuser); stop it",
         "`psql -h db -c 'select usename, count(*) from x'` (as a superuser); stop it"),
        ("ip route get db; is it [up]?", "`ip route get db`; `is it [up]?`"),
        ("resilience doctor names the key; make sure", "`resilience doctor` names the key; make sure"),
        ("compare user and password with the vault's", "compare user and password with the vault's"),
    ],
)  # fmt: skip
def test_what_is_to_be_typed_is_shown_as_code(text: str, shown: str) -> None:
    assert hint(text) == shown
    assert "".join(piece for _, piece in pieces(text)) == text


def test_samples_out_of_order_are_put_in_order() -> None:
    story = factory.drill()
    line = Columns.of(reversed(story.samples)).lines["database", "staging"]
    assert list(line.at) == sorted(line.at)
    assert intervals(line) == intervals(Columns.of(story.samples).lines["database", "staging"])


def test_a_gap_in_looking_is_no_outage() -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    base = factory.green().samples[0]
    found = [replace(base, at=start + timedelta(seconds=s), service="x") for s in (*range(10), *range(600, 610))]
    line = Columns.of(found).lines["x", "staging"]
    assert [one.samples for one in intervals(line)] == [10, 10]
    assert outage([line]) is None


def test_stand_in_samples_are_never_in_the_line_of_staging() -> None:
    sample = factory.green().samples[0]
    columns = Columns.of([sample, replace(sample, target="stand_in")])
    assert [line.target for line in columns.staging()] == ["staging"]
    assert len(columns) == 2


def test_nothing_of_an_outage_counts_as_a_product_failure() -> None:
    view = build(factory.drill().incident, Columns())
    (product,) = [group for group in view.suites[0].groups if group.key == "product"]
    assert {test.outcome for test in product.tests} == {Outcome.FAILED, Outcome.ERROR}


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


PARSE = """
import { JSDOM } from "jsdom"; import fs from "fs";
const dom = new JSDOM("<body></body>"); globalThis.window = dom.window; globalThis.document = dom.window.document;
const mermaid = (await import("mermaid")).default;
for (const file of process.argv.slice(2)) { await mermaid.parse(fs.readFileSync(file, "utf8")); }
console.log("parsed");
"""


@pytest.mark.slow
def test_mermaid_itself_parses_every_diagram(tmp_path: Path) -> None:
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("no npm on this machine")
    install = [npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "mermaid", "jsdom"]
    if subprocess.run(install, capture_output=True, timeout=180, check=False).returncode:
        pytest.skip("npm cannot install mermaid here")
    (tmp_path / "parse.mjs").write_text(PARSE)
    files = []
    for tell in STORIES:
        story = tell()
        if text := gantt(build(story.incident, Columns.of(story.samples))):
            files.append(tmp_path / f"{tell.__name__}.mmd")
            files[-1].write_text(text)
    assert len(files) == 4
    done = subprocess.run(
        [node, "parse.mjs", *map(str, files)], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout == "parsed\n", done.stderr
