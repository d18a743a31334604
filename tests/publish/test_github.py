"""resilience.publish.github: every way in which GitHub fails is put off or refused, within a deadline for the whole."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from resilience.core.secret import Secret
from resilience.publish.github import Comment, connect
from resilience.publish.outbox import PutOffError, RefusedError
from tests.kits.servers.github import FakeGitHub
from tests.publish.test_sticky import double

__all__ = ["double"]


async def post(double: FakeGitHub, body: str = "down", *, token: str = "t-bot") -> Comment:
    async with connect(double.url, "octo/shop", Secret(token)) as github:
        await github.comments(1278)
        return await github.create_comment(1278, body)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 410, 422])
async def test_what_would_be_refused_again_is_refused(double: FakeGitHub, status: int) -> None:
    double.fail("GET", "/comments", status)
    with pytest.raises(RefusedError, match=str(status)):
        await post(double)


@pytest.mark.parametrize(
    ("fault", "after_s"),
    [
        (500, None),
        (502, None),
        (503, None),
        ("lost", None),
        ("no json", None),
        ((429, {"Retry-After": "7"}), 7),
        ((403, {"Retry-After": "30"}), 30),
        ((403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "99999999999"}), 86_400),
        ((403, {}, "You have exceeded a secondary rate limit"), 60),
        ((503, {"Retry-After": "9"}), 9),
    ],
)
async def test_what_may_pass_is_put_off_until_github_wants_to_be_asked(
    double: FakeGitHub, fault: object, after_s: float | None
) -> None:
    double.fail("GET", "/comments", fault)
    with pytest.raises(PutOffError) as caught:
        await post(double)
    if after_s is None:
        assert caught.value.until is None
    else:
        assert caught.value.until is not None
        left = (caught.value.until - datetime.now(UTC)).total_seconds()
        assert after_s - 5 < left <= after_s


async def test_a_server_that_hangs_is_left_after_the_deadline(
    double: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resilience.publish.github.REQUEST_S", 0.3)
    double.fail("GET", "/comments", "hang")
    with pytest.raises(PutOffError):
        await post(double)


async def test_a_body_that_is_too_long_is_refused_and_a_token_without_rights_too(double: FakeGitHub) -> None:
    with pytest.raises(RefusedError, match="422"):
        await post(double, "x" * 65_537)
    with pytest.raises(RefusedError, match="not valid"):
        await post(double, token="t-none")
    double.issues[1278]["locked"] = True
    double.tokens["t-weak"] = ("weak", False)
    with pytest.raises(RefusedError, match="locked"):
        await post(double, token="t-weak")


def test_the_double_finds_what_github_does_not_know() -> None:
    headers = {"Authorization": "Bearer t-bot"}
    server = FakeGitHub()

    def ask_wrongly() -> None:
        with server:
            httpx.get(f"{server.url}/repos/octo/shop/issues", params={"colour": "red"}, headers=headers)
            httpx.post(f"{server.url}/repos/octo/shop/issues", json={"body": 1}, headers=headers)

    with pytest.raises(AssertionError, match="unknown parameter"):
        ask_wrongly()
    assert len(server.violations) >= 2
