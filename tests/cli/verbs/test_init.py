"""A repository is looked at, and written to only where that was asked for."""

from __future__ import annotations

from pathlib import Path

from tests.kits.repository import put, with_tests
from tests.kits.typing_in import Type


def test_without_a_terminal_only_what_would_be_written_is_shown(type_in: Type, home: Path) -> None:
    put(with_tests(home) / ".env", "REDIS_URL=redis://r\nCELERY_BROKER_URL=sqs://b\n")
    said = type_in("init")
    assert said.code == 0
    assert "  question: CELERY_BROKER_URL (.env) is sqs://" in said.out
    assert "  found: " in said.out
    assert "resilience.toml would say:" in said.out
    assert "[[service]]" in said.out
    assert said.out.endswith("Nothing was written. To write it: resilience init --write\n")
    assert not (home / "resilience.toml").exists()
    assert not (home / ".resilience").exists()


def test_asked_to_it_writes_and_says_what_and_what_is_next(type_in: Type, home: Path) -> None:
    with_tests(home)
    said = type_in("init", "--write")
    assert said.code == 0
    assert "Wrote " in said.out
    assert said.out.endswith("Next: resilience doctor\n")
    assert (home / "resilience.toml").is_file()
    again = type_in("init", "--write")
    assert again.code == 2
    assert "is there already, nothing was written" in again.err
