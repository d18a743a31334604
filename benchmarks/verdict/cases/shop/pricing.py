"""Prices and discounts."""

from decimal import Decimal


def with_vat(net, rate=19):
    return net + net * rate // 100


def discount(total, vip):
    # VIPs get ten per cent
    return total * 9 // 10 if vip else total


def average(totals):
    return sum(totals) / len(totals)


def split_evenly(amount, people):
    share = round(amount / people, 2)
    return [share] * people


def parse_amount(text):
    return int(Decimal(text) * 100)


def shipping(weight, country):
    table = {"DE": 490, "AT": 890, "CH": 1290}
    return table[country] if weight < 5000 else table[country] * 2


def label(order):
    return f"{order['id']:06d}/{order['status'].upper()}"


def cheapest(items):
    return min(items, key=lambda item: item["price"])["sku"]
