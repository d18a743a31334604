"""Turn requests of customers into carts, orders and reviews, in memory: the part of the lab's shop that speaks HTTP alone.

It has what real APIs have and stand-ins find hard: sessions and tokens, ids and times of its own, paging, conditional requests,
ranges, packed and streamed answers, files, idempotency keys, and refusals.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Subject = Callable[[str], str | None]
"""Returns whose a bearer token is; None for one that is not good."""

PRODUCTS: Mapping[str, Mapping[str, Any]] = {
    sku: {"sku": sku, "title": title, "category": category, "price_cents": cents}
    for sku, title, category, cents in (
        ("LAMP", "Desk lamp", "light", 4900),
        ("BULB", "Bulb, warm", "light", 700),
        ("TORCH", "Torch", "light", 1900),
        ("CHAIR", "Office chair", "seat", 18900),
        ("STOOL", "Stool", "seat", 3900),
        ("BENCH", "Garden bench", "seat", 22900),
        ("DESK", "Standing desk", "table", 49900),
        ("SHELF", "Shelf", "table", 8900),
        ("MUG", "Mug", "kitchen", 900),
        ("KETTLE", "Kettle", "kitchen", 3400),
        ("PLATE", "Plate", "kitchen", 1100),
    )
}
_CUSTOMERS = {"ada": ("Ada Analytics", "GB", "enigma-1815"), "hedy": ("Hedy Radio", "AT", "hopping-1914")}
_VOUCHERS = {"TENOFF": 10, "HALF": 50}
_SHIPPING_CENTS, _FREE_FROM_CENTS = 490, 5000
_PAGE = 4


@dataclass(slots=True, kw_only=True)
class _State:
    """What customers have made; two customers are there from the beginning."""

    customers: dict[str, dict[str, Any]] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    sessions: dict[str, str] = field(default_factory=dict)
    carts: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    reviews: dict[str, dict[str, Any]] = field(default_factory=dict)
    done: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """Customer and idempotency key → the order that was made for it."""


class Storefront:
    """The routes below /shop. `subject` reads the tokens of the auth service."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._state = _State()
        for login, (name, country, password) in _CUSTOMERS.items():
            self._state.customers[login] = {"id": login, "name": name, "country": country, "address": None}
            self._state.passwords[login] = password

    def routes(self) -> Mapping[str, Handler]:
        """Return what is answered, by method and path, and by what."""
        return {
            "POST /shop/customers": self._register,
            "POST /shop/login": self._log_in,
            "POST /shop/logout": self._log_out,
            "GET /shop/me": self._me,
            "PUT /shop/me/address": self._move,
            "GET /shop/catalogue": self._catalogue,
            "GET /shop/catalogue.csv": self._csv,
            "GET /shop/catalogue/{sku}": self._product,
            "HEAD /shop/catalogue/{sku}": self._product,
            "GET /shop/catalogue/{sku}/picture": self._picture,
            "GET /shop/catalogue/{sku}/reviews": self._reviews,
            "POST /shop/search": self._search,
            "POST /shop/carts": self._open_cart,
            "GET /shop/carts/{id}": self._cart,
            "DELETE /shop/carts/{id}": self._drop_cart,
            "PUT /shop/carts/{id}/lines/{sku}": self._put_line,
            "DELETE /shop/carts/{id}/lines/{sku}": self._drop_line,
            "POST /shop/carts/{id}/voucher": self._voucher,
            "POST /shop/carts/{id}/checkout": self._check_out,
            "GET /shop/orders": self._orders,
            "GET /shop/orders/{id}": self._order,
            "GET /shop/orders/{id}/events": self._events,
            "POST /shop/orders/{id}/cancel": self._cancel,
            "POST /shop/reviews": self._review,
            "DELETE /shop/reviews/{id}": self._drop_review,
            "GET /shop/goods": self._moved,
        }

    # Customers

    async def _register(self, request: web.Request) -> web.StreamResponse:
        """Make a customer known by an e-mail address; one address once."""
        asked = await request.json()
        email = str(asked.get("email", ""))
        if "@" not in email or not asked.get("name"):
            return _refused(422, "a name and an e-mail address are needed")
        if any(one.get("email") == email for one in self._state.customers.values()):
            return _refused(409, "this e-mail address is known")
        key = f"cu-{secrets.token_hex(6)}"
        country = str(asked.get("country", "GB"))
        made = {"id": key, "name": str(asked["name"]), "email": email, "country": country, "address": None}
        self._state.customers[key] = made
        return web.json_response(made, status=201, headers={"Location": f"/shop/customers/{key}"})

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        login = str(form.get("login", ""))
        if not login or self._state.passwords.get(login) != form.get("password"):
            return _refused(401, "wrong login or password")
        session = secrets.token_hex(16)
        self._state.sessions[session] = login
        response = web.json_response({"customer": login})
        response.set_cookie("shop_session", session, path="/", httponly=True, samesite="Lax")
        return response

    async def _log_out(self, request: web.Request) -> web.StreamResponse:
        self._state.sessions.pop(request.cookies.get("shop_session", ""), None)
        response = web.Response(status=204)
        response.del_cookie("shop_session", path="/")
        return response

    def _whose(self, request: web.Request) -> str | None:
        """Return whose a request is, by session or by token; a token names one who is known as another may be: as its subject."""
        session = self._state.sessions.get(request.cookies.get("shop_session", ""))
        if session is not None:
            return session
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return self._subject(token) if kind == "Bearer" else None

    async def _me(self, request: web.Request) -> web.StreamResponse:
        found = self._state.customers.get(self._whose(request) or "")
        return web.json_response(found) if found is not None else _refused(401, "who are you?")

    async def _move(self, request: web.Request) -> web.StreamResponse:
        found = self._state.customers.get(self._whose(request) or "")
        if found is None:
            return _refused(401, "who are you?")
        asked = await request.json()
        missing = [name for name in ("street", "city") if not asked.get(name)]
        if missing:
            return _refused(422, f"missing: {', '.join(missing)}")
        found["address"] = {"street": str(asked["street"]), "city": str(asked["city"])}
        return web.json_response(found)

    # Goods

    async def _catalogue(self, request: web.Request) -> web.StreamResponse:
        """Return one page of the goods, with where the next one is (RFC 8288)."""
        query = request.query
        found = [one for one in PRODUCTS.values() if query.get("category", one["category"]) == one["category"]]
        order = query.get("sort", "sku")
        if order.lstrip("-") not in ("sku", "title", "price_cents"):
            return _refused(400, f"sort: {order}")
        found.sort(key=lambda one: one[order.lstrip("-")], reverse=order.startswith("-"))
        page = int(query.get("page", 1))
        items, more = found[(page - 1) * _PAGE : page * _PAGE], page * _PAGE < len(found)
        headers = {}
        if more:
            following = request.rel_url.update_query(page=str(page + 1))
            headers["Link"] = f'<{following}>; rel="next"'
        return web.json_response({"items": items, "total": len(found), "page": page}, headers=headers)

    async def _csv(self, _: web.Request) -> web.StreamResponse:
        rows = [f"{one['sku']};{one['title']};{one['price_cents']}" for one in PRODUCTS.values()]
        data = gzip.compress("\n".join(("sku;title;cents", *rows)).encode(), mtime=0)
        return web.Response(body=data, headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"})

    async def _product(self, request: web.Request) -> web.StreamResponse:
        found = PRODUCTS.get(request.match_info["sku"])
        if found is None:
            return _refused(404, "no such product")
        tag = f'"{hashlib.sha256(json.dumps(found).encode()).hexdigest()[:12]}"'
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers={"ETag": tag})
        return web.json_response(found, headers={"ETag": tag})

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        """Return a picture's bytes, or the range of them that is asked for (RFC 9110, 14)."""
        if request.match_info["sku"] not in PRODUCTS:
            return _refused(404, "no such product")
        data = b"\x89PNG" + hashlib.sha256(request.match_info["sku"].encode()).digest() * 16
        wanted = request.http_range
        if wanted.start is None and wanted.stop is None:
            return web.Response(body=data, content_type="image/png")
        start, stop = wanted.start or 0, min(wanted.stop or len(data), len(data))
        if start >= len(data):
            return web.Response(status=416, headers={"Content-Range": f"bytes */{len(data)}"})
        headers = {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}
        return web.Response(status=206, body=data[start:stop], content_type="image/png", headers=headers)

    async def _search(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        words = [str(word).lower() for word in asked.get("words", [])]
        if not words:
            return _refused(422, "words are needed")
        found = [one for one in PRODUCTS.values() if all(word in str(one["title"]).lower() for word in words)]
        limit = int(asked.get("limit", 10))
        return web.json_response({"found": [one["sku"] for one in found][:limit], "words": words})

    async def _moved(self, request: web.Request) -> web.StreamResponse:
        return web.Response(status=301, headers={"Location": f"http://{request.host}/shop/catalogue"})

    # Carts

    async def _open_cart(self, request: web.Request) -> web.StreamResponse:
        key = f"ca-{secrets.token_hex(6)}"
        country = "GB"
        if request.body_exists:
            country = str((await request.json()).get("country", "GB"))
        self._state.carts[key] = {"id": key, "lines": {}, "voucher": None, "country": country}
        return web.json_response(self._summed(key), status=201, headers={"Location": f"/shop/carts/{key}"})

    async def _cart(self, request: web.Request) -> web.StreamResponse:
        key = request.match_info["id"]
        return web.json_response(self._summed(key)) if key in self._state.carts else _refused(404, "no such cart")

    async def _drop_cart(self, request: web.Request) -> web.StreamResponse:
        gone = self._state.carts.pop(request.match_info["id"], None)
        return web.Response(status=204) if gone is not None else _refused(404, "no such cart")

    async def _put_line(self, request: web.Request) -> web.StreamResponse:
        cart, sku = self._state.carts.get(request.match_info["id"]), request.match_info["sku"]
        if cart is None or sku not in PRODUCTS:
            return _refused(404, "no such cart" if cart is None else "no such product")
        quantity = (await request.json()).get("quantity")
        if type(quantity) is not int or not 1 <= quantity <= 99:
            return _refused(422, "a quantity of 1 to 99 is needed")
        cart["lines"][sku] = quantity
        return web.json_response(self._summed(cart["id"]))

    async def _drop_line(self, request: web.Request) -> web.StreamResponse:
        cart = self._state.carts.get(request.match_info["id"])
        if cart is None or cart["lines"].pop(request.match_info["sku"], None) is None:
            return _refused(404, "no such line")
        return web.Response(status=204)

    async def _voucher(self, request: web.Request) -> web.StreamResponse:
        cart = self._state.carts.get(request.match_info["id"])
        if cart is None:
            return _refused(404, "no such cart")
        name = str((await request.json()).get("voucher", ""))
        if name not in _VOUCHERS:
            return _refused(422, "no such voucher")
        if cart["voucher"] is not None:
            return _refused(409, "one voucher is enough")
        cart["voucher"] = name
        return web.json_response(self._summed(cart["id"]))

    def _summed(self, key: str) -> dict[str, Any]:
        """Return a cart with its sums: goods, discount, shipping (free from 50.00 on) and total."""
        cart = self._state.carts[key]
        lines = [
            {"sku": sku, "quantity": count, "cents": count * int(PRODUCTS[sku]["price_cents"])}
            for sku, count in cart["lines"].items()
        ]
        goods = sum(int(line["cents"]) for line in lines)
        discount = goods * _VOUCHERS.get(cart["voucher"] or "", 0) // 100
        shipping = 0 if not lines or goods - discount >= _FREE_FROM_CENTS else _SHIPPING_CENTS
        sums = {"goods": goods, "discount": discount, "shipping": shipping, "total": goods - discount + shipping}
        return {"id": key, "lines": lines, "voucher": cart["voucher"], "country": cart["country"], "sums": sums}

    # Orders

    async def _check_out(self, request: web.Request) -> web.StreamResponse:
        """Make an order of a cart, for whoever shows a token; with the same idempotency key the same order again."""
        who, key = self._whose(request), request.match_info["id"]
        if who is None:
            return _refused(401, "a token is needed")
        again = self._state.done.get((who, request.headers.get("Idempotency-Key", "")))
        if again is not None:
            return web.json_response(again, headers={"Idempotent-Replay": "true"})
        if key not in self._state.carts:
            return _refused(404, "no such cart")
        cart = self._summed(key)
        if not cart["lines"]:
            return _refused(409, "the cart is empty")
        del self._state.carts[key]
        order = {
            "id": f"or-{secrets.token_hex(6)}",
            "customer": who,
            "status": "paid",
            "total": cart["sums"]["total"],
            "lines": cart["lines"],
            "placed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        self._state.orders[order["id"]] = order
        if name := request.headers.get("Idempotency-Key", ""):
            self._state.done[who, name] = order
        return web.json_response(order, status=201, headers={"Location": f"/shop/orders/{order['id']}"})

    def _own_order(self, request: web.Request) -> dict[str, Any] | web.Response:
        who, found = self._whose(request), self._state.orders.get(request.match_info["id"])
        if who is None:
            return _refused(401, "a token is needed")
        if found is None:
            return _refused(404, "no such order")
        return found if found["customer"] == who else _refused(403, "this order is another customer's")

    async def _orders(self, request: web.Request) -> web.StreamResponse:
        """Return a customer's latest orders, newest first, after a cursor."""
        who = self._whose(request)
        if who is None:
            return _refused(401, "a token is needed")
        own = [one for one in reversed(self._state.orders.values()) if one["customer"] == who]
        keys, after = [one["id"] for one in own], request.query.get("after", "")
        first = keys.index(after) + 1 if after in keys else 0
        size = int(request.query.get("size", 2))
        found = own[first : first + size]
        cursor = found[-1]["id"] if first + size < len(own) else None
        return web.json_response({"orders": found, "next": cursor})

    async def _order(self, request: web.Request) -> web.StreamResponse:
        found = self._own_order(request)
        return found if isinstance(found, web.Response) else web.json_response(found)

    async def _cancel(self, request: web.Request) -> web.StreamResponse:
        found = self._own_order(request)
        if isinstance(found, web.Response):
            return found
        if found["status"] == "cancelled":
            return _refused(409, "it is cancelled already")
        found["status"] = "cancelled"
        return web.json_response(found)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Tell an order's way as a stream of events."""
        found = self._own_order(request)
        if isinstance(found, web.Response):
            return found
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
        await response.prepare(request)
        for number, status in enumerate(("paid", "packed", "sent"), 1):
            told = json.dumps({"order": found["id"], "status": status})
            await response.write(f"id: {number}\nevent: status\ndata: {told}\n\n".encode())
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    # Reviews

    async def _review(self, request: web.Request) -> web.StreamResponse:
        """Take a review with a picture, as a form of parts."""
        who = self._whose(request)
        if who is None:
            return _refused(401, "a token is needed")
        form = await request.post()
        sku, stars = str(form.get("sku")), str(form.get("stars", ""))
        if sku not in PRODUCTS or stars not in ("1", "2", "3", "4", "5"):
            return _refused(422, "a known sku and 1 to 5 stars are needed")
        picture = form.get("picture")
        size = len(picture.file.read()) if isinstance(picture, web.FileField) else 0
        key = f"re-{secrets.token_hex(6)}"
        made = {"id": key, "sku": sku, "stars": int(stars), "text": str(form.get("text", "")), "by": who}
        self._state.reviews[key] = made | {"picture_bytes": size}
        return web.json_response(self._state.reviews[key], status=201)

    async def _reviews(self, request: web.Request) -> web.StreamResponse:
        found = [one for one in self._state.reviews.values() if one["sku"] == request.match_info["sku"]]
        return web.json_response({"reviews": found, "count": len(found)})

    async def _drop_review(self, request: web.Request) -> web.StreamResponse:
        who, found = self._whose(request), self._state.reviews.get(request.match_info["id"])
        if found is None or who != found["by"]:
            return _refused(404 if found is None else 403, "no such review of yours")
        del self._state.reviews[found["id"]]
        return web.Response(status=204)


def _refused(status: int, detail: str) -> web.Response:
    return web.json_response({"detail": detail}, status=status)
