"""Turn what a person passed to a notebook or to `-p` into typed values, or refuse it by name."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from resilience.core.errors import SettingsError, did_you_mean
from resilience.core.records import Incident, StageName, StageStatus, TestExecutionMode, Verdict
from resilience.core.verdict import FailOn as FailOn, code_of, counts_as_failure, judge_tests

MARK = "# Parameters"
"""How the parameters cell of our notebooks begins, and how papermill begins the cell that it injects after it."""

NOTEBOOKS = {
    StageName.ASSESS: "01_assess",
    StageName.CHOOSE_MODE: "02_choose_mode",
    StageName.APPLY_FALLBACK: "03_apply_fallback",
    StageName.RUN_TESTS: "04_run_tests",
    StageName.VALIDATE_RECOVERY: "05_validate_recovery",
    StageName.REPORT: "06_report",
}
"""Stage → the notebook that goes through it."""


class Kind(StrEnum):
    """What a parameter's value is."""

    TEXT = "text"
    FLAG = "true or false"
    WHOLE = "a whole number"
    DURATION = "a number with an optional unit"
    CHOICE = "one of a list"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter as a notebook declares it. `unit_s`: how many seconds a plain number of a duration means."""

    name: str
    kind: Kind
    default: str | bool | int | float
    help: str
    choices: tuple[str, ...] = ()
    unit_s: float = 1.0
    least: float = 0.0

    @property
    def annotation(self) -> str:
        return type(self.default).__name__


_MODES = tuple(mode.value for mode in TestExecutionMode)

PARAMETERS: tuple[Parameter, ...] = (
    Parameter(
        name="environment", kind=Kind.TEXT, default="staging", help="the environment to look at, as the report names it"
    ),
    Parameter(
        name="config",
        kind=Kind.TEXT,
        default="",
        help="the configuration file; empty looks for resilience.toml or config/runbook.toml from here upwards",
    ),
    Parameter(
        name="outputs",
        kind=Kind.TEXT,
        default="",
        help="where run folders are made; empty takes what the configuration says",
    ),
    Parameter(
        name="run",
        kind=Kind.TEXT,
        default="",
        help="the folder of the run to go on with, or latest; empty takes RESILIENCE_RUN, else starts a new run",
    ),
    Parameter(
        name="samples",
        kind=Kind.WHOLE,
        default=1,
        least=1,
        help="looks at each service; several tell slow from flapping",
    ),
    Parameter(
        name="mode",
        kind=Kind.CHOICE,
        default="",
        choices=("", *_MODES),
        help="full, degraded, offline or critical_only overrules the health; empty lets the health decide",
    ),
    Parameter(
        name="apply",
        kind=Kind.FLAG,
        default=False,
        help="True starts stand-ins, writes the env file and runs tests; False only looks and says what it would do",
    ),
    Parameter(
        name="select", kind=Kind.TEXT, default="", help="a pytest marker expression that narrows the tests further"
    ),
    Parameter(
        name="timeout_minutes",
        kind=Kind.DURATION,
        default=0.0,
        unit_s=60,
        help="limit for all test commands together; 0 sets none",
    ),
    Parameter(
        name="good",
        kind=Kind.WHOLE,
        default=0,
        help="good checks in a row that prove the recovery; 0 takes the configuration",
    ),
    Parameter(
        name="interval_s", kind=Kind.DURATION, default=0.0, help="seconds between two checks; 0 takes the configuration"
    ),
    Parameter(
        name="dwell_s",
        kind=Kind.DURATION,
        default=0.0,
        help="seconds staging must stay healthy; 0 takes the configuration",
    ),
    Parameter(
        name="wait_minutes",
        kind=Kind.DURATION,
        default=0.0,
        unit_s=60,
        help="how long to go on after a bad look; 0 gives up at the first",
    ),
    Parameter(
        name="restore",
        kind=Kind.FLAG,
        default=True,
        help="True puts everything back at the end; False leaves the fallback applied",
    ),
    Parameter(
        name="max_age_minutes",
        kind=Kind.DURATION,
        default=60.0,
        unit_s=60,
        help="older records of an earlier stage are refused as stale",
    ),
    Parameter(
        name="done_by_hand",
        kind=Kind.TEXT,
        default="",
        help="a note that this step was done by hand; nothing is then carried out",
    ),
    Parameter(
        name="fail_on",
        kind=Kind.CHOICE,
        default=FailOn.NEVER.value,
        choices=tuple(word.value for word in FailOn),
        help="never, failures or degraded; which test results fail the last cell, besides a runbook that failed",
    ),
)
"""Every parameter of every notebook; a notebook declares those it needs, with the same default and help."""

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


class Asked(Mapping[str, Any]):
    """The values asked for, by name and as attributes: `asked.samples`."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(
                f"this notebook declares no parameter {name}: {did_you_mean(name, self._values)}"
            ) from None

    def __repr__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._values.items())


def read_parameters(namespace: Mapping[str, Any]) -> Asked:
    """Return the parameters of the notebook whose `globals()` these are, parsed strictly.

    Refuses a name that the notebook does not declare: papermill would only warn and run the default. What was passed is
    known from the cells that ran (`In`): papermill's begins like our parameters cell, with `# Parameters`.
    Raises SettingsError.
    """
    cells = [source for source in namespace.get("In", ()) if isinstance(source, str) and source.startswith(MARK)]
    declared = next((assigned(source) for source in reversed(cells) if _annotates(source)), {})
    injected = next((assigned(source) for source in reversed(cells) if not _annotates(source)), {})
    names = [name for name in declared or BY_NAME if name in namespace]
    passed = [name for name in injected if name in namespace and name not in names]
    return parse(
        {name: namespace[name] for name in (*names, *passed)}, declared=names, source="the parameters of this notebook"
    )


def parse(
    values: Mapping[str, object], *, declared: Collection[str] | None = None, source: str = "the parameters"
) -> Asked:
    """Parse what was passed, strings included. `declared` limits the names; all of ours otherwise.

    Raises SettingsError for the first name or value that cannot be used.
    """
    known = tuple(BY_NAME if declared is None else declared)
    for name in values:
        if name not in known or name not in BY_NAME:
            raise SettingsError(
                name=f"parameter {name}",
                source=source,
                expected="one that is declared",
                hint=did_you_mean(name, [k for k in known if k in BY_NAME]),
            )
    return Asked({name: _value(BY_NAME[name], value, source) for name, value in values.items()})


def declared_in(notebook_source: str) -> tuple[str, ...]:
    """Return the names that a parameters cell declares, in order."""
    return tuple(assigned(notebook_source))


def assigned(source: str) -> dict[str, Any]:
    """Return name → literal value for the plain assignments of a cell; None where the value is no literal."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    found: dict[str, Any] = {}
    for node in tree.body:
        targets = (
            [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = _literal(getattr(node, "value", None))
    return found


def split_assignments(pairs: Iterable[str]) -> dict[str, str]:
    """Turn `name=value` texts, as `-p` takes them, into a mapping. Raises SettingsError for one without `=`."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip().isidentifier():
            raise SettingsError(name="-p", expected="name=value", hint="-p apply=true")
        found[name.strip()] = value
    return found


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
        return f"{sum(one.failed + one.error for one in counts)} tests failed as product {asked}"
    if verdict is Verdict.PASSED_ON_STAND_INS:
        return f"NOT A FULL PASS {asked}"
    return f"the test run: {verdict.value.replace('_', ' ')} {asked}"


_TRUE = ("true", "yes", "on", "1", "y")
_FALSE = ("false", "no", "off", "0", "n")

_UNITS = {
    "ms": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
    "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip

_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)

_SECRETS = (
    re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE),
    re.compile(r"(?:password|passwd|pwd|secret|token|api[_-]?key)\s*[=:]\s*\S", re.IGNORECASE),
    re.compile(r"\b(?:Bearer|Basic)\s+[A-Za-z0-9+/._=-]{8,}"),
    re.compile(r"\b(?:sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|AIza|ya29\.)[A-Za-z0-9_-]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
)


def looks_secret(text: str) -> bool:
    """Say whether a value looks like a credential. A guess by shape: it refuses a value, it does not vouch for one."""
    return any(pattern.search(text) for pattern in _SECRETS)


def _annotates(source: str) -> bool:
    try:
        return any(isinstance(node, ast.AnnAssign) for node in ast.parse(source).body)
    except SyntaxError:
        return False


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _value(parameter: Parameter, value: object, source: str) -> str | bool | int | float:
    if value is None:
        return parameter.default
    text = str(value).strip()
    if looks_secret(text):
        raise SettingsError(
            name=parameter.name,
            source=source,
            found="***",
            expected="no credential: papermill stores parameters in the notebook it writes, twice",
            hint="set an environment variable and name it in the configuration; delete the notebook, change the secret",
        )
    if parameter.kind is Kind.TEXT:
        return text
    if parameter.kind is Kind.FLAG:
        return _flag(parameter, text, source)
    if parameter.kind is Kind.CHOICE:
        word = text.lower()
        if word not in parameter.choices:
            choices = [choice for choice in parameter.choices if choice]
            raise _refused(parameter, value, source, did_you_mean(text, choices), "one of " + ", ".join(choices))
        return word
    return _number(parameter, value, text, source)


def _flag(parameter: Parameter, text: str, source: str) -> bool:
    word = text.lower()
    if word in ("1.0", "0.0"):
        word = word[0]
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _refused(parameter, text, source, f"-p {parameter.name} True", "true or false, yes or no, 1 or 0")


def _number(parameter: Parameter, value: object, text: str, source: str) -> int | float:
    expected = f"{parameter.kind.value} of at least {parameter.least:g}"
    example = f"-p {parameter.name} {_example(parameter)}"
    found = _NUMBER.fullmatch(text)
    unit = found[2].lower() if found else ""
    if isinstance(value, bool) or found is None or (unit and (parameter.kind is Kind.WHOLE or unit not in _UNITS)):
        raise _refused(parameter, text, source, example, expected)
    number = float(found[1])
    if unit:
        number = number * _UNITS[unit] / parameter.unit_s
    if not math.isfinite(number) or number < parameter.least:
        raise _refused(parameter, text, source, example, expected)
    if parameter.kind is Kind.WHOLE:
        if number != int(number):
            raise _refused(parameter, text, source, example, expected)
        return int(number)
    return number


def _example(parameter: Parameter) -> str:
    if parameter.kind is Kind.WHOLE:
        return "3"
    return "30 (minutes), or -p " + parameter.name + ' "90 s"' if parameter.unit_s == 60 else '5, or "5 s", or "2 min"'


def _refused(parameter: Parameter, value: object, source: str, hint: str, expected: str) -> SettingsError:
    return SettingsError(name=parameter.name, source=source, found=str(value)[:80], expected=expected, hint=hint)
