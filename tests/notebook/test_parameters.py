"""What the notebooks declare is what the parser accepts."""

from __future__ import annotations

import pytest

from resilience.notebook.parameters import BY_NAME, PARAMETERS, Parameter
from resilience.notebook.passed import parse


def test_none_is_the_default() -> None:
    assert parse(dict.fromkeys(BY_NAME)) == {parameter.name: parameter.default for parameter in PARAMETERS}


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_each_default_is_a_value_that_may_be_passed(parameter: Parameter) -> None:
    assert parse({parameter.name: parameter.default}) == {parameter.name: parameter.default}


def test_no_name_is_declared_twice() -> None:
    assert len(BY_NAME) == len(PARAMETERS)
