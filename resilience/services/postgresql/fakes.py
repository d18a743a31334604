"""Turn a value and the masking key into another value of the same sort, always the same one.

Each fake is made of an HMAC of the value, so that nobody without the key can try likely values, and equal values stay equal in
every column of their kind. Where the space of values is small (codes, numbers, labels) a keyed permutation of that space is used
instead of a hash: then two values never meet in one fake. Names are made-up syllables, addresses lie in the ranges that RFC 2606,
3849 and 1918 set apart, cards begin with 400000: a scan for true ones finds none by chance.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

KINDS = (
    *(
        "keep",
        "null",
        "email",
        "phone",
        "name",
        "first_name",
        "last_name",
        "username",
        "address",
        "city",
        "card",
        "iban",
    ),
    *("uuid", "url", "ip", "mac", "text", "code", "number", "date", "secret"),
)
"""What a rule of `mask` may say of a column."""
SHORT = 12
"""Texts below this length are permuted sign by sign: a hash of so few letters would let two of them meet."""
_PERMUTED = 64
_SMALL = 1 << 16
LONGEST_TEXT = 4000
LONGEST_BYTES = 1024
_SYLLABLES = tuple(f"{first}{second}" for first in "bdfgklmnprstvz" for second in "aeiou")
_BY_BYTE = tuple(_SYLLABLES[by % len(_SYLLABLES)] for by in range(256))
_PROSE = tuple(f"{_SYLLABLES[by % len(_SYLLABLES)]}{' ' if by % 3 == 0 else ''}" for by in range(256))
"""What a byte of a hash becomes in a name, and in a text of several words."""
_SITE = "example.org"
_ALGORITHM = re.compile(
    r"|\d{1,9}|v=\d+|[a-z]=\d+(?:,[a-z]=\d+)*|2[abxy]|1|5|6|y|argon2(?:id?|d)?|bcrypt\w*|pbkdf2\w*|scrypt|sha\d+|md5"
)
"""What stands between the `$` of a password's hash and tells nothing of the password."""
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?!\d)")
_TIME = re.compile(r"(\d{2}):(\d{2})(?::(\d{2}))?")
_NUMBER = re.compile(r"([+-]?)(\d+)(?:\.(\d*))?(.*)", re.S)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a fake must fit in. `length`: most characters; `top`: the largest number of its type; `affixes`: what its CHECK
    names as how each value begins and ends; `choices`: the only values there are."""

    length: int = LONGEST_TEXT
    top: int = 0
    affixes: tuple[str, str] = ("", "")
    choices: tuple[str, ...] = ()


ANY = Bounds()


class Fakes:
    """The fakes of one masking key. `attempt` asks for another fake of the same value."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def fake(self, kind: str, value: str, attempt: int = 0, bounds: Bounds = ANY) -> str:
        """Return the fake of a value. Blank texts stay: they say nothing of anybody and constraints tell them apart."""
        if not value.strip():
            return value
        make = _MAKERS[kind]
        found = make(self, value, attempt, bounds)
        if found == value and len(value) > 3 and kind != "choice":
            found = make(self, value, attempt + 1000, bounds)
        return found

    def digest(self, kind: str, value: str, attempt: int = 0) -> bytes:
        told = f"{kind}\0{attempt}\0{value}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, told, "sha256")

    def below(self, kind: str, value: str, attempt: int, size: int) -> int:
        return int.from_bytes(self.digest(kind, value, attempt), "big") % size

    def permuted(self, kind: str, attempt: int, index: int, size: int) -> int:
        """Return where a keyed permutation of `range(size)` puts an index; in a small space never where it was.

        There it is the next place of a permuted circle (put in, one further, put back), which has no fixed point. In a large one
        a value is its own fake so seldom that `fake` may take another attempt.
        """
        if size < 2:
            return index
        if size > _SMALL:
            return self._walked(kind, attempt, index, size, 1)
        further = (self._walked(kind, attempt, index, size, 1) + 1) % size
        return self._walked(kind, attempt, further, size, -1)

    def _walked(self, kind: str, attempt: int, index: int, size: int, way: int) -> int:
        """Return where a permutation, or for way -1 its inverse, puts an index.

        A Feistel network of four rounds over the next even number of bits, walked until it lands inside: the standard way to
        permute a space of any size (cycle walking; NIST SP 800-38G does the same for its digits).
        """
        half = ((size - 1).bit_length() + 1) // 2
        mask, width = (1 << half) - 1, (half + 7) // 8
        while True:
            left, right = index >> half, index & mask
            for turn in range(4)[::way]:
                known = right if way > 0 else left
                seed = self.digest(f"{kind}/{size}/{turn}", str(known), attempt)
                stream = seed if width <= 32 else hashlib.shake_256(seed).digest(width)
                mixed = int.from_bytes(stream[:width], "big") & mask
                left, right = (right, left ^ mixed) if way > 0 else (right ^ mixed, left)
            index = left << half | right
            if index < size:
                return index


def _code(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a text of the same shape: a letter for a letter of its case, a digit for a digit, all else as it is."""
    before, after = bounds.affixes
    if not (value.startswith(before) and value.endswith(after) and len(value) > len(before) + len(after)):
        before = after = ""
    inner = value[len(before) : len(value) - len(after)]
    return before + _reshaped(fakes, "code", inner, attempt) + after


def _reshaped(fakes: Fakes, kind: str, value: str, attempt: int) -> str:
    """Return what a keyed permutation of all texts of this shape makes of it. Letters beyond ASCII become ASCII ones.

    A long one gets signs from a hash instead: it has room for all, and numbers of its size are slow.
    """
    if len(value) > _PERMUTED:
        stream = hashlib.shake_256(fakes.digest(kind, value, attempt)).digest(len(value))
        return "".join(_like(sign, by) for sign, by in zip(value, stream, strict=True))
    shape, index, size = [], 0, 1
    for sign in value:
        first, count = _space(sign)
        place = int(sign) if count == 10 else (ord(sign) - ord(first)) % count
        shape.append((first, count))
        index, size = index * count + place, size * count
    index = fakes.permuted(f"{kind}/{''.join(first for first, _ in shape)}", attempt, index, size)
    signs = []
    for first, count in reversed(shape):
        index, place = divmod(index, count)
        signs.append(chr(ord(first) + place))
    return "".join(reversed(signs))


def _space(sign: str) -> tuple[str, int]:
    """Return the first of the signs that may stand in the place of this one, and how many there are."""
    if sign.isdecimal():
        return "0", 10
    if sign.isalpha():
        return ("A" if sign.isupper() else "a"), 26
    return sign, 1


def _like(sign: str, by: int) -> str:
    first, count = _space(sign)
    return chr(ord(first) + by % count)


def _words(seed: bytes, syllables: int) -> str:
    return "".join([_BY_BYTE[by] for by in seed[:syllables]])


def _as_written(found: str, value: str) -> str:
    return found.upper() if value.isupper() else found.lower() if value.islower() else found


def _name(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a made-up name of as many words; initials and names that must be very short are permuted."""
    parts = value.split()[:4]
    if bounds.length < 6 or len(value) < 3:
        return _code(fakes, value, attempt, bounds)
    words = [_words(fakes.digest(f"name/{at}", value, attempt), 3 + at % 2).capitalize() for at in range(len(parts))]
    while len(words) > 1 and len(" ".join(words)) > bounds.length:
        words.pop()
    return _as_written(" ".join(words)[: bounds.length], value)


def _username(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    seed = fakes.digest("username", value, attempt)
    found = f"{_words(seed, 4)}{int.from_bytes(seed[16:24], 'big') % 10_000_000:07d}"
    return found if len(found) <= bounds.length else _code(fakes, value, attempt, bounds)


def _email(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return an address at example.org (RFC 2606). Case is no part of it, so that `lower(email)` holds what it held."""
    folded = value.strip().casefold()
    if "@" not in folded:
        return _username(fakes, folded, attempt, bounds)
    seed = fakes.digest("email", folded, attempt)
    number = int.from_bytes(seed[16:24], "big")
    for local in (f"{_words(seed, 3)}.{_words(seed[3:], 3)}{number % 100_000:05d}", f"{number % (1 << 40):08x}"):
        if len(local) + len(_SITE) < bounds.length:
            return f"{local}@{_SITE}"
    return _code(fakes, folded, attempt, bounds)


def _phone(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a number of the same shape; what says the country, or that it is national, stays."""
    match = re.match(r"\s*(?:\+\d{1,2}|0{1,2})", value)
    before = match[0] if match else ""
    return before + _reshaped(fakes, "phone", value[len(before) :], attempt)


def _address(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    seed = fakes.digest("address", value, attempt)
    found = f"{seed[31] + 1} {_words(seed, 4).capitalize()} {_words(seed[4:], 3).capitalize()} Street"
    return found if len(found) <= bounds.length else _text(fakes, value, attempt, bounds)


def _city(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    return _name(fakes, value, attempt, bounds)


def _card(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a number that no bank issues (400000…), with a right check digit (Luhn) and the same spaces."""
    digits = re.sub(r"\D", "", value)
    if not 13 <= len(digits) <= 19 or re.search(r"[A-Za-z]", value):
        return _code(fakes, value, attempt, bounds)
    middle = len(digits) - 7
    made = "400000" + str(fakes.below("card", digits, attempt, 10**middle)).zfill(middle)
    made += str(-sum(_doubled(int(sign)) if at % 2 == 0 else int(sign) for at, sign in enumerate(reversed(made))) % 10)
    signs = iter(made)
    return re.sub(r"\d", lambda _: next(signs), value)


def _doubled(digit: int) -> int:
    return 2 * digit - 9 if digit > 4 else 2 * digit


def luhn(digits: str) -> bool:
    """Say whether the last digit is the check digit of a card."""
    return sum(_doubled(int(sign)) if at % 2 else int(sign) for at, sign in enumerate(reversed(digits))) % 10 == 0


def _iban(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return another account of the same country with right check digits (ISO 13616)."""
    plain = re.sub(r"\s", "", value).upper()
    if not re.fullmatch(r"[A-Z]{2}\d{2}[A-Z0-9]{8,30}", plain):
        return _code(fakes, value, attempt, bounds)
    account = _reshaped(fakes, "iban", plain[4:], attempt)
    rest = int("".join(str(int(sign, 36)) for sign in f"{account}{plain[:2]}00")) % 97
    signs = iter(f"{plain[:2]}{98 - rest:02d}{account}")
    return re.sub(r"\S", lambda _: next(signs), value)


def _uuid(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a random-looking UUID (version 4) written as the value is; what is none gets the shape of what it is."""
    plain = value.strip("{}").replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{32}", plain):
        return _code(fakes, value, attempt, bounds)
    made = uuid.UUID(bytes=fakes.digest("uuid", plain, attempt)[:16], version=4).hex
    signs = iter(made.upper() if value.isupper() else made)
    return re.sub(r"[0-9a-fA-F]", lambda _: next(signs), value)


def _url(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    match = re.match(r"[a-z][a-z0-9+.-]{1,10}://", value, re.I)
    path = fakes.digest("url", value, attempt).hex()[:16]
    if not match:
        return _text(fakes, value, attempt, bounds)
    for found in (f"{match[0].lower()}{_SITE}/{path}", f"{match[0].lower()}{_SITE}/{path[:8]}"):
        if len(found) <= bounds.length:
            return found
    return _code(fakes, value, attempt, bounds)


def _ip(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return an address of 10.0.0.0/8 or 2001:db8::/32; a network (zeros behind its mask) stays one."""
    try:
        told = ipaddress.ip_interface(value)
    except ValueError:
        return _code(fakes, value, attempt, bounds)
    number = int.from_bytes(fakes.digest("ip", str(told.ip), attempt)[:16], "big")
    wide = told.version == 4
    made = (10 << 24 | number % (1 << 24)) if wide else (0x20010DB8 << 96 | number % (1 << 96))
    if "/" not in value:
        return str(ipaddress.ip_address(made))
    if told.ip == told.network.network_address:
        made &= int(told.network.netmask)
    return f"{ipaddress.IPv4Address(made) if wide else ipaddress.IPv6Address(made)}/{told.network.prefixlen}"


def _mac(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a locally administered address (the second digit is 2) written as the value is."""
    signs = iter("02" + fakes.digest("mac", value.lower(), attempt).hex())
    return re.sub(r"[0-9a-fA-F]", lambda _: next(signs), value)


def _text(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return made-up words of the same length in all; what is short, or one word, keeps its shape."""
    if len(value) < SHORT or len(value.split()) == 1:
        return _code(fakes, value, attempt, bounds)
    length = min(len(value), bounds.length, LONGEST_TEXT)
    stream = hashlib.shake_256(fakes.digest("text", value, attempt)).digest(length // 2 + 1)
    found = "".join([_PROSE[by] for by in stream])[:length].capitalize()
    found = found[:-1] + "a" if found.endswith(" ") else found
    return _as_written(found, value)


def _secret(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a text of the same shape; of a password's hash the algorithm and its parameters stay."""
    if value.count("$") < 2:
        return _code(fakes, value, attempt, bounds)
    parts = value.split("$")
    return "$".join(
        part if _ALGORITHM.fullmatch(part) else _reshaped(fakes, f"secret/{at}", part, attempt)
        for at, part in enumerate(parts)
    )


def _number(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a number with as many digits before and behind its point, of the same sign, that its type can hold."""
    match = _NUMBER.fullmatch(value.strip())
    if not match:
        return _code(fakes, value, attempt, bounds)
    sign, whole, fraction, rest = match[1], match[2], match[3] or "", match[4]
    first = 10 ** (len(whole) - 1) if len(whole) > 1 else 0
    last = 10 ** len(whole)
    if bounds.top:
        last = min(last, bounds.top + 1)
    number = int(whole)
    if not first <= number < last:
        return value if number == 0 else str(first)
    scale = 10 ** len(fraction)
    size = (last - first) * scale
    made = fakes.permuted("number", attempt, (number - first) * scale + int(fraction or "0"), size)
    told, behind = divmod(made, scale)
    point = f".{behind:0{len(fraction)}d}" if fraction else ""
    return f"{sign}{told + first}{point}{rest}"


def _shifted(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a number with the same secret added to each, which keeps their order and differences."""
    match = _NUMBER.fullmatch(value.strip())
    if not match:
        return _code(fakes, value, attempt, bounds)
    moved = int(match[1] + match[2]) + 1 + fakes.below("shift", "", attempt, 97)
    return f"{moved}.{match[3]}" if match[3] else str(moved)


def _date(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a date up to two years earlier, or another time of day; from the second attempt on all move by the same days.

    Earlier, so that what lies in the past stays there. What is no date as ISO writes it becomes 1970-01-01, infinities stay.
    """
    if value.strip().lower() in ("infinity", "-infinity"):
        return value
    days = 1 + fakes.below("date", value if attempt == 0 else "", attempt, 730)
    match = _DATE.match(value)
    if match and not value.endswith("BC"):
        try:
            moved = date(int(match[1]), int(match[2]), int(match[3])) - timedelta(days=days)
        except (ValueError, OverflowError):
            return "1970-01-01"
        return f"{moved.year:04d}-{moved.month:02d}-{moved.day:02d}{value[match.end() :]}"
    time = _TIME.match(value)
    if time:
        seconds = fakes.below("time", value, attempt, 86_400)
        made = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
        return f"{made}:{seconds % 60:02d}{value[time.end() :]}" if time[3] else f"{made}{value[time.end() :]}"
    return "1970-01-01" if re.search(r"\d{4}", value) else _code(fakes, value, attempt, bounds)


def _bytes(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return as many other bytes, in PostgreSQL's hex form, up to LONGEST_BYTES."""
    length = min(max(len(value) - 2, 0) // 2, LONGEST_BYTES)
    return "\\x" + hashlib.shake_256(fakes.digest("bytes", value, attempt)).hexdigest(length)


def _choice(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return another of the only values there are, by a permutation; what is none of them becomes one."""
    choices = bounds.choices
    if not choices:
        return _code(fakes, value, attempt, bounds)
    if value not in choices:
        return choices[fakes.below("choice", value, attempt, len(choices))]
    return choices[fakes.permuted(f"choice/{choices[0]}", attempt, choices.index(value), len(choices))]


def _numbers(fakes: Fakes, value: str, attempt: int, bounds: Bounds) -> str:
    """Return a text with each number in it changed: geometry, vectors."""
    return re.sub(r"\d+(?:\.\d+)?", lambda match: _number(fakes, match[0], attempt, bounds), value)


_Maker = Callable[[Fakes, str, int, Bounds], str]
_MAKERS: Mapping[str, _Maker] = {
    "email": _email,
    "phone": _phone,
    "name": _name,
    "first_name": _name,
    "last_name": _name,
    "username": _username,
    "address": _address,
    "city": _city,
    "card": _card,
    "iban": _iban,
    "uuid": _uuid,
    "url": _url,
    "ip": _ip,
    "mac": _mac,
    "text": _text,
    "code": _code,
    "number": _number,
    "numbers": _numbers,
    "shifted": _shifted,
    "date": _date,
    "secret": _secret,
    "bytes": _bytes,
    "choice": _choice,
}


def steps(kind: str, choices: Sequence[str] = ()) -> tuple[tuple[str, int], ...]:
    """Return the shapes in which a fake is tried, one after the other, until every constraint holds: kind and attempt."""
    if kind == "choice":
        return tuple(("choice", at) for at in range(max(2, min(len(choices), 8))))
    if kind == "number":
        return (("number", 0), ("number", 1), ("shifted", 0))
    if kind == "date":
        return (("date", 0), ("date", 1))
    if kind in ("bytes", "numbers", "code", "uuid", "ip", "mac"):
        return ((kind, 0), (kind, 1), ("code", 2), ("affixed", 0), ("affixed", 1))
    return ((kind, 0), (kind, 1), ("code", 0), ("affixed", 0), ("affixed", 1))
