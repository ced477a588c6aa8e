"""What was recorded of one lab, so that the wizard walks through it once more without a server.

`tests/data/walk` has the lab's record, its archive from the backup on, of the backup the files
that are read and the sizes of the others, the journal of the recovery, the tables of both servers
and the score. Its paths were moved to /srv/pg, where this world finds them.
"""

from __future__ import annotations

import json
import os
import tarfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

from pitr_tui.lab import record
from pitr_tui.lab.record import Lab
from pitr_tui.lab.result import Score
from pitr_tui.lab.scenario_file import find
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.contents import Contents
from pitr_tui.recovery.events import CheckDone, Stamped
from pitr_tui.recovery.journal import read_journal
from pitr_tui.recovery.state import RunView
from pitr_tui.recovery.verify import Table
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import list_backups
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_story import (
    Surveyed,
    first_backup,
    read_chronicle,
    survey_archive,
)
from pitr_tui.servers.osuser import OsUser
from pitr_tui.servers.primary import ArchiverStatus, PrimaryFacts, Setting
from pitr_tui.servers.running import RunningServer
from pitr_tui.servers.secondary import Secondary
from pitr_tui.servers.sql import Database
from pitr_tui.tui.bridge import Emit
from pitr_tui.tui.lab_session import session_of
from pitr_tui.tui.screens.connect_found import Behind
from pitr_tui.tui.screens.verify_look import Seen
from pitr_tui.tui.session import Session
from pitr_tui.wal.chronicle import Chronicle
from tests.tui.world import ARCHIVE, BACKUPS, SRV, MadePrimary, World

WALK = Path(__file__).parents[1] / "data" / "walk"
NOW = datetime(2026, 11, 23, 11, 23, 50, 190_451, tzinfo=UTC)
_MEGABYTE = 1 << 20
_TOTAL_BYTES = 30_519_708
_LAST = WalSegment(TimelineId(1), 0xF, _MEGABYTE)
_ARCHIVED = datetime(2026, 11, 23, 11, 23, 48, 328_700, tzinfo=UTC)
_ENGINE = "Docker 29.1.3 at unix:///var/run/docker.sock"


def read_json(name: str) -> Any:
    return json.loads((WALK / f"{name}.json").read_text(encoding="utf-8"))


class WalkPrimary(MadePrimary):
    """The lab's primary as it was when the wizard looked."""

    def facts(self) -> PrimaryFacts:
        return PrimaryFacts(
            version=PostgresVersion.parse("18.6"),
            system_identifier=read_json("lab")["system_identifier"],
            in_recovery=False,
            clock=NOW,
            time_zone="UTC",
            segment_size=_MEGABYTE,
            data_directory=SRV / "primary",
            superuser=True,
            timeline=TimelineId(1),
            total_bytes=_TOTAL_BYTES,
        )

    def settings(self, *names: str) -> dict[str, Setting]:
        found = super().settings(*names)
        if "archive_timeout" in found:
            found["archive_timeout"] = replace(found["archive_timeout"], value="10")
        return found

    def archiver(self) -> ArchiverStatus:
        return ArchiverStatus(9, _LAST.name, _ARCHIVED, 0, None, None)


@dataclass(frozen=True)
class WalkWorld(World):
    """The lab of the walk, laid down in a directory."""

    behind: Behind = Behind(_ENGINE)
    servers: tuple[RunningServer, ...] = (
        RunningServer(SRV / "primary", 1, 5432, f"{SRV}/socket", ""),
    )
    estimate: None = None

    def make(self) -> None:
        """Lay the recorded files down; the others are as long as they were, and empty."""
        with tarfile.open(WALK / "dropped-table-18.tar.xz") as recorded:
            # Python 3.11 has the argument `filter` from 3.11.4 on only, Debian 12 an older one.
            recorded.extraction_filter = lambda member, _: member
            recorded.extractall(self.place)  # noqa: S202 - it is our own
        backup = self.place / "backups" / "nightly"
        for file in json.loads((backup / "backup_manifest").read_bytes())["Files"]:
            path = backup / file["Path"]
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
                os.truncate(path, file["Size"])

    @contextmanager
    def opened(self, primary: type[MadePrimary] = WalkPrimary) -> Iterator[None]:
        """Let the wizard find this lab, and see its recovered secondary."""
        with ExitStack() as stack:
            stack.enter_context(super().opened(primary))
            for name, made in self._instead().items():
                stack.enter_context(patch(f"pitr_tui.{name}", made))
            places = {"PITR_STATE_DIR": "state", "XDG_CONFIG_HOME": "config"}
            own = {name: str(self.place / value) for name, value in places.items()}
            stack.enter_context(patch.dict(os.environ, own))
            yield

    def _instead(self) -> dict[str, object]:
        return {
            "lab.record.server_user": lambda name: OsUser(name, os.geteuid(), os.getegid()),
            "tui.screens.lab_cards._played": lambda *_: session_of(self.lab),
            "lab.score.score": lambda *_: self.score,
            "tui.screens.verify.gather": self.gather,
            "tui.screens.verify.look_at": self.look_at_secondary,
        }

    @property
    def lab(self) -> Lab:
        """The lab's record, in a state directory of its own."""
        facts = read_json("lab")
        directory = record.record_directory(facts["name"])
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "lab.json").write_text(json.dumps(facts))
        (directory / "scenario.yaml").write_text(find(facts["scenario"]).text)
        return record.load(facts["name"])

    @cached_property
    def journal(self) -> list[Stamped]:
        """The recovery, as it was recorded."""
        return list(read_journal(WALK / "run.jsonl"))

    @property
    def score(self) -> Score:
        return Score.from_json(read_json("score"))

    def survey(self, session: Session, cancel: threading.Event) -> Surveyed:
        """As the target step's own, told of the places where they were."""
        seen = self._surveyed()
        return replace(seen, backups=self.read_catalogue(BACKUPS, ARCHIVE).found)

    def read(self, surveyed: Surveyed, *_: object) -> Chronicle:
        """As the target step's own, in this process."""
        with IndexCache(self.place / "cache") as cache:
            seen = self._surveyed()
            backup = first_backup(seen, None)
            return read_chronicle(seen, Means(cache, processes=1), backup=backup)

    def _surveyed(self) -> Surveyed:
        archive = WalArchive(self.place / "archive")
        with IndexCache(self.place / "cache") as cache:
            found = list_backups(self.place / "backups", archive)
            return survey_archive(archive, found, Means(cache, processes=1))

    def gather(
        self,
        here: Database,
        primary: Database | None,
        emit: Emit[Contents],
        cancel: threading.Event,
    ) -> None:
        """The tables of both servers as they were counted."""
        recorded = read_json("tables")
        tables = tuple(Table(**one["table"]) for one in recorded)
        there = {("shop", one["table"]["name"]): one["in_primary"] for one in recorded}
        known = {name: rows for name, rows in there.items() if rows is not None}
        emit(Contents("shop", tables, known))

    def look_at_secondary(
        self, server: Secondary, run: RunView, emit: Emit[Seen], cancel: threading.Event
    ) -> None:
        """What the recovery saw at its end."""
        for stamped in self.journal:
            if isinstance(stamped.event, CheckDone):
                emit(Seen(stamped.event))
