"""The parameters that our notebooks declare, each with its kind, default, limits and help."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from resilience.core.records import StageName, TestExecutionMode
from resilience.core.verdict import FailOn

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
    """One parameter as a notebook declares it. `unit_s`: how many seconds a plain number of a duration means.

    `least` is the smallest allowed value in the parameter's own unit; `help` is what `papermill --help-notebook`
    shows, and must hold no "=", with which papermill loses the whole parameter.
    """

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
        help="the folder of the run to go on with, or latest; "
        "empty takes RESILIENCE_RUN, in JupyterLab what is applied here, else a new run",
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
        name="teach",
        kind=Kind.FLAG,
        default=False,
        help="True records what a healthy staging says to tests that pass, for its stand-ins; else nothing is learned",
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
        help="how long to go on after a bad look; 0 gives up at the first, a click watches 12 hours",
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
    Parameter(
        name="publish",
        kind=Kind.FLAG,
        default=False,
        help="True writes the run onto its issue at the end, where [publish] allows it; "
        "in JupyterLab a button shows the exact text first",
    ),
    Parameter(
        name="since",
        kind=Kind.TEXT,
        default="30 days",
        help="the first day of the period as 2026-10-01, or how long it is, such as 30 days or 6 weeks; all takes everything",
    ),
    Parameter(
        name="until",
        kind=Kind.TEXT,
        default="",
        help="the last day of the period as 2026-10-31, in UTC; empty is today",
    ),
)
"""Every parameter of every notebook; a notebook declares those it needs, with the same default and help."""

BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}
