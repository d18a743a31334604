"""Turn recordings into HAR 1.2 with its larger bodies as files, and HAR of any maker into exchanges.

What HAR has no field for stands in fields with an underscore, as HAR asks of those of one's own. Written is always the same for the
same recordings, but for the times.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from resilience.core.errors import UsageError
from resilience.teach.exchange import SHARED, Answer, Asked, Exchange, Headers, Place, header
from resilience.teach.replay import Bound, Recorded

FILE = "recordings.har"
_INLINE = 16 << 10
"""Bytes up to which a body that is text stands in the HAR itself."""


def written(service: str, recordings: Sequence[Recorded]) -> dict[str, bytes]:
    """Return the files of a generation: the HAR, and the bodies that it names by their SHA-256."""
    blobs: dict[str, bytes] = {}
    entries = [_entry(service, one, blobs) for one in recordings]
    document = {"log": {"version": "1.2", "creator": {"name": "resilience", "version": "1"}, "entries": entries}}
    return {FILE: json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True).encode() + b"\n", **blobs}


def _entry(service: str, one: Recorded, blobs: dict[str, bytes]) -> dict[str, Any]:
    """Return one entry. Its URL has the service's name for a host, since the stand-in answers at another address than staging."""
    exchange = one.exchange
    asked, answer = exchange.asked, exchange.answer
    target = f"{asked.path}?{asked.query}" if asked.query else asked.path
    found: dict[str, Any] = {
        "startedDateTime": datetime.fromtimestamp(exchange.began, UTC).isoformat(timespec="milliseconds"),
        "time": round((exchange.ended - exchange.began) * 1000, 3),
        "request": {
            "method": asked.method,
            "url": f"http://{service}{target}",
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(asked.headers),
            "queryString": [],
            "headersSize": -1,
            "bodySize": len(asked.body),
        },
        "response": {
            "status": answer.status,
            "statusText": answer.reason,
            "httpVersion": "HTTP/1.1",
            "cookies": [],
            "headers": _pairs(answer.headers),
            "content": _body(answer.body, answer.headers, blobs),
            "redirectURL": header(answer.headers, "location"),
            "headersSize": -1,
            "bodySize": -1,
            "_chunked": answer.chunked,
        },
        "cache": {},
        "timings": {"send": 0, "wait": round((exchange.ended - exchange.began) * 1000, 3), "receive": 0},
        "_number": one.number,
        "_owner": exchange.owner,
        "_target": target,
        "_began": exchange.began,
        "_ended": exchange.ended,
        "_volatile": [list(place) for place in one.volatile],
        "_bound": [
            {
                "variable": b.variable, "asked": [list(p) for p in b.asked], "answered": [list(p) for p in b.answered],
                "before": b.before,
            }
            for b in one.bound
        ],
    }  # fmt: skip
    if asked.body:
        found["request"]["postData"] = _body(asked.body, asked.headers, blobs)
    return found


def _pairs(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _body(body: bytes, headers: Headers, blobs: dict[str, bytes]) -> dict[str, Any]:
    """Return a body as content or postData: text as it is, all else, and what is long, by the file that holds it."""
    told: dict[str, Any] = {"size": len(body), "mimeType": header(headers, "content-type") or "x-unknown"}
    if not body:
        return told
    try:
        text = body.decode() if len(body) <= _INLINE else None
    except UnicodeDecodeError:
        text = None
    if text is not None:
        return {**told, "text": text}
    name = f"blobs/{hashlib.sha256(body).hexdigest()}"
    blobs[name] = body
    return {**told, "_file": name}


def read(files: Mapping[str, bytes]) -> tuple[Recorded, ...]:
    """Return the recordings of a generation's files. Raises ValueError, LookupError or TypeError where they are not ours."""
    log = json.loads(files[FILE])["log"]
    return tuple(_recorded(entry, files) for entry in log["entries"])


def _recorded(entry: Mapping[str, Any], files: Mapping[str, bytes]) -> Recorded:
    """Return the recording of one entry of ours; what is not as we write it raises, as a guess would be said as staging's."""
    request, response = entry["request"], entry["response"]
    path, _, query = str(entry["_target"]).partition("?")

    def body(told: Mapping[str, Any]) -> bytes:
        return files[told["_file"]] if "_file" in told else str(told.get("text", "")).encode()

    return Recorded(
        number=int(entry["_number"]),
        exchange=Exchange(
            asked=Asked(
                method=request["method"],
                path=path,
                query=query,
                headers=_headers(request["headers"]),
                body=body(request.get("postData", {})),
            ),
            answer=Answer(
                status=int(response["status"]),
                reason=response["statusText"],
                headers=_headers(response["headers"]),
                body=body(response["content"]),
                chunked=bool(response["_chunked"]),
            ),
            began=float(entry["_began"]),
            ended=float(entry["_ended"]),
            owner=str(entry["_owner"]),
        ),
        bound=tuple(
            Bound(
                variable=int(one["variable"]),
                asked=tuple(tuple(place) for place in one["asked"]),
                answered=tuple(tuple(place) for place in one["answered"]),
                before=str(one.get("before", "")),
            )
            for one in entry["_bound"]
        ),
        volatile=tuple(_place(place) for place in entry["_volatile"]),
    )


def _place(place: Sequence[str | int]) -> Place:
    return tuple(place)


def _headers(told: Sequence[Mapping[str, str]]) -> Headers:
    return tuple((str(one["name"]), str(one["value"])) for one in told)


def imported(data: bytes, origin: str) -> tuple[tuple[Exchange, ...], tuple[str, ...]]:
    """Return the exchanges with this origin that a HAR of a browser or proxy holds, and what of it could not be used.

    They belong to no test, so that each is said only where all recordings of its request agree. Raises UsageError for a file
    that is no HAR; an entry that is broken is left out, and said.
    """
    try:
        entries = json.loads(data)["log"]["entries"]
        if not isinstance(entries, list):
            raise TypeError("no list of entries")
    except (ValueError, LookupError, TypeError, RecursionError) as exc:
        raise UsageError(
            f"the file is no HAR: {type(exc).__name__}.", hint="save it with content, as browsers offer it"
        ) from exc
    found, left = [], []
    for number, entry in enumerate(entries):
        try:
            one = _foreign(entry, origin)
        except (ValueError, LookupError, TypeError, AttributeError, binascii.Error) as exc:
            left.append(f"entry {number}: {type(exc).__name__}: it cannot be read")
            continue
        if isinstance(one, str):
            left.append(f"entry {number}: {one}")
        else:
            found.append(one)
    return tuple(found), tuple(left)


def _foreign(entry: Mapping[str, Any], origin: str) -> Exchange | str:
    """Return one entry as an exchange, or why it cannot be one."""
    request, response = entry["request"], entry["response"]
    url = urlsplit(str(request["url"]))
    port = url.port or {"http": 80, "https": 443}.get(url.scheme)
    host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
    if f"{url.scheme}://{host}:{port}" != origin:
        return f"it is of another address ({url.hostname})"
    status = int(response["status"])
    if not 100 <= status <= 599:
        return "it has no status: the browser was not answered"
    if status >= 500 or status == 429:
        return f"status {status}: an outage is not to be learned"
    content = response.get("content") or {}
    text = content.get("text")
    if text is None and int(content.get("size") or 0) > 0:
        return "it was saved without its content"
    text = str(text or "")
    body = base64.b64decode(text, validate=True) if content.get("encoding") == "base64" else text.encode()
    headers = [one for one in _headers(response["headers"]) if not one[0].startswith(":")]
    asked_headers = [one for one in _headers(request["headers"]) if not one[0].startswith(":")]
    posted = request.get("postData") or {}
    at = datetime.fromisoformat(str(entry["startedDateTime"]).replace("Z", "+00:00")).timestamp()
    if posted and "text" not in posted:
        return "it was saved without what was posted"
    left_out = ("content-encoding", "content-length", "transfer-encoding")
    return Exchange(
        asked=Asked(
            method=str(request["method"]).upper(),
            path=url.path or "/",
            query=url.query,
            headers=tuple(asked_headers),
            body=str(posted.get("text", "")).encode(),
        ),
        answer=Answer(
            status=status,
            reason=str(response.get("statusText", "")),
            headers=tuple(one for one in headers if one[0].lower() not in left_out),
            body=body,
        ),
        began=at,
        ended=at + float(entry.get("time") or 0) / 1000,
        owner=SHARED,
    )
