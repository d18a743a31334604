"""A staging for the seed's tests: one server with a made database that has a bit of everything, and people in it to look for."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg

from resilience.services.postgresql.seed import Seed, SeedAsked, SeedPlan, load, mask, plan, take
from resilience.services.postgresql.stand_in import PostgresServer

KEY = b"a key of the tests, long enough"
PLANTED = (
    "Wilhelmina", "Quartermaine", "wilhelmina.q@corporate-mail.test", "+49 171 5550123", "Elm Grove 17",
    "4539 1488 0343 6467", "DE75512108001245126199", "sk-live0123456789abcdefghij", "203.0.113.77", "hunter2-unmasked",
)  # fmt: skip
"""What must be found nowhere but on staging."""
SCHEMA = r"""
create extension if not exists citext;
create type status as enum ('new', 'paid', 'sent');
create domain email_address as text check (value ~ '^[^@\s]+@[^@\s]+\.[a-z]+$');
create domain positive as int check (value > 0);
create table alembic_version (version_num varchar(32) primary key);
create table countries (code char(2) primary key, name text not null unique);
create table teams (id serial primary key, title text not null, lead int, country char(2) references countries);
create table users (
  id int generated always as identity primary key,
  email email_address not null unique,
  nick citext unique,
  full_name text not null,
  first_name varchar(30), last_name varchar(30),
  phone varchar(20) check (phone ~ '^\+[0-9 ]+$'),
  address text, card text, iban text, ip inet, mac macaddr, avatar bytea, password text,
  born date check (born < '2020-01-01'), salary numeric(10,2), age smallint check (age between 18 and 120),
  state status not null default 'new',
  level text not null check (level in ('bronze', 'silver', 'gold')),
  code text not null unique check (code ~ '^CU-[0-9]{6}$'),
  profile jsonb, settings json, tags text[], logins inet[], notes text,
  search tsvector, home point,
  initials text generated always as (left(first_name, 1) || left(last_name, 1)) stored,
  team int references teams, invited_by int references users,
  created timestamptz not null default now()
);
alter table teams add foreign key (lead) references users deferrable initially deferred;
create unique index on users (lower(full_name));
create table orders (
  id bigserial, placed date not null, user_email text not null, amount numeric(10,2) not null, comment text,
  primary key (id, placed)
) partition by range (placed);
create table orders_2025 partition of orders for values from ('2025-01-01') to ('2026-01-01');
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
alter table orders add foreign key (user_email) references users (email);
create table lines (order_id bigint, placed date, place int, note text, primary key (order_id, placed, place),
  foreign key (order_id, placed) references orders (id, placed));
create table audit (at timestamptz not null default now(), user_ref int, ip text, what json);
create table people (name text, seen int);
create table staff (desk text) inherits (people);
create materialized view spend as select user_email, sum(amount) as total from orders group by 1;
create view named as select full_name from users;
"""
DATA = r"""
insert into alembic_version values ('a1b2c3d4');
insert into countries values ('DE', 'Germany'), ('CH', 'Switzerland');
insert into teams (title, country) values ('Blue team', 'DE'), ('Red team', 'CH');
insert into users (email, nick, full_name, first_name, last_name, phone, address, card, iban, ip, mac, avatar, password, born,
 salary, age, state, level, code, profile, settings, tags, logins, notes, search, home, team, invited_by)
select case when i = 7 then 'wilhelmina.q@corporate-mail.test' else 'user' || i || '@staging.test' end,
 'Nick' || i, case when i = 7 then 'Wilhelmina Quartermaine' else 'Person Number' || i end,
 case when i = 7 then 'Wilhelmina' else 'Person' end, case when i = 7 then 'Quartermaine' else 'Number' || i end,
 case when i = 7 then '+49 171 5550123' else '+49 30 ' || 1000000 + i end,
 case when i = 7 then 'Elm Grove 17, 12345 Springfield' end,
 case when i = 7 then '4539 1488 0343 6467' end, case when i = 7 then 'DE75512108001245126199' end,
 case when i = 7 then '203.0.113.77'::inet else ('10.1.' || i / 250 || '.' || i % 250)::inet end, '08:00:2b:01:02:03',
 convert_to('photo of Wilhelmina', 'UTF8'),
 'pbkdf2_sha256$600000$saltsalt' || i || '$' || md5(i::text),
 date '1980-01-01' + i, 3000.50 + i, 20 + i % 60, 'paid', (array['bronze', 'silver', 'gold'])[1 + i % 3],
 'CU-' || lpad(i::text, 6, '0'),
 jsonb_build_object('contact', jsonb_build_object('email', 'wilhelmina.q@corporate-mail.test', 'zip', 12345, 'age', 44),
  'status', 'active', 'api_token', 'sk-live0123456789abcdefghij', 'visits', 17),
 '{"a": "Elm Grove 17", "a": 2}', array['friend of Wilhelmina', null, 'vip, "gold"'], array['203.0.113.77'::inet],
 E'Called Wilhelmina\nat +49 171 5550123 \\ hunter2-unmasked', to_tsvector('simple', 'Wilhelmina Quartermaine'),
 point(48.137, 11.575),
 1 + i % 2, nullif(i - 1, 0)
from generate_series(1, 40) i;
update teams set lead = id * 20;
insert into orders (placed, user_email, amount, comment)
select date '2025-12-01' + i, u.email, i, 'for Wilhelmina' from generate_series(1, 60) i join users u on u.id = 1 + i % 30;
insert into lines select id, placed, 1, 'gift to Wilhelmina' from orders;
insert into audit (user_ref, ip, what) select i, '203.0.113.77', '{"by": "Wilhelmina"}' from generate_series(1, 20) i;
insert into people values ('Wilhelmina', 1); insert into staff values ('Quartermaine', 2, 'Elm Grove 17');
analyze;
"""


@contextlib.asynccontextmanager
async def a_server(folder: Path, port: int) -> AsyncIterator[PostgresServer]:
    server = PostgresServer(folder / "data", port, user="app", password="pw", database="staging")
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def connect(port: int, database: str = "staging") -> asyncpg.Connection:
    return await asyncpg.connect(host="127.0.0.1", port=port, user="app", password="pw", database=database, ssl=False)


def pg_dump(server: PostgresServer, database: str, section: str) -> str:
    done = subprocess.run(
        [server.binaries.folder / "pg_dump", "--schema-only", "--no-owner", f"--section={section}", "-d",
         f"postgresql://app:pw@127.0.0.1:{server.port}/{database}"],
        capture_output=True, check=True, timeout=60, text=True,
    )  # fmt: skip
    return "\n".join(line for line in done.stdout.splitlines() if not line.startswith("\\"))


async def restore(server: PostgresServer, source: str, target: str, section: str) -> None:
    text = await asyncio.to_thread(pg_dump, server, source, section)
    connection = await connect(server.port, target)
    try:
        await connection.execute(text)
    finally:
        await connection.close()


async def planned(connection: asyncpg.Connection, asked: SeedAsked) -> SeedPlan:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return await plan(connection, asked)


@contextlib.asynccontextmanager
async def scratch(
    server: PostgresServer, source: str = "staging", name: str = "scratch"
) -> AsyncIterator[asyncpg.Connection]:
    """A database of the same server with the source's tables, before their keys."""
    connection = await connect(server.port, source)
    await connection.execute(f"create database {name}")
    await connection.close()
    await restore(server, source, name, "pre-data")
    inside = await connect(server.port, name)
    try:
        yield inside
    finally:
        await inside.close()


async def taught(connection: asyncpg.Connection, inside: asyncpg.Connection, asked: SeedAsked) -> tuple[SeedPlan, Seed]:
    """Plan, take and mask, as a lesson does."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        planned = await plan(connection, asked)
        taken = await take(connection, planned, asked)
    return planned, await mask(inside, taken, asked)


def asked(*rules: str, mask: Mapping[str, str] | None = None, **more: Any) -> SeedAsked:
    return SeedAsked(**{"rules": rules, "mask": mask or {}, "key": KEY, **more})


async def loaded(
    server: PostgresServer, inside: asyncpg.Connection, seed: Seed, name: str = "scratch"
) -> tuple[str, ...]:
    """Load a seed, then everything that pg_dump has after the data: the server checks keys itself."""
    gaps = await load(inside, seed.manifest, seed.files.__getitem__)
    await restore(server, "staging", name, "post-data")
    return gaps
