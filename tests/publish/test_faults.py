"""What may go wrong while people are told, and the tests that make it happen: each row names at least one that exists.

A row that is taken out, or a test that is renamed, fails here: so nobody has to search for what was thought of.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

FAULTS = {
    "no token": ["runs/test_telling.py::test_without_a_token_it_waits_and_goes_with_the_next"],
    "a token, and nothing configured": ["runs/test_telling.py::test_a_token_alone_writes_nothing_anywhere"],
    "no rights (401, 403)": [
        "publish/test_github.py::test_what_would_be_refused_again_is_refused",
        "publish/test_github.py::test_a_body_that_is_too_long_is_refused_and_a_token_without_rights_too",
    ],
    "labels dropped silently": ["publish/test_sticky.py::test_a_label_is_read_back"],
    "the issue is closed": ["runs/test_telling.py::test_a_closed_issue_is_written_to_with_a_warning"],
    "the issue is locked": [
        "runs/test_telling.py::test_an_issue_that_cannot_be_written_to_is_said_and_not_tried_for_ever"
    ],
    "the issue is missing or deleted (404, 410)": [
        "publish/test_github.py::test_what_would_be_refused_again_is_refused",
        "runs/test_telling.py::test_an_issue_that_cannot_be_written_to_is_said_and_not_tried_for_ever",
    ],
    "the issue of another repository": ["runs/test_telling.py::test_any_other_issue_is_refused"],
    "too long (422)": [
        "publish/test_github.py::test_a_body_that_is_too_long_is_refused_and_a_token_without_rights_too",
        "publish/test_comment.py::test_a_body_is_below_githubs_limit_whatever_the_summary_and_the_diagram",
    ],
    "limits (429, secondary, reset)": [
        "publish/test_github.py::test_what_may_pass_is_put_off_until_github_wants_to_be_asked",
        "runs/test_telling.py::test_a_limit_beyond_the_time_puts_off_and_one_within_it_is_obeyed",
    ],
    "5xx": ["publish/test_github.py::test_what_may_pass_is_put_off_until_github_wants_to_be_asked"],
    "lost replies": [
        "publish/test_sticky.py::test_a_lost_answer_makes_no_second_comment",
        "runs/test_telling.py::test_a_lost_answer_is_tried_again_after_a_look_and_writes_once",
        "runs/test_watching.py::test_a_lost_answer_sends_it_again_under_the_same_id",
    ],
    "servers that hang": [
        "publish/test_github.py::test_a_server_that_hangs_is_left_after_the_deadline",
        "publish/test_alerts.py::test_a_receiver_that_hangs_or_is_gone_is_put_off_within_the_deadline",
    ],
    "five hosts at once, two identities": [
        "publish/test_sticky.py::test_five_hosts_with_two_identities_come_to_one_comment_within_one_more_round"
    ],
    "a stranger's comment with our mark": [
        "publish/test_sticky.py::test_a_strangers_comment_with_our_mark_is_not_ours"
    ],
    "hostile text from services": [
        "report/exports/test_summary.py::test_hostile_texts_mention_nobody_and_link_nowhere",
        "publish/test_markers.py::test_any_name_comes_back_and_ends_no_comment",
        "publish/test_alerts.py::test_the_template_for_pagerduty_in_the_docs_fits_its_published_schema",
    ],
    "secrets": [
        "runs/test_telling.py::test_a_secret_that_got_into_the_text_stops_everything",
        "publish/test_alerts.py::test_a_secret_in_the_text_keeps_it_here_and_the_routing_key_leaves",
    ],
    "a watch that is killed": [
        "runs/test_watching.py::test_killed_ten_times_while_it_alerts_no_alert_is_lost_and_none_is_doubled"
    ],
    "a receiver that is down": [
        "runs/test_watching.py::test_a_receiver_that_is_down_is_said_once_and_gets_all_in_order_when_it_is_back"
    ],
}
"""What goes wrong → the tests that claim what happens then."""
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_test(fault: str) -> None:
    for place in FAULTS[fault]:
        file, _, name = place.partition("::")
        tree = ast.parse((TESTS / file).read_text())
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        assert name in names, place
