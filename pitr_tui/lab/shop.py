"""The shop's work: an endless row of transactions that one seed decides.

What the n-th does depends on the seed and on n alone, never on what the database answers. So a
process can go on where another has stopped, and the same seed gives the same rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from pitr_tui.lab import shop_deeds as deeds
from pitr_tui.lab.shop_goods import CARRIERS, PAYMENTS, PRODUCTS, STAFF, SUPPLIERS
from pitr_tui.lab.shop_schema import (
    OPENED,
    TABLES,
    Customer,
    first_customers,
    first_stock,
    new_customer,
    opening,
    schema_statements,
)

if TYPE_CHECKING:
    from pitr_tui.lab.shop_deeds import Till

__all__ = ["TABLES", "Shop", "ShopTransaction", "opening", "schema_statements"]

_FIRST_ORDER = 100_001
_SHIPPING, _FREE_FROM = Decimal("4.90"), Decimal(60)
_LOW = 5  # of a product that has so few left, nobody orders any more
_DEAR = Decimal(60)
_WEIGHTS = {
    "order": 44,
    "payment": 22,
    "shipment": 15,
    "visit": 6,
    "customer": 4,
    "delivery": 3,
    "price": 2,
    "cancellation": 2,
    "declined": 3,
    "overlapping": 3,
}


@dataclass(frozen=True, slots=True)
class ShopTransaction:
    """One transaction of the shop.

    `run` gives its statements; then it commits, or where it `rolls_back` it takes all back.
    `meanwhile` is another session's, which begins and commits while this one is open.
    """

    what: str
    run: Callable[[Till], None]
    rolls_back: bool = False
    meanwhile: ShopTransaction | None = None


@dataclass(slots=True)
class _Order:
    number: str
    total: Decimal
    lines: tuple[deeds.OrderedLine, ...]


@dataclass(slots=True)
class Shop:
    """Iterate over it for the transactions, from the first one on."""

    seed: int
    customers: int
    _chance: random.Random = field(init=False, repr=False)
    _now: datetime = field(default=OPENED, init=False)
    _people: list[Customer] = field(init=False, repr=False)
    _stock: dict[str, int] = field(init=False, repr=False)
    _prices: dict[str, Decimal] = field(init=False, repr=False)
    _open: list[_Order] = field(default_factory=list, init=False, repr=False)
    _paid: list[_Order] = field(default_factory=list, init=False, repr=False)
    _numbers: int = field(default=_FIRST_ORDER, init=False)

    def __iter__(self) -> Iterator[ShopTransaction]:
        self._chance = random.Random(f"work {self.seed}")  # noqa: S311 - the same each time
        self._now, self._numbers = OPENED, _FIRST_ORDER
        self._people = list(first_customers(self.seed, self.customers))
        self._stock = first_stock(self.seed)
        self._prices = {sku: Decimal(price) for sku, _, price in PRODUCTS}
        self._open, self._paid = [], []
        kinds, weights = list(_WEIGHTS), list(_WEIGHTS.values())
        while True:
            self._now += timedelta(seconds=self._chance.randint(8, 240))
            yield self._next(self._chance.choices(kinds, weights)[0])

    def _next(self, kind: str) -> ShopTransaction:
        if kind == "payment" and self._open:
            return self._payment()
        if kind == "shipment" and self._paid:
            return self._shipment()
        if kind == "cancellation" and self._open:
            return self._cancellation()
        if kind == "overlapping":
            return self._overlapping()
        if kind == "delivery" or self._short():
            return self._delivery()
        if kind == "visit":
            return self._visit()
        if kind == "customer":
            return self._customer()
        if kind == "price":
            return self._price()
        return self._new_order(declined=kind == "declined")

    def _new_order(self, declined: bool) -> ShopTransaction:
        chance = self._chance
        there = [sku for sku, left in self._stock.items() if left > _LOW]
        skus = chance.sample(there, chance.choices((1, 2, 3, 4), (45, 30, 17, 8))[0])
        lines = tuple(
            deeds.OrderedLine(place, sku, self._quantity(sku), self._prices[sku])
            for place, sku in enumerate(skus, 1)
        )
        goods = sum((one.quantity * one.price for one in lines), Decimal(0))
        shipping = Decimal("0.00") if goods >= _FREE_FROM else _SHIPPING
        order = _Order(f"S-{self._numbers}", goods + shipping, lines)
        self._numbers += 1
        run = deeds.place_order(
            deeds.NewOrder(
                order.number,
                chance.choice(self._people).email,
                self._now,
                order.total,
                shipping,
                lines,
            )
        )
        if declined:
            return ShopTransaction(f"order {order.number}, card declined", run, rolls_back=True)
        for one in lines:
            self._stock[one.sku] -= one.quantity
        self._open.append(order)
        return ShopTransaction(f"order {order.number}, {order.total}", run)

    def _quantity(self, sku: str) -> int:
        if self._prices[sku] > _DEAR:
            return 1
        return min(self._chance.choices((1, 2, 3, 4, 6), (52, 28, 10, 6, 4))[0], self._stock[sku])

    def _short(self) -> bool:
        return any(left <= _LOW for left in self._stock.values()) and self._chance.random() < 0.4

    def _payment(self) -> ShopTransaction:
        order = self._open.pop(self._chance.randrange(min(len(self._open), 8)))
        self._paid.append(order)
        method = self._chance.choice(PAYMENTS)
        run = deeds.pay(order.number, order.total, method, self._now)
        return ShopTransaction(f"payment of {order.number}", run)

    def _shipment(self) -> ShopTransaction:
        order = self._paid.pop(0)
        carrier, who = self._chance.choice(CARRIERS), self._chance.choice(STAFF)
        return ShopTransaction(
            f"shipment of {order.number}", deeds.ship(order.number, carrier, who, self._now)
        )

    def _cancellation(self) -> ShopTransaction:
        order = self._open.pop(self._chance.randrange(len(self._open)))
        for one in order.lines:
            self._stock[one.sku] += one.quantity
        run = deeds.cancel(order.number, self._chance.choice(STAFF), self._now)
        return ShopTransaction(f"cancellation of {order.number}", run)

    def _visit(self) -> ShopTransaction:
        person = self._chance.choice(self._people)
        sku, quantity = self._chance.choice(PRODUCTS)[0], self._chance.randint(1, 3)
        run = deeds.fill_basket(person.email, sku, quantity, self._now)
        return ShopTransaction(f"basket of {person.name}", run)

    def _customer(self) -> ShopTransaction:
        person = new_customer(self._chance, len(self._people), self._now)
        self._people.append(person)
        return ShopTransaction(f"new customer {person.name}", deeds.register(person))

    def _price(self) -> ShopTransaction:
        sku = self._chance.choice(PRODUCTS)[0]
        old = self._prices[sku]
        share = Decimal(self._chance.randint(94, 109)) / 100
        new = max((old * share).quantize(Decimal("0.1")), Decimal("0.5")).quantize(Decimal("0.01"))
        self._prices[sku] = new
        run = deeds.change_price(sku, old, new, self._chance.choice(STAFF), self._now)
        return ShopTransaction(f"price of {sku}, {old} to {new}", run)

    def _delivery(self) -> ShopTransaction:
        low = sorted(self._stock, key=self._stock.__getitem__)[:8]
        skus = self._chance.sample(low, self._chance.randint(1, 3))
        amounts = {
            sku: self._chance.randint(*((5, 20) if self._prices[sku] > _DEAR else (6, 25)))
            * (1 if self._prices[sku] > _DEAR else 10)
            for sku in sorted(skus)
        }
        for sku, amount in amounts.items():
            self._stock[sku] += amount
        supplier, who = self._chance.choice(SUPPLIERS), self._chance.choice(STAFF)
        run = deeds.take_delivery(amounts, supplier, who, self._now)
        return ShopTransaction(f"delivery of {supplier}", run)

    def _overlapping(self) -> ShopTransaction:
        """A delivery is being counted while somebody else commits; they share no row."""
        delivery = self._delivery()
        self._now += timedelta(seconds=self._chance.randint(2, 20))
        other = self._payment() if self._open else self._visit()
        return ShopTransaction(delivery.what, delivery.run, meanwhile=other)
