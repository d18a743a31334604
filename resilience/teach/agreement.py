"""Turn the OpenAPI document of a service into a generation of its own: masked, scanned, and held against what was recorded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from resilience.teach.contract import Contract
from resilience.teach.exchange import Exchange
from resilience.teach.key import mark
from resilience.teach.lesson import recordings_of
from resilience.teach.mask import PSEUDONYM, Masker
from resilience.teach.openapi import ContractError, canonical, digest, masked, operations, parsed
from resilience.teach.replay import Recorded
from resilience.teach.store import CONTRACT, CONTRACT_FILE, Generation, Store

_TOLD = 20
"""So many contradictions are told one by one."""


def teach_contract(store: Store, service: str, data: bytes, masker: Masker, *, at: datetime, build: str) -> Generation:
    """Write a service's contract and return its generation.

    The hash is of what staging said, before it was masked. What was recorded and contradicts the contract is told as a gap; it is
    served all the same, since staging itself said it. Raises ContractError for what is none, StoreError.
    """
    document = parsed(data)
    hidden = masked(document, masker.text)
    contract = Contract(hidden)
    kept = canonical(hidden)
    if masker.secrets is not None and masker.secrets.leaks(kept) is not None:
        raise ContractError("a secret is in it, of a form in which it cannot be masked.")
    found = list(dict.fromkeys(filter(None, map(contract.contradicted, _exchanges(store, service)))))
    gaps = [f"{one}: the recording counts" for one in found[:_TOLD]]
    if found[_TOLD:]:
        gaps.append(f"and {len(found) - _TOLD} more recordings contradict the contract")
    manifest: dict[str, Any] = {
        "at": at.isoformat(timespec="seconds"),
        "source": CONTRACT,
        "build": build,
        "exchanges": 0,
        "tests": {},
        "gaps": gaps,
        "contract": {
            "sha256": digest(document),
            "openapi": str(document["openapi"]),
            "operations": len(operations(document)),
        },
        "masked": {"key": mark(masker.key), "pseudonyms": len(set(PSEUDONYM.findall(kept.decode())))},
        "proof": {"scanned": len(kept)},
    }
    return store.write(service, manifest, {CONTRACT_FILE: kept}, renews=False)


def _exchanges(store: Store, service: str) -> list[Exchange]:
    """Return what the service's stand-in says now, without requests of which a value was masked: a rule says nothing of those."""
    every: list[Recorded] = []
    for generation in store.current(service):
        if not generation.problem:
            every += recordings_of(generation)
    return [one.exchange for one in every if not _hides(one)]


def _hides(recorded: Recorded) -> bool:
    asked = recorded.exchange.asked
    return any(PSEUDONYM.search(text) for text in (asked.path, asked.query, asked.body.decode("utf-8", "replace")))
