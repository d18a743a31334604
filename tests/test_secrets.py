"""No secret that staging, tests or notebooks echo, in whatever encoding, is in any byte of what a run leaves behind."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shutil
import socket
import socketserver
import string
import struct
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings as how, strategies as st

from resilience.core.records import StageName
from resilience.core.redact import Redactor
from resilience.notebook.engine import execute, notebooks_folder
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run
from tests.core.test_disguises import ENCODINGS
from tests.kits.alone import ALONE

Say = Callable[[], str]
"""Gives some of the secrets, each in a random encoding: what a hostile service says next."""

IN_HEADERS = string.ascii_letters + string.digits + "!#$%&'()*+-./<>?@[]^_`{|}~:"
ANYWHERE = IN_HEADERS + '"\\ =,;éßλ'
SOURCES = {
    "STAGING_POSTGRES_PASSWORD": ANYWHERE.replace(" ", ""),
    "REDIS_PASS": IN_HEADERS,
    "CLICKHOUSE_PASS": IN_HEADERS,
    "API_TOKEN": string.ascii_letters + string.digits + "._~+/-",
    "BASIC_PASSWORD": IN_HEADERS,
    "SESSION_COOKIE": string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~",
    "X_API_KEY": IN_HEADERS,
    "WS_TOKEN": string.ascii_letters + string.digits + "-._~",
    "SHOP_SECRET": ANYWHERE,
    "STRIPE_KEY": ANYWHERE,
}
"""Where a team keeps its secrets, and which characters each can have there."""

CONFIG = """\
[runbook]
environment = "staging"
outputs = "outputs"
env_file = ".env.test.active"

[[service]]
name = "database"
type = "postgresql"
url = "${{STAGING_DATABASE_DSN}}"
critical = false
timeout_s = 2.0
markers = ["real_database"]

[[service]]
name = "redis"
type = "redis"
url = "${{STAGING_REDIS_DSN}}"
timeout_s = 2.0

[[service]]
name = "clickhouse"
type = "clickhouse"
url = "${{STAGING_CLICKHOUSE_DSN}}"
timeout_s = 2.0

[[service]]
name = "backend_api"
type = "http"
url = "http://127.0.0.1:{http}/health"
timeout_s = 2.0

[service.headers]
Authorization = "Bearer ${{API_TOKEN}}"
Cookie = "theme=dark; sid=${{SESSION_COOKIE}}"
X-Api-Key = "${{X_API_KEY}}"

[[service]]
name = "websocket"
type = "websocket"
url = "ws://127.0.0.1:{http}/ws?token=${{WS_TOKEN}}"
timeout_s = 2.0

[[service]]
name = "closing_websocket"
type = "websocket"
url = "ws://127.0.0.1:{http}/close?token=${{WS_TOKEN}}"
timeout_s = 2.0

[[service]]
name = "llm_service"
type = "openai"
url = "http://127.0.0.1:{http}/v1"
headers = {{ Authorization = "Basic ${{BASIC_TOKEN}}" }}
timeout_s = 2.0

[[service]]
name = "well"
type = "http"
url = "http://127.0.0.1:{http}/well"
timeout_s = 2.0

{modes}

[recovery]
good = 1
interval_s = 0.3
dwell_s = 0.0
"""

TESTS = """\
import base64, json, os, sys, time, urllib.request, warnings

import pytest

SECRETS = json.loads(os.environ["CANARIES"])
FORMS = json.loads(os.environ["FORMS"])


@pytest.mark.parametrize("name", sorted(SECRETS))
def test_prints(name, record_property):
    secret = SECRETS[name]
    record_property("secret", secret)
    half = len(secret) // 2
    for part in (f"plain {secret[:half]}", f"{secret[half:]} in two\\n"):
        os.write(1, part.encode())
        time.sleep(0.03)
    print("captured", secret)
    print(FORMS[name], file=sys.stderr)
    warnings.warn(f"careless {secret}")
    assert secret == "", FORMS[name]


@pytest.mark.parametrize("value", list(SECRETS.values()) + list(FORMS.values()))
def test_named(value):
    raise RuntimeError("x" * 350 + value)


def test_compares():
    assert SECRETS == {}


def test_backend():
    try:
        urllib.request.urlopen(os.environ["BACKEND"], timeout=5)
    except Exception as exc:
        raise ConnectionError(f"{exc} {exc.read().decode('utf-8', 'replace')}") from exc


@pytest.mark.real_database
def test_held():
    pass
"""

OTHER = """\
import os, json, sys
for name, secret in json.loads(os.environ["CANARIES"]).items():
    print(name, secret, json.loads(os.environ["FORMS"])[name], file=sys.stderr)
print("x" * 1_100_000 + " " + " ".join(json.loads(os.environ["CANARIES"]).values()))
sys.exit(3)
"""


def made_up(chance: random.Random) -> dict[str, str]:
    """Give a secret per source."""
    found = {}
    for name, letters in SOURCES.items():
        inner = "".join(chance.choice(letters) for _ in range(chance.randint(8, 30)))
        found[name] = chance.choice(string.ascii_letters) + inner + chance.choice(string.ascii_letters)
    return found


def speaker(secrets: Mapping[str, str], chance: random.Random) -> Say:
    lock = threading.Lock()

    def say() -> str:
        with lock:
            some = chance.sample(sorted(secrets.values()), 3)
            return " ".join(ENCODINGS[chance.choice(sorted(ENCODINGS))](secret) for secret in some)

    return say


# --------------------------------------------------------------------------- a staging that tells everything it knows


def _http(say: Say) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.startswith("/close"):
                return self.close_with_reason()
            told = f"{say()} {self.path} {dict(self.headers)} {say()}"
            body = json.dumps({"error": {"message": told}, "status": "ok", "version": say()}).encode()
            answers = (("/well", 200), ("/v1", 401), ("/health", 503), ("/api", 502))
            status = next((status for path, status in answers if self.path.startswith(path)), 500)
            if status == 500:
                body = f"Code: 60. DB::Exception: {told} (UNKNOWN_TABLE)".encode()
            line = " ".join(say().split()).encode("latin-1", "replace")[:200]
            head = b"HTTP/1.1 %d %s\r\n" % (status, line)
            for name in ("Server", "X-Version", "Location", "Set-Cookie", "WWW-Authenticate", "Retry-After"):
                head += f"{name}: {' '.join(say().split())}\r\n".encode("latin-1", "replace").replace(b"\x1b", b"")
            head += b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
            self.wfile.write(head + body)
            self.close_connection = True
            return None

        do_POST = do_GET

        def close_with_reason(self) -> None:
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            accept = base64.b64encode(hashlib.sha1(key.encode(), usedforsecurity=False).digest()).decode()
            self.wfile.write(
                f"HTTP/1.1 101 {self.path}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            )
            reason = f"{self.path} {say()}".encode()[:123].decode("utf-8", "ignore").encode()
            self.wfile.write(bytes((0x88, len(reason) + 2)) + struct.pack(">H", 1008) + reason)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def _redis(say: Say) -> type[socketserver.BaseRequestHandler]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while asked := self.request.recv(4096):
                self.request.sendall(f"-ERR {' '.join((say() + str(asked)).split())}\r\n".encode())

    return Handler


def _postgresql(say: Say) -> type[socketserver.BaseRequestHandler]:
    """Ask for the password in clear text, then refuse it and quote it, as a careless pooler does."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while asked := self.request.recv(4096):
                if asked[4:8] == struct.pack(">I", 80877103):
                    self.request.sendall(b"N")
                elif asked[:1] == b"p":
                    fields = {
                        "S": "FATAL",
                        "V": "FATAL",
                        "C": "XX000",
                        "M": f"{asked!r} {say()}",
                        "D": say(),
                        "H": say(),
                    }
                    body = (
                        b"".join(k.encode() + v.replace("\0", "").encode() + b"\0" for k, v in fields.items()) + b"\0"
                    )
                    self.request.sendall(b"E" + struct.pack(">I", len(body) + 4) + body)
                    return
                else:
                    self.request.sendall(b"R" + struct.pack(">II", 8, 3))

    return Handler


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])  # type: ignore[index]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def hostile(say: Say) -> Iterator[Mapping[str, int]]:
    class Threading(socketserver.ThreadingTCPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass  # clients go away

    class Web(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            pass

    here = ("127.0.0.1", 0)
    with ExitStack() as stack:
        yield {
            "http": stack.enter_context(serving(Web(here, _http(say)))),
            "redis": stack.enter_context(serving(Threading(here, _redis(say)))),
            "postgresql": stack.enter_context(serving(Threading(here, _postgresql(say)))),
        }


def team(
    folder: Path, ports: Mapping[str, int], secrets: Mapping[str, str], chance: random.Random, *, thorough: bool
) -> dict[str, str]:
    """Make a repository whose tests tell what they know; give the environment to run it in."""
    (folder / "tests").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = real_database: x\njunit_family = xunit2\n")
    (folder / "tests" / "test_shop.py").write_text(TESTS)
    (folder / "tests" / "other.py").write_text(OTHER)
    python = f"{sys.executable} -m pytest -v -p no:cacheprovider {ALONE}"
    commands = [f"{python} -s tests", f"{sys.executable} tests/other.py"]
    if thorough:
        commands.append(f"PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {python} -l tests --junitxml=junit-team.xml")
    modes = "\n".join(
        f"[modes.{mode}]\ncommands = {json.dumps(commands)}\nselect = ''"
        for mode in ("full", "degraded", "offline", "critical_only")
    )
    (folder / "resilience.toml").write_text(CONFIG.format(http=ports["http"], modes=modes))
    spare = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "RESILIENCE_"))
    }
    user = quote(secrets["STAGING_POSTGRES_PASSWORD"], safe="")
    forms = {name: ENCODINGS[chance.choice(sorted(ENCODINGS))](secret) for name, secret in secrets.items()}
    return (
        spare
        | {name: value for name, value in secrets.items() if name not in ("REDIS_PASS", "CLICKHOUSE_PASS")}
        | {
            "STAGING_DATABASE_DSN": f"postgresql://shop:{user}@127.0.0.1:{ports['postgresql']}/shop?sslmode=prefer",
            "STAGING_REDIS_DSN": f"redis://:{quote(secrets['REDIS_PASS'], safe='')}@127.0.0.1:{ports['redis']}/0",
            "STAGING_CLICKHOUSE_DSN": (
                f"http://shop:{quote(secrets['CLICKHOUSE_PASS'], safe='')}@127.0.0.1:{ports['http']}/default"
            ),
            "BASIC_TOKEN": base64.b64encode(f"shop:{secrets['BASIC_PASSWORD']}".encode()).decode(),
            "BACKEND": f"http://127.0.0.1:{ports['http']}/api",
            "CANARIES": json.dumps(secrets),
            "FORMS": json.dumps(forms),
            "XDG_STATE_HOME": str(folder / "state"),
            "PATH": str(Path(sys.executable).parent) + os.pathsep + spare.get("PATH", ""),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUTF8": "1",
            "TEST_RETRY_ATTEMPTS": "1" if thorough else "0",
            "TEST_RETRY_DELAY": "0.2",
        }
    )


# --------------------------------------------------------------------------- the scan, which knows nothing of the redactor


def variants(secrets: Mapping[str, str]) -> dict[bytes, str]:
    """Give every form in which a secret would still be readable, with what it is."""
    found: dict[bytes, str] = {}
    for name, secret in secrets.items():
        for encoding, encode in ENCODINGS.items():
            if not encoding.startswith("base64"):
                found.setdefault(encode(secret).encode(), f"{name} as {encoding}")
        raw = secret.encode()
        for ahead in range(3):
            for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
                inner = alphabet(b"\0" * ahead + raw)[(ahead * 8 + 5) // 6 : (ahead + len(raw)) * 8 // 6]
                found.setdefault(inner, f"{name} as base64")
        for codec in ("latin-1", "utf-16-le", "utf-16-be"):
            try:
                found.setdefault(secret.encode(codec), f"{name} as {codec}")
            except UnicodeEncodeError:
                continue
    return found


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Give a file's bytes, and those that are packed in it: text of pictures, pictures and texts in notebooks."""
    data = path.read_bytes()
    yield str(path), data
    if data.startswith(b"\x89PNG"):
        yield from ((f"{path}: a text in it", text) for text in _png_texts(data))
    for number, inner in enumerate(re.findall(rb"[A-Za-z0-9+/]{80,}={0,2}", data.replace(b"\\n", b""))):
        unpacked = base64.b64decode(inner[: len(inner) // 4 * 4])
        yield f"{path}: base64 {number} in it", unpacked
        if unpacked.startswith(b"\x89PNG"):
            yield from ((f"{path}: a text of picture {number} in it", text) for text in _png_texts(unpacked))


def _png_texts(data: bytes) -> Iterator[bytes]:
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        chunk = data[at + 8 : at + 8 + length]
        if kind in (b"tEXt", b"iTXt", b"eXIf"):
            yield chunk
        elif kind == b"zTXt":
            yield zlib.decompress(chunk.partition(b"\0")[2][1:])
        at += length + 12


def found_in(folder: Path, secrets: Mapping[str, str]) -> list[str]:
    """Give where a secret is still readable in any file below the folder."""
    forms = variants(secrets)
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            for where, data in contents(path):
                found += [f"{what} at {data.find(form)} of {where}" for form, what in forms.items() if form in data]
    return found


def pipeline(folder: Path, chance: random.Random, *, thorough: bool) -> tuple[Path, dict[str, str], list[str]]:
    """Go through a whole run against the hostile staging; give its outputs, the secrets, and what was found in them."""
    secrets = made_up(chance)
    with hostile(speaker(secrets, chance)) as ports:
        environ = team(folder, ports, secrets, chance, thorough=thorough)
        said = b""
        commands: list[tuple[str, ...]] = [("run", "--apply", "--verbose")]
        if thorough:
            commands += [
                ("report", "--public", "--no-pdf"),
                ("assess", "--json"),
                ("plan",),
                ("status", "--hand-over"),
                ("recover", "--wait", "0"),
                ("restore",),
            ]
        for arguments in commands:
            done = subprocess.run(
                [sys.executable, "-m", "resilience.cli", *arguments],
                cwd=folder, env=environ, capture_output=True, timeout=300, check=False,
            )  # fmt: skip
            said += done.stdout + done.stderr
            assert b"Traceback" not in done.stderr, done.stderr.decode()
    (folder / "outputs" / "said.txt").write_bytes(said)
    return folder / "outputs", secrets, found_in(folder / "outputs", secrets)


def test_no_secret_that_staging_and_tests_echo_is_in_any_byte_of_a_run(tmp_path: Path) -> None:
    outputs, _, found = pipeline(tmp_path / "team", random.Random(7), thorough=False)
    assert not found, "\n".join(found)
    made = {path.name for path in outputs.rglob("*")}
    assert {
        *("incident.json", "report.html", "report.md", "junit.xml", "samples.csv", "samples.jsonl", "snapshot.json"),
        *("04_run_tests.ipynb", "06_report.ipynb", "01-round1.log", "01-round1.events.jsonl", "history.sqlite"),
        *("kernels.log", "status.svg", "status.png", "metrics.prom"),
    } <= made
    run = (outputs / "latest").resolve()
    incident = json.loads((run / "incident.json").read_text())
    assert incident["tests"]["totals"]["failed"] > 0
    assert {stage["status"] for stage in incident["stages"]} == {"finished"}
    assert "***" in (run / "report.md").read_text()
    assert "***" in (run / "logs" / "01-round1.log").read_text()
    details = {one["name"]: one["detail"] for one in incident["health"]["services"]}
    told = [name for name, detail in details.items() if "***" in detail]
    assert {"database", "redis", "clickhouse"} <= set(told), (
        f"the others told nothing, so nothing was proved: {details}"
    )
    assert found_in(tmp_path / "team" / "tests", {"x": "test_compares"}), "the scan finds what is there"


@pytest.mark.slow
@how(max_examples=6, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate),
     suppress_health_check=list(HealthCheck))  # fmt: skip
@given(seed=st.integers(0, 2**32))
def test_no_random_secret_is_in_any_byte_of_a_run(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    _, _, found = pipeline(tmp_path_factory.mktemp("team") / "team", random.Random(seed), thorough=True)
    assert not found, "\n".join(found)


# --------------------------------------------------------------------------- a canary per source, through papermill and nbconvert


CANARY = """\
import json, os, sys, threading, time, warnings, logging
from IPython.display import HTML, JSON, Markdown, display
import matplotlib.pyplot as plt
secret = os.environ["SHOP_SECRET"]
half = len(secret) // 2
for stream in (sys.stdout, sys.stderr):
    for part in (secret[:half], secret[half:]):
        stream.write(part)
        stream.flush()
        time.sleep(0.3)
print()
os.write(1, f"\\nfd 1 {secret}\\n".encode())
os.write(2, f"fd 2 {secret}\\n".encode())
logging.getLogger("x").warning(secret)
warnings.warn(secret)
display(HTML(f"<b title='{secret}'>x</b>"), Markdown(secret), JSON({secret: [secret]}))
display({"text/plain": secret, "application/x-own+json": {"a": {"b": secret}}}, raw=True, metadata={"of": secret})
threading.Thread(target=lambda: 1 / len(secret[:0]), name=secret).start()
raise RuntimeError(secret)
"""


async def test_a_canary_per_source_does_not_get_through_papermill_and_nbconvert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbconvert import HTMLExporter

    secret = "C4n4ry <b>\"q' & %41\\ é end"
    monkeypatch.setenv("SHOP_SECRET", secret)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = f'[[service]]\nname = "web"\ntype = "http"\nurl = "http://127.0.0.1:{server.getsockname()[1]}/"\n'
        (tmp_path / "resilience.toml").write_text(config)
        (tmp_path / ".git").mkdir()
        notebooks = tmp_path / "notebooks"
        shutil.copytree(notebooks_folder(), notebooks)
        first = json.loads((notebooks / "01_assess.ipynb").read_text())
        parameters = next(cell for cell in first["cells"] if "parameters" in cell["metadata"].get("tags", ()))
        cell = {**parameters, "metadata": {}, "id": "canary", "source": CANARY}
        first["cells"] = [parameters, cell, {**cell, "id": "never", "source": "never = 1"}]
        (notebooks / "01_assess.ipynb").write_text(json.dumps(first))
        run = Run.create(load_settings(tmp_path / "resilience.toml"), parameters={"done_by_hand": secret})
        told: list[str] = []
        await execute(
            run.folder,
            stages=(StageName.ASSESS,),
            parameters={"done_by_hand": secret},
            on_progress=lambda moment: told.append(moment.text),
            redact=run.redactor.text,
            folder=notebooks,
        )
    made = run.folder / "notebooks" / "01_assess.ipynb"
    assert "RuntimeError" in made.read_text()
    page, _ = HTMLExporter(template_name="basic").from_filename(str(made))  # type: ignore[no-untyped-call]
    (run.folder / "page.html").write_text(page)
    (run.folder / "told.txt").write_text("\n".join(told))
    assert not found_in(run.folder, {"SHOP_SECRET": secret})
    assert "fd 1 ***" in (run.folder / "logs" / "kernels.log").read_text() + made.read_text()
    assert made.read_text().count("***") >= 8


def test_a_secret_that_others_cut_short_is_hidden_as_far_as_it_is_there() -> None:
    secret = "Xq9-Zw7kLm3-Pv5tRs"
    redactor = Redactor([secret])
    assert redactor.text("FAILED t.py::t - assert 'Xq9-Zw7kLm3...") == "FAILED t.py::t - assert '***..."
    assert redactor.text("assert 'Xq9-Zw7kL...m3-Pv5tRs' == ''") == "assert '***...***' == ''"
    assert redactor.text("it ended with Xq9-Zw7kLm3-P…") == "it ended with ***…"
    assert redactor.text("running tests... Xq9 is a word") == "running tests... Xq9 is a word"


def test_a_secret_that_a_narrow_terminal_wrapped_is_hidden_on_both_lines() -> None:
    secret = "Xq9-Zw7kLm3-Pv5tRs"
    redactor = Redactor([secret])
    assert redactor.text("connecting as Xq9-Zw7kLm3-P\nv5tRs and so on") == "connecting as ***\nv5tRs and so on"
    assert redactor.text("a line\nas Xq9-Zw7k\nLm3-Pv5tRs failed\n") == "a line\nas ***\n*** failed\n"


@pytest.mark.parametrize("size", [1, 7, 1 << 20, (1 << 20) + 5])
async def test_a_secret_in_two_reads_or_in_a_line_without_end_is_hidden(size: int, tmp_path: Path) -> None:
    from resilience.suite.log import Log
    from resilience.suite.pump import Pump

    secret = "Xq9-Zw7kLm3-Pv5tRs"
    text = (secret + " ") * (40 if size < 10 else 140_000)
    source, kept = tmp_path / "source", tmp_path / "kept"
    source.write_bytes(b"")
    (tmp_path / "events").write_bytes(b"")
    log = Log(kept, Redactor([secret]))
    with source.open("rb") as read, (tmp_path / "events").open("rb") as events:
        pump = Pump(read, events, log, lambda _: None)
        with source.open("ab") as write:
            for at in range(0, len(text), size):
                write.write(text[at : at + size].encode())
                write.flush()
                pump.output()
        while pump.output():
            pass
        await log.close()
    data = kept.read_text()
    assert data.count("***") == text.count(secret)
    assert secret[:6] not in data
    assert secret[-6:] not in data
