"""Turn what is installed on this machine into an answer per service: could it be stood in for, and by what."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from resilience.core.errors import StandInError
from resilience.core.records import StandInAvailability
from resilience.core.settings import Service
from resilience.host.demand import on_demand
from resilience.services.place import Endpoint, port_open
from resilience.stand_ins.checkout import Checkout
from resilience.stand_ins.endpoints import endpoint

with on_demand():
    # Where a service has a local address at all; one given by `--url` has none.
    from resilience.services import standing_in
    from resilience.stand_ins import compose, own_rules


def availability(services: Sequence[Service], checkout: Checkout) -> tuple[StandInAvailability, ...]:
    """Say for each service whether it could be stood in for here. Nothing is started, and nobody is asked anything.

    Files are looked for. Connected to are only the container engine's own socket, for the mere presence of its command
    proves nothing, and the port of a service whose kind has no stand-in of ours.

    An offer is no promise: whether it comes up is seen when it is started, and a failure then leads to a second
    decision.
    """
    by_name = {service.name: service for service in services}
    return tuple(_available(service, checkout, by_name) for service in services)


def _available(service: Service, checkout: Checkout, by_name: Mapping[str, Service]) -> StandInAvailability:
    try:
        offer = _own_offer(service, checkout, by_name) if service.own.command else _offer(service, checkout)
    except StandInError as exc:
        return StandInAvailability(service=service.name, usable=False, provider="", reason=str(exc))
    return StandInAvailability(
        service=service.name, usable=bool(offer.provider), provider=offer.provider, reason=offer.words
    )


def _own_offer(service: Service, checkout: Checkout, by_name: Mapping[str, Service]) -> standing_in.Offer:
    """Return the team's own command, if it could be started. Raises StandInError that says why it could not."""
    place = endpoint(service, checkout.deny_hosts)
    own_rules.check(service, checkout, own_rules.exported(service, by_name))
    return standing_in.Offer(provider=own_rules.START, words=f"its own command, on {place.shown}")


def _offer(service: Service, checkout: Checkout) -> standing_in.Offer:
    """Return the first provider that could serve: the team's container, else what the kind itself can start.

    A kind that can start nothing has only what the team runs itself, and so its port is looked at: a connection on
    loopback, which says that something is there and not yet what.
    """
    doubles = service.kind.doubles
    if doubles is None and not service.local and not service.local_unset:
        return standing_in.Offer(provider="", words=standing_in.NONE)
    place, stand_ins = endpoint(service, checkout.deny_hosts), standing_in.stand_ins_of(service.kind)
    if service.own.contained:
        own_rules.check(service, checkout, {})
        if contained := _contained(service, place):
            return contained
        if service.kind.is_mocked:
            return standing_in.Offer(
                provider="",
                words="no container engine is here for its image or compose file; a mock is not used for it",
            )
    stand_ins.check(service)
    if doubles is None:
        listens = port_open(place.bind, place.port)
        words = f"what listens on {place.shown}, if it proves to be it" if listens else standing_in.NONE
        return standing_in.Offer(provider="running" if listens else "", words=words)
    offers = []
    if doubles.compose and compose.file(checkout) and _engine_socket():
        offers.append(
            standing_in.Offer(provider="compose", words=f"docker compose, if its engine answers, on {place.shown}")
        )
    if found := stand_ins.offer(place):
        offers.append(found)
    wished = service.providers
    if wished:
        offers = sorted((one for one in offers if one.provider in wished), key=lambda one: wished.index(one.provider))
        words = f"provider = {list(wished)} allows none that is here. Hint: add one of system, wheel, mock"
        return next(iter(offers), standing_in.Offer(provider="", words=words))
    return next(iter(offers), standing_in.Offer(provider="", words=doubles.unavailable or standing_in.NONE))


def _contained(service: Service, place: Endpoint) -> standing_in.Offer | None:
    """Return the team's own container, where an engine seems to be there and `provider` does not forbid it."""
    provider = "image" if service.own.image else "compose"
    if service.providers and provider not in service.providers:
        return None
    if not _engine_socket() and shutil.which("podman") is None:
        return None
    named = service.own.image or f"{service.own.compose_service} of {service.own.compose_file}"
    return standing_in.Offer(provider=provider, words=f"{named}, if the container engine answers, on {place.shown}")


def _engine_socket() -> bool:
    """Say whether a container engine of this machine listens on its socket.

    Its command alone may be there without one.
    """
    if shutil.which("docker") is None:
        return False
    url = urlsplit(os.environ.get("DOCKER_HOST", ""))
    if url.scheme and url.scheme != "unix":
        return False  # an engine elsewhere would not publish on this machine's loopback
    path = url.path or next((name for name in _sockets() if Path(name).exists()), "")
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(0.2)
            client.connect(path)
    except OSError:
        return False
    return True


def _sockets() -> tuple[str, ...]:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return ("/var/run/docker.sock", f"{runtime}/docker.sock", str(Path.home() / ".docker/run/docker.sock"))
