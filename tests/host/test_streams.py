"""What is shown beside the work is lost where nobody can have it, and the work goes on; any other error is one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from resilience.host.streams import let_go, written


def test_what_a_reader_left_or_a_full_disk_takes_no_more_goes_nowhere_and_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as left:
        for _ in range(2):
            written(lambda: (left.write("more\n"), left.flush()), left)
    assert capsys.readouterr().err == "", "who closed the pipe knows it"
    if not Path("/dev/full").exists():
        return
    with open("/dev/full", "w") as full:
        for _ in range(2):
            written(lambda: (full.write("more\n"), full.flush()), full)
    assert capsys.readouterr().err.count("No space left on device") == 1


def test_another_error_is_raised_and_a_stream_that_is_well_is_written(tmp_path: Path) -> None:
    def refused() -> None:
        raise PermissionError(1, "refused")

    with (tmp_path / "file").open("w") as file:
        written(lambda: file.write("kept"), file)
        with pytest.raises(PermissionError):
            written(refused, file)
        file.flush()
        let_go(file)
        written(lambda: (file.write("lost"), file.flush()), file)
    assert (tmp_path / "file").read_text() == "kept"
