"""The recorded runs are found by what a person remembers of their names."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pitr_tui.errors import RefusedError
from pitr_tui.recovery.events import LogArrived
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.runs import all_runs, run_named


def begun(hour: int) -> Journal:
    return Journal.create(lambda _: None, lambda: datetime(2026, 11, 22, hour, tzinfo=UTC))


def test_without_any_there_is_nothing() -> None:
    assert all_runs() == []
    with pytest.raises(RefusedError, match="no run is called 'last'"):
        run_named("last")


def test_a_part_of_the_name_is_enough_where_only_one_has_it() -> None:
    first, second = begun(9), begun(10)
    assert [one.name for one in all_runs()] == [second.run, first.run]
    assert run_named("last").name == second.run
    assert run_named(first.run).name == first.run
    assert run_named("20261122-09").name == first.run
    with pytest.raises(RefusedError, match="one of several"):
        run_named("20261122")
    with pytest.raises(RefusedError, match="no run is called"):
        run_named("")
    first.emit(LogArrived("x"))
    assert run_named(first.run).is_live()
    first.close()
    assert not run_named(first.run).is_live()
    assert [type(one.event) for one in run_named(first.run).events()] == [LogArrived]
    second.close()
