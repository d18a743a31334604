"""The server has the notebook's layout, and its kernel, ready before the page asks."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resilience.notebook import serving


class Client:
    def __init__(self) -> None:
        self.executed: list[str] = []
        self.stopped = False

    def start_channels(self) -> None:
        pass

    def stop_channels(self) -> None:
        self.stopped = True

    async def wait_for_ready(self, timeout: float) -> None:
        pass

    def execute(self, code: str, *, silent: bool, store_history: bool) -> None:
        assert (silent, store_history) == (True, False)
        self.executed.append(code)

    async def get_shell_msg(self, timeout: float) -> None:
        pass


class Server:
    """What our extension uses of a Jupyter server."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.client = Client()
        self.sessions: list[dict[str, Any]] = []
        self.session_manager = self
        self.kernel_manager = SimpleNamespace(get_kernel=lambda _: SimpleNamespace(client=lambda: self.client))
        self.io_loop = SimpleNamespace(call_later=lambda _, act: act())

    async def create_session(self, **asked: Any) -> dict[str, Any]:
        if self.fails:
            raise OSError("no kernel")
        self.sessions.append(asked)
        return {"kernel": {"id": "k"}}


@pytest.fixture
def opens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(serving.OPENS, ".resilience/notebooks/00_incident.ipynb")
    monkeypatch.setenv(serving.WORKSPACES, str(tmp_path))
    return tmp_path


async def settled() -> None:
    await asyncio.gather(*serving._tasks)
    serving._tasks.clear()


async def test_the_session_that_the_page_will_take_up_is_there_with_its_imports(opens: Path) -> None:
    server = Server()
    serving._load_jupyter_server_extension(server)
    await settled()
    (asked,) = server.sessions
    assert (asked["path"], asked["name"]) == (".resilience/notebooks/00_incident.ipynb", "00_incident.ipynb")
    assert "import resilience.notebook.opening" in server.client.executed[0]
    assert server.client.stopped
    exec(server.client.executed[0], {})


async def test_the_workspace_opens_the_notebook_alone(opens: Path) -> None:
    serving._load_jupyter_server_extension(Server())
    await settled()
    (file,) = opens.glob("*.jupyterlab-workspace")
    found = json.loads(file.read_text())
    assert found["metadata"]["id"] == serving.WORKSPACE
    main = found["data"]["layout-restorer:data"]["main"]
    assert main["dock"]["widgets"] == ["notebook:.resilience/notebooks/00_incident.ipynb"]
    assert found["data"]["layout-restorer:data"]["left"]["collapsed"]


async def test_what_fails_is_left_to_the_page(opens: Path) -> None:
    serving._load_jupyter_server_extension(Server(fails=True))
    await settled()


async def test_a_server_that_we_did_not_start_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(serving.OPENS, raising=False)
    server = Server()
    serving._load_jupyter_server_extension(server)
    assert server.sessions == []
    assert serving._jupyter_server_extension_points() == [{"module": "resilience.notebook.serving"}]
