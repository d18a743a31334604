"""The built-in kinds keep the rules of their record, and what they name by dotted name is there."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from resilience.core.kind import Kind, check_kind
from resilience.core.settings import Deadlines
from resilience.core.variables import GUIDE
from resilience.services.registry import BUILT_IN, KINDS, resolve
from tests.kits.kinds import ServiceType

OF_THE_GUIDE = set(ServiceType)
FOLDER = Path(inspect.getfile(resolve)).parent


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_a_built_in_kind_keeps_the_rules_of_the_record(kind: Kind) -> None:
    assert check_kind(kind, kind.name, "resilience") is kind
    assert kind.local_schemes or kind.doubles is None
    assert hasattr(Deadlines(), kind.deadline)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_what_a_kind_names_is_there(kind: Kind) -> None:
    assert inspect.iscoroutinefunction(resolve(kind.probe))
    if kind.preload:
        assert resolve(kind.preload)


def test_each_folder_with_a_record_is_a_line_of_the_registry() -> None:
    assert {path.parent.name for path in FOLDER.glob("*/kind.py")} == {kind.name for kind in BUILT_IN}


def test_no_two_services_of_the_guide_share_a_name_or_a_short_name() -> None:
    names = [name for _, template in KINDS.templates() for name in (template.name, *template.short_names)]
    assert len(names) == len(set(names))


def test_each_switch_of_the_guide_is_for_a_service_of_a_kind() -> None:
    switched = {row.service for row in GUIDE if row.service}
    assert switched <= {template.name for _, template in KINDS.templates()}


@pytest.mark.parametrize(
    "kind", [kind for kind in BUILT_IN if kind.name not in OF_THE_GUIDE], ids=lambda kind: kind.name
)
def test_each_kind_has_a_page_that_says_whether_a_real_server_was_tried(kind: Kind) -> None:
    page = (Path(__file__).parents[2] / f"docs/services/{kind.name}.md").read_text(encoding="utf-8")
    assert f'type = "{kind.name}"' in page
    assert ("Not tried on a real server" in page) == bool(kind.untried)
