"""Turn what a command without per-test data leaves, its JUnit files, exit code and output, into what it proves."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resilience.core.records import FaultCode, Outcome, TestOutcome
from resilience.suite.again import Again, settle
from resilience.suite.blocks import Block, blocks_of, failure_of
from resilience.suite.endpoints import addresses_in, whose
from resilience.suite.evidence import Judged, Scene, judge_failure
from resilience.suite.execution import Execution
from resilience.suite.foreign import find_junit, read_junit
from resilience.suite.looks import Look
from resilience.suite.signs import read


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """What a command as a whole came to. `kind`: junit or other; `tests` are those of its JUnit files, or its failed ones."""

    kind: str
    outcome: Outcome
    evidence: str
    service: str | None = None
    fault: FaultCode | None = None
    tests: tuple[TestOutcome, ...] = ()
    again: bool = False
    """Whether another run settles it, its services being well."""
    needs: frozenset[str] = frozenset()
    first: tuple[tuple[str, Judged], ...] = ()
    """What the failed tests came to, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a command left, as the rules ask for it."""

    command: str
    execution: Execution
    scene: Scene
    number: int
    root: Path
    newer_than: float
    autoload_off: bool = False
    output: str = ""
    """All of what it printed that was kept, redacted; empty: the end of it."""
    before: Whole | None = None
    """What its first run came to, where this is the second."""

    @property
    def evidence(self) -> str:
        said = f"exit code {self.execution.exit_code} and output; no per-test data"
        if self.autoload_off:
            said += " (PYTEST_DISABLE_PLUGIN_AUTOLOAD keeps our plug-in out)"
        if re.search(r"\b\d+ (passed|failed|errors?)\b.* in [\d.]+s", self.execution.tail):
            said += "; pytest ran, but our plug-in did not enter: is PYTHONPATH replaced?"
        return said

    @property
    def red(self) -> tuple[Look, ...]:
        """The looks that found a service down while it ran, before it or after it; one for each service."""
        end, start = self.execution.ended, self.execution.ended - self.execution.duration_s
        services = dict.fromkeys(one.service for one in self.scene.endpoints if not one.idle)
        found = (self.scene.looks.red(name, start, end, self.scene.deadline(name), None) for name in services)
        return tuple(look for look in found if look is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeRule:
    """One rule for commands without per-test data: `judge` returns None where it does not fit."""

    what: str
    judge: Callable[[Left], Whole | None]
    reason: str


def _timed_out(left: Left) -> Whole | None:
    ended = left.execution.timed_out
    return Whole(kind="other", outcome=Outcome.TIMEOUT, evidence=ended) if ended else None


def _junit(left: Left) -> Whole | None:
    """Judge each failed test of all JUnit files by the text of its own element."""
    paths = find_junit(left.command, left.root, newer_than=left.newer_than)
    tests: dict[str, tuple[TestOutcome, str]] = {}
    for path in paths:
        for test, text in read_junit(path, left.number):
            tests[test.id] = test, text
    if not tests:
        return None
    blocks = [
        Block(name=test.id, text=text, runner="junit", error=test.outcome is Outcome.ERROR)
        for test, text in tests.values()
        if test.outcome in (Outcome.FAILED, Outcome.ERROR)
    ]
    judged = _judged(left, blocks)
    known = dict(judged)
    told = tuple(_told(test, known[test.id]) if test.id in known else test for test, _ in tests.values())
    names = ", ".join(path.name for path in paths[:3])
    whole = _worst(left, judged, f"JUnit XML ({names}); judged by the text of each failure", kind="junit")
    if whole.outcome is Outcome.PASSED and left.execution.exit_code:
        whole = replace(whole, outcome=Outcome.FAILED)
    return replace(whole, tests=told)


def _passed(left: Left) -> Whole | None:
    return Whole(kind="other", outcome=Outcome.PASSED, evidence=left.evidence) if not left.execution.exit_code else None


def _nothing(left: Left) -> Whole | None:
    why = nothing_proven(left.execution.tail, left.execution.exit_code)
    return Whole(kind="other", outcome=Outcome.NOT_RUN, evidence=why) if why else None


def _blocks(left: Left) -> Whole | None:
    """Judge each failed test that the output names by its own block."""
    blocks = blocks_of(left.output or left.execution.tail)
    if not blocks:
        return None
    judged = _judged(left, blocks)
    runners = " and ".join(dict.fromkeys(block.runner for block in blocks))
    said = f"{left.evidence}; {len(blocks)} failed tests of {runners}, judged by their own blocks"
    whole = _worst(left, judged, said, kind="other")
    tests = (_told(TestOutcome(id=name, outcome=one.outcome, command=left.number), one) for name, one in judged)
    return replace(whole, tests=tuple(tests))


def _own_failure(left: Left) -> Whole | None:
    found = _OWN_FAILURES.search(left.execution.tail)
    if not found or _sign(left) is not None:
        return None
    return Whole(kind="other", outcome=Outcome.FAILED, evidence=f"{left.evidence}; it says {found[0].strip()!r}")


def _spoken_of(left: Left) -> Whole | None:
    """An error's code, or one of the guide's phrases, in the output, and the service that was down: its address first."""
    sign = _sign(left)
    if sign is None or not left.red:
        return None
    phrase, service = sign
    look = next((one for one in left.red if one.service == service), left.red[0])
    return Whole(
        kind="other", outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, service=look.service, fault=look.fault, again=True,
        needs=frozenset({look.service}), evidence=f'{left.evidence}; "{phrase}" in it, and {look.service} is down',
    )  # fmt: skip


def _beside_red(left: Left) -> Whole | None:
    if not left.red:
        return None
    names = ", ".join(look.service for look in left.red)
    return Whole(
        kind="other", outcome=Outcome.NOT_RUN, service=left.red[0].service, fault=left.red[0].fault, again=True,
        needs=frozenset(look.service for look in left.red),
        evidence=f"exit code {left.execution.exit_code}, and {names} was down: nothing is proved by it",
    )  # fmt: skip


def _products(left: Left) -> Whole | None:
    sign = _sign(left)
    more = f'; "{sign[0]}" in it, but no probed service is down' if sign is not None else ""
    return Whole(kind="other", outcome=Outcome.FAILED, evidence=f"{left.evidence}{more}")


RULES: tuple[WholeRule, ...] = (
    WholeRule(what="its time was up", judge=_timed_out, reason="what was not said cannot be judged"),
    WholeRule(what="JUnit XML", judge=_junit, reason="each test is judged by what its own element says"),
    WholeRule(what="exit code 0", judge=_passed, reason="the runner itself says that all is well"),
    WholeRule(
        what="killed, never started, or used wrongly", judge=_nothing,
        reason="a command without a verdict of its own blames neither the product nor an outage",
    ),
    WholeRule(
        what="failed tests in blocks of their own", judge=_blocks,
        reason="a failure without a sign in its own block is a bug, whatever is down; one with a sign may be an outage's",
    ),
    WholeRule(
        what="a failure of its own, without a sign anywhere", judge=_own_failure,
        reason="a runner that counts failed tests saw them fail",
    ),
    WholeRule(
        what="a sign, and a service that was down", judge=_spoken_of,
        reason="both sides say so, as far as a text can",
    ),
    WholeRule(
        what="no sign, and a service that was down", judge=_beside_red,
        reason="an exit code alone does not tell a bug from an outage: nothing is proved",
    ),
    WholeRule(
        what="all services well before and after", judge=_products,
        reason="on a healthy day a failed command is the product's",
    ),
)  # fmt: skip
"""For commands without per-test data; the first that fits decides."""


def judge_whole(left: Left) -> Whole:
    """Judge a command that our plug-in did not enter."""
    return next(found for rule in RULES if (found := rule.judge(left)) is not None)


def _judged(left: Left, blocks: Sequence[Block]) -> list[tuple[str, Judged]]:
    """Judge each failed test by its block; one that was run before is settled by it."""
    pairs = [(one.host, one.port) for one in left.scene.endpoints if not one.idle]
    before = dict(left.before.first) if left.before is not None else {}
    found = []
    for block in blocks:
        failure = failure_of(block, at=left.execution.ended, duration_s=left.execution.duration_s, pairs=pairs)
        if not _signed(failure.chain, left.scene):
            failure.used = ()
        judged = judge_failure(failure, left.scene)
        if block.name in before:
            judged = settle(Again(first=before[block.name], now=judged, more=False))
        found.append((block.name, judged))
    return found


def _signed(chain: Sequence[object], scene: Scene) -> bool:
    reading = read(tuple(chain), scene.kinds)  # type: ignore[arg-type]
    return reading.code is not None


def _told(test: TestOutcome, judged: Judged) -> TestOutcome:
    return replace(
        test, outcome=judged.outcome, fault=judged.fault, service=judged.service, suspect=judged.suspect,
        message=judged.message or test.message, reason=judged.reason or None,
        evidence=(judged.evidence,) if judged.evidence is not None else (),
    )  # fmt: skip


_WORST_FIRST = (Outcome.FAILED, Outcome.ERROR, Outcome.INFRASTRUCTURE_UNAVAILABLE, Outcome.UNDECIDED, Outcome.NOT_RUN)


def _worst(left: Left, judged: Sequence[tuple[str, Judged]], evidence: str, *, kind: str) -> Whole:
    """Return the command's outcome: the worst of its failed tests."""
    found = [one for _, one in judged]
    outcome = next((one for one in _WORST_FIRST if any(test.outcome is one for test in found)), Outcome.PASSED)
    blamed = next((one for one in found if one.outcome is outcome), None)
    waits = [one for one in found if one.again] if left.before is None else []
    return Whole(
        kind=kind,
        outcome=outcome,
        evidence=evidence,
        service=blamed.service if blamed is not None and outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE else None,
        fault=blamed.fault if blamed is not None else None,
        again=bool(waits),
        needs=frozenset(name for one in waits for name in one.needs),
        first=tuple(judged),
    )


PHRASES = (
    "connection refused",
    "connection timeout",
    "network unreachable",
    "service unavailable",
    "502 bad gateway",
    "503 service unavailable",
)
"""The outage guide's patterns: the last resort, for commands that tell nothing but text."""
_ERROR_CODES = re.compile(r"\b(ECONNREFUSED|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ECONNRESET|EHOSTUNREACH|ENETUNREACH)\b")


def _sign(left: Left) -> tuple[str, str | None] | None:
    """Return the error's code or the phrase that the output holds, and the service whose address stands in its line."""
    for line in reversed(left.execution.tail.splitlines()):
        code = _ERROR_CODES.search(line)
        phrase = code[1] if code else next((one for one in PHRASES if one in line.lower()), "")
        if phrase:
            named = addresses_in([{"text": line}])
            endpoint = whose(named, left.scene.endpoints)
            return phrase, endpoint.service if endpoint is not None else None
    return None


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
