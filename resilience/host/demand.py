"""Turn the imports of a block into modules that are loaded when they are first used.

A verb's `--help` needs its options and nothing of what the verb does, which takes three times as long to import; a look by
`--url` needs neither the history nor what starts stand-ins.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


class _Finder:
    """Find modules as Python does, and put off running them until something of theirs is asked for."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def on_demand() -> Iterator[None]:
    """Put off loading what is imported in this block until it is used.

    Only modules: `from resilience.show import terminal`, and `terminal.out` where it is needed. A name of a module
    (`from resilience.show.terminal import out`) is something that is used, so that its module is loaded at once. What an
    import would raise comes at the first use instead.
    """
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
