"""Turn an incident and its samples into the files of its report: texts first, then charts; what fails is named in the rest."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from resilience.core import codec
from resilience.core.errors import RecordError, SecretLeakError
from resilience.core.records import SCHEMA, Incident, Sample, TestSuiteResult, Vantage, Verdict
from resilience.report.html import html as _page
from resilience.report.junit import junit as _junit
from resilience.report.markdown import markdown as _markdown
from resilience.report.markdown.people import NOBODY
from resilience.report.prometheus import metrics
from resilience.report.series import Columns, read
from resilience.report.texts import Redacts, redacted
from resilience.report.view import PEOPLE, Chart, Day, PastRun, View, build
from resilience.report.writing import publish

__all__ = ["Past", "generate_resilience_report", "html", "junit", "load", "markdown", "read", "render"]

_log = logging.getLogger("resilience.report")
PEOPLE_LIMIT = 20_000
"""Characters of one section that people wrote; what is longer stays in `report.previous.md`."""


class Past(Protocol):
    """What a report asks of the history (`resilience.runs.history.History`)."""

    def incident_of(self, incident: Incident) -> str: ...

    def incident_runs(self, incident_id: str) -> Iterable[PastRun]: ...

    def incident_samples(self, incident_id: str, *, except_run: str = "") -> Iterable[Sample]: ...

    def days(self, environment: str, *, until: datetime, days: int = 30) -> Iterable[Day]: ...


def markdown(incident: Incident, samples: Iterable[Sample] | Columns = ()) -> str:
    """Return the report as Markdown for a GitHub comment, at most 60,000 characters."""
    return _markdown(build(incident, Columns.of(samples)))


def html(incident: Incident, samples: Iterable[Sample] | Columns = (), *, charts: tuple[Chart, ...] = ()) -> str:
    """Return the report as one HTML page that loads nothing."""
    return _page(build(incident, Columns.of(samples)), charts=charts)


def junit(result: TestSuiteResult | None, *, host: str = "", run: str = "") -> str:
    """Return the test run as junit.xml."""
    return _junit(result, host=host, run=run)


def load(folder: Path) -> tuple[Incident, Iterable[Sample] | Columns, tuple[str, ...]]:
    """Return what is left of a run in its folder: the incident, its samples as they are read, and what is missing.

    Of a record by a newer version the known part is taken; in place of one that cannot be read stands one that says so.
    """
    problems: list[str] = []
    path = folder / "incident.json"
    try:
        incident = _known_part(path, problems)
    except (OSError, ValueError, RecordError) as exc:
        problems.append(
            f"incident.json could not be read ({type(exc).__name__}); what is shown comes from the samples alone"
        )
        incident = Incident(
            run=f"{folder.parent.name}/{folder.name}",
            slug=folder.name,
            environment="unknown environment",
            started_at=_started(folder),
            vantage=Vantage(host="unknown", user="unknown"),
            verdict=Verdict.UNKNOWN,
        )
    samples = folder / "samples.jsonl"
    if not samples.exists():
        return incident, (), tuple(problems)
    found = Columns.of(read(samples, problems=problems))
    return incident, found, tuple(problems)


def _known_part(path: Path, problems: list[str]) -> Incident:
    data = path.read_bytes()
    try:
        return codec.from_json(data, Incident, source=path.name)
    except RecordError:
        head = json.loads(data)
        if not isinstance(head, dict) or not isinstance(head.get("schema"), int) or head["schema"] <= SCHEMA:
            raise
        problems.append(
            f"incident.json is of schema {head['schema']}, newer than {SCHEMA}: only what is known of it is shown"
        )
        return codec.from_json(json.dumps({**head, "schema": SCHEMA}), Incident, source=path.name)


def _started(folder: Path) -> datetime:
    try:
        return datetime.strptime(f"{folder.parent.name} {folder.name[:6]}+0000", "%Y-%m-%d %H%M%S%z")
    except ValueError:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def generate_resilience_report(incident: Incident, samples: Iterable[Sample] = ()) -> str:
    """Return the guide's report: the Markdown."""
    return markdown(incident, samples)


def render(
    incident: Incident,
    samples: Iterable[Sample] | Columns,
    folder: Path,
    *,
    redactor: Redacts | None,
    history: Past | None = None,
    public: bool = False,
    charts: bool = True,
    missing: Sequence[str] = (),
) -> tuple[Path, ...]:
    """Write the report into the run's folder and give the files written, texts before charts.

    What cannot be made or written is left out, and the rest says so. Raises SecretLeakError after all else has been written
    where a file would have held a secret; that file was not written. `missing` is what the caller knows to be lacking.
    """
    return _Rendering(incident, samples, folder, redactor, history, public, missing).go(charts=charts)


class _Rendering:
    def __init__(
        self,
        incident: Incident,
        samples: Iterable[Sample] | Columns,
        folder: Path,
        redactor: Redacts | None,
        history: Past | None,
        public: bool,
        missing: Sequence[str],
    ) -> None:
        self.folder, self.redactor = folder, redactor
        self.missing: list[str] = list(missing)
        self.written: list[Path] = []
        self.leaks: list[SecretLeakError] = []
        text = _passes(redactor, public)
        self.text = text
        incident = redacted(self._joined(incident, history), text)
        people = self._people()
        columns = self._columns(incident, samples, history)
        if text is not _same:
            columns = _renamed(columns, text)
        past, days = self._past(incident, history, text)
        self.view: View = build(incident, columns, people=people, past=past, days=days, public=public)

    def go(self, *, charts: bool) -> tuple[Path, ...]:
        view = self._view()
        incident = view.incident
        self._write("report.md", lambda: _markdown(view))
        self._write("report.html", lambda: self._page(()))
        self._write("junit.xml", lambda: _junit(incident.tests, host=incident.vantage.host, run=incident.run))
        self._write("samples.csv", view.columns.csv, texts=view.columns.texts())
        self._write("metrics.prom", lambda: metrics(incident))
        if charts:
            made = self._charts()
            self._write("report.html", lambda: self._page(made))
        if self.missing:
            self._write("report.md", lambda: _markdown(self._view()))
            if not charts:
                self._write("report.html", lambda: self._page(()))
        if self.leaks:
            raise self.leaks[0]
        return tuple(dict.fromkeys(self.written))

    def _view(self) -> View:
        return replace(self.view, missing=tuple(dict.fromkeys((*self.view.missing, *self.missing))))

    def _page(self, charts: tuple[Chart, ...]) -> str:
        return _page(self._view(), charts=charts)

    def _write(self, name: str, make: Callable[[], str | Iterable[str]], *, texts: str | None = None) -> bool:
        try:
            self.written.append(publish(self.folder / name, make(), self.redactor, texts=texts))
        except SecretLeakError as exc:
            self.leaks.append(exc)
            self.missing.append(f"{name}: refused, a secret would have been in it")
            return False
        except Exception as exc:  # noqa: BLE001 - one rendering that fails must not lose the others; it becomes a line in them
            self._lost(name, exc)
            return False
        return True

    def _lost(self, what: str, exc: BaseException) -> None:
        _log.debug("%s could not be made", what, exc_info=exc)
        said = self.text(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)
        self.missing.append(f"{what}: could not be made ({said[:200]})")

    def _charts(self) -> tuple[Chart, ...]:
        try:
            from resilience.report.charts import CHARTS, draw
        except Exception as exc:  # noqa: BLE001 - matplotlib may be broken on this machine; the texts stand without it
            self._lost("charts", exc)
            return ()
        made = []
        for name in CHARTS:
            try:
                drawn = draw(name, self.view)
                if drawn is None:
                    continue
                for path, content in ((f"charts/{name}.svg", drawn.svg_file), (f"charts/{name}.png", drawn.png)):
                    self.written.append(publish(self.folder / path, content, self.redactor))
                made.append(drawn.chart)
            except SecretLeakError as exc:
                self.leaks.append(exc)
                self.missing.append(f"chart {name}: refused, a secret would have been in it")
            except Exception as exc:  # noqa: BLE001 - one chart that fails must not lose the others
                self._lost(f"chart {name}", exc)
        return tuple(made)

    def _people(self) -> Mapping[str, str]:
        try:
            before = (self.folder / "report.md").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as exc:
            self._lost("what people wrote into the report.md of before", exc)
            return {}
        found, whole = written_by_people(before)
        if not whole:
            try:
                publish(self.folder / "report.previous.md", before, self.redactor)
                self.missing.append(
                    "some marks around what people wrote were gone; the file of before is kept as report.previous.md"
                )
            except (OSError, SecretLeakError) as exc:
                self._lost("report.previous.md", exc)
        return {key: "\n".join(self.text(line) for line in text.splitlines()) for key, text in found.items()}

    def _joined(self, incident: Incident, history: Past | None) -> Incident:
        """Return the incident with the id of the outage it belongs to, as the history knows it."""
        if history is None:
            return incident
        try:
            known = history.incident_of(incident)
        except Exception as exc:  # noqa: BLE001 - a damaged or locked history must not cost the report
            self._lost("history", exc)
            return incident
        return replace(incident, incident_id=known) if known else incident

    def _columns(self, incident: Incident, samples: Iterable[Sample] | Columns, history: Past | None) -> Columns:
        earlier = Columns()
        if history is not None and incident.incident_id:
            try:
                earlier = Columns.of(history.incident_samples(incident.incident_id, except_run=incident.run))
            except Exception as exc:  # noqa: BLE001 - a damaged or locked history must not cost the report
                self._lost("samples of earlier runs of this incident (history)", exc)
        try:
            return Columns.of(samples).after(earlier)
        except Exception as exc:  # noqa: BLE001 - samples that cannot be read must not cost the rest
            self._lost("samples", exc)
            return earlier

    def _past(
        self, incident: Incident, history: Past | None, text: Callable[[str], str]
    ) -> tuple[tuple[PastRun, ...], tuple[Day, ...]]:
        if history is None:
            return (), ()
        runs: tuple[PastRun, ...] = ()
        days: tuple[Day, ...] = ()
        try:
            if incident.incident_id:
                runs = tuple(redacted(run, text) for run in history.incident_runs(incident.incident_id))
            until = incident.finished_at or incident.started_at
            days = tuple(redacted(day, text) for day in history.days(incident.environment, until=until))
        except Exception as exc:  # noqa: BLE001 - a damaged or locked history must not cost the report
            self._lost("history of runs", exc)
        return runs, days


def _same(text: str) -> str:
    return text


def _passes(redactor: Redacts | None, public: bool) -> Callable[[str], str]:
    if redactor is None:
        return _same
    if not public:
        return redactor.text
    return redactor.public


def _renamed(columns: Columns, text: Callable[[str], str]) -> Columns:
    """Pass service names and stages through the redactor too: they come from files that anyone may write."""
    for line in columns.lines.values():
        line.service, line.target = text(line.service), text(line.target)
    columns.stages = [text(stage) for stage in columns.stages]
    return columns


_SECTION = re.compile(r"<!-- people:([a-z-]+) -->\n?(.*?)\n?<!-- /people:\1 -->", re.DOTALL)


def written_by_people(report: str) -> tuple[dict[str, str], bool]:
    """Return what stands between the marks of a report.md, and whether every mark was found."""
    found = {}
    whole = True
    for key, text in _SECTION.findall(report):
        text = text.strip()
        if text and text != NOBODY:
            found[key] = text
            whole = whole and len(text) <= PEOPLE_LIMIT
            found[key] = text[:PEOPLE_LIMIT]
    whole = whole and all(f"<!-- people:{key} -->" in report and f"<!-- /people:{key} -->" in report for key in PEOPLE)
    return found, whole
