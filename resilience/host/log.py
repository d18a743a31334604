"""Turn an assessment into the outage guide's log lines, out of the logger "resilience"."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from resilience.core.records import Applied, ConnectivityResult, ConnectivityStatus, InfrastructureHealth
from resilience.core.settings import Service

logger = logging.getLogger("resilience")

FORMAT = "%(levelname)s: %(message)s"
"""Makes the lines read as in the guide: `INFO: Service database: available (0.123s)`."""


@contextmanager
def quiet() -> Iterator[None]:
    """Say nothing meanwhile: looks taken for the record only would bury what matters."""
    was, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was


def log_health(health: InfrastructureHealth) -> None:
    """Log a line per service that was asked, and one for the whole."""
    for result in health.services:
        if result.status is not ConnectivityStatus.NOT_CONFIGURED:
            log_service(result)
    logger.info("Infrastructure health assessment complete: %s", health.overall_status.value)


def log_service(result: ConnectivityResult) -> None:
    """Log one service: a warning where it is unavailable or unknown, as in the guide."""
    well = result.status in (ConnectivityStatus.AVAILABLE, ConnectivityStatus.DEGRADED)
    level = logging.INFO if well else logging.WARNING
    logger.log(level, "Service %s: %s (%.3fs)", result.name, result.status.value, result.response_time_s or 0.0)


def log_applied(applied: Applied, services: Iterable[Service]) -> None:
    """Log the mode, and each stand-in in use of these services, as in the guide.

    A mock is called as the guide calls that service, a server by its product; what has a team's own name keeps it.
    """
    kinds = {service.name: service.kind for service in services}
    logger.info("Applied resilient configuration for %s mode", applied.mode.value)
    for stand_in in applied.stand_ins:
        if not stand_in.ready:
            continue
        kind = kinds[stand_in.service]
        if stand_in.provider == "mock":
            label = next((known.label for known in kind.templates if known.name == stand_in.service), stand_in.service)
            logger.info("Enabling %s mock mode due to service unavailability", label)
        else:
            logger.info(
                "Falling back to local %s due to unavailability", stand_in.service if kind.is_mocked else kind.title
            )
