"""Invoices as text."""

from shop.pricing import VAT_PERCENT, shown, with_vat


def invoice(customer: dict[str, str], cents: int) -> str:
    rate = VAT_PERCENT[customer["country"]]
    return f"{customer['name']}: {shown(with_vat(cents, customer['country']))} (VAT {rate} %)"
