"""The plug-in by itself: what it may say, and what it does where a team installed it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from resilience.core.records import Outcome
from resilience.suite import pytest_plugin as plugin
from tests.kits import plugin_tables
from tests.kits.alone import ALONE
from tests.kits.installed import installed, snapshot
from tests.kits.testrun_kit import PYTEST, LineServer, by_id, environment_with, run, write


def test_a_service_is_available_as_the_last_assessment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = snapshot(tmp_path / "s.json", backend_api="available", database="unavailable", redis="degraded")
    monkeypatch.setenv("RESILIENCE_SNAPSHOT", str(found))
    assert plugin.is_service_available("backend_api")
    assert plugin.is_service_available("staging_backend")
    assert plugin.is_service_available("redis")
    assert not plugin.is_service_available("staging_database")
    with pytest.raises(ValueError, match="unknown; known: backend_api"):
        plugin.is_service_available("bakend")


def test_nothing_is_available_where_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESILIENCE_SNAPSHOT", raising=False)
    assert not plugin.is_service_available("database")
    old = snapshot(tmp_path / "old.json", age=timedelta(hours=2), database="available")
    monkeypatch.setenv("RESILIENCE_SNAPSHOT", str(old))
    assert not plugin.is_service_available("database")
    (tmp_path / "cut.json").write_text('{"started_at": "20')
    monkeypatch.setenv("RESILIENCE_SNAPSHOT", str(tmp_path / "cut.json"))
    assert not plugin.is_service_available("database")


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("postgresql://user:hunter2-x@host/db failed", "hunter2-x"),
        ("password=hunter2-x host=h", "hunter2-x"),
        ("Authorization: Bearer hunter2-x", "hunter2-x"),
        ("\x1b[31mred\x1b[0m \u202e evil", "\x1b"),
        ("a\u202eb", "\u202e"),
    ],
)
def test_texts_of_exceptions_lose_credentials_and_control_characters(text: str, gone: str) -> None:
    assert gone not in plugin.clean(text)


def test_an_exception_that_breaks_when_looked_at_is_still_described() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

        @property
        def response(self) -> Any:
            raise RuntimeError("no response")

    exc = Broken()
    exc.__cause__ = exc
    nodes = plugin.describe(exc)
    assert len(nodes) == 1
    json.dumps(nodes)


def alone(root: Path, path: Path, **env: str) -> str:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "RESILIENCE_"))}
    given |= {"PYTHONPATH": str(path), "PYTHONDONTWRITEBYTECODE": "1", **env}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "--strict-markers", *ALONE.split()],
        cwd=root,
        env=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def test_where_it_is_installed_staging_tests_skip_themselves_while_staging_is_down(tmp_path: Path) -> None:
    root = write(
        tmp_path / "project",
        test_a="""
        import pytest
        from resilience_light import is_service_available
        @pytest.mark.staging
        def test_staging(): pass
        @pytest.mark.golden_path
        def test_pure(): assert not is_service_available("staging_database")
        """,
    )
    path = installed(tmp_path / "site")
    down = alone(root, path, RESILIENCE_SNAPSHOT=str(snapshot(tmp_path / "s.json", database="unavailable")))
    assert "1 passed, 1 skipped" in down
    assert "staging is unavailable since" in down
    assert "2 passed" in alone(root, path, RESILIENCE_SNAPSHOT=str(tmp_path / "none"))


async def test_the_injected_copy_answers_where_the_guide_has_tests_ask(tmp_path: Path) -> None:
    root = write(
        tmp_path / "project",
        test_a="""
        import pytest
        def test_guide():
            from test_framework.resilience import is_service_available
            if not is_service_available("staging_backend"):
                pytest.skip("Staging backend unavailable")
        """,
    )
    found = snapshot(tmp_path / "s.json", backend_api="unavailable")
    result = await run(root, tmp_path / "run", {}, PYTEST, env={"RESILIENCE_SNAPSHOT": str(found)})
    assert result.totals.skipped == 1
    assert result.tests[0].reason == "Skipped: Staging backend unavailable"


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda exc: exc, id="pytest 8.0 to 8.2"),
        pytest.param(lambda exc: (exc, None), id="pytest 8.3 and later"),
        pytest.param(lambda exc: (type(exc), exc, None), id="pytest before 8"),
    ],
)
def test_a_fixtures_failure_is_found_in_each_shape_in_which_pytest_keeps_its_exception(shape: Any) -> None:
    exc = ConnectionRefusedError("refused")
    kept = SimpleNamespace(cached_result=(None, 0, shape(exc)), baseid="tests", scope="session")
    well = SimpleNamespace(cached_result=(1, 0, None), baseid="", scope="function")
    unused = SimpleNamespace(cached_result=None, baseid="", scope="function")
    item = SimpleNamespace(
        _fixtureinfo=SimpleNamespace(name2fixturedefs={"db": (kept,), "well": (well,), "unused": (unused,)})
    )
    assert plugin._is_kept(item, exc)
    assert not plugin._is_kept(item, ConnectionRefusedError("another"))
    assert not plugin._is_kept(item, None)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["8.0.2", "8.1.2", "8.2.2"])
async def test_a_fixture_that_meets_an_outage_is_the_outages_under_each_pytest_8(tmp_path: Path, version: str) -> None:
    python = environment_with(tmp_path / "venv", f"pytest=={version}")
    root = write(
        tmp_path / "project",
        test_a="""
        import pytest
        from helpers import hello
        @pytest.fixture(scope="session")
        def db(): return hello()
        @pytest.fixture
        def own(): return {}["product"]
        def test_db(db): pass
        def test_db_again(db): pass
        def test_own(own): pass
        """,
    )
    command = f"{python} -m pytest -q -p no:cacheprovider -W error"
    result = await run(root, tmp_path / "run", {"database": LineServer()}, command)
    assert not [note for note in result.notes if "trouble" in note]
    assert {name: outcome.value for name, outcome in by_id(result).items()} == {
        "test_db": "infrastructure_unavailable",
        "test_db_again": "infrastructure_unavailable",
        "test_own": "error",
    }


@pytest.mark.parametrize(
    ("expression", "names", "expected"),
    [
        ("", set(), True),
        ("critical or mission_critical", {"mission_critical"}, True),
        ("not staging and not real_services", {"slow"}, True),
        ("(not real_services and not staging) or offline_capable", {"staging", "offline_capable"}, True),
        ("not (a or b)", {"b"}, False),
        ("not not a", {"a"}, True),
    ],
)
def test_marker_expressions_of_the_modes(expression: str, names: set[str], expected: bool) -> None:
    assert plugin.MarkerExpression(expression)(names) is expected


def test_its_tables_of_kinds_are_those_of_the_registry() -> None:
    written = plugin_tables.BLOCK.search(plugin_tables.FILE.read_text(encoding="utf-8"))
    assert written is not None
    assert written[0] == plugin_tables.tables(), "python -m tests.kits.plugin_tables"


@pytest.mark.parametrize("expression", ["a or", "(a", "a b", "not", "and a", "a)"])
def test_a_broken_marker_expression_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="not a marker expression"):
        plugin.MarkerExpression(expression)


async def test_an_answer_of_a_client_that_knows_no_url_costs_nothing_but_its_address(tmp_path: Path) -> None:
    root = write(
        tmp_path / "project",
        test_a="""
        import http.client, http.server, threading

        class Unwell(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(502)
                self.send_header("content-length", "0")
                self.end_headers()

        def test_order():
            server = http.server.HTTPServer(("127.0.0.1", 0), Unwell)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            try:
                client.request("GET", "/orders/1")
                answer = client.getresponse()
                answer.read()
                if answer.status != 200:
                    raise RuntimeError("order 1: %d" % answer.status)
            finally:
                client.close()
                server.shutdown()
                server.server_close()
        """,
    )
    result = await run(root, tmp_path / "run", {}, PYTEST)
    assert [(test.outcome, test.message) for test in result.tests] == [(Outcome.FAILED, "RuntimeError: order 1: 502")]


def test_a_socket_on_which_nothing_went_since_the_last_test_is_not_used_by_this_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        with socket.create_connection(address) as client, server.accept()[0] as far:
            sockets = plugin._Sockets()
            client.sendall(b"an earlier test's")
            far.recv(100)
            assert list(address) in sockets.used(time.time())
            sockets.mark()
            assert list(address) not in sockets.used(time.time()), "its data went a moment ago, in the test before"
            client.sendall(b"this one's")
            assert list(address) in sockets.used(time.time())


@pytest.mark.parametrize("how", ["spawn", "fork"])
async def test_a_child_of_multiprocessing_may_have_used_a_dead_service_however_it_was_started(
    tmp_path: Path, database: LineServer, how: str
) -> None:
    root = write(
        tmp_path / "project",
        work="""
        import sys
        def fail(): sys.exit(3)
        """,
        test_a=f"""
        import multiprocessing
        from work import fail
        def test_child():
            child = multiprocessing.get_context({how!r}).Process(target=fail)
            child.start()
            child.join()
            assert child.exitcode == 0
        def test_pure(): assert not multiprocessing.active_children and "no child of this one"
        """,
    )
    result = await run(root, tmp_path / "run", {"database": database}, PYTEST, attempts=0)
    outcomes = {test.id.rpartition("::")[2]: test.outcome for test in result.tests}
    assert outcomes == {"test_child": Outcome.UNDECIDED, "test_pure": Outcome.FAILED}
