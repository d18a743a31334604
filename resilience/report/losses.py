"""Keep what could not be made, in words that may leave, so that the rest of the report can say so."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

_log = logging.getLogger("resilience.report")


class Losses:
    """What is missing from one report. `text` is what every text of it passes through before it leaves."""

    def __init__(self, text: Callable[[str], str], known: Iterable[str] = ()) -> None:
        self.text = text
        self._missing = list(known)

    def lost(self, what: str, exc: BaseException) -> None:
        """Note that something could not be made; the exception's own words are cut, the log has all of it.

        What the log has is not redacted and stays on this machine.
        """
        _log.debug("%s could not be made", what, exc_info=exc)
        said = self.text(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)
        self.say(f"{what}: could not be made ({said[:200]})")

    def say(self, sentence: str) -> None:
        self._missing.append(sentence)

    @property
    def missing(self) -> tuple[str, ...]:
        """Each sentence once, in the order in which the losses came."""
        return tuple(dict.fromkeys(self._missing))
