"""resilience.report.texts: any text stands in Markdown as what it is."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, strategies as st

from resilience.report.texts import code, fence, hint, pieces, prose
from tests.kits.markup import Tags, gfm


@given(st.text())
def test_a_code_span_holds_any_text(text: str) -> None:
    shown = gfm(f"a {code(text)} b")
    found = Tags(shown)
    assert {tag for tag, _ in found.tags} <= {"p", "code"}


@given(st.text(alphabet=st.sampled_from("`~\n a*_<>[]()!#@|\\-")))
def test_a_fence_is_longer_than_any_run_of_backticks_in_it(text: str) -> None:
    found = Tags(gfm(fence(text) + "\n\nafter"))
    assert [tag for tag, _ in found.tags] == ["pre", "code", "p"]


@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))))
def test_prose_never_becomes_markup(text: str) -> None:
    found = Tags(gfm(f"x {prose(text)} y"))
    assert {tag for tag, _ in found.tags} <= {"p", "code"}
    assert not re.search(r"[@#]\w", found.loose)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nc -vz db 5432; start it (here: docker ps, resilience services up) or correct the port",
         "`nc -vz db 5432`; start it (here: `docker ps`, `resilience services up`) or correct the port"),
        ("meanwhile: resilience apply, which sets ISSUE_1278_WORKAROUND_ENABLED=true DATABASE_MODE=local",
         "meanwhile: `resilience apply`, which sets `ISSUE_1278_WORKAROUND_ENABLED=true DATABASE_MODE=local`"),
        ("psql -h db -c 'select usename, count(*) from x' (as a superuser); stop it",
         "`psql -h db -c 'select usename, count(*) from x'` (as a superuser); stop it"),
        ("ip route get db; is it [up]?", "`ip route get db`; `is it [up]?`"),
        ("resilience doctor names the key; make sure", "`resilience doctor` names the key; make sure"),
        ("compare user and password with the vault's", "compare user and password with the vault's"),
    ],
)  # fmt: skip
def test_what_is_to_be_typed_is_shown_as_code(text: str, shown: str) -> None:
    assert hint(text) == shown
    assert "".join(piece for _, piece in pieces(text)) == text
