"""Why a test was judged so can be asked for afterwards."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from resilience.core.records import Outcome, TestExecutionMode, TestOutcome, TestSuiteResult, TestTotals
from resilience.runs.folder import RunFolder
from tests.kits.run_kit import settings_of
from tests.kits.small_staging import SmallStaging
from tests.kits.typing_in import Type

TEST = """
import os, urllib.request
def test_backend(): urllib.request.urlopen("http://127.0.0.1:%d/orders", timeout=2).read()
def test_pure(): assert 1 == 2
"""


def test_the_evidence_of_a_test_names_rule_sign_endpoint_and_looks(
    type_in: Type, team: Path, staging: SmallStaging
) -> None:
    (team / "test_it.py").write_text(TEST % staging.port)
    staging.status = 503
    said = type_in("test", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert said.code == 1, said.out + said.err
    told = type_in("why", "test_backend")
    assert told.code == 0
    for part in (
        "by rule 11",
        "urllib.error.HTTPError: app_overload",
        f"127.0.0.1:{staging.port}",
        "look during",
        "unwell",
    ):
        assert part in told.out, told.out
    assert "by rule 16" in type_in("why", "test_it.py::test_pure").out
    document = json.loads(type_in("why", "test_backend", "--json").out)
    assert [evidence["rule"] for evidence in document["tests"][0]["evidence"]][:1] == [11]


def test_a_test_that_is_not_there_is_refused_with_the_nearest(type_in: Type, team: Path) -> None:
    assert type_in("test").code in (0, 1, 10, 20, 21)
    said = type_in("why", "no-such-test")
    assert (said.code, "is not in run" in said.err) == (2, True)


def test_an_undecided_test_is_told_first_by_what_it_came_to_on_recovered_staging(type_in: Type, team: Path) -> None:
    def suite(outcome: Outcome) -> TestSuiteResult:
        return TestSuiteResult(
            mode=TestExecutionMode.FULL, started_at=datetime.now(UTC), duration_s=1.0, exit_code=20, commands=(),
            totals=TestTotals(), tests=(TestOutcome(id="a.py::test_cart", outcome=outcome),),
        )  # fmt: skip

    run = RunFolder.create(settings_of(team))
    run.save(tests=suite(Outcome.UNDECIDED), full_tests=suite(Outcome.FAILED))
    lines = type_in("why", "test_cart").out.splitlines()
    assert lines[0] == "a.py::test_cart: failed (the product's)"
    assert "a.py::test_cart: undecided (settled since, on recovered staging: failed, the product's)" in lines
