"""Turn the text of a CODEOWNERS file into who answers for a path: the last line that matches, as GitHub and GitLab read it."""

from __future__ import annotations

import re
from collections.abc import Callable

PLACES = (".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
"""Where the two services look for the file, in this order."""


def owners(text: str) -> Callable[[str], str]:
    """Return what names the owners of a path, in the file's own words; an empty text where nobody is named.

    Patterns are those of .gitignore without `!`, `[…]` and escapes, as GitHub has it. A pattern without owners takes a
    path from the owners of an earlier line. GitLab's section headings are passed over.
    """
    rows = []
    for line in text.splitlines():
        words = line.split("#", 1)[0].split()
        if words and not words[0].startswith(("[", "^[", "!")):
            rows.append((_pattern(words[0]), " ".join(words[1:])))
    rows.reverse()

    def owner(path: str) -> str:
        path = path.removeprefix("./").lstrip("/")
        return next((named for pattern, named in rows if pattern.match(path)), "")

    return owner


def _pattern(glob: str) -> re.Pattern[str]:
    """Return the expression of one pattern: anchored where it has a slash before its end, else at any depth.

    `dir/` and `dir` hold for all below; `dir/*` for the files of the folder alone.
    """
    anchored = "/" in glob.rstrip("/")
    body = glob.strip("/")
    parts = re.split(r"(\*\*/|/\*\*|\*\*|\*|\?)", body)
    meanings = {"**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    text = "".join(meanings.get(part, re.escape(part)) for part in parts)
    below = "" if body.endswith("/*") else "/.*" if glob.endswith("/") else "(?:/.*)?"
    return re.compile(("" if anchored else "(?:.*/)?") + text + below + r"\Z")
