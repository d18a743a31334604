"""Turn the bytes of an OpenAPI document into its rules without its examples, and into what tells two of them apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
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
