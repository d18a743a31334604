"""Turn text into text that may leave the machine.

The order is always the same: strip what a terminal would act on → hide every known secret by its value, in whatever
encoding it comes → hide what looks secret by structure → shorten. `leaks` is the last gate: it looks for the values in
bytes that are about to leave.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from resilience.core.common_words import too_common
from resilience.core.disguises import AWKWARD, TAG, Layer, Needle, fold, layers_at_once, layers_in_any_order, needles_of
from resilience.core.plain import clean, plain
from resilience.core.pseudonyms import Pseudonyms
from resilience.core.secret import Secret
from resilience.core.secret_signs import HIDDEN, hide_by_signs
from resilience.core.settings import Service
from resilience.core.urls import url_parts

_LONGEST = 512
"""Characters beside a cut in which the rest of a secret is looked for."""
_STUMP = re.compile(r"[^\s….]?|[%\\&<][^\s….]{0,11}")
_STUMP_AFTER = re.compile(r"[^\s….]?|[0-9A-Za-z#]{0,11};?")
"""What may be left of an escape which was cut in two."""
_CUTS = re.compile(r"\.{3}|…|\n")
"""Where what others shortened or wrapped ends."""


class Redactor:
    """Hides these secrets, and whatever looks like one, in any text.

    `hosts` and `projects` are internal names that `public` replaces too; `key` makes its pseudonyms the same in every
    run, without one they are numbered in the order in which they are met.

    It costs time, not only memory: up to seconds a megabyte of short lines. Large texts belong on a thread.
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
        needles = needles_of(values)
        # Of a URL the password is a secret of its own, and its beginning is in every endpoint.
        exact = (needle.text for needle in needles if not needle.folded)
        long = (form for form in exact if len(form) >= 8 and "://" not in form)
        self._ends = tuple((form, form[: _least(form)], form[-_least(form) :]) for form in long)
        self._simple = tuple(needle for needle in needles if not AWKWARD.intersection(needle.text))
        self._awkward = tuple(needle for needle in needles if AWKWARD.intersection(needle.text))
        self._pseudonyms = Pseudonyms(tuple(hosts), tuple(projects), key)

    @classmethod
    def of(
        cls, secrets: Iterable[Secret], services: Iterable[Service], *, hosts: Iterable[str] = (), key: bytes = b""
    ) -> Redactor:
        """Return the redactor of a configuration: its secrets, and for `public` the hosts of its services and `hosts`."""
        parts = [url_parts(service.url, service.kind) for service in services if service.configured]
        names = [part.host for part in parts if not part.is_local]
        return cls(secrets, hosts=(*names, *hosts), key=key)

    def __repr__(self) -> str:
        return f"Redactor({len(self._simple) + len(self._awkward)} forms)"

    def text(self, text: str) -> str:
        """Return the text with everything secret as `***`; doing it twice changes nothing more.

        What was hidden may bring two halves of something else together, hence several passes, four at most.
        """
        text = plain(text)
        for _ in range(4):
            hidden = hide_by_signs(self._by_value(text))
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
        """Return the offset in bytes of the first form of a secret in what is about to leave, or None.

        Looked for by value alone, in all encodings and with unseen characters taken out. Pseudonyms are not checked.
        Bytes that are not UTF-8 do no harm, so a picture may be asked as well.
        """
        text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
        found = min(self._find(text, strip=True), default=None)
        if found is None:
            return None
        return len(text[: found[0]].encode("utf-8", "surrogatepass" if isinstance(data, str) else "surrogateescape"))

    def cut(self, text: str, at: int) -> int:
        """Return the last place at or before `at` where the text can be cut without cutting a secret in two.

        It looks 16,384 characters to either side, so a longer secret may be cut all the same.
        """
        begin = max(at - 16_384, 0)
        spans = sorted(self._find(text[begin : at + 16_384]))
        for start, end in reversed(list(_merged(spans)) if spans else []):
            if begin + start < at < begin + end:
                at = begin + start
        return at

    def _by_value(self, text: str) -> str:
        """Return the text with every known secret as `***`, in whatever encoding it stands there."""
        layers = tuple(layers_at_once(text, strip=False)) if self._simple or self._ends else ()
        found = sorted((*self._find(text, layers=layers), *self._find_cut(layers)))
        if not found:
            return text
        parts: list[str] = []
        at = 0
        for start, end in _merged(found):
            # markup inside a secret is the renderer's, and taking it away would unbalance the page
            tags = "".join(TAG.findall(text[start:end]))
            parts += (text[at:start], HIDDEN, "" if any(self._find(tags)) else tags)
            at = end
        parts.append(text[at:])
        return "".join(parts)

    def _find(
        self, text: str, *, strip: bool = False, layers: Iterable[Layer] | None = None
    ) -> Iterator[tuple[int, int]]:
        if self._simple:
            yield from _search(self._simple, layers_at_once(text, strip=strip) if layers is None else layers)
        if self._awkward:
            yield from _search(self._awkward, layers_in_any_order(text, strip=strip))

    def _find_cut(self, layers: Iterable[Layer]) -> Iterator[tuple[int, int]]:
        """Return what is left of secrets where a text was cut before it came to us: at dots, as pytest does, or a line's end."""
        for layer in layers if self._ends else ():
            for start, end in self._beside_cuts(layer.text):
                yield layer.source(start, end)

    def _beside_cuts(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where a part of a secret stands beside a cut: its beginning before one, or its end after one.

        Only secrets of eight characters or more are looked for in parts, by their first or last eight characters or,
        of shorter ones, by half of them: less is met by chance. What stands between the part and the cut may be one
        stump of an escape, and no more.
        """
        ends = [end for end in self._ends if end[1] in text or end[2] in text]
        if not ends:
            return
        for start, end in (*(cut.span() for cut in _CUTS.finditer(text)), (len(text), len(text))):
            before, after = text[max(start - _LONGEST, 0) : start], text[end : end + _LONGEST]
            for form, head, tail in ends:
                at = before.rfind(head)
                if at >= 0:
                    there = _shared(form, before[at:])
                    cut = there < len(form) and _STUMP.fullmatch(before, at + there)
                    if cut and not too_common(before[at : at + there]):
                        yield start - len(before) + at, start
                at = after.find(tail)
                if at >= 0:
                    until = at + len(tail)
                    there = _shared(form[::-1], after[:until][::-1])
                    cut = there < len(form) and _STUMP_AFTER.fullmatch(after, 0, until - there)
                    if cut and not too_common(after[until - there : until]):
                        yield end, end + until


def _search(needles: Sequence[Needle], layers: Iterable[Layer]) -> Iterator[tuple[int, int]]:
    """Yield where needles stand in the first text, layer by layer.

    Needles under six characters are passed over inside long runs of base64, where they are met by chance. Of a base64
    needle the whole token is yielded, since its outer characters belong to it and are not known.
    """
    any_folded = any(needle.folded for needle in needles)
    for layer in layers:
        folded = fold(layer.text) if any_folded else ""
        for needle in needles:
            text = folded if needle.folded else layer.text
            at = text.find(needle.text)
            while at >= 0:
                start, end = at, at + len(needle.text)
                at = text.find(needle.text, at + 1)
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


def _merged(spans: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the spans with those that overlap joined; they must be sorted, and at least one."""
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
