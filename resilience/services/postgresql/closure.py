"""Turn rows that rules ask for into all rows that must come along, so that every foreign key finds what it names.

Only what is named is added, never what names it: a rule for users takes the teams that they belong to, and no orders. What is
known of a row is where it lies and what its foreign keys hold; each key is looked up once, so cycles and references of a table to
itself end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from resilience.services.postgresql.schema import ForeignKey, Schema, Table

Place = tuple[int, str]
"""Where a row lies within one snapshot: the oid of its leaf, and its ctid."""
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A row: where it lies, and what stands in `linked` columns of its table, in their order."""

    place: Place
    values: tuple[str | None, ...]


LookUp = Callable[[Table, Sequence[str], Sequence[Key]], Awaitable[Iterable[Found]]]


class TooManyError(Exception):
    """More rows than may be taken: `table` is the one at which it was seen."""

    def __init__(self, table: str) -> None:
        super().__init__(table)
        self.table = table


@dataclass(slots=True, kw_only=True)
class Taking:
    """What is taken so far, in the order in which it was met, and by what each table came in."""

    rows: dict[str, dict[Place, None]] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return sum(map(len, self.rows.values()))


def linked(schema: Schema, table: str) -> tuple[str, ...]:
    """Return the columns of a table that belong to its foreign keys, each once."""
    return tuple(dict.fromkeys(column for key in schema.keys_of(table) for column in key.columns))


async def close(
    schema: Schema, starts: Mapping[str, Iterable[Found]], look_up: LookUp, *, why: Mapping[str, str], at_most: int
) -> Taking:
    """Return the rows of `starts` and all that their foreign keys name, directly or through others.

    A key with a NULL names nothing (MATCH SIMPLE; a full match holds NULLs only). Raises TooManyError.
    """
    taking = Taking()
    asked: dict[tuple[str, tuple[str, ...]], set[Key]] = {}
    waiting = [(table, list(rows), why.get(table, "rule")) for table, rows in starts.items()]
    while waiting:
        name, found, reason = waiting.pop()
        held = taking.rows.setdefault(name, {})
        taking.why.setdefault(name, reason)
        new = [row for row in found if row.place not in held]
        held.update((row.place, None) for row in new)
        if taking.count > at_most:
            raise TooManyError(name)
        columns = linked(schema, name)
        for key in schema.keys_of(name):
            wanted = _wanted(key, columns, new)
            seen = asked.setdefault((key.parent, key.parent_columns), set())
            wanted = [one for one in wanted if one not in seen]
            if wanted:
                seen.update(wanted)
                parent = schema.tables[key.parent]
                parents = list(await look_up(parent, key.parent_columns, wanted))
                waiting.append((key.parent, parents, f"named by {key.child}"))
    return taking


def _wanted(key: ForeignKey, columns: Sequence[str], rows: Iterable[Found]) -> list[Key]:
    at = [columns.index(column) for column in key.columns]
    found: dict[Key, None] = {}
    for row in rows:
        values = [row.values[one] for one in at]
        told = tuple(value for value in values if value is not None)
        if len(told) == len(values):
            found[told] = None
    return list(found)
