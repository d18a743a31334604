"""Prices in cents; no service needed."""

from decimal import ROUND_HALF_UP, Decimal

VAT_PERCENT = {"AT": 20, "DE": 19, "GB": 20}


def discounted(cents: int, percent: int) -> int:
    if not 0 <= percent <= 100:
        raise ValueError(f"a discount of {percent} %")
    return int((Decimal(cents) * (100 - percent) / 100).quantize(Decimal(1), ROUND_HALF_UP))


def with_vat(cents: int, country: str) -> int:
    return int((Decimal(cents) * (100 + VAT_PERCENT.get(country, 0)) / 100).quantize(Decimal(1), ROUND_HALF_UP))


def shown(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d} EUR"


def total(lines: list[tuple[int, int]]) -> int:
    return sum(quantity * cents for quantity, cents in lines)
