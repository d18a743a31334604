"""Fakes are made of the key alone: the same for the same value, of its sort and shape, and never the value."""

from __future__ import annotations

import ipaddress
import re
import string

import pytest
from hypothesis import example, given, settings, strategies as st

from resilience.services.postgresql import fakes as module
from resilience.services.postgresql.fakes import KINDS, Bounds, Fakes, luhn
from resilience.services.postgresql.looks import kind_of_value

FAKES = Fakes(b"one key of the tests")
OTHER = Fakes(b"another key of the tests")
SORTS = tuple(kind for kind in module._MAKERS if kind != "choice")
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=80)
WORDS = st.text(string.ascii_letters + " ", min_size=8).filter(str.strip)
FEW = settings(max_examples=60)


def test_each_kind_that_a_rule_may_name_has_a_fake() -> None:
    assert set(KINDS) - {"keep", "null"} <= set(SORTS)


@FEW
@given(st.sampled_from(SORTS), TEXTS)
@example("bytes", "0")
def test_the_same_value_has_the_same_fake_and_blank_ones_stay(kind: str, value: str) -> None:
    fake = FAKES.fake(kind, value)
    assert fake == Fakes(b"one key of the tests").fake(kind, value)
    assert bool(fake.strip()) == bool(value.strip())
    if not value.strip():
        assert fake == value


@FEW
@given(st.sampled_from(["text", "name", "username", "address", "code", "email"]), WORDS)
def test_no_text_is_its_own_fake_and_another_key_gives_another(kind: str, value: str) -> None:
    letters = sum(sign.isalpha() for sign in value)
    if letters > 7:
        assert FAKES.fake(kind, value).strip() != value.strip()
        assert FAKES.fake(kind, value) != OTHER.fake(kind, value)


@FEW
@given(st.text(string.ascii_letters + string.digits + "-_ ", max_size=63))
def test_a_code_keeps_its_shape(value: str) -> None:
    def shape(text: str) -> str:
        return re.sub("[a-z]", "a", re.sub("[A-Z]", "A", re.sub("[0-9]", "0", text)))

    assert shape(FAKES.fake("code", value)) == shape(value)


@FEW
@given(st.integers(2, 5000), st.integers(0, 3))
@example(2, 0)
@example(26, 0)
def test_a_permutation_meets_each_place_once(size: int, attempt: int) -> None:
    size = min(size, 60)
    for at in range(size):
        assert FAKES._walked("t", attempt, FAKES._walked("t", attempt, at, size, 1), size, -1) == at
    made = [FAKES.permuted("t", attempt, at, size) for at in range(size)]
    assert sorted(made) == list(range(size))
    assert all(made[at] != at for at in range(size))


@pytest.mark.parametrize("kind", ["code", "phone", "number"])
def test_no_two_short_values_meet(kind: str) -> None:
    values = [f"{at:04d}" for at in range(1000, 3000)]
    assert len({FAKES.fake(kind, value) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("email", "Anna.Muster@corp.de"), ("phone", "+49 171 5550123"), ("card", "4539 1488 0343 6467"),
        ("card", "378282246310005"),
        ("iban", "DE75 5121 0800 1245 1261 99"),
        ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        ("url", "ftp://corp.de/anna?x=1"),
        ("ip", "192.168.7.9"), ("ip", "2001:db8:1::9"), ("mac", "08-00-2B-01-02-03"), ("date", "1980-02-29 10:11:12+01"),
    ],
)  # fmt: skip
def test_a_fake_looks_like_the_value_and_is_not_it(kind: str, value: str) -> None:
    for attempt in range(20):
        fake = FAKES.fake(kind, value, attempt)
        assert kind_of_value(fake) == kind
        assert fake != value


def test_what_is_made_up_belongs_to_nobody() -> None:
    assert FAKES.fake("email", "anna@corp.de").endswith("@example.org")
    assert FAKES.fake("url", "https://corp.de/x").startswith("https://example.org/")
    assert ipaddress.ip_address(FAKES.fake("ip", "8.8.8.8")) in ipaddress.ip_network("10.0.0.0/8")
    assert ipaddress.ip_address(FAKES.fake("ip", "2a00:1450::1")) in ipaddress.ip_network("2001:db8::/32")
    card = FAKES.fake("card", "4539-1488-0343-6467")
    assert re.fullmatch(r"4000-00\d\d-\d{4}-\d{4}", card)
    assert luhn(card.replace("-", ""))


def test_a_network_stays_a_network() -> None:
    assert ipaddress.ip_network(FAKES.fake("ip", "192.168.1.0/24")).prefixlen == 24


def test_an_address_has_no_case() -> None:
    assert FAKES.fake("email", "Anna@Corp.de") == FAKES.fake("email", "anna@corp.de").lower()


@pytest.mark.parametrize("kind", ["email", "name", "username", "address", "city", "url", "text", "code", "secret"])
@pytest.mark.parametrize("length", [1, 3, 6, 10, 20, 40])
def test_a_fake_is_no_longer_than_its_column(kind: str, length: int) -> None:
    for value in (
        "anna.muster@corporation.de",
        "https://corp.de/users/anna",
        "Anna Maria Magdalena Muster",
        "A",
        "hunter2-9",
    ):
        told = value[:length]
        assert len(FAKES.fake(kind, told, bounds=Bounds(length=length))) <= length


@FEW
@given(st.decimals(-999_999, 999_999, places=2))
def test_a_number_keeps_its_digits_and_its_sign(value: object) -> None:
    fake = FAKES.fake("number", str(value))
    assert re.sub(r"\d", "0", fake) == re.sub(r"\d", "0", str(value))


@pytest.mark.parametrize(
    ("top", "value"), [(2**15 - 1, "32767"), (2**31 - 1, "2147483647"), (2**63 - 1, "9223372036854775807")]
)
def test_a_number_fits_its_type(top: int, value: str) -> None:
    for attempt in range(50):
        assert len(FAKES.fake("number", value, attempt, Bounds(top=top))) == len(value)
        assert int(FAKES.fake("number", value, attempt, Bounds(top=top))) <= top


def test_dates_move_into_the_past_and_from_the_second_attempt_on_all_alike() -> None:
    assert "1978-02-03" <= FAKES.fake("date", "1980-02-03") < "1980-02-03"
    assert FAKES.fake("date", "1980-02-03 04:05:06").endswith(" 04:05:06")
    moved = [FAKES.fake("date", day, 1) for day in ("1980-02-03", "1980-02-04", "1999-01-01")]
    assert moved == sorted(moved)
    assert FAKES.fake("date", "infinity") == "infinity"
    assert FAKES.fake("date", "0044-03-15 BC") == "1970-01-01"


def test_of_a_passwords_hash_the_algorithm_stays() -> None:
    hashed = "pbkdf2_sha256$600000$abcDEF123$c2VjcmV0c2VjcmV0"
    fake = FAKES.fake("secret", hashed)
    assert fake.startswith("pbkdf2_sha256$600000$")
    assert "abcDEF123" not in fake
    assert "c2VjcmV0" not in fake
    bcrypt = FAKES.fake("secret", "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW")
    assert bcrypt.startswith("$2b$12$")
    assert "R9h" not in bcrypt


def test_a_choice_is_one_of_the_choices_and_no_two_meet() -> None:
    bounds = Bounds(choices=("new", "paid", "sent"))
    assert sorted(FAKES.fake("choice", one, bounds=bounds) for one in bounds.choices) == sorted(bounds.choices)
    assert FAKES.fake("choice", "lost", bounds=bounds) in bounds.choices


def test_bytes_are_as_many_up_to_a_limit() -> None:
    assert len(FAKES.fake("bytes", "\\xdeadbeef")) == len("\\xdeadbeef")
    assert FAKES.fake("bytes", "\\xdeadbeef") != "\\xdeadbeef"
    assert len(FAKES.fake("bytes", "\\x" + "00" * 5000)) == 2 + 2 * module.LONGEST_BYTES


def test_a_long_text_is_made_in_time_that_grows_with_it() -> None:
    assert len(FAKES.fake("code", "Ab1" * 300_000)) == 900_000
    assert len(FAKES.fake("text", "word " * 300_000)) == module.LONGEST_TEXT
