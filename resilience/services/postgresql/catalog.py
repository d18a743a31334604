"""Turn the catalog of a PostgreSQL server into the schema that a lesson works on. Reads the catalog only, no table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from resilience.services.postgresql.schema import Check, Column, ForeignKey, Schema, Sequence, Table

FAMILIES: Mapping[str, str] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "name", "citext", "char", "ltree", "lquery"), "text"),
    **dict.fromkeys(("json", "jsonb"), "json"),
    **dict.fromkeys(("tsvector", "tsquery"), "words"),
    **dict.fromkeys(("inet", "cidr"), "ip"),
    **dict.fromkeys(("macaddr", "macaddr8"), "mac"),
    **dict.fromkeys(("int2", "int4", "int8", "numeric", "float4", "float8", "money"), "number"),
    **dict.fromkeys(("date", "timestamp", "timestamptz", "time", "timetz", "interval"), "date"),
    **dict.fromkeys(("point", "line", "lseg", "box", "path", "polygon", "circle", "cube"), "place"),
    **dict.fromkeys(("geometry", "geography"), "gis"),
    **dict.fromkeys(("vector", "halfvec", "sparsevec"), "vector"),
    **dict.fromkeys(("bool", "bit", "varbit", "oid", "xid", "xid8", "cid", "tid", "pg_lsn", "pg_snapshot"), "plain"),
    **dict.fromkeys(
        ("txid_snapshot", "regclass", "regproc", "regtype", "regrole", "regnamespace", "regconfig"), "plain"
    ),
    "xml": "xml",
    "hstore": "hstore",
    "bytea": "bytes",
    "uuid": "uuid",
}
_TOPS = {"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1}
_OURS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"


def _sql(text: str) -> str:
    return text.replace("OURS", _OURS)


_TABLES = _sql("""
select c.oid::int8, n.nspname as schema, c.relname as name, c.relkind::text as kind, greatest(c.reltuples, 0)::int8 as rows,
 case when c.relkind = 'p' then array(select p.relid::oid::int8 from pg_partition_tree(c.oid) p
   join pg_class l on l.oid = p.relid where p.isleaf and l.relkind = 'r' order by 1) else array[c.oid::int8] end as leaves
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't' and OURS
 and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
order by 2, 3""")
_NAMES = _sql("""
select c.oid::int8, quote_ident(n.nspname) || '.' || quote_ident(c.relname) as quoted
from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind = 'r' and OURS""")
_COLUMNS = _sql("""
select a.attrelid::int8 as table, a.attnum, a.attname as name, a.atttypid::int8 as type, a.atttypmod as typmod,
 a.attgenerated <> '' as made, a.attnotnull as not_null, format_type(a.atttypid, -1) as shown,
 pg_get_expr(d.adbin, d.adrelid) as value, s.n_distinct as few
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join (select schemaname, tablename, attname, min(n_distinct) as n_distinct from pg_stats
  where n_distinct between 1 and 20 group by 1, 2, 3) s
 on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped and OURS order by 1, 2""")
_TYPES = """
with recursive used(oid) as (
 select distinct a.atttypid from pg_attribute a join pg_class c on c.oid = a.attrelid
 where c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
 union
 select case when t.typtype = 'd' then t.typbasetype else t.typelem end from used u join pg_type t on t.oid = u.oid
 where t.typtype = 'd' or t.typelem <> 0)
select t.oid::int8, t.typname as name, n.nspname as schema, t.typtype::text as sort, t.typelem::int8 as element,
 t.typcategory::text as category, t.typbasetype::int8 as base, t.typtypmod as typmod, t.typnotnull as not_null
from pg_type t join pg_namespace n on n.oid = t.typnamespace where t.oid in (select oid from used)"""
_LABELS = """
select enumtypid::int8 as type, array_agg(enumlabel::text order by enumsortorder) as labels from pg_enum group by 1"""
_DOMAINS = """
select t.oid::int8, string_agg(pg_get_constraintdef(k.oid), ' ') as text
from pg_constraint k join pg_type t on t.oid = k.contypid group by 1"""
_INDEXES = _sql("""
select i.indrelid::int8 as table, i.indisprimary as first, i.indkey::int2[]::int[] as places,
 array(select distinct d.refobjsubid from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = i.indexrelid
  and d.refclassid = 'pg_class'::regclass and d.refobjid = i.indrelid and d.refobjsubid > 0 order by 1)
  || array(select p from unnest(i.indkey::int2[]::int[]) p where p > 0) as columns
from pg_index i join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
where (i.indisunique or i.indisexclusion) and c.relkind in ('r', 'p') and OURS order by i.indexrelid""")
_CHECKS = _sql("""
select k.conrelid::int8 as table, k.conname as name, k.conkey::int[] as columns, pg_get_constraintdef(k.oid) as text
from pg_constraint k join pg_namespace n on n.oid = k.connamespace
where k.contype = 'c' and k.conrelid <> 0 and OURS order by 1, 2""")
_KEYS = _sql("""
select k.conname as name, k.conrelid::int8 as child, k.conkey::int[] as columns,
 k.confrelid::int8 as parent, k.confkey::int[] as parents, k.convalidated as validated
from pg_constraint k join pg_namespace n on n.oid = k.connamespace
where k.contype = 'f' and k.conparentid = 0 and OURS order by 2, 1""")
_ROUTES = """
select p.partrelid::int8 as table, p.partattrs::int2[]::int[] as columns, pg_get_partkeydef(p.partrelid) as text
from pg_partitioned_table p"""
_LISTS = """
select p.partrelid::int8 as table, string_agg(pg_get_expr(c.relpartbound, c.oid), ' ' order by c.oid) as text
from pg_partitioned_table p join pg_inherits i on i.inhparent = p.partrelid join pg_class c on c.oid = i.inhrelid
where p.partstrat = 'l' group by 1"""
_SEQUENCES = _sql("""
select distinct on (c.oid) quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name, o.table, o.place,
 q.last_value::text as last
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join lateral (
 select d.refobjid::int8 as table, d.refobjsubid as place from pg_depend d
 where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
  and d.deptype in ('a', 'i') and d.refobjsubid > 0
 union all
 select f.adrelid::int8, f.adnum from pg_depend d join pg_attrdef f on f.oid = d.objid
 where d.classid = 'pg_attrdef'::regclass and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid
) o on true
left join pg_sequences q on q.schemaname = n.nspname and q.sequencename = c.relname
where c.relkind = 'S' and OURS order by c.oid, o.table, o.place""")


async def read_schema(connection: Any) -> Schema:
    """Return the tables of a database, partitions folded into the table they are of, those of extensions left out.

    Constraints of a single partition are told of the table. Foreign keys whose ends are not both tables here are left out.
    """
    names = {row["oid"]: row["quoted"] for row in await connection.fetch(_NAMES)}
    listed = await connection.fetch(_TABLES)
    of_leaf = {leaf: row["oid"] for row in listed for leaf in row["leaves"]}
    types = _Types(
        types={row["oid"]: row for row in await connection.fetch(_TYPES)},
        labels={row["type"]: tuple(row["labels"]) for row in await connection.fetch(_LABELS)},
        checks={row["oid"]: row["text"] for row in await connection.fetch(_DOMAINS)},
    )
    columns: dict[int, list[Any]] = {}
    for row in await connection.fetch(_COLUMNS):
        columns.setdefault(row["table"], []).append(row)
    named = {table: {row["attnum"]: row["name"] for row in rows} for table, rows in columns.items()}
    uniques, primary = _indexes(await connection.fetch(_INDEXES), named, of_leaf)
    checks = _checks(await connection.fetch(_CHECKS), named, of_leaf)
    routed = _routes(await connection.fetch(_ROUTES), named)
    for row in await connection.fetch(_LISTS):
        # What its partitions list are the only values there are, as if a CHECK said so.
        listed_by = Check(name="", columns=routed[row["table"]], text=row["text"])
        checks.setdefault(row["table"], []).append(listed_by)
    tables: dict[int, Table] = {}
    for row in listed:
        oid = row["oid"]
        tables[oid] = Table(
            schema=row["schema"],
            name=row["name"],
            oid=oid,
            columns=tuple(types.column(one) for one in columns.get(oid, ()) if not one["made"]),
            leaves={leaf: names[leaf] for leaf in row["leaves"]},
            partitioned=row["kind"] == "p",
            primary=primary.get(oid, ()),
            uniques=tuple(uniques.get(oid, ())),
            checks=tuple(checks.get(oid, ())),
            routed=routed.get(oid, ()),
            rows=row["rows"],
        )
    return Schema(
        tables={table.full: table for table in tables.values()},
        keys=_keys(
            await connection.fetch(_KEYS), named, {**{leaf: tables[oid] for leaf, oid in of_leaf.items()}, **tables}
        ),
        sequences=_sequences(await connection.fetch(_SEQUENCES), named, tables),
        domains=types.domains,
    )


class _Types:
    """What the columns' types are, domains and arrays looked through."""

    def __init__(
        self, *, types: Mapping[int, Any], labels: Mapping[int, tuple[str, ...]], checks: Mapping[int, str]
    ) -> None:
        self._types, self._labels, self._checks = types, labels, checks
        self.domains: dict[str, str] = {}

    def column(self, row: Any) -> Column:
        """Return a column. A domain over a domain has the checks of both; the outermost is the one it is named by."""
        oid, typmod, nullable = row["type"], row["typmod"], not row["not_null"]
        domain, array = "", False
        while True:
            told = self._types[oid]
            if told["sort"] == "d":
                name = f"{told['schema']}.{told['name']}"
                domain = domain or name
                self.domains[domain] = f"{self.domains.get(domain, '')} {self._checks.get(oid, '')}"
                nullable = nullable and not told["not_null"]
                oid, typmod = told["base"], told["typmod"]
            elif told["category"] == "A" and told["element"] and not array:
                oid, array = told["element"], True
            else:
                break
        name = told["name"]
        sort = {"e": "enum", "r": "range", "m": "range", "c": "row"}.get(told["sort"])
        return Column(
            name=row["name"],
            type=row["shown"],
            family=sort or FAMILIES.get(name, "other"),
            array=array,
            nullable=nullable,
            length=63 if name == "name" else max(typmod - 4, 0) if name in ("varchar", "bpchar") and typmod > 0 else 0,
            top=_TOPS.get(name, 0),
            labels=self._labels.get(oid, ()),
            domain=domain,
            folded=name == "citext",
            default=_constant(row["value"]),
            few=int(row["few"] or 0),
        )


def _constant(text: str | None) -> str | None:
    """Return the value of a default that is one; None for one that is computed."""
    match = re.fullmatch(r"'((?:[^']|'')*)'(?:::[^()]*(?:\([\d,]+\))?)?|(-?\d+(?:\.\d+)?)|(true|false)", text or "")
    if match is None:
        return None
    return match[1].replace("''", "'") if match[1] is not None else match[2] or match[3]


_Named = Mapping[int, Mapping[int, str]]


def _indexes(
    rows: Any, named: _Named, of_leaf: Mapping[int, int]
) -> tuple[dict[int, list[tuple[str, ...]]], dict[int, tuple[str, ...]]]:
    uniques: dict[int, list[tuple[str, ...]]] = {}
    primary: dict[int, tuple[str, ...]] = {}
    for row in rows:
        table = of_leaf.get(row["table"], row["table"])
        columns = tuple(
            dict.fromkeys(named[row["table"]][place] for place in row["columns"] if place in named[row["table"]])
        )
        if columns and columns not in uniques.setdefault(table, []):
            uniques[table].append(columns)
        if row["first"] and table == row["table"]:
            primary[table] = tuple(named[table][place] for place in row["places"] if place in named[table])
    return uniques, primary


def _checks(rows: Any, named: _Named, of_leaf: Mapping[int, int]) -> dict[int, list[Check]]:
    found: dict[int, list[Check]] = {}
    for row in rows:
        table = of_leaf.get(row["table"], row["table"])
        columns = tuple(named[row["table"]][place] for place in row["columns"] or () if place in named[row["table"]])
        check = Check(name=row["name"], columns=columns, text=row["text"])
        if check not in found.setdefault(table, []):
            found[table].append(check)
    return found


def _routes(rows: Any, named: _Named) -> dict[int, tuple[str, ...]]:
    found = {}
    for row in rows:
        columns = {named[row["table"]][place] for place in row["columns"] if place}
        if 0 in row["columns"]:
            columns |= {
                name for name in named[row["table"]].values() if re.search(rf"\b{re.escape(name)}\b", row["text"])
            }
        found[row["table"]] = tuple(sorted(columns))
    return found


def _keys(rows: Any, named: _Named, tables: Mapping[int, Table]) -> tuple[ForeignKey, ...]:
    return tuple(
        ForeignKey(
            name=row["name"],
            child=tables[row["child"]].full,
            columns=tuple(named[row["child"]][place] for place in row["columns"]),
            parent=tables[row["parent"]].full,
            parent_columns=tuple(named[row["parent"]][place] for place in row["parents"]),
            validated=row["validated"],
        )
        for row in rows
        if row["child"] in tables and row["parent"] in tables
    )


def _sequences(rows: Any, named: _Named, tables: Mapping[int, Table]) -> tuple[Sequence, ...]:
    return tuple(
        Sequence(
            name=row["name"],
            table=tables[row["table"]].full,
            column=named[row["table"]][row["place"]],
            last=int(row["last"]) if row["last"] is not None else None,
        )
        for row in rows
        if row["table"] in tables
    )
