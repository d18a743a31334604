"""Whom to tell is read strictly, and nothing of it is set by default."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from resilience.core.settings import AlertSettings, EscalationSettings, PublishSettings, WatchSettings
from tests.kits.config_texts import one, refused, settings

HTTP = one("http", url="'http://a'")


def test_by_default_nothing_is_sent_anywhere() -> None:
    found = settings("", {"GITHUB_TOKEN": "ghp_a-token", "GITHUB_REPOSITORY": "them/theirs"})
    assert found.publish == PublishSettings(repository="")
    assert found.alerts == AlertSettings()
    assert not found.alerts.configured
    assert found.watch == WatchSettings()
    assert not found.watch.heartbeat_url
    assert found.escalation == EscalationSettings(mention="")
    assert found.maintenance == ()


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[publish]\nrepositry = "a/b"', ("publish.repositry", ":2", 'did you mean "repository"')),
        ('[publish]\nrepository = "https://github.com/a/b"', ("publish.repository", "owner/name")),
        ('[publish]\nrepository = "a"', ("owner/name",)),
        ("[publish]\nauthors = 'me'", ("a list of texts",)),
        ('[alerts]\nwebhok_url = "http://x"', ('did you mean "webhook_url"',)),
        ('[alerts]\nwebhook_url = "ftp://x"', ("alerts.webhook_url", "http://")),
        ("[alerts]\ntemplate = '{\"a\": '", ("alerts.template", "JSON")),
        ('[alerts]\ntemplate = \'{"a": "{titel}"}\'', ("{titel}", 'did you mean "title"')),
        ('[alerts]\nheaders = { "a b" = "x" }', ("the name of an HTTP header",)),
        ('[alerts]\nheaders = { "X" = "a\\nb" }', ("line breaks",)),
        ("[watch]\ninterval = 3", ("watch.interval", "interval_s")),
        ('[watch]\ndown = "3 of 2"', ("watch.down", "k of n", 'down = "2 of 3"')),
        ('[watch]\nup = "all"', ("watch.up",)),
        ('[watch]\nheartbeat_url = "ping"', ("watch.heartbeat_url",)),
        ("[[maintenance]]\nfrom = 2026-12-01T22:00:00\nto = 2026-12-02T02:00:00Z", ("maintenance 1.from", "zone")),
        ("[[maintenance]]\nfrom = 2026-12-02T22:00:00Z\nto = 2026-12-02T02:00:00Z", ("a time after from",)),
        ("[[maintenance]]\nto = 2026-12-02T02:00:00Z", ("maintenance 1.from",)),
        (
            HTTP + '[[maintenance]]\nfrom = 2026-12-01T22:00:00Z\nto = 2026-12-02T02:00:00Z\nservices = ["itt"]',
            ("'itt'", 'did you mean "it"'),
        ),
        ('[escalation]\ncontact = ["x"]', ('did you mean "contacts"',)),
    ],
)
def test_what_cannot_be_is_refused_by_name_and_line(toml: str, words: tuple[str, ...]) -> None:
    said = refused(toml)
    for word in words:
        assert word in said, said


def test_a_whole_configuration_is_read() -> None:
    found = settings(
        HTTP
        + """
[publish]
repository = "octo/shop"
authors = ["ci-bot"]
[alerts]
webhook_url = "https://hooks.example/${HOOK}"
headers = { Authorization = "Bearer ${ALERT_TOKEN}" }
template = '{"routing_key": "${PAGER_KEY}", "dedup_key": "{key}"}'
urls = ["mailto://${MAIL}"]
[watch]
interval_s = 60
down = "3 of 5"
reminder_minutes = 0
heartbeat_url = "https://beat.example/${BEAT}"
[[maintenance]]
from = 2026-12-01T23:00:00+01:00
to = 2026-12-02T02:00:00Z
services = ["it"]
why = "upgrade"
""",
        {
            "HOOK": "T000/B000/abcdefghijklmnop",
            "ALERT_TOKEN": "tok-12345678",
            "PAGER_KEY": "R0UT1NG-KEY-000",
            "BEAT": "uuid-0",
        },
    )
    assert found.publish.repository == "octo/shop"
    assert found.alerts.webhook_url.reveal() == "https://hooks.example/T000/B000/abcdefghijklmnop"
    assert found.alerts.values["PAGER_KEY"].reveal() == "R0UT1NG-KEY-000"
    assert found.alerts.unset == ("MAIL",)
    assert (found.watch.down, found.watch.up, found.watch.reminder_minutes) == ((3, 5), (3, 3), 0)
    (window,) = found.maintenance
    assert (window.since, window.services, window.why) == (datetime(2026, 12, 1, 22, tzinfo=UTC), ("it",), "upgrade")
    secrets = {secret.reveal() for secret in found.secrets}
    assert {"abcdefghijklmnop", "tok-12345678", "R0UT1NG-KEY-000", "https://beat.example/uuid-0"} <= secrets


def test_an_unset_variable_of_an_alert_stops_nothing_else() -> None:
    found = settings('[alerts]\nwebhook_url = "${HOOK}"')
    assert found.alerts.unset == ("HOOK",)
    assert not found.alerts.webhook_url
