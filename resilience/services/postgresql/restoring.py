"""Turn the objects of a schema into an empty database that has them, and say which it cannot have and what goes with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from resilience.services.postgresql.archive import POST_DATA, Item
from resilience.services.postgresql.kind import KIND

_SESSION = """
set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0; set client_encoding = 'UTF8';
set standard_conforming_strings = on; select pg_catalog.set_config('search_path', '', false); set check_function_bodies = false;
set xmloption = content; set client_min_messages = warning; set row_security = off
"""
_EXISTS = frozenset({"42P06", "42710"})
"""The schema or extension is there already, as `public` and plpgsql are in every database."""
_SHOWN = 4


@dataclass(slots=True)
class Restored:
    """What came of it. `gaps` are what cannot be had here, with what needs it; `broken` are failures that nothing explains."""

    made: set[str] = field(default_factory=set)
    gaps: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lacking: set[str] = field(default_factory=set)


async def restore(
    connection: Any,
    items: Sequence[Item],
    *,
    older: bool = False,
    rows: Callable[[], Awaitable[tuple[str, ...]]] | None = None,
) -> Restored:
    """Make the objects one by one, `rows` before the first index and constraint: so the server itself checks every one of them.

    An object fails as a gap where the server says that it lacks something, where what it needs failed, and where the server is
    `older` than staging and may not know its statement. Any other failure is `broken`: then this is no schema of staging's.
    """
    found = Restored()
    failed: dict[str, str] = {}
    because: dict[str, list[str]] = {}
    await connection.execute(_SESSION)
    loaded = rows is None
    for item in items:
        if item.section == POST_DATA and not loaded and rows is not None:
            loaded = True
            found.gaps += await rows()
        try:
            await connection.execute(item.sql)
        except asyncpg.PostgresError as exc:
            code = exc.sqlstate or ""
            if code in _EXISTS and item.kind in ("SCHEMA", "EXTENSION", "PROCEDURAL LANGUAGE"):
                found.made.add(item.name)
                continue
            root = next((failed[need] for need in item.needs if need in failed), "")
            if root:
                because[root] += [item.name] if item.kind != "COMMENT" else []
            elif code in KIND.gap_codes or older:
                root = f"{item.name} cannot be had here ({str(exc).splitlines()[0][:160]})"
                because[root] = []
            else:
                found.broken.append(f"{item.name}: {str(exc).splitlines()[0][:160]}")
                root = item.name
                because.setdefault(root, [])
            failed[item.name] = root
        else:
            found.made.add(item.name)
    if not loaded and rows is not None:
        found.gaps += await rows()
    found.lacking |= set(failed)
    found.gaps += [_said(root, names) for root, names in because.items() if root not in failed]
    found.gaps += await _refreshed(connection, [one for one in items if one.name in found.made])
    return found


def _said(root: str, names: Sequence[str]) -> str:
    if not names:
        return root
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{root}: without it there is no {', '.join(names[:_SHOWN])}{more}; tests that use them end as gaps"


async def _refreshed(connection: Any, items: Sequence[Item]) -> list[str]:
    """Fill the materialised views: one that was never filled refuses to be read. Return those that cannot be, as gaps."""
    gaps = []
    for item in items:
        if item.kind != "MATERIALIZED VIEW":
            continue
        name = await connection.fetchval("select format('%I.%I', $1::text, $2::text)", item.schema, item.tag)
        try:
            await connection.execute(f"refresh materialized view {name}")
        except asyncpg.PostgresError as exc:
            gaps.append(f"{item.name} is empty and refuses to be read ({str(exc).splitlines()[0][:160]})")
    return gaps
