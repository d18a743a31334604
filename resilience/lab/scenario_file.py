"""Turn a drill's TOML file into a Scenario, or refuse it by name."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from resilience.core.errors import SettingsError, UsageError, did_you_mean
from resilience.core.records import CauseName, ConnectivityStatus, FaultCode, TestExecutionMode, TestTotals, Verdict
from resilience.lab.proxy import Dial, Mode
from resilience.lab.scenario import (
    CONTROL,
    OPTIONAL_SERVICES,
    SERVICES,
    At,
    Expectation,
    Range,
    Scenario,
    Step,
    Timing,
)
from resilience.lab.shipped import scenario_folder, scenario_names

_FIGURES: Mapping[str, Mode] = {
    "after_bytes": Mode.CUT,
    "latency_s": Mode.LATENCY,
    "bytes_per_s": Mode.RATE,
    "status": Mode.HTTP_STATUS,
    "retry_after_s": Mode.HTTP_STATUS,
    "fail": Mode.FLAPPING,
    "of": Mode.FLAPPING,
    "then": Mode.FLAPPING,
}


def load_scenario(name: str | Path) -> Scenario:
    """Read a shipped scenario by name, or one of your own by the path of its `.toml` file.

    Raises UsageError for an unknown name, SettingsError for a file that cannot be used.
    """
    path = Path(name)
    if path.suffix == ".toml":
        try:
            return parse_scenario(path.read_text(encoding="utf-8"), name=path.stem, source=path.name)
        except OSError as exc:
            raise UsageError(f"scenario {path.name} cannot be read: {exc.strerror}.") from exc
    known = scenario_names()
    if name not in known:
        hint = did_you_mean(str(name), known)
        if not hint.startswith("known"):
            hint += f" known: {', '.join(known)}"
        raise UsageError(f'there is no scenario "{name}".', hint=hint)
    path = scenario_folder() / f"{name}.toml"
    return parse_scenario(path.read_text(encoding="utf-8"), name=str(name), source=f"config/drills/{path.name}")


def parse_scenario(text: str, *, name: str, source: str) -> Scenario:
    """Turn the text of a scenario into a Scenario; unknown keys, services, faults and words are refused by name.

    Raises SettingsError, with the table and the key. A fault's figure beside another fault is refused, as it would be
    without effect.
    """
    try:
        top = _Table(tomllib.loads(text), source=source)
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError(name=name, source=source, found=str(exc), expected="TOML") from exc
    extra = top.names("services", OPTIONAL_SERVICES, default=())
    services = (*SERVICES, *extra, CONTROL)
    scenario = Scenario(
        name=name,
        title=top.text("title"),
        guide=top.text("guide"),
        description=top.text("description").strip(),
        services=extra,
        timing=_timing(top.table("timing")),
        environment=top.texts("environment"),
        steps=tuple(_step(table, services) for table in top.tables("step")),
        expect=_expectation(top.table("expect"), (*SERVICES, *extra)),
    )
    top.done()
    return scenario


class _Table:
    """A TOML table that knows which of its keys were asked for, so that the others can be refused."""

    def __init__(self, values: Mapping[str, Any], *, source: str, path: str = "") -> None:
        self.values, self.source, self.path = values, source, path
        self.asked: list[str] = []

    def _get(self, key: str) -> Any:
        self.asked.append(key)
        return self.values.get(key)

    def refuse(self, key: str, found: object, expected: str, hint: str = "") -> SettingsError:
        shown = found if isinstance(found, str) else repr(found)
        return SettingsError(name=f"{self.path}{key}", source=self.source, found=shown, expected=expected, hint=hint)

    def has(self, key: str) -> bool:
        return key in self.values

    def table(self, key: str) -> _Table:
        found = self._get(key)
        if found is not None and not isinstance(found, dict):
            raise self.refuse(key, found, "a table")
        return _Table(found or {}, source=self.source, path=f"{self.path}{key}.")

    def tables(self, key: str) -> tuple[_Table, ...]:
        found = self._get(key) or []
        if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
            raise self.refuse(key, found, f"tables, each opened by [[{key}]]")
        return tuple(
            _Table(entry, source=self.source, path=f"{self.path}{key}[{number}].")
            for number, entry in enumerate(found, 1)
        )

    def text(self, key: str) -> str:
        found = self._get(key)
        if not isinstance(found, str) or not found.strip():
            raise self.refuse(key, "" if found is None else found, "a text")
        return found

    def texts(self, key: str) -> dict[str, str]:
        table = self.table(key)
        for name, value in table.values.items():
            if not isinstance(value, str):
                raise table.refuse(name, value, "a text in quotes")
        return dict(table.values)

    def number(self, key: str, default: float, *, least: float = 0.0) -> float:
        found = self._get(key)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found < 86_400:
            raise self.refuse(key, found, f"a number of at least {least:g}")
        return float(found)

    def whole(self, key: str, default: int, *, least: int = 0) -> int:
        found = self._get(key)
        if found is None:
            return default
        if isinstance(found, bool) or not isinstance(found, int) or found < least:
            raise self.refuse(key, found, f"a whole number of at least {least}")
        return found

    def flag(self, key: str) -> bool | None:
        found = self._get(key)
        if found is not None and not isinstance(found, bool):
            raise self.refuse(key, found, "true or false")
        return found

    def word(self, key: str, known: Collection[str]) -> str | None:
        found = self._get(key)
        if found is None:
            return None
        if not isinstance(found, str) or found not in known:
            raise self.refuse(key, found, f"one of {', '.join(known)}", did_you_mean(str(found), known))
        return found

    def names(self, key: str, known: Collection[str], *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        found = self._get(key)
        if found is None and default is not None:
            return default
        if not isinstance(found, list) or (not found and default is None):
            raise self.refuse(key, "" if found is None else found, "a list of names")
        for name in found:
            if name not in known:
                raise self.refuse(key, name, f"names out of {', '.join(known)}", did_you_mean(str(name), known))
        return tuple(found)

    def done(self) -> None:
        """Refuse what nobody asked for."""
        for key, found in self.values.items():
            if key not in self.asked:
                shown = "a table" if isinstance(found, dict | list) else found
                raise self.refuse(key, shown, "no such key", did_you_mean(key, self.asked))


def _timing(table: _Table) -> Timing:
    d = Timing()
    timing = Timing(
        before_s=table.number("before_s", d.before_s),
        probe_timeout_s=table.number("probe_timeout_s", d.probe_timeout_s, least=0.1),
        degraded_above_s=table.number("degraded_above_s", d.degraded_above_s, least=0.01),
        good=table.whole("good", d.good, least=1),
        interval_s=table.number("interval_s", d.interval_s, least=0.05),
        dwell_s=table.number("dwell_s", d.dwell_s),
    )
    table.done()
    return timing


def _step(table: _Table, known: Sequence[str]) -> Step:
    """Read one turn of dials. A figure that belongs to another fault is refused, as it would be silently without effect."""
    at = table.word("at", [moment.value for moment in At])
    if at is None:
        raise table.refuse("at", "", f"one of {', '.join(At)}")
    every = table.values.get("services") == ["*"]
    services = tuple(known) if every and table.names("services", ["*"]) else table.names("services", known)
    fault = table.word("fault", [mode.value for mode in Mode])
    if fault is None:
        raise table.refuse("fault", "", f"one of {', '.join(Mode)}")
    mode = Mode(fault)
    for figure, owner in _FIGURES.items():
        if table.has(figure) and owner is not mode:
            raise table.refuse(figure, table.values[figure], f'only fault = "{owner}" to have this')
    d = Dial()
    dial = Dial(
        mode=mode,
        after_bytes=table.whole("after_bytes", d.after_bytes),
        latency_s=table.number("latency_s", d.latency_s),
        bytes_per_s=table.number("bytes_per_s", d.bytes_per_s, least=0.1),
        status=table.whole("status", d.status, least=100),
        retry_after_s=table.whole("retry_after_s", d.retry_after_s),
        fail=table.whole("fail", d.fail, least=1),
        of=table.whole("of", d.of, least=1),
        then=Mode(table.word("then", [Mode.RESET, Mode.END_OF_FILE, Mode.SILENT, Mode.HTTP_STATUS]) or d.then),
    )
    step = Step(
        at=At(at),
        services=services,
        dial=dial,
        after_s=table.number("after_s", 0.0),
        after_connections=table.whole("after_connections", 0),
        at_test=table.text("at_test") if table.has("at_test") else "",
        for_tests=table.whole("for_tests", 0),
        for_s=table.number("for_s", 0.0, least=0.05) if table.has("for_s") else None,
    )
    if dial.fail > dial.of:
        raise table.refuse("fail", dial.fail, f"at most of = {dial.of}")
    for key in ("after_connections", "at_test", "for_tests"):
        if getattr(step, key) and step.at is not At.DURING_TESTS:
            raise table.refuse(key, getattr(step, key), f'only at = "{At.DURING_TESTS}" to have this')
    if step.for_tests and step.for_s is None:
        raise table.refuse("for_tests", step.for_tests, "for_s beside it: the least time that it lasts")
    table.done()
    return step


def _expectation(table: _Table, services: Sequence[str]) -> Expectation:
    """Read what should come of the drill; every word must be one that a run's record can hold, else it could never differ."""
    totals = [entry.name for entry in fields(TestTotals)]
    statuses, faults, tests = table.table("status"), table.table("fault"), table.table("tests")
    words = [status.value for status in ConnectivityStatus]
    codes = [code.value for code in FaultCode]

    def each(part: _Table, known: Collection[str], read: Callable[[_Table, str], Any]) -> dict[str, Any]:
        found = {}
        for name in part.values:
            if name not in known:
                raise part.refuse(name, "", f"a name out of {', '.join(known)}", did_you_mean(name, known))
            found[name] = read(part, name)
        return found

    overall = table.word("overall", words)
    mode = table.word("mode", [mode.value for mode in TestExecutionMode])
    verdict = table.word("verdict", [verdict.value for verdict in Verdict])
    expect = Expectation(
        overall=ConnectivityStatus(overall) if overall else None,
        mode=TestExecutionMode(mode) if mode else None,
        verdict=Verdict(verdict) if verdict else None,
        exit_code=table.whole("exit_code", 0) if table.has("exit_code") else None,
        recovered=table.flag("recovered"),
        restored=table.flag("restored"),
        status=each(statuses, services, lambda part, name: ConnectivityStatus(part.word(name, words) or "")),
        fault=each(faults, services, lambda part, name: tuple(FaultCode(code) for code in part.names(name, codes))),
        causes=tuple(
            CauseName(name) for name in table.names("causes", [cause.value for cause in CauseName], default=())
        ),
        tests=each(tests, totals, _range),
        product_failures=_node_ids(table),
    )
    table.done()
    return expect


def _range(part: _Table, name: str) -> Range:
    if not isinstance(part.values[name], dict):
        exactly = part.whole(name, 0)
        return Range(at_least=exactly, at_most=exactly)
    table = part.table(name)
    found = Range(
        at_least=table.whole("at_least", 0) if table.has("at_least") else None,
        at_most=table.whole("at_most", 0) if table.has("at_most") else None,
    )
    table.done()
    if found.at_least is None and found.at_most is None:
        raise part.refuse(name, "{}", "a whole number, or { at_least = N, at_most = N }")
    return found


def _node_ids(table: _Table) -> tuple[str, ...] | None:
    found = table._get("product_failures")
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(name, str) and name for name in found):
        raise table.refuse("product_failures", found, "a list of test ids")
    return tuple(found)
