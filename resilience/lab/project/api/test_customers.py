import uuid

import pytest
from shop.storefront import Refused, Storefront


def test_a_customer_registers_with_an_address_that_nobody_has(visitor):
    email = f"grace-{uuid.uuid4()}@example.com"
    made = visitor.register("Grace Compilers", email)
    assert (made["name"], made["email"], made["country"]) == ("Grace Compilers", email, "GB")
    with pytest.raises(Refused, match="409: this e-mail address is known"):
        visitor.register("Grace Compilers", email)


def test_a_name_loses_the_spaces_around_it(visitor):
    assert visitor.register("  Joan ", f"joan-{uuid.uuid4()}@example.com")["name"] == "Joan"


def test_an_address_is_one_in_any_case(visitor):
    name = f"{uuid.uuid4()}"
    assert visitor.register("Mary", f"MARY-{name}@EXAMPLE.COM")["email"] == f"mary-{name}@example.com"


@pytest.mark.parametrize(("name", "email"), [("", "nobody@example.com"), ("Nobody", "nowhere")])
def test_half_a_customer_is_refused(visitor, name, email):
    with pytest.raises(Refused) as refused:
        visitor.register(name, email)
    assert refused.value.status == 422


def test_a_wrong_password_is_refused(visitor):
    with pytest.raises(Refused, match="401: wrong login"):
        visitor.log_in("hedy", "opensesame")


def test_a_visitor_is_nobody(visitor):
    with pytest.raises(Refused, match="401"):
        visitor.me()


def test_who_logs_in_is_known(visitor):
    assert visitor.log_in("ada", "enigma-1815") == "ada"
    assert visitor.me()["name"] == "Ada Analytics"


def test_who_logs_out_is_nobody_again(hedy):
    assert hedy.me()["id"] == "hedy"
    hedy.log_out()
    with pytest.raises(Refused, match="401"):
        hedy.me()


def test_two_customers_behind_one_path(hedy, ada):
    assert (hedy.me()["id"], ada.me()["id"]) == ("hedy", "ada")


def test_a_token_names_its_customer(ada):
    assert ada.greeting() == "Hello, Ada!"


def test_a_token_that_nobody_gave_out_is_nobodys(visitor):
    visitor.headers = {"Authorization": "Bearer not-a-token"}
    with pytest.raises(Refused, match="401"):
        visitor.me()


def test_a_customer_moves(hedy):
    assert hedy.move("Ringstrasse 1", "Wien") == "Ringstrasse 1, Wien"
    assert hedy.me()["address"] == {"street": "Ringstrasse 1", "city": "Wien"}


def test_half_an_address_is_refused(hedy):
    with pytest.raises(Refused, match="422: missing: city"):
        hedy.move("Ringstrasse 1", "")


def test_one_visitor_is_not_another(hedy):
    other = Storefront()
    try:
        with pytest.raises(Refused, match="401"):
            other.me()
    finally:
        other.close()
