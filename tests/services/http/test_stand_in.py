"""An HTTP service is imitated as what it is configured to be, and a real one is asked what the team asks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.core.secret import Secret
from resilience.core.settings import Service
from resilience.services.http.stand_in import STAND_INS
from resilience.services.registry import KINDS
from resilience.settings.build import build
from resilience.stand_ins.endpoints import endpoint
from tests.kits.stand_in_kit import service


def configured(*lines: str) -> Service:
    text = "\n".join(
        ("[[service]]", 'name = "gate"', 'type = "http"', 'local = "http://localhost:8090/health"', *lines)
    )
    settings = build(
        text, source=Path("/x/resilience.toml"), root=Path("/x"), environ={}, profile_texts={}, kinds=KINDS
    )
    return settings.services[0]


def test_the_key_decides_which_mock_it_is() -> None:
    assert STAND_INS.mock(configured('mock = "auth"')) == "auth"
    assert STAND_INS.mock(configured('mock = "backend"')) == "backend"
    assert STAND_INS.mock(replace(configured('mock = "backend"'), name="auth_service")) == "backend"
    with pytest.raises(SettingsError, match="mock"):
        configured("mock = 3")


def test_a_mock_that_is_none_is_refused_when_the_settings_are_read() -> None:
    with pytest.raises(SettingsError, match=r'mock.*\'database\'.*"backend" or "auth"') as refused:
        configured('mock = "database"')
    assert refused.value.hint == 'mock = "backend", or leave it out'
    assert set(KINDS["http"].choices["mock"]) == set(STAND_INS.mocks)


@pytest.mark.parametrize(
    ("name", "mock"),
    [
        *(("auth_service", "auth"), ("my-auth", "auth"), ("sso", "auth")),
        *(("backend_api", "backend"), ("author_api", "backend"), ("authority", "backend"), ("oauthless", "backend")),
    ],
)
def test_without_the_key_the_words_of_its_name_decide_and_not_a_part_of_one(name: str, mock: str) -> None:
    assert STAND_INS.mock(replace(configured(), name=name)) == mock


def test_a_real_one_is_asked_at_the_teams_path_and_never_told_what_staging_is_told() -> None:
    one = service("backend_api", "http://:token@localhost:1/api/ready", headers={"Authorization": Secret("staging's")})
    asked = STAND_INS.probed(one, endpoint(one))
    assert asked.local.reveal() == "http://127.0.0.1:1/api/ready"
    assert {name: value.reveal() for name, value in asked.headers.items()} == {"Authorization": "Bearer token"}
    bare = service("backend_api", "http://localhost:1")
    assert STAND_INS.probed(bare, endpoint(bare)).local.reveal() == "http://127.0.0.1:1/health"
