"""From what is lost and what is wrong to marks, and to one sentence in plain words."""

from __future__ import annotations

from collections.abc import Collection

from pitr_tui.lab.compare import Comparison
from pitr_tui.lab.truth import Best, Commit, Truth, Unknown
from pitr_tui.wording import count_text

FULL = 100
_ALMOST = 99

Row = tuple[str, str]
"""A table and a key in it."""


def stake_of(truth: Truth, best: Best, newest: int) -> int:
    """How many rows with good work in them a recovery has to bring back, one at the least.

    That work lies between the oldest whole backup and the commit numbered `newest`.
    """
    start = min((one.stop for one in truth.backups if one.whole), default=best.backup.stop)
    good = (one for one in truth.main if one.good and one.lsn > start and one.number <= newest)
    rows = {(table, key) for one in good for table, of in one.changes.items() for key in of}
    return max(1, len(rows))


def harmed(truth: Truth) -> frozenset[Row]:
    """The rows that the accident touched, with those of the tables that it dropped."""
    found: set[Row] = set()
    for commit in truth.main:
        if commit.good:
            continue
        found |= {(table, key) for table, changed in commit.changes.items() for key in changed}
        if commit.dropped:
            before = truth.rows_after(commit.number - 1)
            for table in commit.dropped:
                found |= {(table, key) for key in before.get(table) or ("",)}
    return frozenset(found)


def marks_for(mistakes: Collection[Row], stake: int, bad: frozenset[Row], kept: int) -> int:
    """100 only without any mistake; else the share of the harm undone times that of good kept.

    So who undoes nothing of the accident has nothing, and so has who has `kept` no wanted row.

    >>> bad = frozenset({("t", "1"), ("t", "2")})
    >>> marks_for([], 10, bad, 9), marks_for([("u", "1")], 100_000, bad, 9)
    (100, 99)
    >>> marks_for([("t", "1")], 10, bad, 9), marks_for(list(bad), 10, bad, 9)
    (50, 0)
    >>> marks_for([("t", "1"), *(("u", str(n)) for n in range(5))], 10, bad, 9)
    25
    """
    if not mistakes:
        return FULL
    if not kept:
        return 0
    left = sum(1 for one in mistakes if one in bad)
    lost = min(stake, len(mistakes) - left)
    undone = len(bad) - left if bad else 1
    return min(_ALMOST, FULL * undone * (stake - lost) // (max(1, len(bad)) * stake))


def sentence(compared: Comparison, best: Best, cut: Commit | Unknown | None) -> str:
    """How the answer is, in one sentence."""
    lost, wrong = len(compared.lost), len(compared.wrong)
    if not lost and not wrong:
        return "Everything good that could be reached is there, and nothing that is wrong."
    if compared.missing_tables and len(compared.missing_tables) == len(compared.tables):
        return f"Nothing of the shop is there: {count_text(lost, 'good row')} are lost."
    parts = []
    if lost:
        parts.append(f"{count_text(lost, 'good row')} {_is(lost)} lost")
    if wrong:
        parts.append(f"{count_text(wrong, 'row')} {_is(wrong)} there that must not be")
    numbers = ", and ".join(parts)
    return f"{_why(compared, best, cut)}: {numbers}."


def _why(compared: Comparison, best: Best, cut: Commit | Unknown | None) -> str:
    last = best.last.number if best.last is not None else 0
    bad = best.first_bad
    if compared.missing_tables:
        many = "is" if len(compared.missing_tables) == 1 else "are"
        return f"{', '.join(compared.missing_tables)} {many} missing"
    if isinstance(cut, Commit) and bad is not None and cut.number >= bad.number:
        return f"The answer goes past the accident ({bad.what})"
    if isinstance(cut, Commit) and cut.number < last:
        return "The answer ends too early"
    if cut is None:
        return "The answer ends before the shop's first transaction"
    return "The answer is not a state that the shop was ever meant to be in"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
