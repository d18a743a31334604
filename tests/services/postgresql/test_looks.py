"""A column's values, and its name, tell what sort of thing stands in it."""

from __future__ import annotations

import pytest

from resilience.services.postgresql import looks


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("email", "email"), ("contactEmail", "email"), ("e_mail_address", "email"), ("phone_number", "phone"), ("mobile", "phone"),
        ("first_name", "name"), ("user_name", "username"), ("username", "username"), ("street", "address"), ("city", "city"),
        ("card_number", "card"), ("iban", "iban"), ("password", "secret"), ("api_token", "secret"), ("password_hash", "secret"),
        ("ip_address", "ip"), ("postcode", "code"), ("website", "url"), ("notes", ""), ("key", ""), ("primary_key", ""),
        ("created", ""),
    ],
)  # fmt: skip
def test_a_name_tells_the_sort_of_a_text(name: str, kind: str) -> None:
    assert looks.kind_by_name(name) == kind


@pytest.mark.parametrize(
    "name",
    ["birth_date", "dateOfBirth", "dob", "age", "salary", "home_lat", "longitude", "ssn", "last_login", "phone"],
)
def test_a_name_suggests_a_person(name: str) -> None:
    assert looks.is_of_a_person(name)


@pytest.mark.parametrize(
    "name", ["id", "address_id", "created_at", "amount", "page", "package", "card_count", "quantity", "", "7"]
)
def test_a_name_suggests_none(name: str) -> None:
    assert not looks.is_of_a_person(name)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("anna@example.com", "email"), ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "uuid"), ("https://x.org/a", "url"),
        ("08:00:2b:01:02:03", "mac"), ("192.168.0.1", "ip"), ("2001:db8::1/64", "ip"), ("DE75512108001245126199", "iban"),
        ("4539 1488 0343 6467", "card"), ("2024-02-30", "date"), ("+49 171 5550123", "phone"), ("(030) 1234567", "phone"),
        ("12345678", ""), ("1.5", ""), ("Anna", ""), ("12:30", ""), ("4539 1488 0343 6468", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_value_looks_like_what_it_is(value: str, kind: str) -> None:
    assert looks.kind_of_value(value) == kind


def test_most_values_decide_and_blank_ones_say_nothing() -> None:
    assert looks.kind_by_values(["a@b.cd"] * 9 + ["none", "", " "]) == "email"
    assert looks.kind_by_values(["a@b.cd"] * 7 + ["none"] * 3) == ""
    assert looks.kind_by_values([]) == ""
