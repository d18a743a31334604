"""An assessment fits one screen: the verdict first and again last, one line a service, each sentence once."""

from __future__ import annotations

import cProfile
import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from rich.console import Console

from resilience.core.next_steps import Situation, next_steps
from resilience.core.records import (
    Cause,
    CauseName,
    ConnectivityResult,
    ConnectivityStatus as S,
    Decision,
    FaultCode,
    InfrastructureHealth,
    Notice,
    TestExecutionMode as M,
)
from resilience.core.words import verdict_line
from resilience.show import terminal
from tests.kits.records import AT, health, result

LONG = "gcloud compute networks vpc-access connectors list (state must be READY); from here: ip route get 127.0.0.1; is the VPN on?"
EVIDENCE = "all services of network vpc are lost, and nine others of another network answered at the same time"
CAUSES = (
    Cause(
        cause=CauseName.VPC_CONNECTOR, services=("database", "redis"), evidence=(EVIDENCE,), next=LONG, issue="#1278"
    ),
    Cause(cause=CauseName.SINGLE_SERVICE, services=("llm_service",), evidence=("it alone",), next="ask its owner"),
)
NOTE = "A fallback is applied here: mode degraded, by somebody, since 03:14 UTC (04:14 here), 42 min ago."


def staging(count: int, status: S, *, faults: Sequence[FaultCode | None] = (None,)) -> InfrastructureHealth:
    """So many services of this status, their names as long as names are."""
    one = result("redis", status)
    services = tuple(
        replace(
            one,
            name=f"service_number_{number}",
            critical=number < 2,
            fault=faults[number % len(faults)] or one.fault,
            detail="not set: STAGING_SERVICE_URL" if status is S.NOT_CONFIGURED else "it said so in many words",
            never_reached=status is S.UNAVAILABLE,
        )
        for number in range(count)
    )
    asked = 0 if status is S.NOT_CONFIGURED else count
    return replace(
        health({}, overall=status), services=services, checked=asked, not_configured=count - asked,
        causes=CAUSES if status is S.UNAVAILABLE else (),
    )  # fmt: skip


def decision(services: Sequence[ConnectivityResult], mode: M = M.DEGRADED) -> Decision:
    names = tuple(service.name for service in services)
    return Decision(
        mode=mode,
        reasons=("it is down",),
        decided_at=AT,
        stand_ins=names if mode is not M.FULL else (),
        held={names[0]: "no stand-in"} if mode is not M.FULL else {},
    )


def notices(count: int) -> tuple[Notice, ...]:
    return tuple(
        Notice(
            rule=f"rule_{number}", at=AT, whom="@devops", issue="#1278", label="infrastructure", text="text to paste",
            reason=f"reason {number}: critical services down for 42 minutes (limit 30): database, backend_api",
        )
        for number in range(count)
    )  # fmt: skip


def screen(
    seen: InfrastructureHealth,
    chosen: Decision | None,
    *,
    told: int = 0,
    noted: bool = False,
    size: tuple[int, int] = (80, 24),
) -> list[str]:
    """Return the lines on a terminal of this size."""
    buffer = io.StringIO()
    console = Console(
        file=buffer, width=size[0], height=size[1], force_terminal=True, color_system=None, highlight=False
    )
    steps = next_steps(Situation(staging=seen.overall_status, changes=chosen is not None and chosen.mode is not M.FULL))
    terminal.show_assessment(
        seen, chosen, steps=steps, notices=notices(told), notes=[NOTE] if noted else [], console=console
    )
    return buffer.getvalue().splitlines()


@pytest.mark.parametrize("status", S)
@pytest.mark.parametrize("count", [1, 4, 8])
@pytest.mark.parametrize(("told", "noted"), [(0, False), (4, True)])
def test_up_to_eight_services_fit_a_screen_of_80_by_24(count: int, status: S, told: int, noted: bool) -> None:
    faults = (FaultCode.TCP_TIMEOUT, FaultCode.TLS_TIMEOUT, FaultCode.APP_OVERLOAD, FaultCode.DNS_TIMEOUT)
    seen = staging(count, status, faults=faults if status is S.UNAVAILABLE else (None,))
    chosen = decision(seen.services, M.FULL if status is S.AVAILABLE else M.DEGRADED)
    lines = screen(seen, chosen, told=told, noted=noted)
    assert len(lines) <= 22, "one line for what was typed, one for the next prompt"
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("STAGING: ")
    assert lines[-1] == verdict_line(seen, chosen)
    for service in seen.services:
        assert sum(line.startswith(service.name) for line in lines) == 1, "one line a service"
    assert any(line.startswith("Next: resilience ") for line in lines)
    sentences = [line.strip() for line in lines[:-1] if line.strip()]
    assert len(set(sentences)) == len(sentences), "each sentence once"
    if told:
        assert any(line.startswith("ESCALATE: reason 0") for line in lines)
    if noted:
        assert "A fallback is applied here" in "\n".join(lines)


def test_a_command_to_copy_is_never_cut_or_broken() -> None:
    lines = screen(staging(8, S.UNAVAILABLE), decision(staging(8, S.UNAVAILABLE).services))
    typed = [line.removeprefix("Next: ").strip().split("   ")[0] for line in lines]
    assert [line for line in typed if line.startswith("resilience ")] == [
        *("resilience plan", "resilience apply", "resilience test")
    ]


def test_what_explains_is_left_out_only_where_the_screen_is_too_low() -> None:
    seen = staging(8, S.UNAVAILABLE)
    low, high = (screen(seen, None, told=4, noted=True, size=(80, height)) for height in (24, 60))
    assert "because" not in "\n".join(low)
    for words in (
        "because all services",
        "Never yet reached",
        "Also possible",
        "reason 3",
        "* critical",
        "is the VPN on?",
    ):
        assert words in "\n".join(high)


def test_of_more_than_eight_services_the_well_share_one_line_with_their_number() -> None:
    many = staging(200, S.AVAILABLE)
    sick = replace(result("redis", S.UNAVAILABLE), name="the_sick_one")
    seen = replace(many, services=(*many.services, sick), overall_status=S.DEGRADED)
    lines = screen(seen, None)
    assert len(lines) <= 22
    assert sum(line.startswith("the_sick_one") for line in lines) == 1
    assert sum(line.startswith("● 200 available: service_number_0, ") for line in lines) == 1


@pytest.mark.parametrize("status", [S.NOT_CONFIGURED, S.UNAVAILABLE], ids=lambda status: status.value)
def test_the_work_for_a_screen_grows_with_the_number_of_services_and_not_with_its_square(status: S) -> None:
    """Five thousand of which thirteen were asked took 44 s to show, as each was compared with each."""

    def calls(count: int) -> int:
        found = staging(count, status)
        profile = cProfile.Profile()
        profile.runcall(terminal.show_assessment, found, None, steps=(), console=Console(file=io.StringIO(), width=80))
        return sum(row.callcount for row in profile.getstats())

    calls(20)  # what is loaded on first use counts for neither
    assert calls(800) < 3 * calls(400), "twice as many took nearly four times as much"


def test_elsewhere_than_on_a_terminal_nothing_is_cut_wrapped_or_left_out() -> None:
    seen = staging(8, S.UNAVAILABLE)
    buffer = io.StringIO()
    console = Console(file=buffer, width=80, highlight=False)
    terminal.show_assessment(
        seen,
        decision(seen.services),
        steps=next_steps(Situation(staging=S.UNAVAILABLE)),
        notices=notices(4),
        console=console,
    )
    lines = buffer.getvalue().splitlines()
    assert f"  → {LONG}" in lines
    assert f"  because {EVIDENCE}" in lines
    assert "redis.staging.test:1" in buffer.getvalue(), "wide enough for endpoints"


def test_a_name_with_markup_is_shown_as_it_is() -> None:
    seen = replace(health({}), services=(replace(result("redis", S.UNAVAILABLE), name="[red]x"),))
    assert any(line.startswith("[red]x  ✕ unavailable") for line in screen(seen, None))
