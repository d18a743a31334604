"""Each test's name is a claim about which files of a repository are looked at."""

from __future__ import annotations

from pathlib import Path

from resilience.home.walk import LARGEST, Files
from tests.kits.repository import put


def test_environments_packages_and_examples_of_others_are_no_files_of_the_team(repository: Path) -> None:
    put(repository / "app/settings.py", "A = 1\n")
    put(repository / ".envs/.local/.django", "A=1\n")
    put(repository / ".github/workflows/ci.yml", "{}")
    for other in (".venv/x.py", "node_modules/x/.env", "examples/x.py", ".mypy_cache/x.py", "theirs/pyvenv.cfg"):
        put(repository / other, "")
    put(repository / "theirs/lib/x.py", "")
    assert set(Files(repository).all) == {"app/settings.py", ".envs/.local/.django", ".github/workflows/ci.yml"}


def test_files_nearest_to_the_root_come_first(repository: Path) -> None:
    for name in ("a/b/c.py", "z.py", "a/y.py"):
        put(repository / name, "")
    assert Files(repository).all == ("z.py", "a/y.py", "a/b/c.py")


def test_a_file_that_is_missing_or_very_large_has_no_text_and_bytes_are_replaced(repository: Path) -> None:
    put(repository / "large.py", "x" * (LARGEST + 1))
    (repository / "bytes.py").write_bytes(b"a\xff")
    files = Files(repository)
    assert files.text("none.py") == files.text("large.py") == ""
    assert files.text("bytes.py") == "a\ufffd"
