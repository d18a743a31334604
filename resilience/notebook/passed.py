"""Turn what a person passed to a notebook or to `-p` into typed values by name."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from resilience.core.errors import SettingsError, did_you_mean
from resilience.notebook.parameters import BY_NAME, MARK
from resilience.notebook.values import value_of


class ParameterValues(Mapping[str, Any]):
    """The values asked for, by name and as attributes: `asked.samples`.

    A name that is not among them raises AttributeError, with the nearest.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise AttributeError(
                f"this notebook declares no parameter {name}: {did_you_mean(name, self._values)}"
            ) from None

    def __repr__(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._values.items())


def read_parameters(namespace: Mapping[str, Any]) -> ParameterValues:
    """Return the parameters of the notebook whose `globals()` these are, parsed strictly.

    Refuses a name that the notebook does not declare: papermill would only warn and run the default. What was passed is
    known from the cells that ran (`In`): papermill's begins like our parameters cell, with `# Parameters`.
    Raises SettingsError.
    """
    cells = [source for source in namespace.get("In", ()) if isinstance(source, str) and source.startswith(MARK)]
    declared = next((assigned(source) for source in reversed(cells) if _annotates(source)), {})
    injected = next((assigned(source) for source in reversed(cells) if not _annotates(source)), {})
    names = [name for name in declared or BY_NAME if name in namespace]
    passed = [name for name in injected if name in namespace and name not in names]
    return parse(
        {name: namespace[name] for name in (*names, *passed)}, declared=names, source="the parameters of this notebook"
    )


def parse(
    values: Mapping[str, object], *, declared: Collection[str] | None = None, source: str = "the parameters"
) -> ParameterValues:
    """Parse what was passed, strings included. `declared` limits the names; all of ours otherwise.

    Raises SettingsError for the first name or value that cannot be used.

    Measured of papermill 2.7: `-p apply false` and `-p apply no` arrive as texts, which are true; so each value is
    read anew here.

    >>> parse({"apply": "no", "wait_minutes": "90 s"})
    apply=False, wait_minutes=1.5
    """
    known = tuple(BY_NAME if declared is None else declared)
    for name in values:
        if name not in known or name not in BY_NAME:
            raise SettingsError(
                name=f"parameter {name}",
                source=source,
                expected="one that is declared",
                hint=did_you_mean(name, [k for k in known if k in BY_NAME]),
            )
    return ParameterValues({name: value_of(BY_NAME[name], value, source) for name, value in values.items()})


def declared_in(notebook_source: str) -> tuple[str, ...]:
    """Return the names that a parameters cell declares, in order."""
    return tuple(assigned(notebook_source))


def assigned(source: str) -> dict[str, Any]:
    """Return name → literal value for the plain assignments of a cell; None where the value is no literal."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return {}
    found: dict[str, Any] = {}
    for node in tree.body:
        targets = (
            [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
        )
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = _literal(getattr(node, "value", None))
    return found


def _annotates(source: str) -> bool:
    try:
        return any(isinstance(node, ast.AnnAssign) for node in ast.parse(source).body)
    except SyntaxError:
        return False


def _literal(node: ast.expr | None) -> Any:
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None
