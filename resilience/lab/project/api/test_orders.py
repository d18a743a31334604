from datetime import UTC, datetime

import pytest
from shop.storefront import Refused, Storefront


def filled(store, sku="LAMP", quantity=1):
    cart = store.open_cart()
    cart.put(sku, quantity)
    return cart


@pytest.fixture
def grace():
    store = Storefront("grace")
    yield store
    store.close()


def test_a_cart_becomes_an_order(ada):
    order = filled(ada, "LAMP", 2).check_out()
    assert (order["status"], order["total"], order["customer"]) == ("paid", 9800, "ada")


def test_an_order_is_found_again(ada):
    order = filled(ada).check_out()
    assert ada.order(order["id"]) == order


def test_an_order_needs_a_customer(visitor):
    with pytest.raises(Refused, match="401: a token is needed"):
        filled(visitor).check_out()


def test_an_empty_cart_is_no_order(ada):
    with pytest.raises(Refused, match="409: the cart is empty"):
        ada.open_cart().check_out()


def test_a_cart_is_ordered_once(ada):
    cart = filled(ada)
    cart.check_out()
    with pytest.raises(Refused, match="404: no such cart"):
        cart.check_out()


def test_a_payment_that_is_sent_twice_is_one_order(ada):
    cart = filled(ada, "MUG")
    key = f"pay-{cart.told['id']}"
    assert cart.check_out(key)["id"] == cart.check_out(key)["id"]


def test_another_customers_order_is_not_shown(ada, grace):
    order = filled(ada).check_out()
    with pytest.raises(Refused, match="403: this order is another"):
        grace.order(order["id"])


def test_an_order_that_never_was_is_not_found(ada):
    with pytest.raises(Refused, match="404: no such order"):
        ada.order("or-000000000000")


def test_orders_are_listed_newest_first_over_several_pages(grace):
    made = [filled(grace, "MUG", count).check_out()["id"] for count in (1, 2, 3, 4, 5)]
    listed = [order["id"] for order in grace.orders(size=2)]
    assert listed[:5] == made[::-1]
    assert len(set(listed)) == len(listed)


def test_an_order_is_cancelled(ada):
    order = filled(ada).check_out()
    assert ada.cancel(order["id"]) == "cancelled"
    assert ada.order(order["id"])["status"] == "cancelled"


def test_an_order_is_cancelled_once(ada):
    order = filled(ada).check_out()
    ada.cancel(order["id"])
    with pytest.raises(Refused, match="409: it is cancelled already"):
        ada.cancel(order["id"])


def test_an_order_tells_its_way(ada):
    assert ada.way(filled(ada).check_out()["id"]) == ["paid", "packed", "sent"]


def test_an_order_is_of_now(ada):
    """The one test that a stand-in cannot pass: what staging said then is not of now."""
    placed = datetime.fromisoformat(filled(ada).check_out()["placed_at"])
    assert abs((datetime.now(UTC) - placed).total_seconds()) < 10


def test_a_review_is_written_and_shown(ada):
    review = ada.review("SHELF", 4, "holds")
    assert (review["stars"], review["by"], review["text"], review["picture_bytes"]) == (4, "ada", "holds", 0)
    assert review in ada.reviews("SHELF")


def test_a_review_with_a_picture(ada):
    assert ada.review("BENCH", 5, "see for yourself", bytes(range(256)) * 3)["picture_bytes"] == 768


@pytest.mark.parametrize(("sku", "stars"), [("NOPE", 3), ("SHELF", 6), ("SHELF", 0)])
def test_half_a_review_is_refused(ada, sku, stars):
    with pytest.raises(Refused, match="422: a known sku and 1 to 5 stars"):
        ada.review(sku, stars, "?")


def test_a_review_needs_a_customer(visitor):
    with pytest.raises(Refused, match="401"):
        visitor.review("SHELF", 4, "holds")


def test_a_review_is_taken_back(grace):
    review = grace.review("PLATE", 1, "broke")
    grace.drop_review(review["id"])
    assert review["id"] not in {one["id"] for one in grace.reviews("PLATE")}


def test_another_customers_review_stays(ada, grace):
    review = ada.review("PLATE", 5, "whole")
    with pytest.raises(Refused, match="403"):
        grace.drop_review(review["id"])
