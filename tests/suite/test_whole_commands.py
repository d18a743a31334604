"""What a command prints takes the blame from the product only where the runner speaks of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.records import Outcome, Verdict
from resilience.suite.whole_commands import nothing_proven
from tests.kits.testrun_kit import (
    INFRA,
    PYTEST,
    LineServer,
    run,
    write,
)


@pytest.mark.parametrize(
    ("output", "exit_code", "said"),
    [
        ("", 0, ""),
        ("", 1, ""),
        ("", 137, "killed by signal 9 (SIGKILL)"),
        ("", 139, "killed by signal 11 (SIGSEGV)"),
        ("", 255, ""),
        ("  Tests: 1 failed, 3 passed", 137, ""),
        ("> jest --ci\nsh: 1: jest: not found", 127, "a program did not start"),
        ("--- FAIL: TestOrder (0.00s)\nsh: 1: cleanup: not found", 127, ""),
        ("not ok 3 - sums\nUnknown command: x", 1, ""),
        ("/usr/bin/python: No module named pytest", 1, "a program did not start"),
        ("ModuleNotFoundError: No module named 'shop.orders'", 1, ""),
        (
            "py: Exception running subprocess [Errno 2] No such file or directory: 'x'\n  py: FAIL code 2",
            2,
            "a program did",
        ),
        ("b: failed with sh is not allowed, use allowlist_externals to allow it\n  b: FAIL code 1", 1, "a program did"),
        ("ROOT: HandledError| provided environments not found in configuration file:\nx", 254, "the command was used"),
        ("npm error enoent Could not read package.json: Error: ENOENT", 254, "a program did not start"),
        ('npm error Missing script: "tset"', 1, "the command was used wrongly"),
        ('Unknown command: "tset"', 1, "the command was used wrongly"),
        ("make: *** No rule to make target 'tset'.  Stop.", 2, "the command was used wrongly"),
        ("tox: error: unrecognized arguments: --nosuch", 2, "the command was used wrongly"),
        ("AssertionError: error: argument is wrong", 1, ""),
    ],
)
def test_only_what_a_runner_says_of_itself_takes_the_blame_from_the_product(
    output: str, exit_code: int, said: str
) -> None:
    why = nothing_proven(output, exit_code)
    assert why.startswith(said) if said else why == ""


async def test_commands_without_our_plugin_are_judged_by_what_there_is(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, test_a="def test_a(): pass\ndef test_b(): assert 0\n")
    junit = await run(
        root, out, {"database": database}, "python -I -m pytest -q -p no:cacheprovider --junit-xml=report.xml"
    )
    assert junit.commands[0].kind == "junit"
    assert sorted(test.outcome for test in junit.tests) == [Outcome.FAILED, Outcome.PASSED]
    (root / "report.xml").unlink()
    (root / "test_refused.py").write_text("from helpers import hello\ndef test_db(): hello()\n")
    closed = await run(root, out, {"database": database}, "python -I -m pytest -q -p no:cacheprovider")
    assert (closed.commands[0].kind, closed.exit_code) == ("other", 1), "its bug must not hide behind a phrase"
    assert "our plug-in did not enter" in closed.commands[0].evidence
    other = await run(root, out, {"database": database}, "echo 'Connection Refused'; exit 3", "echo fine")
    assert [command.kind for command in other.commands] == ["other", "other"]
    assert other.commands[0].outcome is INFRA, "the phrase, and a probe that finds a service down"
    assert other.exit_code == 20
    green = await run(root, out, {"database": database.up()}, "echo 'Connection Refused'; exit 3")
    assert green.commands[0].outcome is Outcome.FAILED


UNITTEST = """
import os, socket, unittest
class Cart(unittest.TestCase):
    def test_cart(self):
        port = int(os.environ["DB_PORT"])
        try: socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as exc: raise ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', %d)" % port) from exc
    def test_fine(self): pass
    def test_vat(self): assert 119 == VAT
"""


@pytest.mark.parametrize("vat", [119, 121])
async def test_unittest_is_judged_test_by_test_and_run_again_when_the_service_is_back(
    root: Path, out: Path, database: LineServer, vat: int
) -> None:
    write(root, test_cart=UNITTEST.replace("VAT", str(vat)))
    away = await run(root, out / "away", {"database": database}, "python -m unittest", attempts=0)
    names = {test.id: test.outcome for test in away.tests}
    assert names["test_cart.Cart.test_cart"] is INFRA
    assert names.get("test_cart.Cart.test_vat") is (Outcome.FAILED if vat == 121 else None)
    assert away.exit_code == (1 if vat == 121 else 20)
    assert away.commands[0].service == (None if vat == 121 else "database")

    back = await run(
        root, out / "back", {"database": database}, "python -m unittest", wait_for_services_s=20,
        hook=lambda number: (number >= 3 and database.up(), None)[1],
    )  # fmt: skip
    assert (back.exit_code, back.commands[0].rounds) == (1 if vat == 121 else 0, 2)


async def test_a_script_beside_a_dead_service_proves_nothing_and_on_a_healthy_day_it_is_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root)
    dead = await run(root, out / "dead", {"database": database}, "echo checking; exit 1", attempts=0)
    assert (dead.exit_code, dead.verdict) == (21, Verdict.UNKNOWN)
    assert "database was down" in dead.commands[0].evidence
    own = await run(root, out / "own", {"database": database}, "echo 'not ok 1 - adds VAT'; exit 1", attempts=0)
    assert own.exit_code == 1, "a failure of its own, without a sign"
    well = await run(root, out / "well", {"database": database.up()}, "echo checking; exit 1", attempts=0)
    assert well.exit_code == 1


async def test_the_blamed_service_is_the_one_whose_address_was_refused(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root)
    other = LineServer()
    servers = {"backend_api": other, "database": database}
    command = f"echo 'Error: connect ECONNREFUSED 127.0.0.1:{database.port}'; exit 1"
    result = await run(root, out, servers, command, attempts=0)
    assert (result.exit_code, result.commands[0].service) == (20, "database")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("python -c 'import os; os.kill(os.getpid(), 9)'", "killed by signal 9 (SIGKILL) before a first test"),
        ("sh -c 'kill -9 $$'; exit $?", "killed by signal 9 (SIGKILL) before a first test"),
        ("no-such-runner --ci", "a program did not start (exit code 127: not found)"),
        ("python -I no_such_file.py", "a program did not start (exit code 2): "),
        (
            "python -c 'import argparse; argparse.ArgumentParser().parse_args()' --no",
            "the command was used wrongly (exit",
        ),
        (
            "echo 'npm error Missing script: \"test\"'; exit 1",
            "the command was used wrongly (exit code 1): npm error Missing",
        ),
    ],
)
async def test_a_command_that_could_not_work_proves_nothing_and_says_why(
    root: Path, out: Path, database: LineServer, command: str, said: str
) -> None:
    write(root)
    result = await run(root, out, {"database": database.up()}, command)
    assert result.commands[0].outcome is Outcome.NOT_RUN
    assert result.commands[0].evidence.startswith(said)
    assert (result.exit_code, result.verdict) == (21, Verdict.UNKNOWN)
    assert any(said in note for note in result.notes)


async def test_a_pytest_killed_before_its_first_event_proves_nothing(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root, killer="import os\nos.kill(os.getpid(), 9)\n", test_a="def test_a(): pass\n")
    result = await run(root, out, {"database": database.up()}, f"{PYTEST} -p killer")
    assert (result.exit_code, result.commands[0].exit_code) == (21, 137)
    assert "killed by signal 9" in result.commands[0].evidence


async def test_a_command_that_says_no_more_than_exit_1_while_all_is_well_is_the_products(
    root: Path, out: Path, database: LineServer
) -> None:
    write(root)
    result = await run(root, out, {"database": database.up()}, "echo checking; exit 1")
    assert (result.exit_code, result.verdict) == (1, Verdict.PRODUCT_FAILURES)
