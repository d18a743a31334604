"""resilience.show.terminal.fallback: the plan as it will be done, what was applied, and what was put back."""

from __future__ import annotations

import io
from dataclasses import replace

from rich.console import Console

from resilience.core.records import EnvChange, Restored
from resilience.show import terminal
from tests.kits.printed import printed
from tests.kits.shown import APPLIED, DECISION, EVIL, NOW, PLAN, RESTORED


def test_a_plan_says_that_nothing_was_changed_and_how_to_undo_it() -> None:
    text = printed(lambda console: terminal.show_plan(PLAN, console=console))
    assert text.startswith("PLAN (mode degraded; nothing has been changed)")
    for part in ("1. start database", "DATABASE_URL", "(unset now)", "Undo", "docker compose up -d database", EVIL):
        assert part in text


def test_a_plan_at_80_columns_breaks_no_word_and_no_command() -> None:
    """The longest things of a real plan: names of variables, URLs, a step of several sentences and a chain of commands."""
    url = "postgresql://***@staging-db.internal:5432/shop?sslmode=require"
    command = "test ! -e config/.env.test.active || cp -p config/.env.test.active config/.env.test.active.before"
    plan = replace(
        PLAN,
        steps=(
            f"start or prove the local postgresql for database at {url}, then prepare it: bin/python db/prepare.py",
        ),
        changes=(
            EnvChange(name="INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT", before=None, after="20"),
            EnvChange(name="DATABASE_URL", before=url, after=url.replace("5432", "5435")),
        ),
        by_hand=(command,),
        notes=("a note that is longer than a line of eighty columns, as notes sometimes are when they say why",),
    )
    buffer = io.StringIO()
    console = Console(file=buffer, width=80, height=24, force_terminal=True, color_system=None, highlight=False)
    terminal.show_plan(plan, console=console)
    lines = buffer.getvalue().splitlines()
    assert [line for line in lines if len(line) > 80] == []
    words = buffer.getvalue().split()
    for text in (
        *plan.steps,
        *plan.notes,
        *plan.undo,
        plan.env_file,
        "INFRASTRUCTURE_HEALTH_CHECK_TIMEOUT=20",
        f"DATABASE_URL={url.replace('5432', '5435')}",
    ):
        for word in text.split():
            assert word in words, f"{word} is broken"
    assert command in " ".join(buffer.getvalue().replace("\\\n", "").split())


def test_a_stand_in_that_did_not_come_up_has_the_sign_of_bad_news() -> None:
    text = printed(lambda console: terminal.show_applied(APPLIED, console=console))
    assert "✕ database: did not come up: " in text
    assert "its tests are held back, the mode stays" in text
    ready = replace(APPLIED.stand_ins[0], ready=True, error="", gaps=("no pgvector",), version="15.8")
    assert "● database: system 15.8 at 127.0.0.1:5435" in (
        line := printed(lambda c: c.print(terminal.stand_in_line(ready)))
    )
    assert "gap: no pgvector" in line


def test_a_decision_names_its_reasons_and_what_is_held_back() -> None:
    text = printed(lambda console: terminal.show_decision(DECISION, console=console))
    assert text.startswith("TESTS: ")
    assert "held back, need websocket: " in text


def test_restoring_says_what_was_put_back_kept_and_stopped() -> None:
    text = printed(lambda console: terminal.show_restored(RESTORED, console=console))
    for part in (
        "Restored to the byte: ",
        "Your edit was kept: ",
        "Stopped: database. No database of staging was touched.",
    ):
        assert part in text
    nothing = Restored(run="", restored_at=NOW, files=(), identical=True, nothing_to_do=True)
    assert "Nothing is applied here" in printed(lambda console: terminal.show_restored(nothing, console=console))
