"""Turn an incident and its samples into the files of its report: texts first, then charts; what fails is named in the rest."""

from __future__ import annotations

from collections.abc import Iterable

from resilience.core.records import Incident, Sample, TestSuiteResult
from resilience.report.exports.junit import junit as _junit
from resilience.report.gathering import Past
from resilience.report.html import html as _page
from resilience.report.markdown import markdown as _markdown
from resilience.report.rendering import render
from resilience.report.series import Columns
from resilience.report.view import Chart, build

__all__ = ["Past", "generate_resilience_report", "html", "junit", "markdown", "render"]


def markdown(incident: Incident, samples: Iterable[Sample] | Columns = ()) -> str:
    """Return the report as Markdown for a GitHub comment, at most 60,000 characters.

    Texts are taken as they are: pass records through `report.texts.redacted` first. `render` does so by itself.
    """
    return _markdown(build(incident, Columns.of(samples)))


def html(incident: Incident, samples: Iterable[Sample] | Columns = (), *, charts: tuple[Chart, ...] = ()) -> str:
    """Return the report as one HTML page that loads nothing."""
    return _page(build(incident, Columns.of(samples)), charts=charts)


def junit(result: TestSuiteResult | None, *, host: str = "", run: str = "") -> str:
    """Return the test run as junit.xml."""
    return _junit(result, host=host, run=run)


def generate_resilience_report(incident: Incident, samples: Iterable[Sample] = ()) -> str:
    """Return the guide's report: the Markdown."""
    return markdown(incident, samples)
