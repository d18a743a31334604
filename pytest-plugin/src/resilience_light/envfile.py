"""Read an env file as shells and dotenv do: NAME=value lines, with or without quotes."""

import re

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)\Z")
_QUOTED = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"")


def read(path):
    """Return the variables of the file, none where it cannot be read. A `$` in a value stands for itself."""
    try:
        with open(path, encoding="utf-8-sig") as file:
            return parse(file.read())
    except (OSError, UnicodeDecodeError):
        return {}


def parse(text):
    """Return name -> value; the last of a name counts, as for a shell. What is no NAME=value is left out."""
    values = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        name, value = match.group(1), match.group(2).strip()
        quoted = _QUOTED.match(value)
        if quoted is not None:
            single, double = quoted.groups()
            value = single if single is not None else re.sub(r"\\([\\\"$`])", r"\1", double)
        else:
            value = re.split(r"\s#", value, maxsplit=1)[0].rstrip()
        values[name] = value
    return values
