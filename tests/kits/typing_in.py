"""What a command typed into the real entry point left, and a team's folder to type in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.kits.ports import free_ports


@dataclass(frozen=True, slots=True)
class Said:
    """What a command left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        document, end = json.JSONDecoder().raw_decode(self.out)
        assert self.out[end:] == "\n", "exactly one document"
        return document

    def complains(self, *words: str, code: int = 2) -> None:
        """One line on stderr with these words, nothing on stdout, this exit code."""
        assert self.code == code, self.err
        assert self.out == ""
        assert self.err.startswith("resilience: ")
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        for word in words:
            assert word in self.err, self.err


Type = Callable[..., Said]


def with_stand_in(team: Path, *, port: int | None = None) -> int:
    """Let the backend's mock stand in for it; gives its port."""
    chosen = port or free_ports(1)[0]
    config = team / "resilience.toml"
    config.write_text(
        config.read_text().replace(
            "critical = true\n",
            f'critical = true\nlocal = "http://127.0.0.1:{chosen}/health"\nmarkers = ["real_backend"]\n'
            'exports = { BACKEND_URL = "http://{host}:{port}", GREETING = "it is $HOME" }\n',
        )
    )
    return chosen


def runs(folder: Path) -> list[Path]:
    return sorted((folder / "outputs").glob("*/*/incident.json"))
