"""Turn what was expected and what was found into matrices with precision, recall and a bound, and the list of what was wrong."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

KINDS = {
    "bug": "the product's: fails whether the services are well or not",
    "outage": "only the services are to blame: passes when they are well",
    "hidden": "a bug that cannot be reached while the service is away, and is there when it is back",
    "well": "passes in every state: speaks to nothing that is unwell",
}
WORDS: Mapping[str, frozenset[str]] = {
    "failed": frozenset({"failed", "error"}),
    "infra": frozenset({"infrastructure_unavailable"}),
    "undecided": frozenset({"undecided"}),
    "passed": frozenset({"passed"}),
    "timeout": frozenset({"timeout"}),
    "steady": frozenset({"passed"}),
    "missing": frozenset({"missing"}),
}
COLUMNS = ("failed", "error", "infrastructure_unavailable", "undecided", "stand_in_gap", "timeout", "not_run", "skipped", "passed",
           "missing")  # fmt: skip
AWAY, BACK, RECOVER = "away", "back", "recover"
TITLES = {
    AWAY: "While the services are away",
    BACK: "After they are back in the same run",
    RECOVER: "Away for a whole run, then settled by `resilience recover`",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test, and what is right in each state: (while away, once back)."""

    id: str
    kind: str
    why: str
    right: Mapping[str, tuple[frozenset[str], frozenset[str]]]
    steady: frozenset[str] = frozenset()
    """States that it passes: it opens what a later test finds closed, for instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the tool said of a case in one run; the outcome `missing` where it did not name the test."""

    case: Case
    state: str
    when: str
    outcome: str
    suspect: bool = False
    rounds: int = 0
    fault: str = ""
    message: str = ""

    @property
    def right(self) -> frozenset[str]:
        return self.case.right[self.state][self.when != AWAY]

    @property
    def kind(self) -> str:
        return "well" if self.state in self.case.steady else self.case.kind

    @property
    def wrong(self) -> bool:
        return self.outcome not in self.right

    @property
    def grave(self) -> str:
        if self.kind == "bug" and self.outcome == "infrastructure_unavailable":
            return "a bug called an outage"
        if self.kind == "bug" and self.outcome == "passed":
            return "a bug passed"
        if self.kind == "outage" and self.outcome in ("failed", "error"):
            return "an outage called a bug"
        return ""


def read(path: Path) -> tuple[dict[str, Case], dict[str, str]]:
    """Return the cases by node id, and which service is restarted before which test."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    events = {f"tests/{name}": service for name, service in table.pop("events", {}).items()}
    cases = {}
    for file, rows in table.items():
        for name, row in rows.items():
            kinds = [kind for kind in KINDS if kind in row]
            states = {key: value for key, value in row.items() if key not in KINDS}
            if len(kinds) != 1 or not states:
                raise ValueError(f"{file}::{name}: one of {', '.join(KINDS)} and at least one state are needed")
            identity = f"tests/test_{file}.py::{name}"
            right = {state: _right(text, identity) for state, text in states.items()}
            steady = frozenset(state for state, text in states.items() if text == "steady")
            cases[identity] = Case(id=identity, kind=kinds[0], why=row[kinds[0]], right=right, steady=steady)
    return cases, events


def _right(text: str, identity: str) -> tuple[frozenset[str], frozenset[str]]:
    away, _, back = text.partition(">")
    sets = []
    for part in (away, back or away):
        words = [word.strip() for word in part.split("|")]
        unknown = [word for word in words if word not in WORDS]
        if unknown:
            raise ValueError(f"{identity}: {unknown[0]!r} is none of {', '.join(WORDS)}")
        sets.append(frozenset().union(*(WORDS[word] for word in words)))
    return sets[0], sets[1]


def upper_bound(wrong: int, of: int, confidence: float = 0.95) -> float:
    """Return the one-sided Clopper-Pearson bound: the largest rate under which so few wrong ones are still 5 % likely.

    With none wrong it is about 3 / of (the rule of three).
    """
    if of == 0 or wrong >= of:
        return 1.0
    low, high = wrong / of, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _at_most(wrong, of, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high


def _at_most(k: int, n: int, p: float) -> float:
    term = total = (1 - p) ** n
    for i in range(k):
        term *= (n - i) / (i + 1) * p / (1 - p)
        total += term
    return total


@dataclass(slots=True)
class Score:
    """The runs of one time (`away` or `back`)."""

    when: str
    found: list[Found] = field(default_factory=list)

    def counts(self, state: str | None = None) -> dict[str, Counter[str]]:
        rows: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        for one in self.found:
            if state is None or one.state == state:
                rows[one.kind][one.outcome] += 1
                rows[one.kind]["suspect"] += one.suspect
                rows[one.kind]["right"] += not one.wrong
        return rows

    def lines(self) -> Iterable[str]:
        rows = self.counts()
        shown = [column for column in COLUMNS if any(row[column] for row in rows.values())]
        yield f"## {TITLES[self.when]}"
        yield ""
        yield "| case | " + " | ".join(shown) + " | all | as expected | suspect |"
        yield "| --- |" + " ---: |" * (len(shown) + 3)
        for kind, row in rows.items():
            total = sum(row[column] for column in COLUMNS)
            if total:
                yield (
                    f"| {kind} | " + " | ".join(str(row[column] or "·") for column in shown)
                    + f" | {total} | {row['right']} ({row['right'] / total:.1%}) | {row['suspect'] or '·'} |"
                )  # fmt: skip
        yield ""
        yield from self._figures(rows)
        yield ""
        yield "| state | cases | bugs called an outage | bugs passed | outages called a bug | undecided | other than expected |"
        yield "| --- |" + " ---: |" * 6
        for state in dict.fromkeys(one.state for one in self.found):
            mine = [one for one in self.found if one.state == state]
            graves = Counter(one.grave for one in mine)
            undecided = sum(one.outcome == "undecided" for one in mine)
            yield (
                f"| {state} | {len(mine)} | {graves['a bug called an outage']} | {graves['a bug passed']} | "
                f"{graves['an outage called a bug']} | {undecided} | {sum(one.wrong for one in mine)} |"
            )

    def _figures(self, rows: Mapping[str, Counter[str]]) -> Iterable[str]:
        """An outage is recognised when it is called one, or when it passed, because the second run came after it."""

        def total(row: Counter[str]) -> int:
            return sum(row[column] for column in COLUMNS)

        bugs, outages = total(rows["bug"]), total(rows["outage"])
        hidden = rows["bug"]["infrastructure_unavailable"]
        blamed = rows["outage"]["failed"] + rows["outage"]["error"]
        found = rows["bug"]["failed"] + rows["bug"]["error"]
        recognised = rows["outage"]["infrastructure_unavailable"] + (
            rows["outage"]["passed"] if self.when != AWAY else 0
        )
        named = rows["outage"]["infrastructure_unavailable"] + hidden
        open_ = rows["bug"]["undecided"] + rows["outage"]["undecided"]
        lines = [
            f"bugs called an outage: {_rate(hidden, bugs)}",
            f"outages called a bug: {_rate(blamed, outages)}",
            f"undecided: {_rate(open_, bugs + outages, bound=False)}",
            f"bugs: precision {_share(found, found + blamed)}, recall {_share(found, bugs)}",
            f"outages: precision {_share(named - hidden, named)}, recall {_share(recognised, outages)}"
            if self.when == AWAY
            else f"outages: recall {_share(recognised, outages)}; those that passed in the second run count as recognised",
        ]
        return [f"- {line}" for line in lines]

    def wrong(self) -> Iterable[str]:
        order = {"a bug called an outage": 0, "a bug passed": 1, "an outage called a bug": 2, "": 3}
        for one in sorted(
            (one for one in self.found if one.wrong), key=lambda one: (order[one.grave], one.state, one.case.id)
        ):
            expected = " or ".join(sorted(one.right))
            what = f" **{one.grave}**" if one.grave else ""
            extra = f" ({one.fault})" if one.fault else ""
            case = f"`{one.case.id}` [{one.kind}: {one.case.why}]"
            yield f"- {one.state}: {case} expected {expected}, found {one.outcome}{extra}.{what}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f} ({part} of {whole})" if whole else "none"


def _rate(wrong: int, of: int, *, bound: bool = True) -> str:
    if not of:
        return "no cases"
    text = f"{wrong} of {of} ({wrong / of:.2%})"
    return f"{text}, 95 % upper bound {upper_bound(wrong, of):.2%}" if bound else text
