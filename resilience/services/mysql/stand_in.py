"""Turn the system's MariaDB into a server with the users and databases of the env file."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.host import processes
from resilience.host.files import write_atomically
from resilience.services.mysql.kind import KIND
from resilience.services.mysql.probe import Client
from resilience.services.place import Endpoint
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.reading import Reading
from resilience.services.standing_in import Wanted
from resilience.services.wire import Refused, Trace, Wire, parse

INSTALL_S = 60.0


class _MySql(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        """Return mariadbd, where the script that makes its data is there too."""
        path = shutil.which("mariadbd", path=_path())
        return ("system", path) if path and shutil.which("mariadb-install-db", path=_path()) else ("", "")

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Run it with its own data, its socket beside them, and no file of the machine's own configuration.

        What the services need is made by SQL that it reads as it starts, from a file that only we may read. A user of a
        stand-in may do all, as the owner of a database on staging may.
        """
        place, tables = group[0].place, data / "data"
        own = ("--user=root",) if os.geteuid() == 0 else ()
        sql = _sql([one.place for one in group])

        async def prepare() -> None:
            write_atomically(data / "init.sql", sql.encode(), mode=0o600, durable=False)
            if (tables / "mysql").is_dir():
                return
            install = shutil.which("mariadb-install-db", path=_path()) or "mariadb-install-db"
            code, output = await processes.run(
                (
                    *(install, "--no-defaults", f"--datadir={tables}", "--auth-root-authentication-method=normal"),
                    *("--skip-test-db", *own),
                ),
                timeout_s=INSTALL_S,
            )
            if code != 0:
                await asyncio.to_thread(shutil.rmtree, tables, ignore_errors=True)
                last = (output.strip().splitlines() or [f"exit code {code}"])[-1]
                raise StandInError(f"mariadb-install-db failed: {last[:200]}", hint="is there room on the disk?")

        return Program(
            provider="system",
            argv=(
                *(path, "--no-defaults", f"--datadir={tables}", f"--bind-address={place.bind}", f"--port={place.port}"),
                *("--socket=sock", f"--pid-file={data / 'pid'}", f"--init-file={data / 'init.sql'}"),
                *("--skip-name-resolve", "--innodb-buffer-pool-size=32M", *own),
            ),
            secret=sql,
            prepare=prepare,
            new=not (tables / "mysql").is_dir(),
        )

    async def ask(self, place: Endpoint, query: str) -> None:
        """Ask the team's ready query, with the user and the database of the env file."""
        address, wire = parse(KIND, place.url("mysql")), Wire(Trace(5.0))
        await asyncio.get_running_loop().create_connection(lambda: wire, place.bind, place.port)
        client = Client(Reading(wire, "MySQL", place.shown), address)
        try:
            await client.greeting()
            await client.login()
            await client.rows(query)
        except Refused as exc:
            raise StandInError(f"ready_query `{query}` failed: {exc.fault.detail}") from exc
        finally:
            wire.abort()


def _path() -> str:
    """Return PATH with the folder in which systems keep their servers."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def _sql(places: Sequence[Endpoint]) -> str:
    """Return what makes the databases and users of these places; a user that is there gets the password of today."""
    lines = []
    for place in places:
        user = f"{_text(place.user)}@'%'"
        if place.database:
            lines.append(f"CREATE DATABASE IF NOT EXISTS `{place.database.replace('`', '``')}`;")
        lines.append(f"CREATE OR REPLACE USER {user} IDENTIFIED BY {_text(place.password)};")
        lines.append(f"GRANT ALL ON *.* TO {user} WITH GRANT OPTION;")
    return "\n".join([*dict.fromkeys(lines), ""])


def _text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


STAND_INS = _MySql()
