"""Look at a repository, and say what it holds that a configuration can be made from."""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from resilience.home.commands import Candidate, candidates, is_test, projects
from resilience.home.signs import Signs, read_signs
from resilience.home.walk import Files

_ENVIRONMENTS = (".venv", "venv", "env")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What was found in a repository; values of variables are not part of it."""

    root: Path
    settings_file: str
    """Where pytest's settings stand; empty: nowhere."""
    tests: tuple[str, ...]
    """The files of tests, by their names."""
    markers: tuple[str, ...]
    signs: Signs
    dependencies: frozenset[str]
    """What the texts that name dependencies name, in lower case."""
    python: str
    """The interpreter of its virtual environment; empty: it has none by a usual name."""
    pythons: Mapping[str, str]
    """Folder below the root → the interpreter in it, where a monorepo's parts have their own."""
    projects: tuple[str, ...]
    """The folders whose tests are run by themselves; "" is the root."""
    candidates: tuple[Candidate, ...]
    migrations: tuple[str, ...]
    """What brings a database up to the schema, as commands for the root."""
    of_flask: tuple[str, ...]
    """The folders of migrations that only run inside a Flask application, whose name no file says for sure."""
    broken: tuple[str, ...]
    """A sentence for each file that cannot be read, with what to type."""


def look_at(root: Path) -> Repository:
    """Return what the files in `root` say. Nothing is run, and of variables only names and schemes are kept."""
    files = Files(root)
    parts = projects(files)
    pythons = {folder: python for folder in parts if (python := _python(root, folder))}
    python = _python(root, "") or (next(iter(pythons.values()), "") if len(parts) == 1 else "")
    settings_file, markers = _pytest_settings(files, parts)
    signs = read_signs(files)
    return Repository(
        root=root,
        settings_file=settings_file,
        tests=tuple(path for path in files.all if is_test(path)),
        markers=markers,
        signs=signs,
        dependencies=_dependencies(files),
        python=python,
        pythons=pythons,
        projects=parts,
        candidates=candidates(files),
        migrations=_migrations(files),
        of_flask=tuple(str(PurePosixPath(path).parent) for path in files.all if _is_of_flask(files, path)),
        broken=(*_broken_settings(files), *signs.broken),
    )


def _python(root: Path, folder: str) -> str:
    """Return the interpreter of a virtual environment in this folder, else tox's newest, as a path below the root."""
    base = root / folder
    for name in _ENVIRONMENTS:
        if (base / name / "bin" / "python").exists():
            return str(PurePosixPath(folder) / name / "bin" / "python") if folder else f"{name}/bin/python"
    tox = sorted(base.glob(".tox/py*/bin/python"), key=lambda path: path.stat().st_mtime if path.exists() else 0.0)
    return str(tox[-1].relative_to(root)) if tox else ""


def _pytest_settings(files: Files, folders: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the file with pytest's settings and the markers of all, in the order in which pytest itself looks."""
    first, markers = "", []
    for folder in folders:
        for name, section in (
            ("pytest.ini", "pytest"),
            (".pytest.ini", "pytest"),
            ("pyproject.toml", ""),
            ("tox.ini", "pytest"),
            ("setup.cfg", "tool:pytest"),
        ):
            path = f"{folder}/{name}" if folder else name
            values = _ini_section(files.text(path), section) if section else _toml_section(files.text(path))
            if values is not None:
                first = first or path
                markers += [line.strip() for line in _lines(values.get("markers", ""))]
                break
    names = (re.match(r"[A-Za-z_]\w*", line) for line in markers)
    return first, tuple(dict.fromkeys(name[0] for name in names if name))


def _lines(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else str(value).splitlines()


def _toml_section(text: str) -> Mapping[str, object] | None:
    try:
        tool = tomllib.loads(text).get("tool", {}).get("pytest")
    except (ValueError, AttributeError):
        return None
    return tool.get("ini_options", tool) if isinstance(tool, dict) else None


def _ini_section(text: str, section: str) -> Mapping[str, object] | None:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except (ValueError, configparser.Error):
        return None
    return dict(parser[section]) if parser.has_section(section) else None


def _broken_settings(files: Files) -> tuple[str, ...]:
    """Return a sentence for each settings file that cannot be read: pytest and tox could not read it either."""
    found = []
    for path in files.all:
        name = PurePosixPath(path).name
        try:
            if name == "pyproject.toml":
                tomllib.loads(files.text(path))
            elif name in ("tox.ini", "setup.cfg", "pytest.ini"):
                configparser.ConfigParser(interpolation=None, strict=False).read_string(files.text(path))
        except tomllib.TOMLDecodeError as exc:
            place = re.search(r"at line (\d+)", str(exc))
            line = int(place[1]) if place else 1
            found.append(f"{path}:{line}: {str(exc).partition(' (at ')[0]}. Hint: sed -n {line}p {path}")
        except configparser.Error as exc:
            line = getattr(exc, "lineno", 0) or next((number for number, _ in getattr(exc, "errors", ())), 1)
            found.append(f"{path}:{line}: {str(exc).splitlines()[0].rstrip('.')}. Hint: sed -n {line}p {path}")
    return tuple(found)


_DEPENDENCY_FILE = re.compile(
    r"(pyproject\.toml|setup\.(py|cfg)|Pipfile|tox\.ini|[\w.-]*requirements[\w.-]*\.(txt|in))"
)


def _dependencies(files: Files) -> frozenset[str]:
    """Return the words that may be packages in the files which name dependencies; `psycopg2-binary` is psycopg2 as well."""
    words: set[str] = set()
    for path in files.all:
        in_folder = "requirements" in PurePosixPath(path).parts[:-1] and path.endswith((".txt", ".in"))
        if in_folder or _DEPENDENCY_FILE.fullmatch(PurePosixPath(path).name):
            for word in re.findall(r"[A-Za-z][A-Za-z0-9_.-]*", files.text(path)):
                words.add(word.lower())
                words.add(word.lower().removesuffix("-binary"))
    return frozenset(words)


_DJANGO_SETTINGS = re.compile(r"(?:--ds[= ]|DJANGO_SETTINGS_MODULE\s*=\s*[\"']?)([A-Za-z_][\w.]*)")


def _settled(files: Files, path: str) -> str:
    """Return the text of a file in which pytest's settings stand, "" for any other."""
    named = PurePosixPath(path).name in ("pytest.ini", "pyproject.toml", "setup.cfg", "tox.ini")
    return files.text(path) if named else ""


def _is_of_flask(files: Files, path: str) -> bool:
    """Whether this alembic.ini is Flask-Migrate's: its env.py asks the running application, and alembic alone fails."""
    folder = PurePosixPath(path).parent
    return PurePosixPath(path).name == "alembic.ini" and "current_app" in files.text(str(folder / "env.py"))


def _migrations(files: Files) -> tuple[str, ...]:
    """Return the commands that make the schema, of alembic and Django, wherever in the repository they lie.

    Alembic's file names folders from where it lies, and manage.py imports from there, so that each is run in its folder.
    Django migrates with the settings of the tests, where pytest is told them: those of a developer's server may want
    more than the tests do. Its checks are of a site, not of a schema, and pytest makes none of them.
    """
    found = []
    told = next((match[1] for path in files.all if (match := _DJANGO_SETTINGS.search(_settled(files, path)))), "")
    settings = f"DJANGO_SETTINGS_MODULE={told} " if told else ""
    for path in files.all:
        folder, name = str(PurePosixPath(path).parent), PurePosixPath(path).name
        if name == "alembic.ini" and not _is_of_flask(files, path):
            command = "alembic upgrade head"
        elif name == "manage.py" and "django" in files.text(path).lower():
            command = f"{settings}python manage.py migrate --noinput --skip-checks"
        else:
            continue
        found.append(command if folder == "." else f"cd {folder} && {command}")
    return tuple(found)
