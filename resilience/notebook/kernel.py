"""Tell where a notebook's code runs, and let records show themselves there."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

HEADLESS = "RESILIENCE_HEADLESS"
"""Set by the runner in the kernels that it starts: it judges the run, and nobody is there to click."""

_SHOWN = (
    ("resilience.core.records", "InfrastructureHealth"),
    ("resilience.core.records", "Decision"),
    ("resilience.core.records", "Plan"),
    ("resilience.core.records", "Applied"),
    ("resilience.core.records", "Restored"),
    ("resilience.core.records", "TestSuiteResult"),
    ("resilience.core.records", "Recovery"),
    ("resilience.core.records", "Incident"),
)

_SET_BY_KERNELS = {
    "TERM": "xterm-color",
    "CLICOLOR": "1",
    "CLICOLOR_FORCE": "1",
    "FORCE_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "MPLBACKEND": "module://matplotlib_inline",
    "PYDEVD_USE_FRAME_EVAL": "",
    "JPY_PARENT_PID": "",
}
"""Variable → how the value begins that ipykernel, or what starts a kernel, sets it to."""

_WARM = (
    "resilience",
    "resilience.notebook.parameters",
    "resilience.show.notebook",
    "resilience.runs.runbook",
    "resilience.notebook.cockpit",
    "IPython.display",
)


def in_kernel() -> bool:
    """Say whether this process is a Jupyter kernel."""
    return _kernel() is not None


def interactive(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether a person sits in front of this notebook.

    JPY_SESSION_NAME alone does not tell: a papermill started from a notebook inherits it. papermill and nbclient forbid
    input, JupyterLab allows it.
    """
    kernel = _kernel()
    env = os.environ if environ is None else environ
    return bool(
        kernel is not None
        and env.get("JPY_SESSION_NAME")
        and not env.get(HEADLESS)
        and getattr(kernel, "_allow_stdin", False)
    )


def run_by_us(environ: Mapping[str, str] | None = None) -> bool:
    """Say whether `resilience run` executes this notebook: then it judges the run, not the last cell."""
    return bool((os.environ if environ is None else environ).get(HEADLESS))


def show_records() -> None:
    """Register how our records show themselves in this kernel; does nothing elsewhere. Safe to call again."""
    if "IPython" not in sys.modules:
        return
    shell = _shell()
    if shell is None or getattr(shell, "_resilience_shown", False):
        return
    import logging

    from resilience.show import notebook as views

    # What is logged is shown as a table; without a handler Python would print it in red beside.
    logging.getLogger("resilience").addHandler(logging.NullHandler())
    html = shell.display_formatter.formatters["text/html"]
    plain = shell.display_formatter.formatters["text/plain"]
    for module, name in _SHOWN:
        html.for_type_by_name(module, name, views.html)
        plain.for_type_by_name(module, name, lambda record, printer, _cycle: printer.text(views.text(record)))
    shell._resilience_shown = True


def forget_own_variables(environ: MutableMapping[str, str]) -> None:
    """Take out what only the kernel set, so that the team's tests get the environment of whoever started it.

    ipykernel asks every child for colours and matplotlib for its own backend, which the team's interpreter may not have.
    """
    for name, value in _SET_BY_KERNELS.items():
        if name in environ and environ[name].startswith(value):
            del environ[name]


def warm_up() -> None:
    """Prepare a kernel that the runner started while the stage before is still running.

    Imports what every stage needs, and freezes it for the garbage collector, which takes 0.3 s off the kernel's end.
    Asks the system to interrupt this kernel when its runner is killed: a test command is then put down, not orphaned.
    """
    import gc

    for module in _WARM:
        importlib.import_module(module)
    show_records()
    _interrupt_with_parent()
    gc.collect()
    gc.freeze()


def _interrupt_with_parent() -> None:
    if not sys.platform.startswith("linux"):
        return
    import ctypes
    import signal

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGINT, 0, 0, 0)


def _shell() -> Any:
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


def _kernel() -> Any:
    return getattr(_shell(), "kernel", None)
