"""resilience.show.notebook.phases: what was not finished is shown, and no service is hidden."""

from __future__ import annotations

from resilience.core.records import (
    ConnectivityStatus,
    Phases,
)


def test_the_waterfall_shows_what_was_not_finished_and_hides_no_service() -> None:
    from dataclasses import replace

    from resilience.show.notebook import phases_view
    from tests.kits.records import health

    seen = health({"database": ConnectivityStatus.UNAVAILABLE, "clickhouse": ConnectivityStatus.NOT_CONFIGURED})
    services = tuple(
        replace(r, phases=Phases(tcp_s=0.002, query_s=0.006)) if r.name == "redis" else r for r in seen.services
    )
    html = phases_view(replace(seen, services=services))
    assert "tcp not finished after 5.0 s" in html
    assert "tcp 2 ms" in html
    assert "query 6 ms" in html
    assert all((r.name in html) == (r.name != "clickhouse") for r in services)
    assert phases_view(replace(seen, services=())) == ""
