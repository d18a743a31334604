"""Turn what a command without per-test data leaves, its JUnit files, exit code and output, into what it proves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from resilience.core.records import FaultCode, Outcome, TestOutcome
from resilience.suite.execution import Execution
from resilience.suite.foreign import find_junit, read_junit
from resilience.suite.looks import Look


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What a command as a whole came to. `kind`: junit or other; `tests` are those of its JUnit files."""

    kind: str
    outcome: Outcome
    evidence: str
    service: str | None = None
    fault: FaultCode | None = None
    tests: tuple[TestOutcome, ...] = ()


def judge_whole(
    command: str, execution: Execution, *, number: int, root: Path, newer_than: float, looks: Sequence[Look],
    autoload_off: bool = False,
) -> Whole:  # fmt: skip
    """Judge a command that our plug-in did not enter: by JUnit XML if there is any, else by exit code and output.

    `looks` are the last ones at every service. An outage is to blame only where the output speaks of one and a service is down.
    """
    if execution.timed_out:
        return Whole(kind="other", outcome=Outcome.TIMEOUT, evidence=execution.timed_out)
    for path in find_junit(command, root, newer_than=newer_than):
        tests = read_junit(path, number)
        if tests:
            found = {test.outcome for test in tests}
            failed = Outcome.FAILED in found or Outcome.ERROR in found or execution.exit_code
            return Whole(
                kind="junit", outcome=Outcome.FAILED if failed else Outcome.PASSED,
                evidence=f"JUnit XML ({path.name}); no per-test causes", tests=tests,
            )  # fmt: skip
    outcome, phrase = judge_text(execution.tail, execution.exit_code)
    evidence = f"exit code {execution.exit_code} and output; no per-test data"
    if autoload_off:
        evidence += " (PYTEST_DISABLE_PLUGIN_AUTOLOAD keeps our plug-in out)"
    if re.search(r"\b\d+ (passed|failed|errors?)\b.* in [\d.]+s", execution.tail):
        # Among its failures may be the product's, which one phrase must not cover.
        entered = "pytest ran, but our plug-in did not enter: is PYTHONPATH replaced?"
        return Whole(kind="other", outcome=outcome, evidence=f"{evidence}; {entered}")
    if why := nothing_proven(execution.tail, execution.exit_code):
        return Whole(kind="other", outcome=Outcome.NOT_RUN, evidence=why)
    if outcome is Outcome.FAILED and phrase:
        red = next((look for look in looks if look.red), None)
        if red is not None:
            return Whole(
                kind="other", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE,
                evidence=f'{evidence}; "{phrase}" in it, and {red.service} is down', service=red.service, fault=red.fault,
            )  # fmt: skip
        evidence += f'; "{phrase}" in it, but no probed service is down'
    return Whole(kind="other", outcome=outcome, evidence=evidence)


PHRASES = (
    "connection refused",
    "connection timeout",
    "network unreachable",
    "service unavailable",
    "502 bad gateway",
    "503 service unavailable",
)
"""The outage guide's patterns: the last resort, for commands that tell nothing but text."""


def judge_text(output: str, exit_code: int) -> tuple[Outcome, str]:
    """Judge a command that tells nothing but its exit code and output; return the outcome and the guide's phrase found."""
    if exit_code == 0:
        return Outcome.PASSED, ""
    lowered = output.lower()
    return Outcome.FAILED, next((phrase for phrase in PHRASES if phrase in lowered), "")


_SIGNALS = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    8: "SIGFPE",
    9: "SIGKILL",
    11: "SIGSEGV",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
}
"""Those that have one number everywhere (POSIX, `kill`)."""
_DID_NOT_START = (
    r"^.*No module named '?(?:pytest|tox|nox|unittest)\b.*$",
    r"^.*can't open file '.*': \[Errno 2\].*$",
    r"^.*Exception running subprocess \[Errno 2\].*$",  # tox, a program of its commands
    r"^.*failed with \S+ is not allowed, use allowlist_externals.*$",
    r"^npm (?:error|ERR!) (?:enoent|could not determine executable).*$",
)
_MISUSED = (
    r"^npm (?:error|ERR!) Missing script: .*$",
    r"^(?:npm (?:error|ERR!) )?Unknown command: .*$",
    r"^error Command \".*\" not found\.$",  # yarn
    r"^.*ERR_PNPM_NO_SCRIPT.*$",
    r"^ROOT: HandledError\| .*$",  # tox: an unknown environment or option
    r"^make(?:\[\d+\])?: \*\*\* No rule to make target .*$",
    # argparse, whose programs no exception is called like
    r"^(?!\w*(?:Error|Exception):)\S+: error: (?:unrecognized arguments|the following arguments are required|argument ).*$",
)
_OWN_FAILURES = re.compile(r"(?m)^\s*(?:FAIL(?:ED)?:? \S|--- FAIL|not ok \d)|\b[1-9]\d* (?:failed|failing|failures?)\b")


def nothing_proven(output: str, exit_code: int) -> str:
    """Return why a command that failed without per-test data says nothing about the product, or "" where it may.

    A command that a signal ended, whose program is not there or that was called in a wrong way came to no verdict of its
    own: neither the product nor an outage is to blame for it. Where its output names a failed test, that stands all the
    same. Runners wrap such ends in exit codes of their own, so that their words decide, and only words that are theirs.
    """
    if exit_code == 0 or _OWN_FAILURES.search(output):
        return ""
    if name := _SIGNALS.get(exit_code - 128):
        return f"killed by signal {exit_code - 128} ({name}) before a first test was reported"
    for patterns, what in ((_DID_NOT_START, "a program did not start"), (_MISUSED, "the command was used wrongly")):
        for pattern in patterns:
            if found := re.search(pattern, output, re.MULTILINE):
                return f"{what} (exit code {exit_code}): {found[0].strip()[:200]}"
    if exit_code in (126, 127):
        return (
            f"a program did not start (exit code {exit_code}: {'not found' if exit_code == 127 else 'not executable'})"
        )
    return ""


def usage_error(output: str) -> str:
    """Return pytest's own words on a node id, file or option that it does not know; empty where it has none."""
    found = re.findall(r"(?m)^(?:ERROR|.{1,80}: error): (?!usage:)(.+)$", output)
    return str(found[-1])[:300] if found else ""
