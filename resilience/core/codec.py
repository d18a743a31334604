"""Turn records into JSON documents and back, checked by type.

The only place that knows msgspec: all other rooms see records. Enums are written as their values, tuples as lists,
and a `Secret` as the `***` that it shows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from resilience.core import records as model
from resilience.core.errors import RecordError
from resilience.core.records import SCHEMA

T = TypeVar("T")


def to_builtins(record: object) -> Any:
    """Return dicts, lists, strings and numbers; times as RFC 3339 in UTC.

    Raises TypeError for a value that has no JSON form.
    """
    return msgspec.to_builtins(record, enc_hook=_encode)


def to_json(record: object, *, indent: int = 1) -> bytes:
    """Return the record as UTF-8 JSON, indented by `indent` spaces (0: one line).

    The keys stand in the order of the record's fields. Raises TypeError for a value that has no JSON form.
    """
    data = msgspec.json.encode(record, enc_hook=_encode)
    return msgspec.json.format(data, indent=indent) if indent else data


def from_json(data: bytes | str, kind: type[T], *, source: Path | str = "") -> T:
    """Read a record. Keys of later versions are ignored.

    Raises RecordError where the text is cut, not JSON, of a newer schema, or not of this shape.

    A document without a `schema` is read as of today's. Types are kept to: a number in place of a text is refused.
    """
    try:
        head = msgspec.json.decode(data)
    except msgspec.DecodeError as exc:
        raise RecordError(source=str(source), found=str(exc), expected=f"a {kind.__name__} as JSON") from exc
    schema = head.get("schema", SCHEMA) if isinstance(head, dict) else SCHEMA
    if isinstance(schema, int) and schema > SCHEMA:
        raise RecordError(
            source=str(source),
            found=f"schema {schema}",
            expected=f"schema {SCHEMA} or older",
            hint="it was written by a newer version: pipx upgrade resilience-runbook",
        )
    try:
        return msgspec.convert(head, type=kind)
    except msgspec.ValidationError as exc:
        raise RecordError(source=str(source), found=str(exc), expected=f"a {kind.__name__}") from exc


FIELDS = frozenset(
    field.name
    for kind in vars(model).values()
    if isinstance(kind, type) and dataclasses.is_dataclass(kind)
    for field in dataclasses.fields(kind)
)
"""The keys that our documents are read back by."""


def mapped(tree: Any, change: Callable[[str], str], *, keep: Collection[str] = ()) -> Any:
    """Return the same dicts and lists with every text in them changed, keys but those of `keep` included.

    Equal texts are changed once.

    That is what makes redacting a whole document bearable: redaction of 1 MiB of short lines takes seconds, and names
    and endpoints recur in every record.
    """
    known: dict[str, str] = {}

    def walk(node: Any) -> Any:
        if isinstance(node, str):
            if node not in known:
                known[node] = change(node)
            return known[node]
        if isinstance(node, dict):
            return {key if key in keep else walk(key): walk(value) for key, value in node.items()}
        if isinstance(node, list | tuple):
            return [walk(item) for item in node]
        return node

    return walk(tree)


def _encode(value: object) -> Any:
    """Return the text of what msgspec does not know: a path, or a subclass of str such as Secret or ServiceName."""
    if isinstance(value, str | Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
