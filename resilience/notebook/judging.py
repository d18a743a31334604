"""Say whether a run counts as failed for the notebook that went through it, and why."""

from __future__ import annotations

from resilience.core.records import Incident, StageName, StageStatus, Verdict
from resilience.core.verdict import FailOn, code_of, counts_as_failure, judge_tests


def fails(incident: Incident, fail_on: FailOn | str = FailOn.NEVER) -> str:
    """Return why this run counts as failed for papermill, or an empty text.

    A stage that broke always counts: nothing is known then. What the tests said, or could not say, counts where `fail_on`
    says so, as on the command line (`core.verdict.HIDDEN`). A run that only looked says nothing about tests and fails no cell.
    """
    broken = (StageStatus.FAILED, StageStatus.KILLED, StageStatus.TIMED_OUT, StageStatus.INTERRUPTED)
    for name in StageName:
        stage = incident.stage(name)
        if stage is not None and stage.status in broken:
            return (
                f"stage {name.value} {stage.status.value.replace('_', ' ')}: {stage.error or 'no reason was recorded'}"
            )
    judged = judge_tests(incident)
    if judged is None or not counts_as_failure(code_of(judged[0]), fail_on):
        return ""
    verdict, code = judged
    asked = f"(exit code {code}); fail_on is {FailOn(fail_on).value}"
    if verdict is Verdict.PRODUCT_FAILURES:
        results = (incident.tests, incident.critical_tests, incident.full_tests)
        counts = [result.totals for result in results if result is not None and result.verdict is verdict]
        return f"{sum(total.failed + total.error for total in counts)} tests failed as product {asked}"
    if verdict is Verdict.PASSED_ON_STAND_INS:
        return f"NOT A FULL PASS {asked}"
    return f"the test run: {verdict.value.replace('_', ' ')} {asked}"
