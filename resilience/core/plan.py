"""Turn a decision into all that would be done: what to start, what to change, which tests to run, how to undo.

Planning and applying say the same words: the texts of the steps are made here once, and `apply` says them as it goes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from resilience.core.kind import Kind
from resilience.core.records import (
    CauseName,
    ConnectivityStatus,
    Decision,
    EnvChange,
    FaultCode,
    InfrastructureHealth,
    Plan,
    PlannedCommand,
    PlannedStandIn,
    TestExecutionMode,
)
from resilience.core.redact import Redactor
from resilience.core.secret import looks_secret
from resilience.core.settings import PROFILE_FILES, ModeSettings, Places, Planning, Service, Wishes
from resilience.core.variables import APPLIED, GUIDE, Writes
from resilience.core.words import listing, plural

NOTHING = "nothing to change"

SELECT = {
    TestExecutionMode.OFFLINE: "(not real_services and not staging) or offline_capable",
    TestExecutionMode.CRITICAL_ONLY: "critical or mission_critical or golden_path",
}
"""The guide's marker expressions of the modes that run a part of the suite."""


def make_plan(
    decision: Decision,
    health: InfrastructureHealth,
    told: Planning,
    *,
    before: Mapping[str, str],
    run: str = "",
    environ: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> Plan:
    """Return the plan. `before` is what the env file holds now, `environ` the shell's; secrets are masked in the result.

    The same decision and files give the same plan, and nothing is started, written or asked. `run` is the value that
    RESILIENCE_APPLIED will have; empty for who only looks. A mode's own `select` stands in place of the guide's; `notes`
    come before the plan's own.
    Masked are commands, too, so that what runs is read from the settings and never from a plan.
    """
    mode = decision.mode
    redactor = Redactor(told.secrets)
    values = values_to_apply(decision, health, told, run=run, before=before) if changes_anything(decision) else {}
    changes = tuple(_change(name, before.get(name), after, redactor) for name, after in sorted(values.items()))
    chosen = _chosen(decision, told.services)
    stand_ins = tuple(_planned(service, health, redactor) for service in chosen)
    held = held_markers(decision, told.services, told.wishes)
    modes = told.modes.get(mode)
    select = selection(mode, told.modes, told.wishes)
    commands = tuple(
        PlannedCommand(command=redactor.text(command), select=select) for command in (modes.commands if modes else ())
    )
    files = files_written(told.places)
    return Plan(
        mode=mode,
        stand_ins=stand_ins,
        changes=changes,
        commands=commands,
        select=select,
        held_markers=held,
        undo=_undo(stand_ins, changes, files),
        steps=_steps(stand_ins, chosen, changes, files),
        by_hand=_by_hand(chosen, changes, told.places, told.profiles.get(mode)),
        env_file=files[0],
        profile=PROFILE_FILES.get(mode, ""),
        notes=(*notes, *_notes(decision, modes), *staging_notes(decision, health, told, environ or {})),
    )


def selection(mode: TestExecutionMode, modes: Mapping[TestExecutionMode, ModeSettings], wishes: Wishes) -> str:
    """Return the marker expression of a mode: the configured one, else the guide's.

    Where a person asked for the critical tests as well, mode offline runs those of its own that are critical.
    """
    chosen = _selection(mode, modes)
    if mode is not TestExecutionMode.OFFLINE or not wishes.critical_only:
        return chosen
    parts = filter(None, (chosen, _selection(TestExecutionMode.CRITICAL_ONLY, modes)))
    return " and ".join(f"({part})" for part in parts)


def _selection(mode: TestExecutionMode, modes: Mapping[TestExecutionMode, ModeSettings]) -> str:
    configured = modes.get(mode)
    return (configured.select if configured else "") or SELECT.get(mode, "")


def changes_anything(decision: Decision) -> bool:
    """Say whether applying this decision would write or start anything.

    Mode full is the team's own environment, and a blocked run has no tests to prepare for.
    """
    return decision.mode is not TestExecutionMode.FULL and not decision.blocked


def values_to_apply(
    decision: Decision,
    health: InfrastructureHealth,
    told: Planning,
    *,
    run: str = "",
    before: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Return the variables of the env file with their true values: what was there, the mode's profile, the exports.

    What was there (`before`) stays where nothing overrides it, since a healthy service may be configured by it.
    Variables that only make up the stand-in of a service which is not stood in for are left out, so that the tests of a
    healthy service are not sent to a port where nothing listens. In mode offline staging's own variables are left out.

    Later ones win: `before`, the profile, the guide's switches, the values of each `local` URL, its exports. A
    guide's switch that does not hold now is taken away, also where `before` has it. A team that does not use the
    guide's switches (`guide_variables`) is not given them, as it may have a REDIS_MODE of its own.
    """
    mode = decision.mode
    chosen = _chosen(decision, told.services)
    kept = {name for service in chosen for name in (*service.local_names, *service.exports)}
    alone = {name for service in told.services for name in (*service.local_names, *service.exports)} - kept
    profile = {name: value for name, value in told.profile_values.get(mode, {}).items() if name not in alone}
    issue_1278 = _is_issue_1278(health, told.wishes)
    switched = _guide_values(mode, chosen, issue_1278, told) if told.guide_variables else {}
    taken = taken_from_tests(decision, told.services, told.wishes)
    there = {name: value for name, value in (before or {}).items() if name not in taken}
    values = {name: value for name, value in {**there, **profile, **switched}.items() if value is not None}
    for service in chosen:
        values |= service.local_values
        values |= {name: value.reveal() for name, value in service.exports.items()}
    values = {**trusted_for(chosen, told.trusted), **values}
    return {**values, APPLIED: run or "planned"}


def trusted_for(services: Sequence[Service], trusted: Mapping[str, str]) -> Mapping[str, str]:
    """Return by which variables tests trust the stand-ins of these services: by none, where none speaks TLS."""
    return trusted if any(service.recorder_tls for service in services) else {}


def _guide_values(
    mode: TestExecutionMode, chosen: Sequence[Service], issue_1278: bool, told: Planning
) -> dict[str, str | None]:
    """Return what the table of the guide's variables writes: a value, or None where the variable is taken away."""
    names = {service.name for service in chosen}
    modes = {mode, TestExecutionMode.CRITICAL_ONLY} if told.wishes.critical_only else {mode}
    written: dict[str, str | None] = {}
    for row in GUIDE:
        match row.writes:
            case Writes.ALWAYS:
                written[row.name] = row.word
            case Writes.IN_MODES:
                written[row.name] = row.word if modes.intersection(row.modes) else None
            case Writes.FOR_STAND_IN:
                written[row.name] = row.word if names.intersection(row.switched(told.services)) else None
            case Writes.FOR_ISSUE_1278:
                written[row.name] = row.word if issue_1278 else None
            case Writes.PASSED_ON:
                value = getattr(told.deadlines, row.wish)
                if value is not None:
                    written[row.name] = f"{value:g}"
            case Writes.NEVER:
                pass
            case unknown:
                assert_never(unknown)
    return written


def _is_issue_1278(health: InfrastructureHealth, wishes: Wishes) -> bool:
    found = any(cause.cause is CauseName.VPC_CONNECTOR or cause.issue == "#1278" for cause in health.causes)
    return found or wishes.private_network_down


def held_markers(decision: Decision, services: Sequence[Service], wishes: Wishes) -> dict[str, str]:
    """Return marker → why its tests are held back.

    Tests of a dead service without a stand-in; and tests marked `staging` or `real_services`, which never run against
    mocks, nor pass for the real thing while staging is down.

    The service's own name counts as a marker beside those that are configured for it.
    """
    if not wishes.resilience_enabled:
        return {}
    mocked = [service.name for service in _chosen(decision, services) if service.kind.is_mocked]
    if not wishes.skip_on_failure:
        # Nothing else is held back, but a test of staging that passes against a mock would be a lie.
        why = f"never run against mocks; they are used for {listing(mocked)}"
        return {"staging": why, "real_services": why} if mocked else {}
    held = {
        marker: reason
        for service in services
        if (reason := decision.held.get(service.name))
        for marker in (*service.markers, service.name)
    }
    if decision.stand_ins:
        held["staging"] = f"needs real staging; stand-ins are used for {listing(decision.stand_ins)}"
    elif decision.held:
        held["staging"] = f"needs real staging; down: {listing(tuple(decision.held))}"
    if mocked:
        held["real_services"] = f"needs real services; mocks are used for {listing(mocked)}"
    elif decision.held:
        held.setdefault("real_services", f"needs real services; down: {listing(tuple(decision.held))}")
    return held


def held_for(decision: Decision, services: Sequence[Service]) -> dict[str, str]:
    """Return marker → the service for which `held_markers` holds its tests back; of several the one that was named first."""
    mocked = [service.name for service in _chosen(decision, services) if service.kind.is_mocked]
    dead = [*decision.held]
    found = {
        marker: service.name
        for service in services
        if service.name in decision.held
        for marker in (*service.markers, service.name)
    }
    for marker, names in (("staging", [*decision.stand_ins, *dead]), ("real_services", [*mocked, *dead])):
        if names:
            found.setdefault(marker, names[0])
    return found


_EVERYBODYS = frozenset({"HOME", "HOSTNAME", "LANG", "LOGNAME", "PATH", "PWD", "SHELL", "TMPDIR", "USER"})
"""Variables that a URL may use and every program needs."""


def taken_from_tests(decision: Decision, services: Sequence[Service], wishes: Wishes) -> frozenset[str]:
    """Return the variables that must not reach the tests in mode offline, as they lead to staging; none in other modes.

    Those of which staging's URLs are made, and those in which the tests find a service that nothing stands in for. Only where
    a person asked for offline: where everything is down for now, a missing variable would make an outage look like a bug, and
    the tests could not pass when staging is back in the middle of the run.
    """
    asked = wishes.offline or decision.forced
    if decision.mode is not TestExecutionMode.OFFLINE or not asked:
        return frozenset()
    chosen = _chosen(decision, services)
    kept = {name for service in chosen for name in (*service.local_names, *service.exports)}
    names = {name for service in services for name in (*service.url_names, *service.local_names, *service.exports)}
    return frozenset(names - kept - _EVERYBODYS)


def staging_exports(
    decision: Decision,
    health: InfrastructureHealth,
    told: Planning,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """Return staging's own values of the exports: of all services in mode full, else of those that are used where they are.

    A service that is stood in for has its stand-in's values, and one whose tests are held back none; in mode offline
    nothing leads to staging. Only where [runbook] staging_exports asks for it, since many suites flush or truncate what they
    are given; never over a variable that the shell has, also an empty one; and never the address of a host that must not be
    tested against.
    """
    if not told.staging_exports or decision.mode is TestExecutionMode.OFFLINE:
        return {}
    elsewhere = {*decision.stand_ins, *decision.held}
    denied = {result.name for result in health.services if result.fault is FaultCode.DENIED_HOST}
    return {
        name: value.reveal()
        for service in told.services
        if service.name not in denied | elsewhere
        for name, value in service.staging_exports.items()
        if name not in environ
    }


def staging_notes(
    decision: Decision,
    health: InfrastructureHealth,
    told: Planning,
    environ: Mapping[str, str],
) -> tuple[str, ...]:
    """Say which of staging's values the tests get, masked, and which of them the shell has of its own."""
    everything = staging_exports(decision, health, told, {})
    given = staging_exports(decision, health, told, environ)
    redactor = Redactor(told.secrets)
    shown = [f"{name}={_change(name, None, value, redactor).after}" for name, value in sorted(given.items())]
    kept = sorted(set(everything) - set(given))
    notes = [f"the tests get staging's own values ([runbook] staging_exports): {', '.join(shown)}"] if shown else []
    if kept:
        notes.append(
            f"as your shell has {'it' if len(kept) == 1 else 'them'}, whatever staging_exports says: {', '.join(kept)}"
        )
    return tuple(notes)


def child_environment(
    environ: Mapping[str, str], values: Mapping[str, str], taken: Collection[str] = ()
) -> dict[str, str]:
    """Return the environment of the team's commands: the caller's own without `taken`, with what `apply` wrote on top."""
    return {name: value for name, value in environ.items() if name not in taken} | dict(values)


def _chosen(decision: Decision, services: Sequence[Service]) -> list[Service]:
    return [service for service in services if service.name in decision.stand_ins]


def _planned(service: Service, health: InfrastructureHealth, redactor: Redactor) -> PlannedStandIn:
    found = next((available for available in health.stand_ins if available.service == service.name), None)
    return PlannedStandIn(
        service=service.name,
        type=service.type,
        provider=found.provider if found else "",
        local=redactor.text(service.local.reveal()),
        start=redactor.text(_own(service, found.provider if found else "")),
        prepare=tuple(redactor.text(command) for command in service.prepare),
        ready_query=redactor.text(service.ready_query),
    )


def _own(service: Service, provider: str) -> str:
    """Return what the team's own stand-in is started from; empty where its container is passed over for another provider."""
    own = service.own
    if own.contained:
        composed = f"docker compose -f {own.compose_file} up {own.compose_service}"
        return {"image": own.image, "compose": composed}.get(provider, "")
    return own.command


def _change(name: str, before: str | None, after: str, redactor: Redactor) -> EnvChange:
    """Return a variable's change with its secret values masked.

    `secret` says that a mask stands there. A value is masked whole where the variable's name says so, and in part
    where it holds a known secret, as a URL with a password does.
    """

    def shown(value: str | None) -> str | None:
        return None if value is None else "***" if looks_secret(name) and value else redactor.text(value)

    return EnvChange(name=name, before=shown(before), after=shown(after), secret=shown(after) != after)


def files_written(places: Places) -> tuple[str, ...]:
    """Return the names, relative to the root, of the files that applying writes."""
    return tuple(places.shown(path) for path in places.env_files)


def words_to_note(files: Sequence[str]) -> str:
    return f"note what {listing(files)} {'holds' if len(files) == 1 else 'hold'} now, so that it can be put back to the byte"


def words_to_start(stand_in: PlannedStandIn, kind: Kind) -> str:
    what = "mock" if kind.is_mocked else f"local {kind.name}"
    prepared = f", then prepare it: {'; '.join(stand_in.prepare)}" if stand_in.prepare else ""
    if stand_in.start:
        own = "from its own image" if stand_in.provider == "image" else "by its own command"
        return f"start {stand_in.service} at {stand_in.local} {own}: {stand_in.start}{prepared}"
    return f"start or prove the {what} for {stand_in.service} at {stand_in.local}{prepared}"


def words_to_write(count: int, file: str) -> str:
    return f"write {plural(count, 'variable')} to {file}"


def _steps(
    stand_ins: Sequence[PlannedStandIn], chosen: Sequence[Service], changes: Sequence[EnvChange], files: Sequence[str]
) -> tuple[str, ...]:
    """The words that applying says as it begins each step."""
    if not changes:
        return (NOTHING,)
    return (
        words_to_note(files),
        *(words_to_start(stand_in, service.kind) for stand_in, service in zip(stand_ins, chosen, strict=True)),
        *(words_to_write(len(changes), file) for file in files),
    )


def _undo(stand_ins: Sequence[PlannedStandIn], changes: Sequence[EnvChange], files: Sequence[str]) -> tuple[str, ...]:
    if not changes:
        return ()
    undo = [f"resilience restore: put {listing(files)} back to the byte (no database of staging is touched)"]
    if stand_ins:
        undo.append(f"stop the stand-ins started here: {listing([stand_in.service for stand_in in stand_ins])}")
    undo.append('shells that ran eval "$(resilience env)": eval "$(resilience env --unset)"')
    return tuple(undo)


def _by_hand(
    chosen: Sequence[Service], changes: tuple[EnvChange, ...], places: Places, profile: Path | None
) -> tuple[str, ...]:
    """The same in commands a person can type without this tool; secrets are named, not shown.

    It is what somebody types at three in the morning when this tool itself is broken: compose, a copy of the profile,
    and the shell's own `set -a`.
    """
    if not changes:
        return ()
    lines = []
    target = places.shown(places.env_file)
    if profile:
        source = places.shown(profile)
        lines += [f"test ! -e {target} || cp -p {target} {target}.before", f"cp {source} {target}"]
    lines.append(f"set -a; . ./{target}; set +a" if not target.startswith("/") else f"set -a; . {target}; set +a")
    # After the variables, as the compose file asks for passwords.
    own = [service.own for service in chosen if service.own.compose_service]
    lines += [f"docker compose -f {one.compose_file} up -d --wait {one.compose_service}" for one in own]
    ours = (service.kind.doubles for service in chosen if not service.own.contained and not service.own.command)
    if any(doubles and doubles.compose for doubles in ours):
        lines.append("docker compose -f docker/docker-compose.local.yml up -d --wait")
    return tuple(lines)


def _notes(decision: Decision, modes: ModeSettings | None) -> tuple[str, ...]:
    notes = []
    if decision.blocked:
        notes.append("tests are blocked: TEST_SKIP_ON_INFRASTRUCTURE_FAILURE=false runs and reports them all the same")
    if not modes or not modes.commands:
        notes.append(
            f"no test command is configured for mode {decision.mode.value}: [modes.{decision.mode.value}] commands"
        )
    return tuple(notes)


def unwell(health: InfrastructureHealth) -> tuple[str, ...]:
    """Return the names of services that are not available, degraded ones included."""
    return health.named(ConnectivityStatus.UNAVAILABLE, ConnectivityStatus.UNKNOWN, ConnectivityStatus.DEGRADED)
