"""Turn requests and answers into the same without their secrets, in which everything that was equal still is.

A secret becomes a pseudonym, `mask-` and twenty digits of an HMAC: the same secret the same one everywhere, in any lesson, so
that a request that is masked in an outage finds what was recorded. A pseudonym is its own, so that a client that was given one
and sends it back is understood. A token (RFC 7519) that staging itself gave out becomes a placeholder that keeps its claims but
for times, in whose place the stand-in puts a token of its own. The result is pseudonymised, not anonymous.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

from resilience.core.redact import Redactor
from resilience.core.secret import looks_secret
from resilience.core.secret_signs import hide_by_signs
from resilience.teach.exchange import Answer, Asked, Exchange, Headers, is_json, media_type

PSEUDONYM = re.compile(r"mask-[0-9a-f]{20}")
TOKEN = re.compile(r"mask-jwt-[0-9a-f]{20}")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{2,}\.[A-Za-z0-9_-]*")
_KNOWN = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,})"
)
"""Tokens that show what they are by how they begin."""
_EMAIL = re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}\b")
_TIMES = frozenset({"iat", "exp", "nbf", "jti", "auth_time", "at_hash", "nonce", "sid"})
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "apikey", "x-auth-token"})
_NO_SECRETS = frozenset({"token_type", "token_endpoint", "token_use", "expires_in", "token_endpoint_auth_method"})
_WORDS = re.compile(
    r"(?i)(?:^|[_.-])(?:session|sessionid|session_id|sid|csrf|xsrf|signature|sig|assertion|jwt|otp|cvv|card_?number|iban)$"
)
"""Names of fields, beside those that look secret anywhere, that hold what opens something."""
_ASKED_WITH = frozenset({"code", "state", "pin"})
"""The same in a query or a form alone: in JSON an order has a state, and an error a code."""
_TEXTS = ("text/", "application/xml", "application/javascript", "application/x-ndjson", "application/graphql")
_LONGEST_TEXT = 4 << 20
_SHORT, _REMEMBERED = 512, 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a placeholder stands for: the claims of a token but for its times, its algorithm, and how long it was good for."""

    claims: Mapping[str, Any]
    algorithm: str
    lifetime_s: float


@dataclass(slots=True, kw_only=True)
class Masker:
    """Masks by the names of fields and headers, by the shape of tokens, and by the value of every secret that is known.

    `issued` are tokens that staging gave out; any other is opaque: whether it is good is not ours to say. `seen` are pseudonyms
    that a generation holds: at replay a value that becomes one of these is known to have been masked, though nobody here knows the
    secrets any more.
    """

    key: bytes
    secrets: Redactor | None = None
    issued: Collection[str] = ()
    own: Callable[[str], str | None] = lambda _: None
    """Returns the placeholder of a token that the stand-in itself gave out; None for any other."""
    seen: Collection[str] = ()
    tokens: dict[str, Token] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    """At replay: pseudonyms that a generation holds → what a request had in their place, which an answer may say back."""
    values: tuple[str, ...] = ()
    """The secrets themselves, longest first, for whole values and for texts."""
    _known: dict[str, str] = field(default_factory=dict)
    _pseudonyms: dict[str, str] = field(default_factory=dict)

    def exchange(self, exchange: Exchange) -> Exchange:
        return replace(exchange, asked=self.asked(exchange.asked), answer=self.answer(exchange.answer))

    def asked(self, asked: Asked) -> Asked:
        return replace(
            asked,
            path="/".join(self._segment(part) for part in asked.path.split("/")),
            query=self._form(asked.query),
            headers=self._headers(asked.headers),
            body=self._body(asked.body, asked.headers),
        )

    def answer(self, answer: Answer) -> Answer:
        return replace(answer, headers=self._headers(answer.headers), body=self._body(answer.body, answer.headers))

    def pseudonym(self, value: str) -> str:
        """Return the pseudonym of a secret, itself where it is one."""
        if not value or PSEUDONYM.fullmatch(value) or TOKEN.fullmatch(value):
            return value
        found = self._pseudonyms.get(value)
        if found is None:
            if len(self._pseudonyms) >= _REMEMBERED:
                self._pseudonyms.clear()
            digits = hmac.new(self.key, value.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:20]
            found = f"mask-{digits}"
            if len(value) <= _SHORT:
                self._pseudonyms[value] = found
        self.used.add(found)
        if found in self.seen:
            self.sent[found] = value
        return found

    def secret(self, value: str) -> str:
        """Return what stands for a value that is a secret: a token's placeholder, else a pseudonym."""
        if _JWT.fullmatch(value):
            return self._jwt(value)
        return self.pseudonym(value)

    def text(self, text: str) -> str:
        """Return a text of any kind without tokens and without secrets that are known by value.

        Short ones are remembered, as the headers and paths of a suite's requests are the same again and again; with a token in
        them they are not, which may have ended by the next time.
        """
        if not text:
            return text
        if len(text) > _SHORT or "eyJ" in text:
            return self._text(text)
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[text] = self._text(text)
        return known

    def _text(self, text: str) -> str:
        if "eyJ" in text:
            text = _JWT.sub(lambda match: self._jwt(match[0]), text)
        text = _KNOWN.sub(lambda match: self.pseudonym(match[0]), text)
        for value in self.values:
            for form in dict.fromkeys((value, quote(value, safe=""), json.dumps(value)[1:-1])):
                if form in text:
                    text = text.replace(form, self.pseudonym(value))
        if self.seen and not PSEUDONYM.search(text):
            found = self.pseudonym(text)
            self.used.discard(found)
            if found in self.seen:
                return found
        return text

    def _jwt(self, token: str) -> str:
        """Return the placeholder of a token that staging, or its stand-in, gave out, else the pseudonym of all of it."""
        ours = self.own(token)
        if ours is not None:
            return ours
        if token not in self.issued:
            return self.pseudonym(token)
        try:
            head, claims = _decoded(token)
        except ValueError:
            return self.pseudonym(token)
        issued, ends = claims.get("iat"), claims.get("exp")
        numbers = isinstance(issued, int | float) and isinstance(ends, int | float)
        lifetime = float(ends) - float(issued) if numbers else 3600.0  # type: ignore[arg-type]
        name, kept = self.placeholder(claims)
        self.tokens[name] = Token(claims=kept, algorithm=str(head.get("alg", "RS256")), lifetime_s=lifetime)
        return name

    def placeholder(self, claims: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
        """Return the placeholder of a token with these claims, and the claims that it keeps: all but times, secrets masked."""
        kept = self._value({name: value for name, value in claims.items() if name not in _TIMES}, "")
        told = json.dumps(kept, sort_keys=True, ensure_ascii=False).encode()
        return f"mask-jwt-{hmac.new(self.key, told, hashlib.sha256).hexdigest()[:20]}", kept

    def _segment(self, part: str) -> str:
        plain = unquote(part)
        masked = self.text(plain)
        return part if masked == plain else quote(masked, safe="")

    def _form(self, text: str) -> str:
        """Mask a query or a form field by field; one without secrets keeps its very bytes."""
        if not text:
            return text
        return "&".join(self._field(part) for part in text.split("&"))

    def _field(self, part: str) -> str:
        name, sign, value = part.partition("=")
        told = unquote(name.replace("+", " "))
        hidden = self.text(told)
        plain = unquote(value.replace("+", " "))
        secret = is_secret_name(unquote(name)) or unquote(name).lower() in _ASKED_WITH
        masked = self.secret(plain) if plain and secret else self.text(plain)
        if (hidden, masked) == (told, plain):
            return part
        return f"{quote(hidden, safe='') if hidden != told else name}{sign}{quote(masked, safe='')}"

    def _headers(self, headers: Headers) -> Headers:
        return tuple((name, self._header(name.lower(), value)) for name, value in headers)

    def _header(self, name: str, value: str) -> str:
        """Mask a header: credentials after their scheme, cookies by value, all else as text."""
        if name in ("authorization", "proxy-authorization"):
            scheme, space, rest = value.partition(" ")
            return f"{scheme} {self.secret(rest.strip())}" if space else self.secret(value)
        if name == "cookie":
            return "; ".join(self._cookie(part.strip()) for part in value.split(";") if part.strip())
        if name == "set-cookie":
            first, sign, rest = value.partition(";")
            return f"{self._cookie(first.strip())}{sign}{rest}"
        if name in ("location", "content-location", "link", "referer") or value.startswith(("http://", "https://")):
            before, mark, query = value.partition("?")
            return f"{self.text(before)}{mark}{self._form(query)}"
        if name in _SECRET_HEADERS or (is_secret_name(name) and name not in ("www-authenticate", "etag")):
            return self.secret(value)
        return self.text(value)

    def _cookie(self, pair: str) -> str:
        name, sign, value = pair.partition("=")
        return f"{name}{sign}{self.secret(value.strip(chr(34)))}" if value else pair

    def _body(self, body: bytes, headers: Headers) -> bytes:
        """Mask a body by its sort. One of bytes that are no text is left to the scan of all that is about to be written."""
        if not body:
            return body
        media = media_type(headers)
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return self._parts(body) if media.startswith("multipart/") else body
        if is_json(media) or not media:
            masked = self._json(text)
            if masked is not None:
                return masked.encode()
        if media == "application/x-www-form-urlencoded":
            return self._form(text).encode()
        if media == "text/event-stream" or media == "application/x-ndjson":
            return "\n".join(map(self._line, text.split("\n"))).encode()
        if media.startswith("multipart/"):
            return self._parts(body)
        text = self.text(text)
        if media.startswith(_TEXTS) and len(text) <= _LONGEST_TEXT:
            text = hide_by_signs(text)
        return text.encode()

    def _json(self, text: str) -> str | None:
        """Mask JSON; where nothing in it is secret its very bytes are kept. None where it is none."""
        try:
            value = json.loads(text)
        except ValueError:
            return None
        masked = self._value(value, "")
        return text if masked == value else json.dumps(masked, ensure_ascii=False)

    def _line(self, line: str) -> str:
        head, sign, rest = line.partition(": ") if line.startswith("data: ") else ("", "", line)
        masked = self._json(rest) if rest[:1] in ("{", "[", '"') else None
        return f"{head}{sign}{self.text(rest) if masked is None else masked}"

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, dict):
            return {key: self._value(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [self._value(inner, name) for inner in value]
        if isinstance(value, str):
            return self.secret(value) if is_secret_name(name) and value else self.text(value)
        return value

    def _parts(self, body: bytes) -> bytes:
        """Mask the fields of a multipart body; what lies between keeps its bytes, files included."""
        pieces = re.split(rb"(\r\n--[^\r\n]+(?:\r\n)?)", b"\r\n" + body)
        return b"".join(map(self._part, pieces)).removeprefix(b"\r\n")

    def _part(self, piece: bytes) -> bytes:
        head, blank, data = piece.partition(b"\r\n\r\n")
        found = re.search(rb'name="([^"]*)"', head)
        if not blank or found is None:
            return piece
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return piece
        secret = is_secret_name(found[1].decode("utf-8", "replace")) and b"filename=" not in head
        return head + blank + (self.secret(text) if secret else self.text(text)).encode()


def is_secret_name(name: str) -> bool:
    """Say whether a field or header of this name holds a secret; `token_type` and a count of tokens do not."""
    low = name.lower()
    if low in _NO_SECRETS or low.endswith(("_tokens", "_url", "_uri", "_endpoint", "_type", "_count", "_at", "_in")):
        return False
    return looks_secret(name) or low in _SECRET_HEADERS or _WORDS.search(low) is not None


def tokens_in(exchanges: Iterable[Exchange]) -> frozenset[str]:
    """Return every token that staging gave out: those in its answers."""
    found: set[str] = set()
    for exchange in exchanges:
        for _, value in exchange.answer.headers:
            found.update(_JWT.findall(value))
        if b"eyJ" in exchange.answer.body:
            found.update(_JWT.findall(exchange.answer.body.decode("utf-8", "replace")))
    return frozenset(token for token in found if _is_token(token))


def people_in(exchanges: Sequence[Exchange]) -> dict[str, int]:
    """Count what of people is kept, by sort: e-mail addresses, each once."""
    found: set[str] = set()
    for exchange in exchanges:
        for data in (exchange.asked.body, exchange.answer.body, exchange.asked.query.encode()):
            if b"@" in data or b"%40" in data:
                found.update(_EMAIL.findall(unquote(data.decode("utf-8", "ignore"))))
    return {"e-mail addresses": len(found)} if found else {}


def claims_of(token: str) -> Mapping[str, Any] | None:
    """Return the claims of a token, unverified; None where it is none."""
    try:
        return _decoded(token)[1]
    except ValueError:
        return None


def _is_token(text: str) -> bool:
    try:
        _decoded(text)
    except ValueError:
        return False
    return True


def _decoded(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of a token, unverified. Raises ValueError for what is none."""
    head, claims = token.split(".")[:2]
    try:
        found = [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, claims)]
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise ValueError(str(exc)) from exc
    if not all(isinstance(part, dict) for part in found):
        raise ValueError("its parts are no objects")
    return found[0], found[1]
