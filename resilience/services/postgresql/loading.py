"""Turn masked rows on disk into rows of a stand-in: copied in, foreign keys checked, sequences set.

Called when tables are there and their indexes, keys and triggers are not yet: what is unique the server then checks as it makes
the indexes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import asyncpg

from resilience.services.postgresql.rows import SeedError
from resilience.services.postgresql.schema import quoted

_AT_ONCE = 50
"""So many foreign keys are asked in one statement."""


async def load(connection: Any, manifest: Mapping[str, Any], read: Callable[[str], bytes]) -> tuple[str, ...]:
    """Load what a seed's manifest names and return the gaps: tables that the stand-in does not have.

    All or nothing. Raises SeedError with the table and the constraint where the rows do not fit, and with every foreign key that
    does not hold.
    """
    gaps = []
    async with connection.transaction():
        await connection.execute("set local session_replication_role = replica")
        there = await _relations(connection)
        for table in manifest["tables"]:
            if (table["schema"], table["table"]) in there:
                await _copy(connection, table, read(table["file"]))
            else:
                gaps.append(f"table {table['name']} is not here, so its {table['rows']} rows are not either")
        broken = await broken_keys(connection, manifest["keys"])
        if broken:
            raise SeedError(f"foreign keys that do not hold: {'; '.join(broken)}.", hint="resilience teach")
        for sequence in manifest["sequences"]:
            if tuple(sequence["table"]) in there:
                await _set(connection, sequence)
    return tuple(gaps)


async def broken_keys(connection: Any, keys: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return each foreign key that some rows do not hold, with how many; those of tables that are not here are left out."""
    there = await _relations(connection)
    asked = [key for key in keys if tuple(key["child"]) in there and tuple(key["parent"]) in there]
    broken = []
    for at in range(0, len(asked), _AT_ONCE):
        part = asked[at : at + _AT_ONCE]
        counts = await connection.fetch(" union all ".join(_lost(place, key) for place, key in enumerate(part)))
        for row in sorted(counts):
            if row["lost"]:
                key = part[row["place"]]
                broken.append(f"{key['name']} of {'.'.join(key['child'])} ({row['lost']} rows)")
    return tuple(broken)


def _lost(place: int, key: Mapping[str, Any]) -> str:
    """Return the SQL that counts the rows whose key names nothing."""
    child, parent = ((".".join(map(quoted, key[end]))) for end in ("child", "parent"))
    pairs = list(zip(key["columns"], key["parent_columns"], strict=True))
    given = " and ".join(f"c.{quoted(own)} is not null" for own, _ in pairs)
    same = " and ".join(f"p.{quoted(theirs)} = c.{quoted(own)}" for own, theirs in pairs)
    return (
        f"select {place} as place, count(*) as lost from {child} c "  # noqa: S608 - names are quoted
        f"where {given} and not exists (select from {parent} p where {same})"
    )


async def _relations(connection: Any) -> frozenset[tuple[str, str]]:
    rows = await connection.fetch(
        "select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    )
    return frozenset((row["schema"], row["name"]) for row in rows)


async def _copy(connection: Any, table: Mapping[str, Any], data: bytes) -> None:
    try:
        await connection.copy_to_table(
            table["table"],
            schema_name=table["schema"],
            columns=list(table["columns"]),
            source=io.BytesIO(data),
            format="text",
        )
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.SyntaxOrAccessError) as exc:
        what = f" by {exc.constraint_name}" if exc.constraint_name else ""
        raise SeedError(
            f"the rows of {table['name']} are refused{what} (SQLSTATE {exc.sqlstate}).", hint="resilience teach"
        ) from exc


async def _set(connection: Any, sequence: Mapping[str, Any]) -> None:
    """Set a sequence to where staging's was; where that was not to be read, to the largest value that was loaded."""
    schema, table = sequence["table"]
    if await connection.fetchval("select to_regclass($1)::text", sequence["name"]) is None:
        return
    last = sequence["last"]
    if last is None:
        column = quoted(sequence["column"])
        last = await connection.fetchval(f"select max({column})::int8 from {quoted(schema)}.{quoted(table)}")  # noqa: S608 - names are quoted
    if last is not None:
        await connection.fetchval("select setval($1::text::regclass, $2::int8)", sequence["name"], last)
