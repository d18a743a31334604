"""resilience.report.view.suites: the product's failures come first, and an outage is never one of them."""

from __future__ import annotations

from resilience import report
from resilience.core.records import Outcome
from resilience.report.series import Columns
from resilience.report.view import build
from tests.kits import incident_factory as factory


def test_product_failures_come_first() -> None:
    view = build(factory.drill().incident, Columns())
    assert [group.key for group in view.suites[0].groups][:2] == ["product", "suspect"]
    text = report.markdown(factory.drill().incident)
    assert text.index("test_total_is_rounded") < text.index("test_flow") < text.index("test_counter")


def test_nothing_of_an_outage_counts_as_a_product_failure() -> None:
    view = build(factory.drill().incident, Columns())
    (product,) = [group for group in view.suites[0].groups if group.key == "product"]
    assert {test.outcome for test in product.tests} == {Outcome.FAILED, Outcome.ERROR}
