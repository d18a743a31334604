"""resilience.report.rendering: one record, several files; nothing secret is written, and what fails is named in the rest."""

from __future__ import annotations

import base64
import html as html_module
import json
import re
import urllib.parse
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from resilience.core.errors import SecretLeakError
from resilience.core.redact import Redactor
from resilience.report import charts, render
from resilience.report.writing import Held
from tests.kits import incident_factory as factory
from tests.kits.markup import FILES, STORIES, files_of


@pytest.mark.parametrize("tell", STORIES)
def test_every_story_gives_every_text(tell: object, tmp_path: Path) -> None:
    story = tell()  # type: ignore[operator]
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    assert files_of(written, tmp_path) == FILES
    assert not [path for path in tmp_path.rglob("*") if path.name.startswith(".")]
    assert "could not be made" not in (tmp_path / "report.md").read_text()


def test_charts_stand_beside_the_page_and_inside_it(tmp_path: Path) -> None:
    story = factory.drill()
    written = render(story.incident, story.samples, tmp_path, redactor=Redactor())
    names = {path.stem for path in written if path.suffix == ".png"}
    assert names == {path.stem for path in written if path.suffix == ".svg"} == set(charts.CHARTS) - {"history"}
    page = (tmp_path / "report.html").read_text()
    assert all(f'id="chart-{name}"' in page for name in names)


def test_what_tells_the_end_is_written_again_behind_the_charts_and_gets_its_name_with_the_run(tmp_path: Path) -> None:
    """Before that each file says that the run goes on; a finished drill's summary said so for good."""
    story, held = factory.drill(), Held()
    render(story.incident, story.samples, tmp_path, redactor=Redactor(), held=held)
    files = [tmp_path / name for name in ("summary.md", "ctrf.json", "allure-results/environment.properties")]
    before = [file.read_text() for file in files]
    assert "Still running" in before[0]
    assert all('"running"' in text or "= running" in text for text in before[1:])
    assert held.publish() == ()
    after = [file.read_text() for file in files]
    assert "Still running" not in after[0]
    assert all(story.incident.verdict.value in text for text in after[1:])


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
    assert files_of(tmp_path.iterdir(), tmp_path) == FILES - {"report.md", "report.html"}


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
