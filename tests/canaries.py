"""Plant secrets of twelve kinds at every source, go every way, and read each back from every byte; prints tried and wrong.

`python -m tests.canaries` prints the table; `tests/test_canaries.py` wants its wrong to be 0.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import random
import re
import shlex
import shutil
import string
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from resilience.core.disguises import is_unmistakable
from resilience.notebook.engine import notebooks_folder
from tests.kits.alone import ALONE
from tests.kits.ports import free_ports
from tests.test_secrets import contents, serving, variants

LETTERS = string.ascii_letters + string.digits


def _of(letters: str, size: int, chance: random.Random) -> str:
    return "".join(chance.choice(letters) for _ in range(size))


def _jwt(chance: random.Random) -> str:
    parts = (b'{"alg":"HS256"}', json.dumps({"sub": _of(LETTERS, 12, chance)}).encode(), chance.randbytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def _pem(chance: random.Random) -> str:
    body = base64.b64encode(chance.randbytes(144)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----"


KINDS = {
    "password": lambda chance: "Pw1" + _of(LETTERS, 15, chance),
    "password of signs": lambda chance: "p@S5/" + _of(LETTERS + "#%&?=:+!$", 14, chance) + "z",
    "password beyond ASCII": lambda chance: "éß" + _of(LETTERS + "λжé", 14, chance) + "9x",
    "bearer token": lambda chance: _of(LETTERS + "._~-", 30, chance) + "q7",
    "JWT": _jwt,
    "AWS key": lambda chance: "AKIA" + _of(string.ascii_uppercase + string.digits, 16, chance),
    "AWS secret": lambda chance: _of(LETTERS + "+/", 39, chance) + "Z",
    "private key": _pem,
    "GitHub token": lambda chance: "ghp_" + _of(LETTERS, 36, chance),
    "cookie": lambda chance: "s." + _of(LETTERS + "-._", 24, chance) + "k2",
    "hexadecimal key": lambda chance: _of("0123456789abcdef", 32, chance),
    "webhook": lambda chance: (
        f"T{_of(string.digits, 8, chance)}/B{_of(string.digits, 8, chance)}/{_of(LETTERS, 24, chance)}"
    ),
}
STRUCTURED = ("JWT", "AWS key", "private key", "GitHub token")
"""Kinds that are known by their shape wherever they come from; the others only by their value, or by the name before them."""
NO_HEADERS = ("password beyond ASCII", "private key")
SOURCES = (
    "variables",
    "resilience.toml",
    "commands",
    "answers",
    "tests",
    "subprocesses",
    "unknown answers",
    "unknown tests",
)
CELLS = "cells"
"""The source that only notebooks have in which somebody wrote a cell."""

FORMS = """\
import base64, json, os, subprocess, sys, warnings

def forms(value):
    raw = value.encode()
    yield value
    yield base64.b64encode(raw).decode()
    yield base64.b64encode(b"u:" + raw).decode()
    if value.startswith(("eyJ", "AKIA", "ghp_", "-----")) and "-u-" in os.environ.get("UNKNOWN", ""):
        return
    yield raw.hex()
    yield raw.hex().upper()
    yield repr(value.encode("utf-16"))
    yield repr(value)
    yield json.dumps(value)
    if len(value) >= 12:
        yield value.upper()
        yield value.lower()

SAID = json.loads(os.environ["SAID"])
"""
TESTS = """\
from said import *
import pathlib, time, urllib.request, urllib.error, pytest

@pytest.mark.parametrize("number", range(len(SAID["tests"])))
def test_prints(number, record_property):
    value = SAID["tests"][number]
    record_property("secret", value)
    for form in forms(value):
        print("captured", form)
        os.write(2, ("written " + form + "\\n").encode())
    warnings.warn("careless " + value)
    assert value == "", "told " + value

@pytest.mark.parametrize("value", SAID["tests"])
def test_named(value):
    raise RuntimeError("about " + value)

def test_unknown():
    for value in SAID["unknown tests"]:
        print(value)
        print(base64.b64encode(value.encode()).decode() if value.startswith("eyJ") else value)
    assert SAID["unknown tests"] == []

def test_program():
    done = subprocess.run([sys.executable, str(pathlib.Path(__file__).with_name("program.py"))], capture_output=True, text=True)
    subprocess.run([sys.executable, str(pathlib.Path(__file__).with_name("program.py"))])
    assert done.returncode == 0, done.stdout + done.stderr

def test_answer():
    try:
        urllib.request.urlopen(os.environ["BACKEND"], timeout=5)
    except urllib.error.HTTPError as exc:
        raise ConnectionError(f"{exc} {exc.read().decode()} {exc.headers}") from exc
"""
PROGRAM = """\
from said import *
for value in SAID["subprocesses"]:
    for form in forms(value):
        print("program", form)
        print("program", form, file=sys.stderr)
sys.exit(3)
"""
CELL = """\
import sys
sys.path.insert(0, "tests")
from said import *
from IPython.display import HTML, display
for value in SAID["cells"]:
    for form in forms(value):
        print(form)
        print(form, file=sys.stderr)
    display(HTML("<i>" + value + "</i>"))
SAID["cells"]
"""
RAISES = "raise RuntimeError(' '.join(SAID['cells']))"


@dataclass(slots=True)
class Planted:
    """A team's checkout with a canary of each kind at each source, a staging that tells what it knows, and what was found."""

    folder: Path
    canaries: Mapping[str, Mapping[str, str]]
    """Source → kind → value."""
    environ: dict[str, str]
    inputs: frozenset[Path]
    said: list[bytes] = field(default_factory=list)

    def type_in(self, *words: str, own_terminal: bool = False) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=240,
        )
        self.said += [b"" if own_terminal else done.stdout, done.stderr]
        return done

    def found(self) -> dict[tuple[str, str], str]:
        """Return (source, kind) → where it is still readable, of all that was written or said."""
        found: dict[tuple[str, str], str] = {}
        for source, values in self.canaries.items():
            for kind, value in values.items():
                wanted = variants({kind: value})
                for where, data, low in self._everything():
                    place = next((f"{what} in {where}" for form, what in wanted.items() if form in data), "")
                    if not place and is_unmistakable(value) and value.lower().encode() in low:
                        place = f"{kind} in another case in {where}"
                    if place:
                        found[source, kind] = place
                        break
        return found

    def vacuous(self, way: str) -> list[str]:
        """Return what should have been said with its secret hidden, and was not."""
        text = b"\n".join(data for _, data, _ in self._everything())
        return [words for words in HIDDEN[way] if words.encode() not in text]

    def _everything(self) -> Iterator[tuple[str, bytes, bytes]]:
        if not self._read:
            for number, said in enumerate(self.said):
                self._read.append((f"what was said {number}", said, said.lower()))
            for path in sorted(self.folder.parent.rglob("*")):
                if path.is_file() and not path.is_symlink() and path not in self.inputs:
                    self._read += [(where, data, data.lower()) for where, data in unpacked(path)]
        yield from self._read

    _read: list[tuple[str, bytes, bytes]] = field(default_factory=list)


def unpacked(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a file's bytes, and what is packed in it: archives, streams of a PDF, base64, texts of pictures."""
    yield from contents(path)
    data = path.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        yield f"{path}: unpacked", gzip.decompress(data)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            yield from ((f"{path}: {name}", archive.read(name)) for name in archive.namelist())
    if data.startswith(b"%PDF"):
        for number, stream in enumerate(re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.S)):
            with contextlib.suppress(zlib.error):
                yield f"{path}: stream {number}", zlib.decompress(stream)
        if shutil.which("pdftotext"):
            done = subprocess.run(["pdftotext", str(path), "-"], capture_output=True, check=False)
            yield f"{path}: its text", done.stdout


def drawn(seed: int) -> dict[str, dict[str, str]]:
    """Return source → kind → a canary that stands nowhere else."""
    chance = random.Random(seed)
    known = {source: {kind: make(chance) for kind, make in KINDS.items()} for source in (*SOURCES, CELLS)}
    for source in known:
        if source.startswith("unknown"):
            known[source] = {kind: known[source][kind] for kind in STRUCTURED}
    return known


def _answering(canaries: Mapping[str, Mapping[str, str]]) -> type[BaseHTTPRequestHandler]:
    """Staging is down, and says in status line, headers and body all that it knows and was sent."""
    known, unknown = canaries["answers"], canaries["unknown answers"]
    chance = random.Random(3)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind = chance.choice(sorted(known))
            told = " ".join(known[kind].split()).encode("ascii", "xmlcharrefreplace").decode()
            body = json.dumps(
                {
                    "error": {"message": f"{known[kind]} {self.path}", "known": list(known.values())},
                    "encoded": [base64.b64encode(value.encode()).decode() for value in known.values()],
                    "wide": [repr(value.encode("utf-16")) for value in known.values()],
                    "unknown": list(unknown.values()),
                    "heard": dict(self.headers),
                }
            ).encode()
            self.send_response(503, told[:150])
            self.send_header("Server", told)
            self.send_header("Retry-After", told)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def planted(where: Path, staging: int, canaries: Mapping[str, Mapping[str, str]]) -> Planted:
    """Make a team's checkout in which a canary of each kind stands at each source."""
    folder = where / "team"
    (folder / "tests").mkdir(parents=True)
    (folder / ".git").mkdir()
    for name in ("home", "state", "tmp"):
        (where / name).mkdir()
    names, headers, exports = {}, [], ['BACKEND_URL = "http://{host}:{port}"']
    for number, (kind, value) in enumerate(canaries["variables"].items()):
        # No header may hold these two, so that a variable's own name tells what they are.
        names[f"V{number}_SECRET" if kind in NO_HEADERS else f"V{number}_VALUE"] = value
        if kind not in NO_HEADERS:
            headers.append(f'X-V{number} = "${{V{number}_VALUE}}"')
    for number, (kind, value) in enumerate(canaries["resilience.toml"].items()):
        quoted = json.dumps(value, ensure_ascii=False)
        if kind in NO_HEADERS:
            exports.append(f"L{number}_SECRET = {quoted}")
        else:
            headers.append(f"X-L{number} = {quoted}")
    python = f"{shlex.quote(sys.executable)} -m pytest -q -s -p no:cacheprovider {ALONE}"
    assigned = " ".join(f"T{n}_TOKEN={shlex.quote(value)}" for n, value in enumerate(canaries["commands"].values()))
    commands = [f"{assigned} {python} tests", f"{shlex.quote(sys.executable)} tests/program.py"]
    port = free_ports(1)[0]
    lines = [
        '[runbook]\nenvironment = "staging"\noutputs = "outputs"\nenv_file = ".env.test.active"\nguide_variables = true\n',
        '[[service]]\nname = "backend_api"\ntype = "http"\ncritical = true\ntimeout_s = 2.0\nmarkers = ["real_backend"]',
        f'url = "http://127.0.0.1:{staging}/health"\nlocal = "http://127.0.0.1:{port}/health"',
        f"exports = {{ {', '.join(exports)} }}\n",
        "[service.headers]",
        *headers,
        "\n[recovery]\ngood = 1\ninterval_s = 0.05\ndwell_s = 0.0\n",
    ]
    for mode in ("full", "degraded", "offline", "critical_only"):
        lines.append(f"[modes.{mode}]\ncommands = {json.dumps(commands, ensure_ascii=False)}\nselect = ''\n")
    (folder / "resilience.toml").write_text("\n".join(lines), encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = real_backend: x\n")
    (folder / "tests" / "said.py").write_text(FORMS)
    (folder / "tests" / "test_shop.py").write_text(TESTS)
    (folder / "tests" / "program.py").write_text(PROGRAM)
    said = {source: list(values.values()) for source, values in canaries.items()}
    secrets = {
        f"{source.upper()}_{number}_SECRET": value
        for source in ("answers", "tests", "subprocesses", CELLS)
        for number, value in enumerate(canaries[source].values())
    }
    spare = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "RESILIENCE_"))
    }
    environ = {
        **spare,
        **names,
        **secrets,
        "SAID": json.dumps(said),
        "BACKEND": f"http://127.0.0.1:{staging}/api",
        "HOME": str(where / "home"),
        "XDG_STATE_HOME": str(where / "state"),
        "TMPDIR": str(where / "tmp"),
        "PATH": str(Path(sys.executable).parent) + os.pathsep + spare.get("PATH", ""),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONUTF8": "1",
        "TEST_RETRY_ATTEMPTS": "1",
    }
    inputs = frozenset(path for path in folder.rglob("*") if path.is_file())
    return Planted(folder, canaries, environ, inputs)


def by_command_line(here: Planted) -> None:
    here.type_in("resilience.cli", "run", "--apply", "--verbose")
    here.type_in("resilience.cli", "restore")


def by_plan(here: Planted) -> None:
    for words in (
        ("assess",),
        ("assess", "--json"),
        ("plan",),
        ("plan", "--json"),
        ("doctor",),
        ("status", "--hand-over"),
    ):
        here.type_in("resilience.cli", *words)


def by_apply(here: Planted) -> None:
    here.type_in("resilience.cli", "apply")
    # What tests print goes through to the terminal of who typed this byte by byte, as without us; only its copy is kept.
    here.type_in("resilience.cli", "test", own_terminal=True)
    for words in (
        ("why", "test_prints"),
        ("report",),
        ("report", "--public"),
        ("say",),
        ("status", "--hand-over"),
        ("restore",),
    ):
        here.type_in("resilience.cli", *words)


def _book(here: Planted, name: str) -> str:
    """Write a notebook as shipped, with two cells more: one that shows secrets, and a last one that raises them."""
    book = json.loads((notebooks_folder() / f"{name}.ipynb").read_text())
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    book["cells"] += [{**cell, "id": "shows", "source": CELL}, {**cell, "id": "raises", "source": RAISES}]
    path = here.folder / f"{name}.ipynb"
    path.write_text(json.dumps(book))
    return str(path)


def by_papermill_00(here: Planted) -> None:
    book = _book(here, "00_incident")
    here.type_in("papermill", book, "00.executed.ipynb", "--log-output", "-p", "apply", "True")
    here.type_in("resilience.cli", "restore")


def by_papermill_04(here: Planted) -> None:
    here.type_in("resilience.cli", "apply")
    book = _book(here, "04_run_tests")
    here.type_in("papermill", book, "04.executed.ipynb", "--log-output", "-p", "apply", "True")
    here.type_in("resilience.cli", "restore")


LAB = """\
import sys
import nbformat
from nbclient import NotebookClient
from papermill.parameterize import parameterize_notebook
book = nbformat.read(sys.argv[1], as_version=4)
book.metadata["papermill"] = {}
for cell in book.cells:
    cell.metadata.setdefault("tags", [])
book = parameterize_notebook(book, {"apply": True})
try:
    NotebookClient(book, timeout=200, kernel_name="python3", allow_errors=True).execute()
finally:
    nbformat.write(book, sys.argv[2])
"""


def by_jupyterlab(here: Planted) -> None:
    """The kernel is started and spoken to by jupyter_client, as JupyterLab does, and its messages are saved as they come."""
    program = here.folder / "lab.py"
    program.write_text(LAB)
    done = subprocess.run(
        [sys.executable, str(program), _book(here, "00_incident"), str(here.folder / "lab.executed.ipynb")],
        cwd=here.folder, env=here.environ, capture_output=True, check=False, timeout=240,
    )  # fmt: skip
    here.said += [done.stdout, done.stderr]
    here.type_in("resilience.cli", "restore")


WAYS = {
    "resilience run": by_command_line,
    "plan": by_plan,
    "apply": by_apply,
    "papermill 00": by_papermill_00,
    "papermill 04": by_papermill_04,
    "JupyterLab": by_jupyterlab,
}
SOURCES_OF = {way: (*SOURCES, CELLS) if way.startswith(("papermill", "Jupyter")) else SOURCES for way in WAYS}
SOURCES_OF["plan"] = ("variables", "resilience.toml", "commands", "answers", "unknown answers")
"""Way → the sources that it meets: a plan runs no test, and only a notebook has cells."""
RAN = ("Retry-After: ***", "captured ***", "written ***", "program ***", "careless ***", "told ***", "about ***")
HIDDEN = {way: RAN for way in WAYS} | {"plan": ("Retry-After: ***", "T0_TOKEN=***")}
"""Way → words with what was hidden behind them, without which the way has not met its sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One canary that went one way, and where it was found; nowhere is well."""

    way: str
    source: str
    kind: str
    found: str = ""


def went(way: str, where: Path, seed: int) -> tuple[list[Row], Planted]:
    """Go one way with all canaries; return a row for each, and what is left to look at."""
    canaries = drawn(seed)
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), _answering(canaries))) as staging:
        here = planted(where, staging, canaries)
        WAYS[way](here)
    found = here.found()
    assert not here.vacuous(way), f"{way}: {here.vacuous(way)} was not said, so nothing was proved"
    rows = [
        Row(way=way, source=source, kind=kind, found=found.get((source, kind), ""))
        for source in SOURCES_OF[way]
        for kind in canaries[source]
    ]
    return rows, here


def table(rows: list[Row]) -> str:
    """Return tried and wrong by way and source, then each that was wrong with where it was found."""
    tried = Counter((row.way, row.source) for row in rows)
    wrong = Counter((row.way, row.source) for row in rows if row.found)
    lines = [f"{'way':<15} {'source':<16} {'tried':>5} {'wrong':>5}"]
    lines += [f"{way:<15} {source:<16} {count:>5} {wrong[way, source]:>5}" for (way, source), count in tried.items()]
    lines.append(f"{'all':<32} {len(rows):>5} {sum(wrong.values()):>5}")
    lines += [f"  {row.way}, {row.source}, {row.kind}: {row.found}" for row in rows if row.found]
    return "\n".join(lines)


def main() -> int:
    """Go every way with the canaries of the seed that the first word says (1), or only those that the next words name."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    rows: list[Row] = []
    for way in sys.argv[2:] or WAYS:
        where = Path(tempfile.mkdtemp(prefix="canaries-"))
        try:
            rows += went(way, where, seed)[0]
        finally:
            shutil.rmtree(where, ignore_errors=True)
    print(table(rows))
    return 1 if any(row.found for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
