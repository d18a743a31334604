"""Hide what looks like a secret by its place or its shape: user info of URLs, headers, keys with values, known tokens."""

from __future__ import annotations

import base64
import binascii
import re

HIDDEN = "***"
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
_BASE64_JWT_SIGNS = ("ZXlK", "V5S", "leU")
"""What base64 makes of a JWT's first letters, eyJ, at each of the three places in a longer text."""
_WRAPPED = "|".join(
    rf"(?:[A-Za-z0-9+/]{{{width}}}\n)+[A-Za-z0-9+/]{{1,{width}}}={{0,2}}(?=[\n\"']|\Z)" for width in (76, 64)
)
_BASE64_RUN = re.compile(rf"(?:{_WRAPPED}|[A-Za-z0-9+/_-]{{30,}}={{0,2}})")
_URLSAFE = str.maketrans("-_", "+/")
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


def hide_by_signs(text: str) -> str:
    """Return the text with everything that looks like a secret as `***`; what it stood in stays readable.

    Line by line, as signs do not reach over lines; only a private key in PEM does, and goes first.
    """
    if "PRIVATE KEY" in text:
        text = _PEM.sub(rf"\1 {HIDDEN} \2", text)
    if any(sign in text for sign in _BASE64_JWT_SIGNS):
        text = _BASE64_RUN.sub(_hide_base64_jwt, text)
    return "\n".join(map(_line_by_structure, text.split("\n")))


def _line_by_structure(text: str) -> str:
    """Hide by each sign in turn: a plain look for its letters spares most lines the pattern.

    URLs come first, since a password there may hold any of the other signs; known tokens last, as they need no key.
    """
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


def _hide_base64_jwt(match: re.Match[str]) -> str:
    """Hide a run of base64 in which there is a JWT, wherever in it, as in a Kubernetes secret or a basic header."""
    run = match[0].replace("\n", "").rstrip("=").translate(_URLSAFE)
    for ahead in range(4):  # letters before the run may have been taken for a part of it
        part = run[ahead:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        decoded = base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")
        if "eyJ" in decoded and _JWT.search(decoded):
            return HIDDEN
    return match[0]


def _hide_bearer(match: re.Match[str]) -> str:
    """Hide a bearer token (RFC 6750), told from prose such as "bearer authentication" by a digit or by its length."""
    like_token = any(sign.isdigit() for sign in match[2]) or len(match[2]) >= 24
    return f"{match[1]}{HIDDEN}" if like_token else match[0]


def _hide_basic(match: re.Match[str]) -> str:
    """Hide basic authentication (RFC 7617): base64 that holds a colon; "basic functionality" does not decode to one."""
    try:
        decoded = base64.b64decode(match[2] + "=" * (-len(match[2]) % 4), altchars=b"-_" if "-" in match[2] else None)
    except binascii.Error:
        return match[0]
    return f"{match[1]}{HIDDEN}" if b":" in decoded else match[0]
