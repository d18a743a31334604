"""Turn what a test raised and fresh looks at the services into whose failure it is; no input and no output.

The rules stand in a table, numbered as in docs/verdict.md; the first that fits decides. Infrastructure is to blame only where
the error has a typed sign of it *and* the service was truly unwell at that time. What a second run settles is run again; what
cannot be told apart is undecided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from resilience.core.faults import http_fault
from resilience.core.kind import Kind
from resilience.core.records import Evidence, FaultCode, Outcome
from resilience.suite.chains import is_assertion, leaves_of
from resilience.suite.endpoints import (
    RESOLVING,
    Endpoint,
    Pair,
    Target,
    address_text,
    by_protocol,
    kinds_of,
    may_use,
    target_of,
    used_by,
    whose,
)
from resilience.suite.events import Failure, Test
from resilience.suite.looks import Look, Looks, explains
from resilience.suite.signs import ANSWER, PATH, Reading, Said, by_double, is_clients, read

C = FaultCode
SHARED = 3
"""So many tests with the same deep sign at one service, and none that passed there, are a red look themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a stand-in to a request; `source`: recorded, contract, synthetic, echo or miss."""

    service: str
    at: float
    source: str
    what: str = ""
    test: str = ""
    """The node id of the test that asked, as the stand-in was told; empty where nobody could tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What is known beside a failure: where services are, how they were looked at, what became of the other tests."""

    endpoints: tuple[Endpoint, ...] = ()
    looks: Looks = field(default_factory=Looks)
    round: int = 1
    ended: float = 0.0
    """When the execution's process ended; 0: not known."""
    known: Mapping[Pair, str] = field(default_factory=dict)
    """Addresses of no configured service that the environment, env, CI, compose or settings files name → where."""
    refusing: frozenset[Pair] = frozenset()
    """Those of them, and of the stand-ins that do not run, that refused our own look, just now."""
    passed: Mapping[str, int] = field(default_factory=dict)
    """Service → how many tests of this round spoke to it and passed."""
    first_sign: Mapping[str, float] = field(default_factory=dict)
    """Service → when the first sign of this round came from it."""
    answers: tuple[Answer, ...] = ()
    alone: bool = True
    """Whether one process of tests ran at a time, so that an answer's time tells whose it was."""

    strict: frozenset[str] = frozenset()
    """Services of which a test that was given anything weaker than a recorded answer is a gap."""
    proved: frozenset[str] = frozenset()
    """Tests that passed on the very answers that the stand-ins now give."""

    def answers_to(self, test: str) -> tuple[Answer, ...]:
        """Return the answers that this test surely was given."""
        return tuple(answer for answer in self.answers if answer.test == test) if test else ()

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return kinds_of(self.endpoints)

    def deadline(self, service: str) -> float:
        return max((one.deadline_s for one in self.endpoints if one.service == service), default=10.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What a failure is, by which rule, and what would settle it. The outcome is what stands where no second run takes place."""

    outcome: Outcome
    rule: int = 16
    fault: FaultCode | None = None
    service: str | None = None
    suspect: bool = False
    message: str = ""
    reason: str = ""
    again: bool = False
    """Whether a second run settles it."""
    needs: frozenset[str] = frozenset()
    """Services that have to be well before that."""
    alone: bool = False
    """Whether that run has to be without any other test."""
    trace: bool = False
    """Whether an outage was seen where the test was."""
    nothing_done: bool = False
    """Whether the test cannot have changed anything on the far side before it failed."""
    kinds: frozenset[str] = frozenset()
    """What makes two errors the same: type and code, not the text; of a group those of all its errors."""
    evidence: Evidence | None = None
    failed_at: str = ""
    shown: str = ""
    output: str = ""
    """The last three are of the failure it judges, as pytest shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One failure with what the rules ask of it."""

    failure: Failure
    reading: Reading
    target: Target
    scene: Scene
    product: Outcome
    """`failed`, or `error` where a set-up, a tear-down or a collection failed."""
    used: frozenset[str]
    may: frozenset[str]
    red: Look | None
    """A look that explains the sign at its endpoint."""
    green: Look | None
    red_used: Mapping[str, Look]
    """Services that it used, or may have used, and a look that found each unavailable at that time."""
    earlier: frozenset[str]
    """Services that it used which were unwell earlier in this run, or are slow, or restarted."""
    test: str = ""
    """The test's node id; empty for what is none."""

    @property
    def start(self) -> float:
        return self.failure.at - self.failure.duration_s

    @property
    def service(self) -> str | None:
        return self.target.endpoint.service if self.target.endpoint is not None else None

    @property
    def sign(self) -> bool:
        return self.reading.said is Said.SIGN

    @property
    def stopped(self) -> Endpoint | None:
        """The stand-in that does not run and that the test came to.

        The error says so, or says nothing of whom it is about: code may swallow the refusal, and fail later by what it made of it.
        """
        target = self.target.endpoint
        if target is not None:
            return target if self.sign and target.idle else None
        refused = [pair for pair in self.failure.spoke if pair in self.scene.refusing]
        return whose(refused, [one for one in self.scene.endpoints if one.idle])

    @property
    def red_certain(self) -> list[str]:
        """Services that it used, surely, and that were unwell."""
        return sorted(set(self.red_used) & self.used)

    @property
    def untried(self) -> bool:
        """Whether connecting is said to have failed, and the test was not seen to try: a mock's error, or one from before."""
        endpoint, failure = self.target.endpoint, self.failure
        if (
            endpoint is None
            or not self.reading.connecting
            or endpoint.service in self.may
            or self.reading.code in RESOLVING
        ):
            return False
        own = [one for one in self.scene.endpoints if one.service == endpoint.service]
        told = any(node.get("addresses") or node.get("libpq") for node in failure.chain)
        return not told and whose((*failure.spoke, *failure.used), own) is None

    @property
    def unlooked(self) -> bool:
        """Whether no look of that time says anything of the service that the sign is of."""
        looks, service = self.scene.looks, self.service
        if service is None or self.red is not None:
            return False
        near = looks.in_window(service, self.start, self.failure.at, self.scene.deadline(service))
        return not any(look.well or look.red for look in near)

    @property
    def only_while(self) -> bool:
        """Whether the service was well before this test, red while its process ran, and well after: then the test may be why."""
        looks, service = self.scene.looks, self.service
        if service is None or self.red is None or not self.scene.ended:
            return False
        before = looks.before(service, self.start, self.reading)
        after = looks.after(service, self.scene.ended, self.reading)
        within = [one for one in looks.of(service) if one.red and one.ended >= looks.since]
        first = self.scene.first_sign.get(service, self.failure.at)
        return (
            before is not None
            and before.well
            and not explains(before, self.reading)
            and before.ended >= looks.since
            and after is not None
            and after.well
            and not explains(after, self.reading)
            and all(one.at >= self.start for one in within)
            and first >= self.failure.at
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: when it fits, what follows, and why."""

    number: int
    what: str
    fits: Callable[[Case], bool]
    judge: Callable[[Case], Judged]
    reason: str


def _judged(case: Case, outcome: Outcome, rule: int, reason: str, **more: object) -> Judged:
    return replace(
        Judged(outcome=outcome, rule=rule, fault=case.reading.fault, service=case.service, reason=reason),
        **more,  # type: ignore[arg-type]
    )


# --- the rules


def _hangs(case: Case) -> Judged:
    if case.red is not None or case.red_certain:
        service = case.service if case.red is not None else case.red_certain[0]
        return _judged(
            case, Outcome.INFRASTRUCTURE_UNAVAILABLE, 3, f"it hung while {service} was {_how(_look(case, service))}",
            service=service, again=True, needs=frozenset({str(service)}), trace=True, fault=C.PROTO_SILENT,
        )  # fmt: skip
    if case.red_used:
        return replace(_beside_red(case), rule=3)
    return _judged(case, case.product, 3, "it hung, and nothing that it used was unwell", again=True, suspect=True)


def _gap_of_mock(case: Case) -> bool:
    """Whether a test failed by what a stand-in made up: by looking at it, or by the status of what it does not know.

    One that surely was given a miss is a gap whatever it failed by: staging would have gone on from another answer.
    """
    if _misses(case.scene, case.test):
        return True
    answers = _echoes(case)
    refused = any(400 <= int(node.get("status") or 0) < 500 for node in case.failure.chain[:3])
    missed = refused and any(answer.source == "miss" for answer in answers)
    return bool(answers) and (missed or case.reading.assertion or _is_lookup(case.failure))


def _echoes(case: Case) -> list[Answer]:
    """Return the answers that a stand-in only made up while this test's own phase ran."""
    if case.failure.when != "call" or not (case.scene.alone or case.scene.answers_to(case.test)):
        return []
    return [
        answer
        for answer in case.scene.answers
        if answer.source in ("echo", "miss")
        and answer.test in ("", case.test)
        and case.start <= answer.at <= case.failure.at
    ]


def _misses(scene: Scene, test: str) -> list[Answer]:
    """Return what this test surely asked of a stand-in that had no answer to it."""
    return [
        answer
        for answer in scene.answers_to(test)
        if answer.source == "miss" or (answer.source in _WEAKER and answer.service in scene.strict)
    ]


_WEAKER = frozenset({"echo", "contract"})


def _recorded(case: Case) -> list[Answer]:
    return [answer for answer in case.scene.answers_to(case.test) if answer.source in _SAID]


_SAID = frozenset({"recorded", "contract"})
"""What staging itself said, of one request or of all."""


def _on_recordings(case: Case) -> Judged:
    answer = _recorded(case)[0]
    if case.test in case.scene.proved:
        return _judged(
            case, case.product, 5, f"it passed on these very answers of {answer.service}, and fails on them now",
            service=None, fault=None,
        )  # fmt: skip
    return _judged(
        case, Outcome.UNDECIDED, 5, f"it was given {answer.source} answers of {answer.service}, and nobody knows whether it ever "
        "passed on them: resilience rehearse, while staging is well", service=answer.service,
    )  # fmt: skip


_LOOKUPS = frozenset(
    {"LookupError", "KeyError", "IndexError", "AttributeError", "TypeError", "JSONDecodeError", "UnicodeDecodeError",
     "ValidationError", "DecodeError"}
)  # fmt: skip


def _is_lookup(failure: Failure) -> bool:
    names = {str(name).rpartition(".")[2] for node in failure.chain[:1] for name in node.get("mro", ())}
    return not _LOOKUPS.isdisjoint(names)


def _by_mock(case: Case) -> Judged:
    if misses := _misses(case.scene, case.test):
        return _judged(case, Outcome.STAND_IN_GAP, 4, _missed(misses), service=misses[0].service)
    answer = _echoes(case)[-1]
    return _judged(
        case, Outcome.STAND_IN_GAP, 4, f"the stand-in for {answer.service} only made up its answer"
        + (f" to {answer.what}" if answer.what else ""), service=answer.service,
    )  # fmt: skip


def _missed(misses: Sequence[Answer]) -> str:
    first, more = misses[0], len(misses) - 1
    lacked = "had no answer" if first.source == "miss" else f"had only an answer of its own ({first.source})"
    return f"the stand-in for {first.service} {lacked} to {first.what}" + (f", and to {more} more" if more else "")


def _lacking(case: Case) -> Endpoint | None:
    """Return the stand-in that lacks something, unless it was staging that was asked, or an address of nobody's."""
    standing = [endpoint for endpoint in case.scene.endpoints if endpoint.stand_in and not endpoint.idle]
    named = (*case.failure.spoke, *case.failure.used)
    asked = case.target.endpoint or whose(tuple(reversed(named)), case.scene.endpoints)
    if asked is not None:
        return asked if asked in standing else None
    if case.target.foreign is not None:
        return None
    return next((one for one in standing if one.service in case.used), None)


def _lacks(case: Case) -> bool:
    """Whether a stand-in said that something is missing in it, or no in words without a code while it was well."""
    unsaid = case.reading.answered and case.red is None
    missing = bool(case.reading.gap) or case.reading.code is C.APP_NO_DB or unsaid
    return missing and not case.reading.assertion and _lacking(case) is not None


def _gap(case: Case) -> Judged:
    """Return what a lack of a stand-in is: a gap, unless somebody prepared it, or nobody knows what it lacks.

    libpq hands a connection's refusal on in words alone: the database or the role that only staging has, or a slip of the code's.
    """
    endpoint = _lacking(case)
    assert endpoint is not None
    if case.reading.answered:
        return _judged(
            case, Outcome.UNDECIDED, 6, f"the stand-in for {endpoint.service} refused it without a code: it may lack the "
            "database or the role, or the code be wrong", service=endpoint.service, again=True,
            needs=frozenset({endpoint.service}),
        )  # fmt: skip
    told = f"(SQLSTATE {case.reading.gap})" if case.reading.gap else "(no such database)"
    if endpoint.prepared:
        return _judged(
            case, Outcome.UNDECIDED, 6, f"the stand-in for {endpoint.service} was prepared and lacks it {told}: "
            "nobody knows whether staging has it", service=endpoint.service, fault=C.APP_SCHEMA_GAP,
        )  # fmt: skip
    return _judged(
        case, Outcome.STAND_IN_GAP, 6, f"the stand-in for {endpoint.service} lacks it {told}; add it to prepare",
        service=endpoint.service, fault=C.APP_SCHEMA_GAP,
    )  # fmt: skip


def _not_applied(case: Case) -> Judged:
    endpoint = case.stopped
    assert endpoint is not None
    return _judged(
        case, Outcome.NOT_RUN, 7, f"your environment points to the stand-in for {endpoint.service}, which does not run: "
        "resilience apply, or resilience env --unset",
    )  # fmt: skip


def _undeclared(case: Case) -> Judged:
    pair = case.target.foreign
    assert pair is not None
    where = case.scene.known.get(pair, "")
    if where and pair in case.scene.refusing:
        return _judged(
            case, Outcome.UNDECIDED, 8, f"{address_text(pair)}, which {where} names and no configured service has, refuses us "
            "as well: declare it as a [[service]]", again=True, trace=True,
        )  # fmt: skip
    return _judged(
        case,
        case.product,
        8,
        f"against {address_text(pair)}, which no configured service has: the product's",
        suspect=True,
    )


def _refused(case: Case) -> Judged:
    code = case.reading.code
    if case.red is not None:
        return _judged(
            case, Outcome.INFRASTRUCTURE_UNAVAILABLE, 9, f"{case.service} refused it, and our own look as well ({_how(case.red)})",
            again=True, needs=frozenset({str(case.service)}), trace=True,
        )  # fmt: skip
    told = f"; our own look at {case.service} was not" if case.green is not None else ""
    return _judged(case, case.product, 9, f"it was refused ({code.value if code else 'no code'}){told}")


def _by_itself(case: Case) -> Judged:
    return _judged(
        case, case.product, 10, f"{case.service} was well before and after, and unwell only while this test ran",
        suspect=True, again=True, needs=frozenset({str(case.service)}), alone=True,
    )  # fmt: skip


def _outage(case: Case) -> Judged:
    code = case.reading.code
    seen = case.red.detail if case.red is not None and case.red.told else _how(case.red)
    return _judged(
        case, Outcome.INFRASTRUCTURE_UNAVAILABLE, 11, f"{case.service}: {code.value if code else 'a sign'}, and it was unwell at "
        f"that time ({seen})", again=True, needs=frozenset({str(case.service)}), trace=True,
    )  # fmt: skip


def _after_trouble(case: Case) -> Judged:
    services = ", ".join(sorted(case.earlier))
    return _judged(
        case, case.product, 12, f"{services} was unwell or restarted earlier in this run", suspect=True, again=True,
        needs=case.earlier, trace=True, service=case.service or min(case.earlier),
    )  # fmt: skip


def _beside_green(case: Case) -> Judged:
    code = case.reading.code
    what = f"{code.value}, but " if code is not None else ""
    if case.service is None:
        looked = "nothing that it used was unwell"
    elif case.green is not None:
        looked = f"{case.service} was well at that time"
    else:
        looked = f"no look confirms it of {case.service}"
    if code is None:
        looked = "the client's own error; " + looked
    return _judged(
        case, case.product, 13, what + looked, suspect=code is not None, again=True,
        needs=frozenset({case.service} if case.service else ()),
    )  # fmt: skip


def _sign_of_nobody(case: Case) -> Judged:
    if case.unlooked:
        return _judged(
            case, Outcome.UNDECIDED, 14, f"{case.reading.code.value if case.reading.code else 'a sign'}, and nobody could look at "
            f"{case.service} at that time", again=True, needs=frozenset({str(case.service)}), trace=True,
        )  # fmt: skip
    if case.untried and case.red is not None:
        return _judged(
            case, Outcome.UNDECIDED, 14, f"it says that {case.service} could not be connected to, and was not seen to try; "
            f"{case.service} was {_how(case.red)}", again=True, needs=frozenset({str(case.service)}), trace=True,
        )  # fmt: skip
    if not case.red_certain:
        return replace(_beside_green(case), rule=14)
    services = frozenset(case.red_certain)
    code = case.reading.code
    return _judged(
        case, Outcome.UNDECIDED, 14, f"{code.value if code else 'a sign'} without an address, and {_names(case)}",
        again=True, needs=services, trace=True, service=min(services),
    )  # fmt: skip


def _beside_red(case: Case) -> Judged:
    services = frozenset(case.red_used)
    return _judged(
        case, Outcome.UNDECIDED, 15, f"no sign in the error itself, and {_names(case)}", again=True, needs=services,
        trace=True, service=min(services),
    )  # fmt: skip


def _products(case: Case) -> Judged:
    return _judged(case, case.product, 16, "", service=None if not case.sign else case.service)


def _by_double(case: Case) -> Judged:
    double = by_double(case.failure.chain)
    return _judged(case, case.product, 20, f"{double} raised it, as the test told it to", service=None, fault=None)


def _of_the_runner(case: Case) -> Judged:
    down = sorted({look.service for look in case.scene.looks if look.red})
    return _judged(
        case, Outcome.UNDECIDED, 19, f"pytest itself broke in this set-up, after {', '.join(down)} was unwell in this run",
        again=True, needs=frozenset(down),
    )  # fmt: skip


def _names(case: Case) -> str:
    certain = case.red_certain
    names = certain or sorted(case.red_used)
    verb = "it used" if certain else "it may have used"
    return f"{', '.join(names)}, which {verb}, was {_how(case.red_used[names[0]])}"


def _look(case: Case, service: str | None) -> Look | None:
    return case.red if service == case.service else case.red_used.get(str(service))


def _how(look: Look | None) -> str:
    if look is None:
        return "unwell"
    return look.fault.value if look.fault is not None else "degraded" if look.degraded else "down"


def _settles(case: Case) -> bool:
    nobodys = case.sign and case.service is None and not case.reading.assertion
    unsaid = case.sign and (case.unlooked or (case.untried and case.red is not None))
    return not case.red_certain and _mine(case) and not nobodys and not unsaid


def _names_nobody(case: Case) -> bool:
    nobody = case.target.endpoint is None and case.target.foreign is None
    untried = case.untried and case.red is not None
    return case.sign and not case.reading.assertion and (nobody or case.unlooked or untried)


def _mine(case: Case) -> bool:
    """Whether the error is a client's own, or wraps a sign in an assertion: a second run tells whether it stays."""
    own = case.reading.said is Said.OWN or (is_clients(case.failure.chain, case.scene.kinds) and not case.reading.gap)
    return own or case.sign


RULES: tuple[Rule, ...] = (
    Rule(
        number=3, what="it hung", fits=lambda c: c.reading.hung, judge=_hangs,
        reason="who waits in vain says nothing of whom it waited for; only a look at what it used does",
    ),
    Rule(
        number=20, what="a double of the test raised it", fits=lambda c: bool(by_double(c.failure.chain)), judge=_by_double,
        reason="a mock raises what the test told it to, whether or not the real service is down: the product did not handle it",
    ),
    Rule(
        number=4, what="a stand-in only echoed, or had no answer", fits=_gap_of_mock, judge=_by_mock,
        reason="the product was never told what staging would have said, so that its answer proves nothing",
    ),
    Rule(
        number=6, what="a database, relation, extension or function is missing on a stand-in", fits=_lacks, judge=_gap,
        reason="a stand-in that nobody prepared lacks what staging has; one that was prepared may tell of a misspelt name",
    ),
    Rule(
        number=7, what="refused at a stand-in that does not run",
        fits=lambda c: c.stopped is not None, judge=_not_applied,
        reason="the environment of another time leads there; neither the product nor staging is to blame",
    ),
    Rule(
        number=8, what="refused by a server that nobody declared",
        fits=lambda c: c.sign and not c.reading.assertion and c.target.foreign is not None and c.reading.connecting,
        judge=_undeclared,
        reason="a server that is known and dead for us as well is an outage nobody told us of; a port that nobody names is a slip",
    ),
    Rule(
        number=9, what="a refusal by a server that answered",
        fits=lambda c: c.reading.said is Said.REFUSAL and not c.reading.assertion, judge=_refused,
        reason="a wrong password is the product's, unless ours, which was right, is refused with the same code",
    ),
    Rule(
        number=10, what="a sign, and the service unwell only while this test ran",
        fits=lambda c: c.sign and not c.reading.assertion and c.only_while, judge=_by_itself,
        reason="a test that leaks connections until the server refuses everybody makes its own outage",
    ),
    Rule(
        number=11, what="a sign, and the service unwell at that time",
        fits=lambda c: c.sign and not c.reading.assertion and c.red is not None and not c.untried,
        judge=_outage,
        reason="both sides say so: the error by its type, and a look of our own at that very service",
    ),
    Rule(
        number=12, what="any error after a service it used was unwell or restarted",
        fits=lambda c: bool(c.earlier) and not c.red_used, judge=_after_trouble,
        reason="a pool of the session keeps the connections that the restart closed, and says only that they are closed",
    ),
    Rule(
        number=13, what="a sign beside a well service, or a client's own error",
        fits=_settles, judge=_beside_green,
        reason="it may be the product's, or a blip between two looks: a bug stays in the second run, a blip does not",
    ),
    Rule(
        number=14, what="a sign without an address, of a service that nobody could look at, or that it did not try to reach",
        fits=_names_nobody,
        judge=_sign_of_nobody,
        reason="a time-out of the test's own tells nobody's name; where something it used was down, both may be",
    ),
    Rule(
        number=15, what="no sign, and a service it used, or may have used, unwell", fits=lambda c: bool(c.red_used),
        judge=_beside_red,
        reason="an assertion on a 502, a KeyError of an error's body, a child that failed: the outage's, or a bug",
    ),
    Rule(
        number=19, what="pytest's own assertion in a set-up, in a run in which a service was unwell",
        fits=lambda c: c.failure.when == "setup" and c.failure.chain[0].get("runner") is True
        and any(look.red for look in c.scene.looks),
        judge=_of_the_runner,
        reason="a session's fixture that left by sys.exit in an outage leaves pytest's state broken for the tests behind it",
    ),
    Rule(
        number=5, what="it rests on recorded answers", fits=lambda c: bool(_recorded(c)), judge=_on_recordings,
        reason="a test that compares with the present time fails on yesterday's answers, and the product is well",
    ),
    Rule(
        number=16, what="anything else", fits=lambda _: True, judge=_products,
        reason="it used nothing, or only what is well: the product's at once",
    ),
)  # fmt: skip
"""The rules for what a test raised. 1 and 2 are of tests that raised nothing, 17 and 18 of second runs."""


# --- from failures to a test


def case_of(
    failure: Failure, scene: Scene, *, markers: Collection[str] = (), is_test: bool = True, test: str = ""
) -> Case:
    """Gather what the rules ask of one failure."""
    kinds = scene.kinds
    reading = read(failure.chain, kinds)
    target = target_of(failure, reading, scene.endpoints) if reading.code is not None else Target()
    live = tuple(endpoint for endpoint in scene.endpoints if not endpoint.idle)
    used = used_by(failure, reading, markers, live)
    if target.endpoint is not None and not target.endpoint.idle:
        used |= {target.endpoint.service}
    may = may_use(failure, live)
    start, end, looks = failure.at - failure.duration_s, failure.at, scene.looks
    service = target.endpoint.service if target.endpoint is not None else None
    red = green = None
    if service is not None:
        red = looks.red(service, start, end, scene.deadline(service), reading)
        green = looks.green(service, start, end, scene.deadline(service), reading)
    red_used = _red_used(failure, reading, scene, used, may)
    if service is not None and red is None and reading.code is not None and not reading.assertion:
        # What the look found there does not explain this error: it is no reason to doubt it either.
        red_used.pop(service, None)
    return Case(
        failure=failure, reading=reading, target=target, scene=scene,
        product=Outcome.FAILED if is_test and failure.when == "call" else Outcome.ERROR,
        used=used, may=may, red=red, green=green, red_used=red_used, earlier=_unwell_before(failure, scene, used | may),
        test=test,
    )  # fmt: skip


def _red_used(
    failure: Failure, reading: Reading, scene: Scene, used: frozenset[str], may: frozenset[str]
) -> dict[str, Look]:
    """Return the services that the test used, or may have used, and the look that found each unwell at that time.

    One whose server said what is wrong was well enough for that; where somebody waited in vain, a slow one counts as well.
    """
    start, end, looks = failure.at - failure.duration_s, failure.at, scene.looks
    found = {
        name: look
        for name in sorted(used | may)
        if (look := looks.red(name, start, end, scene.deadline(name), None)) is not None
    }
    if reading.answer and not reading.assertion:
        one = by_protocol(failure.chain, tuple(endpoint for endpoint in scene.endpoints if not endpoint.idle))
        found.pop(one.service if one is not None else "", None)
    if reading.deadline:
        slow = {name: looks.red(name, start, end, scene.deadline(name), reading) for name in sorted(used)}
        found |= {name: look for name, look in slow.items() if look is not None}
    return found


def _unwell_before(failure: Failure, scene: Scene, names: frozenset[str]) -> frozenset[str]:
    """Return those of these services that were unwell earlier in this run, are slow, or restarted."""
    looks, end = scene.looks, failure.at
    return frozenset(
        name
        for name in names
        if looks.was_unwell(name, end + scene.deadline(name)) is not None
        or looks.restarted(name, max(end, scene.ended))
    )


def judge_failure(
    failure: Failure, scene: Scene, *, markers: Collection[str] = (), is_test: bool = True, test: str = ""
) -> Judged:
    """Say whose a failure is: the first rule that fits decides. Each error of an exception group is judged by itself."""
    message = message_of(failure)
    if failure.lost:
        return Judged(
            outcome=Outcome.NOT_RUN, rule=1, message=message, reason="it failed, and our plug-in could not read why"
        )
    leaves = leaves_of(failure.chain)
    if leaves:
        each = [
            judge_failure(replace(failure, chain=leaf), scene, markers=markers, is_test=is_test, test=test)
            for leaf in leaves
        ]
        return replace(
            _standing(each, each),
            message=message,
            needs=frozenset().union(*(one.needs for one in each)),
            trace=any(one.trace for one in each),
            nothing_done=all(one.nothing_done for one in each),
            kinds=frozenset().union(*(one.kinds for one in each)),
        )
    case = case_of(failure, scene, markers=markers, is_test=is_test, test=test)
    rule = next(rule for rule in RULES if rule.fits(case))
    judged = rule.judge(case)
    only_there = case.used | case.may == {case.service}
    judged = replace(
        judged,
        message=message,
        kinds=frozenset({_kind_of(case)}),
        failed_at=failure.at_line,
        shown=failure.shown,
        output=failure.output,
        nothing_done=case.reading.connecting and only_there and not case.scene.passed.get(str(case.service)),
    )
    return replace(judged, evidence=_evidence(case, judged))


def _kind_of(case: Case) -> str:
    """Return what makes two errors the same. Whether a client is told a reset or an end by the far side is chance."""
    kind = str(case.failure.chain[0].get("type", "")) if case.failure.chain else case.failure.text[:80]
    code = C.PROTO_CLOSED if case.reading.code is C.PROTO_RESET else case.reading.code
    return f"{kind} {code.value}" if code is not None else kind


def _evidence(case: Case, judged: Judged) -> Evidence:
    """Return what a judgement rests on. The service is the one it names, else the one the error is about."""
    looks, service = case.scene.looks, judged.service or case.service
    seen = case.red if case.red is not None else case.red_used.get(str(service)) or case.green
    before = looks.before(service, case.start) if service else None
    after = looks.after(service, case.failure.at) if service else None
    target = case.target.endpoint
    pair = (target.host, target.port) if target is not None else case.target.foreign
    return Evidence(
        round=case.scene.round,
        rule=judged.rule,
        judgement=judged.outcome,
        reason=judged.reason or next(rule.what for rule in RULES if rule.number == judged.rule),
        error=judged.message,
        signs=case.reading.texts,
        endpoint=address_text(pair) if pair is not None else None,
        service=service,
        used=tuple(sorted(case.used)) or tuple(f"{name}?" for name in sorted(case.may)),
        before=before.seen() if before is not None else None,
        during=seen.seen() if seen is not None else None,
        after=after.seen() if after is not None else None,
        passed_there=case.scene.passed.get(str(service), 0),
    )


def message_of(failure: Failure) -> str:
    """One line: the outermost exception's type and text, or the first that has a text."""
    if not failure.chain:
        return failure.text
    first = failure.chain[0]
    kind = str(first.get("type", "")).rpartition(".")[2] or str(first.get("type", ""))
    text = str(first.get("text", "")) or failure.text
    if text.startswith(kind):
        text = text[len(kind) :].lstrip(": ")
    if not text:
        text = next(
            (
                f"from {str(n.get('type')).rpartition('.')[2]}: {n.get('text')}"
                for n in failure.chain[1:]
                if n.get("text")
            ),
            "",
        )
    return f"{kind}: {text}" if text else kind


_STATES = {
    "passed": Outcome.PASSED, "failed": Outcome.FAILED, "error": Outcome.ERROR, "skipped": Outcome.SKIPPED,
    "xfailed": Outcome.XFAILED, "xpassed": Outcome.XPASSED,
}  # fmt: skip
_PRODUCTS = frozenset({Outcome.FAILED, Outcome.ERROR})


def _standing(judged: Sequence[Judged], counted: Sequence[Judged]) -> Judged:
    """Return which of several judgements stands for all: the first, unless one that counts is worse for the product.

    One that is surely the product's wins, then one that may be, over an outage's.
    """
    first = judged[0]
    for one in counted:
        unsure = first.outcome not in _PRODUCTS or first.again
        surely = one.outcome in _PRODUCTS and not one.again
        perhaps = first.outcome is Outcome.INFRASTRUCTURE_UNAVAILABLE and one.outcome is Outcome.UNDECIDED
        if unsure and (surely or perhaps):
            first = one
    return first


def judge_test(test: Test, scene: Scene) -> Judged:
    """Say what became of one test of several failures, such as subtests; what only followed in tear-down does not count."""
    if test.held is not None and not test.failures:
        reason, service = test.held
        needs = frozenset({service} if service else ())
        return Judged(
            outcome=Outcome.INFRASTRUCTURE_UNAVAILABLE, rule=2, service=service, reason=reason, again=bool(service),
            needs=needs, trace=True,
        )  # fmt: skip
    if test.failures:
        judged = [
            judge_failure(failure, scene, markers=test.markers, is_test=not test.collector, test=test.id)
            for failure in test.failures
        ]
        follows = [one.when == "teardown" and not is_assertion(one.chain) for one in test.failures]
        return _standing(judged, [one for one, late in zip(judged, follows, strict=True) if not late])
    known = _STATES.get(test.state)
    misses = _misses(scene, test.id)
    if misses and known in (Outcome.PASSED, Outcome.XPASSED, Outcome.XFAILED):
        reason = f"it {known.value}, but {_missed(misses)}: that proves nothing"
        return Judged(outcome=Outcome.STAND_IN_GAP, rule=4, service=misses[0].service, reason=reason)
    if known is not None:
        return Judged(outcome=known, rule=0, reason=test.reason)
    if test.left_out:
        return Judged(outcome=Outcome.DESELECTED, rule=0, reason=test.left_out)
    return Judged(outcome=Outcome.NOT_RUN, rule=2, reason=test.reason or "never reached")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the tests of one execution say of a service, taken together."""

    passed: int = 0
    """Tests that spoke to it and passed."""
    unwell: int = 0
    """Tests that were told by it that it is unwell, deeper than a look goes."""
    code: FaultCode | None = None
    """What they were told."""
    first_sign: float | None = None
    depth: str = ""
    path: str = ""
    """The path of a GET that was answered so."""
    since: float = 0.0
    until: float = 0.0


def told_by(tests: Iterable[Test], endpoints: Sequence[Endpoint]) -> dict[str, Told]:
    """Return by service what the tests say of it: who passed there, and who was told that it is unwell."""
    found: dict[str, Told] = {}
    kinds = kinds_of(endpoints)
    for test in tests:
        if test.state in ("passed", "xpassed"):
            for service in {one.service for pair in test.spoke if (one := whose([pair], endpoints)) is not None}:
                old = found.get(service, Told())
                found[service] = replace(old, passed=old.passed + 1)
        unwell: dict[str, tuple[FaultCode, str, str, float]] = {}
        for failure in test.failures:
            reading = read(failure.chain, kinds)
            target = target_of(failure, reading, endpoints).endpoint if reading.said is Said.SIGN else None
            if target is not None and reading.code is not None:
                old = found.get(target.service, Told())
                first = failure.at if old.first_sign is None else min(old.first_sign, failure.at)
                found[target.service] = replace(old, first_sign=first)
                if reading.depth:
                    path = str(failure.chain[reading.node].get("path", ""))
                    unwell[target.service] = reading.code, reading.depth, path, failure.at
            for host, port, status, path in failure.seen:
                fault = http_fault(status)
                one = whose([(host, port)], endpoints)
                if one is not None and fault is not None and fault.code in ANSWER:
                    unwell.setdefault(one.service, (fault.code, PATH, path, failure.at))
        for service, (code, depth, path, at) in unwell.items():
            old = found.get(service, Told())
            found[service] = replace(
                old, unwell=old.unwell + 1, code=code, depth=depth, path=old.path or path,
                since=min(old.since or at, at), until=max(old.until, at),
            )  # fmt: skip
    return found


def shared_look(service: str, told: Told) -> Look | None:
    """Return the red look that several tests are themselves: told so at one service, where none passed."""
    if told.unwell < SHARED or told.passed:
        return None
    return Look(
        service=service, at=told.since, until=told.until, red=True, fault=told.code, depth=told.depth, told=True,
        detail=f"{told.unwell} tests were told so, and none passed there",
    )  # fmt: skip
