"""A `local` URL leads to this machine's loopback, or is refused by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from resilience import stand_ins as local
from resilience.core.secret import Secret
from resilience.core.settings import Service, Settings
from resilience.services.registry import KINDS
from tests.kits.kinds import ServiceType
from tests.kits.stand_in_kit import (
    service,
)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://app:s3cr3t@db.staging.example/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@10.52.0.3:5432/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@localhost.example:5432/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@0.0.0.0:5432/app", "is not on this machine's loopback"),
        ("postgresql://app:s3cr3t@localhost:99999/app", "cannot be read"),
        ("mysql://app:s3cr3t@localhost/app", "begins with mysql://, expected postgresql://"),
        ("", "no `local` URL is configured"),
    ],
)
async def test_what_is_not_on_loopback_is_refused_by_name(
    checkout: Callable[..., Settings], url: str, why: str
) -> None:
    settings = checkout([Service(name="database", kind=KINDS[ServiceType.POSTGRESQL], local=Secret(url))])
    found = (await local.start(settings.services, settings))[0]
    could = local.availability(settings.services, settings)[0]
    for text in (found.error, could.reason):
        assert text.startswith("database: ")
        assert why in text
        assert "s3cr3t" not in text
    assert not found.ready
    assert not could.usable
    assert await local.connections(settings.services[0]) is None


async def test_an_unset_variable_and_a_denied_host_are_named(checkout: Callable[..., Settings]) -> None:
    unset = Service(name="database", kind=KINDS[ServiceType.POSTGRESQL], local_unset=("POSTGRES_PASSWORD",))
    denied = service("redis", "redis://localhost:1/0")
    settings = checkout([unset, denied], deny_hosts=("localhost",))
    first, second = local.availability(settings.services, settings)
    assert "POSTGRES_PASSWORD, which is not set" in first.reason
    assert "deny_hosts" in second.reason
