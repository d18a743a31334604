"""Turn records into the sentences a tired person reads first; status and mode never stand without their nouns."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from resilience.core.marks import BLAME, FAULTS, OUTCOMES, STAGING, STATUSES, TIMED, Blame, outcome_word
from resilience.core.records import (
    Cause,
    CauseName,
    CommandEnd,
    ConnectivityResult,
    ConnectivityStatus,
    Decision,
    ExitCode,
    FaultCode,
    Incident,
    InfrastructureHealth,
    Outcome,
    Recovery,
    TestExecutionMode,
    TestSuiteResult,
    TestTotals,
    Verdict,
)

_CAUSES = {
    CauseName.THIS_MACHINE: "this machine",
    CauseName.STAGING_OR_THIS_MACHINE: "staging or this machine: cannot tell",
    CauseName.DNS_RESOLVER: "DNS resolver",
    CauseName.VPC_CONNECTOR: "VPC connector",
    CauseName.CLOUD_SQL_PROXY: "Cloud SQL Auth Proxy",
    CauseName.DEPENDENCY: "a service that others need",
    CauseName.AUTHENTICATION: "authentication",
    CauseName.CLOCK_OR_CA: "clock or certificate authority",
    CauseName.SINGLE_SERVICE: "this service alone",
}


def cause_title(cause: CauseName) -> str:
    """Return a cause as a person says it."""
    return _CAUSES[cause]


def also_possible(causes: Sequence[Cause]) -> str:
    """Return 'DNS resolver (a, b); this service alone (c)': what is possible beside the first cause, or nothing."""
    services: dict[str, list[str]] = {}
    for cause in causes[1:]:
        services.setdefault(cause_title(cause.cause), []).extend(cause.services)
    return "; ".join(f"{title} ({', '.join(names)})" for title, names in services.items())


def plural(count: int, noun: str) -> str:
    """Return '1 test', '2 tests'."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_EXPLAINED = re.compile(r"\s+\+\s+(?:where|and)\s.*", re.DOTALL)
"""Where pytest begins to explain of what an assertion's values are made."""
_ADDRESS = re.compile(r" at 0x[0-9a-f]{6,16}\b")


def gist(said: str) -> str:
    """Return what a failure said in one line: what was asserted and found, without where its values were had from.

    The rest stands in the failure as pytest shows it; an address in memory is another in each run and tells nobody anything.
    """
    first = next(iter(said.splitlines()), "")
    return _ADDRESS.sub("", _EXPLAINED.sub("", first)) or first


def seconds(value: float | None) -> str:
    """Return '0.4 ms', '42 ms', '1.23 s' or '2 min 05 s'; '–' for None."""
    if value is None:
        return "–"
    if value < 0.001:
        return f"{value * 1000:.1f} ms"
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    if value < 99.95:
        return f"{value:.1f} s"
    return f"{round(value) // 60} min {round(value) % 60:02d} s"


def brief(total_s: float) -> str:
    """Return how long something lasted, as people say it: '45 s', '42 min', '5 h' or '5.5 h'; nothing is less than '0 s'.

    A clock that was set back in between would say so.
    """
    total_s = max(0.0, total_s)
    if total_s < 120:
        return f"{total_s:.0f} s"
    return f"{total_s / 60:.0f} min" if total_s < 7200 else f"{total_s / 3600:.1f}".removesuffix(".0") + " h"


def fault_phrase(result: ConnectivityResult) -> str:
    """Return 'connect time-out after 5.0 s' for a result; its status where it has no fault.

    A server's own status code says more than its class does. What was waited for says how long; what answered in the end
    was slow, and only what did not is a time-out.
    """
    fault, took = result.fault, result.response_time_s
    if fault in (None, FaultCode.APP_SLOW) and result.status is ConnectivityStatus.DEGRADED and took is not None:
        return "flapping" if fault is None and result.flapping else f"slow, {seconds(took)}"
    if fault in TIMED and took is not None:
        return f"{FAULTS[fault]} after {seconds(took)}"
    return fault_word(result)


def fault_word(result: ConnectivityResult) -> str:
    """Return 'connect time-out', '503' or 'slow': what was met, beside a column that holds the time."""
    fault = result.fault
    if fault is None and result.flapping:
        return "flapping"
    if fault is None:
        slow = result.status is ConnectivityStatus.DEGRADED and result.response_time_s is not None
        return "slow" if slow else STATUSES[result.status].word
    code = result.facts.get("status", "")
    return code if code[:1] in ("4", "5") and fault not in TIMED else FAULTS[fault]


def staging_line(health: InfrastructureHealth, *, most: int = 4) -> str:
    """Return the line that starts with STAGING:, naming what is unwell, critical services first.

    `most` services are named and the rest counted, so that it stays one line on a terminal. Services that met the same
    share its phrase.
    """
    word = STAGING[health.overall_status]
    wanted = (ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.UNKNOWN, ConnectivityStatus.DEGRADED)
    unwell = [result for status in wanted for result in health.services if result.status is status]
    unwell.sort(key=lambda result: not result.critical)
    configured = len(health.services) - health.not_configured
    counts = f"{health.checked} of {configured} checked"
    if health.not_configured:
        counts += f", {health.not_configured} not configured"
    if not unwell:
        return f"{health.environment.upper()}: {word} ({counts})"
    alike: dict[str, list[str]] = {}
    for result in unwell[:most]:
        alike.setdefault(fault_phrase(result), []).append(result.name)
    shown = "; ".join(f"{', '.join(names)}: {phrase}" for phrase, names in alike.items())
    more = f"; and {len(unwell) - most} more" if len(unwell) > most else ""
    return f"{health.environment.upper()}: {word} ({shown}{more}). {counts}"


def tests_line(decision: Decision) -> str:
    """Return the line that starts with TESTS:, saying how they can be run."""
    return _how_tests_run(decision, ", ".join)


def short_tests_line(decision: Decision) -> str:
    """Return the same line with services counted instead of named, where a list of them stands below."""
    return _how_tests_run(decision, lambda names: plural(len(names), "service"))


def _how_tests_run(decision: Decision, named: Callable[[Sequence[str]], str]) -> str:
    mode = decision.mode
    if decision.blocked:
        return "TESTS: BLOCKED by infrastructure (a critical service is down and nothing usable stands in for it)"
    if mode is TestExecutionMode.FULL:
        return "TESTS: can run on real staging (mode full)"
    text = "only the critical ones should run" if mode is TestExecutionMode.CRITICAL_ONLY else "can run"
    if decision.stand_ins:
        text += f" on local stand-ins for {named(decision.stand_ins)}"
    if decision.held:
        text += f", but for those that need {named(tuple(decision.held))}"
    return f"TESTS: {text} (mode {mode.value})"


def verdict_line(health: InfrastructureHealth, decision: Decision | None) -> str:
    """Return 'STAGING: DOWN. TESTS: can run on local stand-ins (mode degraded)': the verdict alone, to stand last."""
    line = f"{health.environment.upper()}: {STAGING[health.overall_status]}"
    if decision is None:
        return line
    if decision.blocked:
        return f"{line}. TESTS: BLOCKED by infrastructure"
    where = (
        "real staging" if decision.mode is TestExecutionMode.FULL else "local stand-ins" if decision.stand_ins else ""
    )
    only = "only the critical ones should run" if decision.mode is TestExecutionMode.CRITICAL_ONLY else "can run"
    return f"{line}. TESTS: {only}{f' on {where}' if where else ''} (mode {decision.mode.value})"


def totals_line(totals: TestTotals) -> str:
    """Return '1,204 passed, 3 failed (product), 212 held back or lost to infrastructure …', leaving out zeros."""
    counts = ((outcome, getattr(totals, outcome.value)) for outcome in OUTCOMES)
    text = ", ".join(f"{count:,} {_counted(outcome, count)}" for outcome, count in counts if count) or "no tests"
    if totals.retried:
        text += f"; {totals.retried:,} run again, {totals.passed_on_retry:,} of them passed"
    return text


def _counted(outcome: Outcome, count: int) -> str:
    mark = OUTCOMES[outcome]
    word = mark.plural if mark.plural and count != 1 else mark.word
    return f"{word} (product)" if BLAME[outcome] is Blame.PRODUCT else word


def result_lines(result: TestSuiteResult) -> tuple[str, ...]:
    """Return the lines after a test run: the verdict in capitals, the counts, and what they do not prove.

    The first line carries the verdict, the second the counts. Below stand only what would mislead if it were left
    out: undecided tests, passes at the second try, and whose the failures are where infrastructure took tests as
    well.
    """
    counts = result.totals
    phrase = verdict_phrase(result.verdict, result.mode)
    if result.verdict is Verdict.UNDECIDED:
        phrase = phrase.replace("UNDECIDED", f"UNDECIDED: {plural(counts.undecided, 'test')}", 1)
    if result.verdict is Verdict.STAND_IN_GAPS:
        phrase = phrase.replace("only gaps", f"only {plural(counts.stand_in_gap, 'gap')}", 1)
    if result.verdict is Verdict.PASSED:
        phrase = _passed(result)
    lines = [f"TESTS: {phrase}", f"       {totals_line(counts)}"]
    if counts.undecided and result.verdict is not Verdict.UNDECIDED:
        lines.append(f"       UNDECIDED: {plural(counts.undecided, 'test')}. See each with: resilience why TEST")
    lucky = sum(test.suspect and test.outcome is Outcome.PASSED for test in result.tests)
    if lucky:
        lines.append(f"       {plural(lucky, 'test')} passed only at the second try, and no outage was seen.")
    if result.totals.failed + result.totals.error and result.totals.infrastructure_unavailable:
        lines.append("       The failures are the product's; what infrastructure took is counted apart.")
    return tuple(lines)


def _passed(result: TestSuiteResult) -> str:
    """Return what a pass in mode full proves: how many of the tests that ran spoke to staging, so that the word is earned."""
    counts = result.totals
    ran = counts.passed + counts.xfailed + counts.xpassed
    if not ran:
        return "PASSED (mode full)"
    if result.spoke is None:
        return "PASSED (mode full); what the tests spoke to cannot be seen"
    if not result.spoke:
        return f"PASSED (mode full), but none of {plural(ran, 'test')} spoke to a service: nothing is proved of staging"
    return f"PASSED on real staging (mode full): {result.spoke:,} of {plural(ran, 'test')} spoke to it"


def verdict_phrase(verdict: Verdict, mode: TestExecutionMode | None = None) -> str:
    """Return the verdict as a sentence that cannot be mistaken at three in the morning."""
    in_mode = f" (mode {mode.value})" if mode else ""
    return {
        Verdict.RUNNING: "still running",
        Verdict.PASSED: "PASSED on real staging (mode full)",
        Verdict.PASSED_ON_STAND_INS: f"NOT A FULL PASS: what ran passed, on stand-ins or a reduced selection{in_mode}",
        Verdict.PRODUCT_FAILURES: f"PRODUCT FAILURES{in_mode}"
        + ("" if mode is TestExecutionMode.FULL else "; and NOT A FULL RUN"),
        Verdict.INFRASTRUCTURE_UNAVAILABLE: f"BLOCKED by infrastructure: NOT A FULL PASS{in_mode}",
        Verdict.UNDECIDED: f"UNDECIDED: NOT A FULL PASS; product or outage cannot be told apart yet{in_mode}",
        Verdict.STAND_IN_GAPS: f"NOT A FULL PASS: only gaps of the stand-ins failed{in_mode}",
        Verdict.UNKNOWN: "UNKNOWN: nothing was proved",
        Verdict.RUNBOOK_FAILED: "THE RUNBOOK FAILED; nothing is known about your tests",
        Verdict.INTERRUPTED: "interrupted; what was known until then is below",
        Verdict.TIMED_OUT: "TIMED OUT; what was known until then is below",
        Verdict.KILLED: "KILLED: the process of this run is gone and wrote no end; what was known until then is below",
    }[verdict]


def recovery_line(recovery: Recovery) -> str:
    """Return the line that says whether staging is back."""
    if recovery.recovered:
        lasted = f"{recovery.good_needed} needed, over at least {seconds(recovery.dwell_s)}"
        return f"RECOVERY: confirmed, {recovery.in_a_row} good checks in a row ({lasted})"
    gauge = f"{recovery.in_a_row} of {recovery.good_needed} good checks in a row"
    return f"RECOVERY: not yet, {gauge}" + (f" ({recovery.reason})" if recovery.reason else "")


_OF_STAGING = {
    int(ExitCode.PASSED): "staging is available",
    int(ExitCode.NOT_A_FULL_PASS): "staging is degraded",
    int(ExitCode.BLOCKED): "staging is unavailable",
    int(ExitCode.UNKNOWN): "unknown how staging is",
}


def exit_code_phrase(code: int, *, looked: bool = False) -> str:
    """Return what an exit code of ours means; where we only `looked`, it speaks of staging and not of tests.

    A code that is none of ours is the team's own command's (`--exit-code original`).
    """
    if looked and code in _OF_STAGING:
        return _OF_STAGING[code]
    return {
        ExitCode.PASSED: "passed on real staging",
        ExitCode.PRODUCT_FAILURES: "product failures",
        ExitCode.USAGE: "usage or settings",
        ExitCode.NOT_A_FULL_PASS: "NOT A FULL PASS",
        ExitCode.BLOCKED: "tests blocked by infrastructure",
        ExitCode.UNKNOWN: "unknown",
        ExitCode.RUNBOOK_FAILED: "the runbook failed; nothing is known about your tests",
        ExitCode.LOCKED: "another holds the lock",
        ExitCode.TIMED_OUT: "timed out",
        ExitCode.INTERRUPTED: "interrupted",
        ExitCode.KILLED: "killed; nothing is known about your tests",
        ExitCode.TERMINATED: "terminated",
    }.get(code, "the command's own")


def run_code_phrase(incident: Incident) -> str:
    """Return what the exit code of a run means; empty while it has none.

    It speaks of staging where no test was run and none was blocked: whoever only applied passed nothing.
    """
    if incident.exit_code is None:
        return ""
    tested = incident.tests or incident.critical_tests or incident.full_tests
    blocked = incident.decision is not None and incident.decision.blocked
    judged = incident.verdict in (Verdict.UNKNOWN, Verdict.INFRASTRUCTURE_UNAVAILABLE)
    return exit_code_phrase(incident.exit_code, looked=judged and tested is None and not blocked)


def command_code_phrase(command: CommandEnd) -> str:
    """Return what the exit code of `apply` or `recover` means: what was asked is done, or why not."""
    if command.exit_code == ExitCode.PASSED:
        return "done"
    if command.verb == "apply" and command.exit_code == ExitCode.BLOCKED:
        return "a stand-in did not come up, or there is none"
    return exit_code_phrase(command.exit_code, looked=True)


def both_codes_line(incident: Incident) -> str:
    """Return the line that tells the code of a command from that of its run; empty where they are the same."""
    command = incident.command
    if command is None or command.exit_code == incident.exit_code:
        return ""
    return (
        f"This command: exit code {command.exit_code} ({command_code_phrase(command)}). "
        f"Its run: exit code {incident.exit_code} ({run_code_phrase(incident)})."
    )


def listing(names: Sequence[str]) -> str:
    """Return 'a', 'a and b' or 'a, b and c'."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def progress_line(
    *,
    finished: int,
    collected: int,
    counts: Mapping[str, int],
    rate: float = 0.0,
    eta_s: float | None = None,
    current: str = "",
    current_s: float = 0.0,
) -> str:
    """Return '412 of 1,419 tests, 3 failed, 52/s, about 20 s left: tests/unit/test_a.py::test_x', leaving out what is not known.

    A rate of three tests says nothing about the rest; of a test that runs for longer than two seconds it says so.
    """
    parts = [f"{finished:,} of {collected:,} tests" if collected else plural(finished, "test")]
    parts += [f"{count:,} {outcome_word(name)}" for name, count in counts.items() if count and name != "passed"]
    if rate >= 1:
        parts.append(f"{rate:.0f}/s")
    if eta_s is not None and eta_s >= 1 and finished >= 3:
        parts.append(f"about {brief(eta_s)} left")
    slow = f" ({current_s:.0f} s)" if current_s >= 2 else ""
    return ", ".join(parts) + (f": {current}{slow}" if current else "")
