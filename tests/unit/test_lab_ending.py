"""The end of a lab that runs no servers: what is refused, and what is told of what stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from pitr_tui.errors import RefusedError
from pitr_tui.lab import ending, record
from pitr_tui.lab.record import Lab
from pitr_tui.recovery.events import Event, PlaceTaken, RunStarted, Stamped, ThrownAway
from pitr_tui.recovery.journal import Journal
from pitr_tui.servers.osuser import server_user
from tests.unit.made_journals import lay_down
from tests.unit.made_labs import READY, SYSTEM, written_lab

RUN = "20261005-120100-4a3d9f01"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return written_lab(tmp_path / "lab", os_user=server_user().name)


def recovered(place: Path, *more: Event, kind: str = "local") -> Path:
    """A run that recovers this lab's cluster to a place, with what happened to it since."""
    plan = {
        "label": ["0/2000028", "2026-10-05", str(SYSTEM)],
        "secondary": {"kind": kind, "name": "shop-recovered"},
    }
    started = RunStarted(RUN, "18.6", "/b", "/a", str(place), "latest", "pause", "", plan, 2)
    events = (started, PlaceTaken(was_there=False), *more)
    return lay_down(RUN, [Stamped(READY, one) for one in events])


def test_a_lab_that_is_recovered_just_now_is_not_ended(lab: Lab) -> None:
    directory = recovered(lab.destination)
    journal = Journal(directory, lambda _: None)
    try:
        with pytest.raises(RefusedError, match=f"the run {RUN} recovers this lab") as refused:
            ending.stop(lab)
    finally:
        journal.close()
    assert "wait for its end" in refused.value.hint
    assert lab.directory.exists()
    assert record.current() == lab
    assert ending.stop(lab) == ()  # nobody is at it any more
    assert not lab.directory.exists()
    assert record.current() is None


def test_a_secondary_that_lies_elsewhere_is_told(lab: Lab, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    recovered(place)
    told = f"the secondary in {place} stays: `pitr discard {RUN}` removes it"
    assert ending.stop(lab) == (told,)
    assert place.exists()


def test_one_in_an_engine_that_was_not_asked_is_told(lab: Lab) -> None:
    recovered(Path("shop-recovered"), kind="docker")
    (told,) = ending.stop(lab)
    assert "the secondary in shop-recovered stays" in told


def test_nothing_is_told_of_what_is_gone(lab: Lab, tmp_path: Path) -> None:
    recovered(tmp_path / "removed by hand")
    assert ending.stop(lab) == ()


def test_nothing_is_told_of_what_was_thrown_away(lab: Lab, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()  # of somebody else by now
    recovered(place, ThrownAway())
    assert ending.stop(lab) == ()
