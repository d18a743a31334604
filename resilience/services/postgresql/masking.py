"""Turn a schema, rules and a look at the values into how each column is masked, and rows into masked rows.

Text, JSON, arrays, network addresses, bytes and whatever sort is unknown are masked unless a rule keeps them; so are numbers, dates
and places whose name suggests a person. Columns that a foreign key or a domain ties together are masked as one, so that equal
values stay equal; where one of them is unique, no two values get the same fake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from resilience.services.postgresql import nested
from resilience.services.postgresql.fakes import LONGEST_TEXT, Bounds, Fakes, steps
from resilience.services.postgresql.looks import is_of_a_person, kind_by_name, kind_by_values, kind_of_value
from resilience.services.postgresql.schema import Column, ForeignKey, Schema, Table
from resilience.services.postgresql.seed_rules import MaskRule

Name = tuple[str, str]
"""A column: its table's full name, and its own."""
_WORD = 24
TRIES = 40
"""So many fakes of one shape are tried for a value before the next shape."""
_MASKED = frozenset({"text", "json", "words", "ip", "mac", "bytes", "xml", "hstore", "row", "enum", "vector", "other"})
_BY_NAME = frozenset({"number", "date", "place", "gis", "range", "uuid"})
_OWN_KIND = {
    "ip": "ip", "mac": "mac", "bytes": "bytes", "uuid": "uuid", "number": "number", "date": "date", "place": "numbers",
    "vector": "numbers", "gis": "code", "enum": "choice", "plain": "code", "other": "code",
}  # fmt: skip
_PERSONAL = frozenset(
    {"email", "phone", "name", "first_name", "last_name", "username", "address", "card", "iban", "secret", "ip", "mac"}
)
LEDGERS: Mapping[str, frozenset[str]] = {
    "alembic_version": frozenset(),
    "django_migrations": frozenset(),
    "schema_migrations": frozenset(),
    "ar_internal_metadata": frozenset(),
    "flyway_schema_history": frozenset({"installed_by"}),
    "databasechangelog": frozenset({"author", "comments"}),
    "databasechangeloglock": frozenset({"lockedby"}),
    "_prisma_migrations": frozenset({"logs"}),
    "knex_migrations": frozenset(),
    "knex_migrations_lock": frozenset(),
    "goose_db_version": frozenset(),
    "SequelizeMeta": frozenset(),
    "__EFMigrationsHistory": frozenset(),
    "yoyo_migrations": frozenset(),
    "_yoyo_migration": frozenset({"username", "hostname"}),
    "aerich": frozenset({"content"}),
    "typeorm_metadata": frozenset(),
    "doctrine_migration_versions": frozenset(),
    "_sqlx_migrations": frozenset(),
    "__diesel_schema_migrations": frozenset(),
    "refinery_schema_history": frozenset(),
    "atlas_schema_revisions": frozenset({"operator_version"}),
    "gorp_migrations": frozenset(),
}
"""Tables in which migration tools keep what ran → their columns that are masked all the same.

Without these rows every migration would run again on a schema that has them all."""
LEDGER = "ledger of migrations"
_BY_COLUMNS = (frozenset({"id", "migration", "batch"}), frozenset({"id", "timestamp", "name"}))
"""Columns of the ledgers that are called `migrations` (Laravel, TypeORM): the name alone could be anybody's table."""


class RuleError(ValueError):
    """A rule that names no column of the schema, or would part what a foreign key holds together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Masked:
    """How one column is masked: `kind` is keep or a kind of fake. Columns of one `group` share their fakes."""

    kind: str
    group: int
    fields: Mapping[str, str] = field(default_factory=dict)
    """Names inside JSON → kind, by rules."""
    proposal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Columns whose equal values get equal fakes, what such a fake must fit in, and whether two may never meet."""

    kind: str
    members: tuple[Name, ...]
    bounds: Bounds = field(default_factory=Bounds)
    unique: bool = False
    joined: bool = False
    folded: bool = False
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Masking:
    columns: Mapping[Name, Masked]
    groups: tuple[Group, ...]

    def of(self, table: str) -> dict[str, Masked]:
        return {column: masked for (owner, column), masked in self.columns.items() if owner == table}


Samples = Mapping[Name, Sequence[str]]


def decide(schema: Schema, tables: Iterable[str], masks: Iterable[MaskRule], samples: Samples) -> Masking:
    """Return how each column of the tables is masked. Raises RuleError.

    The columns of foreign keys are bound together whether or not both tables are taken, so that a later lesson with more tables
    gives the same fakes. A rule of one column is a rule of all that its foreign key ties to it; a keep must be written for each.
    """
    said, fields = _said(schema, masks)
    parent = _bound(schema)
    members: dict[Name, list[Name]] = {}
    for table in schema.tables.values():
        for column in table.columns:
            name = (table.full, column.name)
            members.setdefault(_root(parent, name), []).append(name)
    joined = {name for key in schema.keys for name in _ends(key)}
    taken = frozenset(tables)
    found: dict[Name, Masked] = {}
    groups: list[Group] = []
    for names in members.values():
        if not any(table in taken for table, _ in names):
            continue
        group = _group(schema, names, said, samples, joined)
        groups.append(group)
        for name in names:
            column = _column(schema, name)
            kept = said.get(name, "") == "keep" or _ledger_keeps(schema, name, said)
            kind = "keep" if kept or group.kind == "keep" else group.kind
            proposal = "" if kind == "keep" else _proposal(schema, name, column, group, samples.get(name, ()))
            found[name] = Masked(kind=kind, group=len(groups) - 1, fields=fields.get(name, {}), proposal=proposal)
    return Masking(columns={name: masked for name, masked in found.items() if name[0] in taken}, groups=tuple(groups))


def _said(schema: Schema, masks: Iterable[MaskRule]) -> tuple[dict[Name, str], dict[Name, dict[str, str]]]:
    """Return what the rules say of columns, and of fields inside them; a rule of a column goes before one of its whole table."""
    whole: dict[Name, str] = {}
    single: dict[Name, str] = {}
    fields: dict[Name, dict[str, str]] = {}
    for rule in masks:
        table = schema.find(rule.schema, rule.table)
        if table is None:
            raise RuleError(f'mask "{rule.text}": staging has no table {rule.table}')
        columns = [column.name for column in table.columns if rule.column in ("*", column.name)]
        if not columns:
            raise RuleError(f'mask "{rule.text}": {table.full} has no column {rule.column} that can be written')
        for column in columns:
            if rule.field:
                fields.setdefault((table.full, column), {})[rule.field] = rule.kind
            else:
                (whole if rule.column == "*" else single)[table.full, column] = rule.kind
    return whole | single, fields


def _ledger_keeps(schema: Schema, name: Name, said: Mapping[Name, str]) -> bool:
    table = schema.tables[name[0]]
    return name not in said and is_taken_whole(table) and name[1] not in LEDGERS.get(table.name, ())


def _ends(key: ForeignKey) -> list[Name]:
    return [(key.child, column) for column in key.columns] + [(key.parent, column) for column in key.parent_columns]


def _bound(schema: Schema) -> dict[Name, Name]:
    """Bind columns that a foreign key ties, and those of one domain (union and find)."""
    parent: dict[Name, Name] = {}
    for key in schema.keys:
        for own, theirs in zip(key.columns, key.parent_columns, strict=True):
            _bind(parent, (key.child, own), (key.parent, theirs))
    first: dict[str, Name] = {}
    for table in schema.tables.values():
        for column in table.columns:
            if column.domain and not column.array:
                _bind(parent, (table.full, column.name), first.setdefault(column.domain, (table.full, column.name)))
    return parent


def _bind(parent: dict[Name, Name], one: Name, other: Name) -> None:
    a, b = _root(parent, one), _root(parent, other)
    if a != b:
        parent[max(a, b)] = min(a, b)


def _root(parent: dict[Name, Name], name: Name) -> Name:
    while name in parent:
        name = parent[name]
    return name


def _column(schema: Schema, name: Name) -> Column:
    found = schema.tables[name[0]].column(name[1])
    assert found is not None
    return found


def _group(
    schema: Schema, names: Sequence[Name], said: Mapping[Name, str], samples: Samples, joined: set[Name]
) -> Group:
    """Return what is made of columns that go together: the kind by rule, else by the values, else by a name, else by the type.

    Any member that must be masked has all of them masked.
    """
    columns = [(name, _column(schema, name)) for name in names]
    rules = sorted({said[name] for name in names if name in said} - {"keep"})
    masked = any(_must(column) and said.get(name) != "keep" for name, column in columns)
    tied = [name for name in names if name in joined]
    if not masked and not rules:
        return Group(kind="keep", members=tuple(names))
    _refuse_parted(schema, tied, said, rules)
    kind = rules[0] if rules else _kind(columns, samples)
    bounds = _bounds(schema, columns)
    if not rules and bounds.choices and columns[0][1].family in ("text", "enum"):
        kind = "choice"
    defaults = {column.default for _, column in columns}
    return Group(
        kind=kind,
        members=tuple(names),
        bounds=bounds,
        unique=any(column.name in unit for name, column in columns for unit in schema.tables[name[0]].uniques),
        joined=bool(tied),
        folded=any(column.folded for _, column in columns),
        default=next(iter(defaults)) if len(defaults) == 1 else None,
    )


def _refuse_parted(schema: Schema, tied: Sequence[Name], said: Mapping[Name, str], rules: Sequence[str]) -> None:
    """Raise RuleError where a rule would have the ends of a foreign key no longer find each other: kept here, masked there."""
    if len(rules) > 1 and tied:
        raise RuleError(f"{_list(tied)} are tied by a foreign key and masked as {' and '.join(rules)}: choose one")
    kept = [name for name in tied if said.get(name) == "keep"]
    open_ends = [name for name in tied if name not in kept and not _ledger_keeps(schema, name, said)]
    if kept and open_ends:
        lines = ", ".join(f'"{table}.{column}" = "keep"' for table, column in open_ends)
        raise RuleError(f"{_list(kept)} is kept, and a foreign key ties it to what is masked: add {lines}")


def _list(names: Sequence[Name]) -> str:
    return " and ".join(f"{table}.{column}" for table, column in names)


def _must(column: Column) -> bool:
    """Say whether a column is masked where no rule speaks of it."""
    if column.array and column.family != "plain":
        return True
    return column.family in _MASKED or (column.family in _BY_NAME and is_of_a_person(column.name))


def _kind(columns: Sequence[tuple[Name, Column]], samples: Samples) -> str:
    """Return the sort of fakes: that of the type where it has one of its own, else what values look like, else what names say."""
    family = columns[0][1].family
    if family in _OWN_KIND:
        return _OWN_KIND[family]
    if family == "range":
        return "date" if "date" in columns[0][1].type or "ts" in columns[0][1].type else "number"
    if family != "text":
        return "text"
    names = [kind for _, column in columns if (kind := kind_by_name(column.name))]
    if "secret" in names:
        return "secret"
    return kind_by_values(value for name, _ in columns for value in samples.get(name, ())) or next(iter(names), "text")


def _bounds(schema: Schema, columns: Sequence[tuple[Name, Column]]) -> Bounds:
    """Return what every column of a group can hold: the shortest, the smallest, the labels and the values its CHECKs list."""
    lengths = [column.length for _, column in columns if column.length]
    tops = [column.top for _, column in columns if column.top]
    choices = next((column.labels for _, column in columns if column.labels), ()) or listed(schema, columns)
    return Bounds(length=min(lengths, default=LONGEST_TEXT), top=min(tops, default=0), choices=tuple(choices))


_LISTED = re.compile(r"= ANY|\) OR \(|^CHECK \(\(+\w+ = '|FOR VALUES IN")
_LITERAL = re.compile(r"'((?:[^']|'')*)'(?=::|\)|,|\s|$)")


def listed(schema: Schema, columns: Sequence[tuple[Name, Column]]) -> tuple[str, ...]:
    """Return the values that a CHECK of one of the columns, or of their domain, says are the only ones."""
    texts = [
        check.text
        for name, column in columns
        for check in schema.tables[name[0]].checks
        if check.columns == (column.name,)
    ]
    texts += [schema.domains.get(column.domain, "") for _, column in columns if column.domain]
    for text in texts:
        if _LISTED.search(text) and not re.search(r"~|LIKE|<>|<|>|length", text):
            return tuple(dict.fromkeys(value.replace("''", "'") for value in _LITERAL.findall(text)))
    return ()


def _proposal(schema: Schema, name: Name, column: Column, group: Group, sample: Sequence[str]) -> str:
    """Return why a person may want to keep a masked column; empty where nothing speaks for it.

    Few values speak for it only where they are words, not sentences: a comment that is always the same may still name somebody.
    """
    if column.labels:
        return "keep: an enum"
    if group.bounds.choices and listed(schema, [(name, column)]):
        return "keep: its CHECK lists its values"
    table = schema.tables[name[0]]
    if column.name in table.routed:
        return "keep: it decides the partition"
    if group.kind in _PERSONAL:
        return ""
    if group.joined:
        others = [f"{owner}.{other}" for owner, other in group.members if (owner, other) != name]
        return f"keep: a foreign key, with {', '.join(others)}" if others else ""
    few = column.few > 1 and not column.array and column.family == "text" and bool(sample)
    return f"keep: {column.few} different values" if few and max(map(len, sample)) <= _WORD else ""


@dataclass(slots=True)
class Assigner:
    """Gives the values of one group their fakes, and other ones to those that a constraint refused.

    Values are given in order, so that the same values always get the same fakes, whatever rows they stand in. `column` is the one
    whose values have values inside, `fields` what rules say of those.
    """

    fakes: Fakes
    group: Group
    column: Column | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    affixes: tuple[str, str] = ("", "")
    made: dict[str, str | None] = field(default_factory=dict)
    shapes: tuple[tuple[str, int], ...] = field(init=False)
    """In which fakes are tried, one after the other."""
    _owner: dict[str, str] = field(default_factory=dict)
    _at: dict[str, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shapes = self._shapes()

    def _shapes(self) -> tuple[tuple[str, int], ...]:
        if self.group.kind == "null":
            return ()
        if self.column is not None:
            return (("inside", 0), ("inside", 1), ("inside", 2))
        shapes = steps(self.group.kind, self.group.bounds.choices)
        if self.group.bounds.choices and self.group.kind != "choice":
            shapes += (("choice", 0),)
        if self.group.default is not None and not self.group.unique:
            shapes += (("default", 0),)
        return shapes

    def learn(self, values: Iterable[str]) -> None:
        """Give a fake to each value that has none yet."""
        for value in sorted(set(values) - set(self.made)):
            self._give(value)

    def refuse(self, value: str) -> bool:
        """Give another fake to a value whose fake a constraint refused; False when there is no other left, and it became NULL."""
        shape = self._at[value][0]
        if shape >= len(self.shapes):
            return False
        held = self.made[value]
        if held is not None and self._owner.get(held.casefold()) == self._told(value):
            del self._owner[held.casefold()]
        self._at[value] = (shape + 1, 0)
        self._give(value)
        return self.made[value] is not None

    def shape(self, value: str) -> int:
        """Return how many shapes were refused for a value."""
        return self._at[value][0]

    @property
    def lost(self) -> int:
        """So many values have no fake that fits."""
        return 0 if self.group.kind == "null" else sum(1 for value in self.made.values() if value is None)

    def _give(self, value: str) -> None:
        """Find the next fake that, in a unique group, no other value has; NULL after the last shape."""
        shape, salt = self._at.get(value, (0, 0))
        while shape < len(self.shapes):
            kind, attempt = self.shapes[shape]
            while salt < TRIES:
                fake = self._make(kind, value, attempt + 7 * salt)
                owner = self._owner.setdefault(fake.casefold(), self._told(value)) if self.group.unique else ""
                if not self.group.unique or owner == self._told(value):
                    self._at[value] = (shape, salt)
                    self.made[value] = fake
                    return
                salt += 1
            shape, salt = shape + 1, 0
        self._at[value] = (shape, 0)
        self.made[value] = None

    def _told(self, value: str) -> str:
        return value.casefold() if self.group.folded else value

    def _make(self, kind: str, value: str, attempt: int) -> str:
        if kind == "default":
            return self.group.default or ""
        if kind == "inside" and self.column is not None:
            return inner(self.column, self.group.kind, self.fields, value, self.fakes, self.group.bounds, attempt)
        told = self._told(value)
        if kind == "affixed":
            return self.fakes.fake("code", told, attempt + 3, replace(self.group.bounds, affixes=self.affixes))
        return self.fakes.fake(kind, told, attempt, self.group.bounds)


def compared(column: Column, value: str) -> str:
    """Return a value so that two are equal where the server says so: citext without case, numbers without their last zeros."""
    if column.folded:
        return value.casefold()
    if column.family == "number" and "." in value and value[-1:] == "0":
        return value.rstrip("0").rstrip(".")
    return value


def affixes_of(values: Iterable[str], checks: str) -> tuple[str, str]:
    """Return how all values begin and end, as far as a CHECK itself writes it: only then it is no value of anybody."""
    told = sorted(set(values))
    if not told or not checks:
        return "", ""
    return _common(told, checks, 1), _common(told, checks, -1)


def _common(values: Sequence[str], checks: str, way: int) -> str:
    shortest = min(values, key=len)
    for length in range(len(shortest) - 1, 0, -1):
        part = shortest[:length] if way > 0 else shortest[-length:]
        if part in checks and all(value.startswith(part) if way > 0 else value.endswith(part) for value in values):
            return part
    return ""


def inner(
    column: Column, kind: str, fields: Mapping[str, str], value: str, fakes: Fakes, bounds: Bounds, attempt: int = 0
) -> str:
    """Return a value with values inside, each of those masked by what a rule, its own name and its looks say.

    Numbers inside JSON are masked as columns are: where their name suggests a person. `kind` is that of an array's elements.
    """

    def replace_one(name: str, told: str, number: bool) -> str:
        by_rule = fields.get(name, "")
        if by_rule == "keep":
            return told
        if by_rule == "null":
            return "0" if number else ""
        if number:
            return fakes.fake("number", told, attempt) if by_rule or is_of_a_person(name) else told
        if by_rule:
            return fakes.fake(by_rule, told, attempt, bounds)
        named = kind_by_name(name) if name else ""
        chosen = "secret" if named == "secret" else kind_of_value(told) or named or (kind if column.array else "text")
        return fakes.fake(chosen, told, attempt, bounds)

    def element(_name: str, told: str, _number: bool) -> str:
        if column.family in ("json", "hstore", "xml", "row", "words"):
            return inner(replace(column, array=False), kind, fields, told, fakes, bounds, attempt)
        own = kind if column.family != "text" else kind_of_value(told) or kind
        return fakes.fake(own, told, attempt, bounds)

    def key(name: str) -> str:
        sort = kind_of_value(name)
        return fakes.fake(sort, name) if sort else name

    if column.array:
        return nested.in_array(value, element)
    if column.family == "json":
        try:
            return nested.in_json(value, replace_one, key=key)
        except ValueError:
            return "{}"
    if column.family == "hstore":
        return nested.in_hstore(value, replace_one, key=key)
    if column.family == "xml":
        return nested.in_xml(value, replace_one)
    if column.family == "words":
        return nested.in_vector_of_words(value, replace_one)
    if column.family == "range":
        return nested.in_row(value, lambda _name, told, _number: fakes.fake(_ends_kind(kind), told, 1, bounds))
    return nested.in_row(value, lambda _name, told, _number: fakes.fake(_field_kind(told), told, attempt, bounds))


def _ends_kind(kind: str) -> str:
    """Return the kind by which both ends of a range move alike, so that the lower stays below."""
    return "shifted" if kind == "number" else kind


def _field_kind(value: str) -> str:
    return "number" if re.fullmatch(r"[+-]?\d+(?:\.\d+)?", value) else kind_of_value(value) or "code"


def has_inside(column: Column) -> bool:
    return column.array or column.family in ("json", "hstore", "xml", "words", "row", "range")


def is_taken_whole(table: Table) -> bool:
    """Say whether a table is one in which a migration tool keeps what ran."""
    return table.name in LEDGERS or (
        table.name == "migrations" and frozenset(column.name for column in table.columns) in _BY_COLUMNS
    )
