"""The shop's work is decided by its seed, and it makes sense."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from decimal import Decimal

from pitr_tui.lab.shop import TABLES, Shop, ShopTransaction, opening, schema_statements
from pitr_tui.lab.shop_deeds import Till
from pitr_tui.lab.shop_goods import PRODUCTS


class Listener:
    """A cursor that answers every statement with as many rows as are expected, and listens."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[object, ...]]] = []
        self._rows: list[tuple[int, ...]] = []

    def execute(self, statement: str, values: tuple[object, ...] = ()) -> None:
        self.heard.append((statement, tuple(values)))
        lists = [one for one in values if isinstance(one, list)]
        self._rows = [(1, place) for place in range(1, 1 + len(lists[0] if lists else "1"))]
        if "RETURNING id\n" in f"{statement.strip()}\n":
            self._rows = [(1,)]

    def fetchall(self) -> list[tuple[int, ...]]:
        return self._rows

    def fetchone(self) -> tuple[int, ...] | None:
        return self._rows[0]


def told(transaction: ShopTransaction) -> list[tuple[str, tuple[object, ...]]]:
    """All that a transaction says to the database, with what happens meanwhile."""
    listener = Listener()
    transaction.run(Till(listener))  # type: ignore[arg-type]
    other = told(transaction.meanwhile) if transaction.meanwhile else []
    return listener.heard + other


def work(seed: int, count: int, first: int = 0) -> list[ShopTransaction]:
    return list(itertools.islice(Shop(seed, 50), first, first + count))


def test_the_same_seed_says_the_same() -> None:
    assert [told(one) for one in work(4, 400)] == [told(one) for one in work(4, 400)]
    assert [told(one) for one in work(4, 400)] != [told(one) for one in work(5, 400)]
    assert opening(4, 50) == opening(4, 50)
    assert opening(4, 50) != opening(5, 50)


def test_one_can_go_on_at_any_transaction() -> None:
    whole = [told(one) for one in work(4, 300)]
    for first in (0, 1, 17, 299):
        assert [told(one) for one in work(4, 300 - first, first)] == whole[first:]


def test_iterating_again_begins_again() -> None:
    shop = Shop(4, 50)
    first = [one.what for one in itertools.islice(shop, 100)]
    assert [one.what for one in itertools.islice(shop, 100)] == first


def test_every_kind_of_work_comes_up() -> None:
    items = work(4, 1000)
    kinds = Counter(one.what.split()[0] for one in items if not one.rolls_back)
    wanted = {"order", "payment", "shipment", "cancellation", "basket", "new", "price", "delivery"}
    assert set(kinds) == wanted
    assert min(kinds.values()) >= 5
    assert 10 < sum(one.rolls_back for one in items) < 80
    assert 10 < sum(one.meanwhile is not None for one in items) < 80


def test_what_overlaps_shares_no_row() -> None:
    for one in work(4, 1000):
        if one.meanwhile is not None:
            touched = []
            for transaction in (one, one.meanwhile):
                till = Till(Listener())  # type: ignore[arg-type]
                transaction.run(till)
                touched.append(set(till.touched) - {"shop.audit"})
            assert not touched[0] & touched[1]


def test_the_stock_never_runs_out_and_prices_stay_sensible() -> None:
    first = next(one for one in opening(9, 50) if one.table == "shop.stock")
    skus = [sku for sku, _, _ in PRODUCTS]
    stock = {skus[int(str(row[0])) - 1]: int(str(row[1])) for row in first.rows}
    cancelled: dict[str, dict[str, int]] = {}
    for one in work(9, 5000):
        for statement, values in told(one):
            if "UPDATE shop.stock s SET quantity = s.quantity + v" in statement:
                moved: dict[str, int] = dict(zip(*values[1:], strict=True))
                if one.rolls_back:
                    continue
                for sku, quantity in moved.items():
                    stock[sku] += quantity
                if one.what.startswith("order"):
                    cancelled[one.what.split()[1].rstrip(",")] = moved
            elif "status = 'cancelled'" in statement:
                for sku, quantity in cancelled[str(values[0])].items():
                    stock[sku] -= quantity
            elif "SET price" in statement:
                assert Decimal("0.50") <= Decimal(str(values[0])) <= 5000
        assert min(stock.values()) >= 0
    assert max(stock.values()) < 2000


def test_customers_have_mail_addresses_of_their_own() -> None:
    first = next(one for one in opening(4, 500) if one.table == "shop.customers")
    addresses = [row[first.columns.index("email")] for row in first.rows]
    new = [
        values[1]
        for one in itertools.islice(Shop(4, 500), 3000)
        for statement, values in told(one)
        if "INSERT INTO shop.customers" in statement
    ]
    assert len(new) > 50
    assert len({*addresses, *new}) == len(addresses) + len(new)


def test_the_tables_that_count_are_those_that_are_logged() -> None:
    statements = schema_statements("fast disks")
    made = {one.split()[2] for one in statements if one.startswith("CREATE TABLE")}
    assert made == set(TABLES)
    assert [one.split()[3] for one in statements if "UNLOGGED" in one] == ["shop.basket"]
    assert sum('TABLESPACE "fast disks"' in one for one in statements) == 1
    assert "TABLESPACE" not in "".join(schema_statements())


def test_the_work_of_a_day_is_made_in_no_time() -> None:
    started = time.process_time()
    work(4, 20_000)
    assert time.process_time() - started < 2
