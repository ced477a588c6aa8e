"""How good an answer is: its database is asked for every row, and the truth is known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab import diary
from pitr_tui.lab.answer import candidate
from pitr_tui.lab.capture import rows_of
from pitr_tui.lab.compare import Comparison, compare
from pitr_tui.lab.grade import harmed, marks_for, sentence, stake_of
from pitr_tui.lab.record import Lab, runs_of
from pitr_tui.lab.result import AroundRow, RowDifference, Score, TableCount
from pitr_tui.lab.scenario import SHOP, Answer
from pitr_tui.lab.settling import settle
from pitr_tui.lab.truth import Best, Commit, Rows, Truth, TruthWriter, Unknown
from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.events import utc_now
from pitr_tui.recovery.plan_record import Places
from pitr_tui.recovery.report import tale_of
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.recovery.verify import system_identifier
from pitr_tui.servers.sql import Database

__all__ = ["AroundRow", "RowDifference", "Score", "TableCount", "score"]

_LOCK_TIMEOUT = "2s"
_LOCKED = "lock timeout"
_NEIGHBOURS = 3
Cut = Commit | Unknown | None
PRIMARY_NOW = "the primary as it is now"


def score(lab: Lab, run_name: str | None, places: Places) -> Score:
    """Ask the answer's server for every row, compare, and write the score down.

    `run_name` None is the newest run that has reached its target. Raises RefusedError where
    there is no answer of this lab yet, or none that can be read as it stands, PitrError.
    """
    answer = candidate(lab, run_name, places)
    shop = _impatient(answer.where)
    _require_answer(lab, shop)
    truth, found = _asked(lab, shop, answer.run)
    result = scored(lab, truth, found, Effort.of(lab, answer.run, utc_now()))
    diary.keep_score(lab, result)
    return result


@dataclass(frozen=True, slots=True)
class Effort:
    """What it took to come to an answer."""

    run: str
    at: datetime
    minutes: float
    hints: int
    attempts: int
    after_answer: bool

    @classmethod
    def of(cls, lab: Lab, run: RunRecord | None, now: datetime) -> Effort:
        primary = lab.scenario.answer is Answer.PRIMARY  # it is mended behind the run's end
        reached = None if run is None or primary else _reached(run)
        others = [one for one in runs_of(lab) if run is None or one.name < run.name]
        return cls(
            run=run.name if run is not None else "",
            at=now,
            minutes=max(0.0, round(((reached or now) - lab.ready).total_seconds() / 60, 2)),
            hints=diary.hints_taken(lab),
            attempts=len(others),
            after_answer=diary.has_seen_answer(lab),
        )


@dataclass(frozen=True, slots=True)
class Yardstick:
    """What an answer is measured by: these `rows`, with all that is good up to commit `newest`."""

    truth: Truth
    best: Best
    rows: Rows
    newest: int
    on_primary: bool

    @classmethod
    def of(cls, truth: Truth, answer: Answer) -> Yardstick:
        """Raises PitrError when nothing good can be reached."""
        best, on_primary = truth.best(), answer is Answer.PRIMARY
        last = truth.main[-1] if on_primary else best.last
        rows = truth.repaired() if on_primary else best.rows
        return cls(truth, best, rows, last.number if last is not None else 0, on_primary)

    @property
    def possible(self) -> tuple[Commit, ...]:
        """All commits, with the uncertain ones: those may be there, and nobody has to have them."""
        return self.truth.commits + tuple(intent.commit for intent in self.truth.uncertain)

    @property
    def stake(self) -> int:
        return stake_of(self.truth, self.best, self.newest)

    @property
    def best_words(self) -> str:
        return _best_words(self.best, self.on_primary)

    def compared(self, found: Rows) -> Comparison:
        return compare(self.rows, found, replace(self.truth, commits=self.possible), self.newest)

    def marks(self, compared: Comparison) -> int:
        return marks_for(compared.mistakes, self.stake, harmed(self.truth), compared.kept)

    def around(self, cut: Cut) -> tuple[AroundRow, ...]:
        return _around(self.truth, None if self.on_primary else self.best.last, cut)


def scored(lab: Lab, truth: Truth, found: Rows, effort: Effort) -> Score:
    """The score of these rows."""
    yardstick = Yardstick.of(truth, lab.scenario.answer)
    compared = yardstick.compared(found)
    cut = Unknown.CUT if yardstick.on_primary else truth.cut_of(found)
    return Score(
        lab=lab.name,
        scenario=lab.scenario.name,
        seed=lab.seed,
        version=lab.version.major,
        marks=yardstick.marks(compared),
        stake=yardstick.stake,
        lost=compared.lost,
        wrong=compared.wrong,
        extra=compared.extra,
        missing_tables=compared.missing_tables,
        tables=compared.tables,
        minutes=effort.minutes,
        hints=effort.hints,
        attempts=effort.attempts,
        after_answer=effort.after_answer,
        cut=PRIMARY_NOW if yardstick.on_primary else cut_words(cut),
        best=yardstick.best_words,
        sentence=sentence(compared, yardstick.best, cut),
        expert=lab.expert,
        around=yardstick.around(cut),
        run=effort.run,
        at=effort.at,
        truth_lines=truth.lines,
    )


def _asked(lab: Lab, shop: Database, run: RunRecord | None) -> tuple[Truth, Rows]:
    """The truth and the rows; nobody of the lab commits meanwhile where the primary is asked."""
    with TruthWriter(lab.truth_path) as writer:
        with suppress(PitrError):  # the primary may be away, and then it stays uncertain
            settle(writer, lab.database)
        if lab.scenario.answer is not Answer.PRIMARY:
            return lab.truth(), _rows(shop, run)
        with writer.locked():
            return lab.truth(), _rows(shop, run)


def _rows(shop: Database, run: RunRecord | None) -> Rows:
    with _told_of_locks(shop, run):
        return rows_of(shop)


@contextmanager
def _told_of_locks(shop: Database, run: RunRecord | None) -> Iterator[None]:
    try:
        yield
    except PitrError as error:
        if _LOCKED not in error.why:
            raise
        if shop.named("postgres").row("SELECT pg_is_in_recovery()")[0]:
            name = run.name if run is not None else "RUN"
            raise RefusedError(
                "a table of the secondary cannot be read while it is paused",
                "replay has passed the lock of the accident's transaction, but not its commit",
                f"open it for writing with `pitr promote {name}`, then score again",
            ) from error
        raise RefusedError(
            "a table cannot be read",
            "a session of somebody's has locked it",
            "end that transaction (COMMIT or ROLLBACK), then score again",
        ) from error


def _impatient(where: Database) -> Database:
    """The shop there, by connections that do not wait for a lock for ever."""
    options = f"{where.parameters.get('options', '')} -c lock_timeout={_LOCK_TIMEOUT}".strip()
    return Database({**where.parameters, "dbname": SHOP, "options": options})


def _require_answer(lab: Lab, shop: Database) -> None:
    """Raises RefusedError for a server that is not where this lab's answer stands."""
    server = shop.named("postgres")
    if system_identifier(server) != lab.system_identifier:
        raise RefusedError(
            "this server is not of the lab that runs",
            f"it has another system identifier than the lab {lab.name}",
            "recover a backup of this lab, then score that",
        )
    if lab.scenario.answer is Answer.PRIMARY:
        return
    place = str(server.row("SELECT current_setting('data_directory')")[0])
    if place == str(lab.server.data_directory):
        raise RefusedError(
            "this is the lab's primary, and the answer stands on a recovered secondary",
            "on the primary the accident has happened",
            "`pitr lab open` leads to a recovery",
        )


def _reached(run: RunRecord) -> datetime | None:
    """When the run came to the target at which it is now, as its journal tells."""
    last = tale_of(run.events()).last
    return last.stopped or (last.finished[0] if last.finished else None)


def cut_words(cut: Cut) -> str:
    """Where an answer ends."""
    if isinstance(cut, Unknown):
        return "no state that the primary ever was in"
    return "before the first transaction" if cut is None else f"right after {_named(cut)}"


def _best_words(best: Best, on_primary: bool) -> str:
    if on_primary:
        bad = best.first_bad
        without = f", without what was done by: {one_line(bad.what)}" if bad else ""
        return f"everything good until now{without}"
    return cut_words(best.last)


def _named(commit: Commit) -> str:
    xid = "" if commit.xid is None else f"transaction {commit.xid}, "
    return f"“{one_line(commit.what)}” ({xid}{commit.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"


def _around(truth: Truth, wanted: Commit | None, cut: Cut) -> tuple[AroundRow, ...]:
    """The transactions around the `wanted` cut, the accident and the answer's own cut."""
    main = truth.main
    ends = [one for one in (wanted, truth.first_bad, cut) if isinstance(one, Commit)]
    shown: set[int] = set()
    for place, commit in enumerate(main):
        if any(commit.number == end.number for end in ends):
            shown.update(range(place - _NEIGHBOURS, place + _NEIGHBOURS + 1))
    return tuple(
        AroundRow(
            number=one.number,
            xid=one.xid,
            lsn=str(one.lsn),
            at=one.at,
            what=one.what,
            good=one.good,
            marker=_marker(one, wanted, cut),
        )
        for place, one in enumerate(main)
        if place in shown
    )


def _marker(commit: Commit, wanted: Commit | None, cut: Cut) -> str:
    here = isinstance(cut, Commit) and cut.number == commit.number
    best = wanted is not None and wanted.number == commit.number
    if here and best:
        return "yours ends here, as the best answer does"
    if here:
        return "yours ends here"
    if best:
        return "the best answer ends here"
    return "" if commit.good else "must not be there"
