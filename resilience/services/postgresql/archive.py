"""Turn the bytes of `pg_dump -Fc --schema-only` into the objects of a schema: what each is, its statement, and what it needs.

The format is that of pg_backup_archiver.c, versions 1.12 (PostgreSQL 10) to 1.16 (17 and 18). Of the head nothing is kept: two
dumps of one schema give the same objects, whenever and by whichever server they were made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PRE_DATA, DATA, POST_DATA = 2, 3, 4
_MAGIC = b"PGDMP"
_OLDEST, _NEWEST = (1, 12), (1, 16)
_CUSTOM = 1
_LONGEST = 64 << 20
"""Bytes of one statement; more is a number that was read at the wrong place."""


class ArchiveError(Exception):
    """These bytes are no dump that can be read; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An object of a schema. `kind` is pg_dump's word: TABLE, FK CONSTRAINT, FUNCTION. `needs` are names of others."""

    kind: str
    schema: str
    tag: str
    sql: str
    section: int
    needs: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what the object is called for people, and in `needs`: TABLE public.users."""
        return f"{self.kind} {self.schema}.{self.tag}" if self.schema else f"{self.kind} {self.tag}"


class _Reader:
    """Reads the numbers and texts of an archive, as its head says that they are written."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at, self.width = data, 0, 4

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise ArchiveError("it is cut")
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        sign = self.byte()
        if self.at + self.width > len(self.data):
            raise ArchiveError("it is cut")
        value = int.from_bytes(self.data[self.at : self.at + self.width], "little")
        self.at += self.width
        return -value if sign else value

    def text(self) -> str | None:
        length = self.number()
        if length < 0:
            return None
        if length > _LONGEST or self.at + length > len(self.data):
            raise ArchiveError("it is cut")
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8", "surrogateescape")


def read(data: bytes) -> tuple[Item, ...]:
    """Return the objects of a dump, in the order in which they are made. Raises ArchiveError."""
    if not data.startswith(_MAGIC):
        raise ArchiveError("it does not begin as a dump does")
    reader = _Reader(data)
    reader.at = len(_MAGIC)
    version = (reader.byte(), reader.byte())
    reader.byte()
    if not _OLDEST <= version <= _NEWEST:
        raise ArchiveError(f"its format is {version[0]}.{version[1]}; known are 1.12 to 1.16")
    reader.width = reader.byte()
    offset = reader.byte()
    if reader.byte() != _CUSTOM:
        raise ArchiveError("it is not of the custom format")
    if version >= (1, 15):
        reader.byte()
    else:
        reader.number()
    for _ in range(7):
        reader.number()
    for _ in range(3):
        reader.text()
    entries = [_entry(reader, version, offset) for _ in range(reader.number())]
    names = {number: item.name for number, item, _ in entries}
    return tuple(
        Item(kind=item.kind, schema=item.schema, tag=item.tag, sql=item.sql, section=item.section,
             needs=tuple(sorted({names[one] for one in needs if one in names})))
        for _, item, needs in entries
    )  # fmt: skip


def _entry(reader: _Reader, version: tuple[int, int], offset: int) -> tuple[int, Item, tuple[int, ...]]:
    """Return the number of an entry, what it is, and the numbers of those that it needs."""
    number = reader.number()
    reader.number()
    reader.text()
    reader.text()
    tag, kind, section = reader.text() or "", reader.text() or "", reader.number()
    sql = reader.text() or ""
    reader.text()
    reader.text()
    schema = reader.text() or ""
    reader.text()
    if version >= (1, 14):
        reader.text()
    if version >= (1, 16):
        reader.number()
    reader.text()
    reader.text()
    needs = []
    while (need := reader.text()) is not None:
        needs.append(int(need) if need.isdigit() else -1)
    reader.at += 1 + offset
    return number, Item(kind=kind, schema=schema, tag=tag, sql=sql, section=section), tuple(needs)


def written(items: Sequence[Item]) -> bytes:
    """Return the objects as a file that people can read and that is equal for equal schemas."""
    told = [
        {
            "name": item.name,
            "kind": item.kind,
            "schema": item.schema,
            "tag": item.tag,
            "section": item.section,
            "needs": list(item.needs),
            "sql": item.sql.split("\n"),
        }
        for item in items
    ]
    return json.dumps(told, indent=1, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"


def restored(data: bytes) -> tuple[Item, ...]:
    """Return the objects of a file that `written` gave. Raises ValueError, LookupError or TypeError for another."""
    return tuple(
        Item(
            kind=str(one["kind"]),
            schema=str(one["schema"]),
            tag=str(one["tag"]),
            sql="\n".join(one["sql"]),
            section=int(one["section"]),
            needs=tuple(map(str, one["needs"])),
        )
        for one in json.loads(data.decode("utf-8", "surrogateescape"))
    )


def differing(before: Iterable[Item], after: Iterable[Item]) -> tuple[str, ...]:
    """Return by what two schemas differ: names of objects that are new, gone or otherwise. The order of objects does not count."""
    one, two = _by_name(before), _by_name(after)
    new = [f"{name} is new" for name in two if name not in one]
    gone = [f"{name} is gone" for name in one if name not in two]
    other = [f"{name}{_changed(one[name], two[name])}" for name in one if name in two and one[name] != two[name]]
    return (*other, *new, *gone)


def _changed(before: Sequence[str], after: Sequence[str]) -> str:
    """Return by which lines a statement differs, the first of each: + of the second, - of the first."""
    old = [line.strip().rstrip(",") for text in before for line in text.split("\n")]
    new = [line.strip().rstrip(",") for text in after for line in text.split("\n")]
    more = [f"+ {line}" for line in new if line not in old][:1] + [f"- {line}" for line in old if line not in new][:1]
    return f": {', '.join(line[:80] for line in more)}" if more else " is another"


def _by_name(items: Iterable[Item]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for item in items:
        found.setdefault(item.name, []).append(item.sql)
    return {name: sorted(texts) for name, texts in found.items()}
