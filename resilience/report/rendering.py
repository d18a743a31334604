"""Write the files of a report into a run's folder: texts first, then charts; what fails is named in the rest."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from resilience.core.errors import SecretLeakError
from resilience.core.records import Incident, Sample
from resilience.report import exports
from resilience.report.exports.export import Export
from resilience.report.html import html
from resilience.report.markdown import markdown
from resilience.report.people import written_by_people
from resilience.report.series import Columns
from resilience.report.texts import Redacts, redacted
from resilience.report.view import Chart, Day, PastRun, View, build
from resilience.report.writing import publish

_log = logging.getLogger("resilience.report")


class Past(Protocol):
    """What a report asks of the history (`resilience.runs.history.History`)."""

    def incident_of(self, incident: Incident) -> str: ...

    def incident_runs(self, incident_id: str) -> Iterable[PastRun]: ...

    def incident_samples(self, incident_id: str, *, except_run: str = "") -> Iterable[Sample]: ...

    def days(self, environment: str, *, until: datetime, days: int = 30) -> Iterable[Day]: ...


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
        view = self._shown()
        self._write("report.md", lambda: markdown(view))
        self._write("report.html", lambda: self._page(()))
        for export in exports.EXPORTS:
            self._export(export, view)
        if charts:
            made = self._charts()
            self._write("report.html", lambda: self._page(made))
        if self.missing:
            self._write("report.md", lambda: markdown(self._shown()))
            if not charts:
                self._write("report.html", lambda: self._page(()))
        if self.leaks:
            raise self.leaks[0]
        return tuple(dict.fromkeys(self.written))

    def _shown(self) -> View:
        return replace(self.view, missing=tuple(dict.fromkeys((*self.view.missing, *self.missing))))

    def _page(self, charts: tuple[Chart, ...]) -> str:
        return html(self._shown(), charts=charts)

    def _write(self, name: str, make: Callable[[], str]) -> None:
        try:
            text = make()
        except Exception as exc:  # noqa: BLE001 - one rendering that fails must not lose the others; it becomes a line in them
            self._lost(name, exc)
            return
        self._put(name, text)

    def _put(self, name: str, content: str | Iterable[str], *, texts: str | None = None) -> None:
        """Write one file, or say in the rest why it is missing; `content` may be a generator that fails on the way."""
        try:
            self.written.append(publish(self.folder / name, content, self.redactor, texts=texts))
        except SecretLeakError as exc:
            self.leaks.append(exc)
            self.missing.append(f"{name}: refused, a secret would have been in it")
        except Exception as exc:  # noqa: BLE001 - one file that cannot be written must not lose the others
            self._lost(name, exc)

    def _export(self, export: Export, view: View) -> None:
        try:
            for file in export.files(view):
                self._put(file.path, file.content, texts=file.texts)
        except Exception as exc:  # noqa: BLE001 - one export that fails must not lose the others
            self._lost(export.name, exc)

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
