"""Turn the texts of `seed` and `mask` into rules, or say what is wrong with them and what to write instead.

users where id < 200                    rows of a table: the text behind `where` is SQL for staging
orders where placed > '2026-01-01' limit 50
countries                               all of it
orders.user_ref -> users.id             a foreign key that the schema does not declare
lines(order_no, shop) -> orders(no, shop)

"users.email" = "email"                 how a column is masked; "keep" is the only word that leaves it as it is
"countries.*" = "keep"                  every column of a table
"users.profile->status" = "keep"        a field anywhere inside JSON
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from resilience.services.postgresql.fakes import KINDS

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_TABLE = rf"{_NAME}(?:\.{_NAME})?"
_ROWS = re.compile(
    rf"\s*({_TABLE})(?:\s+where\s+(?P<where>.*?))?(?:\s+limit\s+(?P<limit>\d+))?\s*", re.IGNORECASE | re.DOTALL
)
_BEGINS = re.compile(rf"\s*(?:virtual\s+(?:fk|key):)?\s*({_TABLE}(?:\.{_NAME})?)\s*(?:\(([^()]*)\))?\s*", re.IGNORECASE)
_COLUMN = re.compile(rf"\s*({_NAME}(?:\.{_NAME}){{0,2}})(\.\*)?(?:->(.+))?\s*", re.DOTALL)
_PART = re.compile(_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """Rows that are taken: of `table` (schema may be empty) those where the SQL `where` holds, at most `limit` (0: all)."""

    text: str
    schema: str
    table: str
    where: str = ""
    limit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule:
    """A foreign key that nobody declared: columns of `child` name a row of `parent`. Tables are (schema, name)."""

    text: str
    child: tuple[str, str]
    columns: tuple[str, ...]
    parent: tuple[str, str]
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """How a column is masked. `column` is `*` for all of the table's; `field` names one inside JSON."""

    text: str
    schema: str
    table: str
    column: str
    field: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRules:
    rows: tuple[RowRule, ...] = ()
    keys: tuple[KeyRule, ...] = ()
    masks: tuple[MaskRule, ...] = ()


def read_rules(rules: Iterable[str], mask: Mapping[str, str]) -> SeedRules:
    """Return the rules of the configuration. Raises ValueError with the rule, what is wrong with it, and what is right."""
    rows: list[RowRule] = []
    keys: list[KeyRule] = []
    for text in rules:
        if _arrow(text):
            keys.append(_key_rule(text))
        else:
            rows.append(_row_rule(text))
    masks = tuple(_mask_rule(name, kind) for name, kind in mask.items())
    return SeedRules(rows=tuple(rows), keys=tuple(keys), masks=masks)


def _arrow(text: str) -> bool:
    head = re.split(r"\bwhere\b", text, maxsplit=1, flags=re.IGNORECASE)[0]
    return "->" in head


def _row_rule(text: str) -> RowRule:
    """Read `TABLE [where SQL] [limit N]`. What SQL is, staging's parser says; here only what would change the statement."""
    match = _ROWS.fullmatch(text)
    if match is None or "\0" in text:
        raise ValueError(
            f'seed rule "{text}" cannot be read; write "users where id < 200", "users limit 50" or "users"'
        )
    where = (match["where"] or "").strip()
    if match["where"] is not None and not where:
        raise ValueError(f'seed rule "{text}" has nothing behind where; write "{match[1]} where id < 200"')
    if match["limit"] == "0":
        raise ValueError(f'seed rule "{text}" takes no row; a limit is at least 1')
    problem = _unbalanced(where)
    if problem:
        raise ValueError(f'seed rule "{text}": {problem}')
    schema, table = _table(match[1])
    return RowRule(text=text, schema=schema, table=table, where=where, limit=int(match["limit"] or 0))


def _unbalanced(where: str) -> str:
    """Say what in a condition would end or go beyond it: a semicolon, a comment, a bracket or a quote without its other.

    Texts in quotes may hold any of these. PostgreSQL parses what is left, as one statement, in a transaction that only reads.
    """
    bare = re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$", " ", where, flags=re.DOTALL)
    if "'" in bare or '"' in bare:
        return "a quote is not closed"
    for sign in (";", "--", "/*"):
        if sign in bare:
            return f"{sign} is not allowed: one condition, nothing else"
    depth = 0
    for letter in bare:
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            break
    return "its brackets do not match" if depth else ""


def _key_rule(text: str) -> KeyRule:
    """Read `a.b -> c.d` or `a(b, c) -> d(e, f)`, where tables may have a schema."""
    wanted = f'key rule "{text}" cannot be read; write "orders.user_ref -> users.id" or "lines(a, b) -> orders(a, b)"'
    left, _, right = text.partition("->")
    sides = [_side(side) for side in (left, right)]
    if None in sides:
        raise ValueError(wanted)
    (child, columns), (parent, parents) = (side for side in sides if side is not None)
    if len(columns) != len(parents):
        raise ValueError(f'key rule "{text}" has {len(columns)} columns on one side and {len(parents)} on the other')
    return KeyRule(text=text, child=child, columns=columns, parent=parent, parent_columns=parents)


def _side(text: str) -> tuple[tuple[str, str], tuple[str, ...]] | None:
    match = _BEGINS.fullmatch(text)
    if match is None:
        return None
    parts = _parts(match[1])
    if match[2] is None:
        return (_pair(parts[:-1]), (parts[-1],)) if len(parts) > 1 else None
    columns = [column.strip() for column in match[2].split(",")]
    if len(parts) > 2 or not all(re.fullmatch(_NAME, column) for column in columns):
        return None
    return _pair(parts), tuple(_plain(column) for column in columns)


def _mask_rule(name: str, kind: str) -> MaskRule:
    match = _COLUMN.fullmatch(name)
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1)
        words = f'did you mean "{near[0]}"?' if near else f"it is one of {', '.join(KINDS)}"
        raise ValueError(f'mask "{name}" = "{kind}": {words}')
    parts = _parts(match[1]) if match else []
    if match is None or len(parts) + bool(match[2]) not in (2, 3):
        raise ValueError(f'mask "{name}" names no column; write "users.email", "shop.users.email" or "countries.*"')
    if match[2]:
        parts.append("*")
    schema, table = _pair(parts[:-1])
    return MaskRule(text=name, schema=schema, table=table, column=parts[-1], field=(match[3] or "").strip(), kind=kind)


def _table(text: str) -> tuple[str, str]:
    return _pair(_parts(text))


def _parts(text: str) -> list[str]:
    return [_plain(part) for part in _PART.findall(text)]


def _pair(parts: list[str]) -> tuple[str, str]:
    return (parts[0], parts[1]) if len(parts) > 1 else ("", parts[0])


def _plain(name: str) -> str:
    """Return an identifier as the catalog has it: folded to small letters where it stands without quotes."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()


def check(rules: Iterable[str], mask: Mapping[str, str]) -> None:
    """Raise ValueError, in words, where a rule cannot be read; whether staging has what it names is seen at the lesson."""
    read_rules(rules, mask)
