"""Staging has changed where something is gone, of another type or of another status; where something is more, it has only grown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resilience.teach.drift import Changes, compared, documents, first_difference, sample
from resilience.teach.exchange import Answer, Asked, Exchange
from resilience.teach.replay import Recorded
from tests.kits.taught_kit import contract

GET = Asked(method="GET", path="/items")


def answer(body: Any, status: int = 200, media: str = "application/json", **headers: str) -> Answer:
    told = (("Content-Type", media), *((name.replace("_", "-"), value) for name, value in headers.items()))
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status=status, headers=told, body=data)


ITEM = {"id": "item-1", "stock": 3, "price": 1, "note": None, "tags": ["a"]}
PAGE = {"total": 1, "items": [ITEM]}


@pytest.mark.parametrize(
    ("now", "drift", "added"),
    [
        (PAGE, (), ()),
        ({"total": 9, "items": []}, (), ()),
        ({"total": 9, "items": [ITEM, {**ITEM, "stock": 0, "price": 1.5, "note": "new", "tags": []}]}, (), ()),
        ({"items": [ITEM]}, ("body.total is gone",), ()),
        ({**PAGE, "next": 2}, (), ("body.next is new",)),
        ({**PAGE, "total": "1"}, ("body.total was number, is string",), ()),
        ({**PAGE, "items": [{**ITEM, "stock": "3"}]}, ("body.items[].stock was number, is string",), ()),
        ({**PAGE, "items": [{**ITEM, "tags": [1]}]}, ("body.items[].tags[] was string, is number",), ()),
        ({**PAGE, "items": {"a": ITEM}}, ("body.items was array, is object",), ()),
        ([PAGE], ("body was object, is array",), ()),
        ({**PAGE, "items": [{"id": "item-1", "quantity": 3}]},
         tuple(f"body.items[].{name} is gone" for name in ("note", "price", "stock", "tags")), ("body.items[].quantity is new",)),
    ],
)  # fmt: skip
def test_shapes_are_compared_and_not_values(now: Any, drift: tuple[str, ...], added: tuple[str, ...]) -> None:
    assert compared(GET, [answer(PAGE)], answer(now)) == Changes(
        drift=tuple(f"GET /items: {line}" for line in drift), added=tuple(f"GET /items: {line}" for line in added)
    )


def test_another_status_another_media_type_and_a_header_that_is_gone_are_drift() -> None:
    before = [answer(PAGE, X_Total="1", Date="now", ETag="a"), answer(PAGE, X_Total="2", X_Cache="hit")]
    assert compared(GET, before, answer({"detail": "no"}, 404)).drift == (
        "GET /items: status 200 was recorded, 404 is said",
    )
    assert compared(GET, before, answer(b"<html>", media="text/html", X_Total="1")).drift == (
        "GET /items: application/json was recorded, text/html is said",
    )
    assert compared(GET, before, answer(PAGE)).drift == ("GET /items: header x-total is gone",)
    assert compared(GET, before, answer(PAGE, X_Total="7", X_New="1")) == Changes()


def test_a_field_that_was_there_only_at_times_may_be_gone_and_names_that_are_data_are_none() -> None:
    before = [answer({"a": 1, "by_day": {"2026-11-24": 3}}), answer({"by_day": {"2026-11-25": 4}})]
    assert compared(GET, before, answer({"by_day": {"2026-11-26": 5, "2026-11-27": 6}})) == Changes()
    assert compared(GET, before, answer({"by_day": {"2026-11-26": "5"}})).drift == (
        "GET /items: body.by_day[] was number, is string",
    )


def recorded(asked: Asked, told: Answer, owner: str) -> Recorded:
    return Recorded(number=1, exchange=Exchange(asked=asked, answer=told, owner=owner))


def test_only_gets_are_asked_again_that_anybody_may_ask_of_things_that_no_test_made() -> None:
    made = answer({"id": "item-0007", "name": "lamp"}, 201)
    recordings = [
        recorded(GET, answer(PAGE), "test a"),
        recorded(GET, answer(PAGE), ""),
        recorded(Asked(method="POST", path="/items", body=b"{}"), made, "fixture f"),
        recorded(Asked(method="GET", path="/items/item-0007"), made, "test a"),
        recorded(Asked(method="GET", path="/items", query="name=lamp"), answer(PAGE), "test a"),
        recorded(Asked(method="POST", path="/orders"), answer({}), "test b"),
        recorded(Asked(method="GET", path="/orders"), answer([]), "test b"),
        recorded(Asked(method="HEAD", path="/health"), answer(b""), "test a"),
        recorded(Asked(method="GET", path="/me", headers=(("Authorization", "Bearer mask-00"),)), answer({}), "test a"),
        recorded(Asked(method="GET", path="/s/mask-0123456789abcdef0123"), answer({}), "test a"),
        recorded(Asked(method="GET", path="/seen", headers=(("If-None-Match", '"a"'),)), answer(b"", 304), "test a"),
        recorded(Asked(method="GET", path="/piece", headers=(("Range", "bytes=0-9"),)), answer(b"", 206), "test a"),
        recorded(Asked(method="GET", path="/broken"), answer({}, 503), "test a"),
    ]
    (chosen,) = sample(recordings)
    assert chosen[0] == GET
    assert len(chosen[1]) == 2
    assert {asked.path for asked, _ in sample(recordings, ["authorization"])} == {"/items", "/me"}
    given = [*recordings, recorded(Asked(method="GET", path="/items/item-0007"), made, "")]
    assert {asked.path for asked, _ in sample(given, routes=["/items/item-0007"])} == {"/items", "/items/item-0007"}


def test_a_sample_is_spread_over_the_sorts_of_paths() -> None:
    many = [recorded(Asked(method="GET", path=f"/a/{number:02}"), answer({}), "test a") for number in range(50)]
    other = recorded(Asked(method="GET", path="/z"), answer({}), "test a")
    chosen = sample([*many, other])
    assert len(chosen) == 20
    assert "/z" in {asked.path for asked, _ in chosen}


def changed(**items: Any) -> dict[str, Any]:
    document = contract()
    document["components"]["schemas"]["Item"] |= items
    return document


SCHEMA = contract()["components"]["schemas"]["Item"]
WITH_PAGE = contract()
WITH_PAGE["paths"]["/items"]["get"]["parameters"].append(
    {"name": "size", "in": "query", "required": True, "schema": {}}
)
WITHOUT = contract()
del WITHOUT["paths"]["/me"]
GROWN = contract()
GROWN["paths"]["/orders"] = {"get": {"responses": {}}}
GROWN["paths"]["/items"]["get"]["responses"]["429"] = {"description": "too many"}
TOLD = contract()
TOLD["paths"]["/items"]["get"] |= {"description": "all of them", "operationId": "x", "tags": ["a"]}
CLOSED = contract()
CLOSED["paths"]["/items"]["get"]["security"] = [{"bearer": []}]


@pytest.mark.parametrize(
    ("now", "drift", "added"),
    [
        (TOLD, (), ()),
        (WITHOUT, ("GET /me is gone",), ()),
        (GROWN, (), ("GET /items: responses.429 is new", "GET /orders is new")),
        (CLOSED, ("GET /items: security is new",), ()),
        (WITH_PAGE, ("GET /items: parameters.query size is new",), ()),
        (changed(required=["name", "sku"]), ('schemas.Item.required has "sku" more',), ()),
        (changed(required=[]), (), ('schemas.Item.required has "name" no longer',)),
        (changed(properties={**SCHEMA["properties"], "title": {"type": "string"}}), (), ("schemas.Item.properties.title is new",)),
        (changed(properties={"name": SCHEMA["properties"]["name"]}), ("schemas.Item.properties.stock is gone",), ()),
        (changed(properties={**SCHEMA["properties"], "stock": {"type": "string"}}),
         ('schemas.Item.properties.stock.type was "integer", is "string"',), ()),
    ],
)  # fmt: skip
def test_a_contract_has_changed_where_it_breaks_whoever_kept_to_it(
    now: dict[str, Any], drift: tuple[str, ...], added: tuple[str, ...]
) -> None:
    assert documents(contract(), now) == Changes(
        drift=tuple(f"contract: {line}" for line in drift), added=tuple(f"contract: {line}" for line in added)
    )


def test_of_a_contract_that_is_another_one_only_the_first_changes_are_told() -> None:
    other = {**contract(), "paths": {f"/{number}": {"get": {}} for number in range(30)}, "components": {}}
    found = documents(contract(), other)
    assert len(found.added) == 11
    assert found.added[-1] == "contract: 20 more changes"


def exchange(asked: Asked, told: Answer, began: float) -> Exchange:
    return Exchange(asked=asked, answer=told, began=began, owner="test a")


def test_the_first_difference_is_one_of_status_or_shape_before_one_of_a_value() -> None:
    post = Asked(method="POST", path="/items", body=b"{}")
    before = [
        Recorded(number=1, exchange=exchange(post, answer({"id": "item-1"}, 201), 1.0)),
        Recorded(number=2, exchange=exchange(GET, answer(PAGE), 2.0), volatile=(("body", "total"),)),
        Recorded(number=3, exchange=exchange(GET, answer(PAGE), 3.0)),
    ]
    made = exchange(post, answer({"id": "item-7"}, 201), 11.0)
    same = exchange(GET, answer({**PAGE, "total": 5}), 12.0)
    assert first_difference(before, [same, made]) == 'POST /items: body.id was "item-1", is "item-7"'
    gone = exchange(GET, answer({"total": 1}), 13.0)
    assert first_difference(before, [made, same, gone]).startswith("GET /items: body.items.0.id was")
    refused = exchange(GET, answer({"detail": "no"}, 403), 12.0)
    assert first_difference(before, [made, refused]) == "GET /items: status was 200, is 403"
    other = exchange(Asked(method="GET", path="/other"), answer({}), 12.0)
    assert first_difference(before, [other]) == ""
