"""The statements of the shop's transactions, with the keys of the rows that each one changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from pitr_tui.errors import PitrError
from pitr_tui.lab.shop_schema import Customer

if TYPE_CHECKING:
    from psycopg2.extensions import cursor as Cursor

_AUDIT = "INSERT INTO shop.audit (at, who, what) VALUES (%s, %s, %s) RETURNING id"
_ORDER = """
INSERT INTO shop.orders (number, customer_id, ordered, status, total, shipping)
SELECT %s, id, %s, 'open', %s, %s FROM shop.customers WHERE email = %s RETURNING id, customer_id
"""
_LINES = """
INSERT INTO shop.order_lines (order_id, line, product_id, quantity, price)
SELECT %s, v.line, p.id, v.quantity, v.price
  FROM unnest(%s::int[], %s::text[], %s::int[], %s::numeric[]) AS v (line, sku, quantity, price)
  JOIN shop.products p ON p.sku = v.sku
 ORDER BY v.line
RETURNING order_id, line
"""
_MOVE = """
UPDATE shop.stock s SET quantity = s.quantity + v.quantity, changed = %s
  FROM unnest(%s::text[], %s::int[]) AS v (sku, quantity)
  JOIN shop.products p ON p.sku = v.sku
 WHERE s.product_id = p.id
RETURNING s.product_id
"""
_PUT_BACK = """
UPDATE shop.stock s SET quantity = s.quantity + l.quantity, changed = %s
  FROM shop.order_lines l WHERE l.order_id = %s AND s.product_id = l.product_id
RETURNING s.product_id
"""
_PAY = """
UPDATE shop.orders SET status = 'paid', payment = %s, paid = %s
 WHERE number = %s AND status = 'open' RETURNING id
"""
_SHIP = """
UPDATE shop.orders SET status = 'shipped', shipped = %s
 WHERE number = %s AND status = 'paid' RETURNING id
"""
_CANCEL = """
UPDATE shop.orders SET status = 'cancelled'
 WHERE number = %s AND status = 'open' RETURNING id
"""
_BASKET = """
INSERT INTO shop.basket (customer_id, product_id, quantity, added)
SELECT %s, id, %s, %s FROM shop.products WHERE sku = %s
ON CONFLICT (customer_id, product_id) DO UPDATE SET quantity = excluded.quantity
"""
_CUSTOMER = """
INSERT INTO shop.customers (name, email, city, country, joined)
VALUES (%s, %s, %s, %s, %s) RETURNING id
"""


class NothingThere(PitrError):
    """What a transaction of the shop begins with is not in the database."""


@dataclass(slots=True)
class Till:
    """Runs the statements of one transaction and notes which rows they change."""

    cursor: Cursor
    touched: dict[str, list[tuple[object, ...]]] = field(default_factory=dict)

    def change(
        self, table: str, statement: str, values: Sequence[object], rows: int = 1
    ) -> list[tuple[int, ...]]:
        """Run a statement that gives the keys of the rows that it changed.

        Raises NothingThere when they are not as many as there should be.
        """
        self.cursor.execute(statement, values)
        found: list[tuple[int, ...]] = self.cursor.fetchall()
        if len(found) != rows:
            raise NothingThere(f"{table} has {len(found)} of {rows} rows that the shop needs")
        self.touched.setdefault(table, []).extend(found)
        return found

    def audit(self, at: datetime, who: str, what: str) -> None:
        """Note who did what, as the shop does of everything."""
        self.change("shop.audit", _AUDIT, (at, who, what))


Run = Callable[[Till], None]


@dataclass(frozen=True, slots=True)
class OrderedLine:
    """So many of a product at this price."""

    line: int
    sku: str
    quantity: int
    price: Decimal


@dataclass(frozen=True, slots=True)
class NewOrder:
    """What a customer orders."""

    number: str
    email: str
    at: datetime
    total: Decimal
    shipping: Decimal
    lines: tuple[OrderedLine, ...]


def place_order(order: NewOrder) -> Run:
    """The order, its lines, the stock that it takes, and the basket that it empties."""

    def run(till: Till) -> None:
        lines, count = order.lines, len(order.lines)
        values = (order.number, order.at, order.total, order.shipping, order.email)
        till.cursor.execute(_ORDER, values)
        row = till.cursor.fetchone()
        if row is None:
            raise NothingThere(f"there is no customer {order.email}")
        till.touched["shop.orders"] = [(row[0],)]
        columns = (
            [one.line for one in lines],
            [one.sku for one in lines],
            [one.quantity for one in lines],
            [one.price for one in lines],
        )
        till.change("shop.order_lines", _LINES, (row[0], *columns), count)
        _move(till, {one.sku: -one.quantity for one in lines}, order.at)
        till.cursor.execute("DELETE FROM shop.basket WHERE customer_id = %s", (row[1],))
        noun = "line" if count == 1 else "lines"
        till.audit(order.at, "web", f"order {order.number}: {count} {noun}, total {order.total}")

    return run


def pay(number: str, total: Decimal, method: str, at: datetime) -> Run:
    """An open order is paid."""

    def run(till: Till) -> None:
        till.change("shop.orders", _PAY, (method, at, number))
        till.audit(at, "payments", f"order {number}: {total} received by {method}")

    return run


def ship(number: str, carrier: str, who: str, at: datetime) -> Run:
    """A paid order leaves the house."""

    def run(till: Till) -> None:
        till.change("shop.orders", _SHIP, (at, number))
        till.audit(at, who, f"order {number}: handed to {carrier}")

    return run


def cancel(number: str, who: str, at: datetime) -> Run:
    """An open order is cancelled, and what it had taken goes back into the stock."""

    def run(till: Till) -> None:
        ((order,),) = till.change("shop.orders", _CANCEL, (number,))
        till.cursor.execute(_PUT_BACK, (at, order))
        till.touched.setdefault("shop.stock", []).extend(till.cursor.fetchall())
        till.audit(at, who, f"order {number}: cancelled at the customer's wish")

    return run


def fill_basket(email: str, sku: str, quantity: int, at: datetime) -> Run:
    """A customer looks in and puts something into the basket."""

    def run(till: Till) -> None:
        statement = "UPDATE shop.customers SET last_visit = %s WHERE email = %s RETURNING id"
        ((customer,),) = till.change("shop.customers", statement, (at, email))
        till.cursor.execute(_BASKET, (customer, quantity, at, sku))

    return run


def register(customer: Customer) -> Run:
    """Somebody becomes a customer."""

    def run(till: Till) -> None:
        values = (customer.name, customer.email, customer.city, customer.country, customer.joined)
        till.change("shop.customers", _CUSTOMER, values)
        till.audit(customer.joined, "web", f"new customer {customer.email}")

    return run


def change_price(sku: str, old: Decimal, new: Decimal, who: str, at: datetime) -> Run:
    """A product becomes cheaper or dearer."""

    def run(till: Till) -> None:
        statement = "UPDATE shop.products SET price = %s WHERE sku = %s RETURNING id"
        till.change("shop.products", statement, (new, sku))
        till.audit(at, who, f"price of {sku}: {old} to {new}")

    return run


def take_delivery(amounts: Mapping[str, int], supplier: str, who: str, at: datetime) -> Run:
    """A supplier's goods come into the stock."""

    def run(till: Till) -> None:
        _move(till, amounts, at)
        goods = ", ".join(f"{amount} x {sku}" for sku, amount in amounts.items())
        till.audit(at, who, f"delivery of {supplier}: {goods}")

    return run


def _move(till: Till, amounts: Mapping[str, int], at: datetime) -> None:
    values = (at, list(amounts), list(amounts.values()))
    till.change("shop.stock", _MOVE, values, len(amounts))
