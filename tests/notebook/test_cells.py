"""What leaves with an executed notebook: whole, redacted in every text, and honest about cells that did not run."""

from __future__ import annotations

import json

from nbformat.v4 import new_code_cell, new_notebook, new_output

from resilience.core.records import StageStatus
from resilience.core.redact import Redactor
from resilience.notebook import cells
from resilience.notebook.endings import Break
from tests.kits.run_kit import SECRET


def test_a_secret_is_hidden_in_sources_outputs_parameters_and_across_two_pieces_of_a_stream() -> None:
    book = new_notebook(
        cells=[
            new_code_cell(
                f"password = {SECRET!r}",
                outputs=[
                    new_output("stream", name="stdout", text="as " + SECRET[:9]),
                    new_output("stream", name="stdout", text=SECRET[9:] + " in"),
                    new_output("stream", name="stderr", text="warned"),
                    new_output(
                        "display_data", data={"text/html": f"<b>{SECRET}</b>", "application/json": {"a": [SECRET]}}
                    ),
                    new_output("error", ename="E", evalue=SECRET, traceback=[SECRET]),
                ],
            )
        ],
        metadata={"papermill": {"parameters": {"note": SECRET}}},
    )
    left = cells._leaving(book, Redactor([SECRET]).text)
    text = json.dumps(left)
    assert SECRET not in text
    assert SECRET[9:] not in text
    assert [output["output_type"] for output in left["cells"][0]["outputs"]] == [
        *("stream", "stream", "display_data", "error")
    ]
    assert SECRET in json.dumps(book), "the notebook that goes on being executed is as it was"


def test_a_cell_that_was_ended_from_outside_shows_why_in_the_place_of_how_its_client_met_it() -> None:
    cell = new_code_cell(
        "work()",
        outputs=[
            new_output("stream", name="stdout", text="begun"),
            new_output("error", ename="DeadKernelError", evalue="Kernel died", traceback=["…"]),
        ],
    )
    cells._show_break(cell, Break(StageStatus.KILLED, "here", "KernelDied: ended by SIGKILL", "resilience resume x"))
    assert [output.output_type for output in cell.outputs] == ["stream", "error"]
    assert (cell.outputs[1].ename, cell.outputs[1].evalue) == ("KernelDied", "ended by SIGKILL")
    assert cell.outputs[1].traceback == ["KernelDied: ended by SIGKILL. Hint: resilience resume x"]


def test_a_cell_that_says_the_end_says_nothing_of_it_where_a_signal_made_another() -> None:
    """A signal behind the last output of the report's notebook and before its cell was done: 1 of 60 SIGHUPs."""
    cell = new_code_cell("runbook.finish()", id="finish")
    cell.outputs = [new_output("display_data", data={"text/plain": "RUN x: passed on stand-ins"})]
    cells._show_break(
        cell, Break(StageStatus.INTERRUPTED, "here", "Interrupted: SIGHUP", "resilience resume x"), ends=True
    )
    assert [output.output_type for output in cell.outputs] == ["error"]
