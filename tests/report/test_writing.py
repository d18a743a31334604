"""resilience.report.writing: a secret in a file of a run is found."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import SecretLeakError
from resilience.core.redact import Redactor
from resilience.report import render
from resilience.report.writing import check, publish
from tests.kits import incident_factory as factory


def test_check_looks_into_every_file_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("fine")
    assert len(check(tmp_path, Redactor(["hunter2-secret"]))) == 1
    (tmp_path / "notebooks" / "01.ipynb").write_text(json.dumps({"cells": ["x" * 50, "hunter2-secret"]}))
    with pytest.raises(SecretLeakError, match=r"notebooks/01\.ipynb: a secret stands at byte \d+"):
        check(tmp_path, Redactor(["hunter2-secret"]))


def test_the_disk_is_waited_for_a_few_times_however_many_tests_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20,000 tests 20,000 files were waited for one by one: a third of the report's time."""
    story = factory.drill()
    assert story.incident.tests is not None
    base = story.incident.tests.tests
    tests = tuple(replace(base[n % len(base)], id=f"tests/test_{n}.py::test_{n}") for n in range(400))
    incident = replace(story.incident, tests=replace(story.incident.tests, tests=tests))
    waits: list[int] = []
    monkeypatch.setattr(os, "fsync", waits.append)
    render(incident, story.samples, tmp_path, redactor=Redactor(), charts=False)
    assert len(list((tmp_path / "allure-results").glob("*-result.json"))) >= 350
    assert 5 <= len(waits) <= 20


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("content", ["a hunter2-secret", b"a hunter2-secret", ("a hunter2", "-secret")])
def test_a_secret_is_refused_in_whatever_way_it_comes(
    tmp_path: Path, content: str | bytes | tuple[str, ...], durable: bool
) -> None:
    with pytest.raises(SecretLeakError, match="a secret stands at byte 2"):
        publish(tmp_path / "a.txt", content, Redactor(["hunter2-secret"]), durable=durable)
    assert list(tmp_path.iterdir()) == []
