"""Turn the system's slapd into a directory with the base and the user of the env file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from resilience.core.errors import StandInError
from resilience.host import processes
from resilience.host.files import write_atomically
from resilience.services.place import Endpoint
from resilience.services.programs import Program, ProgramStandIns
from resilience.services.standing_in import Wanted

MODULES = Path("/usr/lib/ldap")
SCHEMAS = Path("/etc/ldap/schema")
LOAD_S = 20.0


class _Ldap(ProgramStandIns):
    def found(self) -> tuple[str, str]:
        """Return slapd, where the modules and schemas lie as Debian lays them."""
        path = shutil.which("slapd", path=_path())
        return ("system", path) if path and MODULES.is_dir() and SCHEMAS.is_dir() else ("", "")

    def program(self, group: Sequence[Wanted], path: str, data: Path) -> Program:
        """Run it in the foreground with a configuration of its own, which only we may read, as it holds the password.

        The base, which is the URL's path, is laid before it starts. The user may do all, and need not be an entry.
        """
        place, tables, config = group[0].place, data / "data", data / "slapd.conf"
        base = place.database or "dc=example,dc=org"
        text = _config(place, base, tables)

        async def prepare() -> None:
            tables.mkdir(mode=0o700, exist_ok=True)
            write_atomically(config, text.encode(), mode=0o600, durable=False)
            if any(tables.iterdir()):
                return
            (data / "base.ldif").write_text(_entry(base), encoding="utf-8")
            tool = shutil.which("slapadd", path=_path()) or "slapadd"
            argv = (tool, "-f", str(config), "-l", str(data / "base.ldif"))
            code, output = await processes.run(argv, timeout_s=LOAD_S)
            if code != 0:
                shutil.rmtree(tables, ignore_errors=True)
                last = (output.strip().splitlines() or [f"exit code {code}"])[-1]
                raise StandInError(f"slapadd failed: {last[:200]}", hint=f"is the url's path a base, as {base}?")

        return Program(
            provider="system",
            argv=(path, "-d", "0", "-f", str(config), "-h", f"ldap://{place.netloc}"),
            secret=text,
            prepare=prepare,
            new=not (tables.is_dir() and any(tables.iterdir())),
        )


def _path() -> str:
    """Return PATH with the folder in which systems keep their servers."""
    return os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"))


def _config(place: Endpoint, base: str, tables: Path) -> str:
    """Return the configuration (slapd.conf(5)): the usual schemas, one base, its owner, and nothing for anybody else to write."""
    lines = [f"modulepath {MODULES}", "moduleload back_mdb"]
    lines += [f"include {SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson", "nis")]
    lines += ["database mdb", f"suffix {_quoted(base)}", f"directory {_quoted(str(tables))}", "maxsize 1073741824"]
    if place.user:
        lines += [f"rootdn {_quoted(place.user)}", f"rootpw {_quoted(place.password)}"]
    lines += ["access to attrs=userPassword by self write by anonymous auth by * none", "access to * by * read", ""]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _entry(base: str) -> str:
    """Return the entry at the base as LDIF, by the first part of its name: a domain, an organisation or a unit."""
    kind, _, value = base.partition(",")[0].partition("=")
    kind = kind.strip().lower()
    lines = [f"dn: {base}"]
    if kind == "dc":
        lines += ["objectClass: dcObject", "objectClass: organization", f"dc: {value}", f"o: {value}"]
    elif kind == "ou":
        lines += ["objectClass: organizationalUnit", f"ou: {value}"]
    else:
        lines += ["objectClass: organization", f"o: {value}"]
    return "\n".join([*lines, ""])


STAND_INS = _Ldap()
