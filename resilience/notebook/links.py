"""Turn a file into a link that opens from the page it stands on, in JupyterLab on this machine or a remote one."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jupyter_core.paths import jupyter_runtime_dir

from resilience.notebook.serving import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Where the page stands, and what its server serves.

    `folder` is the page's, None where it is not known; `root` is what is served, None for a page that is read as a file.
    `hidden`: whether that server serves what lies in hidden folders, which JupyterLab by itself does not.
    """

    folder: Path | None = None
    root: Path | None = None
    hidden: bool = False

    def to(self, path: Path | str) -> str:
        """Return the link to a file, or "" where the page's server would not open it.

        It is relative to the page: JupyterLab opens it in a tab beside the page whatever host, port and base URL it has, and it
        still leads to the file in a copy that nbconvert made. A path of the file system or an address of this server does neither.
        """
        target = Path(path)
        if self.folder is None or not target.exists():
            return ""
        if self.root is not None:
            try:
                inside = target.resolve().relative_to(self.root)
            except ValueError:
                return ""
            if not self.hidden and any(part.startswith(".") for part in inside.parts):
                return ""
        return quote(os.path.relpath(target.resolve(), self.folder))


def links_of(environ: Mapping[str, str], *, headless: Path | None = None) -> Links:
    """Return the links of the page whose kernel has this environment; `headless` is the folder that a runner saves it into."""
    if headless is not None:
        return Links(folder=headless.resolve())
    page = Path(environ.get("JPY_SESSION_NAME") or ".")
    if not page.is_absolute():
        return Links()
    ours = environ.get(ROOT, "")
    root = Path(ours) if ours else _served(os.getppid())
    return Links(folder=page.resolve().parent, root=root.resolve(), hidden=bool(ours)) if root is not None else Links()


def _served(server: int) -> Path | None:
    """Return the folder that the server with this process id serves, as it noted itself; None where it did not."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads((Path(jupyter_runtime_dir()) / f"jpserver-{server}.json").read_text())
        return Path(noted["root_dir"])
    return None
