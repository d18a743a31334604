"""What a cell shows is redacted before the kernel sends it to whoever writes the notebook."""

from __future__ import annotations

from typing import Any

import pytest

from resilience.core.redact import Redactor
from resilience.notebook.kernel import OutputGate

SECRET = "Xq9-Zw7kLm3-Pv5tRs"


class Wire:
    """What left the kernel, as (message type, content)."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.gate = OutputGate(self._send, Redactor([SECRET]))

    def _send(self, stream: Any, message: Any, content: Any = None, parent: Any = None, **more: Any) -> None:
        assert more == {"ident": b"x"}
        if isinstance(message, dict):
            self.sent.append((message["header"]["msg_type"], message["content"]))
        else:
            self.sent.append((message, content))

    def tell(self, kind: str, cell: str = "1", **content: Any) -> None:
        message = {"header": {"msg_type": kind}, "parent_header": {"msg_id": cell}, "content": content}
        self.gate.send(None, message, ident=b"x")

    def print(self, text: str, name: str = "stdout", cell: str = "1") -> None:
        self.tell("stream", cell, name=name, text=text)

    def text(self, name: str = "stdout") -> str:
        return "".join(content["text"] for kind, content in self.sent if kind == "stream" and content["name"] == name)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.mark.parametrize("at", range(1, len(SECRET)))
def test_a_secret_printed_in_two_pieces_is_hidden(wire: Wire, at: int) -> None:
    wire.print(f"a {SECRET[:at]}")
    wire.print("between\n", name="stderr")
    wire.print(f"{SECRET[at:]} b\nend without a newline")
    wire.tell("status", execution_state="idle")
    assert wire.text() == "a *** b\nend without a newline"
    assert wire.text("stderr") == "between\n"
    assert wire.sent[-1][0] == "status", "what was held back goes before the cell is said to be done"


def test_a_line_without_end_is_not_held_for_ever(wire: Wire) -> None:
    for _ in range(20):
        wire.print(f"{SECRET} " * 200)
    assert wire.text().count("***") > 1000
    wire.tell("status", execution_state="idle")
    assert wire.text() == "*** " * 4000


def test_what_one_cell_printed_stays_below_that_cell(wire: Wire) -> None:
    wire.print("first", cell="1")
    wire.print("second\n", cell="2")
    assert [content["text"] for _, content in wire.sent] == ["first", "second\n"]


def test_results_pictures_errors_and_widgets_are_hidden_in_and_the_rest_goes_as_it_is(wire: Wire) -> None:
    wire.tell("display_data", data={"text/html": f"<b>{SECRET}</b>"}, metadata={"of": SECRET}, transient={"x": 1})
    wire.tell("comm_msg", comm_id="c1", data={"state": {"value": [SECRET]}})
    wire.gate.send(None, "error", {"ename": "E", "evalue": SECRET, "traceback": [SECRET]}, {}, ident=b"x")
    wire.gate.send(None, "execute_result", {"data": {SECRET: {SECRET: SECRET}}, "metadata": {}}, parent={}, ident=b"x")
    wire.gate.send(None, "kernel_info_reply", {"banner": "b"}, {}, ident=b"x")
    assert wire.sent == [
        ("display_data", {"data": {"text/html": "<b>***</b>"}, "metadata": {"of": "***"}, "transient": {"x": 1}}),
        ("comm_msg", {"comm_id": "c1", "data": {"state": {"value": ["***"]}}}),
        ("error", {"ename": "E", "evalue": "***", "traceback": ["***"]}),
        ("execute_result", {"data": {"***": {"***": "***"}}, "metadata": {}}),
        ("kernel_info_reply", {"banner": "b"}),
    ]


def test_colours_stay_where_nothing_is_hidden(wire: Wire) -> None:
    wire.print("\x1b[31mred\x1b[0m\n")
    wire.print(f"\x1b[31m{SECRET}\x1b[0m\n")
    assert wire.text() == "\x1b[31mred\x1b[0m\n***\n"
