"""resilience.report.exports.samples: each sample once, and no cell that a spreadsheet would run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import SecretLeakError
from resilience.core.redact import Redactor
from resilience.report.series import Columns
from resilience.report.writing import publish
from tests.kits import incident_factory as factory


def test_samples_csv_has_each_sample_once_and_no_formula() -> None:
    story = factory.drill()
    odd = replace(story.samples[0], service='=cmd|"x"!A1, y')
    rows = "".join(Columns.of([*story.samples, odd]).csv()).splitlines(keepends=True)
    assert len(rows) == len(story.samples) + 2
    assert '"\'=cmd|""x""!A1, y"' in rows[-1]
    assert rows[1].startswith("2026-11-22T20:41:03.")


def test_a_password_of_digits_does_not_refuse_the_samples_but_one_in_a_name_does(tmp_path: Path) -> None:
    story = factory.drill()
    digits = f"{story.samples[7].at:%f}"
    columns = Columns.of(story.samples)
    assert digits in "".join(columns.csv())
    path = publish(tmp_path / "samples.csv", columns.csv(), Redactor([digits]), texts=columns.texts())
    assert digits in path.read_text()
    named = Columns.of([*story.samples, replace(story.samples[0], service="of Xq-9z!Kw7")])
    with pytest.raises(SecretLeakError, match=r"samples.csv: a secret stands at byte \d{4}"):
        publish(path, named.csv(), Redactor(["Xq-9z!Kw7"]), texts=named.texts())
