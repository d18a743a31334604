"""Turn services, the environment and env files into the list of values that must not be shown."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from urllib.parse import parse_qsl, unquote

from resilience.core.secret import Secret, looks_secret
from resilience.core.settings import Service
from resilience.core.urls import url_parts
from resilience.settings.variables import Variables


def all_secrets(services: Sequence[Service], variables: Variables, more: Iterable[str] = ()) -> tuple[Secret, ...]:
    """Return every value that must not be shown, longest first, so that no secret is cut by a shorter one."""
    found: set[str] = set(more)
    for service in services:
        found.update(_of_service(service))
    found |= secret_texts(variables.environ.items())
    for _, _, file in variables.files:
        found |= secret_texts((name, value) for name, (value, _) in file.items())
    found |= secret_texts((name, value) for name, (value, _) in variables.staging_file.items())
    kept = sorted((text for text in found if text.strip()), key=lambda text: (-len(text), text))
    return tuple(Secret(text) for text in kept)


def _of_service(service: Service) -> Iterator[str]:
    """Return what its URLs, headers and `env` hold: passwords, a user that is a token, secret parameters, header values."""
    for url in filter(None, (service.url, service.local, service.teach_from)):
        parts = url_parts(url, service.kind)
        yield parts.password.reveal()
        if not parts.password and service.kind.user_is_secret:
            yield parts.user
        yield from (value for name, value in parse_qsl(parts.query) if looks_secret(name))
    yield from secret_texts((name, value.reveal()) for name, value in service.own.env.items())
    for name, header in service.headers.items():
        yield from _in_header(name, header.reveal())


def secret_texts(variables: Iterable[tuple[str, str]]) -> set[str]:
    """Return the values among these variables that must not be shown: by their name, and passwords in URLs."""
    found: set[str] = set()
    for name, text in variables:
        if looks_secret(name):
            found.add(text)
        if "://" in text and (match := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^:/@\s]*:(.+)@", text)):
            found.update((match[1], unquote(match[1])))
    return found


def _in_header(name: str, value: str) -> Iterator[str]:
    """Return a header's value, and what a server may make of it: the token, each cookie, the password of basic authentication."""
    yield value
    scheme, _, token = value.partition(" ")
    if "cookie" in name.lower():
        cookies = (cookie.strip().partition("=") for cookie in value.split(";"))
        # theme=dark is a cookie too, and would deface every page.
        yield from (value.strip('"') for name, _, value in cookies if len(value) >= 8 or looks_secret(name))
    else:
        yield token
    if scheme.lower() == "basic":
        with suppress(ValueError):
            yield base64.b64decode(token, validate=True).decode("utf-8", "replace").partition(":")[2]
