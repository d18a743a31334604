"""Turn what holds a port into the checkout whose stand-in it is: ours, another's, or nobody's."""

from __future__ import annotations

import json
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from resilience.host.files import write_atomically
from resilience.stand_ins.checkout import Folders

MARK = "checkout.json"
"""Says, in the folder of a checkout's stand-ins, whose they are."""
OF_BEFORE = "stand_ins.json"
"""What lies there of a version that left no mark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A checkout: its root, the folder of its stand-ins' data, and what no other one knows.

    The nonce is what counts: the same path may be on the machine at the other end of a tunnel as well. Root and nonce are
    empty where the version before left the folder.
    """

    data: Path
    root: str = ""
    nonce: str = ""

    @property
    def shown(self) -> str:
        return self.root or f"another checkout (its data: {self.data})"


def own_mark(folders: Folders) -> Mark:
    """Return this checkout's mark, made where there is none. Raises OSError."""
    found = _read(folders.data)
    if found is not None and found.nonce:
        return found
    mark = Mark(data=folders.data, root=str(folders.root), nonce=secrets.token_hex(16))
    text = json.dumps({"root": mark.root, "nonce": mark.nonce})
    write_atomically(folders.data / MARK, text.encode(), mode=0o600, durable=False)
    return mark


def mark_above(folder: Path) -> Mark | None:
    """Return the mark of the checkout in whose data this folder lies; None where it lies in nobody's."""
    for above in (folder, *folder.parents):
        if (found := _read(above)) is not None:
            return found
    return None


def is_ours(mark: Mark, folders: Folders) -> bool:
    """Say whether a mark is this checkout's own: by the nonce, and where it has none by the folder."""
    own = _read(folders.data)
    if mark.nonce:
        return own is not None and own.nonce == mark.nonce
    return mark.data.resolve() == folders.data.resolve()


def _read(folder: Path) -> Mark | None:
    with suppress(OSError):
        try:
            raw = json.loads((folder / MARK).read_bytes())
            return Mark(data=folder, root=str(raw["root"]), nonce=str(raw["nonce"]))
        except FileNotFoundError:
            if (folder / OF_BEFORE).is_file() and (folder / "supervisor").is_dir():
                return Mark(data=folder)
        except (ValueError, KeyError, TypeError):
            return None
    return None
