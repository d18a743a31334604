"""A team's FastAPI service stands in for itself, from source, on the stand-in database: green, killed in the middle, undone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience.services.place import port_open
from tests.kits.ports import free_ports
from tests.kits.servers import fakes
from tests.kits.stand_in_kit import eventually, processes_naming

pytestmark = pytest.mark.slow  # an environment, a database and a server of its own

APP = """
import os
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app):
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=4) as pool:
        await pool.execute("create table if not exists orders (id serial primary key, item text not null)")
        app.state.pool = pool
        yield


app = FastAPI(lifespan=lifespan)


class Order(BaseModel):
    item: str


@app.get("/health")
async def health():
    return {"status": "ok", "database": await app.state.pool.fetchval("select 'up'")}


@app.post("/orders", status_code=201)
async def place(order: Order):
    row = await app.state.pool.fetchrow("insert into orders (item) values ($1) returning id, item", order.item)
    return dict(row)


@app.get("/orders/{number}")
async def read(number: int):
    row = await app.state.pool.fetchrow("select id, item from orders where id = $1", number)
    if row is None:
        raise HTTPException(404, "no such order")
    return dict(row)
"""
CONTRACT = """
import json
import os
import time
import urllib.error
import urllib.request

import pytest


def ask(path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        os.environ["BACKEND_URL"] + path, data, {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, json.load(exc)


def test_it_is_up_with_its_database():
    assert ask("/health") == (200, {"status": "ok", "database": "up"})


def test_an_order_is_kept():
    status, placed = ask("/orders", {"item": "tea"})
    assert status == 201
    assert ask(f"/orders/{placed['id']}") == (200, placed)


def test_an_order_that_is_not_there():
    assert ask("/orders/999999")[0] == 404


def test_an_order_without_an_item_is_refused():
    status, answer = ask("/orders", {"thing": "tea"})
    assert status == 422
    assert answer["detail"][0]["loc"] == ["body", "item"]


def test_its_contract_names_both_routes():
    _, document = ask("/openapi.json")
    assert {"/orders", "/orders/{number}"} <= set(document["paths"])


@pytest.mark.parametrize("n", range(int(os.environ.get("MANY", "0"))))
def test_many(n):
    time.sleep(0.2)
    open("began", "a").close()
    assert ask("/health")[0] == 200
"""
CONFIG = """
[runbook]
python = "{python}"

[[service]]
name = "database"
type = "postgresql"
url = "postgresql://app:pw@127.0.0.1:{dead_database}/app_test"
local = "postgresql://app:local@127.0.0.1:{database}/app_test"
exports = {{ DATABASE_URL = "{{local}}" }}
critical = true

[[service]]
name = "backend_api"
type = "http"
url = "http://127.0.0.1:{dead_backend}/health"
local = "http://127.0.0.1:{backend}/health"
exports = {{ BACKEND_URL = "http://{{host}}:{{port}}" }}
start = "python -m uvicorn app.main:app --host {{host}} --port {{port}}"
depends_on = ["database"]
critical = true
"""
ENV_FILE = b"# ours\nKEEP=this\n"


class Shop:
    """A team's checkout with an interpreter of its own, and what is typed in it."""

    def __init__(self, root: Path) -> None:
        self.root, self.state = root / "shop", root / "state"
        self.database, self.backend = free_ports(2)
        interpreter = _interpreter(root / "venv")
        files = {"app/main.py": APP, "tests/test_contract.py": CONTRACT}
        files["resilience.toml"] = CONFIG.format(
            python=interpreter,
            dead_database=fakes.refused(),
            dead_backend=fakes.refused(),
            database=self.database,
            backend=self.backend,
        )
        for name, content in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(content)
        (self.root / "app/__init__.py").touch()
        self.env_file = self.root / "config/.env.test.active"
        self.env_file.parent.mkdir()
        self.env_file.write_bytes(ENV_FILE)
        self.pytest = ("test", "--force", "degraded", "--json", "--", str(interpreter), "-m", "pytest", "tests", "-q")

    def start(self, *words: str, many: int = 0) -> subprocess.Popen[str]:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "XDG_STATE_HOME": str(self.state),
            "MANY": str(many),
        }
        argv = (sys.executable, "-c", "import sys; from resilience.cli import main; sys.exit(main())", *words)
        pipe = subprocess.PIPE
        return subprocess.Popen(
            argv, cwd=self.root, env=environ, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        )

    def type_in(self, *words: str) -> tuple[int, str, str]:
        with self.start(*words) as process:
            out, err = process.communicate(timeout=120)
        return process.returncode, out, err

    def pid(self, service: str) -> int:
        told = json.loads(self.type_in("services", "status", "--json")[1])["services"]
        (found,) = [one for one in told if one["service"] == service]
        return int(found["pid"])

    def began(self) -> bool:
        return eventually((self.root / "began").exists, within_s=60.0)


def _interpreter(folder: Path) -> Path:
    """Make an environment of its own, in which what is installed here is found."""
    venv.create(folder, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    (site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return folder / "bin/python"


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    made = Shop(tmp_path)
    code, said, trouble = made.type_in("apply", "--force", "degraded")
    assert code == 0, said + trouble
    yield made
    code, said, trouble = made.type_in("restore")
    assert code == 0, said + trouble
    assert made.env_file.read_bytes() == ENV_FILE
    assert not any(port_open("127.0.0.1", port) for port in (made.database, made.backend))
    # The team's own pytest, whose runbook was killed, goes on to its end: it is theirs, and needs nobody.
    assert eventually(lambda: not processes_naming(tmp_path), within_s=60.0), "something of it is left"


def totals(document: str) -> dict[str, int]:
    return {name: count for name, count in json.loads(document)["totals"].items() if count}


def test_its_contract_tests_are_green_on_itself(shop: Shop) -> None:
    code, out, err = shop.type_in(*shop.pytest)
    assert (code, totals(out)) == (10, {"passed": 5, "skipped": 1}), err


def test_killed_in_the_middle_it_is_no_bug_of_the_product(shop: Shop) -> None:
    pid = shop.pid("backend_api")
    with shop.start(*shop.pytest, many=30) as running:
        assert shop.began()
        os.kill(pid, signal.SIGKILL)
        out, err = running.communicate(timeout=120)
    found = totals(out)
    assert running.returncode == 20, err
    assert set(found) == {"passed", "infrastructure_unavailable"}
    assert found["passed"] >= 5
    assert "ended by signal 9" in shop.type_in("services", "status")[1]


def test_where_the_runbook_itself_is_killed_in_the_middle_all_is_undone(shop: Shop) -> None:
    with shop.start(*shop.pytest, many=30) as running:
        assert shop.began()
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate(timeout=60)
    assert port_open("127.0.0.1", shop.backend), "the stand-ins are the next command's to use or to end"
