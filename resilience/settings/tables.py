"""Read a TOML text table by table, and refuse what cannot be by name, file and line."""

from __future__ import annotations

import math
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resilience.core.errors import SettingsError, did_you_mean

LONGEST_WAIT_S = 86_400.0
"""No deadline of a runbook is longer than a day; a larger number is a slip of the unit."""


def parse(text: str, source: str) -> Table:
    """Return the outermost table of a TOML text, or raise SettingsError by line."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        place = re.search(r"\(at line (\d+)", str(exc))
        line = int(place[1]) if place else text.rstrip().count("\n") + 1
        raise SettingsError(
            name="TOML",
            source=f"{source}:{line}",
            found=f"({str(exc).partition(' (at ')[0]})",
            expected="valid TOML",
            hint=f"sed -n {line}p {shlex.quote(source)}",
        ) from exc
    return Table(values, "", source, _key_lines(text), "")


@dataclass(slots=True)
class Table:
    """A table of the configuration that is read by type, and refuses by name, file and line."""

    values: dict[str, Any]
    label: str
    source: str
    lines: Mapping[tuple[str, str], int]
    address: str

    def error(self, key: str, *, found: str = "", expected: str = "", hint: str = "") -> SettingsError:
        line = None
        for name in (key, key.partition(".")[0], ""):
            inner = f"{self.address}.{name}".lstrip(".")
            for place in ((self.address, name), (inner, ""), (f"{inner}#1", "")):
                line = line or self.lines.get(place)
        return SettingsError(
            name=f"{self.label}.{key}" if self.label else key,
            source=f"{self.source}:{line}" if line else self.source,
            found=found,
            expected=expected,
            hint=hint,
        )

    def only(self, *known: str, of: str = "") -> None:
        for key in self.values:
            if key not in known:
                where = of or (f"[{self.address}]" if self.address else "the configuration")
                raise self.error(key, expected=f"a key of {where}", hint=did_you_mean(key, known))

    def table(self, key: str) -> Table:
        value = self.values.get(key, {})
        if not isinstance(value, dict):
            raise self.error(key, found=sort_of(value), expected=f"a table [{key}]")
        address = f"{self.address}.{key}" if self.address else key
        return Table(value, address, self.source, self.lines, address)

    def tables(self, key: str) -> tuple[Table, ...]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.error(
                key, found=sort_of(value), expected=f"tables [[{key}]]", hint=f"[[{key}]] for each of them"
            )
        return tuple(
            Table(item, f"{key} {number}", self.source, self.lines, f"{key}#{number}")
            for number, item in enumerate(value, start=1)
        )

    def text(self, key: str, default: str = "", *, required: bool = False, filled: bool = False) -> str:
        value = self.values.get(key, default)
        if not isinstance(value, str):
            raise self.error(key, found=_shown_value(value), expected="a text in quotes", hint=f'{key} = "…"')
        if (required and key not in self.values) or ((required or filled) and not value.strip()):
            raise self.error(key, found="nothing", expected=f"a {key}", hint=f'{key} = "…"')
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.values.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, found=_shown_value(value), expected="true or false, without quotes")
        return value

    def number(self, key: str, default: float, *, zero: bool = False) -> float:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, found=_shown_value(value), expected="a number", hint=f"{key} = {default:g}")
        if not math.isfinite(value) or value < 0 or (value == 0 and not zero) or value > LONGEST_WAIT_S:
            expected = f"a number, {'0 or more' if zero else 'more than 0'} and at most {LONGEST_WAIT_S:,.0f},"
            raise self.error(key, found=f"{value:g}", expected=expected, hint=f"{key} = {default:g}")
        return float(value)

    def whole(self, key: str, default: int, *, least: int) -> int:
        value = self.values.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 1000:
            expected = f"a whole number from {least} to 1000"
            raise self.error(key, found=_shown_value(value), expected=expected, hint=f"{key} = {default}")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item.strip() for item in value):
            raise self.error(key, found=sort_of(value), expected="a list of texts", hint=f'{key} = ["…"]')
        return tuple(value)

    def mapping(self, key: str) -> dict[str, str]:
        value = self.values.get(key, {})
        if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
            raise self.error(key, found=sort_of(value), expected="names and texts", hint=f'{key} = {{ NAME = "…" }}')
        return value


def sort_of(value: object) -> str:
    """Name the type of a value in words of TOML, in brackets."""
    words = {dict: "a table", list: "a list", str: "a text", bool: "true or false", int: "a number", float: "a number"}
    return f"({words.get(type(value), type(value).__name__)})"


def _shown_value(value: object) -> str:
    """Show a number or a flag as it stands; a text may be a secret in the wrong place, so only its kind."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else sort_of(value)


_HEADER = re.compile(r"\s*(\[{1,2})\s*([^\[\]]+?)\s*\]{1,2}\s*(?:#.*)?$")
_KEY = re.compile(r"\s*(\"[^\"]*\"|'[^']*'|[A-Za-z0-9_-]+)\s*(?:\.\s*[^=]+)?=")


def _key_lines(text: str) -> dict[tuple[str, str], int]:
    """Return the line of each key by its table; `service#2` is the second [[service]]. tomllib itself keeps no lines."""
    lines: dict[tuple[str, str], int] = {}
    counts: dict[str, int] = {}
    table, open_quote = "", ""
    for number, line in enumerate(text.splitlines(), start=1):
        inside = bool(open_quote)
        for quotes in ('"""', "'''"):
            if line.count(quotes) % 2 and open_quote in ("", quotes):
                open_quote = "" if open_quote else quotes
        if inside:
            continue
        if header := _HEADER.match(line):
            name = header[2].replace(" ", "")
            if header[1] == "[[":
                counts[name] = counts.get(name, 0) + 1
            first, dot, rest = name.partition(".")
            table = f"{first}#{counts[first]}{dot}{rest}" if first in counts else name
            lines.setdefault((table, ""), number)
        elif key := _KEY.match(line):
            lines.setdefault((table, key[1].strip("\"'")), number)
    return lines
