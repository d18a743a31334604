"""A contract refuses what it forbids, with the status that it lists for that, and says nothing where it leaves anything open."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from resilience.teach.contract import Contract
from resilience.teach.exchange import Answer, Asked, Exchange
from resilience.teach.openapi import ContractError
from tests.kits.taught_kit import contract

JSON = (("Content-Type", "application/json"),)
BEARER = (("Authorization", "Bearer abc"),)
SHOP = Contract(contract())


@pytest.mark.parametrize(
    ("asked", "status", "why"),
    [
        (Asked(method="POST", path="/items", headers=JSON, body=b'{"stock": 1}'), 422, "body.name: required"),
        (Asked(method="POST", path="/items", headers=JSON, body=b'{"name": ""}'), 422, "body.name: minLength 1"),
        (Asked(method="POST", path="/items", headers=JSON, body=b'{"name": "a", "stock": "b"}'), 422, 'body.stock: type "integer"'),
        (Asked(method="POST", path="/items", headers=JSON, body=b'{"name":'), 422, "cannot be read"),
        (Asked(method="POST", path="/items"), 422, "missing"),
        (Asked(method="POST", path="/items", headers=(("Content-Type", "text/plain"),), body=b"a"), 422, "media type"),
        (Asked(method="GET", path="/items", query="page=0"), 400, "query parameter page: minimum 1"),
        (Asked(method="GET", path="/items", query="page=two"), 400, "query parameter page: of another type"),
        (Asked(method="GET", path="/items/chair"), 404, "path parameter id: pattern"),
        (Asked(method="GET", path="/me"), 401, "credentials"),
        (Asked(method="PUT", path="/items/item-1", headers=JSON, body=b"[]"), 422, 'body: type "object"'),
    ],
)  # fmt: skip
def test_what_the_contract_forbids_is_refused_as_it_lists(asked: Asked, status: int, why: str) -> None:
    refusal = SHOP.refusal(asked)
    assert refusal is not None
    assert refusal.status == status
    assert why in refusal.why


@pytest.mark.parametrize(
    "asked",
    [
        Asked(method="POST", path="/items", headers=JSON, body=b'{"name": "a", "more": 1}'),
        Asked(method="GET", path="/items", query="page=2&other=x"),
        Asked(method="GET", path="/items/item-%2F7"),
        Asked(method="GET", path="/me", headers=BEARER),
        Asked(method="GET", path="/nowhere"),
        Asked(method="DELETE", path="/items/item-1"),
        Asked(method="HEAD", path="/items", query="page=0"),
        Asked(method="GET", path="//127.0.0.1:1/items", query="page=0"),
    ],
)
def test_what_the_contract_allows_or_does_not_know_is_not_refused(asked: Asked) -> None:
    assert SHOP.refusal(asked) is None


def changed(path: str, operation: dict[str, Any], **more: Any) -> Contract:
    return Contract({**contract(), **more, "paths": {path: operation}})


TOLD = {"200": {"description": "fine"}}
FILE = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary"}, "title": {"type": "string"}},
}
MULTIPART = (("Content-Type", "multipart/form-data; boundary=xx"),)


def test_a_file_that_is_uploaded_as_the_contract_says_is_not_refused() -> None:
    body = {"content": {"multipart/form-data": {"schema": FILE}}, "required": True}
    shop = changed("/upload", {"post": {"requestBody": body, "responses": TOLD}})
    part = b'--xx\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n'
    file = part % (b"file", b'; filename="a.bin"\r\nContent-Type: application/octet-stream', b"\x00\xff")
    title = part % (b"title", b"", b"a")
    assert (
        shop.refusal(Asked(method="POST", path="/upload", headers=MULTIPART, body=file + title + b"--xx--\r\n")) is None
    )


def test_a_body_of_a_sort_that_nobody_reads_for_certain_is_not_refused() -> None:
    body = {"content": {"application/xml": {"schema": {"type": "object", "required": ["name"]}}}}
    shop = changed("/xml", {"post": {"requestBody": body, "responses": TOLD}})
    headers = (("Content-Type", "application/xml"),)
    assert shop.refusal(Asked(method="POST", path="/xml", headers=headers, body=b"<item name='a'/>")) is None


@pytest.mark.parametrize("url", ["https://staging.example/api/v1", "/api/v1/", "https://{host}/api/{version}"])
def test_paths_lie_below_the_path_of_the_contracts_server_whatever_its_host(url: str) -> None:
    variables = {"host": {"default": "staging.example"}, "version": {"default": "v1"}}
    shop = Contract({**contract(), "servers": [{"url": url, "variables": variables}]})
    assert shop.refusal(Asked(method="GET", path="/api/v1/items", query="page=0")) is not None
    assert shop.refusal(Asked(method="GET", path="/items", query="page=0")) is None


def test_no_value_of_a_request_is_told() -> None:
    asked = Asked(method="POST", path="/items", headers=JSON, body=b'{"name": "a", "stock": "my-password-1"}')
    refusal = SHOP.refusal(asked)
    assert refusal is not None
    assert "my-password-1" not in repr(refusal)


@pytest.mark.parametrize(
    "document",
    [{"openapi": "3.1.0"}, {"openapi": "3.0.3", "info": {}, "paths": []}, {"openapi": "3.9.0", "info": {}, "paths": {}}],
)  # fmt: skip
def test_a_document_that_its_own_schema_forbids_is_no_contract(document: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        Contract(document)


def test_a_reference_that_leads_nowhere_refuses_nothing() -> None:
    body = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Gone"}}}}
    shop = changed("/a", {"post": {"requestBody": body, "responses": TOLD}})
    assert shop.refusal(Asked(method="POST", path="/a", headers=JSON, body=b"{}")) is None


def exchange(asked: Asked, status: int) -> Exchange:
    return Exchange(asked=asked, answer=Answer(status=status))


def test_what_staging_did_against_its_contract_is_told() -> None:
    nameless = Asked(method="POST", path="/items", headers=JSON, body=b"{}")
    assert "answered 201 to what its contract refuses" in SHOP.contradicted(exchange(nameless, 201))
    assert "answered 418, which its contract does not list" in SHOP.contradicted(exchange(nameless, 418))
    assert SHOP.contradicted(exchange(nameless, 422)) == ""
    assert SHOP.contradicted(exchange(Asked(method="GET", path="/nowhere"), 200)) == ""


def test_neither_a_stand_in_nor_a_lesson_without_a_contract_loads_what_reads_them() -> None:
    loads = "import sys, resilience.teach.serve, resilience.runs.teaching; print('openapi_core' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loads], capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"
