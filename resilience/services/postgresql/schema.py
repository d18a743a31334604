"""What a lesson must know of a database's tables, as records: columns, keys, checks, sequences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that can be written: generated ones are not among them.

    `type` is what a text is cast to; `family` the sort of its base type (domains and arrays looked through); `length` the most
    characters, 0 without limit; `top` the largest whole number; `labels` those of an enum; `domain` its name, where it has one.
    """

    name: str
    type: str
    family: str
    array: bool = False
    nullable: bool = True
    length: int = 0
    top: int = 0
    labels: tuple[str, ...] = ()
    domain: str = ""
    default: str | None = None
    folded: bool = False
    """Case makes no difference: citext."""
    few: int = 0
    """So many different values there are, as the server's statistics say; 0: not few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    columns: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table, partitioned or not. `leaves` are where its rows lie, as quoted names by oid: itself, or its partitions."""

    schema: str
    name: str
    oid: int
    columns: tuple[Column, ...]
    leaves: Mapping[int, str]
    partitioned: bool = False
    primary: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    checks: tuple[Check, ...] = ()
    routed: tuple[str, ...] = ()
    """Columns that decide in which partition a row lies."""
    rows: int = 0
    """As the server's statistics say."""

    @property
    def full(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignKey:
    """Columns of `child` that name a row of `parent`; tables by their full names. `virtual`: only a rule says so."""

    name: str
    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    validated: bool = True
    virtual: bool = False

    @property
    def shown(self) -> str:
        return f"{self.name} ({self.child} → {self.parent})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A sequence that gives a table's column its values. `last` is None where it was not used yet or may not be read."""

    name: str
    table: str
    column: str
    last: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    tables: Mapping[str, Table]
    keys: tuple[ForeignKey, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    domains: Mapping[str, str] = field(default_factory=dict)
    """Name of a domain → the text of its checks."""

    def find(self, schema: str, name: str) -> Table | None:
        """Return a table by its name; without a schema that of `public`, else the only one of this name."""
        if schema:
            return self.tables.get(f"{schema}.{name}")
        found = [table for table in self.tables.values() if table.name == name]
        return self.tables.get(f"public.{name}") or (found[0] if len(found) == 1 else None)

    def keys_of(self, table: str) -> tuple[ForeignKey, ...]:
        return tuple(key for key in self.keys if key.child == table)


def quoted(name: str) -> str:
    """Return an identifier in quotes, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'
