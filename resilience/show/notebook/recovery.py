"""Show whether staging is back, as a gauge and a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from resilience.core.records import Recovery, RecoveryCheck
from resilience.core.words import plural, recovery_line
from resilience.show.notebook.blocks import GOOD, box, folded, head, table, yes_or_no

_CELLS = 12


def gauge(in_a_row: int, needed: int, checks: Sequence[RecoveryCheck] = ()) -> str:
    """Draw n of m good checks as a row of cells, with the latest reason of a bad one; beyond a row's length only the words."""
    cells = "".join(
        f'<span class="cell" style="background:{GOOD}">✓</span>'
        if position < in_a_row
        else '<span class="cell todo">·</span>'
        for position in range(max(needed, in_a_row if in_a_row <= _CELLS else needed) if needed <= _CELLS else 0)
    )
    last = next((check for check in reversed(checks) if not check.good), None)
    why = f'<div class="dim">last bad check at {last.at:%H:%M:%S} UTC: {escape(last.why)}</div>' if last else ""
    label = f"{in_a_row} of {needed} good checks in a row"
    if in_a_row > needed:
        label = f"{in_a_row} good checks in a row, {needed} needed"
    return f'<div role="img" aria-label="{label}">{cells} <b>{label}</b></div>{why}'


def recovery_view(recovery: Recovery) -> str:
    """Return whether staging is back, as a gauge and a sentence."""
    note = (
        box("Staging is back.", kind="good")
        if recovery.recovered
        else box("Staging is not proved to be back.", kind="warn", hint="run this stage again later")
    )
    row = table(
        ["At (UTC)", "Look", "In a row", "Why"],
        [
            [
                ("line", f"{check.at:%H:%M:%S}"),
                ("line", yes_or_no(check.good, "good", "bad")),
                ("num", str(check.in_a_row)),
                ("", escape(check.why)),
            ]
            for check in recovery.checks[-12:]
        ],
    )
    return (
        head(recovery_line(recovery))
        + gauge(recovery.in_a_row, recovery.good_needed, recovery.checks)
        + note
        + folded(plural(len(recovery.checks), "check"), row)
    )
