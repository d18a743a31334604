"""A PostgreSQL that stands for staging's, with a schema of every sort of object, and what a lesson of it is given."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg

from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.place import Endpoint
from resilience.services.postgresql.kind import KIND
from resilience.services.teaching import Asked
from tests.kits.servers.postgres import Postgres

KEY = b"the key of a test, long enough"
SECRET = "correct-horse-battery-9"
EVERY_SORT = """
create schema shop;
create type shop.mood as enum ('ok', 'bad');
create type shop.pair as (one int, two text);
create domain shop.short as text check (length(value) < 40);
create table shop.users (
    id bigint generated always as identity primary key, name shop.short not null, mood shop.mood default 'ok',
    doubled int generated always as (2 * 21) stored, tags text[] default '{}', picture bytea, profile jsonb, at inet
);
comment on table shop.users is 'who buys';
create table shop.orders (
    id serial primary key, user_id bigint not null references shop.users on delete cascade, total numeric(9, 2) check (total >= 0)
);
create index on shop.orders (user_id) where total > 0;
create view shop.buyers as select u.name, sum(o.total) as total from shop.users u join shop.orders o on o.user_id = u.id group by 1;
create materialized view shop.sums as select count(*) as orders from shop.orders;
create unique index on shop.sums (orders);
create table shop.events (id int, day date not null, constraint events_pk primary key (id, day)) partition by range (day);
create table shop.events_2025 partition of shop.events for values from ('2025-01-01') to ('2026-01-01');
create index on shop.events (day);
create table shop.tree (id int primary key, parent int references shop.tree, other int);
create table shop.leaf (id int primary key, tree int references shop.tree);
alter table shop.tree add foreign key (other) references shop.leaf deferrable initially deferred;
create table shop.without_a_key (x int, "Odd Name" text);
create function shop.touch() returns trigger language plpgsql as $$ begin new.mood = 'bad'; return new; end $$;
create trigger touch before insert on shop.users for each row execute function shop.touch();
create procedure shop.tidy() language sql as $$ delete from shop.orders where total = 0 $$;
create sequence shop.numbers start 100 increment 5;
create rule quiet as on delete to shop.without_a_key do instead nothing;
create statistics shop.both (dependencies) on id, parent from shop.tree;
create aggregate shop.longest (text) (sfunc = greatest_text, stype = text);
alter table shop.users enable row level security;
create policy seen on shop.users using (true);
"""
_FIRST = "create function greatest_text(text, text) returns text language sql as $$ select greatest($1, $2) $$"


@contextlib.contextmanager
def running(**options: Any) -> Iterator[Postgres]:
    made = Postgres(**options)
    try:
        yield made.create().start()
    finally:
        made.remove()


def url(server: Postgres, database: str, query: str = "sslmode=disable") -> str:
    return server.url(query, database=database)


@contextlib.asynccontextmanager
async def talking(server: Postgres, database: str = "postgres") -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url(server, database))
    try:
        yield connection
    finally:
        await connection.close()


async def database(server: Postgres, name: str, sql: str = EVERY_SORT) -> str:
    """Make a database in which these statements were run; return its URL."""
    async with talking(server) as connection:
        await connection.execute(f'drop database if exists "{name}"')
        await connection.execute(f'create database "{name}"')
    async with talking(server, name) as connection:
        if "greatest_text" in sql:
            await connection.execute(_FIRST)
        await connection.execute(sql)
    return url(server, name)


def asked(at: str, folder: Path, **fields: Any) -> Asked:
    """What a lesson of the database at this URL is given, with a scratch folder of its own."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    more = {
        name: fields.pop(name)
        for name in ("teach", "seed", "mask", "timeout_s", "tls_ca", "teach_from")
        if name in fields
    }
    service = Service(name="database", kind=KIND, url=Secret(at), local=Secret(""), **{"teach": ("schema",), **more})
    return Asked(service=service, root=folder, scratch=scratch, key=KEY, secrets=(Secret(SECRET),), **fields)


def place_of(server: Postgres, name: str) -> Endpoint:
    """Where a stand-in's database of this server is."""
    return Endpoint(
        kind=KIND,
        host="127.0.0.1",
        bind="127.0.0.1",
        port=server.port,
        user="tester",
        password="p#ss",
        database=name,
    )


async def sessions(connection: Any) -> int:
    """How many sessions of lessons are on the server."""
    return int(
        await connection.fetchval(
            "select count(*) from pg_stat_activity where application_name like 'resilience-lesson%'"
        )
    )


async def until_gone(connection: Any, within_s: float = 5.0) -> None:
    """Return when no session of a lesson is left on the server."""
    async with asyncio.timeout(within_s):
        while await sessions(connection):  # noqa: ASYNC110 - what changes is at a server
            await asyncio.sleep(0.02)


def found_in(folder: Path, texts: list[str]) -> dict[str, str]:
    """Which of these texts stand in which file below a folder."""
    pattern = re.compile(b"|".join(re.escape(text.encode()) for text in texts))
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and (match := pattern.search(path.read_bytes())):
            found[match[0].decode()] = str(path.relative_to(folder))
    return found
