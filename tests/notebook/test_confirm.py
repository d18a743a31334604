"""Nothing is changed that nobody agreed to."""

from __future__ import annotations

from resilience.notebook.confirm import confirm


def test_a_confirmation_is_a_click_or_a_parameter_and_never_assumed() -> None:
    assert not confirm("apply", parameter="apply", declared=False)
    assert confirm("apply", parameter="apply", declared=False).how.endswith("or click the button in JupyterLab.")
    assert confirm("apply", parameter="apply", declared=True).by == "the parameter apply=True"
    assert confirm("apply", parameter="apply", declared=False, clicked_by="ann@laptop").by == "a click by ann@laptop"
