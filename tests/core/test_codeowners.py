"""resilience.core.codeowners: the last line that matches names the owners of a path, as GitHub and GitLab read the file."""

from __future__ import annotations

import pytest

from resilience.core.codeowners import owners

TEXT = """
# everything that nobody else has
*                 @org/all
*.sql             @org/data   # a comment
/shop/            @org/shop
/shop/vendored
tests/unit/**     @anna @bert
docs/*            docs@example.com
apps              @org/apps
[Section]
/build/logs/**/*.txt @org/logs
"""


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("README.md", "@org/all"),
        ("db/deep/schema.sql", "@org/data"),
        ("shop/orders.py", "@org/shop"),
        ("lib/shop/orders.py", "@org/all"),
        ("shop/vendored/x.py", ""),
        ("tests/unit/a/test_b.py", "@anna @bert"),
        ("docs/a.md", "docs@example.com"),
        ("docs/deep/a.md", "@org/all"),
        ("src/apps/x.py", "@org/apps"),
        ("build/logs/a/b/c.txt", "@org/logs"),
        ("./shop/orders.py", "@org/shop"),
    ],
)
def test_the_last_line_that_matches_wins(path: str, owner: str) -> None:
    assert owners(TEXT)(path) == owner


def test_without_a_line_nobody_owns_anything() -> None:
    assert owners("# nothing here\n")("a.py") == ""
