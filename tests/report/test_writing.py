"""resilience.report.writing: a secret in a file of a run is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resilience.core.errors import SecretLeakError
from resilience.core.redact import Redactor
from resilience.report.writing import check


def test_check_looks_into_every_file_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("fine")
    assert len(check(tmp_path, Redactor(["hunter2-secret"]))) == 1
    (tmp_path / "notebooks" / "01.ipynb").write_text(json.dumps({"cells": ["x" * 50, "hunter2-secret"]}))
    with pytest.raises(SecretLeakError, match=r"notebooks/01\.ipynb: a secret stands at byte \d+"):
        check(tmp_path, Redactor(["hunter2-secret"]))
