"""SIGTERM and SIGHUP go the way of Ctrl-C with an exit code of their own, and none cuts the writing of an end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from resilience.host import signals

SOON = """
import sys, types
class Slow(types.ModuleType):
    pass
sys.argv = ["resilience", "--help"]
import resilience.cli
class Late:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            sys.meta_path.remove(self)  # what says the end imports it too
            print("loading", flush=True)
            import time; time.sleep(30)
sys.meta_path.insert(0, Late())
resilience.cli.main()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=str
)
def test_a_signal_while_the_command_still_loads_is_said_with_its_code(number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SOON], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert err.startswith("resilience: ")
    assert err.count("\n") == 1


SWALLOWED = """
import signal, sys
sys.argv = ["resilience", "--help"]
import resilience.cli
class Swallows:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            sys.meta_path.remove(self)
            try:
                signal.raise_signal({number})
            except BaseException:
                pass
sys.meta_path.insert(0, Swallows())
resilience.cli.main()
"""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)], ids=str
)
def test_a_signal_that_what_is_loaded_swallows_ends_the_command_all_the_same(number: signal.Signals, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED.format(number=int(number))],
        capture_output=True,
        text=True,
        check=False,
        # Under nohup SIGHUP is ignored, by all that is started from there too.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # type: ignore[arg-type, return-value]
    )
    assert done.returncode == code, done.stderr
    assert done.stdout == ""


LOST = """
import signal
from resilience.host import signals
signals.heed()
signals.raise_what_was_lost()
try:
    signal.raise_signal({number})
except KeyboardInterrupt:
    pass
with signals.last_word():
    signals.raise_what_was_lost()
print("the end is written")
try:
    signals.raise_what_was_lost()
except KeyboardInterrupt:
    print("raised again")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=str)
def test_what_a_signal_raised_and_something_swallowed_is_raised_again_but_while_the_end_is_written(
    number: signal.Signals,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST.format(number=int(number))], capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n") == ["the end is written", "raised again", ""], done.stderr


def test_no_signal_cuts_the_last_word_and_the_handlers_of_before_are_back() -> None:
    before = [signal.getsignal(number) for number in signals.ENDING]
    with signals.last_word():
        for number in signals.ENDING:
            os.kill(os.getpid(), number)
    assert [signal.getsignal(number) for number in signals.ENDING] == before


def test_a_signal_that_is_held_comes_once_when_it_is_let_go() -> None:
    with pytest.raises(KeyboardInterrupt), signals.held() as release:  # noqa: PT012 - the rest is what is claimed
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        let_go = "not yet"
        release()
        let_go = "too far"
    assert let_go == "not yet"
    with pytest.raises(KeyboardInterrupt), signals.held():
        os.kill(os.getpid(), signal.SIGINT)


def test_what_is_not_sent_does_not_come_and_the_handlers_of_before_are_back() -> None:
    before = [signal.getsignal(number) for number in signals.ENDING]
    with signals.held() as release:
        release()
        assert [signal.getsignal(number) for number in signals.ENDING] == before
    assert [signal.getsignal(number) for number in signals.ENDING] == before


def test_a_last_word_for_good_leaves_no_signal_in() -> None:
    before = {number: signal.getsignal(number) for number in signals.ENDING}
    try:
        with signals.last_word(for_good=True):
            pass
        assert {signal.getsignal(number) for number in signals.ENDING} == {signal.SIG_IGN}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_each_signal_has_the_exit_code_that_shells_give_it() -> None:
    codes = {number.name: signals.exit_code(number) for number in signals.ENDING}
    assert codes == {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 143}


def test_under_nohup_a_hang_up_stays_ignored(tmp_path: Path) -> None:
    program = (
        "import signal; from resilience.host import signals; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
        "signals.heed(); print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


ANNOUNCED = """
import asyncio, os, signal, time
from resilience.host import signals
signals.heed()
async def work():
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        time.sleep(0.5)
        print("put down", flush=True)
        raise
async def go():
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.{name})
    with signals.announced(lambda came: print("heard", came, flush=True)):
        await work()
try:
    asyncio.run(go())
except KeyboardInterrupt:
    print("ended", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_is_announced_before_what_it_stops_is_put_down_and_goes_its_way(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", ANNOUNCED.format(name=name)], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["heard 0", "put down", "ended True"], done.stderr
