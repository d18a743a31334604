"""Remember which variables shells of this checkout took over, because restoring cannot take them back."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from resilience.fallback import journal as journals
from resilience.host.files import make_private_folder, write_atomically

_EXPORTED = "exported"


def note_exported(state: Path, names: Iterable[str]) -> None:
    """Note that a shell takes over these variables: restore cannot undo that, but it can say so."""
    journal = journals.load(state)
    if journal is not None and not journal.exported:
        journals.step(state, journal, "a shell took over the variables", exported=True)
    known = {*exported_names(state), *names}
    make_private_folder(state)
    write_atomically(state / _EXPORTED, "\n".join(sorted(known)).encode(), mode=0o600)


def exported_names(state: Path) -> tuple[str, ...]:
    """Return the variables that shells of this checkout took over, also after the restore; names only, no values."""
    try:
        return tuple((state / _EXPORTED).read_text().split())
    except FileNotFoundError:
        return ()
