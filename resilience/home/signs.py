"""Turn env files, compose files, code and CI into signs of services: names of variables, images, and servers written into code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from resilience.core.envtext import read_env_text
from resilience.core.errors import SettingsError
from resilience.home.walk import Files

LOCAL_HOSTS = ("localhost", "127.0.0.1", "0.0.0.0", "[::1]")  # noqa: S104 - names in a team's files; nothing is bound
_TEMPLATE_FILE = re.compile(r"(example|template|sample|dist|skel|\.j2|\.tpl)", re.I)
_OURS = re.compile(r"\.env\.test\.(resilient|local|minimal|active)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable that something here reads or sets. Of its value only what is no secret is kept."""

    name: str
    where: str
    scheme: str = ""
    """The scheme of its value, where that is a URL."""
    path: str = ""
    """What follows host and port in that URL."""
    is_public: bool = False
    """Whether that URL leads to a host with a public name, as a vendor's."""
    same_as: str = ""
    """The variable whose value it takes, as in CELERY_BROKER_URL="${REDIS_URL}"."""
    is_read: bool = True
    """Whether the code reads it; false for what only a container is told."""
    listed: tuple[str, ...] = ()
    """Of a list of URLs the scheme of each, or the whole URL where it is a file's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image in a compose file or among CI's services, with the ports that it is given on the host."""

    image: str
    where: str
    ports: tuple[tuple[int, int], ...] = ()
    """Host's port, container's port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """The URL of a server on this machine that stands in the code itself."""

    scheme: str
    where: str
    user: str = ""
    port: int | None = None
    database: str = ""
    is_fixed: bool = False
    """Whether a conftest names it as a constant: its tests look there, whatever their environment says."""
    password: str = field(default="", repr=False)
    """Kept for a fixed one only: a server that asks for another is none to these tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    variables: tuple[Variable, ...]
    images: tuple[Image, ...]
    literals: tuple[Literal, ...]
    counts: Mapping[str, int]
    """Env file → how many variables it has."""
    staging: Mapping[str, tuple[Variable, ...]]
    """Env file that names staging → its variables."""
    broken: tuple[str, ...]
    """A sentence for each file that cannot be read, with what to type."""


def read_signs(files: Files) -> Signs:
    """Return what points to services. Nothing is run; no value is kept but schemes and what stands in code for this machine.

    A file that cannot be read is named and not passed over: what it holds would be missing in silence. Only examples
    and templates may be broken, since they are not what the team runs.
    """
    variables: list[Variable] = []
    images: list[Image] = []
    literals: list[Literal] = []
    counts: dict[str, int] = {}
    staging: dict[str, tuple[Variable, ...]] = {}
    broken: list[str] = []
    for path in files.all:
        name = PurePosixPath(path).name
        if _is_env_file(path):
            try:
                found = _of_env_file(files.text(path), path)
            except SettingsError as exc:
                if not _TEMPLATE_FILE.search(name):
                    broken.append(str(exc))
                continue
            counts[path] = len(found)
            if re.search(r"(^|[./_-])(staging|stage)([./_-]|$)", path):
                staging[path] = found
            variables += found
        elif _is_yaml(path):
            text = files.text(path)
            try:
                document = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader that also passes over unknown tags
            except yaml.YAMLError as exc:
                if "{{" not in text and "{%" not in text:
                    broken.append(_broken_yaml(path, exc))
                continue
            more, pictures = _of_yaml(document, path)
            variables += more
            images += pictures
        elif name.endswith(".py"):
            more, written = _of_code(files.text(path), path)
            variables += more
            literals += written
        elif name.endswith(".sh") or "entrypoint" in name:
            variables += _of_script(files.text(path), path)
        elif name in ("tox.ini", "setup.cfg", "pytest.ini"):
            variables += _of_ini(files.text(path), path)
    return Signs(
        variables=tuple(variables),
        images=tuple(images),
        literals=tuple(literals),
        counts=counts,
        staging=staging,
        broken=tuple(broken),
    )


def variable(name: str, value: str, where: str, *, is_read: bool = True) -> Variable:
    """Return a variable with the scheme and the path of its value, where that is a URL; with each scheme of a list of URLs."""
    urls = re.findall(r"([A-Za-z][A-Za-z0-9+.-]*)(://[^\s,;'\"]*)", value)
    if len(urls) > 1:
        told = tuple(scheme.lower() + (rest if scheme.lower().startswith("sqlite") else "") for scheme, rest in urls)
        return Variable(name=name, where=where, is_read=is_read, scheme=urls[0][0].lower(), listed=told)
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/?#]*@)?([^/?#@:]*)[^/?#@]*(/[^?#]*)?", value.strip("'\" \t"))
    if match is None:
        same = re.match(r"\$\{?([A-Za-z_]\w*)\}?", value.strip("'\" \t"))
        return Variable(name=name, where=where, same_as=same[1] if same else "", is_read=is_read)
    public = bool(re.search(r"\.(?!example$|test$|local|internal$|lan$|corp$|\d+$)[a-z]+$", match[2].lower()))
    return Variable(
        name=name, where=where, scheme=match[1].lower(), path=match[3] or "", is_public=public, is_read=is_read
    )


def _is_env_file(path: str) -> bool:
    parts = PurePosixPath(path).parts
    name = parts[-1]
    if _OURS.search(name) or name.endswith((".py", ".md", ".sh", ".enc", ".gpg", ".age")):
        return False
    return name.startswith(".env") or name.endswith(".env") or bool({".envs", ".env"} & set(parts[:-1]))


def _of_env_file(text: str, path: str) -> tuple[Variable, ...]:
    return tuple(variable(name, value, path) for name, (value, _) in read_env_text(text, path).items())


def _is_yaml(path: str) -> bool:
    name = PurePosixPath(path).name
    if not name.endswith((".yml", ".yaml")):
        return False
    return "compose" in name or ".github/workflows/" in path or name.startswith((".gitlab-ci", "config.yml"))


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # no types are shipped with yaml
    """Reads any tag as the plain value below it: compose's !reset and GitLab's !reference say nothing about services."""


def _plain(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_scalar(node) if isinstance(node, yaml.ScalarNode) else None


_Loader.add_multi_constructor("!", _plain)


def _broken_yaml(path: str, exc: yaml.YAMLError) -> str:
    mark = getattr(exc, "problem_mark", None)
    line = mark.line + 1 if mark is not None else 1
    problem = getattr(exc, "problem", None) or "it cannot be read"
    return f"{path}:{line}: {problem}. Hint: sed -n {line}p {path}"


def _of_yaml(document: Any, path: str) -> tuple[list[Variable], list[Image]]:
    """Return the variables and images of a compose file or of a CI's file, wherever in it they stand.

    The variables of a container that has an image and no build are told to that image, as a database's own; they are
    not what the team's code reads. Those of a CI's steps and jobs are.
    """
    variables: list[Variable] = []
    images: list[Image] = []

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            image = node.get("image")
            told_to_image = isinstance(image, str) and "build" not in node and "steps" not in node
            if isinstance(image, str):
                images.append(Image(image=image[:80], where=path, ports=_ports(node.get("ports"))))
            for key in ("environment", "env", "variables"):
                for name, value in _pairs(node.get(key)):
                    variables.append(variable(name, value, path, is_read=not told_to_image))
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(document)
    return variables, images


def _pairs(node: Any) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        yield from ((str(name), "" if value is None else str(value)) for name, value in node.items())
    elif isinstance(node, list):
        for item in node:
            name, _, value = str(item).partition("=")
            yield name, value


def _ports(node: Any) -> tuple[tuple[int, int], ...]:
    """Return the host's port and the container's of each item of `ports`, short ("6379:6379") and long ({published: …})."""
    found = []
    for item in node if isinstance(node, list) else ():
        if isinstance(item, dict):
            pair = [str(item.get("published", "")), str(item.get("target", ""))]
        else:
            pair = str(item).split("/")[0].split(":")[-2:]
        if len(pair) == 2 and all(number.isdigit() for number in pair):
            found.append((int(pair[0]), int(pair[1])))
    return tuple(found)


_READERS = re.compile(r"environ|getenv|\benv\b|config\b|Settings\b|://")
_ENVLIKE = re.compile(r"env|decouple|(^|database_url\.)config$", re.I)
_LITERAL = re.compile(
    r"^(?P<scheme>[a-z][a-z0-9+]*)://(?:(?P<user>[^:/@\s]*)(?::(?P<password>[^@/\s]*))?@)?(localhost|127\.0\.0\.1|\[::1\])"
    r"(?::(?P<port>\d+))?(?:/(?P<database>[\w-]*))?(?:[/?#].*)?$"
)


def _of_code(text: str, path: str) -> tuple[list[Variable], list[Literal]]:
    """Return the variables that a module reads, and the servers on this machine that it names.

    Read are os.environ, os.getenv, the like of environs, django-environ and decouple, and the fields of a pydantic
    settings class, with its prefix. Code that cannot be parsed, as of another Python, is passed over.
    """
    if not _READERS.search(text):
        return [], []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return [], []
    variables: list[Variable] = []
    literals: list[Literal] = []
    fixed = _constants(tree) if PurePosixPath(path).name.startswith("conftest") else frozenset()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            variables += _of_call(node, path)
        elif (
            isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _ENVLIKE.search(_dotted(node.value))
        ):
            if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
                variables.append(variable(node.slice.value, "", path))
        elif isinstance(node, ast.ClassDef) and any(_dotted(base).endswith("Settings") for base in node.bases):
            variables += _of_settings_class(node, path)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (match := _LITERAL.match(node.value)):
            literals.append(_literal(match, path, is_fixed=node.value in fixed))
    return variables, literals


def _constants(tree: ast.Module) -> frozenset[str]:
    """Return the texts that a module gives to names at its top level."""
    values = (node.value for node in tree.body if isinstance(node, ast.Assign | ast.AnnAssign))
    return frozenset(one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str))


def _literal(match: re.Match[str], path: str, *, is_fixed: bool) -> Literal:
    return Literal(
        scheme=match["scheme"],
        where=path,
        user=match["user"] or "",
        port=int(match["port"]) if match["port"] else None,
        database=match["database"] or "",
        is_fixed=is_fixed,
        password=(match["password"] or "") if is_fixed else "",
    )


def _of_call(node: ast.Call, path: str) -> Iterator[Variable]:
    if not _ENVLIKE.search(_dotted(node.func)):
        return
    named = {word.arg: word.value for word in node.keywords}
    first = node.args[0] if node.args else named.get("env")
    if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
        return
    default = named.get("default") or (node.args[1] if len(node.args) > 1 else None)
    told = default.value if isinstance(default, ast.Constant) and isinstance(default.value, str) else ""
    if re.fullmatch(r"[A-Z][A-Z0-9_]*", first.value):
        yield variable(first.value, told, path)


def _of_settings_class(node: ast.ClassDef, path: str) -> Iterator[Variable]:
    """Yield the variables that pydantic's settings read: each field in capitals, after the class's `env_prefix`."""
    prefix = ""
    for inner in ast.walk(node):
        if isinstance(inner, ast.keyword) and inner.arg == "env_prefix" and isinstance(inner.value, ast.Constant):
            prefix = str(inner.value.value)
        if isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Constant):
            names = [target.id for target in inner.targets if isinstance(target, ast.Name)]
            prefix = str(inner.value.value) if "env_prefix" in names else prefix
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            value = line.value.value if isinstance(line.value, ast.Constant) else ""
            yield variable(f"{prefix}{line.target.id}".upper(), str(value), path)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    if isinstance(node, ast.Call):
        return _dotted(node.func)
    return node.id if isinstance(node, ast.Name) else ""


def _of_script(text: str, path: str) -> list[Variable]:
    """Return what a shell script exports: an entrypoint often makes a URL of its parts there."""
    lines = (re.match(r"\s*export\s+([A-Z][A-Z0-9_]*)=(.*)", line) for line in text.splitlines())
    return [variable(line[1], line[2], path) for line in lines if line]


def _of_ini(text: str, path: str) -> list[Variable]:
    """Return what tox or pytest-env set, or let through: `NAME=value` lines of setenv, set_env, env and passenv."""
    found: list[Variable] = []
    key = ""
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z_]+)\s*=\s*(.*)", line):
            key, rest = match[1], match[2]
        else:
            rest = line.strip()
        if key in ("setenv", "set_env", "env", "passenv", "pass_env"):
            for word in re.split(r"[,\s]+(?=[A-Z])", rest):
                name, _, value = word.partition("=")
                if re.fullmatch(r"[A-Z][A-Z0-9_]*", name.strip()):
                    found.append(variable(name.strip(), value, path))
    return found


def sources(variables: Sequence[Variable]) -> str:
    """Name the files in which these variables stand, the first two of them."""
    names = tuple(dict.fromkeys(one.where for one in variables))
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
