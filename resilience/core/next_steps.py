"""Turn what is known of staging, of the fallback and of the last run into what to type next.

What was done already, or cannot be done now, is never proposed: the rules are read from above, and the first that holds decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from resilience.core.records import ConnectivityStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What decides about the next step. What is not known is left out, and then decides nothing.

    `staging` is None where nobody looked. `fallback` is what is applied here: "" for nothing, "unfinished" or "applied".
    `left_behind` is a file that an apply wrote and whose undo data are gone.
    `elsewhere` is the host on which it was applied, where that is another. `run` names a run that was killed, or the one
    whose fallback is unfinished. `dead` are stand-ins that died since. `configured`: by a file, and not by `--url` alone.
    `blocked` and `changes` are those of the decision: no tests are to run, and apply would start or write something.
    """

    staging: ConnectivityStatus | None = None
    left_behind: str = ""
    fallback: str = ""
    elsewhere: str = ""
    killed: str = ""
    run: str = ""
    dead: Sequence[str] = ()
    configured: bool = True
    blocked: bool = False
    changes: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """A command to type, and what it does."""

    command: str
    why: str = ""


PLAN = Step("resilience plan", "shows what apply would do")
RESTORE = Step("resilience restore", "puts everything back")
RECOVER = Step("resilience recover", "waits for staging, restores, tests in full")
TEST = Step("resilience test", "runs the tests, and says what they proved")
RULES: Sequence[tuple[Callable[[Situation], bool], Callable[[Situation], Sequence[Step]], str]] = (
    (
        lambda it: bool(it.left_behind),
        lambda it: (
            Step(f"git checkout -- {it.left_behind}", "or rm: what it held before the fallback is not known"),
            Step("resilience services down", "ends stand-ins that may still run"),
        ),
        "what it points to may be gone, and no restore can put it back",
    ),
    (
        lambda it: bool(it.elsewhere),
        lambda it: (Step("resilience restore", f"on host {it.elsewhere}, where it was applied"),),
        "only that host holds what is to be put back",
    ),
    (
        lambda it: bool(it.killed),
        lambda it: (
            Step(f"resilience resume {it.killed}", "goes on where it was killed"),
            *([RESTORE] if it.fallback else []),
        ),
        "a run that was killed left something half done, whatever else is so",
    ),
    (
        lambda it: it.fallback == "unfinished",
        lambda it: (Step(f"resilience resume {it.run}", "goes on where it broke off"), RESTORE),
        "a half applied fallback is neither staging nor a stand-in",
    ),
    (
        lambda it: bool(it.fallback and it.dead),
        lambda it: (Step(f"resilience services up {' '.join(it.dead)}", "starts what died"),),
        "tests on a dead stand-in would prove nothing",
    ),
    (
        lambda it: bool(it.fallback) and it.staging is ConnectivityStatus.AVAILABLE,
        lambda it: (Step("resilience recover", "looks until it stays well, restores, tests"),),
        "it is applied, and no longer needed",
    ),
    (lambda it: bool(it.fallback), lambda it: (TEST, RECOVER), "it is applied, and still needed"),
    (
        lambda it: not it.configured,
        lambda it: (Step("resilience init", "sets this repository up, for tests and stand-ins"),),
        "a URL alone names neither tests nor stand-ins",
    ),
    (
        lambda it: it.staging is None,
        lambda it: (Step("resilience assess", "looks how staging is"),),
        "nobody has looked",
    ),
    (lambda it: it.staging is ConnectivityStatus.AVAILABLE, lambda it: (TEST,), "staging can be used as it is"),
    (
        lambda it: it.staging is ConnectivityStatus.UNKNOWN,
        lambda it: (
            Step("resilience doctor", "says what is missing, unset or unreachable"),
            *([PLAN] if it.changes and not it.blocked else []),
        ),
        "what cannot be seen must be found out first",
    ),
    (
        lambda it: it.blocked,
        lambda it: (
            Step("resilience recover", "waits until staging is back, then runs the tests"),
            Step("resilience doctor", "says what a stand-in would need"),
        ),
        "nothing usable stands in for what is down",
    ),
    (
        lambda it: it.changes,
        lambda it: (
            PLAN,
            Step("resilience apply", "does it, so that it can be undone"),
            TEST,
        ),
        "stand-ins can take the place of what is down",
    ),
    (lambda it: True, lambda it: (TEST,), "there is nothing to apply"),
)
"""When a rule holds, what to type then, and why that."""


def next_steps(situation: Situation) -> tuple[Step, ...]:
    """Return what to type, the first command first."""
    return next(tuple(steps(situation)) for holds, steps, _ in RULES if holds(situation))


def in_one_line(steps: Sequence[Step]) -> str:
    """Return the commands alone, as a document holds them."""
    return ", then ".join(step.command for step in steps)
