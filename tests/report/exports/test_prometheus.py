"""resilience.report.exports.prometheus: what is not known has no sample, never a made-up 0."""

from __future__ import annotations

from dataclasses import replace

from resilience.report.exports.prometheus import metrics
from tests.kits import incident_factory as factory


def test_metrics_have_no_sample_for_what_is_not_known() -> None:
    lines = metrics(factory.drill().incident).splitlines()
    assert 'probe_success{environment="staging",service="database"} 1' in lines
    first = replace(factory.drill().incident, latest=None)
    assert 'probe_success{environment="staging",service="database"} 0' in metrics(first).splitlines()
    assert "resilience_last_run_exit_code" in metrics(first)
    assert "probe_success" not in metrics(factory.failed().incident)
