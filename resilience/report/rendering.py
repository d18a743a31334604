"""Write the files of a report into a run's folder: texts first, then charts; what fails is named in the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from resilience.core.errors import SecretLeakError
from resilience.core.records import Incident, Sample
from resilience.report import exports
from resilience.report.exports.export import File
from resilience.report.gathering import Past, Sources, gather, passes
from resilience.report.html import html
from resilience.report.losses import Losses
from resilience.report.markdown import markdown
from resilience.report.series import Columns
from resilience.report.texts import Redacts
from resilience.report.view import Chart, View, without_end
from resilience.report.writing import Held, publish


def render(
    incident: Incident,
    samples: Iterable[Sample] | Columns,
    folder: Path,
    *,
    redactor: Redacts | None,
    history: Past | None = None,
    recalled: Sequence[tuple[str, str]] = (),
    public: bool = False,
    charts: bool = True,
    missing: Sequence[str] = (),
    held: Held | None = None,
    lost: list[str] | None = None,
) -> tuple[Path, ...]:
    """Write the report into the run's folder and return the files written, texts before charts.

    `held`: on the disk the run has no end yet. What is written before the charts, which take seconds, then says so too, and
    what tells the end is handed over without its name, for who writes `incident.json`: a kill leaves nothing that claims
    more than that does. `lost` gets what is missing.

    What cannot be made or written is left out, and the rest says so. Raises SecretLeakError after all else has been
    written where a file would have held a secret; that file was not written. `missing` is what the caller knows to be
    lacking.

    `public` puts pseudonyms in the place of private addresses, internal names and people; `charts` False leaves
    drawings out. `history` None shows this run alone; `recalled` is what it says of the outage's past. Each file is written
    aside, scanned and renamed: none is ever half there.
    """
    sources = Sources(
        incident=incident,
        samples=samples,
        folder=folder,
        redactor=redactor,
        history=history,
        recalled=recalled,
        public=public,
    )
    losses = Losses(passes(redactor, public=public), missing)
    rendering = _Rendering(folder, redactor, gather(sources, losses), losses, held)
    try:
        return rendering.go(charts=charts)
    finally:
        if lost is not None:
            lost += losses.missing[len(missing) :]


class _Rendering:
    """The files of one report, each written whole or named among the losses."""

    def __init__(
        self, folder: Path, redactor: Redacts | None, view: View, losses: Losses, held: Held | None = None
    ) -> None:
        self.end = held
        self.held: Held | None = None
        """Where files go now: to their names, or, once the end is told, to `end`."""
        self.folder, self.redactor, self.view, self.losses = folder, redactor, view, losses
        self.written: list[Path] = []
        self.leaks: list[SecretLeakError] = []

    def go(self, *, charts: bool) -> tuple[Path, ...]:
        """Write all files; those that people read are written again at the end, where they have charts or losses to show.

        Texts come first and at once, since drawing takes most of the time and may be cut short by a kill. While the run goes
        on they do not tell its end, and what does is written again behind the charts.
        """
        final = self.view
        self.view = early = without_end(final) if self.end is not None and charts else final
        self.held = None if charts else self.end
        self._write("report.md", lambda: markdown(self._shown()))
        self._write("report.html", lambda: self._page(()))
        for export in exports.EXPORTS:
            self._export(export.name, export.files, self._shown())
        self.view = final
        made = self._charts() if charts else ()
        self.held = self.end
        if early is not final:
            for export in exports.EXPORTS:
                if export.end is not None:
                    self._export(export.name, export.end, self._shown())
        if early is not final or self.losses.missing:
            self._write("report.md", lambda: markdown(self._shown()))
        if charts or self.losses.missing:
            self._write("report.html", lambda: self._page(made))
        if self.leaks:
            raise self.leaks[0]
        return tuple(dict.fromkeys(self.written))

    def _shown(self) -> View:
        return replace(self.view, missing=self.losses.missing)

    def _page(self, charts: tuple[Chart, ...]) -> str:
        return html(self._shown(), charts=charts)

    def _write(self, name: str, make: Callable[[], str]) -> None:
        try:
            text = make()
        except Exception as exc:  # noqa: BLE001 - one rendering that fails must not lose the others; it becomes a line in them
            self.losses.lost(name, exc)
            return
        self._put(name, text)

    def _put(
        self,
        path: str,
        content: str | bytes | Iterable[str],
        *,
        texts: str | None = None,
        what: str = "",
        durable: bool = True,
    ) -> bool:
        """Write one file, or say in the rest why it is missing; `content` may be a generator that fails on the way."""
        try:
            self.written.append(
                publish(self.folder / path, content, self.redactor, texts=texts, held=self.held, durable=durable)
            )
        except SecretLeakError as exc:
            self.leaks.append(exc)
            self.losses.say(f"{what or path}: refused, a secret would have been in it")
            return False
        except Exception as exc:  # noqa: BLE001 - one file that cannot be written must not lose the others
            self.losses.lost(what or path, exc)
            self._take_back(path)
            return False
        return True

    def _take_back(self, path: str) -> None:
        """Remove the file of before: it tells of an earlier state, and would contradict the rest. What people wrote stays."""
        file = self.folder / path
        with suppress(OSError):
            if path == "report.md":
                file.replace(self.folder / "report.previous.md")
            else:
                file.unlink(missing_ok=True)

    def _export(self, name: str, files: Callable[[View], Iterable[File]], view: View) -> None:
        try:
            for file in files(view):
                self._put(file.path, file.content, texts=file.texts, durable=file.durable)
        except Exception as exc:  # noqa: BLE001 - one export that fails must not lose the others
            self.losses.lost(name, exc)

    def _charts(self) -> tuple[Chart, ...]:
        """Return the charts that stand whole beside the page; one that cannot be drawn or written costs only itself."""
        try:
            # Not at start-up: matplotlib is slow to load, and texts without charts need not wait for it.
            from resilience.report.charts import CHARTS, draw
        except Exception as exc:  # noqa: BLE001 - matplotlib may be broken on this machine; the texts stand without it
            self.losses.lost("charts", exc)
            return ()
        made = []
        for name in CHARTS:
            try:
                drawn = draw(name, self.view)
            except Exception as exc:  # noqa: BLE001 - one chart that fails must not lose the others
                self.losses.lost(f"chart {name}", exc)
                continue
            if drawn is not None:
                files = ((f"charts/{name}.svg", drawn.svg_file), (f"charts/{name}.png", drawn.png))
                if all(self._put(path, content, what=f"chart {name}") for path, content in files):
                    made.append(drawn.chart)
        return tuple(made)
