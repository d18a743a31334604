"""ClickHouse's own engine answers over HTTP as the server does, to its real client too."""

from __future__ import annotations

import asyncio
import gzip
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from resilience import stand_ins as local
from resilience.services.clickhouse.stand_in import ClickHouseServer
from tests.kits.ports import free_ports
from tests.kits.stand_in_kit import eventually, processes_naming, service, settings_for

engine = pytest.mark.skipif(importlib.util.find_spec("chdb") is None, reason="chdb (855 MB) is not installed: an extra")


@pytest.fixture
async def server(tmp_path: Path, free_port: int) -> AsyncIterator[ClickHouseServer]:
    running = ClickHouseServer(tmp_path / "ch", free_port, user="app", password="p w", database="my db")
    await running.start()
    yield running
    await running.stop()
    assert eventually(lambda: not processes_naming(tmp_path))


@engine
async def test_it_checks_the_password_and_answers_as_the_server_does(server: ClickHouseServer) -> None:
    url = f"http://127.0.0.1:{server.config.port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False, auth=("app", "p w")) as http:
        assert (await http.get("/ping", auth=None)).text == "Ok.\n"
        assert (await http.post("/", content="select currentDatabase(), 1")).text == "my db\t1\n"
        answer = await http.get("/", params={"query": "select 1 as a format JSONEachRow"})
        assert answer.json() == {"a": 1}
        assert answer.headers["X-ClickHouse-Format"] == "JSONEachRow"
        assert (await http.get("/", params={"query": "select {x:Int32}", "param_x": "3"})).text == "3\n"
        await http.post("/", content="create table t (a Int32) engine MergeTree order by a")
        await http.post("/", params={"query": "insert into t format CSV"}, content=b"1\n2\n")
        packed = gzip.compress(b"3\n4\n")
        await http.post(
            "/", params={"query": "insert into t format CSV"}, content=packed, headers={"Content-Encoding": "gzip"}
        )
        assert (await http.post("/", content="select sum(a) from t")).text == "10\n"
        for wrong in ("nope", ""):
            refused = await http.post("/", content="select 1", auth=("app", wrong))
            assert refused.status_code == 403
            assert refused.headers["X-ClickHouse-Exception-Code"] == "516"
        for statement, code, status in (
            ("select nope", "47", 400),
            ("select from where", "62", 400),
            ("select * from nope", "60", 404),
        ):
            failed = await http.post("/", content=statement)
            assert (failed.status_code, failed.headers["X-ClickHouse-Exception-Code"]) == (status, code)
            assert "DB::Exception" in failed.text
    await server.stop()
    await server.start()
    async with httpx.AsyncClient(base_url=url, trust_env=False, auth=("app", "p w")) as http:
        assert (await http.post("/", content="select count() from t")).text == "4\n"


@engine
async def test_clickhouse_connect_works_unchanged(server: ClickHouseServer) -> None:
    driver = pytest.importorskip("clickhouse_connect")

    def use() -> None:
        port = server.config.port
        client = driver.get_client(host="127.0.0.1", port=port, username="app", password="p w", database="my db")
        client.command("create table u (a Int32, b String) engine MergeTree order by a")
        for rows in ([[1, "x"], [2, "y"]], [[3, "z"]]):
            client.insert("u", rows, column_names=["a", "b"])
        assert client.query("select * from u order by a").result_rows == [(1, "x"), (2, "y"), (3, "z")]
        assert client.query("select {x:Int32}", parameters={"x": 3}).result_rows == [(3,)]
        with pytest.raises(driver.driver.exceptions.DatabaseError, match="nope"):
            client.query("select nope")
        client.close()
        with pytest.raises(driver.driver.exceptions.DatabaseError, match="Authentication failed"):
            driver.get_client(host="127.0.0.1", port=port, username="app", password="wrong")

    await asyncio.to_thread(use)


@engine
async def test_it_stands_in_counts_its_use_and_names_what_it_lacks(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    one = service("clickhouse", f"http://app:pw@localhost:{port}/db", ready_query="select 1")
    settings = settings_for(tmp_path, [one])
    try:
        found = (await local.start([one], settings))[0]
        assert found.ready, found.error
        assert found.provider == "wheel"
        assert any("no replication" in gap for gap in found.gaps)
        assert await local.connections(one) == 0
        async with httpx.AsyncClient(trust_env=False, auth=("app", "pw")) as http:
            await http.post(f"http://127.0.0.1:{port}/", content="select 1")
        assert await local.connections(one) == 1
    finally:
        assert await local.stop(settings) == ("clickhouse",)
    assert eventually(lambda: not processes_naming(tmp_path))


@pytest.mark.skipif(importlib.util.find_spec("chdb") is not None, reason="chdb is installed")
async def test_without_the_engine_it_is_unavailable_and_says_what_to_install(tmp_path: Path) -> None:
    one = service("clickhouse", f"http://app:pw@localhost:{free_ports(1)[0]}/db")
    settings = settings_for(tmp_path, [one])
    found = (await local.start([one], settings))[0]
    assert not found.ready
    assert "no stand-in came up" in found.error
    assert "resilience-runbook[clickhouse]" in found.error
