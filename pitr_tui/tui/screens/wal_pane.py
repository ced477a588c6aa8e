"""A step that needs to know what the WAL says: it reads it, and keeps that in the session."""

from __future__ import annotations

from pitr_tui.errors import PitrError
from pitr_tui.repositories.backups import Backup
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.tui.screens import reading
from pitr_tui.tui.screens.step import StepPane
from pitr_tui.tui.session import WalStory
from pitr_tui.wal.chronicle import Chronicle

_GROUP = "wal"


class WalPane(StepPane):
    """Looks at the archive, and reads it if that is new. Subclasses give the three hooks."""

    def wal_told(self) -> None:
        """There is something new, and mostly more to come."""

    def wal_known(self) -> None:
        """Everything is known that can be."""

    def wal_unreadable(self, error: PitrError) -> None:
        """The archive, or the WAL in it, could not be read."""
        self.show_problem(error)
        self.wal_told()

    @property
    def wal(self) -> WalStory:
        return self.session.story_of_wal

    def leave(self) -> None:
        """The next step reads what it needs itself."""
        self._close(_GROUP)
        self.wal.reads = False

    @property
    def at_work(self) -> str:
        """Reading changes nothing: nobody has to be asked before it is given up."""
        reads = _GROUP in self._jobs and self._jobs[_GROUP].shown
        return "" if reads else super().at_work

    def read_wal(self, *, again: bool = False) -> None:
        """See what is there; read what happened if that was not done yet, or `again`."""
        story = self.wal
        if again:
            story.asked = None
        story.reads = False
        session = self.session
        self.run_job(
            lambda emit, cancel: reading.survey(session, cancel),
            on_done=self._surveyed,
            on_failed=self.wal_unreadable,
            busy="" if story.asked is not None else "looking at the archive",
            group=_GROUP,
        )

    def _surveyed(self, surveyed: Surveyed) -> None:
        story, before = self.wal, self.wal.surveyed
        asked = reading.asked_of(self.session, surveyed)
        if before is not None and before.archive.directory != surveyed.archive.directory:
            story.forget()
            asked = reading.asked_of(self.session, surveyed)
        story.surveyed = surveyed
        if asked == story.asked:
            self.wal_told()
            self.wal_known()
            return
        story.reads = True
        backup, branch = reading.begin_of_reading(surveyed, self.session), story.branch

        def done(chronicle: Chronicle) -> None:
            story.chronicle, story.asked, story.reads = chronicle, asked, False
            self.wal_told()
            self.wal_known()

        def failed(error: PitrError) -> None:
            story.reads = False
            self.wal_unreadable(error)

        self.wal_told()
        self.run_job(
            lambda emit, cancel: reading.read(surveyed, backup, branch, emit, cancel),
            on_done=done,
            on_events=self._read_on,
            on_failed=failed,
            busy="reading the WAL",
            cancel_hint="esc stops it",
            group=_GROUP,
        )

    def _read_on(self, news: list[reading.News]) -> None:
        """Of several snapshots only the last one is drawn."""
        found = [one for one in news if isinstance(one, Chronicle)]
        if found:
            self.wal.chronicle = found[-1]
            self.wal_told()

    def older_backup(self) -> Backup | None:
        """From which more could be read than was; None when everything was."""
        surveyed = self.wal.surveyed
        if surveyed is None:
            return None
        return reading.older_backup(surveyed, reading.begin_of_reading(surveyed, self.session))

    def read_older(self) -> None:
        """Read from the backup before the one with which the reading began."""
        older = self.older_backup()
        if older is not None:
            self.wal.read_from = older
            self.read_wal(again=True)

    @property
    def has_branches(self) -> bool:
        return self.wal.surveyed is not None and len(reading.branches(self.wal.surveyed)) > 1

    def read_other_branch(self) -> None:
        """Follow the next timeline that has WAL of its own."""
        story = self.wal
        if story.surveyed is None or not self.has_branches:
            return
        known = reading.branches(story.surveyed)
        now = story.branch or (story.chronicle.timeline if story.chronicle else known[-1])
        at = known.index(now) if now in known else 0
        story.branch, story.read_from, story.chronicle = known[(at + 1) % len(known)], None, None
        self.read_wal(again=True)
