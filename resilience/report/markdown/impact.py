"""Write what the incident cost, what is left to do after it, and the fields of its review, as lists that read well on a phone."""

from __future__ import annotations

from resilience.core.records import Task
from resilience.core.words import plural
from resilience.report.markdown.blocks import folded
from resilience.report.texts import code, hint, prose, shorten, task_hint
from resilience.report.view import View

AT_ONCE = 12
"""Open tasks that are listed without unfolding."""


def impact(view: View) -> list[str]:
    """Return the section on what it cost; nothing where staging was well."""
    if not view.impact:
        return []
    return ["## Impact", "\n".join(f"- **{label}:** {hint(value)}" for label, value in view.impact)]


def left_to_do(view: View) -> list[str]:
    """Return the checklist: what is open first, of that so much as is read, then what is done, folded."""
    open_, done = [one for one in view.tasks if not one.done], [one for one in view.tasks if one.done]
    parts = ["## What is left to do", tasks(open_[:AT_ONCE]) or "Nothing that we know of."]
    if len(open_) > AT_ONCE:
        parts.append(folded(plural(len(open_) - AT_ONCE, "more task"), tasks(open_[AT_ONCE:60])))
    if done:
        parts.append(folded(f"{plural(len(done), 'task')} done", tasks(done[:60])))
    return parts


def tasks(found: list[Task]) -> str:
    return "\n".join(task_line(one) for one in found)


def task_line(task: Task, *, limit: int = 240) -> str:
    """Return one task as a line of a GitHub task list, with where, who and what to type."""
    if task.done:
        return f"- [x] {prose(shorten(task.what, limit))} ({prose(task.done)})"
    where = f" ({code(task.where)})" if task.where and task.where not in task.what else ""
    # An owner in code mentions nobody: only an escalation's own comment does.
    owner = f", owner {code(task.owner)}" if task.owner else ""
    said = f": {code(shorten(task.said, limit))}" if task.said else ""
    command = f". {task_hint(shorten(task.command, limit))}" if task.command else ""
    return f"- [ ] {prose(shorten(task.what, limit))}{where}{owner}{said}{command}"


def review(view: View) -> list[str]:
    """Return the fields of the review; an empty one says what to type."""
    if not view.review:
        return []
    lines = []
    for label, value, fill in view.review:
        empty = f"not known yet: {code(fill)}" if fill.startswith("resilience ") else prose(fill)
        lines.append(f"- **{label}:** {prose(value) if value else empty}")
    return ["## Review", "\n".join(lines)]
