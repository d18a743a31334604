"""The report of a run can be written again."""

from __future__ import annotations

from pathlib import Path

from tests.kits.typing_in import Type


def test_report_is_written_again_and_its_path_is_the_last_line(type_in: Type, team: Path) -> None:
    assert type_in("test").code == 0
    said = type_in("report")
    assert said.code == 0
    path = Path(said.out.splitlines()[-1])
    assert path.name == "report.html"
    assert path.exists()
    name = f"{path.parent.parent.name}/{path.parent.name}"
    assert type_in("report", name).out == said.out
