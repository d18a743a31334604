"""What a command writes is passed on as it grows, to the byte, and events come in whole lines."""

from __future__ import annotations

from pathlib import Path

from resilience.core.redact import Redactor
from resilience.suite.log import Log
from resilience.suite.pump import Pump


async def test_bytes_go_unchanged_to_the_screen_and_half_a_line_of_events_waits_for_its_end(tmp_path: Path) -> None:
    out, events = tmp_path / "out", tmp_path / "events"
    out.touch()
    events.touch()
    shown: list[bytes] = []
    log = Log(tmp_path / "log", Redactor(()))
    with out.open("rb") as source, events.open("rb") as stream:
        pump = Pump(source, stream, log, shown.append)
        assert not pump.output()
        assert pump.events() == []
        out.write_bytes(b"\xff\x1b[31mred\r\n")
        events.write_bytes(b'{"a": 1}\n\n{"b"')
        assert pump.output()
        assert pump.events() == [b'{"a": 1}']
        with events.open("ab") as more:
            more.write(b": 2}\n")
        assert pump.events() == [b'{"b": 2}']
        assert not pump.output()
    await log.close()
    assert shown == [b"\xff\x1b[31mred\r\n"]
