"""Scores of real answers: the database is asked, and a wrong answer gets what it deserves."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from pitr_tui.errors import RefusedError
from pitr_tui.lab import ending, record, worker
from pitr_tui.lab.answer import Candidate
from pitr_tui.lab.class_list import class_list
from pitr_tui.lab.export import export
from pitr_tui.lab.ground import lab_directory
from pitr_tui.lab.play import StartOrder, start
from pitr_tui.lab.record import Lab
from pitr_tui.lab.result import Score
from pitr_tui.lab.scenario_file import find
from pitr_tui.lab.score import score
from pitr_tui.postgres.target import AtXid, RecoveryTarget, TargetAction
from pitr_tui.recovery.fate import discard_run, promote_run
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.recovery.runs import run_named
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import server_user
from pitr_tui.storage.path import ReadPath
from tests.integration.conftest import installed
from tests.local import local

pytestmark = pytest.mark.integration


class Here:
    """Nothing of these labs lies behind an engine."""

    def engine(self) -> object:
        raise AssertionError("no engine is needed")

    def path(self, place: str, image: str) -> ReadPath:
        return Path(place)


@dataclass
class Trainee:
    """Recovers to where a test says, and asks for scores."""

    lab: Lab
    recovered: int = 0

    def recover(self, target: RecoveryTarget) -> RecoveryPlan:
        self.recovered += 1
        archive, server = WalArchive(self.lab.archive_directory), self.lab.server
        plan = RecoveryPlan(
            backup=open_backup(self.lab.backup_directory / "nightly", archive),
            archive=archive,
            secondary=LocalSecondary(
                self.lab.directory / f"recovered-{self.recovered}", server.installation, server.user
            ),
            target=target,
            action=TargetAction.PAUSE,
        )
        journal = Journal.create(lambda _: None)
        try:
            recover(plan, journal, threading.Event())
        finally:
            journal.close()
        return plan

    def score(self, run: str | None = None) -> Score:
        return score(self.lab, run, Here())  # type: ignore[arg-type]


@contextmanager
def playing(scenario: str) -> Iterator[Trainee]:
    user = server_user()
    directory = lab_directory(None, user)
    order = StartOrder(find(scenario), 7, installed("18"), user, directory, rate=0)
    lab = start(order, lambda _: None, threading.Event())
    try:
        yield Trainee(lab)
    finally:
        if record.current() is not None:
            ending.stop(lab)


def test_the_answers_to_a_dropped_table() -> None:
    with playing("dropped-table") as trainee:
        lab, truth = trainee.lab, trainee.lab.truth()
        bad, early = truth.first_bad, truth.main[len(truth.main) // 2]
        assert bad is not None
        assert bad.xid is not None
        assert early.xid is not None

        plan = trainee.recover(AtXid(bad.xid, inclusive=False))
        with pytest.raises(RefusedError, match="while it is paused") as refused:
            trainee.score()
        first = run_named("last")
        assert f"pitr promote {first.name}" in refused.value.hint
        promote_run(first, plan.secondary)
        best = trainee.score()
        assert (best.marks, best.lost, best.wrong) == (100, (), ())
        assert (best.run, best.attempts, best.after_answer) == (first.name, 0, False)

        shop = plan.secondary.database.named("shop")
        shop.rows("DELETE FROM shop.audit WHERE ctid = (SELECT min(ctid) FROM shop.audit)")
        shop.rows("UPDATE shop.stock SET quantity = quantity + 1000")
        typed = trainee.score(first.name)
        assert len(typed.lost) == 1
        assert {one.why for one in typed.wrong} == {"nobody in the shop ever wrote this"}
        assert 0 < typed.marks < 100
        assert typed.after_answer

        trainee.recover(AtXid(early.xid, inclusive=True))
        too_early = trainee.score()
        assert f"transaction {early.xid}," in too_early.cut
        assert too_early.wrong == ()
        assert too_early.attempts == 1
        assert 0 < too_early.marks < 100

        late = trainee.recover(AtXid(bad.xid, inclusive=True))
        too_late = trainee.score()
        assert too_late.missing_tables == ("shop.orders",)
        assert len(too_late.lost) == len(truth.best().rows["shop.orders"])

        local(late).server.stop()
        with pytest.raises(RefusedError, match="does not run") as stopped:
            trainee.score()
        assert "pitr resume" in stopped.value.hint
        discard_run(run_named("last"), late.secondary)
        assert trainee.score().cut == too_early.cut  # the newest that is still there
        primary = Candidate(lab.server.database, None)
        with (
            patch("pitr_tui.lab.score.candidate", lambda *_: primary),
            pytest.raises(RefusedError, match="is the lab's primary"),
        ):
            trainee.score()

        assert ending.stop(lab) == ()
        assert not lab.directory.exists()
        assert record.current() is None


def test_a_living_primary_is_scored_between_two_commits(tmp_path: Path) -> None:
    with playing("keep-later-rows") as trainee:
        lab = trainee.lab
        lost = trainee.lab.truth().repaired()
        ended = threading.Event()
        job = worker.Job(
            lab.database, lab.truth_path, lab.seed, lab.scenario.world.customers, 0, rate=300
        )
        working = threading.Thread(target=worker.work, args=(job, ended))
        working.start()
        try:
            scores = [trainee.score() for _ in range(5)]
        finally:
            ended.set()
            working.join()
        (row,) = class_list([export(lab, None, tmp_path, "Ada")])  # the truth has grown
        assert (row.problem, row.marks) == ("", scores[-1].marks)
        rows = {table for one in scores for table in one.missing_tables}
        assert rows
        assert rows <= set(lost)
        for one in scores:
            assert one.wrong == ()
            assert {row.table for row in one.lost} == rows
            assert one.marks < 100
        counts = [sum(table.expected for table in one.tables) for one in scores]
        assert counts == sorted(counts)
        assert counts[0] < counts[-1]  # the shop has gone on meanwhile
