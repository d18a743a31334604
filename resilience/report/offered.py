"""Find what the files of a folder offer, so that one more chart or export is one more file and no line elsewhere."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def offered(package: ModuleType, name: str, kind: type[T]) -> tuple[T, ...]:
    """Return the value called `name` of each module of the package that has one, in the order of the file names.

    Helpers that stand in the same folder offer nothing and are passed over; a value of another type raises TypeError,
    as a file that was meant to offer something must not be left out in silence.

    Importing a module of the folder runs it: what is slow stands in a folder that is imported late.
    """
    found: list[T] = []
    for info in iter_modules(package.__path__, f"{package.__name__}."):
        value = getattr(import_module(info.name), name, None)
        if value is None:
            continue
        if not isinstance(value, kind):
            raise TypeError(f"{info.name}.{name} is a {type(value).__name__}, where a {kind.__name__} was expected")
        found.append(value)
    return tuple(found)
