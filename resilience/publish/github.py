"""Ask GitHub's REST API for what publishing needs, and turn every way in which it fails into put off or refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from resilience.core.plain import clean
from resilience.core.secret import Secret
from resilience.publish.outbox import PutOffError, RefusedError

API = "https://api.github.com"
LONGEST_BODY = 65_536
"""Characters of a comment or an issue; measured, as the API's description does not say it."""
REQUEST_S = 15.0
"""Seconds for one request as a whole: httpx' own limits are for each read, and a slow drip never ends by them."""
_MOST_BYTES = 16 * 1024 * 1024
_MOST_PAGES = 100
_SECONDARY_S = 60
"""Seconds to wait after a secondary limit that does not say how long, as GitHub's manual asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comment:
    """A comment as GitHub gives it. `login` is its author's."""

    id: int
    login: str
    body: str
    url: str
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """An issue as GitHub gives it."""

    number: int
    login: str
    body: str
    url: str
    state: str
    locked: bool
    labels: tuple[str, ...]


class GitHub:
    """One repository, seen with one token. Every method is one request, but those that list, which go from page to page.

    Raises PutOffError where it may work later, RefusedError where it will not. Nothing is tried again here: who writes
    must first look what the write that seemed to fail has done.
    """

    def __init__(self, client: httpx.AsyncClient, repository: str) -> None:
        self._client = client
        self._at = f"/repos/{repository}"

    async def comments(self, issue: int) -> list[Comment]:
        """Return all comments of an issue, oldest first."""
        return [_comment(one) for one in await self._pages(f"{self._at}/issues/{issue}/comments", {})]

    async def create_comment(self, issue: int, body: str) -> Comment:
        return _comment(await self._ask("POST", f"{self._at}/issues/{issue}/comments", {"body": body}))

    async def edit_comment(self, comment: int, body: str) -> Comment:
        return _comment(await self._ask("PATCH", f"{self._at}/issues/comments/{comment}", {"body": body}))

    async def delete_comment(self, comment: int) -> None:
        """Delete a comment; one that is gone already is as it should be."""
        await self._ask("DELETE", f"{self._at}/issues/comments/{comment}", gone_is_well=True)

    async def issue(self, number: int) -> Issue:
        return _issue(await self._ask("GET", f"{self._at}/issues/{number}"))

    async def open_issues(self, **by: str) -> list[Issue]:
        """Return the open issues with this label, or by this creator; pull requests, which GitHub lists too, are left out."""
        found = await self._pages(f"{self._at}/issues", {"state": "open", "sort": "created", "direction": "asc", **by})
        return [_issue(one) for one in found if "pull_request" not in one]

    async def create_issue(self, title: str, body: str, labels: Sequence[str]) -> Issue:
        wanted = {"title": title, "body": body, "labels": list(labels)}
        return _issue(await self._ask("POST", f"{self._at}/issues", wanted))

    async def close_issue(self, number: int) -> None:
        await self._ask("PATCH", f"{self._at}/issues/{number}", {"state": "closed", "state_reason": "not_planned"})

    async def add_labels(self, issue: int, labels: Sequence[str]) -> tuple[str, ...]:
        """Return the labels that the issue has then: without rights GitHub drops them and says nothing."""
        found = await self._ask("POST", f"{self._at}/issues/{issue}/labels", {"labels": list(labels)})
        return _names(found)

    async def create_check(self, fields: Mapping[str, Any]) -> str:
        """Make a check run and return its page; only a GitHub App, such as a workflow's own token, may."""
        made = await self._ask("POST", f"{self._at}/check-runs", dict(fields))
        return str(made.get("html_url") or "")

    async def _pages(self, path: str, query: Mapping[str, str]) -> list[Any]:
        found: list[Any] = []
        for page in range(1, _MOST_PAGES + 1):
            part = await self._ask("GET", path, query={**query, "per_page": "100", "page": str(page)})
            if not isinstance(part, list):
                raise PutOffError("GitHub answered with something else than a list")
            found += part
            if len(part) < 100:
                break
        return found

    async def _ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        gone_is_well: bool = False,
    ) -> Any:
        """Send one request with a deadline for the whole of it, and return the JSON of an answer that is well."""
        try:
            async with asyncio.timeout(REQUEST_S):
                request = self._client.build_request(method, path, json=body, params=query)
                answer = await self._client.send(request, stream=True)
                try:
                    text = await _read(answer)
                finally:
                    await answer.aclose()
        except (httpx.TransportError, TimeoutError) as exc:
            said = clean(str(exc), 120) or "no answer in time"
            raise PutOffError(f"{type(exc).__name__}: {said}") from exc
        except httpx.InvalidURL as exc:
            raise RefusedError(f"GITHUB_API_URL cannot be used: {exc}") from exc
        if answer.status_code in (404, 410) and gone_is_well:
            return None
        if answer.is_success:
            return _parsed(text)
        raise _failure(answer, text)


@asynccontextmanager
async def connect(api: str, repository: str, token: Secret) -> AsyncIterator[GitHub]:
    """Connect to the API at this address with this token."""
    headers = {
        "Authorization": f"Bearer {token.reveal()}",
        "Accept": "application/vnd.github+json, application/json;q=0.9",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "resilience-runbook",
    }
    limits = httpx.Timeout(REQUEST_S, connect=10.0)
    async with httpx.AsyncClient(base_url=api.rstrip("/"), headers=headers, timeout=limits) as client:
        yield GitHub(client, repository)


async def _read(answer: httpx.Response) -> bytes:
    data = b""
    async for chunk in answer.aiter_bytes():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise PutOffError("GitHub's answer was longer than 16 MiB")
    return data


def _parsed(text: bytes) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError as exc:
        raise PutOffError("GitHub's answer was no JSON") from exc


def _failure(answer: httpx.Response, text: bytes) -> PutOffError | RefusedError:
    """Return what a status means: limits and the server's own faults pass, everything else would be refused again."""
    status = answer.status_code
    try:
        said = clean(str(json.loads(text).get("message", "")), 160)
    except (ValueError, AttributeError):
        said = ""
    told = f"GitHub answered {status}" + (f" ({said})" if said else "")
    if status == 429 or (status == 403 and _is_limit(answer, said)):
        return PutOffError(f"{told}: a limit of requests", until=_until(answer))
    if status >= 500 or status in (408, 409):
        return PutOffError(told, until=_until(answer) if "retry-after" in answer.headers else None)
    meaning = {
        301: "the repository or issue was moved",
        307: "the repository or issue was moved",
        401: "the token is not valid, or no longer",
        403: "the token may not do this, or the issue is locked",
        404: "there is no such repository or issue, or the token may not see it",
        410: "the issue was deleted, or issues are disabled",
        422: "GitHub cannot take what was sent",
    }.get(status, "refused")
    return RefusedError(f"{told}: {meaning}")


def _is_limit(answer: httpx.Response, said: str) -> bool:
    return (
        "retry-after" in answer.headers
        or answer.headers.get("x-ratelimit-remaining") == "0"
        or "rate limit" in said.lower()
    )


def _until(answer: httpx.Response) -> datetime:
    """Return when GitHub wants to be asked again: by Retry-After, else the reset of an exhausted limit, else in a minute."""
    now = datetime.now(UTC)
    after = answer.headers.get("retry-after", "")
    if after.isdigit():
        return now + timedelta(seconds=min(int(after), 86_400))
    reset = answer.headers.get("x-ratelimit-reset", "")
    if answer.headers.get("x-ratelimit-remaining") == "0" and reset.isdigit():
        return min(datetime.fromtimestamp(min(int(reset), 2**33), UTC), now + timedelta(days=1))
    return now + timedelta(seconds=_SECONDARY_S)


def _comment(told: Any) -> Comment:
    try:
        return Comment(
            id=int(told["id"]),
            login=str((told.get("user") or {}).get("login", "")),
            body=str(told.get("body") or ""),
            url=str(told["html_url"]),
            updated_at=datetime.fromisoformat(told["updated_at"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise PutOffError("GitHub answered with something else than a comment") from exc


def _issue(told: Any) -> Issue:
    try:
        return Issue(
            number=int(told["number"]),
            login=str((told.get("user") or {}).get("login", "")),
            body=str(told.get("body") or ""),
            url=str(told["html_url"]),
            state=str(told["state"]),
            locked=bool(told.get("locked", False)),
            labels=_names(told.get("labels", [])),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise PutOffError("GitHub answered with something else than an issue") from exc


def _names(labels: Any) -> tuple[str, ...]:
    """Return the names of labels, which GitHub gives as objects, and in old places as texts."""
    return tuple(str(one.get("name", "")) if isinstance(one, dict) else str(one) for one in labels or ())
