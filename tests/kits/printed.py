"""What a person reads in a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console


def printed(show: Callable[[Console], None], *, width: int = 200) -> str:
    """Return what `show` prints on a console of this width."""
    buffer = io.StringIO()
    show(Console(file=buffer, width=width, highlight=False))
    return buffer.getvalue()
