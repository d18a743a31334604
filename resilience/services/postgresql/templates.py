"""Turn what was taught into a template on a stand-in's server, and that into a database of its own for each run and each worker.

The template is made once for a generation, under another name until it is whole, and takes no connections: each copy begins alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from resilience.services.place import Endpoint
from resilience.services.postgresql.archive import Item
from resilience.services.postgresql.restoring import Restored, restore
from resilience.services.postgresql.stand_in import close, connect
from resilience.services.teaching import CannotTeachError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_SECONDS = 300.0
"""A statement of a load: an index over seeded rows may take its time."""
MARK = "resilience: a copy of what staging taught"
"""The comment on each copy, by which it is known as one."""
Rows = Callable[[Any], Awaitable[tuple[str, ...]]]
"""Loads the rows of a seed through a connection, and returns what is missing."""


def prefix(service: str) -> str:
    """Return what the names of all templates of a service begin with; several services may share a server."""
    return f"resilience_taught_{hashlib.sha256(service.encode()).hexdigest()[:8]}_"


@asynccontextmanager
async def at(place: Endpoint, database: str) -> AsyncIterator[Any]:
    """Log in to a database of a stand-in's server, as its own user."""
    connection = await connect(place.bind, place.port, place.user, place.password, database, timeout_s=_SECONDS)
    try:
        yield connection
    finally:
        await close(connection)


async def template(
    connection: Any,
    place: Endpoint,
    service: str,
    mark: str,
    items: Sequence[Item],
    *,
    rows: Rows | None = None,
    older: bool = False,
) -> tuple[str, Restored | None]:
    """Return the name of the template with this mark, and what came of making it; None where it was there already.

    It is made under a name that ends in `_new`, and renamed when it is whole: what a killed load left is never copied. Those of
    other generations go. Raises CannotTeachError where objects broke for no reason that is known.
    """
    name = prefix(service) + mark[:12]
    rest = await connection.fetch(
        "select datname from pg_database where starts_with(datname, $1) and datname <> $2", prefix(service), name
    )
    for row in rest:
        await drop(connection, row["datname"])
    whole = "select true from pg_database where datname = $1 and datistemplate and not datallowconn"
    if await connection.fetchval(whole, name):
        return name, None
    await drop(connection, name)
    new = f"{name}_new"
    await connection.execute(f"create database {await quoted(connection, new)} template template0")
    try:
        async with at(place, new) as inside:
            load = None if rows is None else lambda: rows(inside)
            found = await restore(inside, items, older=older, rows=load)
            await inside.execute("analyze")
        if found.broken:
            more = f", and {len(found.broken) - 1} more" if found.broken[1:] else ""
            raise CannotTeachError(
                f"{service}: what was taught cannot be restored: {found.broken[0]}{more}.", hint="resilience taught"
            )
        old, made = await quoted(connection, new), await quoted(connection, name)
        await connection.execute(f"alter database {old} rename to {made}")
        await connection.execute(f"alter database {made} with is_template true allow_connections false")
    except BaseException:
        await drop(connection, new)
        raise
    return name, found


async def copy(connection: Any, source: str, name: str, owner: str, settings: Mapping[str, str] | None = None) -> None:
    """Make a database from a template, in place of one of its name, with these settings, which no template passes on.

    Raises asyncpg's ObjectInUseError where the database is in use, at once: PostgreSQL itself would wait 5 s for its end.
    """
    for one in (name, source):
        if await connection.fetchval("select true from pg_stat_activity where datname = $1 limit 1", one):
            raise asyncpg.ObjectInUseError(f"database {one} is in use")
    await drop(connection, name)
    made = await quoted(connection, name)
    await connection.execute(
        f"create database {made} template {await quoted(connection, source)} owner {await quoted(connection, owner)}"
    )
    for setting, value in (settings or {}).items():
        told = "select format('alter database %I set %I to %s', $1::text, $2::text, $3::text)"
        await connection.execute(await connection.fetchval(told, name, setting, value))
    await connection.execute(f"comment on database {made} is '{MARK}'")


async def settings_of(connection: Any, name: str) -> dict[str, str]:
    """Return a database's own settings, as `copy` takes them: what is a list stands as it is, all else as a literal."""
    lists = ("search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries")
    rows = await connection.fetch(
        "select split_part(one, '=', 1) as name, substr(one, strpos(one, '=') + 1) as value, "
        "quote_literal(substr(one, strpos(one, '=') + 1)) as literal from pg_db_role_setting s "
        "join pg_database d on d.oid = s.setdatabase, unnest(s.setconfig) as one where s.setrole = 0 and d.datname = $1",
        name,
    )
    return {row["name"]: row["value"] if row["name"].lower() in lists else row["literal"] for row in rows}


async def drop(connection: Any, name: str) -> bool:
    """Drop a database, a template as well. Return whether it was there."""
    known = await connection.fetchval("select datistemplate from pg_database where datname = $1", name)
    if known is None:
        return False
    made = await quoted(connection, name)
    if known:
        await connection.execute(f"alter database {made} with is_template false")
    await connection.execute(f"drop database {made}")
    return True


async def is_copy(connection: Any, name: str) -> bool:
    """Whether this database is a copy of ours, as its comment says."""
    told = "select true from pg_database where datname = $1 and shobj_description(oid, 'pg_database') = $2"
    return bool(await connection.fetchval(told, name, MARK))


async def copies(connection: Any, name: str) -> tuple[str, ...]:
    """Return the copy of this name and those of workers, which are called as it is and `_gw0` and so on."""
    rows = await connection.fetch(
        "select datname from pg_database where shobj_description(oid, 'pg_database') = $2 "
        "and (datname = $1 or datname ~ ('^' || regexp_replace($1, '([^a-zA-Z0-9_])', '\\\\\\1', 'g') || '_gw[0-9]+$'))",
        name,
        MARK,
    )
    return tuple(row["datname"] for row in rows)


async def quoted(connection: Any, name: str) -> str:
    return str(await connection.fetchval("select quote_ident($1)", name))
