"""Every value that must not be shown is known, wherever it was configured."""

from __future__ import annotations

from resilience.core.secret import Secret
from tests.kits.config_texts import DATABASE, PROFILE, STAGING, one, settings


def test_every_secret_is_collected() -> None:
    toml = DATABASE + one("http", url='"https://t0ken-user@h/x"', headers='{ X-Key = "head3r" }')
    environ = {
        **STAGING,
        "MY_API_TOKEN": "tok-1",
        "SENTRY_DSN": "https://k@s/1",
        "OTHER": "amqp://u:mq-pw@h",
        "HOME": "/x",
    }
    found = {secret.reveal() for secret in settings(toml, environ, {".env.test.resilient": PROFILE}).secrets}
    assert {"s3cret-pw", "dev-only", "t0ken-user", "head3r", "tok-1", "https://k@s/1", "mq-pw"} <= found
    assert not {"/x", "app", "db.staging.example"} & found


def test_settings_shown_in_a_notebook_show_no_secret() -> None:
    found = settings(DATABASE, STAGING, {".env.test.resilient": PROFILE})
    assert "s3cret-pw" not in repr(found)
    assert "dev-only" not in repr(found)
    assert "s3cret-pw" not in str(found.services[0].url)
    assert f"{Secret('x')}" == "***"
