"""What the code knows of each kind of service stays as it was, but for what a commit changes on purpose."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from resilience.core.settings import Service
from tests.frozen import differences
from tests.kinds_matrix import KEYS, matrix

FROZEN = Path(__file__).parent / "data" / "kinds.txt"


def test_the_matrix_of_kinds_is_the_frozen_one() -> None:
    said = differences(FROZEN, matrix(), "tests.kinds_matrix")
    assert not said, said


def test_every_key_of_a_service_is_tried_with_every_kind() -> None:
    elsewhere = {
        "name",
        "kind",
        "options",
        "url",
        "local",
        "exports",
        "depends_on",
        "own",  # of any kind: its keys are those of tests/settings/test_own.py
        "providers",
    }  # what every sample has, or names another service
    worked_out = {
        *("unset", "url_names", "local_unset", "local_names", "local_values"),
        *("port_wish", "staging_exports"),
    }
    assert {field.name for field in fields(Service)} == set(KEYS) | elsewhere | worked_out


def test_a_change_is_shown_by_its_line_and_by_what_to_type(tmp_path: Path) -> None:
    old = tmp_path / "kinds.txt"
    old.write_text("=== redis\n  port 6379\n  driver yes\n")
    said = differences(old, "=== redis\n  port 6380\n  driver yes\n", "tests.kinds_matrix")
    assert "-  port 6379\n+  port 6380\n" in said
    assert "python -m tests.kinds_matrix > tests/data/kinds.txt" in said
    assert differences(old, old.read_text(), "tests.kinds_matrix") == ""
