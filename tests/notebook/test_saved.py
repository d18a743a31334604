"""A widget in a saved notebook leaves a sentence, and not the text that ipywidgets sends for it."""

from __future__ import annotations

import ipywidgets

from resilience.notebook.saved import VIEW, bundle


def test_what_cannot_show_widgets_shows_the_sentence() -> None:
    button = ipywidgets.Button(description="Apply")
    row = ipywidgets.HBox([button])
    sent = bundle(row, "Buttons in JupyterLab: <Apply>")
    assert sent[VIEW]["model_id"] == row.model_id
    assert sent["text/plain"] == "Buttons in JupyterLab: <Apply>"
    assert "Buttons in JupyterLab: &lt;Apply&gt;" in sent["text/html"]
    assert "HBox" not in sent["text/html"]
    assert bundle(row, "")["text/plain"] == ""
    ipywidgets.Widget.close_all()
