"""Turn SIGTERM and SIGHUP into the way of Ctrl-C, remember which it was, and let no signal cut the writing of an end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # no SIGHUP on Windows
INTERRUPTED, TERMINATED = 130, 143
"""What a process exits with after a signal: 128 and its number, as shells have it. SIGHUP counts as SIGTERM."""


class _Heard:
    terminated = False
    """Whether it was SIGTERM or SIGHUP, which are put down as carefully as Ctrl-C but exit with 143."""
    interrupted = False
    """Whether it was Ctrl-C outside of an event loop."""


def heed() -> None:
    """Let SIGINT, SIGTERM and SIGHUP all end the command as Ctrl-C does; a second SIGTERM is ignored.

    SIGHUP that is ignored stays so, as under nohup; SIGINT that is ignored does not: so starts a script its jobs with `&`,
    and then neither signal would end us, nor --take-over.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _terminate)
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, signal.default_int_handler):
        # asyncio takes Ctrl-C over from the handler of this name only.
        signal.default_int_handler = _interrupt
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Remember Ctrl-C, and raise it: a module that is loaded lazily swallows a KeyboardInterrupt, and is left half loaded."""
    _Heard.interrupted = True
    raise KeyboardInterrupt


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    """Remember that it was SIGTERM, and go the way of Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _Heard.terminated = True
    # A running event loop has a handler of its own for Ctrl-C, which cancels what runs; an exception from here would tear it.
    signal.raise_signal(signal.SIGINT)


def terminated() -> bool:
    """Say whether the signal that ended this process was SIGTERM or SIGHUP."""
    return _Heard.terminated


def heard() -> bool:
    """Say whether a signal was to end this process, also where what it raised was lost."""
    return _Heard.terminated or _Heard.interrupted


def raise_what_was_lost() -> None:
    """Raise KeyboardInterrupt where a signal was heard and the command goes on all the same.

    For the beginning and the end of each step: what a handler raises is lost in code that swallows everything, such as some
    modules as they load, destructors and weak references. While the end is written (`last_word`) nothing is raised: that step
    is what the signal led to. In a notebook's kernel nothing is heard here.
    """
    if heard() and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        raise KeyboardInterrupt


def exit_code(number: int | None = None) -> int:
    """Return the exit code for this signal; without a number for the one that was heard."""
    ended = _Heard.terminated if number is None else number != signal.SIGINT
    return TERMINATED if ended else INTERRUPTED


def leave_the_exit_code_to_us() -> None:
    """Let Python forget that Ctrl-C left code made from a text, as that of a dataclass is.

    `python -m` would then end by SIGINT in place of our exit code, though the exception was caught (CPython's
    `unhandled_keyboard_interrupt`, which the next such code clears).
    """
    exec("")  # noqa: S102 - the empty text


@contextmanager
def announced(say: Callable[[int], None]) -> Iterator[None]:
    """Call `say` at once when a signal that ends us comes, before what it does begins; it gets how many came before.

    What it does may take seconds, as tests are ended and a report is written, in which nobody would know that it was heard.
    Within an event loop, as that has its own handler only then. Outside of the main thread nothing is done.
    """
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    ours, came = before, 0

    def hear(number: int, frame: FrameType | None) -> None:
        nonlocal came
        say(came)
        came += 1
        ours(number, frame)

    signal.signal(signal.SIGINT, hear)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is hear:
            signal.signal(signal.SIGINT, ours)


@contextmanager
def held() -> Iterator[Callable[[], None]]:
    """Hold signals back until what is yielded is called, or the block ends; the first one then comes as it would have.

    For what must not be left half made, such as a run without anybody who writes its end. Outside of the main thread
    nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: came.append(number))

    def release() -> None:
        while before:
            number, handler = before.popitem()
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if came:
            first = came[0]
            came.clear()
            signal.raise_signal(first)

    try:
        yield release
    finally:
        release()


def let_none_in() -> dict[int, Any]:
    """Ignore the ending signals from here on, and return what handled them before; for a command that has said its end.

    A signal between that and the end of the process would give it another exit code than the one on disk. Outside of the
    main thread nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    before = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    return before


@contextmanager
def last_word(*, for_good: bool = False) -> Iterator[None]:
    """Let no signal in while the end of a run is written and said: what is on disk would contradict the exit code.

    It takes less than a second, and SIGKILL still ends it. `for_good` where the process ends right after it. Outside of the
    main thread, as in a notebook, nothing is done.
    """
    before = let_none_in()
    try:
        yield
    finally:
        for number, handler in before.items() if not for_good else ():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
