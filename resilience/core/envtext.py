"""Turn variables into the text of an env file that shells and dotenv read the same, and tell two such texts apart."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping

from resilience.core.errors import SettingsError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*\Z")


def render(values: Mapping[str, str], *, header: Iterable[str] = ()) -> str:
    """Give the text of an env file. Raises SettingsError for a value that the two readers would read differently."""
    lines = [f"# {line}" for line in header]
    lines += [f"{name}={quote(name, value)}" for name, value in sorted(values.items())]
    return "\n".join(lines) + "\n"


def quote(name: str, value: str) -> str:
    """Give the value in quotes that POSIX shells and python-dotenv both undo to the same text.

    Inside single quotes a shell undoes nothing and dotenv undoes `\\\\` and `\\'`; inside double quotes a shell expands
    `$` and backquotes, and both undo `\\\\` and `\\"`. What fits neither is refused.
    """
    if not _NAME.match(name):
        raise SettingsError(name=name, expected="letters, digits and underscores in a variable's name")
    if "\0" not in value and "${" not in value and "\r" not in value:
        if _PLAIN.match(value):
            return value
        if "'" not in value and "\\\\" not in value and not value.endswith("\\"):
            return f"'{value}'"
        if not re.search(r"[$`]", value):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
    raise SettingsError(
        name=name,
        expected="a value that shells and dotenv read the same",
        hint="percent-encode special characters: python3 -c 'import urllib.parse; "
        'print(urllib.parse.quote(input(), safe=""))\'',
    )


def export_lines(values: Mapping[str, str]) -> str:
    """Give `export NAME=…` lines for `eval "$(resilience env)"`."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items()))


def unset_lines(names: Iterable[str]) -> str:
    """Give `unset NAME` lines for `eval "$(resilience env --unset)"`."""
    return "".join(f"unset {name}\n" for name in sorted(names))


def changed_names(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> tuple[str, ...]:
    """Give the names of the variables that differ between two env files, in order."""
    return tuple(sorted(name for name in {*one, *other} if one.get(name, ...) != other.get(name, ...)))
