"""What a command prints takes the blame from the product only where the runner speaks of itself."""

from __future__ import annotations

import pytest

from resilience.suite.whole_commands import nothing_proven


@pytest.mark.parametrize(
    ("output", "exit_code", "said"),
    [
        ("", 0, ""),
        ("", 1, ""),
        ("", 137, "killed by signal 9 (SIGKILL)"),
        ("", 139, "killed by signal 11 (SIGSEGV)"),
        ("", 255, ""),
        ("  Tests: 1 failed, 3 passed", 137, ""),
        ("> jest --ci\nsh: 1: jest: not found", 127, "a program did not start"),
        ("--- FAIL: TestOrder (0.00s)\nsh: 1: cleanup: not found", 127, ""),
        ("not ok 3 - sums\nUnknown command: x", 1, ""),
        ("/usr/bin/python: No module named pytest", 1, "a program did not start"),
        ("ModuleNotFoundError: No module named 'shop.orders'", 1, ""),
        (
            "py: Exception running subprocess [Errno 2] No such file or directory: 'x'\n  py: FAIL code 2",
            2,
            "a program did",
        ),
        ("b: failed with sh is not allowed, use allowlist_externals to allow it\n  b: FAIL code 1", 1, "a program did"),
        ("ROOT: HandledError| provided environments not found in configuration file:\nx", 254, "the command was used"),
        ("npm error enoent Could not read package.json: Error: ENOENT", 254, "a program did not start"),
        ('npm error Missing script: "tset"', 1, "the command was used wrongly"),
        ('Unknown command: "tset"', 1, "the command was used wrongly"),
        ("make: *** No rule to make target 'tset'.  Stop.", 2, "the command was used wrongly"),
        ("tox: error: unrecognized arguments: --nosuch", 2, "the command was used wrongly"),
        ("AssertionError: error: argument is wrong", 1, ""),
    ],
)
def test_only_what_a_runner_says_of_itself_takes_the_blame_from_the_product(
    output: str, exit_code: int, said: str
) -> None:
    why = nothing_proven(output, exit_code)
    assert why.startswith(said) if said else why == ""
