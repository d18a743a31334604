"""A test run exits by what it proved."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.kits.small_staging import SmallStaging
from tests.kits.testrun_kit import wait_until
from tests.kits.typing_in import Type, runs


@pytest.mark.parametrize(
    ("status", "tests", "code", "verdict"),
    [
        (200, "assert True", 0, "passed"),
        (200, "assert 1 == 2", 1, "product_failures"),
        (503, "assert True", 20, "infrastructure_unavailable"),
    ],
)
def test_test_exits_by_what_it_proved(
    type_in: Type, team: Path, staging: SmallStaging, status: int, tests: str, code: int, verdict: str
) -> None:
    staging.status = status
    (team / "tests" / "test_shop.py").write_text(f"def test_one():\n    {tests}\n")
    said = type_in("test")
    assert said.code == code, said.out + said.err
    assert "STAGING: " in said.out
    assert "TESTS: " in said.out
    (folder,) = runs(team)
    document = json.loads(folder.read_text())
    assert (document["verdict"], document["exit_code"]) == (verdict, code)


def test_test_json_has_the_keys_of_the_contract_and_the_tests_own_output_goes_to_stderr(
    type_in: Type, team: Path
) -> None:
    said = type_in("test", "--json")
    document = said.json
    assert set(document) >= {"schema", "mode", "duration_s", "exit_code", "commands", "totals", "tests"}
    assert set(document["commands"][0]) >= {"command", "kind", "exit_code", "duration_s", "rounds"}
    assert set(document["tests"][0]) >= {
        *("id", "outcome", "rounds", "duration_s", "fault", "service", "suspect", "message"),
    }
    assert document["totals"]["passed"] == len(document["tests"]) == 2
    assert "2 passed" in said.err


def test_a_command_after_two_dashes_is_run_as_typed(type_in: Type, team: Path) -> None:
    (team / "a b.py").write_text("import sys; print(sys.argv[1:]); sys.exit(4)")
    said = type_in("test", "--exit-code", "original", "--", sys.executable, "a b.py", "--json", "x  y", "$HOME")
    assert said.code == 4, said.out + said.err
    assert "['--json', 'x  y', '$HOME']" in said.out


def test_a_command_that_is_not_there_is_no_product_failure(type_in: Type, team: Path) -> None:
    said = type_in("test", "--", "no-such-binary", "-v")
    assert said.code == 2
    assert "resilience: the test command 'no-such-binary -v' was not found" in said.err
    (record,) = runs(team)
    assert json.loads(record.read_text())["verdict"] == "runbook_failed"
    assert type_in("test", "--exit-code", "original", "--", "no-such-binary").code == 127


def test_a_path_that_is_no_command_is_refused_with_what_to_type(type_in: Type, team: Path) -> None:
    type_in("test", "tests/test_shop.py", "-q").complains(
        "tests/test_shop.py is no command", "Hint: resilience test -- pytest tests/test_shop.py -q"
    )
    assert not runs(team)


def test_mode_without_commands_says_what_to_type(type_in: Type, team: Path) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace("[modes.full]\ncommands", "[modes.offline]\ncommands"))
    said = type_in("test")
    assert said.code == 2
    assert "[modes.full] commands" in said.err
    assert "resilience test -- pytest tests/" in said.err
    assert "running" not in {json.loads(path.read_text())["verdict"] for path in runs(team)}


def test_a_typed_command_runs_where_it_was_typed_and_a_configured_one_at_the_root(
    type_in: Type, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = team / "apps" / "shop"
    inner.mkdir(parents=True)
    (inner / "test_here.py").write_text("def test_here(): pass\n")
    monkeypatch.chdir(inner)
    typed = type_in(
        "test", "--json", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_here.py"
    )
    assert typed.code == 0, typed.err
    assert [test["id"] for test in typed.json["tests"]] == ["apps/shop/test_here.py::test_here"]
    configured = type_in("test", "--json")
    assert configured.code == 0, configured.err
    assert {test["id"].partition("::")[0] for test in configured.json["tests"]} == {"tests/test_shop.py"}


def test_a_typed_command_is_not_narrowed_without_a_word(type_in: Type, team: Path) -> None:
    """The mode, its markers and how to run all of it stand before the run on stderr and in the result."""
    pytest_here = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    said = type_in("test", "--json", "--force", "critical_only", "--", *pytest_here)
    assert said.code == 21, said.err
    words = (
        'mode critical_only runs only the tests marked "critical or mission_critical or golden_path". '
        "All tests of your command: resilience test --force full -- COMMAND; other markers: --select EXPRESSION"
    )
    assert said.err.startswith(words + "\n")
    assert said.json["notes"][0] == f"{words} (left out: 2)"
    for overruled in (("--force", "full"), ("--force", "critical_only", "--select", "not critical")):
        again = type_in("test", "--json", *overruled, "--", *pytest_here)
        assert again.json["totals"]["passed"] == 2, again.err
        assert "runs only the tests marked" not in again.err + again.out
    assert "runs only" not in type_in("test", "--json", "--force", "critical_only").err, "the team's own selection"


def _interrupted(team: Path, number: signal.Signals, *arguments: str) -> tuple[int, str, str]:
    """Type `resilience test` in a process of its own, send the signal once `reached` is there; give what it left."""
    runner = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", "test", *arguments],
        cwd=team, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    try:
        assert wait_until((team / "reached").exists, 60.0)
        runner.send_signal(number)
        out, err = runner.communicate(timeout=60)
    finally:
        runner.kill()
        runner.wait()
    return runner.returncode, out, err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_json_of_an_interrupted_run_is_one_document_with_what_was_known_and_the_record_has_it_too(
    team: Path, staging: SmallStaging, number: signal.Signals, code: int
) -> None:
    (team / "tests" / "test_shop.py").write_text(
        "import pathlib, time\n"
        "def test_one(): pass\n"
        "def test_two(): assert 0\n"
        "def test_three():\n    pathlib.Path('reached').touch()\n    time.sleep(600)\n"
        "def test_four(): pass\n"
    )
    left, out, err = _interrupted(team, number, "--json")
    assert left == code, err
    document = json.loads(out)
    assert (document["exit_code"], document["verdict"]) == (code, "interrupted")
    assert (document["totals"]["passed"], document["totals"]["failed"], len(document["tests"])) == (1, 1, 4)
    (folder,) = runs(team)
    record = json.loads(folder.read_text())
    assert (record["verdict"], record["exit_code"]) == ("interrupted", code)
    assert record["tests"]["totals"] == document["totals"]
    assert record["tests"]["exit_code"] == code


def test_json_of_a_run_interrupted_before_its_first_test_is_one_document_as_well(
    team: Path, staging: SmallStaging
) -> None:
    staging.delay_s = 600.0
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace("timeout_s = 2.0", "timeout_s = 60.0"))
    runner = subprocess.Popen(
        [sys.executable, "-m", "resilience.cli", "test", "--json"],
        cwd=team, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )  # fmt: skip
    try:
        assert staging.asked.wait(60)
        runner.send_signal(signal.SIGINT)
        out, err = runner.communicate(timeout=60)
    finally:
        runner.kill()
        runner.wait()
    assert runner.returncode == 130, err
    document = json.loads(out)
    assert (document["exit_code"], document["verdict"], document["tests"]) == (130, "interrupted", [])


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tests/test_shop.py::nope",), 21, "pytest could not start: not found: "),
        (("nope.py",), 21, "pytest could not start: file or directory not found: nope.py (exit code 4)"),
        (("-m", "foo bar"), 21, "pytest could not start: Wrong expression passed to '-m': foo bar"),
        (("--no-such-option",), 21, "pytest could not start: unrecognized arguments: --no-such-option (exit code 4)"),
    ],
)
def test_a_command_that_pytest_refuses_proves_nothing_and_its_words_say_why(
    type_in: Type, team: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    said = type_in("test", "--json", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments)
    assert said.code == code, said.err
    assert words in " ".join(said.json["notes"]), said.json["notes"]
    assert said.json["totals"]["failed"] == said.json["totals"]["error"] == 0


@pytest.mark.parametrize("select", ["()", "critical(x)", "critical or", "a b"])
def test_a_marker_expression_that_is_none_is_refused_before_anything_is_made(
    type_in: Type, team: Path, select: str
) -> None:
    type_in("test", "--select", select).complains(repr(select), "a marker expression was expected", code=2)
    assert not runs(team)


HOSTILE = (
    "two\nlines", 'a "quoted" name', "it's", "<script>alert(1)</script>", "a|pipe`tick`", "]]>", "&amp;", "back\\slash",
    "\x1b[31mred", "\u202eright to left", "@everyone #1 **bold** [link](http://127.0.0.1/)", "```", "<!-- no comment -->",
)  # fmt: skip


def test_hostile_names_of_tests_break_no_document(type_in: Type, team: Path) -> None:
    """As items of a plug-in may be called anything; those that pytest makes of parameters are escaped by it."""
    (team / "conftest.py").write_text(
        "import pytest\n"
        f"NAMES = {HOSTILE!r}\n"
        "class Item(pytest.Item):\n"
        "    def runtest(self): raise ValueError(self.name)\n"
        "class File(pytest.File):\n"
        "    def collect(self):\n"
        "        yield from (Item.from_parent(self, name=name) for name in NAMES)\n"
        "def pytest_collect_file(file_path, parent):\n"
        "    if file_path.suffix == '.items': return File.from_parent(parent, path=file_path)\n"
    )
    (team / "tests" / "all.items").touch()
    (team / "tests" / "test_shop.py").unlink()
    said = type_in("test", "--json")
    assert said.code == 1, said.err
    document = said.json
    assert document["totals"]["failed"] == len(document["tests"]) == len(HOSTILE)
    (record,) = runs(team)
    assert json.loads(record.read_text())["tests"]["totals"] == document["totals"]
    cases = ElementTree.parse(record.parent / "junit.xml").iter("testcase")
    assert sum(1 for case in cases if case.find("failure") is not None) == len(HOSTILE)
    page = (record.parent / "report.html").read_text()
    assert "<script>alert" not in page
    assert "<!-- no comment" not in page
    pages = list(record.parent.glob("*.md"))
    assert pages
    for path in pages:
        text = path.read_text()
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\nlines" not in text, "a name that goes on in a line of its own"
        outside = re.sub(r"(?ms)^(`{3,})[^\n]*\n.*?^\1$", "", text)
        outside = re.sub(r"(?s)(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
        for sign in ("<script>", "@everyone", "**bold**", "[link]("):
            assert sign not in outside, (path.name, sign)
