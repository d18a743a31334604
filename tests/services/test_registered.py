"""A kind that another package registers goes the whole way, from the configuration to the report, and no other file knows it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.core.records import ConnectivityStatus, FaultCode, Outcome, TestExecutionMode
from resilience.runs.configuration import load_settings, settings_for_url
from resilience.runs.runbook import Run
from resilience.services import registry
from resilience.services.looking import probe_all
from tests.kits.servers import fakes
from tests.kits.small_staging import SmallStaging, project

KIND = """
from resilience.core.kind import Finding, Kind, Scheme, Words
from resilience.core.records import FaultCode as C


def findings(facts):
    if int(facts.get("waiting", "0")) > 100:
        return Finding(code=C.APP_OVERLOAD, detail=f"[waiting] ({facts['waiting']}) <= 100")


KIND = Kind(
    name="queue",
    title="Queue",
    schemes={"queue": Scheme(port=7222)},
    options={"topic": "orders"},
    probe="queue_kind.probe:look",
    words={C.TCP_REFUSED: Words(cause="the queue is stopped", hint="queuectl start --host {host}")},
    findings=findings,
    clients=("queuelib",),
    vague={("queuelib", "QueueError"): C.PROTO_CLOSED},
)
"""
PROBE = """
from resilience.core.faults import fault
from resilience.core.records import FaultCode
from resilience.services.wire import Refused, open_wire, parse


async def look(service, url, trace, context):
    address = parse(service.kind, url)
    wire = await open_wire(service, address, trace, context)
    try:
        wire.write(service.options["topic"].encode() + b"\\n")
        while b"\\n" not in wire.buffer:
            if not await wire.more():
                raise Refused(fault(FaultCode.PROTO_CLOSED, trace.phase, "no answer", endpoint=address.endpoint))
        trace.facts["waiting"] = wire.buffer.decode().strip()
    finally:
        wire.abort()
"""
SERVICE = """
[[service]]
name = "jobs"
type = "queue"
url = "queue://127.0.0.1:{port}"
topic = "invoices"
markers = ["real_queue"]
timeout_s = 2.0
"""
TESTS = """
import pytest
import queuelib


@pytest.mark.real_queue
def test_that_needs_the_queue():
    raise AssertionError("it must be held back")


def test_that_uses_it_unmarked():
    raise queuelib.QueueError("gone")


def test_of_the_shop():
    assert True
"""


def install(site: Path, package: str, name: str, target: str) -> None:
    """Leave what pip leaves of a package that registers a kind."""
    info = site / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[resilience.services]\n{name} = {target}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of packages in which one registers the kind `queue`; the registry forgets it afterwards."""
    folder = tmp_path / "site"
    (folder / "queue_kind").mkdir(parents=True)
    (folder / "queue_kind" / "__init__.py").touch()
    (folder / "queue_kind" / "kind.py").write_text(KIND)
    (folder / "queue_kind" / "probe.py").write_text(PROBE)
    (folder / "queuelib.py").write_text("class QueueError(Exception):\n    pass\n")
    install(folder, "queue-kind", "queue", "queue_kind.kind:KIND")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    registry.registered.cache_clear()
    yield folder
    registry.registered.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] in ("queue_kind", "queuelib")]:
        del sys.modules[name]


@pytest.fixture
def team(tmp_path: Path, site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    with SmallStaging() as staging:
        folder = project(tmp_path / "team", staging.port)
        with (folder / "resilience.toml").open("a") as file:
            file.write(SERVICE.format(port=fakes.refused()))
        (folder / "tests" / "test_shop.py").write_text(TESTS)
        (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  real_queue: needs the queue\n")
        monkeypatch.chdir(folder)
        yield folder


async def test_it_is_assessed_planned_held_back_attributed_and_reported(team: Path) -> None:
    run = Run.create(load_settings(team / "resilience.toml"), apply=True)
    await run.assess()
    assert run.incident.health is not None
    seen = run.incident.health.result("jobs")
    assert seen is not None
    assert (seen.type, seen.status, seen.fault) == ("queue", ConnectivityStatus.UNAVAILABLE, FaultCode.TCP_REFUSED)
    assert seen.hint == "queuectl start --host 127.0.0.1"

    decision = run.choose_mode()
    assert decision.mode is TestExecutionMode.DEGRADED
    assert "jobs" in decision.held
    plan = run.make_plan()
    assert "real_queue" in plan.held_markers

    result = await run.run_tests()
    outcomes = {test.id.rpartition("::")[2]: (test.outcome, test.service) for test in result.tests}
    assert outcomes["test_that_needs_the_queue"][0] is Outcome.INFRASTRUCTURE_UNAVAILABLE
    assert outcomes["test_that_uses_it_unmarked"] == (Outcome.INFRASTRUCTURE_UNAVAILABLE, "jobs")
    assert outcomes["test_of_the_shop"][0] is Outcome.PASSED

    run.report(charts=False)
    page = (run.folder / "report.md").read_text(encoding="utf-8")
    assert "jobs" in page
    assert "queuectl start --host 127.0.0.1" in page


async def test_its_findings_and_its_own_keys_count(site: Path, tmp_path: Path) -> None:
    async with fakes.serve(fakes.says(b"7000\n")) as port:
        (tmp_path / ".git").mkdir()
        (tmp_path / "resilience.toml").write_text(SERVICE.format(port=port))
        settings = load_settings(tmp_path / "resilience.toml", environ={"HOME": str(tmp_path)})
        (seen,) = await probe_all(settings.services)
    (service,) = settings.services
    assert service.options == {"topic": "invoices"}
    found = service.kind.findings(seen.facts)
    assert found is not None
    assert found.code is FaultCode.APP_OVERLOAD


def test_a_url_of_its_scheme_is_known(site: Path, tmp_path: Path) -> None:
    (service,) = settings_for_url(["queue://broker.staging.example"], cwd=tmp_path, environ={}).services
    assert (service.type, service.name) == ("queue", "queue")


def test_an_unknown_type_names_those_of_others_as_well(site: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match='did you mean "queue"'):
        configured(tmp_path, "queu")
    with pytest.raises(
        SettingsError,
        match=r"known: clickhouse, elasticsearch, etcd, grpc, http, kafka, ldap, memcached, mongodb, mysql, nats, openai, "
        r"postgresql, queue, rabbitmq, redis, s3, smtp, tcp, websocket",
    ):
        configured(tmp_path, "xyzzy")


def test_a_name_that_two_packages_register_is_refused_with_both(site: Path, tmp_path: Path) -> None:
    install(site, "other-queue", "queue", "other.kind:KIND")
    registry.registered.cache_clear()
    with pytest.raises(SettingsError) as refused:
        configured(tmp_path, "queue")
    assert "service type queue" in str(refused.value)
    assert {"queue-kind", "other-queue"} <= set(str(refused.value).replace(")", " ").split())
    assert "one package that registers it was expected" in str(refused.value)


def test_a_package_that_takes_a_name_of_ours_is_refused(site: Path, tmp_path: Path) -> None:
    install(site, "my-redis", "redis", "queue_kind.kind:KIND")
    registry.registered.cache_clear()
    with pytest.raises(SettingsError, match=r"service type redis=\(registered by resilience and by my-redis\)"):
        configured(tmp_path, "queue")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("queue_kind.nowhere:KIND", "ModuleNotFoundError"),
        ("queue_kind.kind:findings", r"a resilience\.core\.kind\.Kind was expected"),
        ("queue_kind.kind:KIND", "name 'queue'"),
    ],
    ids=["cannot be imported", "no record", "another name"],
)
def test_a_kind_that_cannot_be_used_is_refused_by_name(site: Path, tmp_path: Path, target: str, said: str) -> None:
    install(site, "broken", "broken", target)
    registry.registered.cache_clear()
    with pytest.raises(SettingsError, match=said) as refused:
        configured(tmp_path, "broken")
    assert str(refused.value).startswith("service type broken")


def configured(folder: Path, kind: str) -> None:
    (folder / ".git").mkdir(exist_ok=True)
    (folder / "resilience.toml").write_text(
        f'[[service]]\nname = "jobs"\ntype = "{kind}"\nurl = "queue://h:1"\n', encoding="utf-8"
    )
    load_settings(folder / "resilience.toml", environ={"HOME": str(folder)})
