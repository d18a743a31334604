"""No kill, signal, full disk or jumping clock leaves two outputs that differ, a process, a changed file or a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos import attacks
from tests.chaos.attacks import (
    JUMPS,
    SIGNALS,
    SIZES_KB,
    Tried,
    clock_jumps,
    faketime,
    full_disk,
    lasting,
    signalled,
    table,
)

MOMENTS = range(1, 9)
"""Eight of each of five signals; `make chaos` draws more."""


@pytest.fixture(scope="module")
def lasts() -> dict[str, float]:
    return lasting()


@pytest.fixture
def where() -> Iterator[Path]:
    with attacks.somewhere() as folder:
        yield folder


@pytest.mark.slow
@pytest.mark.parametrize("seed", MOMENTS)
@pytest.mark.parametrize("name", SIGNALS)
def test_a_signal_at_any_moment_leaves_one_truth_and_nothing_else(
    where: Path, lasts: dict[str, float], name: str, seed: int
) -> None:
    tried = signalled(where, name, seed, lasts)
    assert tried.wrong == (), tried.detail


@pytest.mark.slow
@pytest.mark.parametrize("size_kb", SIZES_KB)
def test_a_disk_that_fills_leaves_one_truth_and_nothing_else(where: Path, size_kb: int) -> None:
    tried = full_disk(where, size_kb)
    assert tried.wrong == (), tried.detail


@pytest.mark.slow
@pytest.mark.skipif(not faketime(), reason="libfaketime is not installed")
@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_jumps_leaves_one_truth(where: Path, jump: str) -> None:
    tried = clock_jumps(where, jump, faketime())
    assert tried.wrong == (), tried.detail


def test_the_table_counts_what_was_tried_and_names_what_was_wrong() -> None:
    told = table([Tried(attack="SIGKILL", detail="seed 1"), Tried(attack="SIGKILL", detail="seed 2", wrong=("this",))])
    assert told.splitlines()[1].split() == ["SIGKILL", "2", "1"]
    assert told.endswith("SIGKILL, seed 2: this")
