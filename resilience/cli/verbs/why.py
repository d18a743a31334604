"""Show the evidence of a test's judgement."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from resilience.cli.arguments import run_folder, settings_from
from resilience.cli.demand import on_demand
from resilience.cli.group import verb
from resilience.cli.options import Config, Environment, Json, Verbose
from resilience.cli.output import builtins_of, log_to_stderr, print_json
from resilience.core.errors import UsageError, did_you_mean

with on_demand():
    from resilience.core import why as reasons
    from resilience.runs import runbook

if TYPE_CHECKING:
    from resilience.core.records import Incident, TestOutcome


app = verb()


@app.command()
def why(
    test: Annotated[str, typer.Argument(help="A test's id, or a part of it.", metavar="TEST")],
    folder: Annotated[str, typer.Option("--run", help="The run; else the newest.")] = "latest",
    config: Config = "",
    environment: Environment = "",
    as_json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Why a test was judged as it was: rule, sign, looks.

    \b
      resilience why test_checkout
      resilience why tests/unit/test_a.py::test_b --run 2026-11-22/031407Z-test
    """
    log_to_stderr(verbose)
    settings = settings_from(config, environment)
    run = runbook.Run.open(run_folder(settings, folder), settings)
    outcomes = matching(run.incident, test)
    if as_json:
        print_json({"schema": 1, "run": run.incident.run, "tests": builtins_of(outcomes)})
        return
    # The newest comes first; what an older execution says is told as what was before it.
    newest = {outcome.id: outcome for outcome in reversed(outcomes)}
    lines = (
        line
        for outcome in outcomes
        for line in reasons.why_lines(outcome, since=newest[outcome.id] if outcome is not newest[outcome.id] else None)
    )
    sys.stdout.write("\n".join(lines) + "\n")


def matching(incident: Incident, wanted: str) -> tuple[TestOutcome, ...]:
    """Return the tests of this id, else those whose id holds the text, what was found last first: that is what holds now.

    Raises UsageError where there is none.
    """
    results = [
        result for result in (incident.full_tests, incident.critical_tests, incident.tests) if result is not None
    ]
    tests = [test for result in results for test in result.tests]
    exact = tuple(test for test in tests if test.id == wanted)
    found = exact or tuple(test for test in tests if wanted in test.id)
    if not found:
        named = [test.id for test in tests]
        hint = did_you_mean(wanted, named) if named else "no test was run there"
        raise UsageError(f"test {wanted!r} is not in run {incident.run}.", hint=hint)
    return found
