"""Turn a test run into junit.xml, in which an outage is never a pass and never a failure of the product."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from xml.etree import ElementTree as ET  # we write XML here, we parse none

from resilience.core.groups import held_back
from resilience.core.marks import BLAME, Blame
from resilience.core.records import CommandResult, Outcome, TestOutcome, TestSuiteResult
from resilience.report.exports.export import Export, File
from resilience.report.view import View

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """The element below a case that did not pass, and its type. `unsaid` stands where the test left no words."""

    element: str
    type: str
    unsaid: str = ""


TAGS: Mapping[Outcome, Tag | None] = {
    Outcome.PASSED: None,
    Outcome.FAILED: Tag(element="failure", type="product"),
    Outcome.ERROR: Tag(element="error", type="product"),
    Outcome.TIMEOUT: Tag(element="error", type="timeout"),
    Outcome.INFRASTRUCTURE_UNAVAILABLE: Tag(element="error", type="infrastructure"),
    Outcome.UNDECIDED: Tag(element="error", type="undecided"),
    Outcome.STAND_IN_GAP: Tag(element="error", type="stand_in_gap"),
    Outcome.NOT_RUN: Tag(element="skipped", type="not_run", unsaid="the run ended before it"),
    Outcome.SKIPPED: Tag(element="skipped", type="pytest.skip"),
    Outcome.XFAILED: Tag(element="skipped", type="pytest.xfail"),
    Outcome.XPASSED: None,
    Outcome.DESELECTED: None,
}
"""What JUnit says of each outcome. None: a passed case, or none at all."""
_HELD = Tag(element="skipped", type="infrastructure", unsaid="held back")
_SLOTS = {"failure": 1, "error": 2, "skipped": 3}
"""Where each element is counted, behind the number of cases."""


def junit(
    result: TestSuiteResult | None, *, host: str = "", run: str = "", ended: Mapping[str, str] | None = None
) -> str:
    """Return the XML: one suite a command, each test once.

    A test that ran and was lost to infrastructure is an `error` of type infrastructure, one held back is `skipped` of
    the same type. What is undecided, a stand-in's gap and a time-out are errors of type undecided, stand_in_gap and
    timeout: whoever reads nothing but this must not see green. What was never reached is `skipped` of type not_run.
    Rounds, service, fault and suspicion are properties of the test.

    `ended` are properties of the whole: how the run ended, which may be worse than what its tests said.

    No result gives no suite. Characters that XML 1.0 does not allow are replaced, and times are UTC.
    """
    root = ET.Element("testsuites", {"name": "resilience"})
    _properties(root, ended or {})
    whole = [0, 0, 0, 0]
    if result is not None:
        for number, (command, tests) in enumerate(_suites(result)):
            tally = _suite(root, result, command, tests, host=host, run=run, first=number == 0)
            whole = [a + b for a, b in zip(whole, tally, strict=True)]
    _counted(root, whole, result.duration_s if result else 0)
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(
    root: ET.Element,
    result: TestSuiteResult,
    command: CommandResult | None,
    tests: Sequence[TestOutcome],
    *,
    host: str,
    run: str,
    first: bool,
) -> list[int]:
    """Add the suite of one command and return its counts; a command that names no tests is one case of its own.

    The tests that were deselected belong to no command and are no cases; the first suite carries their number.
    """
    suite = ET.SubElement(root, "testsuite", {"name": _clean(command.command if command else "tests")})
    described = {
        "mode": result.mode.value,
        "verdict": result.verdict.value,
        "exit_code": str(result.exit_code),
        "run": run,
        "rounds": str(command.rounds) if command else "",
        "kind": command.kind if command else "",
        "command_exit_code": str(command.exit_code) if command else "",
        "deselected": str(result.totals.deselected) if first else "",
    }
    _properties(suite, described)
    if command is not None and command.kind != "pytest" and not tests:
        tests = [_of_command(command)]
    tally = [0, 0, 0, 0]
    for test in tests:
        _case(suite, test, tally)
    _counted(suite, tally, command.duration_s if command else result.duration_s)
    suite.set("timestamp", result.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    suite.set("hostname", _clean(host))
    return tally


def _counted(element: ET.Element, tally: Sequence[int], duration_s: float) -> None:
    for name, count in zip(("tests", "failures", "errors", "skipped"), tally, strict=True):
        element.set(name, str(count))
    element.set("time", f"{duration_s:.3f}")


def _properties(element: ET.Element, values: Mapping[str, str]) -> None:
    """Add those properties that say something, below an element of their own."""
    known = {name: value for name, value in values.items() if value}
    if known:
        properties = ET.SubElement(element, "properties")
        for name, value in known.items():
            ET.SubElement(properties, "property", {"name": name, "value": _clean(value)})


def _suites(result: TestSuiteResult) -> list[tuple[CommandResult | None, list[TestOutcome]]]:
    """Return the commands with their tests, deselected ones left out.

    Tests of a command that is not known come last.
    """
    by_command: dict[int, list[TestOutcome]] = {number: [] for number in range(len(result.commands))}
    for test in result.tests:
        if test.outcome is not Outcome.DESELECTED:
            by_command.setdefault(test.command, []).append(test)
    return [
        (result.commands[number] if number < len(result.commands) else None, tests)
        for number, tests in sorted(by_command.items())
    ]


def _of_command(command: CommandResult) -> TestOutcome:
    """Return a command that is judged as a whole as one test of its own, with what it was judged by."""
    return TestOutcome(
        id=command.command,
        outcome=command.outcome,
        rounds=command.rounds,
        duration_s=command.duration_s,
        fault=command.fault,
        service=command.service,
        message=f"exit code {command.exit_code}; {command.evidence or 'judged by exit code and output'}",
    )


def _case(suite: ET.Element, test: TestOutcome, tally: list[int]) -> None:
    """Add one test and count it; `rounds` only where it was not one, `outcome` only where the element does not say it."""
    classname, name = _names(test.id)
    case = ET.SubElement(
        suite, "testcase", {"classname": _clean(classname), "name": _clean(name), "time": f"{test.duration_s:.3f}"}
    )
    tally[0] += 1
    _properties(case, _extra(test))
    said = (test.reason or test.message if _is_held(test) else test.message or test.reason) or ""
    tag = _HELD if _is_held(test) else TAGS[test.outcome]
    if tag is not None:
        _add(case, tag, said, tally)


def _extra(test: TestOutcome) -> dict[str, str]:
    return {
        "outcome": test.outcome.value if test.outcome not in (Outcome.PASSED, Outcome.FAILED) else "",
        "rounds": str(test.rounds) if test.rounds != 1 else "",
        "service": test.service or "",
        "fault": test.fault.value if test.fault else "",
        "suspect": "true" if test.suspect else "",
        "previous": test.previous or "",
        "reason": test.reason or "",
        "answered_by": " ".join(f"{source}={count}" for source, count in sorted(test.answered_by.items())),
    }


def _is_held(test: TestOutcome) -> bool:
    return BLAME[test.outcome] is Blame.INFRASTRUCTURE and held_back(test)


def _add(case: ET.Element, tag: Tag, said: str, tally: list[int]) -> None:
    text = _clean(said or tag.unsaid)
    first = next(iter(text.splitlines()), "")[:300]
    child = ET.SubElement(case, tag.element, {"type": tag.type, "message": first or tag.type})
    # The whole of it, though the attribute holds its first line: ReportPortal reads the text alone.
    child.text = text or None
    tally[_SLOTS[tag.element]] += 1


def _names(node: str) -> tuple[str, str]:
    """Return pytest's own class name and name for a node id: 'tests.unit.test_a.TestB', 'test_x[1]'."""
    head, bracket, parameters = node.partition("[")
    path, *rest = head.split("::")
    if not rest:
        return "", node
    module = path.removesuffix(".py").replace("/", ".").replace("\\", ".")
    return ".".join([module, *rest[:-1]]), rest[-1] + bracket + parameters


def _clean(text: str) -> str:
    return _ILLEGAL.sub("\ufffd", text)


def _files(view: View) -> Iterator[File]:
    incident = view.incident
    ended = {"run_verdict": incident.verdict.value}
    if incident.exit_code is not None:
        ended["run_exit_code"] = str(incident.exit_code)
    told = junit(incident.tests, host=incident.vantage.host, run=incident.run, ended=ended)
    yield File(path="junit.xml", content=told)


EXPORT = Export(name="junit.xml", files=_files, end=_files)
