"""Masked rows fit what a real server's tables allow, whatever the constraint; what fits in no shape is told."""

from __future__ import annotations

import asyncpg
import pytest

from resilience.services.postgresql import masking
from resilience.services.postgresql.catalog import read_schema
from resilience.services.postgresql.copytext import Row
from resilience.services.postgresql.fakes import Fakes
from resilience.services.postgresql.fitting import Fitting
from resilience.services.postgresql.seed_rules import read_rules


async def fitted(
    connection: asyncpg.Connection, rows: dict[str, list[Row]], mask: dict[str, str] | None = None
) -> Fitting:
    schema = await read_schema(connection)
    decided = masking.decide(schema, rows, read_rules([], mask or {}).masks, {})
    work = Fitting(schema=schema, masking=decided, rows=rows, fakes=Fakes(b"a key of the tests, long enough"))
    work.learn()
    await work.fit(connection)
    work.prune()
    work.hide_secrets()
    return work


CHECKS = (
    "check (x ~ '^INV-[0-9]{4}$')", "check (x like 'INV-%' and length(x) = 8)", "check (x = upper(x))", "check (x <> '')",
    "check (char_length(x) = 8)", "check (x in ('INV-1001', 'INV-1002', 'INV-1003'))", "check (x similar to '[A-Z]{3}-[0-9]{4}')",
    "check (substring(x from 5)::int between 0 and 9999)",
    "default 'INV-0000' check (x = 'INV-0000' or substring(x from 5)::int < 0)",
)  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
async def test_a_fake_passes_the_check_of_its_column(empty: asyncpg.Connection, check: str) -> None:
    await empty.execute(f"create table t (x text not null {check})")
    work = await fitted(empty, {"public.t": [["INV-1001"], ["INV-1002"], ["INV-1003"]]})
    assert work.gaps == []
    assert len(work.done["public.t"]) == 3
    for row in work.done["public.t"]:
        await empty.execute("insert into t values ($1)", row[0])


async def test_checks_of_several_columns_and_of_domains_hold(empty: asyncpg.Connection) -> None:
    await empty.execute(
        """
        create domain plate as varchar(9) check (value ~ '^[A-Z]{1,3}-[A-Z]{2} [0-9]+$');
        create table t (mail text, mail_low text, born date, died date, car plate, unique (mail), check (lower(mail) = mail_low),
         check (born < died), low_salary int, high_salary int, check (low_salary < high_salary));
        """
    )
    rows: list[Row] = [
        [f"A{at}@Corp.de", f"a{at}@corp.de", "1950-01-01", "1950-01-02", f"B-AB {at}", str(at), str(at + 1)]
        for at in range(1, 60)
    ]
    work = await fitted(empty, {"public.t": rows}, {"t.mail": "email", "t.mail_low": "email"})
    assert work.gaps == []
    assert len({row[0] for row in work.done["public.t"]}) == 59
    assert not {row[4] for row in work.done["public.t"]} & {row[4] for row in rows}


async def test_what_no_fake_can_be_is_null_or_its_row_and_all_that_name_it_are_left_out(
    empty: asyncpg.Connection,
) -> None:
    await empty.execute(
        """
        create table free (x text check (md5(x) = '49f68a5c8493ec2c0bf489821c21fc3b'));
        create table a (id int primary key, x text not null check (md5(x) = '49f68a5c8493ec2c0bf489821c21fc3b'));
        create table b (id int primary key, a int references a);
        create table c (b int references b);
        """
    )
    rows: dict[str, list[Row]] = {
        "public.free": [["hi"]], "public.a": [["1", "hi"]], "public.b": [["1", "1"], ["2", None]], "public.c": [["1"], ["2"]],
    }  # fmt: skip
    work = await fitted(empty, rows)
    assert work.done == {"public.free": [[None]], "public.a": [], "public.b": [["2", None]], "public.c": [["2"]]}
    assert any(gap.startswith("public.free.x: no fake fits") for gap in work.gaps)
    assert "public.b: 1 rows are left out, which cannot be masked or name such a row" in work.gaps


async def test_rows_that_name_what_staging_lost_are_left_out_unless_it_never_checked(empty: asyncpg.Connection) -> None:
    await empty.execute(
        """
        create table a (id int primary key);
        create table b (a int references a);
        create table c (a int);
        alter table c add foreign key (a) references a not valid;
        """
    )
    work = await fitted(empty, {"public.a": [["1"]], "public.b": [["1"], ["9"]], "public.c": [["9"]]})
    assert work.done == {"public.a": [["1"]], "public.b": [["1"]], "public.c": [["9"]]}
    assert work.gaps == ["public.b: 1 rows are left out, which cannot be masked or name such a row"]


async def test_partitions_by_a_masked_column_take_the_rows(empty: asyncpg.Connection) -> None:
    await empty.execute(
        """
        create table t (region text not null, n int) partition by list (region);
        create table t_eu partition of t for values in ('eu', 'uk');
        create table t_us partition of t for values in ('us');
        """
    )
    rows: dict[str, list[Row]] = {"public.t": [["eu", "1"], ["us", "2"], ["uk", "3"]]}
    work = await fitted(empty, rows)
    assert work.gaps == []
    assert {row[0] for row in work.done["public.t"]} == {"eu", "us", "uk"}
    assert all(new[0] != old[0] for new, old in zip(work.done["public.t"], rows["public.t"], strict=True))


async def test_a_keep_is_no_leave_for_secrets_and_people_in_it_are_counted(empty: asyncpg.Connection) -> None:
    await empty.execute("create table t (note text, other text)")
    rows: dict[str, list[Row]] = {
        "public.t": [["password=hunter2hunter2", "x"], ["anna@corp.de", "y"], ["4539 1488 0343 6467", "z"]]
    }
    work = await fitted(empty, rows, {"t.note": "keep"})
    assert "hunter2" not in str(work.done)
    assert work.gaps == ["public.t.note is kept and holds what looks like a secret: 1 values are masked"]
    assert work.personal() == {
        "e-mail addresses in public.t.note, which is kept": 1,
        "card numbers in public.t.note, which is kept": 1,
    }


async def test_types_that_nobody_knows_are_masked_all_the_same(empty: asyncpg.Connection) -> None:
    await empty.execute(
        """
        create type place as (street text, no int);
        create table t (p place, q tsquery, x xml, r daterange, home_range int4range, v interval, m money,
         times timestamptz[], j jsonb[], birth_time time, path text);
        """
    )
    row: Row = [
        '("Elm Grove",17)', "'anna' & 'muster'", "<a>Anna</a>", "[1980-01-01,1980-02-01)", "[10,20)", "1 day", "$1,234.00",
        '{"1980-01-01 00:00:00+00"}', '{"{\\"name\\": \\"Anna\\"}"}', "10:11:12", "Top.Anna",
    ]  # fmt: skip
    work = await fitted(empty, {"public.t": [row]})
    assert work.gaps == []
    told = str(work.done["public.t"])
    for word in ("Elm", "anna", "muster", "Anna", "[10,20)", "1980-01-01 ", "10:11:12"):
        assert word not in told, word
