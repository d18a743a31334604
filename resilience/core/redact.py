"""Turn text into text that may leave the machine.

The order is always the same: strip what a terminal would act on → hide every known secret by its value, in whatever
encoding it comes → hide what looks secret by structure → shorten. `leaks` is the last gate: it looks for the values in
bytes that are about to leave.
"""

from __future__ import annotations

import base64
import binascii
import bisect
import contextlib
import dataclasses
import enum
import hashlib
import hmac
import html
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from resilience.core import records as model
from resilience.core.secret import Secret
from resilience.core.settings import Settings
from resilience.core.urls import url_parts

HIDDEN = "***"
SHORTEST = 4
"""Characters; shorter secrets are hidden where structure shows them, as their letters are in every second word."""

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\n]{0,2000}(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b\n]{0,2000}(?:\x1b\\)?"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor
    r"|\x1b[ -/]{0,8}[0-~]"
)
_LINES = re.compile("\r\n?|\x85|\u2028|\u2029|\x0b|\x0c")
_UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_LONGEST = 512
"""Characters beside a cut in which the rest of a secret is looked for."""
_STUMP = re.compile(r"[^\s….]?|[%\\&<][^\s….]{0,11}")
_STUMP_AFTER = re.compile(r"[^\s….]?|[0-9A-Za-z#]{0,11};?")
"""What may be left of an escape which was cut in two."""
_DOTS = re.compile(r"\.{3}|…")
_BROKEN = re.compile("[\ud800-\udfff\ufffe\uffff]")


def plain(text: str) -> str:
    """Return the text without ANSI sequences, control, bidi and zero-width characters; lines end in a newline."""
    if text.isascii() and text.isprintable():
        return text
    text = _LINES.sub("\n", _ESCAPES.sub("", text))
    return _BROKEN.sub("\ufffd", _UNSEEN.sub("", text))


def clean(text: str | bytes, limit: int = 300, *, one_line: bool = True) -> str:
    """Return a text that a service supplied as one that may be shown: plain, at most `limit` characters long.

    It hides nothing: where secrets may be in it, `Redactor.short` is the one to call, as cutting comes after hiding.
    """
    if isinstance(text, bytes):
        text = text[: limit * 64].decode("utf-8", "replace")
    text = plain(text)
    return _shorten(" ".join(text.split()) if one_line else text.strip(), limit)


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def start(data: str, limit: int) -> str:
    """Return the first characters, with dots where there are more: by them `Redactor` sees that a secret may be cut in two."""
    return data if len(data) <= limit else data[:limit] + "..."


class Redactor:
    """Hides these secrets, and whatever looks like one, in any text.

    `hosts` and `projects` are internal names that `public` replaces too; `key` makes its pseudonyms the same in every
    run, without one they are numbered in the order in which they are met.
    """

    def __init__(
        self,
        secrets: Iterable[str | Secret] = (),
        *,
        hosts: Iterable[str] = (),
        projects: Iterable[str] = (),
        key: bytes = b"",
    ) -> None:
        values = {secret.reveal() if isinstance(secret, Secret) else secret for secret in secrets}
        needles = _needles(values)
        # Of a URL the password is a secret of its own, and its beginning is in every endpoint.
        long = (needle.text for needle in needles if len(needle.text) >= 8 and "://" not in needle.text)
        self._ends = tuple((form, form[: _least(form)], form[-_least(form) :]) for form in long)
        self._simple = tuple(needle for needle in needles if not _AWKWARD.intersection(needle.text))
        self._awkward = tuple(needle for needle in needles if _AWKWARD.intersection(needle.text))
        self._pseudonyms = _Pseudonyms(tuple(hosts), tuple(projects), key)

    @classmethod
    def of(cls, settings: Settings, *, hosts: Iterable[str] = (), key: bytes = b"") -> Redactor:
        """Return the redactor of these settings: their secrets, and for `public` the hosts of staging and `hosts`."""
        parts = [url_parts(service.url, service.type) for service in settings.services if service.configured]
        names = [part.host for part in parts if not part.is_local]
        return cls(settings.secrets, hosts=(*names, *settings.deny_hosts, *hosts), key=key)

    def __repr__(self) -> str:
        return f"Redactor({len(self._simple) + len(self._awkward)} forms)"

    def text(self, text: str) -> str:
        """Return the text with everything secret as `***`; doing it twice changes nothing more."""
        text = plain(text)
        for _ in range(4):
            hidden = _by_structure(self._by_value(text))
            if hidden == text:
                break
            text = hidden
        return text

    def short(self, text: str | bytes, limit: int = 300) -> str:
        """Return one line of at most `limit` characters, hidden before it is cut."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        return clean(self.text(text), limit)

    def public(self, text: str) -> str:
        """Return the text for strangers: private addresses, internal names, project ids and e-mail go as well."""
        return self._pseudonyms.replace(self.text(text))

    def leaks(self, data: bytes | str) -> int | None:
        """Return the offset in bytes of the first form of a secret in what is about to leave, or None."""
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
        found = min(self._find(text, strip=True), default=None)
        if found is None:
            return None
        return len(text[: found[0]].encode("utf-8", "surrogatepass" if isinstance(data, str) else "surrogateescape"))

    def cut(self, text: str, at: int) -> int:
        """Return the last place at or before `at` where the text can be cut without cutting a secret in two."""
        begin = max(at - 16_384, 0)
        spans = sorted(self._find(text[begin : at + 16_384]))
        for start, end in reversed(list(_merged(spans)) if spans else []):
            if begin + start < at < begin + end:
                at = begin + start
        return at

    def _by_value(self, text: str) -> str:
        layers = tuple(_layers_at_once(text, strip=False)) if self._simple or self._ends else ()
        found = sorted((*self._find(text, layers=layers), *self._find_cut(layers)))
        if not found:
            return text
        parts: list[str] = []
        at = 0
        for start, end in _merged(found):
            # markup inside a secret is the renderer's, and taking it away would unbalance the page
            tags = "".join(_TAG.findall(text[start:end]))
            parts += (text[at:start], HIDDEN, "" if any(self._find(tags)) else tags)
            at = end
        parts.append(text[at:])
        return "".join(parts)

    def _find(
        self, text: str, *, strip: bool = False, layers: Iterable[_Layer] | None = None
    ) -> Iterator[tuple[int, int]]:
        if self._simple:
            yield from _search(self._simple, _layers_at_once(text, strip=strip) if layers is None else layers)
        if self._awkward:
            yield from _search(self._awkward, _layers_in_any_order(text, strip=strip))

    def _find_cut(self, layers: Iterable[_Layer]) -> Iterator[tuple[int, int]]:
        """Return what is left of secrets where a text was shortened before it came to us: at dots, as pytest does, or its end."""
        for layer in layers if self._ends else ():
            for start, end in self._beside_cuts(layer.text):
                yield layer.source(start, end)

    def _beside_cuts(self, text: str) -> Iterator[tuple[int, int]]:
        cuts = [dots.span() for dots in _DOTS.finditer(text)] if "…" in text or "..." in text else []
        for start, end in (*cuts, (len(text), len(text))):
            before, after = text[max(start - _LONGEST, 0) : start], text[end : end + _LONGEST]
            for form, head, tail in self._ends:
                at = before.rfind(head)
                if at >= 0:
                    there = _shared(form, before[at:])
                    cut = there < len(form) and _STUMP.fullmatch(before, at + there)
                    if cut and not _too_common(before[at : at + there]):
                        yield start - len(before) + at, start
                at = after.find(tail)
                if at >= 0:
                    until = at + len(tail)
                    there = _shared(form[::-1], after[:until][::-1])
                    cut = there < len(form) and _STUMP_AFTER.fullmatch(after, 0, until - there)
                    if cut and not _too_common(after[until - there : until]):
                        yield end, end + until


@dataclass(frozen=True, slots=True)
class _Needle:
    """One form of a secret; of base64 only the inner characters are known, so the token around it goes as well."""

    text: str
    base64: bool = False


def _search(needles: Sequence[_Needle], layers: Iterable[_Layer]) -> Iterator[tuple[int, int]]:
    for layer in layers:
        for needle in needles:
            at = layer.text.find(needle.text)
            while at >= 0:
                start, end = at, at + len(needle.text)
                at = layer.text.find(needle.text, at + 1)
                if len(needle.text) < 6 and _in_blob(layer.text, start, end):
                    continue
                if needle.base64:
                    start, end = _token(layer.text, start, end)
                yield layer.source(start, end)


def _shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    least = min(len(one), len(other))
    return next((at for at in range(least) if one[at] != other[at]), least)


def _least(form: str) -> int:
    """How many characters of a secret are told from chance."""
    return min(8, len(form) // 2)


def _needles(values: Iterable[str]) -> tuple[_Needle, ...]:
    needles: dict[str, _Needle] = {}
    for value in sorted(values, key=lambda value: (-len(value), value)):
        for part in dict.fromkeys((value, value.strip(), *(line.strip() for line in value.splitlines()))):
            if part != value and part != value.strip() and len(part) < 16:
                continue
            if _too_common(part):
                continue
            for form in _forms(part):
                needles.setdefault(form, _Needle(form))
            for form in _base64_forms(part.encode("utf-8", "surrogatepass")):
                needles.setdefault(form, _Needle(form, base64=True))
    return tuple(needles.values())


def _too_common(value: str) -> bool:
    """Whether hiding this value wherever it stands would deface the report instead of keeping a secret."""
    if len(value) < SHORTEST or not value.strip("*. \t\n"):
        return True
    if (value.isdecimal() and len(value) < 6) or value.lower() in _VOCABULARY:
        return True
    return len(value) < 8 and (value in _IN_WORDS or value in _IN_WORDS.upper())


def _forms(value: str) -> Iterator[str]:
    """Return the value as it stands, as bytes read in another code page, in forms, shells and hexadecimal."""
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield plain(value) if not _too_common(plain(value)) else value
    if not value.isascii():
        yield raw.decode("latin-1")
        with contextlib.suppress(UnicodeEncodeError):
            yield value.encode("latin-1").decode("utf-8", "surrogateescape")
    if " " in value:
        yield value.replace(" ", "+")
    if "'" in value:
        yield value.replace("'", "'\"'\"'")
        yield value.replace("'", "'\\''")
        yield value.replace("'", "''")
    if '"' in value:
        yield value.replace('"', '""')
    if len(raw) >= 5:
        yield raw.hex()
        yield raw.hex().upper()


def _base64_forms(raw: bytes) -> Iterator[str]:
    """Return what base64 makes of the value at each of its three places inside a longer text, in both alphabets."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        if whole.endswith("="):
            yield whole
        for ahead, skip in ((0, 0), (1, 2), (2, 3)):
            text = encode(b"\0" * ahead + raw).decode()[skip : (ahead + len(raw)) * 8 // 6]
            if len(text) >= 6:
                yield text


def _words() -> Iterator[str]:
    for thing in vars(model).values():
        if isinstance(thing, type) and issubclass(thing, enum.Enum):
            yield from (str(member.value) for member in thing)
        elif dataclasses.is_dataclass(thing):
            yield from (field.name for field in dataclasses.fields(thing))


_IN_WORDS = " ".join(
    (
        *_words(),
        "password passwd passphrase secret token admin administrator root user username guest anonymous default example",
        "changeme localhost postgres postgresql postgis redis valkey clickhouse mysql sqlite backend frontend staging",
        "production development testing integration service services session cookie bearer basic https health status",
        "enabled disabled required optional always never auto strict legacy primary memory file string number value",
        "none null true false undefined unknown nothing company project resilience runbook connection refused network",
        # of pages, style sheets, charts and diagrams
        "action active adjust align anchor attr avoid axes axis axisformat background base basis border bottom break butt",
        "cards charset chart clamp class clip clippath collapse color columns compact configured connector content cursor",
        "dark dasharray dashoffset database dateformat defs details device display displaymode distributions doctype",
        "duration encoding equiv errors exact exit failures family figcaption figures fill flex focusable font footer",
        "gantt gauge gradient graphics grid head height help hidden href html icon initial inline inside items json junit",
        "lang last latency left light linear linecap linejoin list logs loss margin matplotlib media mermaid meta middle",
        "minmax minute miter mono monospace narrow neue noindex normal nowrap numeric nums opacity overflow padding page",
        "panel partial patch path pattern patternunits pointer policy prefers print probe properties property public",
        "radius rect referrer regular right robots role rotate samples sans scale scheme scroll scrolling second seconds",
        "section security serif size sizing small soft solid space span sqlstate square standalone stroke strong style",
        "summary system table tabular tbody template testcase testsuite testsuites text thead tickinterval timestamp",
        "title transform transparent unsafe userspaceonuse variable variant vertical viewbox viewport visibility visible",
        "webkit weight white wide width wrap xlink xmlns xtick ytick",
        "incident timeline report evidence hostname address certificate expired response request internal error warning",
    )
).lower()
_VOCABULARY = frozenset(_IN_WORDS.split())
"""Words of ours and of everybody's: a password that is one, or a short part of one, is hidden by structure only."""


_PERCENT_SIGNS = r"(?:%[0-9A-Fa-f]{2})+"
_BACKSLASHES = (
    r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}"
    r"|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[0-3][0-7]{2}|\\[^\n]"
)
_ENTITIES = r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,400}>")
_ANY_ESCAPE = re.compile(f"{_PERCENT_SIGNS}|{_BACKSLASHES}|{_ENTITIES}")
_AWKWARD = frozenset("%\\&<")
"""What escapes begin with: a secret that holds one itself may be lost when all escapes are taken out at once."""
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}


def _percent(match: re.Match[str]) -> str:
    data = bytes.fromhex(match[0].replace("%", ""))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _backslash(match: re.Match[str]) -> str:
    text = match[0]
    if len(text) == 2:
        return _CONTROLS.get(text[1], text[1])
    if len(text) == 12:
        pair = (int(text[2:6], 16), int(text[8:12], 16))
        return chr(0x10000 + ((pair[0] - 0xD800) << 10) + (pair[1] - 0xDC00))
    if text[1] in "01234567":
        return chr(int(text[1:], 8))
    number = int(text[2:].strip("{}"), 16)
    return chr(number) if number < 0x110000 else text


def _entity(match: re.Match[str]) -> str:
    return html.unescape(match[0])


def _nothing(match: re.Match[str]) -> str:
    return ""


def _any_escape(match: re.Match[str]) -> str:
    first = match[0][0]
    return _percent(match) if first == "%" else _backslash(match) if first == "\\" else _entity(match)


_DECODERS: Sequence[tuple[str, re.Pattern[str], Callable[[re.Match[str]], str]]] = (
    ("%", re.compile(_PERCENT_SIGNS), _percent),
    ("\\", re.compile(_BACKSLASHES), _backslash),
    ("&", re.compile(_ENTITIES), _entity),
    ("<", _TAG, _nothing),
)


class _Layer:
    """A text with one kind of escape taken out, which knows where each of its characters came from."""

    __slots__ = ("_ends", "_parent", "_pattern", "_replace", "_starts", "_stops", "text")

    def __init__(
        self,
        text: str,
        parent: _Layer | None = None,
        pattern: re.Pattern[str] | None = None,
        replace: Callable[[re.Match[str]], str] | None = None,
    ) -> None:
        self._parent, self._pattern, self._replace = parent, pattern, replace
        self._starts: list[int] | None = None
        """Where each replaced escape begins in the new text, and as (begin, end) in the old one; built for a first find."""
        self._stops: list[int] = []
        self._ends: list[tuple[int, int]] = []
        if pattern is None or replace is None:
            self.text = text
        else:
            self.text = pattern.sub("" if replace is _nothing else replace, text)

    def _places(self) -> list[int]:
        if self._starts is None:
            assert self._parent is not None
            assert self._pattern is not None
            assert self._replace is not None
            self._starts = []
            at = length = 0
            for match in self._pattern.finditer(self._parent.text):
                length += match.start() - at
                self._starts.append(length)
                length += len(self._replace(match))
                self._stops.append(length)
                self._ends.append(match.span())
                at = match.end()
        return self._starts

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return the span in the first text from which this span was made; no escape is cut in two."""
        if self._parent is None:
            return start, end
        starts = self._places()
        first = bisect.bisect_right(starts, start) - 1
        while first > 0 and self._stops[first] == starts[first] == start:
            first -= 1
        if first >= 0 and start < self._stops[first]:
            begin = self._ends[first][0]
        else:
            begin = start if first < 0 else self._ends[first][1] + start - self._stops[first]
        last = bisect.bisect_left(starts, end) - 1
        if last >= 0 and end <= self._stops[last]:
            finish = self._ends[last][1]
        else:
            finish = end if last < 0 else self._ends[last][1] + end - self._stops[last]
        return self._parent.source(begin, finish)


_DEPTH = 4
"""Encodings around each other that are seen through: a URL in JSON in HTML in JSON."""


def _roots(text: str, *, strip: bool) -> list[_Layer]:
    """Return the text as it stands and, where asked, without what is not seen on a screen."""
    roots = [_Layer(text)]
    if strip and not _seen(text):
        for pattern in (_ESCAPES, _UNSEEN):
            if pattern.search(text):
                roots.append(_Layer(roots[-1].text, roots[-1], pattern, _nothing))
    return roots


def _seen(text: str) -> bool:
    """Whether all of the text is seen on a screen; lines of ASCII are told without the patterns, which cost a second a file."""
    return text.isascii() and text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable()


def _escaped(text: str) -> bool:
    """Whether there is any escape; the plain look for its first characters spares most texts the pattern."""
    return any(sign in text for sign in "%\\&") and _ANY_ESCAPE.search(text) is not None


def _layers_at_once(text: str, *, strip: bool) -> Iterator[_Layer]:
    """Return the text with all escapes taken out at once, again and again, and each of that without tags."""
    for root in _roots(text, strip=strip):
        layer = root
        for _ in range(_DEPTH + 1):
            yield layer
            if "<" in layer.text and _TAG.search(layer.text):
                bare = _Layer(layer.text, layer, _TAG, _nothing)
                yield bare
                if _escaped(bare.text):
                    yield _Layer(bare.text, bare, _ANY_ESCAPE, _any_escape)
            if not _escaped(layer.text):
                break
            following = _Layer(layer.text, layer, _ANY_ESCAPE, _any_escape)
            if following.text == layer.text:
                break
            layer = following


def _layers_in_any_order(text: str, *, strip: bool) -> Iterator[_Layer]:
    """Return what the text becomes as percent, backslash and HTML escapes and tags are taken out in any order."""
    waiting = _roots(text, strip=strip)
    seen = {layer.text for layer in waiting}
    for depth in range(_DEPTH + 1):
        yield from waiting
        following: list[_Layer] = []
        for layer in waiting if depth < _DEPTH else ():
            for sign, pattern, replace in _DECODERS:
                if sign not in layer.text or not pattern.search(layer.text):
                    continue
                decoded = _Layer(layer.text, layer, pattern, replace)
                if decoded.text not in seen:
                    seen.add(decoded.text)
                    following.append(decoded)
        waiting = following


def _merged(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start, end = spans[0]
    for begin, finish in spans[1:]:
        if begin > end:
            yield start, end
            start = begin
        end = max(end, finish) if begin <= end else finish
    yield start, end


_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-")


def _token(text: str, start: int, end: int) -> tuple[int, int]:
    while start and text[start - 1] in _BASE64:
        start -= 1
    while end < len(text) and text[end] in _BASE64:
        end += 1
    return start, end


def _in_blob(text: str, start: int, end: int) -> bool:
    """Whether these few letters are inside a picture's base64, where every few letters occur by chance."""
    around = text[max(start - 60, 0) : end + 60]
    return len(around) == end - start + 120 and _BASE64.issuperset(around)


_Q = r"(?:\\*[\"']|&quot;|&apos;|&#0?3[49];|&#x2[27];)"
_SEP = rf"(?:{_Q}?\s{{0,4}}(?::|=>|=|%3[dD]|%3[aA])\s{{0,4}}(?:b?{_Q})?|{_Q}\s{{0,4}},\s{{0,4}}b?{_Q})"
_END = r"\s\"'\\&,;<>()\[\]{}|`"
_KEY_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|secret[_-]?key"
    r"|encryption[_-]?key|signing[_-]?key|client[_-]?secret|credentials?|x-amz-signature|x-goog-signature|session[_-]?id)"
)
_KEY_WORDS = ("password", "passwd", "passphrase", "pwd", "secret", "token", "key", "credential", "signature", "session")
_HARMLESS = frozenset(
    (
        *(
            "required",
            "missing",
            "invalid",
            "expired",
            "none",
            "null",
            "nil",
            "true",
            "false",
            "yes",
            "no",
            "not",
            "is",
        ),
        *("was", "are", "must", "wrong", "incorrect", "empty", "unset", "set", "expected", "given", "unknown", "for"),
        *("and", "or", "in", "of", "failed", "failure", "error", "needed", "string", "str", "secret", "password"),
        *("authentication", "refused", "rejected", "denied", "has", "bearer"),
    )
)
"""What may follow 'password:' in prose."""

_URL_USER = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]{0,30}:(?:\\?/){2})([^\s/?#\"'<>\\@]{1,512}(?:@[^\s/?#\"'<>\\@]{1,512})*)@(?=[\w\[%.-])"
)
_DSN_USER = re.compile(
    r"(?i)\b((?:postgres(?:ql)?|redis|rediss|mysql|mariadb|mongodb|amqps?|clickhouse|mssql|oracle)(?:\+[a-z0-9]{1,20})?:"
    r"(?:\\?/){2})([^\s\"'<>\\@:/]{0,128}:[^\s\"'<>\\]{1,512})@(?=[\w\[%.-])"
)
_QUOTED_USER = re.compile(r"(?i)(%3A%2F%2F)((?:(?!%40)[^\s\"'<>&@]){1,512}?)(%40)")
_AUTHORIZATION = re.compile(
    rf"(?i)(authorization{_SEP})"
    r"((?:basic|bearer|token|digest|negotiate|ntlm|apikey|aws4-hmac-sha256)[ +]{1,4})?"
    rf"([^{_END}]{{3,}}(?:,\s?[a-z]{{1,20}}=[^{_END}]{{1,}})*)"
)
_SCHEME_TOKEN = re.compile(r"\b((?i:bearer)\s{1,4})([A-Za-z0-9._~+/=-]{8,})")
_BASIC_TOKEN = re.compile(r"\b((?i:basic)\s{1,4})([A-Za-z0-9+/_-]{6,}={0,2})")
_COOKIE = re.compile(rf"(?i)(cookies?2?{_SEP})([!#$%&*+.^_`|~0-9a-z-]{{1,64}}=)([^\r\n\"'\\<>]+)")
_ASSIGNED = rf"(?i)({_KEY_NAME}{_Q}?\s{{0,4}}(?::|=>|=|,)\s{{0,4}}b?"
_KEYED_DOUBLE = re.compile(rf"{_ASSIGNED}\")((?:[^\"\\\n]|\\.)*)(\"|$)", re.M)
_KEYED_SINGLE = re.compile(rf"{_ASSIGNED}')((?:[^'\\\n]|\\.)*)('|$)", re.M)
_KEYED_ESCAPED = re.compile(rf"{_ASSIGNED}(\\+[\"']|&quot;|&apos;|&#0?3[49];|&#x2[27];))(.*?)(\2|$)", re.M)
_KEYED = re.compile(rf"(?i)({_KEY_NAME}(?:=|%3D|\s{{0,2}}:\s{{0,2}}|\s=\s))([^{_END}]{{1,}})")
_ENV_KEY = re.compile(rf"\b([A-Z][A-Z0-9_]{{0,60}}_(?:KEY|DSN|COOKIE|CREDENTIALS|PAT)=)([^{_END}]{{4,}})")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*)?")
_PEM = re.compile(
    r"(-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----).*?"
    r"(-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.S,
)
_KNOWN_TOKENS = re.compile(
    r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{30,}|ya29\.[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9_-]{20,}|npm_[A-Za-z0-9]{30,})"
)


_TOKEN_SIGNS = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA", "AIza", "ya29.", "sk-"),
    "npm_",
)


def _by_structure(text: str) -> str:
    if "PRIVATE KEY" in text:
        text = _PEM.sub(rf"\1 {HIDDEN} \2", text)
    return "\n".join(map(_line_by_structure, text.split("\n")))


def _line_by_structure(text: str) -> str:
    folded = text.lower()
    if "@" in text and "//" in text.replace("\\/", "/"):
        text = _DSN_USER.sub(rf"\1{HIDDEN}@", text)
        text = _URL_USER.sub(rf"\1{HIDDEN}@", text)
    if "%3a%2f%2f" in folded:
        text = _QUOTED_USER.sub(rf"\1{HIDDEN}\3", text)
    if "authorization" in folded:
        text = _AUTHORIZATION.sub(lambda m: f"{m[1]}{m[2] or ''}{HIDDEN}", text)
    if "cookie" in folded:
        text = _COOKIE.sub(rf"\1{HIDDEN}", text)
    if any(word in folded for word in _KEY_WORDS):
        text = _KEYED_DOUBLE.sub(_hide_quoted, text)
        text = _KEYED_SINGLE.sub(_hide_quoted, text)
        text = _KEYED_ESCAPED.sub(_hide_escaped, text)
        text = _KEYED.sub(_hide_keyed, text)
    if "_KEY=" in text or "_DSN=" in text or "_COOKIE=" in text or "_CREDENTIALS=" in text or "_PAT=" in text:
        text = _ENV_KEY.sub(rf"\1{HIDDEN}", text)
    if "bearer" in folded:
        text = _SCHEME_TOKEN.sub(_hide_bearer, text)
    if "basic" in folded:
        text = _BASIC_TOKEN.sub(_hide_basic, text)
    if "eyJ" in text:
        text = _JWT.sub(HIDDEN, text)
    return _KNOWN_TOKENS.sub(HIDDEN, text) if any(sign in text for sign in _TOKEN_SIGNS) else text


def _hide_quoted(match: re.Match[str]) -> str:
    harmless = not match[2] or match[2].lower() in _HARMLESS
    return match[0] if harmless else f"{match[1]}{HIDDEN}{match[3]}"


def _hide_escaped(match: re.Match[str]) -> str:
    harmless = not match[3] or match[3].lower() in _HARMLESS
    return match[0] if harmless else f"{match[1]}{HIDDEN}{match[4]}"


def _hide_keyed(match: re.Match[str]) -> str:
    """Hide `password=…`; a count of tokens, or prose such as 'password: required', is none."""
    value = match[2].rstrip(".:!?")
    counted = "token" in match[1].lower() and value.replace(".", "").isdecimal()
    folder = match[1].lower().startswith("pwd") and value.startswith("/")
    if counted or folder or value.lower() in _HARMLESS or value.startswith(("$", HIDDEN)):
        return match[0]
    return f"{match[1]}{HIDDEN}"


def _hide_bearer(match: re.Match[str]) -> str:
    like_token = any(sign.isdigit() for sign in match[2]) or len(match[2]) >= 24
    return f"{match[1]}{HIDDEN}" if like_token else match[0]


def _hide_basic(match: re.Match[str]) -> str:
    try:
        decoded = base64.b64decode(match[2] + "=" * (-len(match[2]) % 4), altchars=b"-_" if "-" in match[2] else None)
    except binascii.Error:
        return match[0]
    return f"{match[1]}{HIDDEN}" if b":" in decoded else match[0]


_ADDRESS4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_ADDRESS6 = re.compile(r"(?<![\w:.])(?=[0-9A-Fa-f:]*:[0-9A-Fa-f:]*:)[0-9A-Fa-f:]{3,39}(?:%\w+)?(?![\w:])")
_EMAIL = re.compile(
    r"(?<![\w.%+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b"
)
_INTERNAL = re.compile(
    r"(?i)(?<![\w.-])(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.){1,8}"
    r"(?:internal|local|lan|corp|intra|intranet|private|svc|localdomain|home\.arpa|svc\.cluster\.local)\b(?![\w-]|\.\w)"
)
_PROJECT = re.compile(r"\b(projects/)([a-z][a-z0-9-]{4,28}[a-z0-9])\b")
_INSTANCE = re.compile(r"\b([a-z][a-z0-9-]{4,28}[a-z0-9])(:[a-z]{2,}-[a-z]{3,}[0-9]{1,2}:)([a-z][a-z0-9-]{0,97})")
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)


class _Pseudonyms:
    """Names for what strangers need not know; the same thing has the same name in every text of one report."""

    def __init__(self, hosts: Sequence[str], projects: Sequence[str], key: bytes) -> None:
        self._key = key
        self._names: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._addresses = {ipaddress.ip_address(name.strip("[]")) for name in hosts if _is_address(name)}
        given = [name for name in hosts if len(name) >= 2 and not _is_address(name) and name.lower() != "localhost"]
        self._given = {"host": _any_of(given), "project": _any_of(projects)}

    def replace(self, text: str) -> str:
        text = _EMAIL.sub(self._person, text)
        text = _INSTANCE.sub(lambda m: f"{self._name('project', m[1])}{m[2]}{self._name('instance', m[3])}", text)
        text = _PROJECT.sub(lambda m: f"{m[1]}{self._name('project', m[2])}", text)
        for kind, pattern in self._given.items():
            if pattern:
                text = pattern.sub(lambda m, kind=kind: self._name(kind, m[0].lower()), text)  # type: ignore[misc]
        text = _INTERNAL.sub(lambda m: self._name("host", m[0].lower()), text)
        text = _ADDRESS4.sub(self._address, text)
        return _ADDRESS6.sub(self._address, text)

    def _person(self, match: re.Match[str]) -> str:
        if match[0].endswith("@mail.invalid"):
            return match[0]
        return f"{self._name('person', match[0].lower())}@mail.invalid"

    def _address(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(match[0].partition("%")[0])
        except ValueError:
            return match[0]
        private = address in self._addresses or any(address in network for network in _PRIVATE)
        return self._name("address", str(address)) if private and not address.is_loopback else match[0]

    def _name(self, kind: str, value: str) -> str:
        if re.fullmatch(rf"{kind}-[0-9a-f]{{1,8}}", value):
            return value
        if (kind, value) not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            digest = hmac.new(self._key, f"{kind}:{value}".encode(), hashlib.sha256).hexdigest()[:8]
            self._names[kind, value] = f"{kind}-{digest if self._key else self._counts[kind]}"
        return self._names[kind, value]


def _any_of(names: Iterable[str]) -> re.Pattern[str] | None:
    longest_first = sorted({re.escape(name) for name in names if name}, key=lambda name: (-len(name), name))
    return re.compile(rf"(?i)(?<![\w-])(?:{'|'.join(longest_first)})(?![\w-])") if longest_first else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
