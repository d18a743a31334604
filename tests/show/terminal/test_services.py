"""resilience.show.terminal.services: the verdict first, each unwell service with what it said and what to type."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import ConnectivityStatus as S, FaultCode
from resilience.show import terminal
from tests.kits.printed import printed
from tests.kits.records import health, result
from tests.kits.shown import CAUSES


def test_the_headlines_stand_first_and_every_service_has_its_row() -> None:
    seen = health({"redis": S.DEGRADED, "clickhouse": S.NOT_CONFIGURED})
    text = printed(lambda console: terminal.show_health(seen, None, console=console))
    assert text.startswith("STAGING: DEGRADED")
    for service in seen.services:
        assert service.name in text
    assert "* critical" in text


def test_what_is_unwell_says_what_it_found_and_what_to_type() -> None:
    down = replace(
        result("redis", S.UNAVAILABLE, FaultCode.TCP_REFUSED),
        detail="nothing listens on [there]",
        hint="nc -vz host 6379",
        owner="team cache",
        never_reached=True,
    )
    seen = replace(health({}), services=(down,))
    text = printed(lambda console: terminal.show_health(seen, None, console=console))
    assert "redis: nothing listens on [there]" in text
    assert "→ nc -vz host 6379" in text
    assert "→ owner team cache" in text
    assert "never yet reached from this host" in text


def test_one_cause_is_named_with_what_speaks_against_it_and_the_others_in_one_line() -> None:
    text = printed(lambda console: terminal.show_health(replace(health({}), causes=CAUSES), None, console=console))
    assert text.count("Cause: ") == 1
    assert "Cause: VPC connector" in text
    assert "· against it: it does not explain [redis]" in text
    assert "Also possible: DNS resolver (clickhouse); this service alone (redis, websocket)\n" in text


def test_what_is_well_says_nothing_more() -> None:
    text = printed(lambda console: terminal.show_health(health({}), None, console=console))
    assert "→" not in text
