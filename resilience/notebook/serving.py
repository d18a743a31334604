"""Have the notebook's layout and its kernel ready before the page is: an extension of the server that we start."""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress
from typing import Any

ROOT = "RESILIENCE_NOTEBOOK_ROOT"
"""Set by `resilience notebook` for the kernels of its server: the folder it serves, hidden ones in it included."""
OPENS = "RESILIENCE_NOTEBOOK_OPENS"
"""Set by `resilience notebook` for its server: the notebook that the page opens, relative to what is served."""

WORKSPACES = "RESILIENCE_NOTEBOOK_WORKSPACES"
"""Set by `resilience notebook` for its server: the folder of its workspaces."""
WORKSPACE = "resilience"

_WARM = "import resilience.notebook.opening, resilience.notebook.controls, resilience.runs.looking\n"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "resilience.notebook.serving"}]


def _load_jupyter_server_extension(server: Any) -> None:
    path = os.environ.get(OPENS, "")
    if path:
        _lay_out(path)
        server.io_loop.call_later(0, lambda: _tasks.add(asyncio.ensure_future(warm(server, path))))


def _lay_out(path: str) -> None:
    """Write the workspace that the page opens: the notebook alone, as wide as the window, whatever was open before."""
    # In the server alone: the tool itself may stand beside no JupyterLab.
    from jupyterlab_server.workspaces_handler import WorkspacesManager

    widget = f"notebook:{path}"
    closed = {"collapsed": True, "visible": True, "widgets": []}
    layout = {
        "main": {"dock": {"type": "tab-area", "currentIndex": 0, "widgets": [widget]}, "current": widget},
        "left": closed,
        "right": closed,
        "relativeSizes": [0, 1, 0],
    }
    data = {"layout-restorer:data": layout, widget: {"data": {"path": path, "factory": "Notebook"}}}
    WorkspacesManager(os.environ[WORKSPACES]).save(WORKSPACE, json.dumps({"data": data, "metadata": {"id": WORKSPACE}}))


_tasks: set[asyncio.Future[None]] = set()
"""Kept, as the loop alone would let a task be collected while it waits."""


async def warm(server: Any, path: str) -> None:
    """Start the notebook's session, which the page takes up when it opens, and load into its kernel what its cells import.

    A kernel boots in a second and our imports take another; both pass while the browser still loads JupyterLab. What fails here
    is left to the page, which starts a kernel of its own.
    """
    with suppress(Exception):
        session = await server.session_manager.create_session(
            path=path, name=path.rpartition("/")[2], type="notebook", kernel_name="python3"
        )
        client = server.kernel_manager.get_kernel(session["kernel"]["id"]).client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=60)
            client.execute(_WARM, silent=True, store_history=False)
            await client.get_shell_msg(timeout=60)
        finally:
            client.stop_channels()
