"""What the front over ClickHouse's engine is told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What the front is told."""

    bind: str
    port: int
    data: str
    user: str = "default"
    password: str = ""
    database: str = "default"
