"""An OpenAPI document is read by its rules alone; what is none, or would have to be fetched further, is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resilience.teach.openapi import ContractError, canonical, digest, operations, parsed
from tests.kits.taught_kit import contract


def test_the_same_rules_in_json_and_yaml_in_any_order_have_one_digest() -> None:
    plain = contract()
    turned = json.dumps(dict(reversed(plain.items())))
    yaml = "# a comment\n" + turned
    assert (
        digest(parsed(json.dumps(plain).encode())) == digest(parsed(turned.encode())) == digest(parsed(yaml.encode()))
    )


def test_examples_are_no_rules_and_a_property_named_example_is_one() -> None:
    document = contract()
    item = document["components"]["schemas"]["Item"]
    item["properties"]["example"] = {"type": "string", "example": "hunter2"}
    kept = parsed(json.dumps(document).encode())["components"]["schemas"]["Item"]
    assert kept["properties"]["example"] == {"type": "string"}
    assert kept["properties"]["name"] == {"type": "string", "minLength": 1}


def test_the_operations_are_told_by_method_and_path() -> None:
    assert set(operations(contract())) == {
        "GET /items", "POST /items", "GET /items/{id}", "PUT /items/{id}", "GET /me",
    }  # fmt: skip


def other(**changed: Any) -> bytes:
    return json.dumps({**contract(), **changed}).encode()


BOMB = b"openapi: 3.1.0\na: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
    b"%c: &%c [%s]\n" % (name, name, b",".join(b"*%c" % (name - 1) for _ in range(10))) for name in range(98, 106)
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<html>a login page</html>", "no OpenAPI document"),
        (b"\xff\xfe\x00", "neither JSON nor YAML"),
        (b"", "no OpenAPI document"),
        (b'{"swagger": "2.0", "paths": {}}', "no OpenAPI document of version 3"),
        (b"openapi: [", "neither JSON nor YAML"),
        (other(paths={"/a": {"$ref": "http://127.0.0.1:1/elsewhere.json"}}), "refers to another document"),
        (other(paths={"/a": {"$ref": "file.yaml#/a"}}), "refers to another document"),
        (BOMB, "holds more than"),
        (b'{"openapi": "3.1.0", "a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
    ],
)  # fmt: skip
def test_what_is_no_document_to_hold_requests_against_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        parsed(data)


def test_what_is_kept_is_the_same_bytes_for_the_same_rules() -> None:
    assert canonical(contract()) == canonical(dict(reversed(contract().items())))
