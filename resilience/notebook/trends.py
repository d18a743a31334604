"""Turn the parameters of the notebook of trends into frames and charts of the history; it only reads."""

from __future__ import annotations

import os
from collections.abc import Mapping
from html import escape
from typing import Any

from IPython.display import display

from resilience.core.redact import Redactor
from resilience.core.settings import Settings
from resilience.notebook import kernel
from resilience.notebook.passed import ParameterValues, read_parameters
from resilience.notebook.section import displays
from resilience.runs.configuration import load_settings
from resilience.runs.trends import Trends, trends_of
from resilience.show import notebook as views


class TrendsNotebook:
    """What the history says over a period, as frames and charts to explore in cells.

    For example:

        trends = open_trends(globals())
        trends.chart("days")
        trends.frame("days")
    """

    def __init__(self, settings: Settings, parameters: ParameterValues) -> None:
        self.settings = settings
        self.parameters = parameters
        self.trends: Trends = trends_of(settings, parameters.get("since", "30 days"), parameters.get("until", ""))

    def frame(self, name: str) -> Any:
        """Return "days", "services", "incidents" or "tests" as a pandas frame; see `resilience.runs.frames`.

        Seconds are floats, times and days are UTC. Where nothing was there are the columns and no row.
        """
        # Not at start-up: pandas is slow to load, and only who asks for a frame should wait for it.
        from resilience.runs.frames import trend_frame

        return trend_frame(name, self.trends)

    def chart(self, name: str) -> None:
        """Show the chart "days", "incidents" or "tests" with the sentence that says the same; only the sentence for nothing."""
        # Not at start-up: matplotlib is slow to load, as pandas is.
        from resilience.report.charts.trends import picture

        found = self.trends
        of: Mapping[str, tuple[Any, Any]] = {
            "days": (found.chart_days, found.period),
            "incidents": (lambda: found.incidents, found.period),
            "tests": (lambda: found.tests, found.runs),
        }
        rows, over = of.get(name, (tuple, 0))
        drawn = picture(name, rows(), over)
        if not displays():
            return
        said = {"text/html": views.page(f"<p>{escape(drawn.says)}</p>"), "text/plain": drawn.says}
        display(said, raw=True)  # type: ignore[no-untyped-call]
        if drawn.png:
            display({"image/png": drawn.png, "text/plain": f"Chart: {name}"}, raw=True)  # type: ignore[no-untyped-call]

    def __repr__(self) -> str:
        return "\n".join(self.trends.lines)

    def _repr_html_(self) -> str:
        first, *others = self.trends.lines
        return views.page(views.head(first), "".join(f"<div>{escape(line)}</div>" for line in others))


def open_trends(namespace: Mapping[str, Any]) -> TrendsNotebook:
    """Open the history in the notebook whose `globals()` these are, with the parameters it declares.

    In a kernel every output is redacted from here on. Raises SettingsError for an unknown parameter or a value that cannot
    be used, UsageError for a period that is none, HistoryError where the history cannot be opened.
    """
    parameters = read_parameters(namespace)
    if kernel.in_kernel():
        kernel.forget_own_variables(os.environ)
    settings = load_settings(parameters.get("config", "") or None, environment=parameters.get("environment", ""))
    kernel.redact_outputs(Redactor(settings.secrets))
    return TrendsNotebook(settings, parameters)
