"""The bytes of a dump become the objects of a schema, the same for the same schema; other bytes are refused."""

from __future__ import annotations

import pytest

from resilience.services.postgresql.archive import ArchiveError, Item, differing, read, restored, written

TABLE = Item(kind="TABLE", schema="public", tag="users", sql="CREATE TABLE public.users (\n    id int\n);\n", section=2)
INDEX = Item(
    kind="INDEX", schema="public", tag="i", sql="CREATE INDEX i …;\n", section=4, needs=("TABLE public.users",)
)


def number(value: int) -> bytes:
    return (b"\x01" if value < 0 else b"\x00") + abs(value).to_bytes(4, "little")


def text(value: str | None) -> bytes:
    return number(-1) if value is None else number(len(value.encode())) + value.encode()


def dump(version: tuple[int, int], *items: Item) -> bytes:
    """A dump as pg_backup_archiver.c writes it, of any version that is read."""
    data = b"PGDMP" + bytes((*version, 0, 4, 8, 1)) + (b"\x01" if version >= (1, 15) else number(-1))
    data += b"".join(map(number, (1, 2, 3, 4, 5, 126, 0))) + text("staging") + text("18.4") + text("18.4")
    data += number(len(items))
    numbers = {item.name: place for place, item in enumerate(items, 7)}
    for item in items:
        data += number(numbers[item.name]) + number(0) + text("1259") + text("16384") + text(item.tag) + text(item.kind)
        data += number(item.section) + text(item.sql) + text("DROP …") + text(None) + text(item.schema) + text(None)
        data += text("heap") if version >= (1, 14) else b""
        data += number(114) if version >= (1, 16) else b""
        data += text("owner") + text("false") + b"".join(text(str(numbers[one])) for one in item.needs) + text(None)
        data += b"\x03" + bytes(8)
    return data


@pytest.mark.parametrize("version", [(1, 12), (1, 13), (1, 14), (1, 15), (1, 16)])
def test_dumps_of_postgresql_10_to_18_are_read(version: tuple[int, int]) -> None:
    assert read(dump(version, TABLE, INDEX)) == (TABLE, INDEX)


def test_every_cut_of_a_dump_is_refused_and_never_read_as_less() -> None:
    whole = dump((1, 16), TABLE, INDEX)
    for length in range(len(whole) - 9):  # the last nine bytes are a place in the file, which is not read
        with pytest.raises(ArchiveError):
            read(whole[:length])


@pytest.mark.parametrize(("version", "word"), [((1, 11), "1.11"), ((1, 17), "1.17"), ((2, 0), "2.0")])
def test_a_format_that_is_not_known_is_refused_by_its_number(version: tuple[int, int], word: str) -> None:
    with pytest.raises(ArchiveError, match=word):
        read(dump(version, TABLE))


def test_what_is_written_is_read_back_and_begins_nowhere_else() -> None:
    assert restored(written((TABLE, INDEX))) == (TABLE, INDEX)
    assert b"CREATE TABLE public.users (" in written((TABLE,))


def test_schemas_differ_by_objects_and_not_by_their_order() -> None:
    text = TABLE.sql.replace("id int", "id int,\n    more text")
    other = Item(kind="TABLE", schema="public", tag="users", sql=text, section=2)
    assert differing((TABLE, INDEX), (INDEX, TABLE)) == ()
    assert differing((TABLE, INDEX), (other,)) == ("TABLE public.users: + more text", "INDEX public.i is gone")
    assert differing((TABLE,), (TABLE, INDEX)) == ("INDEX public.i is new",)
