"""Turn rules into masked rows of staging that stand by themselves: planned, taken, masked and loaded, in this order.

    plan  = await plan(staging, asked)          what would be taken, and how masked
    taken = await take(staging, plan, asked)    the rows, unmasked, in memory alone; staging is let go
    seed  = await mask(scratch, taken, asked)   fakes, tried in the scratch stand-in
    gaps  = await load(scratch, seed.manifest, read)

The first two need one transaction: REPEATABLE READ, READ ONLY.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import asyncpg

from resilience.core.secret import Secret
from resilience.services.postgresql import masking, rows as rows_of_staging
from resilience.services.postgresql.catalog import read_schema
from resilience.services.postgresql.closure import Found, Place, TooManyError, close
from resilience.services.postgresql.copytext import Row, bytes_of
from resilience.services.postgresql.fakes import Fakes
from resilience.services.postgresql.fitting import LEAST_SECRET, Fitting
from resilience.services.postgresql.loading import load
from resilience.services.postgresql.masking import Masking
from resilience.services.postgresql.rows import SeedError
from resilience.services.postgresql.schema import ForeignKey, Schema, Table
from resilience.services.postgresql.seed_rules import SeedRules, check, read_rules

__all__ = ["Seed", "SeedAsked", "SeedError", "SeedPlan", "TablePlan", "Taken", "check", "load", "mask", "plan", "take"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAsked:
    """What a lesson asks for: the texts of `seed` and `mask`, the masking key, secrets that may stand in no byte, columns that the
    generation before knew (all others are new), and limits."""

    rules: tuple[str, ...]
    mask: Mapping[str, str] = field(default_factory=dict)
    key: bytes
    secrets: tuple[Secret, ...] = ()
    known: frozenset[str] = frozenset()
    at_most_rows: int = 100_000
    at_most_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePlan:
    """What is taken of a table: so many rows of about so many bytes; columns → how they are masked; those kept; proposals."""

    name: str
    rows: int
    bytes: int
    masked: Mapping[str, str]
    kept: tuple[str, ...]
    proposed: Mapping[str, str]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlan:
    """What a lesson would take. `refused` says why it is too much; `new` are columns that the generation before did not know."""

    tables: tuple[TablePlan, ...]
    gaps: tuple[str, ...] = ()
    refused: str = ""
    new: tuple[str, ...] = ()
    columns: frozenset[str] = frozenset()
    schema: Schema = field(repr=False)
    masking: Masking = field(repr=False)
    places: Mapping[str, tuple[Place, ...]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Rows of staging as they are. For memory alone: never written, never shown."""

    plan: SeedPlan = field(repr=False)
    rows: Mapping[str, list[Row]] = field(repr=False)

    def __reduce__(self) -> str:
        raise TypeError("unmasked rows are never written")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Masked rows as files, what `load` must know of them, and what could not be had."""

    files: Mapping[str, bytes] = field(repr=False)
    manifest: Mapping[str, Any]
    gaps: tuple[str, ...] = ()


async def plan(connection: Any, asked: SeedAsked) -> SeedPlan:
    """Return what the rules would take, closed over foreign keys, and how each column would be masked. Raises SeedError."""
    try:
        rules = read_rules(asked.rules, asked.mask)
        await rows_of_staging.settle(connection)
        schema = _with_keys(await read_schema(connection), rules)
        return await _plan(connection, asked, rules, schema)
    except (ValueError, masking.RuleError) as exc:
        raise SeedError(f"{exc}.", hint="edit `seed` or `mask`, then: resilience teach --plan") from exc
    except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as exc:
        raise SeedError(
            "staging took longer than a lesson may, or a table was locked.", hint="teach again later"
        ) from exc
    except asyncpg.InsufficientPrivilegeError as exc:
        raise SeedError(
            f"this login may not read all of what the rules ask for ({exc}).",
            hint="grant select, or bypassrls where a policy hides rows, to the user of the lesson",
        ) from exc


async def _plan(connection: Any, asked: SeedAsked, rules: SeedRules, schema: Schema) -> SeedPlan:
    """Follow the rules, then the foreign keys by their indexes, then look at some rows to see what is in them."""
    starts, why, absent = await _starts(connection, asked, rules, schema)
    await connection.execute("set local enable_seqscan = off")

    async def look_up(table: Table, columns: Sequence[str], keys: Sequence[tuple[str, ...]]) -> list[Found]:
        return await rows_of_staging.look_up(connection, schema, table, columns, keys)

    try:
        taking = await close(schema, starts, look_up, why=why, at_most=asked.at_most_rows)
    except TooManyError as exc:
        return SeedPlan(
            tables=(),
            refused=f"more than {asked.at_most_rows} rows, reached at {exc.table}: a narrower where, or a limit",
            schema=schema,
            masking=Masking(columns={}, groups=()),
            places={},
        )
    await connection.execute("set local enable_seqscan = on")
    places = {name: tuple(sorted(found, key=_by_place)) for name, found in sorted(taking.rows.items())}
    places = {name: found for name, found in places.items() if found and schema.tables[name].columns}
    texts = [
        (
            schema.tables[name],
            told,
            [one for one in schema.tables[name].columns if one.family == "text" and not one.array],
        )
        for name, told in places.items()
    ]
    decided = masking.decide(schema, places, rules.masks, await rows_of_staging.samples(connection, texts))
    sizes = await rows_of_staging.sizes(connection, [(schema.tables[name], told) for name, told in places.items()])
    tables = [
        _table_plan(decided, name, len(places[name]), size, taking.why[name])
        for name, size in zip(places, sizes, strict=True)
    ]
    columns = frozenset(f"{name}.{column.name}" for name in places for column in schema.tables[name].columns)
    known_tables = {one.rpartition(".")[0] for one in asked.known}
    new = tuple(sorted(one for one in columns - asked.known if one.rpartition(".")[0] in known_tables))
    total = sum(table.bytes for table in tables)
    return SeedPlan(
        tables=tuple(tables),
        gaps=absent,
        refused=f"about {total} bytes, {asked.at_most_bytes} may be" if total > asked.at_most_bytes else "",
        new=new,
        columns=columns,
        schema=schema,
        masking=decided,
        places=places,
    )


async def take(connection: Any, plan: SeedPlan, asked: SeedAsked) -> Taken:
    """Return the rows of a plan, in the transaction that it was made in. Raises SeedError."""
    if plan.refused:
        raise SeedError(f"the seed is too much: {plan.refused}.", hint="resilience teach --plan")
    found: dict[str, list[Row]] = {}
    room = asked.at_most_bytes
    for name, places in plan.places.items():
        masked = frozenset(column for column, how in plan.masking.of(name).items() if how.kind != "keep")
        try:
            rows = await rows_of_staging.fetch(connection, plan.schema.tables[name], places, masked, room)
        except (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError) as exc:
            raise SeedError(f"the rows of {name} took longer than a lesson may.", hint="teach again later") from exc
        room -= sum(len(value) for row in rows for value in row if value is not None)
        found[name] = rows
    return Taken(plan=plan, rows=found)


async def mask(scratch: Any, taken: Taken, asked: SeedAsked) -> Seed:
    """Return the rows masked, each tried against what the scratch stand-in's tables allow. Raises SeedError.

    A fake that a constraint refuses is made anew in other shapes, in all rows of its value. What fits in none becomes NULL, or its
    row is left out with those that name it; both are gaps.
    """
    work = Fitting(schema=taken.plan.schema, masking=taken.plan.masking, rows=taken.rows, fakes=Fakes(asked.key))
    work.learn()
    await work.fit(scratch)
    work.prune()
    work.hide_secrets()
    files, tables = {}, []
    for name, rows in work.done.items():
        table = work.schema.tables[name]
        file = f"rows/{quote(name, safe='')}.copy"
        files[file] = bytes_of(rows)
        tables.append(_told(table, file, len(rows), taken.plan.masking))
    _refuse_secrets(files, asked.secrets)
    loaded = frozenset(work.done)
    manifest = {
        "tables": tables,
        "keys": [_key(work.schema, key) for key in work.schema.keys if key.child in loaded and key.validated],
        "sequences": [
            {
                "name": sequence.name,
                "table": _pair(work.schema.tables[sequence.table]),
                "column": sequence.column,
                "last": sequence.last,
            }
            for sequence in work.schema.sequences
            if sequence.table in loaded
        ],
        "columns": sorted(taken.plan.columns),
        "new": list(taken.plan.new),
        "personal": work.personal(),
    }
    return Seed(files=files, manifest=manifest, gaps=(*taken.plan.gaps, *work.gaps))


async def _starts(
    connection: Any, asked: SeedAsked, rules: SeedRules, schema: Schema
) -> tuple[dict[str, list[Found]], dict[str, str], tuple[str, ...]]:
    """Return the rows that the rules name, and the ledgers of migrations whole; by table, with why."""
    starts: dict[str, list[Found]] = {}
    why: dict[str, str] = {}
    empty = []
    for rule in rules.rows:
        table = schema.find(rule.schema, rule.table)
        if table is None:
            raise ValueError(f'seed rule "{rule.text}": {await _no_table(connection, rule.schema, rule.table)}')
        try:
            found = await rows_of_staging.start(connection, schema, table, rule, asked.at_most_rows)
        except (asyncpg.SyntaxOrAccessError, asyncpg.DataError, asyncpg.FeatureNotSupportedError) as exc:
            if isinstance(exc, asyncpg.InsufficientPrivilegeError):
                raise
            # What stands in a row may stand in the message of an error of data.
            words = "a value does not fit" if isinstance(exc, asyncpg.DataError) else str(exc)
            raise ValueError(f'seed rule "{rule.text}": {words} (SQLSTATE {exc.sqlstate})') from exc
        except asyncpg.ReadOnlySQLTransactionError as exc:
            raise ValueError(f'seed rule "{rule.text}" would write') from exc
        if not found:
            empty.append(f'seed rule "{rule.text}" names no row')
        for name, told in found.items():
            starts.setdefault(name, []).extend(told)
            why.setdefault(name, "rule")
    for table in schema.tables.values():
        if masking.is_taken_whole(table) and table.full not in starts:
            rule = read_rules((table.quoted,), {}).rows[0]
            for name, told in (
                await rows_of_staging.start(connection, schema, table, rule, asked.at_most_rows)
            ).items():
                starts[name] = told
                why[name] = masking.LEDGER
    return starts, why, tuple(empty)


async def _no_table(connection: Any, schema: str, name: str) -> str:
    """Say what there is in place of a table that a rule names."""
    found = await connection.fetch(
        "select n.nspname || '.' || c.relname as full, c.relkind::text as kind, c.relispartition as part "
        "from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relname = $1 and ($2 = '' or n.nspname = $2)",
        name,
        schema,
    )
    if not found:
        return f"staging has no table {f'{schema}.{name}' if schema else name}"
    if len(found) > 1:
        return f"write which: {' or '.join(sorted(row['full'] for row in found))}"
    kind = {"v": "a view", "m": "a materialised view", "f": "a foreign table"}.get(
        found[0]["kind"], "no table of its own"
    )
    return f"{found[0]['full']} is {'a partition: name its table' if found[0]['part'] else kind}"


def _with_keys(schema: Schema, rules: SeedRules) -> Schema:
    """Add the foreign keys that only rules declare. Raises ValueError where they name what is not there."""
    added = []
    for rule in rules.keys:
        ends = []
        for (space, name), columns in ((rule.child, rule.columns), (rule.parent, rule.parent_columns)):
            table = schema.find(space, name)
            if table is None:
                raise ValueError(f'key rule "{rule.text}": staging has no table {name}')
            absent = [column for column in columns if table.column(column) is None]
            if absent:
                raise ValueError(f'key rule "{rule.text}": {table.full} has no column {absent[0]}')
            ends.append(table.full)
        added.append(
            ForeignKey(
                name=f"({rule.text})",
                child=ends[0],
                columns=rule.columns,
                parent=ends[1],
                parent_columns=rule.parent_columns,
                virtual=True,
            )
        )
    return replace(schema, keys=(*schema.keys, *added))


def _table_plan(decided: Masking, name: str, rows: int, size: int, why: str) -> TablePlan:
    how = decided.of(name)
    return TablePlan(
        name=name,
        rows=rows,
        bytes=size,
        masked={column: one.kind for column, one in how.items() if one.kind != "keep"},
        kept=tuple(column for column, one in how.items() if one.kind == "keep"),
        proposed={f"{name}.{column}": one.proposal for column, one in how.items() if one.proposal},
        why=why,
    )


def _by_place(place: Place) -> tuple[int, int, int]:
    block, _, line = place[1].strip("()").partition(",")
    return place[0], int(block), int(line)


def _pair(table: Table) -> list[str]:
    return [table.schema, table.name]


def _told(table: Table, file: str, count: int, decided: Masking) -> dict[str, Any]:
    return {
        "name": table.full,
        "schema": table.schema,
        "table": table.name,
        "file": file,
        "columns": [column.name for column in table.columns],
        "rows": count,
        "masked": {name: how.kind for name, how in sorted(decided.of(table.full).items()) if how.kind != "keep"},
    }


def _key(schema: Schema, key: ForeignKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "child": _pair(schema.tables[key.child]),
        "columns": list(key.columns),
        "parent": _pair(schema.tables[key.parent]),
        "parent_columns": list(key.parent_columns),
        "virtual": key.virtual,
    }


def _refuse_secrets(files: Mapping[str, bytes], secrets: Iterable[Secret]) -> None:
    """Raise SeedError where a secret of the settings stands in a file: the last look before anything is written."""
    for secret in secrets:
        value = secret.reveal().encode()
        for file, data in files.items():
            if len(value) >= LEAST_SECRET and value in data:
                raise SeedError(
                    f"a secret of the settings stands in {file}; nothing was written.", hint="mask its column"
                )
