"""Values inside JSON, arrays, hstore, rows, search vectors and XML are replaced, and nothing else is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from resilience.services.postgresql import nested

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


def shout(name: str, value: str, number: bool) -> str:
    return "9" if number else f"<{name}:{value}>"


def as_it_is(_name: str, value: str, _number: bool) -> str:
    return value


@settings(max_examples=40)
@given(JSON)
def test_json_in_which_nothing_is_replaced_means_the_same(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        assert json.loads(nested.in_json(text, as_it_is)) == value


@settings(max_examples=40)
@given(JSON)
def test_no_text_of_json_is_left_out(value: Any) -> None:
    def texts(one: Any) -> list[str]:
        if isinstance(one, dict):
            return [text for inner in one.values() for text in texts(inner)]
        if isinstance(one, list):
            return [text for inner in one for text in texts(inner)]
        return [one] if isinstance(one, str) else []

    met: list[str] = []

    def meet(_name: str, told: str, number: bool) -> str:
        met.extend([] if number else [told])
        return told

    nested.in_json(json.dumps(value), meet)
    assert met == texts(value)


def test_a_text_in_json_comes_with_the_name_of_its_field_and_numbers_keep_their_digits() -> None:
    text = '{"a": "x", "b": [1.50, {"c": "y\\n"}, "z"], "a":null,"d":{"e":true}, "f":"g"}'
    assert nested.in_json(text, lambda name, value, number: value if number else name.upper()) == (
        '{"a": "A", "b": [1.50, {"c": "C"}, "B"], "a":null,"d":{"e":true}, "f":"F"}'
    )
    assert (
        nested.in_json('{"anna@x.org": {"k": 1}}', as_it_is, key=lambda name: name.replace("anna@x.org", "somebody"))
        == '{"somebody": {"k": 1}}'
    )


def test_depth_costs_no_stack() -> None:
    text = "[" * 50_000 + '"deep"' + "]" * 50_000
    assert '"<:deep>"' in nested.in_json(text, shout)


@pytest.mark.parametrize("text", ["{", "{x}", "[1}}", "'a'", '{"a": "b'])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        nested.in_json(text, as_it_is)


def test_elements_of_arrays_are_replaced_with_bounds_depth_and_null_kept() -> None:
    assert nested.in_array('{a,"b c",NULL,"NULL",{"q\\"x",y\\\\}}', shout) == (
        '{"<:a>","<:b c>",NULL,"<:NULL>",{"<:q\\"x>","<:y\\\\>"}}'
    )
    assert nested.in_array("[0:1]={a,b}", shout) == '[0:1]={"<:a>","<:b>"}'
    assert nested.in_array("{}", shout) == "{}"


def test_hstore_rows_ranges_and_search_vectors() -> None:
    assert nested.in_hstore('"a"=>"b", "c\\"d"=>NULL, "e"=>""', shout) == '"a"=>"<a:b>", "c\\"d"=>NULL, "e"=>"<e:>"'
    assert nested.in_row('(a,"b ""c""",,4)', shout) == '(<:a>,"<:b ""c"">",,<:4>)'
    assert nested.in_row("[1,5)", lambda _name, value, _number: str(int(value) + 1)) == "[2,6)"
    assert nested.in_vector_of_words("'cat':1A 'it''s':2,3", shout) == "'<:cat>':1A '<:it''s>':2,3"


def test_texts_and_attributes_of_xml_are_replaced_and_what_else_may_tell_is_gone() -> None:
    text = (
        '<?xml version="1.0"?>tail <a x = "se>cret"><!-- Anna --><?do Anna?>text <b>bold</b><![CDATA[<raw>]]></a> end'
    )
    made = nested.in_xml(text, lambda _name, value, _number: "X")
    assert made == '<?xml version="1.0"?>X<a x ="X">X<b>X</b>X</a>X'
    assert nested.in_xml('<!DOCTYPE a [<!ENTITY n "Anna">]><a>&n;</a>', shout) == "<masked/>"
    assert nested.in_xml("a < Anna", shout) == "<masked/>"
