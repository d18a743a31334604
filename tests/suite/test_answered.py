"""What stand-ins answered is said in one sentence, the weakest answers last."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resilience.core.records import Outcome, StandIn, TestExecutionMode, TestOutcome, TestSuiteResult
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.host import under_way
from resilience.report.exports.junit import junit
from resilience.services.mocking import Config, Mock
from resilience.services.registry import KINDS
from resilience.stand_ins import usage
from resilience.stand_ins.mocks import Mocks
from resilience.suite.answered import told
from tests.kits.testrun_kit import by_id, run, settings, write


def outcome(id: str, of: Outcome, **answered: int) -> TestOutcome:
    return TestOutcome(id=id, outcome=of, answered_by=answered)


def test_answers_are_counted_by_where_they_were_had_and_passes_on_an_echo_are_named() -> None:
    tests = (
        outcome("a", Outcome.PASSED, recorded=1200, miss=1),
        outcome("b", Outcome.PASSED, echo=2),
        outcome("c", Outcome.STAND_IN_GAP, echo=1, synthetic=3),
        outcome("d", Outcome.PASSED),
    )
    assert told(tests) == (
        "the mocks answered the tests 1,207 times: 1,200 recorded, 3 synthetic, 3 echo, 1 miss; "
        "1 test passed on an echo, which says nothing of staging",
    )


def test_where_no_mock_answered_nothing_is_said() -> None:
    assert told((outcome("a", Outcome.PASSED), outcome("b", Outcome.FAILED))) == ()


SUITE = """
import os, urllib.error, urllib.request
import pytest

def get(path):
    with urllib.request.urlopen(os.environ["BACKEND_URL"] + path) as answer:
        return answer.read()

@pytest.fixture(scope="module")
def shared():
    get("/echo?by=fixture")
    yield
    get("/echo?by=teardown")

def test_well(): get("/health")
def test_echoed(shared): assert b"mock" in get("/echo")
def test_wrong(): assert get("/echo") == b"three orders"
def test_missed():
    with pytest.raises(urllib.error.HTTPError):
        get("/orders")
def test_alone(): pass
"""


async def suite(root: Path, out: Path, *commands: str) -> TestSuiteResult:
    """Run the suite on a real mock of the backend."""
    write(root, test_a=SUITE)
    notes = root / "notes"
    under_way.begin(notes)
    async with Mocks(
        Config(services=(Mock(name="backend_api", kind="backend"),), token="t", under_way=str(notes))
    ) as mocks:
        port = mocks.mock("backend_api").port
        made = settings(root, {})
        local = Secret(f"http://127.0.0.1:{port}")
        service = Service(name="backend_api", kind=KINDS["http"], local=local)
        standing = StandIn(
            service="backend_api", type="http", provider="mock", endpoint=f"127.0.0.1:{port}", ready=True, started_here=True,
        )  # fmt: skip
        return await run(
            root, out, {}, *commands, made=replace(made, services=(service,)), stand_ins=[standing], attempts=0,
            answers=usage.answers, under_way=notes, env={"BACKEND_URL": f"http://127.0.0.1:{port}"},
            mode=TestExecutionMode.DEGRADED,
        )  # fmt: skip


async def test_each_test_says_what_its_answers_were_and_one_that_was_given_a_miss_is_a_gap(
    root: Path, out: Path
) -> None:
    result = await suite(root, out)
    assert by_id(result) == {
        "test_well": Outcome.PASSED,
        "test_echoed": Outcome.PASSED,
        "test_wrong": Outcome.STAND_IN_GAP,
        "test_missed": Outcome.STAND_IN_GAP,
        "test_alone": Outcome.PASSED,
    }
    found = {test.id.rpartition("::")[2]: dict(test.answered_by) for test in result.tests}
    assert found == {
        "test_well": {},
        "test_echoed": {"echo": 2},
        "test_wrong": {"echo": 1},
        "test_missed": {"miss": 1},
        "test_alone": {"echo": 1},
    }, "what a lasting fixture asks is counted at the test in which it asks"
    assert "4 times" not in " ".join(result.notes)
    assert any("answered the tests 5 times: 4 echo, 1 miss; 2 tests passed on an echo" in note for note in result.notes)
    assert '<property name="answered_by" value="miss=1" />' in junit(result, host="h", run="r")


async def test_what_two_workers_ask_at_one_port_is_nobodys(root: Path, out: Path) -> None:
    result = await suite(root, out, "python -m pytest -q -p no:cacheprovider -n 2")
    assert by_id(result)["test_missed"] is Outcome.PASSED
    assert all(not test.answered_by for test in result.tests)
