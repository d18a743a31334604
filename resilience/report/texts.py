"""Turn a record into one whose every text may leave: each string of it passed through a redactor."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from resilience.core.markup import code, fence, prose
from resilience.services.registry import KINDS

__all__ = ["Redacts", "code", "fence", "hint", "pieces", "prose", "redacted", "shorten"]

T = TypeVar("T")


class Redacts(Protocol):
    """What a report asks of `resilience.core.redact.Redactor`."""

    def text(self, text: str) -> str: ...

    def public(self, text: str) -> str: ...

    def leaks(self, data: bytes) -> int | None: ...


def redacted(record: T, text: Callable[[str], str]) -> T:
    """Return the record with every string changed by `text`; enums, numbers and times stay as they are.

    It is for records, tuples and mappings of them; equal texts are changed once.
    """
    return _walk(record, lru_cache(maxsize=65_536)(text))  # type: ignore[no-any-return]


def _walk(value: Any, text: Callable[[str], str]) -> Any:
    """Return the value with its texts changed; what holds no changed text is returned as it is, not copied."""
    if isinstance(value, Enum) or value is None or isinstance(value, int | float):
        return value
    if isinstance(value, str):
        changed = text(str(value))
        return value if changed == value else changed
    if isinstance(value, tuple):
        items = tuple(_walk(item, text) for item in value)
        return items if any(a is not b for a, b in zip(items, value, strict=True)) else value
    if isinstance(value, Mapping):
        return {_walk(key, text): _walk(item, text) for key, item in value.items()}
    return _record(value, text) if dataclasses.is_dataclass(value) else value


def _record(record: Any, text: Callable[[str], str]) -> Any:
    before = {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    after = {name: _walk(value, text) for name, value in before.items()}
    changes = {name: value for name, value in after.items() if value is not before[name]}
    return dataclasses.replace(record, **changes) if changes else record


_PROGRAMS = ("nc", "gcloud", "kubectl", "docker", "curl", "openssl", "dig", "getent", "resolvectl", "ip", "ls")
_TYPED = "|".join(re.escape(name) for name in (*_PROGRAMS, *(name for kind in KINDS for name in kind.commands)))
_COMMAND = re.compile(
    r"(?:^|(?<=[:;,(] )|(?<=\()|(?<=\bor )|(?<=then ))(?:"
    r"resilience [a-z]+(?: (?:up|down|stop))?(?: --[\w-]+)*|date -u|cat /\S+"
    rf"|(?:{_TYPED}) "
    r"(?:'[^']*'|\"[^\"]*\"|[^;,()\"'—])*?(?=[;,()—]|\s(?:or|and|for|to|where|from)\s|\s?$)"
    r")|(?:^|(?<=\s))[A-Z][A-Z0-9]*_[A-Z0-9_]*=[^\s;,()]+(?: [A-Z][A-Z0-9_]*=[^\s;,()]+)*"
)
_AROUND = re.compile(r"([\s;,:.()—]*)(.*?)([\s;,:.()—]*)", re.DOTALL)


def pieces(text: str) -> list[tuple[bool, str]]:
    """Return a hint as pieces, each with whether it is to be typed: commands, and settings of variables.

    By the words that hints are made of: programs that are known here or to a kind of service, `resilience` and its
    verbs, and NAME=value.
    """
    found: list[tuple[bool, str]] = []
    at = 0
    for match in _COMMAND.finditer(text):
        typed = match[0].rstrip()
        found += [(False, text[at : match.start()]), (True, typed)]
        at = match.start() + len(typed)
    found.append((False, text[at:]))
    return [(typed, piece) for typed, piece in found if piece]


def task_pieces(text: str) -> list[tuple[bool, str]]:
    """Return what a task says to type, as `pieces`: a line that is one command of ours as a whole, else a hint in words."""
    ours = text.startswith(("resilience ", "eval ")) and not re.search(r"[;,] |\.$", text)
    return [(True, text)] if ours else pieces(text)


def hint(text: str) -> str:
    """Return a hint as Markdown, with what is to be typed as code."""
    return _marked(pieces(" ".join(text.split())))


def task_hint(text: str) -> str:
    """Return what a task says to type as Markdown."""
    return _marked(task_pieces(" ".join(text.split())))


def _marked(found: list[tuple[bool, str]]) -> str:
    shown = []
    for typed, piece in found:
        # Two code spans side by side would be read as one fence.
        before, middle, after = ("", piece, "") if typed else _AROUND.fullmatch(piece).groups()  # type: ignore[union-attr]
        shown.append(before + (code(middle) if typed else prose(middle) if middle else "") + after)
    return "".join(shown)


def shorten(text: str, limit: int) -> str:
    """Return the text, cut to `limit` characters with a mark where it was longer."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"
