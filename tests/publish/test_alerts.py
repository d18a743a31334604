"""resilience.publish.alerts: what leaves is scanned, known again by its key, and put off or refused by what came back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from resilience.core.alerts import Action, Severity
from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.core.settings import AlertSettings
from resilience.publish.alerts import APPRISE, WEBHOOK, beat, channels, send
from resilience.publish.outbox import PutOffError, RefusedError
from tests.core.test_alerts import ALERT
from tests.kits.servers.receiver import Receiver

SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "pagerduty" / "event.schema.json").read_text())
DOCS = Path(__file__).parents[2] / "docs" / "telling-people.md"
PLAIN = Redactor()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def to(receiver: Receiver, **fields: object) -> AlertSettings:
    return replace(AlertSettings(webhook_url=Secret(f"{receiver.url}/hook"), timeout_s=2.0), **fields)  # type: ignore[arg-type]


def template_of(name: str) -> str:
    """Return the template that the docs show, so that what they show is what was tried."""
    block = DOCS.read_text().split(f"<!-- {name} -->")[1].split("```toml")[1].split("```")[0]
    import tomllib

    return str(tomllib.loads(block)["alerts"]["template"])


async def test_our_own_document_is_posted_with_its_id_and_headers(receiver: Receiver) -> None:
    await send(WEBHOOK, ALERT, to(receiver, headers={"Authorization": Secret("Bearer t")}), PLAIN)
    ((path, headers, body),) = receiver.got
    assert (path, headers["Authorization"], headers["Idempotency-Key"]) == ("/hook", "Bearer t", ALERT.id)
    assert (body["key"], body["action"], body["services"]) == ("staging-1", "trigger", ["database", "redis"])


@pytest.mark.parametrize("action", [Action.TRIGGER, Action.RESOLVE])
@pytest.mark.parametrize("severity", Severity)
async def test_the_template_for_pagerduty_in_the_docs_fits_its_published_schema(
    receiver: Receiver, action: Action, severity: Severity
) -> None:
    settings = to(receiver, template=template_of("pagerduty"), values={"PAGERDUTY_ROUTING_KEY": Secret("R" * 32)})
    hostile = replace(ALERT, action=action, severity=severity, title='x", "routing_key": "stolen', text="{key}\n\x00")
    await send(WEBHOOK, hostile, settings, PLAIN)
    (body,) = receiver.bodies
    jsonschema.Draft7Validator(SCHEMA).validate(body)
    assert (body["routing_key"], body["dedup_key"], body["event_action"]) == ("R" * 32, "staging-1", action.value)


async def test_the_template_for_slack_in_the_docs_is_a_text(receiver: Receiver) -> None:
    await send(WEBHOOK, ALERT, to(receiver, template=template_of("slack")), PLAIN)
    (body,) = receiver.bodies
    assert set(body) == {"text"}
    assert "staging: database is down" in body["text"]


async def test_a_secret_in_the_text_keeps_it_here_and_the_routing_key_leaves(receiver: Receiver) -> None:
    redactor = Redactor(["hunter2-hunter2", "R0UT1NG-KEY-000"])
    settings = to(receiver, template='{"k": "${KEY}", "t": "{text}"}', values={"KEY": Secret("R0UT1NG-KEY-000")})
    with pytest.raises(RefusedError, match="a secret"):
        await send(WEBHOOK, replace(ALERT, text="password hunter2-hunter2"), settings, redactor)
    assert receiver.got == []
    await send(WEBHOOK, ALERT, settings, redactor)
    assert receiver.bodies[0]["k"] == "R0UT1NG-KEY-000"


@pytest.mark.parametrize("fault", [429, 500, 503, "lost"])
async def test_what_may_pass_is_put_off(receiver: Receiver, fault: int | str) -> None:
    receiver.faults = [fault]
    with pytest.raises(PutOffError) as caught:
        await send(WEBHOOK, ALERT, to(receiver), PLAIN)
    assert "/hook" not in str(caught.value)


@pytest.mark.parametrize("fault", [301, 400, 401, 403, 404, 410])
async def test_what_would_be_refused_again_is_given_up(receiver: Receiver, fault: int) -> None:
    receiver.faults = [fault]
    with pytest.raises(RefusedError, match=str(fault)):
        await send(WEBHOOK, ALERT, to(receiver), PLAIN)


async def test_a_receiver_that_hangs_or_is_gone_is_put_off_within_the_deadline(receiver: Receiver) -> None:
    receiver.faults = ["hang"]
    with pytest.raises(PutOffError, match="Timeout"):
        await send(WEBHOOK, ALERT, to(receiver, timeout_s=0.3), PLAIN)
    with pytest.raises(PutOffError, match="ConnectError"):
        await send(WEBHOOK, ALERT, replace(to(receiver), webhook_url=Secret("http://127.0.0.1:9/")), PLAIN)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's own import
async def test_apprise_takes_every_other_channel(receiver: Receiver) -> None:
    url = Secret(receiver.url.replace("http://", "json://") + "/notify")
    settings = AlertSettings(urls=(url,), timeout_s=5.0)
    assert channels(settings) == (f"{APPRISE}0",)
    await send(f"{APPRISE}0", ALERT, settings, PLAIN)
    (body,) = receiver.bodies
    assert (body["title"], body["message"], body["type"]) == (ALERT.title, ALERT.text, "failure")
    receiver.faults = [500]
    with pytest.raises(PutOffError, match="could not deliver"):
        await send(f"{APPRISE}0", ALERT, settings, PLAIN)
    with pytest.raises(RefusedError, match="no longer"):
        await send(f"{APPRISE}1", ALERT, settings, PLAIN)
    with pytest.raises(RefusedError, match="does not know"):
        await send(f"{APPRISE}0", ALERT, AlertSettings(urls=(Secret("nonsense://"),)), PLAIN)


async def test_without_apprise_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(PutOffError, match=r"resilience-runbook\[alerts\]"):
        await send(f"{APPRISE}0", ALERT, AlertSettings(urls=(Secret("json://127.0.0.1:9"),)), PLAIN)


async def test_a_heartbeat_says_what_went_wrong_and_raises_nothing(receiver: Receiver) -> None:
    assert await beat(Secret(receiver.url)) == ""
    receiver.faults = [500, "lost"]
    assert await beat(Secret(receiver.url)) == "answered 500"
    assert (await beat(Secret(receiver.url))).startswith("no answer")
    receiver.faults = ["hang"]
    assert await beat(Secret(receiver.url), 0.2) == "no answer (TimeoutError)"
