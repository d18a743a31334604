"""Tell where a notebook's code runs, and let records show themselves there."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from resilience.core.codec import mapped
from resilience.core.plain import plain
from resilience.core.redact import Redactor

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
    "resilience.notebook.opening",
    "IPython.display",
)


_REDACTED: Mapping[str, tuple[str, ...]] = {
    "stream": ("text",),
    "display_data": ("data", "metadata"),
    "update_display_data": ("data", "metadata"),
    "execute_result": ("data", "metadata"),
    "error": ("ename", "evalue", "traceback"),
    "execute_reply": ("ename", "evalue", "traceback", "user_expressions"),
    "comm_open": ("data",),
    "comm_msg": ("data",),
}
"""Message of a kernel → what in it a cell's code decided."""

_HELD = 16 * 1024


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


def redact_outputs(redactor: Redactor) -> None:
    """Hide the secrets in all that this kernel's cells show from now on, before it leaves the kernel; nothing elsewhere.

    Plain papermill writes into the notebook what it is sent, and knows no redaction. Called again, the last redactor counts.
    """
    kernel = _kernel()
    if kernel is None:
        return
    gate = getattr(kernel.session, "_resilience_gate", None)
    if gate is None:
        kernel.session._resilience_gate = gate = OutputGate(kernel.session.send, redactor)
        kernel.session.send = gate.send
    gate.redactor = redactor


def redacts_outputs() -> bool:
    """Say whether this kernel's outputs go past a redactor already."""
    kernel = _kernel()
    return kernel is not None and hasattr(kernel.session, "_resilience_gate")


def after_a_cell_that_raised(tell: Callable[[BaseException], object]) -> None:
    """Call this once after the first cell whose code raises from now on, before its error is sent; nothing elsewhere.

    So that plain papermill, which ends the kernel then, leaves nothing half done. Called again, the last one counts.
    """
    shell = _shell()
    if shell is None:
        return
    before = getattr(shell, "_resilience_after_error", None)
    if before is not None:
        shell.events.unregister("post_run_cell", before)

    def after(result: Any) -> None:
        error = getattr(result, "error_in_exec", None)
        if error is not None:
            shell.events.unregister("post_run_cell", after)
            shell._resilience_after_error = None
            tell(error)

    shell._resilience_after_error = after
    shell.events.register("post_run_cell", after)


class OutputGate:
    """Stand before a kernel's `Session.send` and redact the outputs among the messages.

    Of what is printed, a line without its end is held back until more comes or another message goes, as a secret may
    arrive in two pieces. Streams are flushed by a thread of the kernel's own, hence the lock.

    A line of more than 32 KiB is cut at a place where no known secret stands, and its first part goes out.
    """

    def __init__(self, send: Callable[..., Any], redactor: Redactor) -> None:
        self._send, self.redactor = send, redactor
        self._lock = threading.RLock()
        self._held: dict[str, tuple[str, Any, Mapping[str, Any], tuple[Any, ...], dict[str, Any]]] = {}

    def send(
        self, stream: Any, msg_or_type: Any, content: Any = None, parent: Any = None, *args: Any, **more: Any
    ) -> Any:
        """Pass a message on with its texts redacted; what only the protocol needs is left as it is.

        What is held back goes out first, so that outputs keep their order, and with the end of each cell.
        """
        whole = isinstance(msg_or_type, Mapping)
        kind = msg_or_type["header"]["msg_type"] if whole else msg_or_type
        told = msg_or_type["content"] if whole else content
        with self._lock:
            if kind == "stream" and whole:
                return self._print(stream, msg_or_type, args, more)
            if kind in _REDACTED or kind == "status":
                self._flush()
            if kind in _REDACTED and told:
                told = {name: self._hide(value) if name in _REDACTED[kind] else value for name, value in told.items()}
                if whole:
                    msg_or_type = {**msg_or_type, "content": told}
            return self._send(stream, msg_or_type, told if not whole else content, parent, *args, **more)

    def _print(self, stream: Any, message: Mapping[str, Any], args: tuple[Any, ...], more: dict[str, Any]) -> Any:
        """Send what is printed up to the last line's end, and hold the rest.

        What another cell printed is not joined to it.
        """
        name = message["content"]["name"]
        before = self._held.pop(name, None)
        if before is not None and before[2].get("parent_header") != message.get("parent_header"):
            self._release(before)
            before = None
        text = (before[0] if before is not None else "") + message["content"]["text"]
        at = max(text.rfind("\n"), text.rfind("\r")) + 1
        if len(text) - at > 2 * _HELD:
            at = self.redactor.cut(text, len(text) - _HELD)
        if text[at:]:
            self._held[name] = (text[at:], stream, message, args, more)
        return self._release((text[:at], stream, message, args, more)) if at else None

    def _flush(self) -> None:
        for name in tuple(self._held):
            self._release(self._held.pop(name))

    def _release(self, held: tuple[str, Any, Mapping[str, Any], tuple[Any, ...], dict[str, Any]]) -> Any:
        text, stream, message, args, more = held
        content = {**message["content"], "text": self._hide(text)}
        return self._send(stream, {**message, "content": content}, *args, **more)

    def _hide(self, tree: Any) -> Any:
        return mapped(tree, self._text)

    def _text(self, text: str) -> str:
        hidden = self.redactor.text(text)
        # Where nothing was hidden, the colours stay that the redactor takes off to see secrets through them.
        return text if hidden == plain(text) else hidden


def warm_up() -> None:
    """Prepare a kernel that the runner started while the stage before is still running.

    Imports what every stage needs, and freezes it for the garbage collector, which takes 0.3 s off the kernel's end.
    Asks the system to interrupt this kernel when its runner is killed: a test command is then put down, not orphaned.

    Called in the kernel, once, before its first cell. A kernel's boot takes 0.9 s of processor time.
    """
    for module in _WARM:
        importlib.import_module(module)
    show_records()
    _interrupt_with_parent()
    gc.collect()
    gc.freeze()


def _interrupt_with_parent() -> None:
    """Ask Linux for SIGINT when the thread that started us ends (prctl, PR_SET_PDEATHSIG).

    Elsewhere there is no such thing.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, <linux/prctl.h>
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGINT, 0, 0, 0)


def _shell() -> Any:
    module = sys.modules.get("IPython")
    return module.get_ipython() if module is not None else None


def _kernel() -> Any:
    return getattr(_shell(), "kernel", None)
