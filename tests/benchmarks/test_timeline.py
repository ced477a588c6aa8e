"""How long a frame of the timeline takes, against Textual's own Sparkline in the same run.

The Sparkline is given the rows of every transaction and puts them into columns by itself, with
no ruler, no lanes, no zoom and no cut: it is what one would take off the shelf.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import cycle

import numpy as np
import pytest
from numpy.typing import NDArray
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.widgets import Sparkline

from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.wal_index import Survey
from pitr_tui.repositories.wal_story import Surveyed
from pitr_tui.tui.widgets.timeline import Picture, TimelineView
from pitr_tui.wal.coverage import coverage
from pitr_tui.wal.heads import HEAD, Heads
from tests.tui import pasts
from tests.unit.made import MEGABYTE, SYSTEM, header_bytes

pytestmark = pytest.mark.benchmark

SEGMENTS, COMMITS, SUSPECTS = 100_000, 1_000_000, 5_000
GAP_EVERY = 97  # so that there is a thousand of them
SIZE = (200, 60)
FRAME, PLOT = 0.05, 0.4  # seconds; a plot is made once for each look at the archive
RATIO = 1.0  # of our frame to the Sparkline's
ROUNDS = 7


class Both(App[None]):
    """A timeline above a Sparkline of the same archive."""

    def compose(self) -> ComposeResult:
        yield TimelineView()
        sparkline = Sparkline(changed().tolist())
        sparkline.styles.height = 1
        yield sparkline


def changed() -> NDArray[np.int64]:
    """How many rows each transaction changed."""
    return np.random.default_rng(1).integers(0, 9, COMMITS)


def heads() -> Heads:
    """Segments one minute apart, with a gap now and then."""
    numbers = np.arange(2, SEGMENTS + SEGMENTS // (GAP_EVERY - 1) + 4)
    numbers = numbers[numbers % GAP_EVERY != 0]
    found = np.zeros(len(numbers), HEAD)
    found["timeline"] = 1
    found["high"], found["low"] = numbers // 4096, numbers % 4096
    found["bytes"] = MEGABYTE
    one = header_bytes(WalSegment(TimelineId(1), 2, MEGABYTE))[:40]
    found["header"] = np.frombuffer(one, HEAD["header"])[0]
    found["header"]["page"] = numbers * MEGABYTE
    found["time"] = pasts.at(0) + numbers * pasts.MINUTE
    return found


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Picture:
    survey = Survey(heads(), {}, {}, {})
    known = survey.holdings(SYSTEM, MEGABYTE)
    assert len(known.held[TimelineId(1)].numbers) >= SEGMENTS
    archive = WalArchive(tmp_path_factory.mktemp("archive"))
    found = Surveyed(archive, (), survey, known, coverage(known, [pasts.backup_at(3)]))
    assert len(found.coverage.timelines[0].gaps) > 1000
    minutes = np.linspace(0, SEGMENTS - 1, COMMITS)
    marks = [pasts.suspect(one) for one in range(0, COMMITS, COMMITS // SUSPECTS)]
    story = pasts.chronicle(minutes, rows=changed().tolist(), marks=marks)
    return pasts.picture(found, story)


def least(work: Callable[[], object]) -> float:
    """The least seconds of several rounds, so that a busy machine decides nothing."""
    taken: list[float] = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return min(taken)


async def test_a_frame_of_a_large_archive(picture: Picture) -> None:
    async with Both().run_test(size=SIZE) as pilot:
        view, sparkline = pilot.app.query_one(TimelineView), pilot.app.query_one(Sparkline)
        made = least(lambda: view.show(picture))
        await pilot.pause()
        region = Region(0, 0, *view.size)
        steps = cycle((view.action_zoom, view.action_pan))

        def moved() -> None:
            next(steps)(1)
            view.show_cut((view.cut or 0) + 1000)
            view.render_lines(region)

        def whole_again() -> None:
            view.action_whole()
            view.notify_style_update()
            view.render_lines(region)

        def off_the_shelf() -> None:
            sparkline.refresh()
            sparkline.render_lines(Region(0, 0, *sparkline.size))

        frame, whole, theirs = least(moved), least(whole_again), least(off_the_shelf)
    print(
        f"\n{SEGMENTS:,} segments, {COMMITS:,} commits: made in {made * 1000:.0f} ms, "
        f"whole {whole * 1000:.1f} ms, frame {frame * 1000:.1f} ms, "
        f"Sparkline of the commits' rows {theirs * 1000:.1f} ms"
    )
    assert whole < FRAME
    assert frame < FRAME
    assert made < PLOT
    assert whole < RATIO * theirs
