"""Publish a run: compose what is to stand on its issue, put it into the outbox, and send what waits there."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import stamina

from resilience.core import codec
from resilience.core.errors import RecordError, SecretLeakError, UsageError
from resilience.core.records import EventKind, Incident
from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.core.tasks import PUBLISHED
from resilience.host.vantage import vantage
from resilience.publish.comment import Draft, check_run, drafts
from resilience.publish.github import API, GitHub, connect
from resilience.publish.markers import Kind
from resilience.publish.outbox import Letter, PutOffError, RefusedError
from resilience.publish.sticky import Who, ensure, ensure_label, find_or_create_issue
from resilience.report.exports.summary import summary
from resilience.report.gathering import Sources, gather
from resilience.report.losses import Losses
from resilience.report.mermaid import gantt
from resilience.runs import memory
from resilience.runs.folder import RunFolder
from resilience.runs.keeping import Keeping
from resilience.runs.recalling import recalled_of
from resilience.runs.remains import load

CHANNEL = "github"
NEW = "new"
"""In the place of an issue's number: find the open issue that carries our mark, or make one."""
ATTEMPTS = 4
_LINK = re.compile(r"https?://[^\s<>()\"']+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where it is written: one issue of one repository. `issue` is a number as text, or `new`."""

    repository: str
    issue: str


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What publishing came to: what was written, with its page, what waits and why, what was refused, and warnings."""

    sent: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """What publishing this run would write, already scanned: nothing in it is a secret."""

    incident: Incident
    drafts: tuple[Draft, ...]
    check: Mapping[str, Any] | None

    @property
    def body(self) -> str:
        """The exact body of the comment that is edited."""
        return self.drafts[0].body(self.drafts[0].mark)


def target(settings: Settings, issue: str = "") -> Target:
    """Return where this configuration lets us write. Raises UsageError where that is nowhere.

    A token in the environment alone never causes a write: the repository must be configured, and the issue be the one
    that is configured there, or that a person named. An address of an issue of another repository is refused.
    """
    repository = settings.publish.repository
    if not repository:
        raise UsageError(
            "nothing is published: no repository is configured.",
            hint='[publish] repository = "owner/name" in the configuration; or --dry-run, which writes the text only',
        )
    wanted = (issue or settings.issue).strip()
    if not wanted:
        raise UsageError(
            "no issue is named.", hint=f'--issue 1278, or [runbook] issue = "1278"; --issue {NEW} finds or makes one'
        )
    if "://" in wanted:
        parts = urlsplit(wanted).path.strip("/").split("/")
        if len(parts) != 4 or parts[2] != "issues" or f"{parts[0]}/{parts[1]}".lower() != repository.lower():
            raise UsageError(f"this issue is not of {repository}, which alone may be written to.", hint="--issue 1278")
        wanted = parts[3]
    wanted = wanted.lstrip("#")
    if wanted != NEW and not (wanted.isdigit() and 0 < int(wanted) < 2**31):
        raise UsageError(f"issue {wanted[:40]!r}: a number, or {NEW}, was expected.", hint="--issue 1278")
    return Target(repository=repository, issue=wanted)


def report_url(environ: Mapping[str, str], given: str = "") -> str:
    """Return where the full report is: the page of the workflow's run, whose artefacts hold it, else what a person gave."""
    server, repository = environ.get("GITHUB_SERVER_URL", ""), environ.get("GITHUB_REPOSITORY", "")
    run = environ.get("GITHUB_RUN_ID", "")
    if not given and server and repository and run.isdigit():
        given = f"{server.rstrip('/')}/{repository}/actions/runs/{run}"
    if given and (not _LINK.fullmatch(given)):
        raise UsageError("--report-url: a URL with http:// or https:// was expected.")
    return given


def compose(folder: Path, settings: Settings, *, url: str = "", public: bool = False) -> Composed:
    """Return what publishing the run in this folder would write. Raises SecretLeakError where a secret is in it.

    `public` puts pseudonyms in the place of addresses, internal names and people.
    """
    incident, samples, missing = load(folder)
    redactor = _redactor(settings, incident)
    outputs = folder.resolve().parent.parent
    kept = memory.history(replace(settings, outputs=outputs, drill=incident.drill))
    known = recalled_of(kept, incident)
    try:
        sources = Sources(
            incident=incident,
            samples=samples,
            folder=folder,
            redactor=redactor,
            history=kept,
            recalled=() if known is None else known.facts,
            public=public,
        )
        view = gather(sources, Losses(redactor.public if public else redactor.text, missing))
    finally:
        if kept is not None:
            kept.close()
    text = summary(view)
    made = drafts(
        view.incident,
        summary=text,
        diagram=gantt(view),
        report_url=url,
        began_at=None if known is None else known.began_at,
        ended_at=None if known is None else known.ended_at,
    )
    check = check_run(view.incident, text, report_url=url)
    for draft in made:
        _scan(redactor, draft.body(draft.mark), draft.mark.kind.said)
    if check is not None:
        _scan(redactor, json.dumps(check), "the check")
    return Composed(incident=view.incident, drafts=made, check=check)


def _redactor(settings: Settings, incident: Incident) -> Redactor:
    token = os.environ.get("GITHUB_TOKEN", "")
    secrets = (*settings.secrets, Secret(token)) if token else settings.secrets
    hosts = (*settings.deny_hosts, incident.vantage.host, vantage().host)
    return Redactor.of(secrets, settings.services, hosts=hosts)


def _scan(redactor: Redactor, text: str, what: str) -> None:
    if (offset := redactor.leaks(text)) is not None:
        raise SecretLeakError(
            f"{what}: a secret stands at byte {offset}; nothing was sent.",
            hint="resilience publish --dry-run shows the text; say which part carried it",
        )


async def publish(
    folder: Path, settings: Settings, to: Target, *, url: str = "", public: bool = False, check: bool = False
) -> Outcome:
    """Put what is to stand on the issue into the outbox, and send all that waits there; what could not be sent waits on.

    Raises UsageError without a token, SecretLeakError, SettingsError. What GitHub says raises nothing.
    """
    composed = compose(folder, settings, url=url, public=public)
    kept = memory.history(settings)
    if kept is None:
        raise UsageError(f"the history in {settings.outputs} cannot be opened.", hint=f"ls -l {settings.outputs}")
    with kept:
        keeping = Keeping(kept)
        _put(keeping, composed, to, check=check)
        return await send_waiting(settings, keeping)


def _put(keeping: Keeping, composed: Composed, to: Target, *, check: bool) -> None:
    """Put the drafts into the outbox under names of their own, so that each piece of news is sent once."""
    incident = composed.incident
    with keeping.at_once():
        for draft in composed.drafts:
            mark = draft.mark
            key = f"{CHANNEL}/{to.repository}/{to.issue}/{mark.environment}/{mark.incident}/{mark.kind.value}"
            letter = {
                "repository": to.repository,
                "issue": to.issue,
                "title": f"[{incident.environment}] infrastructure outage since {mark.opened:%Y-%m-%d %H:%M} UTC",
                "draft": codec.to_builtins(draft),
            }
            keeping.put(key, CHANNEL, json.dumps(letter), replaces=draft.edits)
        if check and composed.check is not None:
            letter = {"repository": to.repository, "check": dict(composed.check)}
            keeping.put(f"{CHANNEL}/{to.repository}/check/{incident.run}", CHANNEL, json.dumps(letter), replaces=True)


async def send_waiting(settings: Settings, keeping: Keeping) -> Outcome:
    """Send what waits in the outbox for the configured repository, in its order; nothing goes to any other.

    What is put off ends the round, as all of it goes to the same server; what is refused is given up and said.
    """
    outcome = Outcome()
    letters = [one for one in keeping.waiting(CHANNEL) if _repository(one) == settings.publish.repository]
    if not letters:
        return outcome
    token = os.environ.get("GITHUB_TOKEN", "")
    if not token:
        raise UsageError(
            f"GITHUB_TOKEN is not set; {len(letters)} to be written wait in the outbox.",
            hint="export GITHUB_TOKEN=…, then resilience publish again; or by hand: resilience publish --dry-run",
        )
    who = Who(ours=set(_known(keeping, settings)), authors=settings.publish.authors)
    ends_at = datetime.now(UTC) + timedelta(seconds=settings.publish.wait_s)
    async with connect(os.environ.get("GITHUB_API_URL") or API, settings.publish.repository, Secret(token)) as github:
        posting = _Posting(github, settings, keeping, who, outcome)
        for letter in letters:
            if letter.not_before is not None and letter.not_before > max(ends_at, datetime.now(UTC)):
                outcome.waits.append(f"{_name(letter)}: not before {letter.not_before:%H:%M:%S} UTC ({letter.error})")
                break
            try:
                await _trying(posting, letter, ends_at)
            except PutOffError as exc:
                keeping.put_off(letter, str(exc), until=exc.until)
                outcome.waits.append(f"{_name(letter)}: {exc}")
                break
            except RefusedError as exc:
                keeping.refused(letter, str(exc))
                outcome.refused.append(f"{_name(letter)}: {exc}")
            else:
                keeping.sent(letter)
            finally:
                _remember(keeping, settings, who)
    waiting = [one for one in keeping.waiting(CHANNEL) if _repository(one) == settings.publish.repository]
    if len(waiting) > len(outcome.waits):
        outcome.waits.append(f"and {len(waiting) - len(outcome.waits)} more behind it")
    return outcome


async def _trying(posting: _Posting, letter: Letter, ends_at: datetime) -> None:
    """Send one letter, again where that may help, within what is left of the time. Each attempt lists before it writes.

    What GitHub says of when to come back is obeyed; where that is later than the time that is left, the letter is put off.
    """

    def again(exc: Exception) -> bool | timedelta:
        """Say whether to try again: after the usual wait, after the one that GitHub asks for, or not in this call."""
        if not isinstance(exc, PutOffError):
            return False
        now = datetime.now(UTC)
        if exc.until is None:
            return now < ends_at
        return max(exc.until - now, timedelta(0)) if exc.until < ends_at else False

    left = max((ends_at - datetime.now(UTC)).total_seconds(), 0.001)
    async for attempt in stamina.retry_context(
        on=again, attempts=ATTEMPTS, timeout=left, wait_initial=0.5, wait_max=8.0, wait_jitter=0.5
    ):
        with attempt:
            await posting.post(letter)


class _Posting:
    """One round of sending over one connection; the names that the outage has on the issue are learnt from the first comment."""

    def __init__(self, github: GitHub, settings: Settings, keeping: Keeping, who: Who, outcome: Outcome) -> None:
        self._github, self._settings, self._keeping = github, settings, keeping
        self._who, self._outcome = who, outcome

    async def post(self, letter: Letter) -> None:
        told = json.loads(letter.body)
        if "check" in told:
            page = await self._github.create_check(told["check"])
            self._outcome.sent.append(f"check: {page}")
            return
        draft = codec.from_json(json.dumps(told["draft"]), Draft)
        number = await self._issue(told, draft)
        if draft.mark.kind is not Kind.STICKY:
            names = f"{CHANNEL}:{self._settings.publish.repository}#{number}:{draft.mark.incident}"
            agreed = self._keeping.get(names)
            if agreed:
                draft = replace(draft, mark=replace(draft.mark, incident=agreed))
        done = await ensure(self._github, number, draft.mark, draft.body, self._who, edits=draft.edits)
        if draft.mark.kind is Kind.STICKY:
            names = f"{CHANNEL}:{self._settings.publish.repository}#{number}:{draft.mark.incident}"
            self._keeping.keep({names: done.mark.incident})
        self._outcome.warnings += [one for one in done.warnings if one not in self._outcome.warnings]
        self._outcome.sent.append(f"{draft.mark.kind.said}: {done.comment.url}")

    async def _issue(self, told: Mapping[str, Any], draft: Draft) -> int:
        """Return the number of the issue, found or made where none is named; its state and label are seen to with the sticky."""
        label = self._settings.escalation.label
        if told["issue"] == NEW:
            issue, warnings = await find_or_create_issue(
                self._github, draft.mark, title=told["title"], body=draft.text, label=label, who=self._who
            )
            self._warn(warnings)
            return issue.number
        number = int(told["issue"])
        if draft.mark.kind is Kind.STICKY:
            issue = await self._github.issue(number)
            if issue.state == "closed":
                self._warn((f"issue #{number} is closed; the comment is written all the same",))
            if issue.locked:
                self._warn((f"issue #{number} is locked; only those with write access may comment",))
            self._warn(await ensure_label(self._github, issue, label))
        return number

    def _warn(self, warnings: Sequence[str]) -> None:
        self._outcome.warnings += [one for one in warnings if one not in self._outcome.warnings]


def _repository(letter: Letter) -> str:
    try:
        return str(json.loads(letter.body)["repository"])
    except (ValueError, KeyError, TypeError):
        return ""


def _name(letter: Letter) -> str:
    return letter.key.rpartition("/")[2]


def _known(keeping: Keeping, settings: Settings) -> list[str]:
    try:
        return [str(one) for one in json.loads(keeping.get(_ours(settings)) or "[]")]
    except ValueError:
        return []


def _remember(keeping: Keeping, settings: Settings, who: Who) -> None:
    keeping.keep({_ours(settings): json.dumps(sorted(who.ours))})


def _ours(settings: Settings) -> str:
    """Return the name under which the logins are kept that GitHub returned when we wrote."""
    return f"{CHANNEL}:{settings.publish.repository}:ours"


async def publish_run(run: RunFolder, *, issue: str = "", url: str = "", public: bool = False) -> Outcome:
    """Publish a run that is open, and put on its timeline what was written; whatever goes wrong is noted, never raised.

    The verdict is that of the tests, and no trouble with telling people changes it.
    """
    try:
        to = target(run.settings, issue)
        outcome = await publish(run.folder, run.settings, to, url=report_url(os.environ, url), public=public)
    except (UsageError, SecretLeakError, RecordError, OSError, sqlite3.Error) as exc:
        outcome = Outcome(refused=[f"nothing was published: {exc}"])
    note_on(run, outcome)
    return outcome


def note_on(run: RunFolder, outcome: Outcome) -> None:
    """Put on a run's timeline what was written and what was not, by which its report says whether anything was sent."""
    for line in outcome.sent:
        run.event(PUBLISHED, line, kind=EventKind.EVENT)
    for line in (*outcome.waits, *outcome.refused):
        run.event("not published", line, kind=EventKind.EVENT)
    with suppress(OSError):
        run.save()


def outcome_lines(outcome: Outcome) -> tuple[str, ...]:
    """Return what publishing came to, one line each."""
    lines = [f"Published {line}" for line in outcome.sent]
    lines += [f"Waits in the outbox: {line}" for line in outcome.waits]
    lines += [f"Refused: {line}" for line in outcome.refused]
    lines += [f"Warning: {line}" for line in outcome.warnings]
    return tuple(lines or ["Nothing was to be published."])
