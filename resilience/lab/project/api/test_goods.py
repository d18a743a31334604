import pytest
from shop.storefront import Refused


@pytest.mark.parametrize(("category", "count"), [("light", 3), ("seat", 3), ("table", 2), ("kitchen", 3), ("none", 0)])
def test_goods_are_counted_by_category(visitor, category, count):
    assert visitor.count(category) == count


def test_all_goods_are_listed_over_several_pages(visitor):
    skus = [one["sku"] for one in visitor.goods()]
    assert len(skus) == 11
    assert skus == sorted(skus)


@pytest.mark.parametrize(
    ("sort", "first", "last"),
    [("price_cents", "BULB", "DESK"), ("-price_cents", "DESK", "BULB"), ("title", "BULB", "TORCH")],
)
def test_goods_are_sorted(visitor, sort, first, last):
    skus = [one["sku"] for one in visitor.goods(sort=sort)]
    assert (skus[0], skus[-1]) == (first, last)


def test_goods_of_one_category_keep_to_it(visitor):
    assert {one["category"] for one in visitor.goods("seat")} == {"seat"}


def test_goods_cannot_be_sorted_by_anything(visitor):
    with pytest.raises(Refused, match="400: sort: weight"):
        list(visitor.goods(sort="weight"))


@pytest.mark.parametrize(("sku", "price"), [("LAMP", "49.00 EUR"), ("BULB", "7.00 EUR"), ("DESK", "499.00 EUR")])
def test_a_product_has_its_price(visitor, sku, price):
    assert visitor.price(sku) == price


def test_a_product_that_was_seen_is_not_sent_again(visitor):
    first = visitor.product("LAMP")
    assert visitor.product("LAMP") is visitor.product("LAMP") is not None
    assert visitor.product("LAMP") == first


@pytest.mark.parametrize(("sku", "there"), [("LAMP", True), ("NOPE", False)])
def test_a_product_is_there_or_not(visitor, sku, there):
    assert visitor.exists(sku) is there


def test_a_product_that_is_not_there_is_refused(visitor):
    with pytest.raises(Refused) as refused:
        visitor.product("NOPE")
    assert (refused.value.status, refused.value.detail) == (404, "no such product")


def test_a_tag_is_known_without_the_product(visitor):
    assert len(visitor.tag("MUG")) == 12
    assert visitor.tag("MUG") != visitor.tag("PLATE")


def test_the_price_list_agrees_with_the_catalogue(visitor):
    prices = visitor.prices()
    assert prices == {one["sku"]: one["price_cents"] for one in visitor.goods()}
    assert prices["CHAIR"] == 18900


def test_a_picture_is_a_picture(visitor):
    assert visitor.picture("LAMP").startswith(b"\x89PNG")


def test_a_picture_in_pieces_is_the_picture(visitor):
    assert visitor.picture_in_pieces("DESK") == visitor.picture("DESK")
    assert len(visitor.picture("DESK")) == 516


@pytest.mark.parametrize(
    ("text", "found"), [("lamp", ["LAMP"]), ("Desk", ["LAMP", "DESK"]), ("desk lamp", ["LAMP"]), ("boat", [])]
)
def test_goods_are_found_by_words(visitor, text, found):
    assert visitor.search(text) == found


def test_a_search_can_be_limited(visitor):
    assert len(visitor.search("e", limit=3)) == 3


def test_a_search_for_nothing_is_refused(visitor):
    with pytest.raises(Refused, match="422: words"):
        visitor.search("   ")


def test_the_old_address_says_where_goods_are_now(visitor):
    assert visitor.old_address() == "/catalogue"
