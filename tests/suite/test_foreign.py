"""JUnit files that other runners leave are read as tests; what is none is passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resilience.core.records import Outcome
from resilience.suite.foreign import find_junit, read_junit

JUNIT = """<testsuites><testsuite name="s">
<testcase classname="shop" name="a" time="0.5"/>
<testcase classname="shop" name="b"><failure message="bad">trace</failure></testcase>
<testcase classname="shop" name="c"><error message="none"/></testcase>
<testcase classname="shop" name="d"><skipped/></testcase>
<testcase classname="shop" name="b"/>
</testsuite></testsuites>"""


def test_each_test_is_read_once_with_its_worst_outcome_and_the_text_of_its_failure(tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(JUNIT)
    found = {test.id: (test.outcome, text) for test, text in read_junit(path)}
    assert found == {
        "shop::a": (Outcome.PASSED, ""),
        "shop::b": (Outcome.FAILED, "trace\nbad"),
        "shop::c": (Outcome.ERROR, "none"),
        "shop::d": (Outcome.SKIPPED, ""),
    }


@pytest.mark.parametrize("text", ["", "<testsuite", "{}", "<html></html>", JUNIT[:100]])
def test_a_file_that_is_cut_or_no_junit_holds_no_test(tmp_path: Path, text: str) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(text)
    assert read_junit(path) == ()


def test_a_file_that_the_command_names_goes_before_the_usual_ones_and_an_old_one_is_none(tmp_path: Path) -> None:
    for name in ("junit.xml", "out.xml", "old.xml"):
        (tmp_path / name).write_text(JUNIT)
    os.utime(tmp_path / "old.xml", (1.0, 1.0))
    newer = (tmp_path / "out.xml").stat().st_mtime
    assert find_junit("jest --outputFile=out.xml", tmp_path, newer_than=newer) == (tmp_path / "out.xml",)
    assert find_junit("npm test", tmp_path, newer_than=newer) == (tmp_path / "junit.xml",)
    assert find_junit("x --junit-xml old.xml", tmp_path, newer_than=newer) == (tmp_path / "junit.xml",)
