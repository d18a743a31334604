"""resilience.show.notebook.blocks: a box has its sign, an error its hint, and texts stay texts."""

from __future__ import annotations

import pytest

from resilience.core.errors import OrderError
from resilience.core.marks import LOOKS, Tone
from resilience.show.notebook.blocks import BOXES, box, busy, by_hand_view, error, folded, listed, page


@pytest.mark.parametrize(("kind", "tone"), BOXES.items())
def test_a_box_has_the_sign_and_the_colour_of_its_tone(kind: str, tone: Tone) -> None:
    shown = box("the words", kind=kind)
    assert f"{LOOKS[tone].sign} the words" in shown
    assert LOOKS[tone].ink in shown


def test_a_note_has_no_sign() -> None:
    assert "<b>the words</b>" in box("the words")


def test_an_error_says_what_to_do_also_where_it_is_none_of_ours() -> None:
    assert "resilience plan" in error(OrderError("no plan yet", hint="resilience plan"))
    assert "logs/" in error(ValueError())
    assert "no message" in error(ValueError())


def test_texts_stay_texts() -> None:
    for shown in (box("<b>", hint="<i>"), busy("<b>", ["<i>"]), listed(["<b>"], code=True), by_hand_view(["<b>"])):
        assert "&lt;b&gt;" in shown
        assert "<i>" not in shown


def test_nothing_to_fold_or_to_list_is_nothing() -> None:
    assert (folded("title", ""), listed([]), by_hand_view([])) == ("", "", "")


def test_a_shell_s_variables_are_no_formula() -> None:
    assert "mathjax_ignore" in page("$(x) and $(y)")
