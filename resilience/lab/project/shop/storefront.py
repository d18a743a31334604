"""The shop's own API, as its web site uses it."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx

from shop import api
from shop.pricing import shown

PICTURE_PIECE = 100


class Refused(Exception):
    """The shop said no, and why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.detail = status, detail


def checked(answer: httpx.Response) -> httpx.Response:
    """Give the answer, or raise what it refuses. An outage is no refusal."""
    if 400 <= answer.status_code < 500:
        raise Refused(answer.status_code, answer.json()["detail"])
    return answer.raise_for_status() if answer.status_code >= 500 else answer


class Storefront:
    """One visitor of the shop; with `customer`, one who shows a token."""

    def __init__(self, customer: str = "") -> None:
        self.http = api.backend()
        self.headers = {"Authorization": f"Bearer {api.token(client=customer)}"} if customer else {}
        self.seen: dict[str, tuple[str, dict[str, Any]]] = {}

    def close(self) -> None:
        self.http.close()

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return checked(self.http.request(method, f"/shop{path}", headers=headers, **more))

    # Customers

    def register(self, name: str, email: str) -> dict[str, Any]:
        return self.ask("POST", "/customers", json={"name": name.strip(), "email": email.lower()}).json()

    def log_in(self, login: str, password: str) -> str:
        return self.ask("POST", "/login", data={"login": login, "password": password}).json()["customer"]

    def log_out(self) -> None:
        self.ask("POST", "/logout")

    def me(self) -> dict[str, Any]:
        return self.ask("GET", "/me").json()

    def greeting(self) -> str:
        return f"Hello, {self.me()['name'].split()[0]}!"

    def move(self, street: str, city: str) -> str:
        address = self.ask("PUT", "/me/address", json={"street": street, "city": city}).json()["address"]
        return f"{address['street']}, {address['city']}"

    # Goods

    def goods(self, category: str = "", sort: str = "sku") -> Iterator[dict[str, Any]]:
        """Give the goods, page after page."""
        params = {"sort": sort, **({"category": category} if category else {})}
        answer = self.ask("GET", "/catalogue", params=params)
        yield from answer.json()["items"]
        while "next" in answer.links:
            answer = self.ask("GET", answer.links["next"]["url"].removeprefix("/shop"))
            yield from answer.json()["items"]

    def count(self, category: str) -> int:
        return self.ask("GET", "/catalogue", params={"category": category, "sort": "sku"}).json()["total"]

    def product(self, sku: str) -> dict[str, Any]:
        """Give a product; what was seen before is asked for only if it has changed."""
        tag, known = self.seen.get(sku, ("", {}))
        answer = self.ask("GET", f"/catalogue/{sku}", headers={"If-None-Match": tag} if tag else {})
        if answer.status_code == 304:
            return known
        self.seen[sku] = answer.headers["ETag"], answer.json()
        return answer.json()

    def exists(self, sku: str) -> bool:
        try:
            self.ask("GET", f"/catalogue/{sku}")
        except Refused as refused:
            if refused.status != 404:
                raise
            return False
        return True

    def tag(self, sku: str) -> str:
        return self.ask("HEAD", f"/catalogue/{sku}").headers["ETag"].strip('"')

    def price(self, sku: str) -> str:
        return shown(self.product(sku)["price_cents"])

    def prices(self) -> dict[str, int]:
        """Give all prices, of the list for resellers."""
        rows = csv.DictReader(io.StringIO(self.ask("GET", "/catalogue.csv").text), delimiter=";")
        return {row["sku"]: int(row["cents"]) for row in rows}

    def picture(self, sku: str) -> bytes:
        return self.ask("GET", f"/catalogue/{sku}/picture").content

    def picture_in_pieces(self, sku: str) -> bytes:
        found, size = b"", 1
        while len(found) < size:
            wanted = f"bytes={len(found)}-{len(found) + PICTURE_PIECE - 1}"
            answer = self.ask("GET", f"/catalogue/{sku}/picture", headers={"Range": wanted})
            size = int(answer.headers["Content-Range"].rpartition("/")[2])
            found += answer.content
        return found

    def search(self, text: str, limit: int = 10) -> list[str]:
        return self.ask("POST", "/search", json={"words": text.split(), "limit": limit}).json()["found"]

    def old_address(self) -> str:
        """Say where the goods are now."""
        return self.ask("GET", "/goods").headers["Location"].partition("/shop")[2]

    # Carts

    def open_cart(self, country: str = "GB") -> "Cart":
        return Cart(self, self.ask("POST", "/carts", json={"country": country}).json())

    # Orders

    def order(self, number: str) -> dict[str, Any]:
        return self.ask("GET", f"/orders/{number}").json()

    def orders(self, size: int = 2) -> Iterator[dict[str, Any]]:
        """Give the customer's orders, newest first."""
        params: dict[str, Any] = {"size": size}
        while True:
            found = self.ask("GET", "/orders", params=params).json()
            yield from found["orders"]
            if found["next"] is None:
                return
            params["after"] = found["next"]

    def cancel(self, number: str) -> str:
        return self.ask("POST", f"/orders/{number}/cancel").json()["status"]

    def way(self, number: str) -> list[str]:
        """Give the events of an order's way."""
        found = []
        with self.http.stream("GET", f"/shop/orders/{number}/events", headers=self.headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("data: "):
                    found.append(json.loads(line.removeprefix("data: "))["status"])
        return found

    # Reviews

    def review(self, sku: str, stars: int, text: str, picture: bytes = b"") -> dict[str, Any]:
        files = {"picture": ("picture.png", picture, "image/png")} if picture else {"text": (None, text)}
        data = {"sku": sku, "stars": str(stars), **({"text": text} if picture else {})}
        return self.ask("POST", "/reviews", data=data, files=files).json()

    def reviews(self, sku: str) -> list[dict[str, Any]]:
        return self.ask("GET", f"/catalogue/{sku}/reviews").json()["reviews"]

    def drop_review(self, number: str) -> None:
        self.ask("DELETE", f"/reviews/{number}")


class Cart:
    """A cart as the shop last said that it is."""

    def __init__(self, store: Storefront, told: dict[str, Any]) -> None:
        self.store, self.told = store, told

    @property
    def path(self) -> str:
        return f"/carts/{self.told['id']}"

    @property
    def quantities(self) -> dict[str, int]:
        return {line["sku"]: line["quantity"] for line in self.told["lines"]}

    @property
    def total(self) -> str:
        return shown(self.told["sums"]["total"])

    @property
    def saved(self) -> int:
        return self.told["sums"]["discount"]

    def put(self, sku: str, quantity: int = 1) -> None:
        self.told = self.store.ask("PUT", f"{self.path}/lines/{sku}", json={"quantity": quantity}).json()

    def add(self, sku: str, quantity: int = 1) -> None:
        self.put(sku, self.quantities.get(sku, 0) + quantity)

    def remove(self, sku: str) -> None:
        self.store.ask("DELETE", f"{self.path}/lines/{sku}")
        self.refresh()

    def refresh(self) -> None:
        self.told = self.store.ask("GET", self.path).json()

    def redeem(self, voucher: str) -> None:
        self.told = self.store.ask("POST", f"{self.path}/voucher", json={"voucher": voucher.strip().upper()}).json()

    def drop(self) -> None:
        self.store.ask("DELETE", self.path)

    def check_out(self, key: str = "") -> dict[str, Any]:
        headers = {"Idempotency-Key": key} if key else {}
        return self.store.ask("POST", f"{self.path}/checkout", headers=headers).json()
