"""Turn rows of staging into masked rows that the scratch stand-in's tables take, each foreign key held, secrets gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from resilience.core.secret_signs import hide_by_signs
from resilience.services.postgresql.copytext import Row
from resilience.services.postgresql.fakes import Fakes
from resilience.services.postgresql.looks import kind_of_value
from resilience.services.postgresql.masking import Assigner, Masked, Masking, Name, affixes_of, compared, has_inside
from resilience.services.postgresql.schema import Schema
from resilience.services.postgresql.trying import Refused, trial

ROUNDS = 12
"""So often all is tried anew; there are fewer shapes than that."""
LEAST_SECRET = 6
_SHOWN_KINDS = {
    "email": "e-mail addresses",
    "card": "card numbers",
    "iban": "account numbers",
    "phone": "phone numbers",
}


@dataclass(slots=True, kw_only=True)
class Fitting:
    """Rows on their way from unmasked to masked: `rows` as they are, `done` as they are to be written, `gaps` what is not."""

    schema: Schema
    masking: Masking
    rows: Mapping[str, list[Row]] = field(repr=False)
    fakes: Fakes
    done: dict[str, list[Row]] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    _assigners: dict[int, Assigner] = field(default_factory=dict)
    _lost: dict[str, set[int]] = field(default_factory=dict)

    def learn(self) -> None:
        """Give each value of the masked columns its fake."""
        groups = self.masking.groups
        values: dict[int, set[str]] = {}
        for name, rows in self.rows.items():
            for at, how in self._masked(name):
                values.setdefault(how.group, set()).update(row[at] for row in rows if row[at] is not None)  # type: ignore[misc]
        for (owner, column), how in self.masking.columns.items():
            if how.group in values and how.group not in self._assigners and how.kind != "keep":
                told = self.schema.tables[owner].column(column)
                self._assigners[how.group] = Assigner(
                    self.fakes,
                    groups[how.group],
                    column=told if told is not None and has_inside(told) else None,
                    fields=how.fields,
                    affixes=affixes_of(values[how.group], self._checks(groups[how.group].members)),
                )
        for group, assigner in self._assigners.items():
            assigner.learn(values[group])

    def _checks(self, members: Iterable[Name]) -> str:
        texts = []
        for owner, name in members:
            table = self.schema.tables[owner]
            column = table.column(name)
            texts += [check.text for check in table.checks if name in check.columns]
            texts.append(self.schema.domains.get(column.domain, "") if column else "")
        return " ".join(texts)

    def _masked(self, name: str) -> list[tuple[int, Masked]]:
        how = self.masking.of(name)
        columns = self.schema.tables[name].columns
        return [(at, how[one.name]) for at, one in enumerate(columns) if how[one.name].kind != "keep"]

    def _rows(self, name: str) -> list[Row]:
        """Return a table's rows with the fakes of now."""
        masked = [
            (at, self._assigners[how.group].made) for at, how in self._masked(name) if how.group in self._assigners
        ]
        found = []
        for row in self.rows[name]:
            new = list(row)
            for at, made in masked:
                value = row[at]
                if value is not None:
                    new[at] = made[value]
            found.append(new)
        return found

    async def fit(self, scratch: Any) -> None:
        """Try all tables, change what is refused, and try again those that it touches, until all fits or no shape is left."""
        there = {
            (row["schema"], row["name"])
            for row in await scratch.fetch(
                "select n.nspname as schema, c.relname as name from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            )
        }
        dirty = set(self.rows)
        for _ in range(ROUNDS):
            changed: set[tuple[int, str]] = set()
            async with trial(scratch) as trying:
                for name in sorted(dirty):
                    table = self.schema.tables[name]
                    self.done[name] = self._rows(name)
                    if (table.schema, table.name) not in there:
                        continue
                    kept = [at for at in range(len(self.done[name])) if at not in self._lost.get(name, ())]
                    for refused in await trying.rows(table, [self.done[name][at] for at in kept]):
                        self._refuse(name, kept[refused.row], refused, changed)
            if not changed:
                break
            touched = {group for group, _ in changed}
            dirty = {owner for group in touched for owner, _ in self._assigners[group].group.members} & set(self.rows)
        for name in self.rows:
            self.done[name] = self._rows(name)

    def _refuse(self, name: str, row: int, refused: Refused, changed: set[tuple[int, str]]) -> None:
        """Change the fakes that a constraint refused, each value once a round; a row with none left to change is lost.

        Of several columns those are changed that are at the earliest shape: so both ends of `low < high` come to the one shape in
        which they move alike, in whatever order their rows are refused.
        """
        culprits = self._culprits(name, refused)
        open_ones = []
        for at, how in self._masked(name):
            value = self.rows[name][row][at]
            assigner = self._assigners.get(how.group)
            if value is not None and at in culprits and assigner is not None and assigner.made[value] is not None:
                open_ones.append((assigner.shape(value), how.group, value))
        if not open_ones:
            self._lost.setdefault(name, set()).add(row)
        if any((group, value) in changed for _, group, value in open_ones):
            return
        first = min((shape for shape, _, _ in open_ones), default=0)
        for shape, group, value in open_ones:
            if shape == first:
                changed.add((group, value))
                self._assigners[group].refuse(value)

    def _culprits(self, name: str, refused: Refused) -> set[int]:
        """Return which columns a refused row's constraint speaks of; all where nothing says which."""
        table = self.schema.tables[name]
        named: set[str] = set()
        for one in table.checks:
            if one.name == refused.constraint:
                named |= set(one.columns)
        if not named and refused.domain:
            named |= {one.name for one in table.columns if one.domain.rpartition(".")[2] == refused.domain}
        if not named and refused.column:
            named.add(refused.column)
        if not named and refused.state == "23514":
            named |= set(table.routed)
        if not named and refused.state == "22001":
            named |= {one.name for one in table.columns if one.length}
        return {at for at, one in enumerate(table.columns) if not named or one.name in named}

    def prune(self) -> None:
        """Leave out rows that were lost, and those that name a row that is not there, until every foreign key holds.

        A key that staging itself never validated is left as it is.
        """
        left = {
            name: [at for at in range(len(rows)) if at not in self._lost.get(name, ())]
            for name, rows in self.done.items()
        }
        while True:
            gone = 0
            for key in self.schema.keys:
                if key.child not in left or not key.validated:
                    continue
                parents = set(self._keys(key.parent, key.parent_columns, left.get(key.parent, [])))
                children = self._keys(key.child, key.columns, left[key.child])
                kept = [
                    at for at, told in zip(left[key.child], children, strict=True) if told is None or told in parents
                ]
                gone += len(left[key.child]) - len(kept)
                left[key.child] = kept
            if not gone:
                break
        for _, assigner in sorted(self._assigners.items()):
            if assigner.lost:
                members = [f"{owner}.{column}" for owner, column in assigner.group.members if owner in self.done]
                self.gaps.append(
                    f"{' and '.join(members)}: no fake fits what its constraints allow for {assigner.lost} values"
                )
        for name, rows in self.done.items():
            lost = len(rows) - len(left[name])
            if lost:
                self.gaps.append(f"{name}: {lost} rows are left out, which cannot be masked or name such a row")
            self.done[name] = [rows[at] for at in left[name]]

    def _keys(self, name: str, columns: Sequence[str], rows: Iterable[int]) -> list[tuple[str, ...] | None]:
        if name not in self.done:
            return []
        names = [column.name for column in self.schema.tables[name].columns]
        at = [(names.index(one), self.schema.tables[name].columns[names.index(one)]) for one in columns]
        found: list[tuple[str, ...] | None] = []
        for row in rows:
            told = [
                compared(column, value) for place, column in at if (value := self.done[name][row][place]) is not None
            ]
            found.append(tuple(told) if len(told) == len(at) else None)
        return found

    def hide_secrets(self) -> None:
        """Mask what looks like a secret in columns that a rule keeps: a keep is for values, no leave to publish tokens."""
        for name, at in self._kept_texts():
            hidden = 0
            for row in self.done[name]:
                value = row[at]
                if value is not None and len(value) >= LEAST_SECRET and hide_by_signs(value) != value:
                    row[at] = self.fakes.fake("secret", value)
                    hidden += 1
            if hidden:
                column = self.schema.tables[name].columns[at].name
                self.gaps.append(
                    f"{name}.{column} is kept and holds what looks like a secret: {hidden} values are masked"
                )

    def personal(self) -> dict[str, int]:
        """Count what looks like a person's in columns that a rule keeps, by sort and column."""
        found: dict[str, int] = {}
        for name, at in self._kept_texts():
            column = self.schema.tables[name].columns[at].name
            for row in self.done[name]:
                kind = _SHOWN_KINDS.get(kind_of_value(row[at] or ""))
                if kind:
                    told = f"{kind} in {name}.{column}, which is kept"
                    found[told] = found.get(told, 0) + 1
        return found

    def _kept_texts(self) -> list[tuple[str, int]]:
        return [
            (name, at)
            for name in self.done
            for at, column in enumerate(self.schema.tables[name].columns)
            if column.family in ("text", "json", "xml", "hstore")
            and self.masking.columns[name, column.name].kind == "keep"
        ]
