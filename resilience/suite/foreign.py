"""Turn what other test runners leave, JUnit XML, into test outcomes."""

from __future__ import annotations

import re
from pathlib import Path

from resilience.core.records import Outcome, TestOutcome

_OPTION = re.compile(r"--(?:junit[-_]?xml|junit[-_]path|junit|output-junit|outputFile|junitfile)(?:[= ]|=)(\S+\.xml)")
_USUAL = (
    "junit*.xml",
    "*junit.xml",
    "test-results/**/*.xml",
    "test-reports/*.xml",
    "reports/**/TEST-*.xml",
    "target/surefire-reports/TEST-*.xml",
    "build/test-results/**/TEST-*.xml",
)


def find_junit(command: str, root: Path, *, newer_than: float) -> tuple[Path, ...]:
    """Return the JUnit files that the command names, else those in the usual places, written since."""
    named = [root / path.strip("'\"") for path in _OPTION.findall(command)]
    found = [path for path in named if _fresh(path, newer_than)]
    if not found:
        found = sorted({path for pattern in _USUAL for path in root.glob(pattern) if _fresh(path, newer_than)})
    return tuple(found[:200])


def _fresh(path: Path, newer_than: float) -> bool:
    try:
        return path.is_file() and path.stat().st_mtime >= newer_than - 1.0
    except OSError:
        return False


def read_junit(path: Path, command: int = 0) -> tuple[tuple[TestOutcome, str], ...]:
    """Return the tests of a JUnit file, each with the text of its failure; empty where it is cut or no JUnit file at all."""
    # A parser that only commands without pytest need.
    from junitparser import Error, Failure, JUnitXml, Skipped, TestSuite
    from junitparser.junitparser import JUnitXmlError

    try:
        xml = JUnitXml.fromfile(str(path))
    except (JUnitXmlError, OSError, SyntaxError, ValueError):
        return ()
    known = {Failure: Outcome.FAILED, Error: Outcome.ERROR, Skipped: Outcome.SKIPPED}
    suites = [xml] if isinstance(xml, TestSuite) else list(xml)
    found: dict[str, tuple[TestOutcome, str]] = {}
    for suite in suites:
        for case in suite:
            results = list(getattr(case, "result", ()) or ())
            kinds = [type(result) for result in results]
            outcome = next((ours for theirs, ours in known.items() if theirs in kinds), Outcome.PASSED)
            name = "::".join(part for part in (case.classname, case.name) if part) or path.name
            message = next((str(result.message) for result in results if result.message), None)
            text = "\n".join(filter(None, (str(getattr(result, "text", "") or "") for result in results)))
            if name not in found or outcome in (Outcome.FAILED, Outcome.ERROR):
                test = TestOutcome(
                    id=name, outcome=outcome, duration_s=float(case.time or 0.0), message=message, command=command
                )
                found[name] = test, "\n".join(filter(None, (text, message)))
    return tuple(found.values())
