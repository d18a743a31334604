import pytest
from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.test import Client, SimpleTestCase, TestCase

from shop.catalogue.models import Product


@pytest.fixture
def chair(db):
    return Product.objects.create(sku="chair", name="chair", price=4900, stock=3)


@pytest.fixture
def visitor():
    return Client()


def test_create(chair):
    assert Product.objects.get(sku="chair").price == 4900


def test_list(chair, visitor):
    assert visitor.get("/products/").json() == {"products": ["chair"]}


def test_detail(chair, visitor):
    response = visitor.get("/products/chair/")
    assert response.status_code == 200
    assert response.json()["price"] == 4900


@pytest.mark.django_db
def test_empty():
    assert not Product.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_committed():
    with transaction.atomic():
        Product.objects.create(sku="table", name="table")
    assert Product.objects.count() == 1


@pytest.mark.django_db
def test_raw_cursor():
    with connection.cursor() as cursor:
        cursor.execute("select 1")
        assert cursor.fetchone() == (1,)


def test_cache_round_trip():
    cache.set("greeting", "hello", 5)
    assert cache.get("greeting") == "hello"


def test_visits_page(visitor):
    assert visitor.get("/visits/").status_code == 200


class ProductTests(TestCase):
    @classmethod
    def setUpTestData(cls):
        cls.lamp = Product.objects.create(sku="lamp", name="lamp", price=1900, stock=5)

    def test_price(self):
        self.assertEqual(Product.objects.get(pk=self.lamp.pk).price, 1900)

    def test_stock(self):
        self.assertEqual(Product.objects.filter(stock__gt=0).count(), 1)

    def test_label(self):
        self.assertEqual(self.lamp.label(), "lamp Lamp")

    def test_page_of_nothing(self):
        self.assertEqual(self.client.get("/products/sofa/").status_code, 404)


class PageTests(SimpleTestCase):
    def test_price_page(self):
        self.assertEqual(self.client.get("/price/?amount=100").json(), {"price": 119.0})

    def test_price_of_text(self):
        self.assertEqual(self.client.get("/price/?amount=ten").status_code, 400)

    def test_queries_are_not_allowed(self):
        self.assertEqual(Product.objects.count(), 0)


def test_without_mark():
    Product.objects.count()


def test_missing_product(chair):
    Product.objects.get(sku="bench")


def test_unknown_field(chair):
    Product.objects.filter(colour="red").first()


def test_unique_sku(chair):
    Product.objects.create(sku="chair", name="again")


def test_after_integrity_error(chair):
    try:
        Product.objects.create(sku="chair", name="again")
    except IntegrityError:
        pass
    Product.objects.count()


def test_negative_stock(chair):
    Product.objects.filter(pk=chair.pk).update(stock=-1)


def test_too_long(chair):
    Product.objects.create(sku="x" * 30, name="long")


@pytest.mark.django_db
def test_missing_relation():
    with connection.cursor() as cursor:
        cursor.execute("select * from catalogue_category")


def test_locked_without_transaction(transactional_db):
    list(Product.objects.select_for_update())


def test_counted_cache():
    cache.delete("count")
    cache.incr("count")


def test_cached_object():
    cache.set("product", lambda: 1)


def test_cache_hit():
    cache.set("a", 1, 5)
    assert cache.get("a") == "1"


def test_url_name(visitor):
    assert visitor.get("/product/").status_code == 200


@pytest.mark.django_db
def test_connection_closed_by_the_test():
    connection.connection.close()
    Product.objects.count()
