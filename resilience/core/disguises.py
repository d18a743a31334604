"""Turn a secret into the forms in which it is met, and a text into what it says under its escapes."""

from __future__ import annotations

import base64
import bisect
import contextlib
import html
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from resilience.core.common_words import too_common
from resilience.core.plain import ESCAPES, UNSEEN, plain


@dataclass(frozen=True, slots=True)
class Needle:
    """One form of a secret; of base64 only the inner characters are known, so the token around it goes as well.

    `folded` is in lower case, and is looked for in the lower case of a text.
    """

    text: str
    base64: bool = False
    folded: bool = False


def needles_of(values: Iterable[str]) -> tuple[Needle, ...]:
    """Return every form in which these secrets are looked for, of the longest secret first.

    A secret of several lines is also looked for line by line, as logs print keys; a line of fewer than 16 characters
    is left out, since it may be an ordinary word. Parts that are too common are left out as well: hiding them would
    deface the text.
    """
    needles: dict[str, Needle] = {}
    for value in sorted(values, key=lambda value: (-len(value), value)):
        for part in dict.fromkeys((value, value.strip(), *(line.strip() for line in value.splitlines()))):
            if part != value and part != value.strip() and len(part) < 16:
                continue
            if too_common(part):
                continue
            for form in _forms(part):
                needles.setdefault(form, Needle(form))
            encoded = [part.encode("utf-8", "surrogatepass")]
            if is_unmistakable(part):
                encoded.append(part.encode("utf-16-le", "surrogatepass"))
                for form in _utf16_forms(part):
                    needles.setdefault(form, Needle(form))
                for form in _folded_forms(part):
                    needles.setdefault(f"folded {form}", Needle(form, folded=True))
            for raw in encoded:
                for form in _base64_forms(raw):
                    needles.setdefault(form, Needle(form, base64=True))
    return tuple(needles.values())


def is_unmistakable(value: str) -> bool:
    """Say whether a value is so long and mixed that its letters in another case or encoding are never met by chance.

    Twelve characters of two classes: lower and upper case, digits, signs. A shorter one is somebody's word in upper case.
    """
    classes = (str.islower, str.isupper, str.isdigit, lambda sign: not sign.isalnum())
    return len(value) >= 12 and sum(any(map(of_class, value)) for of_class in classes) >= 2


def _utf16_forms(value: str) -> Iterator[str]:
    """Return UTF-16 as it is met when read byte by byte, such as in the `repr` of bytes; in both orders."""
    if value.isascii():
        yield "\0".join(value)  # either order
    else:
        yield from (value.encode(codec, "surrogatepass").decode("latin-1") for codec in ("utf-16-le", "utf-16-be"))


def _folded_forms(value: str) -> Iterator[str]:
    """Return the value in lower case, and what hexadecimal makes of it, which is written in either case."""
    yield fold(value)
    yield from (value.encode(codec, "surrogatepass").hex() for codec in ("utf-8", "utf-16-le", "utf-16-be"))


def fold(text: str) -> str:
    """Return the text in lower case with each character in its place, though some (İ) have two for one."""
    lower = text.lower()
    return (
        lower if len(lower) == len(text) else "".join(sign.lower() if len(sign.lower()) == 1 else sign for sign in text)
    )


def _forms(value: str) -> Iterator[str]:
    """Return the value as it stands, as bytes read in another code page, in forms, shells and hexadecimal.

    The spellings are those in which passwords were met: UTF-8 read as Latin-1 and the reverse, a form's `+` for a
    blank, a quote as POSIX shells and SQL write it, hexadecimal dumps from five bytes on. Percent, JSON and HTML
    escapes are not among them: the text is freed of these instead (`layers_at_once`).
    """
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield plain(value) if not too_common(plain(value)) else value
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
    """Return what base64 makes of the value at each of its three places inside a longer text, in both alphabets.

    Base64 (RFC 4648) packs three bytes into four characters, so a value looks different by whether it begins at the
    first, second or third byte of a group. Characters that mix with a neighbour's bits are cut off; fewer than six
    are left to chance and not looked for.
    """
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(raw).decode()
        if whole.endswith("="):
            yield whole
        for ahead, skip in ((0, 0), (1, 2), (2, 3)):
            text = encode(b"\0" * ahead + raw).decode()[skip : (ahead + len(raw)) * 8 // 6]
            if len(text) >= 6:
                yield text


_PERCENT_SIGNS = r"(?:%[0-9A-Fa-f]{2})+"
_BACKSLASHES = (
    r"\\u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}"
    r"|\\U[0-9A-Fa-f]{8}|\\x[0-9A-Fa-f]{2}|\\[0-3][0-7]{2}|\\[^\n]"
)
_ENTITIES = r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?"
TAG = re.compile(r"</?[A-Za-z][^<>]{0,400}>")
_ANY_ESCAPE = re.compile(f"{_PERCENT_SIGNS}|{_BACKSLASHES}|{_ENTITIES}")
AWKWARD = frozenset("%\\&<")
"""What escapes begin with: a secret that holds one itself may be lost when all escapes are taken out at once."""
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a", "0": "\0"}


def _percent(match: re.Match[str]) -> str:
    """Return what percent escapes stand for; bytes that are not UTF-8 are read as Latin-1, which knows each byte."""
    data = bytes.fromhex(match[0].replace("%", ""))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _backslash(match: re.Match[str]) -> str:
    """Return what a backslash escape of JSON, Python, C or JavaScript stands for.

    Two halves of a surrogate pair make one character; a number beyond Unicode stays as it is written.
    """
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
    ("<", TAG, _nothing),
)


class Layer:
    """A text with one kind of escape taken out, which knows where each of its characters came from.

    Layers are stacked: each knows the one that it was made of, and `source` leads a find back to the very first text,
    which is where it is hidden. The map of places is built at the first find, as most texts hold nothing.
    """

    __slots__ = ("_ends", "_parent", "_pattern", "_replace", "_starts", "_stops", "text")

    def __init__(
        self,
        text: str,
        parent: Layer | None = None,
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
        """Return the span in the first text from which this span was made; no escape is cut in two.

        An escape that is touched counts whole, since half of one would be left behind as rubbish.
        """
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


def _roots(text: str, *, strip: bool) -> list[Layer]:
    """Return the text as it stands and, where asked, without what is not seen on a screen."""
    roots = [Layer(text)]
    if strip and not _seen(text):
        for pattern in (ESCAPES, UNSEEN):
            if pattern.search(text):
                roots.append(Layer(roots[-1].text, roots[-1], pattern, _nothing))
    return roots


def _seen(text: str) -> bool:
    """Whether all of the text is seen on a screen; lines of ASCII are told without the patterns, which cost a second a file."""
    return text.isascii() and text.replace("\n", "").replace("\t", "").replace("\r", "").isprintable()


def _escaped(text: str) -> bool:
    """Whether there is any escape; the plain look for its first characters spares most texts the pattern."""
    return any(sign in text for sign in "%\\&") and _ANY_ESCAPE.search(text) is not None


def layers_at_once(text: str, *, strip: bool) -> Iterator[Layer]:
    """Return the text with all escapes taken out at once, again and again, and each of that without tags.

    The cheap look: each pass takes out all escapes of all kinds. A secret that holds a %, \\, & or < itself may not
    survive that; for those there is `layers_in_any_order`.
    """
    for root in _roots(text, strip=strip):
        layer = root
        for _ in range(_DEPTH + 1):
            yield layer
            if "<" in layer.text and TAG.search(layer.text):
                bare = Layer(layer.text, layer, TAG, _nothing)
                yield bare
                if _escaped(bare.text):
                    yield Layer(bare.text, bare, _ANY_ESCAPE, _any_escape)
            if not _escaped(layer.text):
                break
            following = Layer(layer.text, layer, _ANY_ESCAPE, _any_escape)
            if following.text == layer.text:
                break
            layer = following


def layers_in_any_order(text: str, *, strip: bool) -> Iterator[Layer]:
    """Return what the text becomes as percent, backslash and HTML escapes and tags are taken out in any order.

    Up to four deep, each text once. It costs a multiple of `layers_at_once`, and is asked only for secrets with a
    sign of `AWKWARD` in them.
    """
    waiting = _roots(text, strip=strip)
    seen = {layer.text for layer in waiting}
    for depth in range(_DEPTH + 1):
        yield from waiting
        following: list[Layer] = []
        for layer in waiting if depth < _DEPTH else ():
            for sign, pattern, replace in _DECODERS:
                if sign not in layer.text or not pattern.search(layer.text):
                    continue
                decoded = Layer(layer.text, layer, pattern, replace)
                if decoded.text not in seen:
                    seen.add(decoded.text)
                    following.append(decoded)
        waiting = following
