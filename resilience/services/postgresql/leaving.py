"""Turn the objects of staging's schema into those that may be kept, and say of each other one why it is left out.

Left out is what leads to other servers or acts on a whole server, and what holds a secret: a known one in any encoding, or a text
that looks like one, in a literal or a comment. A statement is never rewritten, but for defaults: a column can be without.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from resilience.core.redact import Redactor
from resilience.core.secret_signs import hide_by_signs
from resilience.services.postgresql.archive import Item

_OF_THE_DUMP = frozenset(
    {
        *("ENCODING", "STDSTRINGS", "SEARCHPATH", "DATABASE", "DATABASE PROPERTIES", "TABLE DATA", "SEQUENCE SET"),
        *("ACL", "DEFAULT ACL", "SECURITY LABEL", "BLOB", "BLOBS", "BLOB METADATA", "STATISTICS DATA"),
    }
)
"""What no schema is made of; a restore sets it itself."""
_OUTSIDE = {
    "SERVER": "a foreign server leads to another database",
    "USER MAPPING": "a user mapping holds a login to another server",
    "FOREIGN DATA WRAPPER": "a foreign data wrapper leads to other servers",
    "FOREIGN TABLE": "a foreign table is read from another server",
    "EVENT TRIGGER": "an event trigger acts on all that is changed in the database",
    "PUBLICATION": "a publication sends changes away",
    "PUBLICATION TABLE": "a publication sends changes away",
    "SUBSCRIPTION": "a subscription connects to another server",
}
_PIECE = re.compile(
    r"--[^\n]*|/\*.*?\*/|(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag)|[eE]?'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", re.S
)
"""What of a statement is text: comments, bodies, literals, and names in quotes."""
_KEY = (
    r"\w*(?:pass(?:word|wd|phrase)|pwd|secret|token|credentials?"
    r"|(?:api|access|private|encryption|signing)_?key)\w*"
)
_ASSIGNED = re.compile(
    rf"(?i)\b{_KEY}\"?(?:\s*(?:=>?|:=|\bby\b)?|\s+[\w ()]+?(?::=|\bdefault\b))\s*[eE]?'((?:[^']|'')*)'"
)
_COLUMN = re.compile(rf"(?im)^\s*\"?{_KEY}\"?\s[^\n]*?\bDEFAULT\s+[eE]?'((?:[^']|'')*)'")
_KEYED_CALL = re.compile(r"(?i)\b(?:pgp_sym_(?:en|de)crypt|hmac|encrypt|decrypt|crypt)\w*\s*\([^;]*?'((?:[^']|'')*)'")
_DEFAULT = re.compile(r" DEFAULT [eE]?'(?:[^']|'')*'(?:::[\w.\"]+(?: [a-z]+)*(?:\(\d+(?:,\d+)?\))?(?:\[\])*)?")
_EMAIL = re.compile(r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?<![\w.])\+\d[\d ()/-]{7,18}\d(?!\w)")
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.])")
_HARMLESS = frozenset(
    {"", "none", "null", "true", "false", "bearer", "basic", "aes", "bf", "md5", "sha1", "sha256", "sha512"}
)


def kept(items: Sequence[Item], secrets: Redactor | None) -> tuple[tuple[Item, ...], tuple[str, ...]]:
    """Return the objects that may be kept, and in sentences what is left out; what only tells of such an object goes with it."""
    found: list[Item] = []
    gaps: list[str] = []
    gone: set[str] = set()
    for item in items:
        if not is_of_the_schema(item):
            continue
        if item.kind in ("COMMENT", "ACL") and gone.intersection(item.needs):
            continue
        why = _OUTSIDE.get(item.kind, "")
        if not why and (why := found_in(item, secrets)):
            plain = without_defaults(item, secrets)
            if plain is not None:
                item, columns = plain
                gaps += [f"{item.name}: the default of {column} is left out: {why}" for column in columns]
                why = ""
        if why:
            gone.add(item.name)
            gaps.append(f"{item.name} is left out: {why}")
        else:
            found.append(item)
    return tuple(found), tuple(gaps)


def is_of_the_schema(item: Item) -> bool:
    """Whether an entry of a dump is an object, and not what every restore sets itself or what names the database."""
    return item.kind not in _OF_THE_DUMP and not (item.kind == "COMMENT" and item.tag.startswith("DATABASE "))


def found_in(item: Item, secrets: Redactor | None) -> str:
    """Return what of secrets, or of people, stands in an object's statement; empty where nothing does."""
    if secrets is not None and secrets.leaks(item.sql) is not None:
        return "a secret of the configuration is in it"
    for text in _texts(item.sql):
        if hide_by_signs(text) != text:
            return "it holds what looks like a secret"
        if _EMAIL.search(text):
            return "it holds an e-mail address"
        if _PHONE.search(text) or any(_is_card(match[0]) for match in _CARD.finditer(text)):
            return "it holds what looks like a phone or card number"
    for pattern in (_ASSIGNED, _COLUMN, _KEYED_CALL):
        for match in pattern.finditer(item.sql):
            if match[1].lower() not in _HARMLESS:
                return "it holds what looks like a secret"
    return ""


def without_defaults(item: Item, secrets: Redactor | None) -> tuple[Item, tuple[str, ...]] | None:
    """Return a table without the literal defaults that hold a secret, and of which columns; None where that is not enough."""
    if item.kind not in ("TABLE", "DEFAULT"):
        return None
    lines, columns = [], list[str]()
    for line in item.sql.split("\n"):
        if _DEFAULT.search(line) and found_in(replace(item, sql=line), secrets):
            line = _DEFAULT.sub("", line)
            columns.append(line.strip().partition(" ")[0])
        lines.append(line)
    plain = replace(item, sql="\n".join(lines))
    return (plain, tuple(columns)) if columns and item.kind == "TABLE" and not found_in(plain, secrets) else None


def _texts(sql: str) -> Iterator[str]:
    """Yield the literals and comments of a statement, and those in the bodies of functions."""
    for match in _PIECE.finditer(sql):
        text = match[0]
        if match["tag"]:
            body = text[len(match["tag"]) : -len(match["tag"])]
            yield from _texts(body)
        elif text.startswith('"'):
            yield text[1:-1]
        elif text.startswith(("--", "/*")):
            yield text
        else:
            yield text.lstrip("eE")[1:-1].replace("''", "'")


def _is_card(text: str) -> bool:
    """Whether the digits pass the check of card numbers (ISO/IEC 7812)."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def named(gaps: Iterable[str], most: int = 20) -> tuple[str, ...]:
    """Return the gaps, and of more than so many how many more there are."""
    every = tuple(dict.fromkeys(gaps))
    return every if len(every) <= most else (*every[:most], f"and {len(every) - most} more of this kind")
