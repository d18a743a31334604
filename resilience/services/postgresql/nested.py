"""Turn a value with values inside (JSON, arrays, hstore, rows, search vectors, XML) into the same with each inner value replaced.

Nothing is parsed into objects and written anew: the text is walked sign by sign, so that numbers keep their digits, JSON its
spaces and doubled keys, and depth costs no stack.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

Replace = Callable[[str, str, bool], str]
"""Gets the name that an inner value has (empty: none), the value, and whether it is a number; returns what stands for it."""
_JSON = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|[{}\[\],:]|true|false|null|\s+', re.S)
_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^{},"\\\s](?:[^{},"\\]|\\.)*)', re.S)
_HSTORE = re.compile(r'"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)', re.S)
_FIELD = re.compile(r'"((?:[^"]|"")*)"|([^()\[\],"]+)', re.S)
_LEXEME = re.compile(r"'((?:[^']|'')*)'", re.S)
_BACKSLASH = re.compile(r"\\(.)", re.S)
_TAG = re.compile(r"""(<(?:[^<>"']|"[^"]*"|'[^']*')*>)""", re.S)
_ATTRIBUTE = re.compile(r"""=\s*(?:"[^"]*"|'[^']*')""", re.S)


def in_json(text: str, replace: Replace, *, key: Callable[[str], str] = lambda name: name) -> str:
    """Return JSON with its texts and numbers replaced, each under the name of the field it stands in, lists included.

    `key` gives what stands for a field's name, which may be data itself. Raises ValueError for what is no JSON.
    """
    pieces: list[str] = []
    inside: list[tuple[bool, str]] = [(False, "")]
    awaits_key = False
    end = 0
    for match in _JSON.finditer(text):
        token, sign = match[0], match[0][0]
        if match.start() != end:
            break
        end = match.end()
        if sign in "{[":
            awaits_key = sign == "{"
            inside.append((awaits_key, inside[-1][1]))
        elif sign in "}]":
            inside.pop()
            awaits_key = False
        elif sign in ",:":
            awaits_key = sign == "," and inside[-1][0]
        elif sign == '"' and awaits_key:
            name = json.loads(token, strict=False)
            inside[-1] = (True, name)
            changed = key(name)
            token = token if changed == name else json.dumps(changed, ensure_ascii=False)
        elif sign == '"':
            token = json.dumps(replace(inside[-1][1], json.loads(token, strict=False), False), ensure_ascii=False)
        elif sign in "-0123456789":
            token = replace(inside[-1][1], token, True)
        pieces.append(token)
    if end != len(text) or len(inside) != 1:
        raise ValueError("no JSON")
    return "".join(pieces)


def in_array(text: str, replace: Replace) -> str:
    """Return an array with its elements replaced; NULL stays NULL, and bounds and depth stay."""
    bounds, sign, body = text.partition("={") if text.startswith("[") else ("", "", "")
    head = f"{bounds}=" if sign else ""

    def element(match: re.Match[str]) -> str:
        if match[1] is None and match[2].upper() == "NULL":
            return match[2]
        value = _BACKSLASH.sub(r"\1", match[1] if match[1] is not None else match[2])
        return _quoted(replace("", value, False))

    return head + _ELEMENT.sub(element, "{" + body if sign else text)


def in_hstore(text: str, replace: Replace, *, key: Callable[[str], str] = lambda name: name) -> str:
    def pair(match: re.Match[str]) -> str:
        name = _BACKSLASH.sub(r"\1", match[1])
        if match[2] is None:
            return f"{_quoted(key(name))}=>NULL"
        value = replace(name, _BACKSLASH.sub(r"\1", match[2]), False)
        return f"{_quoted(key(name))}=>{_quoted(value)}"

    return _HSTORE.sub(pair, text)


def in_row(text: str, replace: Replace) -> str:
    """Return a value of a composite type, or a range, with its fields replaced."""

    def field(match: re.Match[str]) -> str:
        if match[1] is None:
            return replace("", match[2], False)
        value = _BACKSLASH.sub(r"\1", match[1].replace('""', '"'))
        return '"' + replace("", value, False).replace("\\", "\\\\").replace('"', '""') + '"'

    return _FIELD.sub(field, text)


def in_vector_of_words(text: str, replace: Replace) -> str:
    """Return a tsvector with its words replaced."""
    return _LEXEME.sub(
        lambda match: "'" + replace("", match[1].replace("''", "'"), False).replace("'", "''") + "'", text
    )


def in_xml(text: str, replace: Replace) -> str:
    """Return XML with its texts and the values of its attributes replaced, comments gone; one with a DTD becomes empty."""
    plain = re.sub(r"<!--.*?-->|<\?(?!xml\b).*?\?>", "", text, flags=re.S)
    plain = re.sub(r"<!\[CDATA\[(.*?)\]\]>", lambda match: _bare(match[1]), plain, flags=re.S)
    head, sign, body = plain.partition("?>") if plain.startswith("<?xml") else ("", "", plain)
    pieces = _TAG.split(body)
    if any("<" in piece for piece in pieces[::2]) or "<!" in body:
        return "<masked/>"

    def attribute(match: re.Match[str]) -> str:
        value = match[0][1:].strip()[1:-1]
        return f'="{_bare(replace("", value, False))}"'

    told = [
        _ATTRIBUTE.sub(attribute, piece) if at % 2 else _bare(replace("", piece, False)) if piece.strip() else piece
        for at, piece in enumerate(pieces)
    ]
    return head + sign + "".join(told)


def _bare(text: str) -> str:
    return re.sub(r"[&<>\"']", " ", text)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
