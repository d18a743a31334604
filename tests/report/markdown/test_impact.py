"""resilience.report.markdown.impact: impact, checklist and review are lists, which a phone shows whole."""

from __future__ import annotations

from dataclasses import replace

from resilience.core.records import Task
from resilience.report.markdown.impact import AT_ONCE, impact, left_to_do, review, task_line
from resilience.report.series import Columns
from resilience.report.view import View, build
from tests.kits import incident_factory as factory


def drill() -> View:
    story = factory.drill()
    return build(story.incident, Columns.of(story.samples))


def test_open_tasks_have_an_empty_box_and_done_ones_a_ticked_one() -> None:
    text = "\n\n".join(left_to_do(drill()))
    open_, _, done = text.partition("<details>")
    assert "- [ ] " in open_
    assert "- [x] " not in open_
    assert "- [x] " in done


def test_a_task_says_where_whose_what_was_said_and_what_to_type() -> None:
    task = Task(
        key="fix:a", what="Fix it", said="assert 1 == 2", where="a.py:3", owner="@shop", command="resilience why a"
    )
    assert task_line(task) == "- [ ] Fix it (`a.py:3`), owner `@shop`: `assert 1 == 2`. `resilience why a`"
    assert task_line(replace(task, done="passed")) == "- [x] Fix it (passed)"


def test_more_tasks_than_are_read_at_once_are_folded_and_counted() -> None:
    tasks = tuple(Task(key=f"fix:{n}", what=f"Fix {n}") for n in range(AT_ONCE + 3))
    text = "\n\n".join(left_to_do(replace(drill(), tasks=tasks)))
    assert "<summary>3 more tasks</summary>" in text
    assert left_to_do(replace(drill(), tasks=()))[1] == "Nothing that we know of."


def test_impact_and_review_have_no_tables() -> None:
    for part in (impact(drill()), review(drill())):
        assert part
        assert "|" not in "".join(part)
    view = replace(drill(), impact=(), review=())
    assert impact(view) == review(view) == []
