"""Turn the bytes of an OpenAPI document into its rules without its examples, and into what tells two of them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from resilience.core.errors import ResilienceError

_NODES = 500_000
"""So many values one document may hold: YAML can name one of them a million times in a few bytes."""
_NAMES = frozenset(
    {
        *("properties", "patternProperties", "schemas", "parameters", "responses", "headers", "requestBodies", "paths"),
        *("securitySchemes", "definitions", "$defs", "dependentSchemas", "variables", "callbacks", "links"),
    }
)
"""Below these, keys are names that the team chose, and no words of OpenAPI."""


class ContractError(ResilienceError):
    """What was fetched is no contract that requests could be held against."""

    exit_code = 30


def parsed(data: bytes) -> dict[str, Any]:
    """Return the OpenAPI document in JSON or YAML that these bytes are, without its examples, which are no rules.

    Raises ContractError for all else, and for a document that refers to another one: that would be fetched in an outage.
    """
    try:
        document = json.loads(data)
    except RecursionError as exc:
        raise ContractError("it is nested too deeply.") from exc
    except ValueError:
        document = _yaml(data)
    if not isinstance(document, dict) or not str(document.get("openapi", "")).startswith("3."):
        raise ContractError("it is no OpenAPI document of version 3.", hint='teach_contract = "/openapi.json"')
    budget = iter(range(_NODES))
    try:
        plain = _plain(document, "", budget)
    except RecursionError as exc:
        raise ContractError("it is nested too deeply.") from exc
    assert isinstance(plain, dict)
    return plain


def _yaml(data: bytes) -> Any:
    try:
        return yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as exc:
        raise ContractError("it is neither JSON nor YAML.", hint='teach_contract = "/openapi.json"') from exc


def _plain(value: Any, below: str, budget: Iterator[int]) -> Any:
    """Return a document's value without examples; what a name of the team's stands for is kept, whatever the name."""
    if next(budget, None) is None:
        raise ContractError(f"it holds more than {_NODES:,} values.")
    if isinstance(value, dict):
        found = {}
        for name, inner in value.items():
            if name in ("example", "examples") and below not in _NAMES:
                continue
            if name == "$ref" and isinstance(inner, str) and not inner.startswith("#"):
                raise ContractError(f"it refers to another document ({inner[:60]}), which is not fetched.")
            # A property may itself be named `properties`: below a name a word of OpenAPI follows again.
            found[str(name)] = _plain(inner, "" if below in _NAMES else str(name), budget)
        return found
    if isinstance(value, list):
        return [_plain(inner, "", budget) for inner in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def masked(value: Any, text: Callable[[str], str]) -> Any:
    """Return a document with its texts as `text` returns them; its names stay."""
    if isinstance(value, dict):
        return {name: masked(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, text) for inner in value]
    return text(value) if isinstance(value, str) else value


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return a document in the bytes in which it is kept: the order of its keys is not its own."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


def digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(document)).hexdigest()


def operations(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the operations of a document by "METHOD /path"."""
    found = {}
    paths = document.get("paths")
    for path, item in paths.items() if isinstance(paths, dict) else ():
        for method, operation in item.items() if isinstance(item, dict) else ():
            if method in ("get", "put", "post", "delete", "options", "head", "patch", "trace"):
                found[f"{method.upper()} {path}"] = operation
    return found


_WORDS = frozenset(
    {
        "description",
        "summary",
        "title",
        "operationId",
        "tags",
        "externalDocs",
        "deprecated",
        "contact",
        "license",
        "servers",
    }
)
"""What a document says to people: no request and no answer changes by it."""
_BINDS = frozenset(
    {
        *(
            "security",
            "required",
            "additionalProperties",
            "enum",
            "const",
            "pattern",
            "minLength",
            "maxLength",
            "minimum",
        ),
        *("maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "uniqueItems", "multipleOf"),
    }
)
"""A rule of these that comes anew binds what was free."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield what has changed between two documents, by operation and component, and whether it breaks whoever kept to the old one.

    What is gone, or is another, breaks; what came anew does not, unless it binds: a field that is required, a rule, a login.
    """
    mine, theirs = operations(old), operations(new)
    for name in sorted({*mine, *theirs}):
        if name not in theirs:
            yield f"{name} is gone", True
        elif name not in mine:
            yield f"{name} is new", False
        else:
            for place, told, breaks in _changed(mine[name], theirs[name], ""):
                yield f"{name}: {place.lstrip('.')} {told}", breaks
    for place, told, breaks in _changed(old.get("components") or {}, new.get("components") or {}, ""):
        yield f"{place.lstrip('.')} {told}", breaks


def _changed(old: Any, new: Any, at: str) -> Iterator[tuple[str, str, bool]]:
    """Yield the places at which two values of documents differ, how, and whether that breaks something."""
    old, new = _by_name(old), _by_name(new)
    named = at.rpartition(".")[2] in _NAMES
    if isinstance(old, dict) and isinstance(new, dict):
        for name in sorted({*old, *new}):
            place = f"{at}.{name}"
            if name in _WORDS and not named:
                continue
            if name not in new:
                yield place, "is gone", True
            elif name not in old:
                inner = new[name]
                wanted = isinstance(inner, dict) and inner.get("required") is True
                yield place, "is new", wanted or (name in _BINDS and not named)
            else:
                yield from _changed(old[name], new[name], place)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _listed(old, new, at)
    elif old != new:
        yield at, f"was {_short(old)}, is {_short(new)}", True


def _by_name(value: Any) -> Any:
    """Return a list of named things, such as parameters, as an object by their names: their order is none of their meaning."""
    if isinstance(value, list) and value and all(isinstance(one, dict) and "name" in one for one in value):
        return {f"{one.get('in', '')} {one['name']}".strip(): one for one in value}
    return value


def _listed(old: list[Any], new: list[Any], at: str) -> Iterator[tuple[str, str, bool]]:
    """Yield what is new and what is gone in a list, whose order is none of its meaning.

    What is newly required, or no longer one of the values, breaks; what is required no longer, or is one value more, does not.
    """
    before, now = ({json.dumps(one, sort_keys=True, default=str): None for one in values} for values in (old, new))
    binds = at.endswith((".required", ".security"))
    for one in now:
        if one not in before:
            yield at, f"has {_short(json.loads(one))} more", binds
    for one in before:
        if one not in now:
            yield at, f"has {_short(json.loads(one))} no longer", not binds


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:39]}…"
