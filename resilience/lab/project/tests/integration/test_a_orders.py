import asyncpg
import pytest
from shop import orders

pytestmark = pytest.mark.real_database


@pytest.mark.critical
def test_the_database_answers():
    assert orders.query("select 1 as one") == [{"one": 1}]


@pytest.mark.critical
def test_an_order_takes_its_goods_off_the_stock():
    async def work(connection):
        before = await connection.fetchval("select stock from product where sku = 'MUG'")
        order = await orders.place(connection, 1, "MUG", 3)
        after = await connection.fetchval("select stock from product where sku = 'MUG'")
        await connection.execute("delete from customer_order where id = $1", order)
        await connection.execute("update product set stock = stock + 3 where sku = 'MUG'")
        return before - after

    assert orders.within(work) == 3


@pytest.mark.critical
def test_an_order_beyond_the_stock_changes_nothing():
    async def work(connection):
        count = await connection.fetchval("select count(*) from customer_order")
        with pytest.raises(asyncpg.CheckViolationError):
            await orders.place(connection, 1, "DESK", 100)
        return await connection.fetchval("select count(*) from customer_order") - count

    assert orders.within(work) == 0


def test_an_order_of_nobody_is_refused():
    async def work(connection):
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            await orders.place(connection, 404, "MUG", 1)

    orders.within(work)


def test_a_product_is_found_by_its_sku():
    assert orders.query("select title from product where sku = $1", "LAMP") == [{"title": "Desk lamp"}]


def test_revenue_of_a_month_without_orders_is_zero():
    assert orders.revenue("2020-01") == 0


def test_revenue_of_a_month():
    assert orders.revenue("2026-10") == 9000


def test_revenue_leaves_out_cancelled_orders():
    assert orders.revenue("2026-09") == 2 * 4900 + 4 * 900 + 18900


def test_customers_abroad_are_listed():
    rows = orders.query("select name from customer where country <> 'GB' order by name")
    assert [row["name"] for row in rows] == ["Grace Compilers", "Hedy Radio"]
