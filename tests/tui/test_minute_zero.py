"""The two keys of the first screen: what they ask, and what they leave behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import Lsn
from pitr_tui.recovery import minute_zero
from pitr_tui.recovery.collect import Collected
from pitr_tui.recovery.minute_zero import Mark, MarkOrder, Position
from pitr_tui.servers.primary import ArchiverStatus
from pitr_tui.tui.app import PitrApp
from pitr_tui.tui.screens import collecting
from pitr_tui.tui.session import Moment, Session
from pitr_tui.wal.ranges import WalRange
from tests.tui.first_scenes import new
from tests.tui.scenes import opened, screen_text, settled, until
from tests.tui.world import FACTS, NOW, MadePrimary, World, segment

SEEN = ArchiverStatus(14, segment(0x10).name, NOW, 0, None, None)
POSITION = Position(NOW, Lsn(0x11000060), segment(0x11), "731:733:731", SEEN)
NAME = "incident_20261122T182430Z"


class Acts:
    """Stands for the primary: what was run on it, and how its archiver goes on."""

    def __init__(self, not_archived: str = "", late: PitrError | None = None) -> None:
        self.done: list[str] = []
        self.not_archived, self.late = not_archived, late

    def plan_mark(self, _: object) -> MarkOrder:
        return MarkOrder(FACTS, POSITION, NAME, self.not_archived)

    def set_mark(self, _: object, order: MarkOrder, *__: object) -> Mark:
        self.done += order.statements
        time = NOW + timedelta(microseconds=250_000)
        return Mark(NAME, Lsn(0x110000C8), time, 733, segment(0x11), Path("/journal"))

    def wait_until_archived(self, *_: object) -> ArchiverStatus:
        if self.late is not None:
            raise self.late
        return SEEN


@asynccontextmanager
async def first_screen(
    place: Path, monkeypatch: pytest.MonkeyPatch, session: Session, acts: Acts
) -> AsyncIterator[Pilot[Any]]:
    world = World(place)
    world.make()
    for name in ("plan_mark", "set_mark", "wait_until_archived"):
        monkeypatch.setattr(minute_zero, name, getattr(acts, name))
    with world.opened(MadePrimary):
        app = PitrApp(session)
        async with app.run_test(size=(80, 24)) as pilot:
            await opened(pilot)
            await until(pilot, lambda: "go on to archive" in screen_text(app))
            yield pilot
            await settled(pilot)


async def ask(pilot: Pilot[Any], key: str, question: str) -> None:
    await pilot.press(key)
    await until(pilot, lambda: question in screen_text(pilot.app))
    await pilot.pause()


async def test_a_mark_is_asked_for_with_its_sql_and_then_a_noted_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts, session = Acts(), new(World(tmp_path))
    async with first_screen(tmp_path, monkeypatch, session, acts) as pilot:
        await until(pilot, lambda: "m Mark now" in screen_text(pilot.app).splitlines()[-1])
        await ask(pilot, "m", "Mark this moment on the primary?")
        shown = " ".join(screen_text(pilot.app).split())
        assert f"SELECT pg_create_restore_point('{NAME}');" in shown
        assert "SELECT txid_current();" in shown
        assert "SELECT pg_switch_wal();" in shown
        await pilot.press("enter")  # Cancel has the focus
        await settled(pilot)
        assert acts.done == []

        await ask(pilot, "f4", "Mark this moment on the primary?")
        await pilot.press("right", "enter")
        words = f"{segment(0x11).name} is archived, says the primary"
        await until(pilot, lambda: words in screen_text(pilot.app))
        assert NAME in screen_text(pilot.app)
    assert len(acts.done) == 4
    (moment,) = session.marks
    assert moment == Moment(NOW + timedelta(microseconds=250_000), moment.what, NAME)
    assert NAME in moment.what


@pytest.mark.parametrize(
    ("acts", "told"),
    [
        (Acts(not_archived="archive_mode is off"), "the WAL stays in pg_wal only"),
        (Acts(late=PitrError("the mark is set, but", "the archiver fails")), "is not archived yet"),
    ],
)
async def test_a_mark_that_is_not_archived_counts_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acts: Acts, told: str
) -> None:
    session = new(World(tmp_path))
    async with first_screen(tmp_path, monkeypatch, session, acts) as pilot:
        await ask(pilot, "m", "Mark this moment on the primary?")
        await pilot.press("right", "enter")
        await until(pilot, lambda: told in screen_text(pilot.app))
    assert len(session.marks) == 1


async def test_a_dead_primarys_directory_is_typed_and_its_wal_becomes_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = new(World(tmp_path))
    session.story = session.archive_directory = None
    data = tmp_path / "dead"
    data.mkdir()
    asked: list[Path | None] = []

    def collect_into(known: Session, place: object, *_: object) -> Collected:
        asked.append(known.dead_data)
        run = WalRange(segment(2), segment(4))
        return Collected((run,), 0, segment(5).name, {}, 4 << 24, (segment(5).name,))

    monkeypatch.setattr(collecting, "collect_into", collect_into)
    async with first_screen(tmp_path, monkeypatch, session, Acts()) as pilot:
        assert "c Collect" not in screen_text(pilot.app)
        await pilot.press("end")
        await until(pilot, lambda: "c Collect" in screen_text(pilot.app).splitlines()[-1])
        await pilot.press("c")
        await until(pilot, lambda: session.primary_is_down)
        # The directory of the primary that was connected is proposed, but it is not here.
        field = pilot.app.screen.query_one("#dead-data", Input)
        assert (field.has_focus, field.value) == (True, str(FACTS.data_directory))
        await until(pilot, lambda: "no data directory /srv/pg/primary" in screen_text(pilot.app))
        field.value = str(data)
        await pilot.press("enter")
        await until(pilot, lambda: "Collect the WAL" in screen_text(pilot.app))
        await pilot.pause()
        await pilot.press("right", "enter")
        await until(pilot, lambda: "as far as it was written" in screen_text(pilot.app))
        assert "m Mark now" not in screen_text(pilot.app)
    assert asked == [data]
    assert session.archive_directory == data.parent / "pitr-collected-20261122-182430"
