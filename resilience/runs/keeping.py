"""Keep in the history what people said of an incident, what is still to be sent, and what a watch or a publication knows."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from resilience.core.records import Acknowledgement
from resilience.publish.outbox import Letter
from resilience.report.series import micros, moment
from resilience.runs.history import History

KEEP_SENT_DAYS = 90.0
"""Days after which what was sent is forgotten; what waits is kept until it is sent or given up by a person."""

_PUT = (
    "INSERT INTO outbox (key, channel, body, created_us, not_before_us, attempts, state, error)"
    " VALUES (?, ?, ?, ?, 0, 0, 'waiting', '') ON CONFLICT (key) "
)
_PUT_ONCE = _PUT + "DO NOTHING"
_PUT_AGAIN = (
    _PUT
    + "DO UPDATE SET body = excluded.body, state = 'waiting', attempts = 0, error = '', not_before_us = 0"
    + " WHERE body <> excluded.body OR state <> 'sent'"
)


class Said(NamedTuple):
    """What a person said of an incident. `kind`: note or ack; `until` is of an ack alone, None for its end."""

    at: datetime
    author: str
    kind: str
    text: str
    until: datetime | None
    incident: str


class Keeping:
    """The outbox, the notes and the state in a history's file. Every method is one transaction, unless inside `at_once`."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._inside = False

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Make all that is written inside one transaction: a state and the letters it gave rise to are both there, or neither."""
        if self._inside:
            yield
            return
        with self._history.writing():
            self._inside = True
            try:
                yield
            finally:
                self._inside = False

    # What people said

    def say(
        self,
        kind: str,
        *,
        environment: str,
        incident: str,
        at: datetime,
        author: str,
        text: str,
        until: datetime | None = None,
    ) -> None:
        with self.at_once():
            self._history.db.execute("INSERT OR IGNORE INTO word (text) VALUES (?)", (environment,))
            self._history.db.execute(
                "INSERT INTO said (environment, incident, at_us, until_us, kind, author, text)"
                " VALUES ((SELECT id FROM word WHERE text = ?), ?, ?, ?, ?, ?, ?)",
                (environment, incident or None, micros(at), micros(until) if until else None, kind, author, text),
            )

    def said(self, environment: str, incident: str = "") -> tuple[Said, ...]:
        """Return what people said of this incident, of all where none is named, oldest first."""
        rows = self._history.db.execute(
            "SELECT at_us, author, kind, said.text, until_us, coalesce(incident, '') FROM said"
            " JOIN word ON word.id = environment WHERE word.text = ? AND (? = '' OR incident = ?) ORDER BY at_us, said.id",
            (environment, incident, incident),
        )
        return tuple(
            Said(moment(at), author, kind, text, None if until is None else moment(until), of)
            for at, author, kind, text, until, of in rows
        )

    def acknowledgement(self, environment: str, incident: str) -> Acknowledgement | None:
        """Return who took this incident last, or None. Taking it back is an ack that ends as it begins."""
        acks = [one for one in self.said(environment, incident) if one.kind == "ack"] if incident else []
        if not acks:
            return None
        last = acks[-1]
        return Acknowledgement(at=last.at, by=last.author, until=last.until, text=last.text)

    # What is still to be sent

    def put(self, key: str, channel: str, body: str, *, replaces: bool = False) -> bool:
        """Put a letter into the outbox; False where one of this key was put before. With `replaces` the later body counts.

        A letter that was replaced waits again, also where the one before was sent or refused; the same body is not sent twice.
        """
        with self.at_once():
            done = self._history.db.execute(
                _PUT_AGAIN if replaces else _PUT_ONCE, (key, channel, body, time.time_ns() // 1000)
            )
        return done.rowcount > 0

    def waiting(self, channel: str = "", *, prefix: str = "") -> tuple[Letter, ...]:
        """Return what waits, oldest first, of one channel or of all; also what may not be tried yet."""
        rows = self._history.db.execute(
            "SELECT id, key, channel, body, created_us, not_before_us, attempts, error FROM outbox"
            " WHERE state = 'waiting' AND (? = '' OR channel = ?) AND key LIKE ? || '%' ORDER BY id",
            (channel, channel, prefix),
        )
        return tuple(
            Letter(
                id=number,
                key=key,
                channel=of,
                body=body,
                created_at=moment(created),
                not_before=moment(not_before) if not_before else None,
                attempts=attempts,
                error=error,
            )
            for number, key, of, body, created, not_before, attempts, error in rows
        )

    def sent(self, letter: Letter) -> None:
        """Mark a letter as sent, unless its body was replaced meanwhile: then it waits on."""
        with self.at_once():
            self._history.db.execute(
                "UPDATE outbox SET state = 'sent', error = '', attempts = attempts + 1 WHERE id = ? AND body = ?",
                (letter.id, letter.body),
            )
            before = time.time_ns() // 1000 - int(KEEP_SENT_DAYS * 86_400_000_000)
            self._history.db.execute("DELETE FROM outbox WHERE state <> 'waiting' AND created_us < ?", (before,))

    def put_off(self, letter: Letter, error: str, *, until: datetime | None = None) -> None:
        """Leave a letter for later, with the reason, and not to be tried before `until`."""
        self._history_set(letter, "waiting", error, micros(until) if until else 0)

    def refused(self, letter: Letter, error: str) -> None:
        """Give a letter up: it would be refused again."""
        self._history_set(letter, "refused", error, 0)

    def _history_set(self, letter: Letter, state: str, error: str, not_before: int) -> None:
        with self.at_once():
            self._history.db.execute(
                "UPDATE outbox SET state = ?, error = ?, not_before_us = ?, attempts = attempts + 1 WHERE id = ?",
                (state, error[:500], not_before, letter.id),
            )

    # What is known

    def get(self, name: str) -> str:
        """Return what is kept under this name, or nothing."""
        row = self._history.db.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else ""

    def keep(self, values: Mapping[str, str]) -> None:
        with self.at_once():
            self._history.db.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?)", list(values.items()))

    def names(self, prefix: str) -> Sequence[str]:
        """Return the names under which something is kept that begin with this."""
        rows = self._history.db.execute("SELECT name FROM kept WHERE name LIKE ? || '%' ORDER BY name", (prefix,))
        return [name for (name,) in rows]
