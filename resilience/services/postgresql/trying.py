"""Turn masked rows into what the scratch stand-in says of them: each row that a constraint refuses, and by what.

All is rolled back and nothing is logged. A table is first copied whole, which is as fast as loading it; only when that fails is
each row tried by itself.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from resilience.services.postgresql.copytext import Row, bytes_of
from resilience.services.postgresql.schema import Table, quoted

_AT_ONCE = 500
_QUIET = """
set local session_replication_role = replica; set local log_min_messages = panic; set local log_min_error_statement = panic"""
_FUNCTION = """
create function pg_temp.resilience_try(statements text[])
returns table (place int, state text, constrained text, named text, typed text) language plpgsql as $$
begin
 for i in 1 .. cardinality(statements) loop
  begin
   execute statements[i];
  exception when others then
   get stacked diagnostics state = returned_sqlstate, constrained = constraint_name, named = column_name,
    typed = pg_datatype_name;
   place := i;
   return next;
  end;
 end loop;
end $$"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that a constraint refuses: its index, the SQLSTATE, and the constraint, column and type, as far as they are named."""

    row: int
    state: str
    constraint: str = ""
    column: str = ""
    domain: str = ""


@asynccontextmanager
async def trial(scratch: Any) -> AsyncIterator[Trial]:
    """Try rows inside; when it ends, nothing of them is left."""
    transaction = scratch.transaction()
    await transaction.start()
    try:
        await scratch.execute(_QUIET)
        yield Trial(scratch)
    finally:
        await transaction.rollback()


class Trial:
    """Tables of the scratch stand-in that take rows for a while."""

    def __init__(self, scratch: Any) -> None:
        self._scratch = scratch
        self._has_function = False

    async def rows(self, table: Table, rows: Sequence[Row]) -> tuple[Refused, ...]:
        """Return which of the rows the table refuses. Foreign keys are not asked, they are checked when all is loaded."""
        await self._scratch.execute("savepoint one_table")
        try:
            await copy_in(self._scratch, table, [column.name for column in table.columns], bytes_of(rows))
        except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
            await self._scratch.execute("rollback to savepoint one_table")
        else:
            return ()
        if not self._has_function:
            await self._scratch.execute(_FUNCTION)
            self._has_function = True
        refused: list[Refused] = []
        for at in range(0, len(rows), _AT_ONCE):
            statements = [_insert(table, row) for row in rows[at : at + _AT_ONCE]]
            for row in await self._scratch.fetch("select * from pg_temp.resilience_try($1)", statements):
                told = Refused(
                    row=at + row["place"] - 1,
                    state=row["state"],
                    constraint=row["constrained"] or "",
                    column=row["named"] or "",
                    domain=row["typed"] or "",
                )
                refused.append(told)
        return tuple(refused)


async def copy_in(connection: Any, table: Table, columns: Sequence[str], data: bytes) -> None:
    await connection.copy_to_table(
        table.name, schema_name=table.schema, columns=list(columns), source=io.BytesIO(data), format="text"
    )


def _insert(table: Table, row: Row) -> str:
    columns = ", ".join(quoted(column.name) for column in table.columns)
    values = ", ".join("null" if value is None else _literal(value) for value in row)
    return f"insert into {table.quoted} ({columns}) overriding system value values ({values})"  # noqa: S608 - all quoted


def _literal(value: str) -> str:
    # E'' is read the same whatever standard_conforming_strings says.
    return " E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
