"""An answer beside the best one, row by row: what is lost, and what must not be there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pitr_tui.lab.result import RowDifference, TableCount
from pitr_tui.lab.truth import Commit, Rows, Truth

_NOBODY = "nobody in the shop ever wrote this"


@dataclass(frozen=True, slots=True)
class Comparison:
    """`extra` are good rows newer than the best answer's: they are no mistake."""

    lost: tuple[RowDifference, ...]
    wrong: tuple[RowDifference, ...]
    extra: int
    missing_tables: tuple[str, ...]
    tables: tuple[TableCount, ...]

    @property
    def mistakes(self) -> tuple[tuple[str, str], ...]:
        """The rows that are not as they should be: table and key."""
        return tuple((one.table, one.key) for one in (*self.lost, *self.wrong))

    @property
    def kept(self) -> int:
        """How many of the rows that were wanted are there, or are there in a newer state."""
        return kept_rows(self.tables, (*self.lost, *self.wrong))


def kept_rows(tables: Iterable[TableCount], differences: Iterable[RowDifference]) -> int:
    """How many of the expected rows are in none of the differences."""
    missed = sum(1 for one in differences if one.expected is not None)
    return sum(table.expected for table in tables) - missed


@dataclass(frozen=True, slots=True)
class _Verdict:
    """On one row: `wrong`, else `lost`, else it is fine."""

    why: str = ""
    wrong: bool = False

    @property
    def fine(self) -> bool:
        return not self.why


def compare(expected: Rows, found: Rows, truth: Truth, newest: int) -> Comparison:
    """Compare what was `found` with what is `expected`.

    `truth` tells who wrote a row that differs; good commits behind the one numbered `newest`
    are better than what was asked for. Tables that no commit of the lab knows are somebody's own.
    """
    lost: list[RowDifference] = []
    wrong: list[RowDifference] = []
    extra, counts = 0, []
    tables = sorted(set(expected) | (set(found) & _known_tables(truth)))
    for table in tables:
        before = len(lost), len(wrong)
        here, there = found.get(table), expected.get(table, {})
        of_table = _table_itself(table, expected, found, truth, newest)
        if of_table is not None:
            difference = RowDifference(table, "", None, None, of_table.why)
            (wrong if of_table.wrong else lost).append(difference)
        for key in sorted(set(there) | set(here or ())):
            wanted, got = there.get(key), (here or {}).get(key)
            if wanted == got:
                continue
            verdict = _judge(truth, table, key, (wanted, got), newest)
            if verdict.fine:
                extra += 1
                continue
            difference = RowDifference(table, key, wanted, got, verdict.why)
            (wrong if verdict.wrong else lost).append(difference)
        more = len(lost) - before[0], len(wrong) - before[1]
        counts.append(TableCount(table, len(there), None if here is None else len(here), *more))
    missing = tuple(table for table in expected if table not in found)
    return Comparison(tuple(lost), tuple(wrong), extra, missing, tuple(counts))


def _known_tables(truth: Truth) -> set[str]:
    known: set[str] = set()
    for commit in truth.commits:
        known.update(commit.changes, commit.created, commit.dropped)
    return known


def _table_itself(
    table: str, expected: Rows, found: Rows, truth: Truth, newest: int
) -> _Verdict | None:
    """What is to be said of a whole table; of one with rows that is missing, its rows tell."""
    if table not in found:
        return None if expected[table] else _Verdict("the table is not there")
    if table in expected:
        return None
    makers = [commit for commit in truth.commits if table in commit.created]
    bad = next((commit for commit in makers if not commit.good), None)
    if bad is not None:
        return _Verdict(f"the table was made by: {bad.what}", wrong=True)
    if any(commit.number > newest for commit in makers):
        return None
    return _Verdict("the table should be gone by now")


def _judge(
    truth: Truth, table: str, key: str, texts: tuple[str | None, str | None], newest: int
) -> _Verdict:
    """Why a row is not as it is wanted."""
    _, got = texts
    history = truth.versions(table, key)
    writers = [commit for commit, text in history if text == got]
    good = [commit for commit in writers if commit.good]
    later = [commit for commit in good if commit.number > newest]
    tainted = [(commit, _bad_before(commit, history)) for commit in later]
    if any(bad is None for _, bad in tainted):
        return _Verdict()
    bad = next((commit for commit in writers if not commit.good), None)
    if got is None:
        return _Verdict("the row is not there" if bad is None else f"taken away by: {bad.what}")
    if any(commit.number <= newest for commit in good):
        older = "an older state of the row" if texts[0] is not None else "it should be gone by now"
        return _Verdict(older)
    if bad is not None:
        return _Verdict(f"written by: {bad.what}", wrong=True)
    for commit, before in tainted:
        if before is not None:
            return _Verdict(f"{commit.what}, built on: {before.what}", wrong=True)
    return _Verdict(_NOBODY, wrong=True)


def _bad_before(commit: Commit, history: tuple[tuple[Commit, str | None], ...]) -> Commit | None:
    """What a good commit of a row was built upon, if that was bad."""
    return next(
        (
            other
            for other, _ in history
            if not other.good and other.timeline == commit.timeline and other.number < commit.number
        ),
        None,
    )
