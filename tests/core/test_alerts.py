"""resilience.core.alerts: the body is JSON whatever a service said, and a template is filled in its texts alone."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given, strategies as st

from resilience.core.alerts import PLACES, Action, Alert, Severity, body, document, places_of
from tests.kits.records import AT

ALERT = Alert(
    id="staging-1/2",
    key="staging-1",
    action=Action.TRIGGER,
    kind="opened",
    severity=Severity.CRITICAL,
    title="staging: database is down",
    text="since 03:14",
    environment="staging",
    at=AT,
    services=("database", "redis"),
    issue="#1278",
)


def test_our_own_document_holds_every_place() -> None:
    found = document(ALERT)
    assert set(found) == {"schema", *PLACES}
    assert found["services"] == ["database", "redis"]
    assert json.loads(body(ALERT, "")) == found


def test_a_template_is_filled_in_texts_at_any_depth_and_keys_and_numbers_stay() -> None:
    template = '{"a": ["{key}", 1, {"b": "[{severity}] {title}"}], "{key}": null}'
    assert json.loads(body(ALERT, template)) == {
        "a": ["staging-1", 1, {"b": "[critical] staging: database is down"}],
        "{key}": None,
    }


def test_a_variable_is_put_in_only_where_its_value_is_given() -> None:
    template = '{"routing_key": "${PAGER_KEY}"}'
    assert json.loads(body(ALERT, template)) == {"routing_key": "${PAGER_KEY}"}
    assert json.loads(body(ALERT, template, {"PAGER_KEY": "k{title}"})) == {"routing_key": "k{title}"}


@given(st.text(), st.text())
def test_what_a_service_said_stays_inside_its_text(title: str, text: str) -> None:
    said = replace(ALERT, title=title + '", "x": "${KEY}{key}', text=text)
    found = json.loads(body(said, '{"t": "{title}", "u": "{text}"}', {"KEY": "secret"}))
    assert found == {"t": said.title, "u": text}


def test_places_are_named_and_variables_are_none() -> None:
    assert list(places_of({"a": ["{one} ${TWO} {three_x}"], "{no}": 1})) == ["one", "three_x"]
