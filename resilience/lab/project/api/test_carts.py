import pytest
from shop.storefront import Refused


@pytest.fixture
def cart(visitor):
    return visitor.open_cart()


def test_a_new_cart_is_empty_and_costs_nothing(cart):
    assert (cart.quantities, cart.total) == ({}, "0.00 EUR")


def test_a_cart_knows_its_country(visitor):
    assert visitor.open_cart("AT").told["country"] == "AT"


def test_two_carts_are_two(visitor):
    one, other = visitor.open_cart(), visitor.open_cart()
    one.put("MUG", 2)
    other.refresh()
    assert (one.quantities, other.quantities) == ({"MUG": 2}, {})


@pytest.mark.parametrize(
    ("lines", "total"),
    [
        ({"MUG": 1}, "13.90 EUR"),
        ({"MUG": 2, "BULB": 1}, "29.90 EUR"),
        ({"LAMP": 1, "MUG": 1}, "58.00 EUR"),
        ({"DESK": 2}, "998.00 EUR"),
    ],
)
def test_a_cart_adds_up_with_its_shipping(cart, lines, total):
    for sku, quantity in lines.items():
        cart.put(sku, quantity)
    assert cart.total == total


def test_the_same_again_is_added(cart):
    cart.add("MUG")
    cart.add("MUG", 3)
    assert cart.quantities == {"MUG": 4}


def test_a_quantity_is_changed(cart):
    cart.put("MUG", 9)
    cart.put("MUG", 2)
    cart.refresh()
    assert cart.quantities == {"MUG": 2}


def test_a_line_is_taken_out(cart):
    cart.put("MUG", 1)
    cart.put("BULB", 1)
    cart.remove("MUG")
    assert cart.quantities == {"BULB": 1}


def test_a_line_that_is_not_there_cannot_be_taken_out(cart):
    with pytest.raises(Refused, match="404: no such line"):
        cart.remove("MUG")


@pytest.mark.parametrize("quantity", [0, -1, 100])
def test_a_quantity_has_its_bounds(cart, quantity):
    with pytest.raises(Refused, match="422: a quantity of 1 to 99"):
        cart.put("MUG", quantity)


def test_what_is_not_sold_cannot_be_put(cart):
    with pytest.raises(Refused, match="404: no such product"):
        cart.put("NOPE")


@pytest.mark.parametrize(("voucher", "saved"), [("TENOFF", 490), ("HALF", 2450), (" half ", 2450)])
def test_a_voucher_saves(cart, voucher, saved):
    cart.put("LAMP", 1)
    cart.redeem(voucher)
    assert cart.saved == saved


def test_a_voucher_can_cost_the_free_shipping(cart):
    cart.put("LAMP", 2)
    assert cart.total == "98.00 EUR"
    cart.redeem("HALF")
    assert cart.total == "53.90 EUR"


def test_one_voucher_is_enough(cart):
    cart.redeem("TENOFF")
    with pytest.raises(Refused, match="409: one voucher"):
        cart.redeem("HALF")


def test_a_voucher_of_nobody_is_refused(cart):
    with pytest.raises(Refused, match="422: no such voucher"):
        cart.redeem("FREE")


def test_a_cart_that_was_dropped_is_gone(cart):
    cart.put("MUG")
    cart.drop()
    with pytest.raises(Refused, match="404: no such cart"):
        cart.refresh()
