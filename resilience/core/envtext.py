"""Turn variables into the text of an env file that shells and dotenv read the same, and tell two such texts apart."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Collection, Iterable, Mapping

from dotenv.parser import parse_stream

from resilience.core.errors import SettingsError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*\Z")


def render(values: Mapping[str, str], *, header: Iterable[str] = ()) -> str:
    """Return the text of an env file. Raises SettingsError for a value that the two readers would read differently.

    The names are sorted, so that equal variables are equal bytes; each line of `header` becomes a comment.
    """
    lines = [f"# {line}" for line in header]
    lines += [f"{name}={quote(name, value)}" for name, value in sorted(values.items())]
    return "\n".join(lines) + "\n"


def quote(name: str, value: str) -> str:
    """Return the value in quotes that POSIX shells and python-dotenv both undo to the same text.

    Inside single quotes a shell undoes nothing and dotenv undoes `\\\\` and `\\'`; inside double quotes a shell expands
    `$` and backquotes, and both undo `\\\\` and `\\"`. What fits neither is refused.

    A `${` is refused even inside single quotes: python-dotenv fills it in there, and a shell does not.
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


WAS = "RESILIENCE_WAS_"
"""Before the name of a variable: the value that a shell had of its own before it took over what is applied."""


def export_lines(values: Mapping[str, str], *, own: Collection[str] = (), fish: bool = False) -> str:
    """Return the lines by which a shell takes over these values, for `eval "$(resilience env)"`.

    What it has of its own is kept first, by a reference, so that no value of its own is printed. Quoted for POSIX shells
    (bash, zsh, dash) or for fish alone, so that any value can be written, also one that `quote` refuses.
    """
    lines = [
        f"set -gx {WAS}{name} ${name}" if fish else f'export {WAS}{name}="${{{name}}}"'
        for name in sorted(own)
        if _NAME.match(name)
    ]
    for name, value in sorted(values.items()):
        lines.append(f"set -gx {name} {_fish_quoted(value)}" if fish else f"export {name}={shlex.quote(value)}")
    return "".join(f"{line}\n" for line in lines)


def unset_lines(names: Iterable[str], *, kept: Collection[str] = (), fish: bool = False) -> str:
    """Return the lines by which a shell loses these variables again; those in `kept` it gets back as they were."""
    lines = []
    for name in sorted(names):
        if name not in kept:
            lines.append(f"set -e {name}" if fish else f"unset {name}")
        elif fish:
            lines += [f"set -gx {name} ${WAS}{name}", f"set -e {WAS}{name}"]
        else:
            lines += [f'export {name}="${{{WAS}{name}}}"', f"unset {WAS}{name}"]
    return "".join(f"{line}\n" for line in lines)


def _fish_quoted(value: str) -> str:
    """Return the value in fish's single quotes, in which a backslash stands before a quote and before itself."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def changed_names(one: Mapping[str, str | None], other: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the names of the variables that differ between two env files, in order.

    A variable without a value (None) differs from one that is absent.
    """
    return tuple(sorted(name for name in {*one, *other} if one.get(name, ...) != other.get(name, ...)))


def read_env_text(text: str, source: str) -> dict[str, tuple[str, int]]:
    """Read an env file's text: variable → value, line. A `$` in a value stands for itself.

    Raises SettingsError by line where a line is not NAME=value.

    Comments and empty lines are left out; where a variable is named twice, the last one counts, as for a shell. Lines
    are counted from 1 and named in errors, together with `source`; the values are not.
    """
    found: dict[str, tuple[str, int]] = {}
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line + _leading_lines(binding.original.string)
        if binding.key is None and not binding.error:
            continue
        if binding.error or binding.value is None or not _NAME.match(binding.key or ""):
            raise SettingsError(
                name=(binding.key or "").split("=")[0][:40] or "a line",
                source=f"{source}:{line}",
                expected="NAME=value, with a value in quotes that are closed",
                hint=f"sed -n {line}p {shlex.quote(source)}",
            )
        if "\0" in binding.value:
            raise SettingsError(name=str(binding.key), source=f"{source}:{line}", expected="a text without a NUL byte")
        found[str(binding.key)] = (binding.value, line)
    return found


def _leading_lines(string: str) -> int:
    return len(string[: len(string) - len(string.lstrip())].splitlines())
