"""Turn what was passed for one parameter into a value of its kind, or refuse it by name."""

from __future__ import annotations

import math
import re

from resilience.core.errors import SettingsError, did_you_mean
from resilience.notebook.parameters import Kind, Parameter

_TRUE = ("true", "yes", "on", "1", "y")
_FALSE = ("false", "no", "off", "0", "n")

_UNITS = {
    "ms": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
    "minutes": 60.0, "h": 3600.0, "hour": 3600.0, "hours": 3600.0, "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip

_NUMBER = re.compile(r"\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*([a-z]*)\s*", re.IGNORECASE)

_SECRETS = (
    re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@", re.IGNORECASE),
    re.compile(r"(?:password|passwd|pwd|secret|token|api[_-]?key)\s*[=:]\s*\S", re.IGNORECASE),
    re.compile(r"\b(?:Bearer|Basic)\s+[A-Za-z0-9+/._=-]{8,}"),
    re.compile(r"\b(?:sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|AKIA|ASIA|AIza|ya29\.)[A-Za-z0-9_-]{8,}"),
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY"),
)


def looks_secret(text: str) -> bool:
    """Say whether a value looks like a credential. A guess by shape: it refuses a value, it does not vouch for one."""
    return any(pattern.search(text) for pattern in _SECRETS)


def value_of(parameter: Parameter, value: object, source: str) -> str | bool | int | float:
    """Return the value as the parameter's kind has it; None is the default, and a text may be typed for any kind.

    A value that looks like a credential is refused before its kind is asked, and not shown: papermill writes parameters
    into the notebook. `source` is where it was passed, for the message. Raises SettingsError.

    >>> value_of(BY_NAME["timeout_minutes"], "2 h", "a test")
    120.0
    """
    if value is None:
        return parameter.default
    text = str(value).strip()
    if looks_secret(text):
        raise SettingsError(
            name=parameter.name,
            source=source,
            found="***",
            expected="no credential: papermill stores parameters in the notebook it writes, twice",
            hint="set an environment variable and name it in the configuration; delete the notebook, change the secret",
        )
    if parameter.kind is Kind.TEXT:
        return text
    if parameter.kind is Kind.FLAG:
        return _flag(parameter, text, source)
    if parameter.kind is Kind.CHOICE:
        word = text.lower()
        if word not in parameter.choices:
            choices = [choice for choice in parameter.choices if choice]
            raise _refused(parameter, value, source, did_you_mean(text, choices), "one of " + ", ".join(choices))
        return word
    return _number(parameter, value, text, source)


def _flag(parameter: Parameter, text: str, source: str) -> bool:
    word = text.lower()
    if word in ("1.0", "0.0"):
        word = word[0]
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise _refused(parameter, text, source, f"-p {parameter.name} True", "true or false, yes or no, 1 or 0")


def _number(parameter: Parameter, value: object, text: str, source: str) -> int | float:
    """Return a number in the unit that the parameter's name says, from a plain number or one with a unit (`90 s`).

    Refused are True and False, as papermill's YAML makes them of `yes`; a unit where a count is wanted; what is not
    finite or below the least; and a fraction where a whole number is wanted: nothing is rounded.
    """
    expected = f"{parameter.kind.value} of at least {parameter.least:g}"
    example = f"-p {parameter.name} {_example(parameter)}"
    found = _NUMBER.fullmatch(text)
    unit = found[2].lower() if found else ""
    if isinstance(value, bool) or found is None or (unit and (parameter.kind is Kind.WHOLE or unit not in _UNITS)):
        raise _refused(parameter, text, source, example, expected)
    number = float(found[1])
    if unit:
        number = number * _UNITS[unit] / parameter.unit_s
    if not math.isfinite(number) or number < parameter.least:
        raise _refused(parameter, text, source, example, expected)
    if parameter.kind is Kind.WHOLE:
        if number != int(number):
            raise _refused(parameter, text, source, example, expected)
        return int(number)
    return number


def _example(parameter: Parameter) -> str:
    if parameter.kind is Kind.WHOLE:
        return "3"
    return "30 (minutes), or -p " + parameter.name + ' "90 s"' if parameter.unit_s == 60 else '5, or "5 s", or "2 min"'


def _refused(parameter: Parameter, value: object, source: str, hint: str, expected: str) -> SettingsError:
    return SettingsError(name=parameter.name, source=source, found=str(value)[:80], expected=expected, hint=hint)
