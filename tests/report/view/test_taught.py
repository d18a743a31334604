"""What the stand-ins knew is told with its age at the time of the tests, its fidelity, and what is wrong with it."""

from __future__ import annotations

from resilience.report.view.taught import taught
from tests.kits import incident_factory as factory
from tests.kits.taught_incident import view


def test_age_fidelity_gaps_and_changes_are_told_of_each_generation() -> None:
    recorded, contract = view().taught
    assert recorded.said == "backend_api taught 2 days ago, fidelity 94 %: 9 gaps, 3 differ"
    assert recorded.what == "traffic: 134 answers of 60 tests"
    assert recorded.wrong == (
        "stale: staging turned bad", "changed since: GET /items: body.total is gone", "gap: GET /gap/0",
    )  # fmt: skip
    assert (contract.what, contract.said) == (
        "contract: 5 operations",
        "backend_api taught 2 days ago",
    )


def test_of_many_gaps_the_first_are_told_and_the_others_counted() -> None:
    recorded, _ = view(gaps=40).taught
    assert len(recorded.wrong) == 7
    assert recorded.wrong[-1] == "and 36 more: resilience taught backend_api"


def test_an_incident_without_taught_stand_ins_tells_nothing() -> None:
    assert taught(factory.drill().incident) == ()
    assert taught(factory.failed().incident) == ()
