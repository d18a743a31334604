"""The lab runs by hand until its input ends, and leaves nothing."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import pytest

from tests.kits.typing_in import Type


def test_the_lab_takes_lines_until_the_input_ends_and_its_folder_is_gone(
    type_in: Type, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(home))
    monkeypatch.setattr(sys, "stdin", io.StringIO("nonsense\nstatus\n"))
    said = type_in("lab")
    assert said.code == 0, said.err
    assert "staging is up" in said.out
    assert "'nonsense' is not known" in said.out
    assert "healthy" in said.out
    assert not list(home.glob("resilience-lab-*"))


def test_an_unknown_scenario_is_refused_with_what_was_meant(type_in: Type, home: Path) -> None:
    type_in("lab", "helthy").complains('"helthy"', "healthy")
