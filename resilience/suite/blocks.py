"""Turn what other test runners print into their failed tests, and what a test's own block says into an error to judge.

unittest and Django, go test, Jest and its kin, Vitest, Mocha, TAP, and a pytest that our plug-in could not enter: each prints its
failures in blocks. A traceback's types are read as those of a pytest are; of other languages only codes are signs.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resilience.suite.endpoints import Pair
from resilience.suite.events import Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One failed test, as a runner printed it. `error`: not the test itself failed, but what it needs."""

    name: str
    text: str
    runner: str
    error: bool = False


# --- the runners


def _unittest(output: str) -> Iterator[Block]:
    """Yield the failures of unittest and Django: below a double rule `ERROR: name` and a single rule, until the next rule."""
    lines = output.splitlines()
    for number, line in enumerate(lines[:-2]):
        match = re.match(r"(FAIL|ERROR): (.+)", lines[number + 1]) if _is_rule(line, "=") else None
        if match is None:
            continue
        start = next((at for at in range(number + 2, min(number + 12, len(lines))) if _is_rule(lines[at], "-")), None)
        if start is None:
            continue
        end = next(
            (at for at in range(start + 1, len(lines)) if _is_rule(lines[at], "=") or _is_rule(lines[at], "-")),
            len(lines),
        )
        text = "\n".join(lines[start + 1 : end])
        yield Block(name=_unittest_name(match[2]), text=text, runner="unittest", error=match[1] == "ERROR")


def _is_rule(line: str, sign: str) -> bool:
    return len(line) >= 60 and not line.strip(sign)


def _unittest_name(text: str) -> str:
    """Return `module.Class.method`, which Python 3.11 prints whole and earlier ones without the method."""
    match = re.match(r"(\S+) \(([\w.<>]+)\)", text)
    if match is None:
        return text
    return match[2] if match[2].endswith(f".{match[1]}") else f"{match[2]}.{match[1]}"


_GO_ENDS = re.compile(r"\s*(--- |=== |FAIL\b|ok\b|PASS\b)")
_TAP_ENDS = re.compile(r"\s*(ok|not ok) \d+|1\.\.\d+|# ")


def _go(output: str) -> Iterator[Block]:
    """Yield the failures of go test: an indented block below `--- FAIL: Name (0.00s)`."""
    lines = output.splitlines()
    for number, line in enumerate(lines):
        match = re.match(r"(\s*)--- FAIL: (\S+)", line)
        if not match:
            continue
        body = _until(lines, number + 1, _GO_ENDS)
        # go test -v prints a test's log before this line, below `=== RUN`.
        before = _before_in_go(lines, number, match[2])
        yield Block(name=match[2], text="\n".join([*before, *body]), runner="go test")


def _until(lines: Sequence[str], start: int, ends: re.Pattern[str]) -> list[str]:
    """Return the lines from `start` up to one that ends a block, without copying the rest for each of many failures."""
    end = start
    while end < len(lines) and not ends.match(lines[end]):
        end += 1
    return list(lines[start:end])


_LOGGED_AT_MOST = 400
"""How many lines go test may log for a test above its result."""


def _before_in_go(lines: Sequence[str], number: int, name: str) -> list[str]:
    """Return what stands between `=== RUN name` and the line of its result; nothing where another test is between."""
    found: list[str] = []
    for at in range(number - 1, max(-1, number - 1 - _LOGGED_AT_MOST), -1):
        line = lines[at]
        if re.match(rf"=== RUN\s+{re.escape(name)}$", line):
            return list(reversed(found))
        if re.match(r"\s*(=== RUN|--- )", line):
            return []
        found.append(line)
    return []


def _jest(output: str) -> Iterator[Block]:
    """Yield the failures of Jest: below `● Suite › name`; the summary repeats them."""
    seen = set()
    pattern = re.compile(r"^\s*● (?!Console)(.+?)\n(.*?)(?=^\s*● |^Test Suites: |^Tests: |\Z)", re.M | re.S)
    for name, text in pattern.findall(output):
        if name not in seen:
            seen.add(name)
            yield Block(name=name.strip(), text=text, runner="jest", error="suite failed to run" in text)


_VITEST = re.compile(r"((?:^ FAIL {2}[^\n]+(?: > [^\n]+| \[ [^\n]+ \])\n)+)(.*?)(?=^ FAIL {2}|^⎯|\Z)", re.M | re.S)
_CODE_FRAME = re.compile(r"^ *\d*\|.*\n?", re.M)


def _vitest(output: str) -> Iterator[Block]:
    """Yield the failures of Vitest: below `FAIL  file > name`, of which those that failed alike stand above one text.

    A file that did not load stands there as `file [ file ]`. The lines of the source that Vitest shows are left out: what the
    test's code says is not what failed.
    """
    for heads, text in _VITEST.findall(output):
        for head in heads.splitlines():
            name = head.removeprefix(" FAIL  ").strip()
            yield Block(name=name, text=_CODE_FRAME.sub("", text), runner="vitest", error=" > " not in name)


def _mocha(output: str) -> Iterator[Block]:
    """Yield the failures of Mocha: numbered below `N failing`."""
    _, found, rest = output.partition(" failing\n")
    if found:
        for name, text in re.findall(r"^ +\d+\) (.+?):?\n(.*?)(?=^ +\d+\) |\Z)", rest, re.M | re.S):
            yield Block(name=name.strip(), text=text, runner="mocha")


def _tap(output: str) -> Iterator[Block]:
    """Yield the failures of TAP, as node --test prints it: `not ok 3 - name` with what is indented below."""
    lines = output.splitlines()
    for number, line in enumerate(lines):
        match = re.match(r"(\s*)not ok \d+(?: - (.*))?", line)
        if not match or "# TODO" in line or "# SKIP" in line:
            continue
        text = "\n".join(_until(lines, number + 1, _TAP_ENDS))
        if "failureType: 'subtestsFailed'" not in text:  # its subtests stand by themselves
            yield Block(name=(match[2] or f"test {number}").strip(), text=text, runner="TAP")


def _pytest(output: str) -> Iterator[Block]:
    """Yield the failures of a pytest that our plug-in did not enter: below `____ name ____`."""
    pattern = re.compile(r"^_{3,} (.+?) _{3,}$\n(.*?)(?=^_{3,} .+ _{3,}$|^={3,} .*={3,}$|\Z)", re.M | re.S)
    for name, text in pattern.findall(output):
        error = name.startswith(("ERROR at ", "ERROR collecting "))
        name = re.sub(r"^ERROR (?:at (?:setup|teardown) of|collecting) ", "", name)
        yield Block(name=name, text=text, runner="pytest", error=error)


def _spec(output: str) -> Iterator[Block]:
    """Yield the failures of node --test on a terminal, where it prints no TAP: below `✖ failing tests:`."""
    _, found, rest = output.partition("✖ failing tests:\n")
    if found:
        pattern = re.compile(r"^✖ ([^\n]+?)(?: \([\d.]+ms\))?\n(.*?)(?=^test at |^✖ |^\S|\Z)", re.M | re.S)
        for name, text in pattern.findall(rest):
            yield Block(name=name, text=text, runner="node")


RUNNERS: tuple[Callable[[str], Iterator[Block]], ...] = (_pytest, _unittest, _go, _jest, _vitest, _mocha, _spec, _tap)


def blocks_of(output: str) -> tuple[Block, ...]:
    """Return the failed tests that a command's output names, of each runner that it called.

    A bug in the second runner of a script must not hide behind an outage in the first. What one runner prints inside the block
    of another, as a test that starts a runner does, belongs to that block alone.
    """
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output).replace("\r\n", "\n")
    found: list[Block] = []
    for runner in RUNNERS:
        new = list(runner(plain))
        if new:
            found += new
            plain = _without(plain, new)
    return tuple(found)


def _without(output: str, blocks: Sequence[Block]) -> str:
    """Return the output without the text of these blocks, in the order in which they were printed."""
    rest, at = [], 0
    for block in blocks:
        start = output.find(block.text, at) if block.text else -1
        if start >= 0:
            rest.append(output[at:start])
            at = start + len(block.text)
    return "".join([*rest, output[at:]])


# --- what a block says


_TRACEBACK = "Traceback (most recent call last):"
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*)(?:: (.*))?$")
_REFUSED, _RESET = (
    ("ConnectionRefusedError", "ConnectionError", "OSError"),
    ("ConnectionResetError", "ConnectionError", "OSError"),
)
_CODES: tuple[tuple[str, tuple[str, ...], int | None], ...] = (
    (r"\bECONNREFUSED\b|connect: connection refused|Connection refused \(os error \d+\)", _REFUSED, 111),
    (r"\bENOTFOUND\b|: no such host\b", ("socket.gaierror", "OSError"), -2),
    (r"\bEAI_AGAIN\b", ("socket.gaierror", "OSError"), -3),
    (r"\b(?:ECONNRESET|EPIPE)\b|: connection reset by peer\b|: broken pipe\b", _RESET, 104),
    (r"\bE(?:SOCKET)?TIMEDOUT\b|: i/o timeout\b|context deadline exceeded", ("TimeoutError", "OSError"), None),
    (r"\bEHOSTUNREACH\b|: no route to host\b", ("OSError",), 113),
    (r"\bENETUNREACH\b|: network is unreachable\b", ("OSError",), 101),
)
"""How runners of other languages name an error of the system; each is a code, or the text of one that cannot change."""
_STATUS = re.compile(r"\b(?:status(?: code)?|HTTP(?: Error)?|Server error)\D{0,3}(50[234]|429)\b", re.IGNORECASE)
_ASSERTS = re.compile(r"\bexpect\(|AssertionError|assert\.|Expected:|expected .* to ")


def chain_of(text: str) -> list[dict[str, Any]]:
    """Return the exceptions that a block shows, the outermost first, as our plug-in would describe them."""
    chain = _of_tracebacks(text) or _of_pytests_lines(text)
    return chain or _of_codes(text)


def _of_tracebacks(text: str) -> list[dict[str, Any]]:
    """Return the exceptions of Python's tracebacks: printed from the innermost to the outermost."""
    found: list[dict[str, Any]] = []
    links: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        stripped = line.strip(" |+")
        if stripped.startswith("The above exception was the direct cause"):
            links.append("cause")
        elif stripped.startswith("During handling of the above exception"):
            links.append("context")
        elif stripped == _TRACEBACK:
            frames: list[str] = []
            for after in lines:
                match = _EXCEPTION.match(after.lstrip(" |")) if not after.startswith(("  ", "\t")) else None
                if match:
                    found.append(_node(match[1], match[2] or "", frames))
                    break
                frames.append(after)
    found.reverse()
    links.reverse()
    for number, node in enumerate(found):
        node["of"] = number - 1
        node["via"] = links[number - 1] if 0 < number <= len(links) else "root" if not number else "context"
    return found


def _of_pytests_lines(text: str) -> list[dict[str, Any]]:
    """Return the exceptions of pytest's own rendering, in which lines of errors begin with E."""
    found = []
    for line in re.findall(r"^E {3,}(\S.*)$", text, re.M):
        match = _EXCEPTION.match(line)
        if match and (match[1].endswith(("Error", "Exception", "Timeout", "Failed")) or "." in match[1]):
            found.append(_node(match[1], match[2] or "", text.splitlines()))
        elif line.startswith("assert ") and not found:
            found.append(_node("AssertionError", line, []))
    found.reverse()
    for number, node in enumerate(found):
        node["of"], node["via"] = number - 1, "context" if number else "root"
    return found


def _of_codes(text: str) -> list[dict[str, Any]]:
    """Return what codes of other languages' errors say, behind an assertion where the block asserts something."""
    node: dict[str, Any] | None = None
    for pattern, mro, number in _CODES:
        match = re.search(pattern, text)
        if match:
            line = next((line.strip() for line in text.splitlines() if re.search(pattern, line)), match[0])
            node = {"type": match[0].strip(": "), "mro": [*mro, "Exception"], "text": line[:400], "errno": number}
            break
    if node is None and (status := _STATUS.search(text)):
        node = {"type": f"HTTP {status[1]}", "mro": ["Exception"], "text": status[0], "status": int(status[1])}
    asserts = bool(_ASSERTS.search(text)) and node is None
    root = {"type": "AssertionError", "mro": ["AssertionError", "Exception"], "text": _first_line(text)}
    chain = [root] if asserts or node is None else [node]
    for number, one in enumerate(chain):
        one["of"], one["via"] = number - 1, "cause" if number else "root"
    return chain


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")[:200]


def _node(name: str, text: str, frames: Sequence[str]) -> dict[str, Any]:
    """Return one exception by its printed name; a built-in one has its own line of ancestors."""
    known = getattr(builtins, name.removeprefix("builtins."), None)
    if isinstance(known, type) and issubclass(known, BaseException):
        mro = [kind.__name__ for kind in known.__mro__ if kind not in (object, BaseException)]
    else:
        mro = [name, "Exception"]
    node: dict[str, Any] = {"type": name, "mro": mro, "text": text[:400]}
    if number := re.search(r"\[Errno (-?\d+)\]|^Error (-?\d+) ", text):
        node["errno"] = int(number[1] or number[2])
    root = name.split(".")[0]
    if root in ("psycopg", "psycopg2") and name.endswith("OperationalError"):
        inside = "\n".join(frames)
        if re.search(r"failed: \w[^\n:]{0,20}:  ", text):
            node["libpq"] = "answered"
        elif re.search(r"psycopg2?/[\w/]*\.py\", line \d+, in \w*connect", inside):
            node["libpq"] = "connect"
    status = re.match(r"(?:HTTP Error )?(\d{3})\b|Server error '(\d{3})|.*\bstatus=(\d{3})", text)
    if status and root in ("urllib", "requests", "httpx", "aiohttp", "openai"):
        node["status"] = int(next(group for group in status.groups() if group))
    return node


def failure_of(block: Block, *, at: float, duration_s: float, pairs: Sequence[Pair]) -> Failure:
    """Return a block as a failure to judge. `pairs` are all services' addresses.

    What the test connected to was not seen: a sign that names nobody may be of any of them.
    """
    chain: list[Mapping[str, Any]] = list(chain_of(block.text))
    return Failure(
        chain=tuple(chain), spoke=(), when="setup" if block.error else "call", at=at, text=_first_line(block.text),
        duration_s=duration_s, used=tuple(pairs),
    )  # fmt: skip
