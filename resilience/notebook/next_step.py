"""Turn what `resilience status` would propose, and what this run has done already, into the next step of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resilience.core.next_steps import Situation, next_steps
from resilience.core.records import StageName
from resilience.core.words import listing
from resilience.notebook.parameters import NOTEBOOKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The next step. `action` names the section whose button it is, "" where a person must do it elsewhere, as `why` says."""

    action: str = ""
    label: str = ""
    why: str = ""
    notebook: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What decides about the next step: the situation as `resilience status` knows it, and what this run did since."""

    situation: Situation
    damage: str = ""
    other_run: bool = False
    tested: bool = False
    recovered: bool = False
    reported: bool = False
    on_staging: bool = True


LOOK = Step(action="assess", label="Look at staging", why="nobody has looked yet")
AGAIN = Step(action="assess", label="Look again")
APPLY = Step(action="apply", label="Apply the plan…", why="stand-ins can take the place of what is down")
TESTS = Step(action="tests", label="Run the tests")
WATCH = Step(action="recovery", label="Watch staging", why="until it stays well; the fallback stays applied meanwhile")
RESTORE = Step(action="restore", label="Restore…", why="staging is back, and the fallback is no longer needed")
REPORT = Step(action="report", label="Write the report")
DONE = Step(why="Done here: the report is written, and nothing is applied.")
NOT_ON_STAGING = Step(
    why="Done here: the report is written. The tests have not run on the real staging since: resilience test"
)

RULES: Sequence[tuple[Callable[[Page, str], bool], Callable[[Page], Step], str]] = (
    (
        lambda it, verb: bool(it.damage),
        lambda it: Step(why=it.damage),
        "what is applied is not known: anything more could not be undone",
    ),
    (
        lambda it, verb: bool(it.situation.left_behind),
        lambda it: Step(
            why=f"{it.situation.left_behind} was left behind by an apply whose undo data are gone: resilience status"
        ),
        "no restore can put back what it held",
    ),
    (
        lambda it, verb: it.other_run and not it.situation.elsewhere,
        lambda it: Step(action="go_on", label="Go on", why="another run is applied here: take it up"),
        "two runs that change one checkout would undo each other",
    ),
    (
        lambda it, verb: bool(it.situation.elsewhere),
        lambda it: Step(why=f"It can be undone only on host {it.situation.elsewhere}: resilience restore"),
        "only that host holds what is to be put back",
    ),
    (
        lambda it, verb: it.situation.fallback == "unfinished",
        lambda it: Step(action="undo", label="Undo…", why="it is half applied: neither staging nor a stand-in"),
        "a half applied fallback is neither staging nor a stand-in",
    ),
    (
        lambda it, verb: bool(it.situation.fallback and it.recovered),
        lambda it: RESTORE,
        "the recovery was proved, and something is still applied",
    ),
    (
        lambda it, verb: verb == "services",
        lambda it: Step(
            why=f"{listing(it.situation.dead)} died since: resilience services up {' '.join(it.situation.dead)}"
        ),
        "tests on a dead stand-in would prove nothing",
    ),
    (lambda it, verb: verb == "assess", lambda it: LOOK, "nobody has looked"),
    (
        lambda it, verb: verb == "init",
        lambda it: Step(why="No configuration file was found: resilience init sets this repository up."),
        "the environment alone names neither tests nor stand-ins",
    ),
    (
        lambda it, verb: bool(it.situation.fallback) and (it.tested or verb == "recover"),
        lambda it: WATCH,
        "what could be tested was, or staging looks well: prove that it is back",
    ),
    (lambda it, verb: bool(it.situation.fallback), lambda it: TESTS, "it is applied, and the tests have not run on it"),
    (
        lambda it, verb: it.tested and not it.reported,
        lambda it: REPORT,
        "nothing is applied, and the tests ran: what is left is to write it down",
    ),
    (
        lambda it, verb: it.tested and it.reported,
        lambda it: DONE if it.on_staging else NOT_ON_STAGING,
        "all that this page can do is done; what was not proved is said",
    ),
    (lambda it, verb: verb == "plan", lambda it: APPLY, "stand-ins can take the place of what is down"),
    (
        lambda it, verb: it.situation.blocked or verb == "doctor",
        lambda it: AGAIN,
        "nothing usable stands in, or nothing is known: only staging itself can change that",
    ),
    (lambda it, verb: True, lambda it: TESTS, "the tests can run as things are"),
)
"""When a rule holds (`verb` is the first word that `resilience status` would propose), the step of the page, and why that."""


def next_step(page: Page) -> Step:
    """Return what comes next: what `resilience status` proposes, but for what this run has done already."""
    command = next_steps(page.situation)[0].command.split()
    verb = command[1] if command[0] == "resilience" else ""
    return next(step(page) for holds, step, _ in RULES if holds(page, verb))


def elsewhere(step: Step) -> Step:
    """Return the step as it is told on a page that has no button for it: with the notebook that has."""
    stages = {
        "assess": StageName.ASSESS,
        "apply": StageName.APPLY_FALLBACK,
        "tests": StageName.RUN_TESTS,
        "recovery": StageName.VALIDATE_RECOVERY,
        "restore": StageName.VALIDATE_RECOVERY,
        "report": StageName.REPORT,
    }
    stage = stages.get(step.action)
    return Step(label=step.label, notebook=NOTEBOOKS[stage] if stage is not None else "00_incident")
