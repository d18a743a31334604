"""A contract becomes a generation beside what was recorded: hashed as staging said it, masked, and held against the recordings."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from resilience.core.taught import said
from resilience.teach.openapi import ContractError, digest, parsed
from resilience.teach.store import CONTRACT_FILE, taught_of
from tests.kits.taught_kit import Lessons, client, contract, lessons


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lessons]:
    async with lessons(tmp_path, secrets=["hunter-2-hunter"]) as made:
        yield made


def test_it_is_kept_beside_what_was_recorded_with_the_hash_of_what_staging_said(lab: Lessons) -> None:
    made = lab.agree()
    assert made.manifest["contract"] == {
        "sha256": digest(parsed(json.dumps(contract()).encode())), "openapi": "3.1.0", "operations": 5,
    }  # fmt: skip
    (told,) = taught_of(lab.store, "api")
    assert (told.source, told.operations, told.damaged) == ("contract", 5, "")
    assert "contract of 5 operations" in said(told, told.at, 7)


def test_a_lesson_that_failed_stays_told_when_the_contract_is_new(lab: Lessons) -> None:
    lab.agree()
    lab.store.mark_stale("api", "staging turned bad")
    lab.agree()
    assert lab.store.stale("api") == "staging turned bad"


def test_secrets_in_it_are_masked_and_one_that_cannot_be_keeps_it_out(lab: Lessons) -> None:
    document = contract()
    document["info"]["description"] = "log in as admin with hunter-2-hunter"
    made = lab.agree(document)
    kept = made.read(CONTRACT_FILE)
    assert b"hunter-2" not in kept
    assert b"as admin with mask-" in kept
    document["paths"]["/hunter-2-hunter"] = {"get": {"responses": {"200": {"description": ""}}}}
    with pytest.raises(ContractError, match="a secret is in it"):
        lab.agree(document)
    assert [one.number for one in lab.store.generations("api")] == [1]


async def test_what_was_recorded_against_the_contract_is_told(lab: Lessons) -> None:
    async with lab.recorder() as recorder, client(recorder.ports["api"][""]) as http:
        with lab.test("a::t"):
            await http.post("/items", json={"name": "lamp"})
            await http.get("/items", params={"page": "0"})
            await http.get("/items", params={"page": "0"})
    assert lab.learn(recorder.heard) is not None
    assert lab.agree().manifest["gaps"] == [
        "GET /items: staging answered 200 to what its contract refuses (query parameter page: minimum 1): the recording counts"
    ]


def test_what_is_no_contract_leaves_the_one_before(lab: Lessons) -> None:
    lab.agree()
    for document in (b"<html>", {**contract(), "paths": []}):
        with pytest.raises(ContractError):
            lab.agree(document)
    assert [one.number for one in lab.store.generations("api")] == [1]
