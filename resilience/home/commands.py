"""Turn Makefile, tox, CI, scripts and pytest's settings into the test commands that a team may mean, the likeliest first."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml

from resilience.home.walk import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A command by which somebody here runs the tests. `folder` is where, below the root; empty: the root itself."""

    words: tuple[str, ...]
    where: str
    folder: str = ""
    is_pytest: bool = True

    @property
    def command(self) -> str:
        """The command as a shell takes it in the repository's root."""
        line = shlex.join(self.words)
        return f"cd {shlex.quote(self.folder)} && {line}" if self.folder else line


PYTEST = ("pytest",)


def candidates(files: Files) -> tuple[Candidate, ...]:
    """Return the commands that are found, each once, those that a person types before those of machines.

    Coverage and reports are left out, as they change no test and write files; so is stopping at the first failure,
    which would leave the rest of the tests unproved. Plain pytest is always among them: with pytest's settings it is
    what most people type, and it runs what `testpaths` names, or everything.
    """
    found = [
        *_of_makefiles(files),
        *_of_tox(files),
        *_of_scripts(files),
        *_of_ci(files),
        *(Candidate(words=PYTEST, where="plain pytest", folder=folder) for folder in projects(files)),
    ]
    own = [one for one in found if one.is_pytest]
    others = [one for one in found if not one.is_pytest]
    return tuple({(one.words, one.folder): one for one in reversed([*own, *others])}.values())[::-1]


def projects(files: Files) -> tuple[str, ...]:
    """Return the folders whose tests are run by themselves: the root, else each one below with settings and tests.

    The root is one where it has pytest's settings or tests of its own; a monorepo's root has neither. A test file among
    examples, or in a hidden folder as a CI's scripts are, makes no project of the root.
    """
    tests = [path for path in files.all if is_test(path) and not _BESIDE.match(path)]
    if _root_is_a_project(files, tests):
        return ("",)
    markers = ("pyproject.toml", "setup.py", "setup.cfg", "pytest.ini", "tox.ini", "manage.py")
    folders = {str(PurePosixPath(path).parent) for path in files.all if "/" in path and path.split("/")[-1] in markers}
    tested = sorted(folder for folder in folders if any(_is_below(folder, path) for path in tests))
    outer = tuple(one for one in tested if not any(_is_below(other, one) for other in tested))
    has_stray_test = any(not any(_is_below(folder, path) for folder in outer) for path in tests)
    return ("",) if not outer or has_stray_test else outer


_BESIDE = re.compile(r"(\.[^/]*|docs?|examples?|samples?|scripts|tools|benchmarks?)/")


def _root_is_a_project(files: Files, tests: Sequence[str]) -> bool:
    has_settings = any("/" not in path and _settles(files, path) for path in files.all)
    return has_settings or any(path.split("/")[0] in ("tests", "test", "t") for path in tests)


def _is_below(folder: str, path: str) -> bool:
    return path.startswith(f"{folder}/")


def is_test(path: str) -> bool:
    """Whether pytest or unittest would take the file for tests by its name."""
    return bool(re.fullmatch(r"(test_.*|.*_test|tests)\.py", PurePosixPath(path).name))


def _settles(files: Files, path: str) -> bool:
    name, text = PurePosixPath(path).name, ""
    if name in ("pytest.ini", ".pytest.ini"):
        return True
    if name in ("pyproject.toml", "tox.ini", "setup.cfg"):
        text = files.text(path)
    return "[tool.pytest" in text or "[pytest]" in text or "[tool:pytest]" in text


_WRAPPERS = re.compile(
    r"^(?:(?:uv|poetry|pipenv|pdm|hatch|rye) run(?: --?[\w-]+(?:=\S+)?)* |xvfb-run (?:-a )?|time |exec |env "
    r"|[A-Z_][A-Z0-9_]*=\S* )+"
)
_CALL = re.compile(
    r"(?:^|\s)(?:(?P<python>python[\d.]*|\S*/python) (?:-\S+ )*?-m )?(?P<program>pytest|py\.test)(?=\s|$)(?P<rest>.*)"
)
_DROPPED = re.compile(
    r"--(cov\S*|no-cov\S*|junit\S*|html\S*|self-contained-html|durations\S*|maxfail\S*|exitfirst|create-db|tap\S*|alluredir\S*)|-x|-B"
)
_TAKES_A_VALUE = frozenset(
    {"--cov", "--cov-config", "--cov-report", "--junitxml", "--junit-xml", "--html", "--maxfail"}
)


def pytest_words(line: str) -> tuple[str, ...]:
    """Return the pytest call in a shell's line as words, without what only counts or reports; empty where there is none.

    What depends on variables of Make, tox or a shell is left out too: its value is not known here. In a container it
    is the same call, and the stand-ins are reached from here.
    """
    for part in re.split(r"&&|\|\||;|\|", line):
        text = _WRAPPERS.sub("", part.strip().lstrip("@-+ ").strip())
        if text.startswith(("#", "echo ", "pip ", "$(PIP", "uv pip", "apt")) or " install " in f"{text} ":
            continue
        match = _CALL.search(text)
        if match is None:
            continue
        try:
            rest = shlex.split(re.split(r"\s\d?>|&>", match["rest"])[0], comments=True)
        except ValueError:
            continue
        kept = _kept(rest)
        # Started by -m, also of coverage, pytest finds what lies in the current folder; its own command does not.
        by_module = match["python"] or re.search(r"coverage3? run .*-m $", f"{text[: match.start('program')]}")
        return ("python", "-m", "pytest", *kept) if by_module else ("pytest", *kept)
    return ()


def _kept(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for word in words:
        if skip and not word.startswith("-"):
            skip = False
            continue
        skip = word in _TAKES_A_VALUE
        if _DROPPED.fullmatch(word) or re.search(r"[${}<>]|^\d?>", word):
            continue
        if re.fullmatch(r"-[xvqsl]{2,}", word):
            word = word.replace("x", "")
        kept.append(word)
    return kept


def _of_makefiles(files: Files) -> Iterator[Candidate]:
    for path in files.all:
        if PurePosixPath(path).name not in ("Makefile", "makefile", "GNUmakefile", "justfile", "Justfile"):
            continue
        folder = _folder(path)
        for target, lines in _targets(files.text(path)):
            if not re.fullmatch(r"(test|tests|check|pytest|unit|test[-_](all|unit|full|python|backend|py))", target):
                continue
            called = [words for line in lines if (words := pytest_words(line))]
            if called:
                yield Candidate(words=called[0], where=f"{path}, target {target}", folder=folder)
            elif lines and target in ("test", "tests", "check") and not any("docker" in line for line in lines):
                yield Candidate(words=("make", target), where=path, folder=folder, is_pytest=False)


def _targets(text: str) -> Iterator[tuple[str, list[str]]]:
    target, lines = "", list[str]()
    for line in text.replace("\\\n", " ").splitlines():
        if match := re.match(r"([A-Za-z][\w.-]*)(?:\s+[^:=]*)?:(?!=)", line):
            if target:
                yield target, lines
            target, lines = match[1], []
        elif line[:1] in ("\t", " ") and target and line.strip():
            lines.append(line.strip())
    if target:
        yield target, lines


def _of_tox(files: Files) -> Iterator[Candidate]:
    for path in files.all:
        if PurePosixPath(path).name != "tox.ini":
            continue
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(files.text(path))
        except configparser.Error:
            continue
        for section in [name for name in parser.sections() if name.startswith("testenv")]:
            commands = parser.get(section, "commands", fallback="").replace("\\\n", " ")
            commands = re.sub(r"\{posargs:([^{}]*)\}", r"\1", commands)
            commands = re.sub(r"\{posargs\}|\[\]", "", commands).replace("{toxinidir}/", "").replace("{toxinidir}", ".")
            for line in commands.splitlines():
                if words := pytest_words(line):
                    yield Candidate(words=words, where=f"{path} [{section}]", folder=_folder(path))
                    break


def _of_scripts(files: Files) -> Iterator[Candidate]:
    for path in files.all:
        name = PurePosixPath(path).name
        if not re.fullmatch(r"(run[-_]?)?tests?([-_](all|start|local|backend))?(\.sh)?", name) or path.endswith(".py"):
            continue
        for line in files.text(path).replace("\\\n", " ").splitlines():
            if words := pytest_words(line):
                parent = PurePosixPath(_folder(path))
                folder = str(parent.parent) if parent.name in ("scripts", "bin", "script", "ci") else str(parent)
                yield Candidate(words=words, where=path, folder="" if folder == "." else folder)
                break


def _of_ci(files: Files) -> Iterator[Candidate]:
    for path in files.all:
        if not (".github/workflows/" in path or PurePosixPath(path).name.startswith(".gitlab-ci")):
            continue
        if not path.endswith((".yml", ".yaml")):
            continue
        try:
            document = yaml.safe_load(files.text(path))
        except yaml.YAMLError:
            continue
        for line, folder in _steps(document, ""):
            if words := pytest_words(line):
                yield Candidate(words=words, where=path, folder=folder)


def _steps(node: Any, folder: str) -> Iterator[tuple[str, str]]:
    """Yield each line that a CI runs, with the folder in which it does."""
    if isinstance(node, dict):
        below = node.get("working-directory", folder)
        defaults = node.get("defaults")
        if isinstance(defaults, dict) and isinstance(defaults.get("run"), dict):
            below = defaults["run"].get("working-directory", below)
        below = str(below).strip("./") if isinstance(below, str) and "$" not in below else folder
        for key, value in node.items():
            if key in ("run", "script") and isinstance(value, str):
                yield from ((line, below) for line in value.replace("\\\n", " ").splitlines())
            elif key == "script" and isinstance(value, list):
                yield from ((str(line), below) for line in value)
            else:
                yield from _steps(value, below)
    elif isinstance(node, list):
        for value in node:
            yield from _steps(value, folder)


def _folder(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent
