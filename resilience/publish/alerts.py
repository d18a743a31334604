"""Send one alert to the configured webhook or to an apprise URL, once scanned, or say why it was put off or refused."""

from __future__ import annotations

import asyncio

import httpx

from resilience.core.alerts import Action, Alert, Severity, body
from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.core.settings import AlertSettings
from resilience.publish.outbox import PutOffError, RefusedError

WEBHOOK = "alert:webhook"
APPRISE = "alert:apprise:"
"""Channels of the outbox: one for the webhook, and one a URL of apprise by its place in the list."""


def channels(settings: AlertSettings) -> tuple[str, ...]:
    """Return the channels that are configured."""
    webhook = (WEBHOOK,) if settings.webhook_url else ()
    return (*webhook, *(f"{APPRISE}{number}" for number in range(len(settings.urls))))


async def send(channel: str, alert: Alert, settings: AlertSettings, redactor: Redactor) -> None:
    """Send an alert over this channel. Raises PutOffError, RefusedError.

    What is scanned is the body without the values of the template's own `${NAME}`: a routing key is a secret that has to
    leave, and nothing else may.
    """
    if redactor.leaks(body(alert, settings.template)) is not None:
        raise RefusedError("a secret would have been in it")
    if channel == WEBHOOK:
        await _post(alert, settings)
        return
    number = int(channel.removeprefix(APPRISE))
    if number >= len(settings.urls):
        raise RefusedError("this URL is configured no longer")
    await _notify(settings.urls[number], alert, settings.timeout_s)


async def _post(alert: Alert, settings: AlertSettings) -> None:
    data = body(alert, settings.template, {name: value.reveal() for name, value in settings.values.items()})
    headers = {"Content-Type": "application/json", "User-Agent": "resilience-runbook", "Idempotency-Key": alert.id}
    headers |= {name: value.reveal() for name, value in settings.headers.items()}
    try:
        async with asyncio.timeout(settings.timeout_s), httpx.AsyncClient(timeout=settings.timeout_s) as client:
            request = client.build_request("POST", settings.webhook_url.reveal(), content=data, headers=headers)
            answer = await client.send(request, stream=True)
            await answer.aclose()
    except (httpx.HTTPError, TimeoutError, OSError) as exc:
        # The texts of httpx name the URL, which is a key to whoever knows it.
        raise PutOffError(f"no answer ({type(exc).__name__})") from exc
    except (httpx.InvalidURL, UnicodeError) as exc:
        raise RefusedError("the URL cannot be used") from exc
    if answer.is_success:
        return
    if answer.status_code >= 500 or answer.status_code in (408, 409, 425, 429):
        raise PutOffError(f"the receiver answered {answer.status_code}")
    raise RefusedError(f"the receiver answered {answer.status_code}")


async def _notify(url: Secret, alert: Alert, timeout_s: float) -> None:
    """Hand the alert to apprise. It says only whether it could deliver, so all but an unknown URL is put off."""
    try:
        import apprise  # an extra, and slow to load: only who configured a URL of it needs it
    except ImportError as exc:
        raise PutOffError("apprise is not installed: pip install 'resilience-runbook[alerts]'") from exc
    kinds = {
        Severity.CRITICAL: apprise.NotifyType.FAILURE,
        Severity.ERROR: apprise.NotifyType.FAILURE,
        Severity.WARNING: apprise.NotifyType.WARNING,
        Severity.INFO: apprise.NotifyType.SUCCESS if alert.action is Action.RESOLVE else apprise.NotifyType.INFO,
    }
    channel = apprise.Apprise()
    if not channel.add(url.reveal()):
        raise RefusedError("apprise does not know this URL")
    try:
        async with asyncio.timeout(timeout_s):
            done = await channel.async_notify(title=alert.title, body=alert.text, notify_type=kinds[alert.severity])
    except TimeoutError as exc:
        raise PutOffError("no answer (TimeoutError)") from exc
    except Exception as exc:  # a plug-in of apprise may raise anything, and an alert must not end the watch
        raise PutOffError(f"apprise failed ({type(exc).__name__})") from exc
    if not done:
        raise PutOffError("apprise could not deliver it")


async def beat(url: Secret, timeout_s: float = 5.0) -> str:
    """Tell the heartbeat's URL that the watch lives; return what went wrong, or nothing. It misses when we are dead."""
    try:
        async with asyncio.timeout(timeout_s), httpx.AsyncClient(timeout=timeout_s) as client:
            answer = await client.get(url.reveal())
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as exc:
        return f"no answer ({type(exc).__name__})"
    return "" if answer.is_success else f"answered {answer.status_code}"
