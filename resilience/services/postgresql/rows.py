"""Turn places of rows into rows, keys into places and conditions into places: all that a lesson reads of staging's tables.

A row's place is its leaf's oid and its ctid, which one snapshot does not change; so tables without a key are nothing special, and
no row is read but those that a rule, or a foreign key through its index, asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from resilience.core.errors import StandInError
from resilience.services.postgresql.closure import Found, Key, Place, linked
from resilience.services.postgresql.copytext import Row, rows_of
from resilience.services.postgresql.fakes import LONGEST_BYTES, LONGEST_TEXT
from resilience.services.postgresql.schema import Column, Schema, Table, quoted
from resilience.services.postgresql.seed_rules import RowRule

_OLDEST = 12
"""The first whose catalog tells generated columns and the leaves of partitions."""
_AT_ONCE = 2000
_SAMPLE = 60
_TABLES_AT_ONCE = 50
_AT = "where ctid = any($1::text[]::tid[])"
_SETTINGS = """
set local row_security = off; set local timezone = 'UTC'; set local datestyle = 'ISO, YMD';
set local intervalstyle = 'postgres'; set local bytea_output = 'hex'; set local extra_float_digits = 1;
set local xmloption = 'content'; set local lc_monetary = 'C'; set local jit = off"""


class SeedError(StandInError):
    """Rows of staging cannot be taken, masked or loaded; said in words, with no value of any row."""


async def settle(connection: Any) -> None:
    """Have values written the same by every server. Raises SeedError unless the transaction can only read, from one snapshot.

    `row_security = off` has a policy that would hide rows end the lesson: hidden rows would be holes nobody sees.
    """
    version = connection.get_server_version()
    if version.major < _OLDEST:
        raise SeedError(
            f"rows are taken from PostgreSQL {_OLDEST} and newer; staging is {version.major}.",
            hint='teach = ["schema"]',
        )
    reads, isolation = await connection.fetchrow(
        "select current_setting('transaction_read_only'), current_setting('transaction_isolation')"
    )
    if (reads, isolation) != ("on", "repeatable read"):
        raise SeedError("rows are taken only in a transaction that is REPEATABLE READ and READ ONLY.")
    await connection.execute(_SETTINGS)


async def start(connection: Any, schema: Schema, table: Table, rule: RowRule, at_most: int) -> dict[str, list[Found]]:
    """Return the rows that a rule asks for, by the table they lie in: those of tables that inherit from it are their own.

    The condition is parsed as one statement (extended protocol). In the order of the primary key where the rule has a limit.
    """
    where = f" where (\n{rule.where}\n)" if rule.where else ""
    order = f" order by {_listed(table.primary)}" if rule.limit and table.primary else ""
    limit = min(rule.limit or at_most + 1, at_most + 1)
    linked_here = linked(schema, table.full)
    wanted = "".join(f", {quoted(column)}::text" for column in linked_here)
    rows = await connection.fetch(
        f"select tableoid::int8, ctid::text{wanted} from {table.quoted}{where}{order} limit {limit}"  # noqa: S608 - see docstring
    )
    owners = {leaf: one.full for one in schema.tables.values() for leaf in one.leaves}
    found: dict[str, list[Found]] = {}
    elsewhere: dict[str, list[Place]] = {}
    for row in rows:
        owner = owners.get(row[0])
        if owner == table.full:
            found.setdefault(owner, []).append(Found(place=(row[0], row[1]), values=tuple(row[2:])))
        elif owner is not None:
            elsewhere.setdefault(owner, []).append((row[0], row[1]))
    for name, places in elsewhere.items():
        found[name] = await read_links(connection, schema, schema.tables[name], places)
    return found


async def read_links(connection: Any, schema: Schema, table: Table, places: Sequence[Place]) -> list[Found]:
    """Return rows with what their foreign keys hold; nothing is read where the table has none."""
    columns = linked(schema, table.full)
    if not columns:
        return [Found(place=place, values=()) for place in places]
    found = []
    for leaf, ctids in _by_leaf(places).items():
        for at in range(0, len(ctids), _AT_ONCE):
            rows = await connection.fetch(
                f"select ctid::text, {_texts(columns)} from only {table.leaves[leaf]} {_AT}",  # noqa: S608 - names are quoted
                ctids[at : at + _AT_ONCE],
            )
            found += [Found(place=(leaf, row[0]), values=tuple(row[1:])) for row in rows]
    return found


async def look_up(
    connection: Any, schema: Schema, table: Table, columns: Sequence[str], keys: Sequence[Key]
) -> list[Found]:
    """Return the rows that keys name, each through the index that the key has."""
    types = [column.type if (column := table.column(name)) else "text" for name in columns]
    theirs = linked(schema, table.full)
    given = ", ".join(f"${at + 1}::text[]" for at in range(len(columns)))
    names = ", ".join(f"c{at}" for at in range(len(columns)))
    same = " and ".join(
        f"t.{quoted(name)} = k.c{at}::{kind}" for at, (name, kind) in enumerate(zip(columns, types, strict=True))
    )
    only = "" if table.partitioned else "only "
    wanted = "".join(f", t.{quoted(column)}::text" for column in theirs)
    found = []
    for at in range(0, len(keys), _AT_ONCE):
        part = keys[at : at + _AT_ONCE]
        rows = await connection.fetch(
            f"select t.tableoid::int8, t.ctid::text{wanted} "  # noqa: S608 - names are quoted
            f"from unnest({given}) as k({names}) join {only}{table.quoted} t on {same}",
            *[[key[place] for key in part] for place in range(len(columns))],
        )
        found += [Found(place=(row[0], row[1]), values=tuple(row[2:])) for row in rows if row[0] in table.leaves]
    return found


async def samples(
    connection: Any, wanted: Sequence[tuple[Table, Sequence[Place], Sequence[Column]]]
) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return what stands in some columns of some rows of each table, cut short: enough to see what sort it is.

    Many tables in one statement: each costs the server more to be asked than to answer.
    """
    asked = [(table, next(iter(_by_leaf(places).items())), columns) for table, places, columns in wanted if columns]
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for at in range(0, len(asked), _TABLES_AT_ONCE):
        part = asked[at : at + _TABLES_AT_ONCE]
        selects = [
            f"select {place} as place, array[{', '.join(f'left({quoted(one.name)}::text, 200)' for one in columns)}] as told "  # noqa: S608 - names are quoted
            f"from only {table.leaves[leaf]} where ctid = any(${place + 1}::text[]::tid[])"
            for place, (table, (leaf, _), columns) in enumerate(part)
        ]
        rows = await connection.fetch(" union all ".join(selects), *[ctids[:_SAMPLE] for _, (_, ctids), _ in part])
        for place, (table, _, columns) in enumerate(part):
            told = [row["told"] for row in rows if row["place"] == place]
            for number, column in enumerate(columns):
                found[table.full, column.name] = tuple(row[number] for row in told if row[number] is not None)
    return found


async def sizes(connection: Any, wanted: Sequence[tuple[Table, Sequence[Place]]]) -> list[int]:
    """Return about how many bytes the rows of each table have, compressed values as they are stored."""
    total = [0] * len(wanted)
    asked = [
        (at, table.leaves[leaf], ctids)
        for at, (table, places) in enumerate(wanted)
        for leaf, ctids in _by_leaf(places).items()
    ]
    for start_at in range(0, len(asked), _TABLES_AT_ONCE):
        part = asked[start_at : start_at + _TABLES_AT_ONCE]
        selects = [
            f"select {at} as place, sum(pg_column_size(t.*))::int8 as size from only {leaf} t "  # noqa: S608 - names are quoted
            f"where ctid = any(${number + 1}::text[]::tid[])"
            for number, (at, leaf, _) in enumerate(part)
        ]
        for row in await connection.fetch(" union all ".join(selects), *[ctids for _, _, ctids in part]):
            total[row["place"]] += row["size"] or 0
    return total


async def fetch(
    connection: Any, table: Table, places: Iterable[Place], masked: frozenset[str], at_most: int
) -> list[Row]:
    """Return rows as texts, in the order of their key. Raises SeedError where they are more bytes than allowed.

    Of what is masked no more is read than a fake is made of. A few rows at a time: asyncpg cannot end a COPY halfway.
    """
    columns = ", ".join(_read(column, column.name in masked) for column in table.columns) or "null"
    order = f" order by {_listed(table.primary)}" if table.primary else " order by ctid"
    found: list[Row] = []
    room = at_most
    for leaf, ctids in sorted(_by_leaf(places).items()):
        if len(ctids) > _AT_ONCE and table.primary:
            listed = await connection.fetch(f"select ctid::text from only {table.leaves[leaf]} {_AT}{order}", ctids)  # noqa: S608 - names are quoted
            ctids = [row["ctid"] for row in listed]
        for at in range(0, len(ctids), _AT_ONCE):
            kept = _Kept(room)
            literal = "{" + ",".join(f'"{ctid}"' for ctid in ctids[at : at + _AT_ONCE]) + "}"
            await connection.copy_from_query(
                f"select {columns} from only {table.leaves[leaf]} where ctid = any('{literal}'::tid[]){order}",  # noqa: S608 - names are quoted, ctids the server's
                output=kept.take,
            )
            room -= kept.size
            if room < 0:
                raise SeedError(
                    f"the rows of {table.full}, and of the tables before it, are more than may be taken ({at_most} bytes left).",
                    hint="a narrower where, or a limit, in `seed`",
                )
            found += rows_of(bytes(kept.data))
    return found


class _Kept:
    """What a COPY wrote, up to a limit; the rest is only counted."""

    def __init__(self, room: int) -> None:
        self.data = bytearray()
        self.size = 0
        self._room = room

    async def take(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= self._room:
            self.data += part


def _read(column: Column, masked: bool) -> str:
    name = quoted(column.name)
    if masked and not column.array and column.family == "bytes":
        return f"substring({name}::bytea from 1 for {LONGEST_BYTES})"
    if masked and not column.array and column.family == "text":
        return f"left({name}::text, {LONGEST_TEXT + 1000})"
    return name


def _by_leaf(places: Iterable[Place]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for leaf, ctid in places:
        found.setdefault(leaf, []).append(ctid)
    return found


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))


def _texts(columns: Sequence[str]) -> str:
    return ", ".join(f"{quoted(column)}::text" for column in columns)
