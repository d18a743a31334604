"""Orders in PostgreSQL."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from shop.config import setting


def query(sql: str, *arguments: object) -> list[dict[str, Any]]:
    """Run one statement on a connection of its own."""
    return within(lambda connection: connection.fetch(sql, *arguments))


def within(work: Callable[[Any], Awaitable[Any]]) -> Any:
    """Run `work` with a connection; a transaction is for the caller to open."""

    async def run() -> Any:
        connection = await asyncpg.connect(setting("DATABASE_URL"), timeout=3)
        try:
            found = await work(connection)
        finally:
            await connection.close(timeout=3)
        return [dict(row) for row in found] if isinstance(found, list) else found

    return asyncio.run(run())


def revenue(month: str) -> int:
    """Give the revenue of a month (2026-09) in cents."""
    rows = query(
        "select coalesce(sum(quantity * price_cents), 0)::bigint as cents from order_line"
        " join customer_order on customer_order.id = order_id where to_char(placed_on, 'YYYY-MM') = $1",
        month,
    )
    return int(rows[0]["cents"])


async def place(connection: Any, customer: int, sku: str, quantity: int) -> int:
    """Take an order off the stock; nothing is changed where there is not enough."""
    async with connection.transaction():
        price = await connection.fetchval(
            "update product set stock = stock - $2 where sku = $1 returning price_cents", sku, quantity
        )
        order = await connection.fetchval(
            "insert into customer_order (customer_id, placed_on, status) values ($1, '2026-11-01', 'paid')"
            " returning id",
            customer,
        )
        await connection.execute("insert into order_line values ($1, $2, $3, $4)", order, sku, quantity, price)
    return int(order)
