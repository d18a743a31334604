"""Ask staging again, while it is well, what it taught, and keep beside that what has changed since."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from resilience.core.errors import ResilienceError
from resilience.core.settings import Service, Settings
from resilience.core.taught import Drift
from resilience.teach import key as keys
from resilience.teach.asking import ask_again
from resilience.teach.drift import Changes, compared, documents, sample
from resilience.teach.lesson import masker_of, recordings_of
from resilience.teach.openapi import ContractError, digest, masked, parsed
from resilience.teach.replay import Recorded
from resilience.teach.store import CONTRACT, CONTRACT_FILE, Generation, Store
from resilience.teach.ways import unreachable

OF_CONTRACT = "contract: "
"""What a line on a contract begins with."""


def comparable(settings: Settings, store: Store, names: Sequence[str] = ()) -> tuple[Service, ...]:
    """Return the services that taught something that staging can be asked for again, of these names where some are given."""
    return tuple(
        service
        for service in settings.services
        if service.teach
        and (not names or service.name in names)
        and not unreachable(service, settings.deny_hosts)
        and any(not one.problem for one in store.current(service.name))
    )


async def compare(
    settings: Settings, store: Store, service: Service, contract: bytes | str | None, until: float
) -> Drift:
    """Return what a service says otherwise than it taught: a sample of its GETs, and its contract where it was asked for.

    `contract` is what was given out, or why nothing was; `until` is on the monotonic clock. Call it before new things are learned:
    they would be compared with themselves. What of a contract had changed stays told until the tests have taught anew.
    """
    current = [one for one in store.current(service.name) if not one.problem]
    recordings: list[Recorded] = []
    for one in current:
        recordings += recordings_of(one)
    chosen = sample(recordings, [name.lower() for name in service.headers], service.teach_routes)
    answers = await ask_again(service, settings.root, [asked for asked, _ in chosen], until, settings.deadlines)
    drift, added, unchecked = list[str](), list[str](), list[str]()
    checked = 0
    for (asked, before), now in zip(chosen, answers, strict=True):
        if isinstance(now, str):
            unchecked.append(f"could not check {now}")
            continue
        found = compared(asked, before, now)
        drift, added, checked = [*drift, *found.drift], [*added, *found.added], checked + 1
    kept = next((one for one in current if one.source == CONTRACT), None)
    if kept is not None and contract is not None:
        changes = _contracts(settings, kept, contract)
        if isinstance(changes, str):
            unchecked.append(f"could not check the contract: {changes}")
        else:
            drift, added, checked = [*drift, *changes.drift], [*added, *changes.added], checked + 1
    before_this = store.drift(service.name)
    drift += [line for line in _carried(before_this, current) if line not in drift]
    at = datetime.now(UTC)
    since = (before_this.since if before_this is not None else None) or at
    return Drift(
        at=at, since=since if drift else None, checked=checked, drift=tuple(dict.fromkeys(drift)),
        added=tuple(dict.fromkeys(added)), unchecked=tuple(unchecked),
    )  # fmt: skip


def _contracts(settings: Settings, kept: Generation, now: bytes | str) -> Changes | str:
    """Return how a contract has changed from the one that is kept, or why that cannot be told."""
    if isinstance(now, str):
        return now
    try:
        document = parsed(now)
        if digest(document) == kept.manifest["contract"]["sha256"]:
            return Changes()
        key = keys.read(settings.data, os.environ) or b""
        hidden = masked(document, masker_of(key, settings.secrets, ()).text)
        return documents(json.loads(kept.read(CONTRACT_FILE)), hidden)
    except (ContractError, ResilienceError) as exc:
        return str(exc)


def _carried(before: Drift | None, current: Sequence[Generation]) -> Sequence[str]:
    """Return what was found of the contract since the tests taught: that contract was learned anew, what they recorded was not."""
    by_tests = [one.at for one in current if one.source == "traffic"]
    if before is None or before.since is None or not by_tests or max(by_tests) >= before.since:
        return ()
    return [line for line in before.drift if line.startswith(OF_CONTRACT)]


def told(service: str, found: Drift) -> tuple[str, ...]:
    """Return the check of one service in sentences."""
    head = f"{service}: compared {found.checked} answers with what was taught"
    if not found.checked and not found.drift:
        return tuple(f"{service}: {line}" for line in found.unchecked) or (f"{service}: nothing could be compared",)
    lines = [f"{head}: {f'{len(found.drift)} changes' if found.drift else 'nothing has changed'}"]
    lines += [f"{service}: changed: {line}" for line in found.drift]
    lines += [f"{service}: added: {line}" for line in found.added]
    lines += [f"{service}: {line}" for line in found.unchecked]
    return tuple(lines)


Documents = Mapping[str, bytes | str]
"""Service → the contract it gave out, or why there is none."""
