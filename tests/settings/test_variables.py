"""What `${NAME}` means depends on who speaks: the environment, a profile, or what apply wrote."""

from __future__ import annotations

import pytest

from resilience.core.settings import Wishes
from tests.kits.config_texts import DATABASE, PROFILE, ROOT, one, refused, settings

SHARED = one("redis", url='"${REDIS_URL}"', local='"${REDIS_URL}"', exports='{ REDIS_URL = "{local}" }')
REDIS_PROFILE = {".env.test.resilient": "REDIS_URL=redis://127.0.0.1:6382/0\n"}


def test_one_variable_may_serve_staging_and_its_stand_in_until_it_is_applied() -> None:
    [before] = settings(SHARED, {"REDIS_URL": "redis://cache.example:6379/0"}, REDIS_PROFILE).services
    assert before.url.reveal() == "redis://cache.example:6379/0"
    assert before.local.reveal() == "redis://127.0.0.1:6382/0"
    applied = {"REDIS_URL": "redis://127.0.0.1:6382/0", "RESILIENCE_APPLIED": "run"}
    [after] = settings(SHARED, applied, REDIS_PROFILE).services
    assert not after.configured
    assert after.unset == ("REDIS_URL",)
    assert after.local.reveal() == "redis://127.0.0.1:6382/0"


def test_a_profile_never_fills_the_staging_url_with_this_machine() -> None:
    profile = {".env.test.resilient": "DATABASE_URL=postgresql://u:p@127.0.0.1:5435/d\n"}
    for environ in ({}, {"RESILIENCE_APPLIED": "r", "DATABASE_URL": "postgresql://u:p@127.0.0.1:5435/d"}):
        [service] = settings(one("postgresql", url='"${DATABASE_URL}"'), environ, profile).services
        assert not service.configured
        assert service.unset == ("DATABASE_URL",)


def test_a_profile_may_name_staging_itself() -> None:
    profile = {".env.test.resilient": "STAGING_API=https://api.staging.example/health\n"}
    for environ in ({}, {"RESILIENCE_APPLIED": "r", "STAGING_API": "https://api.staging.example/health"}):
        [service] = settings(one("http", url='"${STAGING_API}"'), environ, profile).services
        assert service.configured


def test_in_an_applied_shell_stand_ins_come_from_the_profile_and_wishes_from_nobody() -> None:
    environ = {
        "RESILIENCE_APPLIED": "run",
        "POSTGRES_PORT": "1111",
        "TEST_OFFLINE": "true",
        "DATABASE_MODE": "local",
        "INFRASTRUCTURE_DEGRADED_MODE": "true",
    }
    found = settings(DATABASE, environ, {".env.test.resilient": PROFILE})
    assert found.services[0].local.reveal().endswith(":5435/app_test")
    assert found.wishes == Wishes()
    assert found.applied_run == "run"


FROM_FILE = '[runbook]\nstaging_env = ".env.staging"\n'
OF_STAGING = "DATABASE_URL=postgresql://app:s3cret-9@127.0.0.1:6543/app\n"
DATABASE_BY_URL = one(
    "postgresql",
    url='"${DATABASE_URL}"',
    local='"postgresql://a:b@127.0.0.1:5435/d"',
    exports='{ DATABASE_URL = "{local}" }',
)


@pytest.mark.parametrize(
    "environ", [{}, {"RESILIENCE_APPLIED": "run", "DATABASE_URL": "postgresql://a:b@127.0.0.1:5435/d"}]
)
def test_the_file_with_stagings_values_says_where_staging_is_also_behind_a_tunnel_and_while_applied(
    environ: dict[str, str],
) -> None:
    found = settings(FROM_FILE + DATABASE_BY_URL, environ, staging=OF_STAGING)
    [service] = found.services
    assert service.url.reveal() == "postgresql://app:s3cret-9@127.0.0.1:6543/app"
    assert "s3cret-9" in [secret.reveal() for secret in found.secrets]
    assert found.staging_env == ROOT / ".env.staging"


def test_what_stands_in_the_environment_comes_before_the_file_with_stagings_values() -> None:
    environ = {"DATABASE_URL": "postgresql://u:p@db.example/d"}
    [service] = settings(FROM_FILE + DATABASE_BY_URL, environ, staging=OF_STAGING).services
    assert service.url.reveal() == "postgresql://u:p@db.example/d"


def test_the_file_with_stagings_values_fills_no_stand_in_and_is_never_exported() -> None:
    text = one("redis", url='"${REDIS_URL}"', local='"${REDIS_LOCAL}"', exports='{ REDIS_URL = "{local}" }')
    staging = "REDIS_URL=redis://r.example\nREDIS_LOCAL=redis://127.0.0.1:1\n"
    found = settings(FROM_FILE + text, {}, staging=staging)
    [service] = found.services
    assert service.url.reveal() == "redis://r.example"
    assert service.local_unset == ("REDIS_LOCAL",)
    assert dict(found.values) == {}


def test_a_broken_line_of_the_file_with_stagings_values_is_named() -> None:
    assert ".env.staging:2" in refused(FROM_FILE, staging="A=1\nB='x\n")
