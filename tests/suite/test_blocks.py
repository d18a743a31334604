"""What other runners print is read test by test, and each test's block by itself."""

from __future__ import annotations

import gc
import textwrap
import time

import pytest

from resilience.core.records import FaultCode
from resilience.services.registry import KINDS
from resilience.suite.blocks import blocks_of, chain_of
from resilience.suite.signs import Said, read

UNITTEST = """\
.EF
======================================================================
ERROR: test_cart (tests.test_shop.Cart.test_cart)
A cart is kept.
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/app/redis/connection.py", line 400, in connect
    sock = self._connect()
ConnectionRefusedError: [Errno 111] Connection refused

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/tests/test_shop.py", line 8, in test_cart
    cache.get("x")
redis.exceptions.ConnectionError: Error 111 connecting to 127.0.0.1:6379. Connection refused.

======================================================================
FAIL: test_vat (tests.test_shop.Cart)
----------------------------------------------------------------------
Traceback (most recent call last):
  File "/app/tests/test_shop.py", line 12, in test_vat
    self.assertEqual(119, 121)
AssertionError: 119 != 121

----------------------------------------------------------------------
Ran 3 tests in 0.004s

FAILED (failures=1, errors=1)
"""
GO = """\
=== RUN   TestCart
    cart_test.go:14: dial tcp 127.0.0.1:6379: connect: connection refused
--- FAIL: TestCart (0.00s)
=== RUN   TestVat
--- FAIL: TestVat (0.00s)
    vat_test.go:9: got 119, want 121
=== RUN   TestFine
--- PASS: TestFine (0.00s)
FAIL
exit status 1
FAIL\tshop\t0.005s
"""
JEST = """\
 FAIL  test/cart.test.js
  ● Cart › keeps what was put in

    connect ECONNREFUSED 127.0.0.1:6379

      at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)

  ● Cart › adds VAT

    expect(received).toBe(expected) // Object.is equality

    Expected: 121
    Received: 119

Test Suites: 1 failed, 1 total
Tests:       2 failed, 3 passed, 5 total
"""
VITEST = """\
 ❯ shop.test.mjs (2 tests | 2 failed) 22ms
   × Cart > keeps what was put in 8ms
   × Cart > adds VAT 13ms

⎯⎯⎯⎯⎯⎯⎯ Failed Tests 2 ⎯⎯⎯⎯⎯⎯⎯

 FAIL  shop.test.mjs > Cart > keeps what was put in
Error: connect ECONNREFUSED 127.0.0.1:6379
⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[1/2]⎯

 FAIL  shop.test.mjs > Cart > adds VAT
AssertionError: expected 119 to be 121 // Object.is equality

- Expected
+ Received

- 121
+ 119

 ❯ shop.test.mjs:4:38
      2| expect(code).not.toBe('ECONNREFUSED');
      3|
      4| test('adds VAT', ()=>{expect(100+19).toBe(121)});
       |                                      ^
      5|

⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯⎯[2/2]⎯


 Test Files  1 failed (1)
      Tests  2 failed (2)
"""
MOCHA = """\
  3 passing (12ms)
  2 failing

  1) Cart
       keeps what was put in:
     Error: connect ECONNREFUSED 127.0.0.1:6379
      at TCPConnectWrap.afterConnect

  2) Cart
       adds VAT:
      AssertionError [ERR_ASSERTION]: 119 == 121
"""
TAP = """\
TAP version 13
not ok 1 - keeps what was put in
  ---
  error: 'connect ECONNREFUSED 127.0.0.1:6379'
  code: 'ECONNREFUSED'
  ...
ok 2 - is fine
not ok 3 - adds VAT
  ---
  error: |-
    Expected values to be strictly equal: 119 !== 121
  code: 'ERR_ASSERTION'
  ...
1..3
"""
PYTEST = """\
=================================== FAILURES ===================================
___________________________________ test_cart __________________________________

    def test_cart():
>       cache.get("x")
E       ConnectionRefusedError: [Errno 111] Connection refused
E       redis.exceptions.ConnectionError: Error 111 connecting to 127.0.0.1:6379. Connection refused.

redis/connection.py:400: ConnectionError
___________________________________ test_vat ___________________________________

    def test_vat():
>       assert 119 == 121
E       assert 119 == 121

test_shop.py:12: AssertionError
=========================== short test summary info ============================
FAILED test_shop.py::test_cart - redis.exceptions.ConnectionError
========================= 2 failed, 1 passed in 0.10s ==========================
"""


@pytest.mark.parametrize(
    ("output", "runner", "names"),
    [
        (UNITTEST, "unittest", ["tests.test_shop.Cart.test_cart", "tests.test_shop.Cart.test_vat"]),
        (GO, "go test", ["TestCart", "TestVat"]),
        (JEST, "jest", ["Cart › keeps what was put in", "Cart › adds VAT"]),
        (VITEST, "vitest", ["shop.test.mjs > Cart > keeps what was put in", "shop.test.mjs > Cart > adds VAT"]),
        (MOCHA, "mocha", ["Cart", "Cart"]),
        (TAP, "TAP", ["keeps what was put in", "adds VAT"]),
        (PYTEST, "pytest", ["test_cart", "test_vat"]),
    ],
    ids=["unittest", "go", "jest", "vitest", "mocha", "tap", "pytest"],
)
def test_each_runners_failures_are_read_and_only_the_first_has_a_sign(
    output: str, runner: str, names: list[str]
) -> None:
    blocks = blocks_of(output)
    assert [block.name for block in blocks] == names
    assert {block.runner for block in blocks} == {runner}
    refused, vat = (read(chain_of(block.text), tuple(KINDS)) for block in blocks)
    assert (refused.said, refused.code, refused.assertion) == (Said.SIGN, FaultCode.TCP_REFUSED, False)
    assert (vat.said, vat.code) == (Said.NOTHING, None)


def test_tests_of_vitest_that_failed_alike_share_its_one_block_and_a_file_that_did_not_load_is_an_error() -> None:
    output = (
        " FAIL  a.test.js > one\n FAIL  a.test.js > two\nError: connect ECONNREFUSED 127.0.0.1:6379\n⎯⎯⎯⎯⎯[1/3]⎯\n\n"
        " FAIL  b.test.js [ b.test.js ]\nError: no such module\n⎯⎯⎯⎯⎯[3/3]⎯\n"
    )
    one, two, loading = blocks_of(output)
    assert one.text == two.text
    assert "ECONNREFUSED" in one.text
    assert [one.error, two.error, loading.error] == [False, False, True]
    assert blocks_of(" FAIL  test/cart.test.js\n") == ()


def test_colours_and_line_ends_of_a_terminal_are_no_hindrance() -> None:
    coloured = UNITTEST.replace("ERROR:", "\x1b[31mERROR:\x1b[0m").replace("\n", "\r\n")
    assert len(blocks_of(coloured)) == 2


@pytest.mark.parametrize("output", ["", "all fine\n", "0 failing\n", "ok 1 - fine\n1..1\n", "--- PASS: TestA (0.0s)\n"])
def test_what_names_no_failure_has_none(output: str) -> None:
    assert blocks_of(output) == ()


def test_a_chain_of_tracebacks_keeps_its_order_and_its_links() -> None:
    chain = chain_of(blocks_of(UNITTEST)[0].text)
    assert [node["type"] for node in chain] == ["redis.exceptions.ConnectionError", "ConnectionRefusedError"]
    assert [(node["of"], node["via"]) for node in chain] == [(-1, "root"), (0, "context")]
    assert chain[1]["errno"] == 111


def test_libpq_is_known_by_the_frame_that_connects() -> None:
    text = textwrap.dedent(
        """\
        Traceback (most recent call last):
          File "/venv/psycopg2/__init__.py", line 122, in connect
            conn = _connect(dsn, connection_factory=connection_factory, **kwasync)
        psycopg2.OperationalError: connection to server at "127.0.0.1", port 5432 failed: Connection refused
        """
    )
    assert read(chain_of(text), tuple(KINDS)).code is FaultCode.TCP_REFUSED
    answered = text.replace("failed: Connection refused", 'failed: FATAL:  password authentication failed for user "x"')
    assert read(chain_of(answered), tuple(KINDS)).answered


def test_each_runner_of_a_script_tells_its_failures_and_what_is_printed_inside_a_block_belongs_to_it() -> None:
    rule = "=" * 70 + "\n", "-" * 70 + "\n"
    unittest = (
        f"{rule[0]}FAIL: test_a (m.A.test_a)\n{rule[1]}Traceback (most recent call last):\nAssertionError\n\n{rule[1]}"
    )
    tap = "not ok 1 - adds VAT\n  ---\n  error: 'x'\n  ...\n"
    assert [(one.runner, one.name) for one in blocks_of(unittest + tap)] == [
        ("unittest", "m.A.test_a"), ("TAP", "adds VAT"),
    ]  # fmt: skip
    pytest_ = f"____ test_runs_node ____\n{tap}\n=== short test summary ===\n"
    assert [(one.runner, one.name) for one in blocks_of(pytest_ + unittest)] == [
        ("pytest", "test_runs_node"), ("unittest", "m.A.test_a"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "block",
    [
        "not ok 3 - adds VAT\n  ---\n  error: x\n  ...\n",
        "    --- FAIL: TestA/x (0.00s)\n        x_test.go:3: bad\n",
        "____ test_a ____\nE   AssertionError: x\n",
        " FAIL  a.test.js > adds VAT\nAssertionError: x\n⎯⎯⎯[1/1]⎯\n",
    ],
)
def test_two_megabytes_of_failures_take_no_longer_than_their_number(block: str) -> None:
    """The least of three each, without the collector, whose rounds cost by all that the suite before this test has left."""

    def seconds(times: int) -> float:
        began = time.thread_time()
        assert len(blocks_of(block * times)) == times
        return time.thread_time() - began

    gc.disable()
    try:
        few, many = (min(seconds(times) for _ in range(3)) for times in (1_000, 16_000))
    finally:
        gc.enable()
    assert many < 16 * 4 * max(few, 0.001), "sixteen times as many, never their square"
