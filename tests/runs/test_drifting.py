"""Staging is compared with what it taught, and what has changed of it stays told beside that until it has taught anew."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

import pytest

from resilience.core.settings import Settings
from resilience.core.taught import Drift
from resilience.runs import drifting
from resilience.runs.configuration import load_settings
from resilience.runs.teaching import teach_routes
from resilience.teach.store import Store, taught_of
from tests.kits.taught_kit import Staging, project


@pytest.fixture
async def staging() -> AsyncIterator[Staging]:
    async with Staging().running() as made:
        yield made


@pytest.fixture
def settings(staging: Staging, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    folder = project(tmp_path / "team", staging)
    config = folder / "resilience.toml"
    config.write_text(config.read_text().replace('teach = ["traffic"]', 'teach = ["traffic", "contract"]'))
    monkeypatch.chdir(folder)
    return load_settings(None)


async def test_a_schema_change_of_staging_is_found_by_its_answers_and_its_contract(
    settings: Settings, staging: Staging
) -> None:
    first = await teach_routes(settings)
    assert first.drift == {}
    staging.retyped = True
    assert staging.contract is not None
    staging.contract["components"]["schemas"]["Item"]["properties"]["stock"]["type"] = "string"
    (found,) = (await teach_routes(settings, learn=False)).drift.values()
    assert found.drift == (
        "GET /items: body.total was number, is string",
        'contract: schemas.Item.properties.stock.type was "integer", is "string"',
    )
    assert found.checked == 4, "three routes and the contract"
    newest = taught_of(Store(settings.state), "backend_api")[0]
    assert newest.drift is not None
    assert newest.drift.drift == found.drift
    again = await teach_routes(settings)
    assert again.drift["backend_api"].drift == found.drift, "it is told once more, and learned"
    assert (await teach_routes(settings, learn=False)).drift["backend_api"].drift == ()


async def test_what_is_not_answered_could_not_be_checked_and_is_no_drift(settings: Settings, staging: Staging) -> None:
    await teach_routes(settings)
    store = Store(settings.state)
    (service,) = drifting.comparable(settings, store)
    staging.broken = 1
    found = await drifting.compare(
        settings, store, service, "its contract was not given out: status 404", monotonic() + 60
    )
    assert found.drift == ()
    assert found.checked == 2
    assert found.unchecked == (
        "could not check GET /items: status 503 is not learned",
        "could not check the contract: its contract was not given out: status 404",
    )
    late = await drifting.compare(settings, store, service, b"<html>", monotonic())
    assert (late.checked, len(late.unchecked)) == (0, 4)


async def test_a_change_of_the_contract_stays_told_until_the_tests_teach_anew(
    settings: Settings, staging: Staging
) -> None:
    await teach_routes(settings)
    store = Store(settings.state)
    (service,) = drifting.comparable(settings, store)
    (routes, *_) = (one for one in store.generations("backend_api") if one.source == "routes")
    traffic = {**routes.manifest, "source": "traffic"}
    with store.lesson():
        store.write("backend_api", traffic, {name: routes.read(name) for name in routes.manifest["files"]})
    changed = Drift(
        at=routes.at, since=routes.at.replace(year=2100), checked=1, drift=("contract: GET /me is gone", "GET /a: b")
    )
    store.note_drift("backend_api", changed)
    found = await drifting.compare(settings, store, service, None, monotonic() + 60)
    assert (found.drift, found.since) == (("contract: GET /me is gone",), changed.since)
    store.note_drift("backend_api", Drift(at=routes.at, since=routes.at, checked=1, drift=changed.drift))
    assert (await drifting.compare(settings, store, service, None, monotonic() + 60)).drift == ()


def test_a_check_is_told_in_sentences() -> None:
    now = datetime.now(UTC)
    assert drifting.told("api", Drift(at=now, checked=3)) == (
        "api: compared 3 answers with what was taught: nothing has changed",
    )
    assert drifting.told("api", Drift(at=now, checked=0)) == ("api: nothing could be compared",)
    assert drifting.told("api", Drift(at=now, checked=1, drift=("a",), added=("b",), unchecked=("c",))) == (
        "api: compared 1 answers with what was taught: 1 changes", "api: changed: a", "api: added: b", "api: c",
    )  # fmt: skip
