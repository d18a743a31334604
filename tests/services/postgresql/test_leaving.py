"""What leads away and what holds a secret is left out of a schema, and named; ordinary statements stay as they are."""

from __future__ import annotations

import pytest

from resilience.core.redact import Redactor
from resilience.core.secret import Secret
from resilience.services.postgresql.archive import Item
from resilience.services.postgresql.leaving import found_in, kept, named

SECRETS = Redactor([Secret("correct-horse-battery")])


def item(kind: str, sql: str, tag: str = "x", needs: tuple[str, ...] = ()) -> Item:
    return Item(kind=kind, schema="public", tag=tag, sql=sql, section=2, needs=needs)


@pytest.mark.parametrize(
    "sql",
    [
        "COMMENT ON TABLE users IS 'old login: password=hunter2-staging';",
        "COMMENT ON TABLE users IS 'ask anna.meier@corp.example, +49 170 1234567';",
        "COMMENT ON TABLE cards IS 'test with 4111 1111 1111 1111';",
        "COMMENT ON TABLE x IS 'postgresql://app:geheim99@10.0.0.3/app';",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ select 'Bearer abcdef0123456789abcdef01' $$;",
        "CREATE FUNCTION f() RETURNS text LANGUAGE plpgsql AS $_$\n-- ghp_abcdefghijklmnopqrst1234\nbegin end $_$;",
        "CREATE FUNCTION f() RETURNS bytea LANGUAGE sql AS $$ select pgp_sym_encrypt(x, 'tell-nobody-77') from t $$;",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ select 'correct-horse-battery' $$;",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ select 'Y29ycmVjdC1ob3JzZS1iYXR0ZXJ5' $$;",
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ declare api_key text := 'zz-81-live'; begin end $$;",
        "CREATE VIEW v AS SELECT * FROM dblink('host=10.0.0.3 user=app password=geheim99 dbname=x', 'select 1') AS t(x int);",
        "CREATE ROLE x PASSWORD 'geheim99';",
    ],
)
def test_a_secret_in_a_comment_a_literal_or_a_body_is_found(sql: str) -> None:
    assert found_in(item("FUNCTION", sql), SECRETS)


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE users (\n    password character varying(128) NOT NULL,\n    \"token\" text DEFAULT ''::text\n);",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ begin new.token = old.token; return new; end $$;",
        "CREATE VIEW v AS SELECT id FROM users WHERE (users.password IS NOT NULL) AND token = $1;",
        "CREATE TABLE t (state text DEFAULT 'pending'::text, CONSTRAINT c CHECK (state = ANY (ARRAY['pending', 'done'])));",
        "CREATE TABLE t (token_type text DEFAULT 'bearer'::text, at timestamptz DEFAULT '2020-01-01 00:00:00+00');",
        "CREATE DOMAIN email AS text CHECK (value ~ '^[^@]+@[^@]+$');",
    ],
)
def test_an_ordinary_statement_holds_none(sql: str) -> None:
    assert found_in(item("TABLE", sql), SECRETS) == ""


def test_a_table_loses_only_the_default_that_is_a_secret() -> None:
    table = item(
        "TABLE",
        "CREATE TABLE public.x (\n    id integer NOT NULL,\n    api_key text DEFAULT 'zz-81-live'::text NOT NULL,\n"
        "    state character varying(9) DEFAULT 'new'::character varying\n);\n",
    )
    (left,), gaps = kept([table], None)
    assert left.sql == (
        "CREATE TABLE public.x (\n    id integer NOT NULL,\n    api_key text NOT NULL,\n"
        "    state character varying(9) DEFAULT 'new'::character varying\n);\n"
    )
    assert gaps == ("TABLE public.x: the default of api_key is left out: it holds what looks like a secret",)


@pytest.mark.parametrize(
    "kind", ["SERVER", "USER MAPPING", "FOREIGN TABLE", "EVENT TRIGGER", "SUBSCRIPTION", "PUBLICATION"]
)
def test_what_leads_away_is_left_out_with_its_comment_and_named(kind: str) -> None:
    outside = item(kind, "CREATE …")
    told = item("COMMENT", "COMMENT ON … IS 'there';", needs=(outside.name,))
    found, (gap,) = kept([outside, told, item("TABLE", "CREATE TABLE x ();")], None)
    assert [one.kind for one in found] == ["TABLE"]
    assert gap.startswith(f"{kind} public.x is left out: a")


def test_what_is_no_part_of_a_schema_is_dropped_without_a_word() -> None:
    assert kept(
        [item("ENCODING", "SET …"), item("ACL", "GRANT …"), item("COMMENT", "…", tag="DATABASE app")], None
    ) == (
        (),
        (),
    )


def test_many_gaps_are_counted() -> None:
    assert named([str(number) for number in range(5)], 3) == ("0", "1", "2", "and 2 more of this kind")
    assert named(["a", "a"]) == ("a",)
