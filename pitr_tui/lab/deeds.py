"""Does to a lab's world what a scenario's steps say, and writes the truth about it."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.lab import hurt
from pitr_tui.lab.ground import Ground
from pitr_tui.lab.recorder import Recorder
from pitr_tui.lab.scenario import (
    Accident,
    Archiving,
    Branch,
    Deed,
    EndPrimary,
    GoodSql,
    HurtBackup,
    HurtWal,
    Note,
    PrimaryEnd,
    Quiet,
    RestorePoint,
    Settings,
    Switch,
    TakeBackup,
    Work,
)
from pitr_tui.lab.shop import ShopTransaction
from pitr_tui.lab.trial import try_recovery
from pitr_tui.lab.truth import BackupTaken, WalEnd
from pitr_tui.postgres.lsn import Lsn

_BROKEN_COMMAND = "test -d /mnt/wal-archive && cp %p /mnt/wal-archive/%f"
_RELOAD_SECONDS = 20
_POLL = 0.02
_BESIDE = timedelta(milliseconds=30)  # so much behind a whole second the next commit comes


@dataclass(slots=True)
class Player:
    """Performs one step after the other. `pace` is the seconds that a transaction takes.

    `told` is called after each transaction of the shop.
    """

    ground: Ground
    recorder: Recorder
    items: Iterator[tuple[int, ShopTransaction]]
    pace: float
    cancel: threading.Event
    told: Callable[[int], None]
    archiving: bool = True
    primary: str = "runs"
    _backups: dict[str, BackupTaken] = field(default_factory=dict, init=False)
    _notes: dict[str, Lsn] = field(default_factory=dict, init=False)
    _command: str = field(default="", init=False)

    def perform(self, deed: Deed) -> None:
        """Raises PitrError, CancelledError."""
        match deed:
            case Work():
                self._work(deed.transactions)
            case TakeBackup():
                self._take_backup(deed.name)
            case GoodSql():
                self.recorder.statements(deed.statements, deed.what, deed=deed.name)
            case Accident():
                self._accident(deed)
            case Note():
                self._note(deed.name)
            case RestorePoint():
                database = self.ground.server.database
                database.rows("SELECT pg_create_restore_point(%s)", [deed.name])
            case Switch():
                self.ground.prove_archiving(self.cancel)
            case Settings():
                self._set(deed)
            case Archiving():
                self._set_archiving(deed.works)
            case HurtWal():
                broken = hurt.hurt_wal(
                    self.ground, self._notes[deed.note], missing=deed.missing, cancel=self.cancel
                )
                self.recorder.writer.write(broken)
            case HurtBackup():
                hurt.hurt_backup(self.ground.backup_directory / deed.backup, deed.how)
                self.recorder.writer.write(replace(self._backups[deed.backup], whole=False))
            case Branch():
                try_recovery(self.ground, self.recorder.writer, deed, self.cancel)
            case Quiet():
                self._wait(deed.seconds)
            case EndPrimary():
                self._end(deed.how)

    def _work(self, transactions: int) -> None:
        due = time.monotonic()
        for _ in range(transactions):
            self._wait(due - time.monotonic())
            due = max(due + self.pace, time.monotonic())
            self.recorder.shop(*next(self.items))
            self.told(1)

    def _accident(self, deed: Accident) -> None:
        if deed.outside:
            self.recorder.outside(deed.outside, deed.what, deed=deed.name)
            return
        for number, statements in enumerate(deed.transactions):
            if number:
                self._work(deed.work_between)
            self.recorder.statements(statements, deed.what, good=False, deed=deed.name)

    def _take_backup(self, name: str) -> None:
        backup = self.ground.take_backup(name, self.cancel)
        taken = BackupTaken(
            name=name,
            start=backup.label.start_lsn,
            stop=backup.stop_lsn or self.recorder.here().lsn,
            timeline=backup.label.timeline,
            whole=True,
        )
        self._backups[name] = taken
        self.recorder.writer.write(taken)

    def _note(self, name: str) -> None:
        """A whole second: what was committed so far is before it, what comes now is behind it."""
        now = self.recorder.here().at
        whole = now.replace(microsecond=0) + timedelta(seconds=1)
        self._wait((whole - now + _BESIDE).total_seconds())
        noted = self.recorder.note(name)
        self._notes[name] = noted.lsn
        self.recorder.writer.write(replace(noted, at=whole))

    def _set(self, deed: Settings) -> None:
        database = self.ground.server.database
        for name, value in deed.values.items():  # names that the file's reader has looked at
            database.rows(f"ALTER SYSTEM SET {name} = %s", [value])
        database.rows("SELECT pg_reload_conf()")
        query = "SELECT count(*) FROM pg_settings WHERE name = ANY (%s) AND context = 'postmaster'"
        if database.row(query, [list(deed.values)])[0]:
            self.recorder.close()
            self.ground.restart()

    def _set_archiving(self, works: bool) -> None:
        database = self.ground.server.database
        if not self._command:
            self._command = database.row("SHOW archive_command")[0]
        command = self._command if works else _BROKEN_COMMAND
        database.rows("ALTER SYSTEM SET archive_command = %s", [command])
        database.rows("SELECT pg_reload_conf()")
        deadline = time.monotonic() + _RELOAD_SECONDS
        while database.row("SHOW archive_command")[0] != command:
            if time.monotonic() > deadline:
                raise PitrError(
                    "the primary did not take up another archive_command",
                    f"{_RELOAD_SECONDS} s after it was told to read its settings again",
                )
            self._wait(_POLL)
        self.archiving = works

    def _end(self, how: PrimaryEnd) -> None:
        self.recorder.close()
        server = self.ground.server
        if how is PrimaryEnd.STOPPED:
            server.stop()
        else:
            server.kill()
        if how is PrimaryEnd.LOST:
            self.recorder.writer.write(WalEnd(hurt.archived_end(self.ground)))
            shutil.rmtree(server.data_directory)
        self.primary = str(how)

    def _wait(self, seconds: float) -> None:
        if self.cancel.wait(max(0.0, seconds)):
            raise CancelledError("the lab was cancelled")
