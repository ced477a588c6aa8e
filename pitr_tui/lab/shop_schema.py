"""The shop's tables and what is in them when it opens."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from pitr_tui.lab.shop_goods import FIRST_NAMES, LAST_NAMES, MAIL, PLACES, PRODUCTS

OPENED = datetime(2026, 10, 5, 7, 30, tzinfo=UTC)
"""When the shop's own clock begins: its rows do not depend on when a lab is played."""

TABLES: dict[str, tuple[str, ...]] = {
    "shop.customers": ("id",),
    "shop.products": ("id",),
    "shop.stock": ("product_id",),
    "shop.orders": ("id",),
    "shop.order_lines": ("order_id", "line"),
    "shop.audit": ("id",),
}
"""What is compared, with the primary keys. The unlogged shop.basket is empty after a recovery."""

_LARGE_STOCK, _SMALL_STOCK = (120, 400), (8, 30)
_DEAR = Decimal(60)


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who buys; known by the mail address."""

    name: str
    email: str
    city: str
    country: str
    joined: datetime


@dataclass(frozen=True, slots=True)
class FirstRows:
    """Rows of one table."""

    table: str
    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


def schema_statements(tablespace: str | None = None) -> tuple[str, ...]:
    """The statements that make the tables; the orders' lines may lie in a tablespace."""
    place = f' TABLESPACE "{tablespace}"' if tablespace else ""
    return (
        "CREATE SCHEMA shop",
        "CREATE TABLE shop.customers (id bigserial PRIMARY KEY, name text NOT NULL,"
        " email text NOT NULL UNIQUE, city text NOT NULL, country char(2) NOT NULL,"
        " joined timestamptz NOT NULL, last_visit timestamptz)",
        "CREATE TABLE shop.products (id bigserial PRIMARY KEY, sku text NOT NULL UNIQUE,"
        " name text NOT NULL, price numeric(10,2) NOT NULL CHECK (price >= 0))",
        "CREATE TABLE shop.stock (product_id bigint PRIMARY KEY REFERENCES shop.products,"
        " quantity integer NOT NULL CHECK (quantity >= 0), reorder_at integer NOT NULL,"
        " changed timestamptz NOT NULL)",
        "CREATE TABLE shop.orders (id bigserial PRIMARY KEY, number text NOT NULL UNIQUE,"
        " customer_id bigint NOT NULL REFERENCES shop.customers, ordered timestamptz NOT NULL,"
        " status text NOT NULL"
        " CHECK (status IN ('open', 'paid', 'shipped', 'cancelled')),"
        " total numeric(10,2) NOT NULL, shipping numeric(6,2) NOT NULL,"
        " payment text, paid timestamptz, shipped timestamptz)",
        "CREATE INDEX orders_customer ON shop.orders (customer_id)",
        "CREATE TABLE shop.order_lines (order_id bigint NOT NULL REFERENCES shop.orders,"
        " line integer NOT NULL, product_id bigint NOT NULL REFERENCES shop.products,"
        " quantity integer NOT NULL CHECK (quantity > 0), price numeric(10,2) NOT NULL,"
        f" PRIMARY KEY (order_id, line)){place}",
        "CREATE TABLE shop.audit (id bigserial PRIMARY KEY, at timestamptz NOT NULL,"
        " who text NOT NULL, what text NOT NULL)",
        "CREATE UNLOGGED TABLE shop.basket (customer_id bigint NOT NULL, product_id bigint"
        " NOT NULL, quantity integer NOT NULL, added timestamptz NOT NULL,"
        " PRIMARY KEY (customer_id, product_id))",
    )


def opening(seed: int, customers: int) -> tuple[FirstRows, ...]:
    """The rows that the shop opens with; serial keys are given by the database, from 1."""
    stock = first_stock(seed)
    products = tuple((sku, name, Decimal(price)) for sku, name, price in PRODUCTS)
    return (
        FirstRows(
            "shop.customers",
            ("name", "email", "city", "country", "joined"),
            tuple(
                (one.name, one.email, one.city, one.country, one.joined)
                for one in first_customers(seed, customers)
            ),
        ),
        FirstRows("shop.products", ("sku", "name", "price"), products),
        FirstRows(
            "shop.stock",
            ("product_id", "quantity", "reorder_at", "changed"),
            tuple(
                (number, stock[sku], max(4, stock[sku] // 5), OPENED)
                for number, (sku, _, _) in enumerate(products, 1)
            ),
        ),
    )


def first_stock(seed: int) -> dict[str, int]:
    """How many of each product there are at first: few of what is dear."""
    chance = _chance(f"stock {seed}")
    return {
        sku: chance.randint(*(_SMALL_STOCK if Decimal(price) > _DEAR else _LARGE_STOCK))
        for sku, _, price in PRODUCTS
    }


def first_customers(seed: int, count: int) -> tuple[Customer, ...]:
    """Those who were there before the shop opened."""
    chance = _chance(f"customers {seed}")
    day = timedelta(days=1)
    joined = sorted(OPENED - chance.random() * 900 * day for _ in range(count))
    return tuple(
        new_customer(chance, number, at.replace(microsecond=0)) for number, at in enumerate(joined)
    )


def new_customer(chance: random.Random, number: int, joined: datetime) -> Customer:
    """Somebody new; `number` keeps the mail address apart from all others."""
    first, last = chance.choice(FIRST_NAMES), chance.choice(LAST_NAMES)
    city, country = chance.choice(PLACES)
    mail = f"{first}.{last}{number}@{chance.choice(MAIL)}".lower()
    return Customer(f"{first} {last}", mail, city, country, joined)


def _chance(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - it has to be the same each time
