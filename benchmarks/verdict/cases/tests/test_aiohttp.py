import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web

from shop import settings

LIMIT = aiohttp.ClientTimeout(total=0.8)


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(settings.BACKEND_URL, headers=settings.HEADERS, timeout=LIMIT) as made:
        yield made


@pytest.fixture
async def storefront(session):
    """Our own front, with the backend behind it."""

    async def order(request):
        async with session.get(f"/orders/{request.match_info['id']}") as answer:
            if answer.status == 404:
                raise web.HTTPNotFound
            body = await answer.json()
            return web.json_response({"title": f"Order {body['id']}", "price": body["total"] / 100})

    async def basket(request):
        try:
            async with session.get("/rates") as answer:
                rates = (await answer.json())["rates"]
        except aiohttp.ClientError:
            return web.json_response({"error": "backend unavailable"}, status=503)
        return web.json_response({"usd": 100 * rates["USD"]})

    async def broken(request):
        return web.json_response({"total": {}["total"]})

    app = web.Application()
    app.router.add_get("/order/{id}", order)
    app.router.add_get("/basket", basket)
    app.router.add_get("/broken", broken)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client
    await runner.cleanup()


async def order(session, number):
    async with session.get(f"/orders/{number}", raise_for_status=True) as answer:
        return await answer.json()


async def test_order(session):
    assert (await order(session, 3))["status"] == "paid"


async def test_status(session):
    async with session.get("/orders/3") as answer:
        assert answer.status == 200


async def test_many_orders(session):
    found = await asyncio.gather(*(order(session, n) for n in range(1, 6)))
    assert [one["id"] for one in found] == [1, 2, 3, 4, 5]


async def test_post(session):
    async with session.post("/orders", json={"sku": "sku-2", "quantity": 1}) as answer:
        assert (await answer.json())["id"] == 99


async def test_csv(session):
    async with session.get("/export.csv") as answer:
        assert [line async for line in answer.content][0] == b"0,sku-0,0\n"


async def test_gathered_errors(session):
    results = await asyncio.gather(order(session, 1), order(session, 2), return_exceptions=True)
    assert all(isinstance(one, dict) for one in results)


async def test_front_shows_order(storefront):
    async with storefront.get("/order/7") as answer:
        assert answer.status == 200
        assert (await answer.json())["price"] == 7.0


async def test_front_shows_basket(storefront):
    async with storefront.get("/basket") as answer:
        assert answer.status == 200


async def test_cancelled_when_late(session):
    task = asyncio.create_task(session.get("/health", timeout=None))
    done, _ = await asyncio.wait({task}, timeout=0.5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError, aiohttp.ClientError):
        (await task).release()
    assert done


async def test_front_has_no_order(storefront):
    async with storefront.get("/order/7000") as answer:
        assert answer.status == 404


async def test_front_is_broken(storefront):
    async with storefront.get("/broken") as answer:
        assert answer.status == 200


async def test_front_price(storefront):
    async with storefront.get("/order/7") as answer:
        assert (await answer.json())["price"] == 700


async def test_session_is_closed(session):
    await session.close()
    await order(session, 1)


async def test_body_after_release(session):
    async with session.get("/orders/1") as answer:
        pass
    answer.release()
    connection = answer.connection
    assert connection is not None


async def test_html_is_json(session):
    async with session.get("/report") as answer:
        await answer.json()


async def test_unknown(session):
    await order(session, 5000)


async def test_wrong_port():
    async with aiohttp.ClientSession(timeout=LIMIT) as made:
        await made.get(f"http://127.0.0.1:{settings.BACKEND.port + 1}/health")


async def test_https(session):
    async with aiohttp.ClientSession(timeout=LIMIT) as made:
        await made.get(settings.BACKEND_URL.replace("http", "https") + "/health")


async def test_invalid_url(session):
    async with aiohttp.ClientSession() as made:
        await made.get("http//nowhere")


async def test_no_token():
    async with aiohttp.ClientSession(settings.BACKEND_URL, timeout=LIMIT, raise_for_status=True) as made:
        await made.get("/orders")


async def test_own_handler_is_quick():
    async def search(request):
        await asyncio.sleep(1)
        return web.json_response([])

    app = web.Application()
    app.router.add_get("/search", search)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.2)) as made:
            await made.get(f"http://127.0.0.1:{runner.addresses[0][1]}/search")
    finally:
        await runner.cleanup()


async def test_json_and_data(session):
    await session.post("/orders", json={"sku": "a"}, data={"quantity": 1})


def test_session_of_another_loop():
    async def make():
        return aiohttp.ClientSession(settings.BACKEND_URL, timeout=LIMIT)

    made = asyncio.run(make())
    asyncio.run(order(made, 1))


async def test_own_server_is_gone():
    async def hang_up(reader, writer):
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession(timeout=LIMIT) as made:
        await made.get(f"http://127.0.0.1:{port}/")
