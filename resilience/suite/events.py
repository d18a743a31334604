"""Turn the events that our plug-in wrote, line by line, into the tests and sessions of one execution of a command."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from resilience.suite.killed import killed


@dataclass(slots=True)
class Failure:
    """What one phase of a test, or the collection of a module, raised."""

    chain: tuple[Mapping[str, Any], ...]
    spoke: tuple[tuple[str, int | None], ...]
    when: str
    at: float
    text: str = ""
    duration_s: float = 0.0
    fixtures: tuple[str, ...] = ()
    used: tuple[tuple[str, int | None], ...] = ()
    """What its fixtures connected to, and what the process had open."""
    children: bool = False
    """Whether it had processes of its own, which may have connected to anything."""
    unseen: tuple[str, ...] = ()
    """Clients in C that are loaded: what they connect to is not seen."""
    seen: tuple[tuple[str, int | None, int, str], ...] = ()
    """Answers that lay in the test's hands: host, port, status, path."""
    lost: bool = False
    """Whether our plug-in had trouble reading the error."""
    at_line: str = ""
    """File and line of the repository at which it arose."""
    shown: str = ""
    """As pytest shows it."""
    output: str = ""
    """The end of what was captured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Let:
    """A test that ran for what its set-up leaves in the process, though earlier runs saw it connect to what is down."""

    reason: str
    """Why it would have been held back."""
    keys: frozenset[str]
    """Its set-ups."""
    whole: bool
    """Whether its own part ran as well."""


@dataclass(slots=True)
class Test:
    """One test of one execution of a command, as far as its events go."""

    __test__ = False

    id: str
    state: str = ""
    """As the plug-in saw it; empty where it was never finished."""
    begun: bool = False
    killed: int = 0
    """The exit code of the worker of pytest-xdist that was killed in it, where that was from outside."""
    duration_s: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    held: tuple[str, str | None] | None = None
    let: Let | None = None
    left_out: str = ""
    reason: str = ""
    markers: tuple[str, ...] = ()
    collector: bool = False
    spoke: tuple[tuple[str, int | None], ...] = ()
    """What it connected to, where it passed."""
    aside: tuple[tuple[str, int | None], ...] = ()
    """Those of them that only a thread connected to which an earlier test had started, such as a pool's."""
    ended: float = 0.0
    line: int = 0
    file: str = ""
    """Of the test function, where that is another file than the node id's."""


@dataclass(slots=True)
class Session:
    """One pytest process, or one worker of pytest-xdist."""

    id: str
    root: str = ""
    key: str = ""
    worker: str = ""
    python: str = ""
    pytest: str = ""
    executable: str = ""
    ids: list[str] = field(default_factory=list)
    collected: int | None = None
    finished: bool = False
    exit: int | None = None
    current: str | None = None
    since: float = 0.0
    touched: list[tuple[tuple[str, int | None], str]] = field(default_factory=list)
    """Services' addresses that the test in flight, or else the session, connected to, and the fixture that did."""
    trouble: list[Failure] = field(default_factory=list)
    gave_up: tuple[str | None, Failure] | None = None
    """The test in flight, and what made the team's own code end this process in it, by `pytest.exit`."""
    digests: Mapping[str, str | None] = field(default_factory=dict)


LEFT_OUT = {
    "command": "left out by the command's own selection",
    "mode": "left out by the mode's selection",
}


class Record:
    """The events of one execution of a command, fed line by line; tests by (rootdir, node id)."""

    def __init__(self, *, select: str = "", mode: str = "") -> None:
        """Begin with nothing heard; `select` and `mode` are what a test that the mode left out is told to have been left out by."""
        self.sessions: dict[str, Session] = {}
        self.tests: dict[tuple[str, str], Test] = {}
        self.counts: dict[str, int] = {}
        self.failing: deque[str] = deque(maxlen=8)
        """The latest tests that failed, not yet judged."""
        self.spoke: dict[tuple[str, int | None], int] = {}
        self.clients: dict[tuple[str, int | None], str] = {}
        """Address → the client library that connected there."""
        self.unseen: set[str] = set()
        """Clients in C whose connections nobody saw."""
        self.bad_lines = 0
        self.troubles: list[str] = []
        self.interrupted = ""
        self.gave_up: Failure | None = None
        """What made the team's own code end the session, by `pytest.exit`."""
        self.finished = 0
        self._why = dict(LEFT_OUT)
        if select:
            self._why["mode"] = f"left out by {'mode ' + mode if mode else 'the mode'}: {select}"

    def _test(self, session: Session, which: object) -> Test:
        name = session.ids[which] if isinstance(which, int) and 0 <= which < len(session.ids) else str(which)
        key = (session.root, name)
        test = self.tests.get(key)
        if test is None and "@" in name:
            # pytest-xdist's --dist=loadgroup appends the group's name.
            test = self.tests.get((session.root, name.rpartition("@")[0]))
        if test is None:
            test = self.tests[key] = Test(name)
        return test

    def feed(self, event: Mapping[str, Any], now: float = 0.0) -> tuple[str, Test | None, Failure | None]:
        """Take one event; return its kind, the test it is about and the failure it brings, if any."""
        kind = str(event.get("k", ""))
        name = str(event.get("s", ""))
        session = self.sessions.get(name)
        if session is None:
            session = self.sessions[name] = Session(name)
        if kind == "b":
            test = self._test(session, event.get("i", event.get("id")))
            self._begin(session, test, event, now)
            return kind, test, None
        if kind == "u":
            test = self._test(session, event.get("i", event.get("id")))
            test.spoke, test.aside = _pairs(event.get("p")), _pairs(event.get("b"))
            return kind, test, None
        if kind == "begin":
            test = self._test(session, event.get("id"))
            self._begin(session, test, event, now)
            return "b", test, None
        if kind in ("t", "end"):
            return "t", self._finish(session, event), None
        if kind == "fail":
            test = self._test(session, event.get("id"))
            failure = _failure(event, session)
            test.failures.append(failure)
            return kind, test, failure
        if kind == "held":
            test = self._test(session, event.get("id"))
            test.held = (str(event.get("reason", "")), event.get("service"))
            return kind, test, None
        if kind == "let":
            test = self._test(session, event.get("id"))
            test.let = Let(reason=str(event["reason"]), keys=frozenset(event["keys"]), whole=bool(event["whole"]))
            return kind, test, None
        if kind == "skip":
            test = self._test(session, event.get("id"))
            test.reason = str(event.get("reason", ""))
            return kind, test, None
        if kind == "rerun":
            test = self._test(session, event.get("id"))
            test.failures.clear()
            return kind, test, None
        return kind, None, self._about_session(kind, session, event)

    def _begin(self, session: Session, test: Test, event: Mapping[str, Any], now: float) -> None:
        test.begun = True
        session.touched.clear()
        test.line, test.file = int(event.get("l") or 0), str(event.get("f") or "")
        session.current, session.since = test.id, now

    def _finish(self, session: Session, event: Mapping[str, Any]) -> Test:
        test = self._test(session, event.get("i", event.get("id")))
        state = str(event.get("o", ""))
        worse = _WORST.get(state, 0) >= _WORST.get(test.state, -1)
        if not test.state or worse:
            if test.state:
                self.counts[test.state] = self.counts.get(test.state, 1) - 1
            else:
                self.finished += 1
            test.state = state
            self.counts[state] = self.counts.get(state, 0) + 1
            if state in ("failed", "error"):
                self.failing.append(test.id)
        test.duration_s += float(event.get("d") or 0.0)
        if state not in ("failed", "error") and test.state == state:
            test.failures.clear()
        if session.current == test.id:
            session.current = None
        return test

    def _about_session(self, kind: str, session: Session, event: Mapping[str, Any]) -> Failure | None:
        """Take an event of a whole session: its start, ids, what it collected, left out or could not collect, its end.

        Returns the failure where the event is one (a conftest, a collection, an internal error), since such errors end a run
        before any test. A kind that is not known here is a newer plug-in's, and is passed over.
        """
        take = _ABOUT_SESSION.get(kind)
        return take(self, session, event) if take is not None else None

    def _started(self, session: Session, event: Mapping[str, Any]) -> None:
        session.root, session.key = str(event.get("root", "")), str(event.get("key", ""))
        session.worker, session.python = str(event.get("worker", "")), str(event.get("python", ""))
        session.pytest, session.executable = str(event.get("pytest", "")), str(event.get("executable", ""))

    def _named(self, session: Session, event: Mapping[str, Any]) -> None:
        """Take the ids, which come once and are numbers afterwards: 20,000 node ids would be most of the file."""
        for name in event.get("ids", ()):
            session.ids.append(self.tests.setdefault((session.root, name), Test(name)).id)

    def _was_collected(self, session: Session, event: Mapping[str, Any]) -> None:
        session.collected = len(session.ids)
        session.digests = event.get("digests") or {}
        for marker, numbers in (event.get("marked") or {}).items():
            for number in numbers:
                test = self._test(session, number)
                if marker not in test.markers:
                    test.markers = (*test.markers, marker)

    def _left_out(self, session: Session, event: Mapping[str, Any]) -> None:
        why = str(event.get("why", ""))
        for number in event.get("i", ()):
            self._test(session, number).left_out = self._why.get(why, why)

    def _not_collected(self, session: Session, event: Mapping[str, Any]) -> Failure:
        name = str(event.get("id", ""))
        session.touched.clear()
        test = self.tests.setdefault((session.root, name), Test(name or session.root, collector=True))
        failure = _failure(event, session)
        failure.when = "collect"
        if not test.failures:
            test.failures.append(failure)
        return failure

    def _broken(self, session: Session, event: Mapping[str, Any]) -> Failure:
        failure = _failure(event, session)
        failure.when = str(event.get("k", ""))
        session.trouble.append(failure)
        return failure

    def _crashed(self, session: Session, event: Mapping[str, Any]) -> Failure | None:
        """Take what the controller of pytest-xdist calls a crash.

        A worker that ended itself has said why just before; one that was killed from outside says nothing of the test.
        """
        test = self._test(session, str(event.get("id", "")))
        code = 128 + int(event.get("signal") or 0)
        if killed(code):
            test.killed = code
            return None
        failure = self._given_up(test.id) or Failure(
            (), (), "call", float(event.get("at") or 0.0), str(event.get("text", ""))
        )
        test.failures.append(failure)
        test.state = "failed"
        return failure

    def _connected(self, session: Session, event: Mapping[str, Any]) -> None:
        session.touched.extend((pair, str(event.get("f") or "")) for pair in _pairs([event.get("p") or ()]))

    def _interrupted(self, session: Session, event: Mapping[str, Any]) -> Failure | None:
        if event.get("chain"):
            self.gave_up = _failure(event, session)
            session.gave_up = (session.current, self.gave_up)
            return self.gave_up
        self.interrupted = f"{event.get('type', '')}: {event.get('text', '')}".rstrip(": ")
        return None

    def _troubled(self, session: Session, event: Mapping[str, Any]) -> None:
        self.troubles.append(f"{event.get('what', '')}: {event.get('text', '')}")

    def _ended(self, session: Session, event: Mapping[str, Any]) -> None:
        session.finished, session.exit = True, event.get("exit")
        session.digests = event.get("digests") or session.digests
        session.current = None
        for host, port, count, *client in event.get("spoke", ()):
            self.spoke[str(host), port] = self.spoke.get((str(host), port), 0) + int(count)
            if client and client[0]:
                self.clients[str(host), port] = str(client[0])
        self.unseen.update(str(name) for name in event.get("unseen", ()))

    def _given_up(self, test: str) -> Failure | None:
        """Return why a worker ended itself in this test, by the team's own `pytest.exit`."""
        ends = (session.gave_up for session in self.sessions.values() if session.gave_up is not None)
        return next((failure for name, failure in ends if name == test), None)

    @property
    def started(self) -> bool:
        """Whether our plug-in entered at all; if not, nothing is known of single tests."""
        return any(session.pytest for session in self.sessions.values())

    @property
    def complete(self) -> bool:
        """Whether each session that began also ended by itself."""
        return self.started and all(
            session.finished for session in self.sessions.values() if session.pytest and not session.worker
        )

    @property
    def in_flight(self) -> tuple[tuple[str, str], ...]:
        """Return (rootdir, node id) of the tests that began and did not end."""
        return tuple((session.root, session.current) for session in self.sessions.values() if session.current)

    @property
    def collected(self) -> int:
        return sum(1 for test in self.tests.values() if not test.collector)


_ABOUT_SESSION: Mapping[str, Callable[[Record, Session, Mapping[str, Any]], Failure | None]] = {
    "start": Record._started,
    "ids": Record._named,
    "collected": Record._was_collected,
    "left_out": Record._left_out,
    "collect_error": Record._not_collected,
    "conftest": Record._broken,
    "internal": Record._broken,
    "crash": Record._crashed,
    "c": Record._connected,
    "interrupt": Record._interrupted,
    "trouble": Record._troubled,
    "finish": Record._ended,
}
_WORST = {"passed": 1, "xfailed": 1, "skipped": 1, "xpassed": 1, "held": 2, "unknown": 0, "error": 3, "failed": 4}


def _failure(event: Mapping[str, Any], session: Session) -> Failure:
    return Failure(
        chain=tuple(event.get("chain") or ()),
        spoke=_pairs(event.get("spoke")),
        when=str(event.get("when", "call")),
        at=float(event.get("at") or 0.0),
        text=str(event.get("text", "")),
        duration_s=float(event.get("d") or 0.0),
        fixtures=tuple(event.get("fixtures") or ()),
        used=_pairs(event.get("used")),
        children=bool(event.get("children")),
        unseen=tuple(str(name) for name in event.get("unseen") or ()),
        seen=tuple((str(one[0]), one[1], int(one[2]), str(one[3])) for one in event.get("seen") or () if len(one) == 4),
        lost=bool(event.get("lost")),
        at_line=str(event.get("at_line") or ""),
        shown=str(event.get("shown") or ""),
        output=str(event.get("out") or ""),
    )


def _pairs(found: Any) -> tuple[tuple[str, int | None], ...]:
    return tuple((str(pair[0]), pair[1]) for pair in found or () if len(pair) == 2)
