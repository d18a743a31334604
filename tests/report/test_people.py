"""resilience.report.people: what people wrote survives."""

from __future__ import annotations

from pathlib import Path

from resilience.core.redact import Redactor
from resilience.report import render
from tests.kits import incident_factory as factory


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
