"""A GitHub on 127.0.0.1 with state, which holds every request and answer against GitHub's own OpenAPI description.

What the description does not say, and was measured, it enforces besides: 65,536 characters a body, labels dropped without
push access, limits that say when to come back. Faults are queued: `fail("POST", "/comments", 503)`, `"lost"`, `"hang"`.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

from tests.kits.servers.loopback import Loopback

_FOLDER = Path(__file__).resolve().parents[2] / "data" / "github"
SPEC: dict[str, Any] = json.loads((_FOLDER / "openapi.json").read_text())
LONGEST = 65_536
WHEN = "2026-11-25T01:00:00Z"


def _nullable(node: Any) -> Any:
    """Return an OpenAPI 3.0 schema as JSON Schema: what is `nullable` may also be null."""
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _nullable(value) for key, value in node.items() if key != "nullable"}
    if node.get("nullable") is True:
        if isinstance(made.get("enum"), list):
            made["enum"] = [*made["enum"], None]
        return {"anyOf": [made, {"type": "null"}]}
    return made


_COMPONENTS = _nullable(SPEC["components"])


def _errors(schema: Any, value: Any) -> list[str]:
    whole = {**_nullable(schema), "components": _COMPONENTS}
    return [error.message[:200] for error in jsonschema.Draft7Validator(whole).iter_errors(value)]


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    _, _, kind, name = node["$ref"].split("/")
    return dict(SPEC["components"][kind][name])


def operation(method: str, path: str) -> dict[str, Any] | None:
    """Return the description of this request, or None where GitHub has none of it."""
    for template, methods in SPEC["paths"].items():
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), path):
            return methods.get(method.lower())
    return None


class FakeGitHub(Loopback):
    """Repository `octo/shop` with issue 1278. `tokens`: token → (login, may push)."""

    def __init__(self) -> None:
        super().__init__(self._handle, protocol="HTTP/1.1")
        self.tokens: dict[str, tuple[str, bool]] = {"t-bot": ("ci-bot[bot]", True)}
        self.issues: dict[int, dict[str, Any]] = {}
        self.comments: dict[int, dict[str, Any]] = {}
        self.checks: list[dict[str, Any]] = []
        self.requests: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.others_may_edit = False
        self._faults: deque[tuple[str, str, Any]] = deque()
        self._lock = threading.RLock()
        self._next = 1000
        self.add_issue(1278, "ana")

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        assert self.violations == [], self.violations

    def fail(self, method: str, path: str, *how: Any) -> None:
        """Let the next requests of this method whose path holds this text fail: a status, (status, headers), lost, hang, drip."""
        with self._lock:
            self._faults.extend((method, path, one) for one in how)

    def add_issue(self, number: int, login: str, body: str = "", labels: tuple[str, ...] = (), **more: Any) -> None:
        fields = {
            "number": number, "id": number, "node_id": "n", "url": f"{'http://h'}/issues/{number}", "state": "open",
            "repository_url": "http://h/r", "labels_url": "http://h/l", "comments_url": "http://h/c", "events_url": "http://h/e",
            "html_url": f"http://github.example/octo/shop/issues/{number}", "title": "outage", "body": body, "user": _user(login),
            "labels": [{"name": name} for name in labels], "assignee": None, "milestone": None, "locked": False, "comments": 0,
            "closed_at": None, "created_at": WHEN, "updated_at": WHEN, "author_association": "NONE",
        }  # fmt: skip
        self.issues[number] = {**fields, **more}

    def add_comment(self, issue: int, login: str, body: str, updated_at: str = WHEN) -> dict[str, Any]:
        with self._lock:
            self._next += 1
            made = {
                "id": self._next, "node_id": "n", "url": f"http://h/comments/{self._next}", "user": _user(login), "body": body,
                "html_url": f"http://github.example/octo/shop/issues/{issue}#issuecomment-{self._next}",
                "issue_url": f"http://h/issues/{issue}", "created_at": updated_at, "updated_at": updated_at,
                "author_association": "NONE",
            }  # fmt: skip
            self.comments[self._next] = made
            return made

    def on(self, issue: int = 1278) -> list[dict[str, Any]]:
        """Return the comments on an issue, oldest first."""
        return [one for one in self.comments.values() if one["issue_url"].endswith(f"/{issue}")]

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [one for one in self.requests if one[0] != "GET"]

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length)
        parts = urlsplit(handler.path)
        with self._lock:
            self.requests.append((handler.command, parts.path))
            fault = self._taken(handler.command, parts.path)
        if fault == "hang":
            self.released.wait(60)
            handler.close_connection = True
            return
        if isinstance(fault, int):
            fault = (fault, {})
        if isinstance(fault, tuple):
            _answer(handler, fault[0], {"message": fault[2] if len(fault) > 2 else "made to fail"}, fault[1])
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = json.loads(raw) if raw else None
        self._check_request(handler.command, parts.path, query, body)
        with self._lock:
            status, told = self._do(handler, parts.path, query, body)
        self._check_answer(handler.command, parts.path, status, told)
        if fault == "lost":
            handler.close_connection = True
            handler.connection.close()
            return
        if fault == "no json":
            _raw(handler, status, b"<html>busy</html>")
            return
        _answer(handler, status, told, {})

    def _taken(self, method: str, path: str) -> Any:
        for fault in self._faults:
            if fault[0] == method and fault[1] in path:
                self._faults.remove(fault)
                return fault[2]
        return None

    def _check_request(self, method: str, path: str, query: dict[str, str], body: Any) -> None:
        found = operation(method, path)
        if found is None:
            self.violations.append(f"{method} {path}: GitHub knows no such request")
            return
        known = {one["name"]: one for one in map(_resolved, found.get("parameters", [])) if one["in"] == "query"}
        for name, value in query.items():
            if name not in known:
                self.violations.append(f"{method} {path}: unknown parameter {name}")
                continue
            schema = known[name]["schema"]
            typed = int(value) if schema.get("type") == "integer" else value
            self.violations += [f"{method} {path}?{name}: {error}" for error in _errors(schema, typed)]
        wanted = found.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if wanted is not None:
            self.violations += [f"{method} {path}: {error}" for error in _errors(wanted, body)]
        elif body is not None:
            self.violations.append(f"{method} {path}: a body that is not asked for")

    def _check_answer(self, method: str, path: str, status: int, told: Any) -> None:
        """The double must not lie either: what it answers is of the shape that GitHub describes."""
        found = operation(method, path)
        answer = _resolved((found or {}).get("responses", {}).get(str(status), {}))
        schema = answer.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None and status < 300:
            self.violations += [f"answer to {method} {path}: {error}" for error in _errors(schema, told)]

    def _do(
        self, handler: BaseHTTPRequestHandler, path: str, query: dict[str, str], body: Any
    ) -> tuple[int, dict[str, Any] | list[Any] | None]:
        """Do what is asked, as GitHub would."""
        token = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.tokens:
            return 401, {"message": "Bad credentials"}
        login, push = self.tokens[token]
        inside = path.removeprefix("/repos/octo/shop")
        if inside == path:
            return 404, {"message": "Not Found"}
        method = handler.command
        if len(str((body or {}).get("body", ""))) > LONGEST:
            return 422, {"message": "Validation Failed: body is too long (maximum is 65536 characters)"}
        if match := re.fullmatch(r"/issues/comments/(\d+)", inside):
            return self._comment(method, int(match[1]), login, push, body)
        if inside == "/check-runs":
            self.checks.append(body)
            return 201, None
        if inside == "/issues":
            return self._issues(method, login, push, query, body)
        match = re.fullmatch(r"/issues/(\d+)(/comments|/labels)?", inside)
        issue = self.issues.get(int(match[1])) if match else None
        if match is None or issue is None:
            return 404, {"message": "Not Found"}
        if issue.get("deleted"):
            return 410, {"message": "This issue was deleted"}
        if match[2] == "/comments":
            if method == "GET":
                return 200, _page(self.on(issue["number"]), query)
            if issue["locked"] and not push:
                return 403, {"message": "Unable to create comment because issue is locked."}
            return 201, self.add_comment(issue["number"], login, body["body"])
        if match[2] == "/labels":
            names = [one["name"] for one in issue["labels"]]
            if method == "POST" and push:
                issue["labels"] += [{"name": name} for name in body["labels"] if name not in names]
            return 200, [_label(one["name"]) for one in issue["labels"]]
        if method == "PATCH":
            issue["state"] = body["state"]
        return 200, issue

    def _comment(
        self, method: str, number: int, login: str, push: bool, body: Any
    ) -> tuple[int, dict[str, Any] | list[Any] | None]:
        found = self.comments.get(number)
        if found is None:
            return 404, {"message": "Not Found"}
        if method != "GET" and found["user"]["login"] != login and not self.others_may_edit:
            return 403, {"message": "Must have admin rights to Repository."}
        if method == "DELETE":
            del self.comments[number]
            return 204, None
        if method == "PATCH":
            found["body"] = body["body"]
        return 200, found

    def _issues(
        self, method: str, login: str, push: bool, query: dict[str, str], body: Any
    ) -> tuple[int, dict[str, Any] | list[Any] | None]:
        if method == "GET":
            found = [
                one
                for one in self.issues.values()
                if one["state"] == query.get("state", "open")
                and ("labels" not in query or query["labels"] in [label["name"] for label in one["labels"]])
                and ("creator" not in query or query["creator"] == one["user"]["login"])
            ]
            return 200, _page(found, query)
        number = max(self.issues) + 1
        labels = tuple(body.get("labels", ())) if push else ()
        self.add_issue(number, login, body.get("body", ""), labels, title=body["title"])
        return 201, self.issues[number]


def _page(found: list[Any], query: dict[str, str]) -> list[Any]:
    size, page = int(query.get("per_page", 30)), int(query.get("page", 1))
    return found[(page - 1) * size : page * size]


def _label(name: str) -> dict[str, Any]:
    return {
        "id": 1, "node_id": "n", "url": "http://h/l", "name": name, "description": None, "color": "fff", "default": False
    }  # fmt: skip


def _user(login: str) -> dict[str, Any]:
    names = (
        "avatar_url", "events_url", "followers_url", "following_url", "gists_url", "html_url", "organizations_url",
        "received_events_url", "repos_url", "starred_url", "subscriptions_url", "url",
    )  # fmt: skip
    fixed = {"login": login, "id": 1, "node_id": "n", "gravatar_id": "", "type": "User", "site_admin": False}
    return {**fixed, **dict.fromkeys(names, "http://h/u")}


def _answer(handler: BaseHTTPRequestHandler, status: int, told: Any, headers: dict[str, str]) -> None:
    _raw(handler, status, b"" if told is None else json.dumps(told).encode(), headers)


def _raw(handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
