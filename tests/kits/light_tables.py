"""Write what pytest-resilience must know of the guide's variables and modes, in the team's Python 3.8 and without this package.

python -m tests.kits.light_tables
"""

from __future__ import annotations

from pathlib import Path

from resilience.core.plan import SELECT
from resilience.core.variables import GUIDE, Writes

FILE = Path(__file__).resolve().parents[2] / "pytest-plugin/src/resilience_light/tables.py"


def tables() -> str:
    """Return the module: each variable with the word by which it asks, and each mode's variables and marker expression."""
    lines = [
        '"""What the guide\'s variables ask for; written by: python -m tests.kits.light_tables."""',
        "",
        "GUIDE = {",
        *(f'    "{row.name}": "{row.asks.value}",' for row in GUIDE),
        "}",
        "SELECTIONS = (",
    ]
    for mode, select in SELECT.items():
        names = [
            row.name for row in GUIDE
            if row.writes is Writes.IN_MODES and mode in row.modes and len(row.modes) == 1
        ]  # fmt: skip
        lines.append(
            f'    ("{mode.value}", ({", ".join(repr(name).replace(chr(39), chr(34)) for name in names)}), "{select}"),'
        )
    return "\n".join([*lines, ")", ""])


def main() -> None:
    FILE.write_text(tables(), encoding="utf-8")


if __name__ == "__main__":
    main()
