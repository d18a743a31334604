"""Tell from a column's name, and from what its values look like, what sort of thing stands in it.

The values are asked first: a column `contact` full of e-mail addresses holds e-mail addresses. A name decides where the values do
not, and alone where numbers, dates and geometry are a person's: those are kept elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from resilience.core.secret import looks_secret
from resilience.services.postgresql.fakes import luhn

MAJORITY = 0.8
"""Share of the values that must look alike before the column is said to hold such."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_BY_WORDS: tuple[tuple[str, frozenset[str]], ...] = (
    ("email", frozenset({"email", "emails", "mail", "mailbox"})),
    (
        "phone",
        frozenset({"phone", "phones", "tel", "telephone", "mobile", "fax", "cell", "cellphone", "msisdn", "whatsapp"}),
    ),
    ("iban", frozenset({"iban"})),
    ("card", frozenset({"pan", "creditcard", "cardnumber", "ccnumber"})),
    (
        "secret",
        frozenset({"hash", "salt", "otp", "pin", "cvv", "cvc", "session", "sessionid", "signature", "pwd", "totp"}),
    ),
    ("uuid", frozenset({"uuid", "guid"})),
    ("url", frozenset({"url", "uri", "link", "website", "homepage", "avatar"})),
    ("ip", frozenset({"ip", "ipaddress", "ipv4", "ipv6"})),
    ("mac", frozenset({"mac", "macaddress"})),
    ("address", frozenset({"address", "addr", "street", "address1", "address2", "line1", "line2"})),
    ("city", frozenset({"city", "town", "village", "county", "district", "suburb"})),
    (
        "code",
        frozenset({"zip", "zipcode", "postcode", "postal", "plz", "code", "sku", "slug", "ref", "reference", "iso"}),
    ),
    ("username", frozenset({"username", "login", "handle", "nick", "nickname"})),
    ("date", frozenset({"birthday", "birthdate", "dob"})),
    (
        "name",
        frozenset({"name", "names", "firstname", "lastname", "surname", "fullname", "author", "owner", "contact"}),
    ),
)
_PERSON = frozenset(
    {
        *(
            "birth",
            "born",
            "dob",
            "birthday",
            "birthdate",
            "birthyear",
            "age",
            "death",
            "died",
            "deceased",
            "salary",
            "income",
        ),
        *(
            "wage",
            "wages",
            "ssn",
            "sin",
            "nin",
            "tax",
            "taxid",
            "vat",
            "passport",
            "licence",
            "license",
            "phone",
            "mobile",
            "fax",
        ),
        *(
            "tel",
            "telephone",
            "msisdn",
            "card",
            "pan",
            "iban",
            "bban",
            "cvv",
            "cvc",
            "pin",
            "otp",
            "lat",
            "latitude",
            "lon",
        ),
        *(
            "lng",
            "long",
            "longitude",
            "location",
            "geo",
            "geom",
            "geography",
            "position",
            "coordinates",
            "coords",
            "gps",
        ),
        *(
            "home",
            "address",
            "zip",
            "zipcode",
            "postcode",
            "postal",
            "plz",
            "national",
            "personal",
            "person",
            "patient",
        ),
        *(
            "medical",
            "insurance",
            "gender",
            "sex",
            "religion",
            "ethnicity",
            "blood",
            "weight",
            "bmi",
            "diagnosis",
            "login",
        ),
        *("nationality", "disability", "bank", "balance"),
    }
)
"""Words in the name of a number, a date or a place that say that it is a person's."""
_KEYS = frozenset({"id", "ids", "fk", "pk", "count", "num", "total", "version", "type"})
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,24}")
_UUID = re.compile(r"\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?")
_URL = re.compile(r"[a-z][a-z0-9+.-]{1,10}://\S+", re.I)
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")
_IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{10,30}")
_PHONE = re.compile(r"(?=(?:\D*\d){7,15}\D*$)(?:\+|00|0|\(\d)[\d ()./-]{6,24}")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}:\d{2}.*)?")


def words_of(name: str) -> list[str]:
    """Return the words of a name in snake or camel case, in small letters."""
    return [word.lower() for word in _WORD.findall(name)]


def kind_by_name(name: str) -> str:
    """Return what the name of a text says that it holds; empty where it says nothing."""
    words = words_of(name)
    joined = "".join(words)
    if looks_secret(name) and words[-1:] not in (["key"], ["keys"]):
        return "secret"
    if "card" in words and ("number" in words or "no" in words):
        return "card"
    if words[-2:] == ["user", "name"]:
        return "username"
    for kind, known in _BY_WORDS:
        if joined in known or known & set(words):
            return kind
    return ""


def is_of_a_person(name: str) -> bool:
    """Say whether the name of a number, date or place suggests a person. `address_id` is a key, and no address."""
    words = words_of(name)
    if not words or words[-1] in _KEYS:
        return False
    return bool(_PERSON & set(words)) or looks_secret(name)


def kind_of_value(value: str) -> str:
    """Return what a value looks like by itself; empty where it could be anything."""
    for kind, looks in _LOOKS:
        if looks(value):
            return kind
    return ""


def kind_by_values(values: Iterable[str]) -> str:
    """Return what most of the values look like; empty where they are none or of no one sort."""
    told = [value.strip() for value in values if value.strip()]
    counts: dict[str, int] = {}
    for value in told:
        kind = kind_of_value(value)
        counts[kind] = counts.get(kind, 0) + 1
    kind = max(counts, key=lambda one: counts[one], default="")
    return kind if kind and counts[kind] >= MAJORITY * len(told) else ""


def _is_ip(value: str) -> bool:
    if not re.fullmatch(r"[0-9a-fA-F.:]{3,39}(?:/\d{1,3})?", value) or not ("." in value or ":" in value):
        return False
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        return False
    return True


def _is_card(value: str) -> bool:
    digits = re.sub(r"[ -]", "", value)
    return digits.isascii() and digits.isdigit() and 13 <= len(digits) <= 19 and luhn(digits)


def _is_iban(value: str) -> bool:
    plain = value.replace(" ", "")
    if not _IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


_LOOKS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("email", lambda value: "@" in value and _EMAIL.fullmatch(value) is not None),
    ("uuid", lambda value: _UUID.fullmatch(value) is not None),
    ("url", lambda value: "://" in value and _URL.fullmatch(value) is not None),
    ("mac", lambda value: _MAC.fullmatch(value) is not None),
    ("ip", _is_ip),
    ("iban", _is_iban),
    ("card", _is_card),
    ("date", lambda value: _DATE.fullmatch(value) is not None),
    ("phone", lambda value: _PHONE.fullmatch(value) is not None),
)
