"""Say whether a person agreed to a step that changes something: by a click, or by a parameter; never assumed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """Whether it was agreed to, by whom, and how to agree where it was not."""

    given: bool
    by: str = ""
    how: str = ""

    def __bool__(self) -> bool:
        return self.given


def confirm(action: str, *, parameter: str, declared: bool, clicked_by: str = "") -> Confirmation:
    """Confirm `action` for both worlds. Never waits: a click arrives as `clicked_by`, headless there is none.

    An agreement is an event of the timeline, with `by`: the report says who agreed to what.
    """
    if clicked_by:
        return Confirmation(given=True, by=f"a click by {clicked_by}")
    if declared:
        return Confirmation(given=True, by=f"the parameter {parameter}=True")
    return Confirmation(
        given=False, how=f"Only looked. To {action}: -p {parameter} True, or click the button in JupyterLab."
    )
