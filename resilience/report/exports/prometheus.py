"""Turn an incident into a Prometheus textfile, for the node exporter's textfile collector."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from resilience.core.records import ConnectivityStatus, Incident, TestSuiteResult
from resilience.report.exports.export import Export, File
from resilience.report.view import View
from resilience.report.view.suites import TOTALS


def metrics(incident: Incident) -> str:
    """Return the metrics in the text exposition format; a service without a result has no sample, never a made-up 0.

    Where blackbox_exporter has a name for it, that is taken (probe_success, probe_duration_seconds). All are gauges;
    times are in seconds, labels escaped as the format has it.
    """
    health = incident.latest or incident.health
    environment = incident.environment
    blocks: list[str] = []
    if health is not None:
        looked = [r for r in health.services if r.status is not ConnectivityStatus.NOT_CONFIGURED]
        known = [r for r in looked if r.status is not ConnectivityStatus.UNKNOWN]
        good = (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED)
        blocks += _metric(
            "probe_success",
            "1 where the service of staging answered its probe; absent where that is unknown",
            ((_labels(environment, r.name), float(r.status in good)) for r in known),
        )
        blocks += _metric(
            "probe_duration_seconds",
            "Seconds the last probe took",
            ((_labels(environment, r.name), r.response_time_s) for r in looked if r.response_time_s is not None),
        )
    one = _labels(environment)
    finished = incident.finished_at or (health.started_at if health else incident.started_at)
    blocks += _metric("resilience_last_run_timestamp_seconds", "When the last run ended", [(one, finished.timestamp())])
    if incident.exit_code is not None:
        blocks += _metric(
            "resilience_last_run_exit_code", "Exit code of the last run", [(one, float(incident.exit_code))]
        )
    if incident.tests is not None:
        blocks += _metric("resilience_tests", "Tests of the last run by outcome", _tests(environment, incident.tests))
    return "".join(blocks)


def _tests(environment: str, result: TestSuiteResult) -> Iterable[tuple[str, float]]:
    mode = result.mode.value
    for name in TOTALS:
        labels = _labels(environment)[:-1] + f',mode="{mode}",outcome="{name}"}}'
        yield labels, float(getattr(result.totals, name))


def _metric(name: str, meaning: str, values: Iterable[tuple[str, float]]) -> list[str]:
    lines = [f"{name}{labels} {value:.15g}\n" for labels, value in values]
    return [f"# HELP {name} {meaning}\n# TYPE {name} gauge\n", *lines] if lines else []


def _labels(environment: str, service: str | None = None) -> str:
    pairs = [f'environment="{_escape(environment)}"']
    if service is not None:
        pairs.append(f'service="{_escape(service)}"')
    return "{" + ",".join(pairs) + "}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")


def _files(view: View) -> Iterator[File]:
    yield File(path="metrics.prom", content=metrics(view.incident))


EXPORT = Export(name="metrics.prom", files=_files, end=_files)
