"""The settings that count here come with the kinds of services that are known, whichever way they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from resilience.core.errors import SettingsError
from resilience.runs.configuration import load_settings, settings_for_url
from resilience.services.registry import KINDS


def test_the_configuration_of_the_current_folder_counts_and_its_services_know_their_kind(team: Path) -> None:
    settings = load_settings()
    assert settings.source == team / "resilience.toml"
    assert settings.services[0].kind is KINDS["http"]


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("postgresql://127.0.0.1:1/x", "postgresql"),
        ("redis://127.0.0.1:1/0", "redis"),
        ("https://127.0.0.1:1/", "http"),
        ("ws://127.0.0.1:1/", "websocket"),
    ],
)
def test_a_url_alone_names_its_kind_by_its_scheme(tmp_path: Path, url: str, kind: str) -> None:
    (service,) = settings_for_url([url], cwd=tmp_path, environ={}).services
    assert service.kind is KINDS[kind]


def test_a_type_that_no_kind_has_is_refused_with_the_known_ones(team: Path) -> None:
    config = team / "resilience.toml"
    config.write_text(config.read_text().replace('type = "http"', 'type = "htttp"'))
    with pytest.raises(SettingsError, match='did you mean "http"'):
        load_settings()
