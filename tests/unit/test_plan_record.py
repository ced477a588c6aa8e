"""A plan comes back from its record as it was, and a record that tells no plan is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
)
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.plan_record import plan_from, recorded, secondary_from
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local_secondary import LocalSecondary
from pitr_tui.servers.osuser import server_user
from pitr_tui.storage.path import ReadPath
from tests.local import local
from tests.unit.made_checks import after_noon, good_plan


class Here:
    """Places on this machine."""

    def engine(self) -> Any:
        raise AssertionError("nothing here is behind an engine")

    def path(self, place: str, image: str) -> ReadPath:
        return Path(place)


def plan_in(place: Path, target: RecoveryTarget | None = None) -> RecoveryPlan:
    """A plan that its user can carry out, of a backup as it lies there."""
    plan = good_plan(place, target)
    secondary = replace(local(plan), user=server_user())
    return replace(plan, secondary=secondary, backup=open_backup(place / "backup", plan.archive))


def kept(plan: RecoveryPlan) -> dict[str, Any]:
    """The record as the journal gives it back."""
    data = json.loads(json.dumps(recorded(plan)))
    assert isinstance(data, dict)
    return data


@pytest.fixture(autouse=True)
def _programs_need_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    version = PostgresVersion.parse("18.6")
    monkeypatch.setattr(Installation, "at", lambda bindir: Installation(bindir, version))


@pytest.mark.parametrize(
    "target",
    [
        Latest(),
        Immediate(),
        after_noon(1.5),
        after_noon(2, inclusive=False),
        AtXid(702, inclusive=False),
        AtLsn(Lsn(0x300100)),
        AtName("before; the 'release' \n"[:-2]),
    ],
    ids=lambda target: target.kind,
)
def test_a_plan_comes_back(tmp_path: Path, target: RecoveryTarget) -> None:
    plan = replace(
        plan_in(tmp_path, target),
        raised={"max_connections": 200},
        preload={"shared_preload_libraries": ("auto_explain",)},
        read_ahead=False,
    )
    again = plan_from(kept(plan), Here())
    assert again.target == target
    assert again.render() == plan.render()
    assert recorded(again) == recorded(plan)


def test_timeline_and_action_come_back(tmp_path: Path) -> None:
    plan = replace(
        plan_in(tmp_path, AtXid(702)), action=TargetAction.SHUTDOWN, timeline=TimelineId(1)
    )
    again = plan_from(kept(plan), Here())
    assert (again.action, again.timeline) == (TargetAction.SHUTDOWN, TimelineId(1))


@pytest.mark.parametrize(
    "change",
    [
        {"target": {"kind": "moon"}},
        {"target": {"kind": "xid"}},
        {"action": "explode"},
        {"secondary": {"kind": "cloud"}},
        {"secondary": "here"},
        {"raised": [1]},
        {"timeline": "x"},
    ],
    ids=str,
)
def test_a_record_that_tells_no_plan_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    data = kept(plan_in(tmp_path, AtXid(702)))
    with pytest.raises(PitrError):
        plan_from(data | change, Here())
    for name in data:
        with pytest.raises(RefusedError, match="does not tell the plan"):
            plan_from({k: v for k, v in data.items() if k != name}, Here())


def test_the_secondary_alone_needs_no_backup(tmp_path: Path) -> None:
    plan = plan_in(tmp_path, AtXid(702))
    found = secondary_from({"secondary": kept(plan)["secondary"]}, Here())
    assert isinstance(found, LocalSecondary)
    assert found.destination == plan.secondary.destination
    with pytest.raises(RefusedError, match="does not tell the plan"):
        secondary_from({}, Here())
