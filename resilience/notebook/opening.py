"""Turn the parameters of a notebook into the run it goes on with, or a new one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from resilience.core.errors import RecordError
from resilience.core.redact import Redactor
from resilience.notebook import kernel
from resilience.notebook.cockpit import Notebook
from resilience.notebook.links import links_of
from resilience.notebook.passed import read_parameters
from resilience.runs.configuration import load_settings
from resilience.runs.runbook import Run, applied_run, open_run
from resilience.settings.secrets import secret_texts


def open_notebook(namespace: Mapping[str, Any]) -> Notebook:
    """Open the runbook in the notebook whose `globals()` these are, with the parameters it declares.

    `run` empty or "latest" follows RESILIENCE_RUN, by which headless stages find the run they belong to. Where a person
    sits and names none, the run that is applied here is gone on with. In a kernel the
    variables that kernels set for themselves are forgotten first, as the tests would inherit them, and from here on
    every output is redacted before it reaches the page.

    Raises SettingsError for an unknown parameter or a value that cannot be used, UsageError where the run is not there.
    """
    parameters = read_parameters(namespace)
    environ = dict(os.environ)
    kernel.show_records()
    if kernel.in_kernel():
        kernel.forget_own_variables(os.environ)
        if not kernel.redacts_outputs():
            # Until the configuration is read, and for good where it is refused: cells after this one may show what they like.
            kernel.redact_outputs(Redactor(secret_texts(os.environ.items())))
    wanted = parameters.get("run", "")
    if wanted == "latest":
        wanted = _named_run() or wanted
    going_on = kernel.interactive() and not wanted and not _named_run()
    given = {name: value for name, value in parameters.items() if name not in ("run", "config")}
    run = (_applied(parameters) if going_on else None) or open_run(
        wanted,
        config=parameters.get("config", ""),
        environment=parameters.get("environment", ""),
        outputs=parameters.get("outputs", ""),
        apply=bool(parameters.get("apply", False)),
        parameters=given,
    )
    kernel.redact_outputs(run.redactor)
    saved = run.folder / "notebooks" if kernel.run_by_us() else None
    notebook = Notebook(run, parameters, interactive=kernel.interactive(), links=links_of(environ, headless=saved))
    if not notebook.interactive and not kernel.run_by_us():
        kernel.after_a_cell_that_raised(notebook.broke_off)
    notebook.show_strip()
    return notebook


def _applied(parameters: Mapping[str, Any]) -> Run | None:
    """Return the run whose fallback is applied here, which a page that a person opens goes on with; None for none.

    The kernel that applied it may be gone, and a new run would say that nothing has been done. One whose record cannot be
    read is left to the banner.
    """
    settings = load_settings(parameters.get("config", "") or None, environment=parameters.get("environment", ""))
    with suppress(RecordError):
        return applied_run(settings)
    return None


def _named_run() -> str:
    return os.environ.get("RESILIENCE_RUN", "")
