"""resilience.report.offered: a file in the folder is all that is needed, and one that offers the wrong thing is named."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from resilience.report.offered import offered


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    folder = tmp_path / "offered_here"
    folder.mkdir()
    for name, text in {"__init__": "", "b": "X = 2", "a": "X = 1", "helper": "Y = 3"}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("offered_here")
    for name in [name for name in sys.modules if name.partition(".")[0] == "offered_here"]:
        del sys.modules[name]


def test_each_file_that_offers_something_is_found_in_the_order_of_the_names(package: ModuleType) -> None:
    assert offered(package, "X", int) == (1, 2)


def test_a_value_of_another_type_is_refused_by_name(package: ModuleType) -> None:
    Path(package.__path__[0], "c.py").write_text("X = 'three'")
    with pytest.raises(TypeError, match=r"offered_here\.c\.X is a str, where a int was expected"):
        offered(package, "X", int)
