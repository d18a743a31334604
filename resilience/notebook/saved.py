"""Display a widget so that a saved notebook, which holds no widget, has a sentence in its place."""

from __future__ import annotations

from html import escape
from typing import Any

from IPython.display import display

from resilience.notebook.section import displays
from resilience.show import notebook as views

VIEW = "application/vnd.jupyter.widget-view+json"


def bundle(widget: Any, text: str) -> dict[str, Any]:
    """Return what is sent for a widget: its view, and the text as what a page shows that cannot show widgets.

    ipywidgets itself sends `HBox(children=(Button(…` as that text. nbconvert, GitHub, VS Code and a JupyterLab that does not
    trust the file fall back to the other kinds where there is no state of the widget.
    """
    shown = views.page(f'<div class="dim">{escape(text)}</div>') if text else "<div></div>"
    return {VIEW: widget._repr_mimebundle_()[VIEW], "text/html": shown, "text/plain": text}


def display_widget(widget: Any, text: str) -> None:
    """Show a widget on the page, if there is one, and the text where it cannot be shown."""
    if displays():
        display(bundle(widget, text), raw=True)  # type: ignore[no-untyped-call]
