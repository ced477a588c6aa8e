"""What is broken in each scenario, and what has to come of it. See field-notes, [M nn] and Pnn."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.quote import conf_value
from pitr_tui.postgres.target import (
    AtLsn,
    AtName,
    AtTime,
    AtXid,
    Immediate,
    Latest,
    RecoveryTarget,
    TargetAction,
)
from pitr_tui.recovery.checks import Light
from pitr_tui.recovery.events import Step
from pitr_tui.recovery.feeder import SCRIPT_PATH, WalSource
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.state import RunState
from pitr_tui.storage.path import WritePath
from tests.integration.bench import Bench, Failed, Judged, Making, Reached, Scenario
from tests.integration.damage import (
    corrupt,
    cut_backup,
    foreign,
    packed_badly,
    partial,
    remove,
    remove_first,
    truncate,
    zero,
)
from tests.integration.story import ALL, ON_SECOND, Story
from tests.integration.world import RESTORE_POINT
from tests.local import local

PROMOTE, SHUTDOWN = TargetAction.PROMOTE, TargetAction.SHUTDOWN
RED, AMBER, GREEN = Light.RED, Light.AMBER, Light.GREEN


def plain(target: Callable[[Story], RecoveryTarget], action: TargetAction | None = None) -> Making:
    return lambda story, bench: story.raised(story.plan(target(story), action))


def opened(words: str = "opened all the same") -> Failed:
    return Failed("UNREACHED", words)


def lines(**settings: str) -> str:
    return "".join(f"{name} = {conf_value(value)}\n" for name, value in settings.items())


# Every way to say where to stop. The sentence is pitr's, from PostgreSQL's `recovery stopping`.

TARGETS = (
    Scenario("01 time, pause", plain(lambda s: AtTime(s.marks[2].time)),
             Reached([1, 2], "recovered up to")),
    Scenario("03 time, promote", plain(lambda s: AtTime(s.marks[2].time), PROMOTE),
             Reached([1, 2], "recovered up to", RunState.PROMOTED)),
    Scenario("04 time, shutdown", plain(lambda s: AtTime(s.marks[2].time), SHUTDOWN),
             Reached([1, 2], "recovered up to", RunState.SHUT_DOWN)),
    Scenario("05 xid, exclusive", plain(lambda s: AtXid(s.marks[3].xid, False), PROMOTE),
             Reached([1, 2], "recovered just before transaction", RunState.PROMOTED)),
    Scenario("06 xid, inclusive", plain(lambda s: AtXid(s.marks[3].xid), PROMOTE),
             Reached([1, 2, 3], "recovered just after transaction", RunState.PROMOTED)),
    Scenario("07 and 57 P13: the first of two restore points",
             plain(lambda s: AtName(RESTORE_POINT), PROMOTE),
             Reached([1, 2], "at restore point", RunState.PROMOTED)),
    Scenario("08 immediate", plain(lambda s: Immediate()), Reached([1], "at consistency")),
    Scenario("09 lsn, inclusive", plain(lambda s: AtLsn(s.marks[2].lsn), PROMOTE),
             Reached([1, 2], "after WAL position", RunState.PROMOTED)),
    Scenario("10 lsn, exclusive", plain(lambda s: AtLsn(s.marks[3].lsn, False), PROMOTE),
             Reached([1, 2, 3], "before WAL position", RunState.PROMOTED)),
    Scenario("11 and 37 P15: no target, the backup's own timeline", plain(lambda s: Latest()),
             Reached(ALL, "the end of the archived WAL", RunState.PROMOTED)),
    Scenario("53 P10: a 64-bit xid", plain(lambda s: AtXid((1 << 32) + s.marks[3].xid)),
             Reached([1, 2, 3], "after the commit of transaction")),
    Scenario("54 P12: the exact time of a commit, inclusive",
             plain(lambda s: AtTime(s.exact[5])), Reached(ALL[:5], "before the commit")),
    Scenario("54 P12: the exact time of a commit, exclusive",
             plain(lambda s: AtTime(s.exact[5], False)), Reached(ALL[:4], "before the commit")),
)  # fmt: skip


# What the copied configuration tries.

_TARGET = "recovery_target_name = 'left over'\nrecovery_target_xid = '4000000'\n"
_UPSTREAM = "primary_conninfo = 'host=/nowhere'\nprimary_slot_name = 'stolen'\n"

TRICKS: dict[str, tuple[tuple[str, str], ...]] = {
    "15 P27: max_connections lower": (("postgresql.auto.conf", "max_connections = 12\n"),),
    "15b: and hot_standby off": (
        ("postgresql.auto.conf", "max_connections = 12\nhot_standby = off\n"),
    ),
    "16 P32: two targets are left over": (("postgresql.auto.conf", _TARGET),),
    "17: a restore_command that does not exist": (
        ("postgresql.auto.conf", "restore_command = 'no-such-program %f'\n"),
    ),
    "27 P31: a recovery.conf": (
        ("recovery.conf", f"restore_command = 'false'\nstandby_mode = on\n{_TARGET}"),
    ),
    "28: recovery.signal alone": (("recovery.signal", ""),),
    "29: targets, no signal file": (
        ("postgresql.conf", f"restore_command = 'false'\n{_TARGET}"),
    ),
    "29b: standby.signal and a target": (
        ("standby.signal", ""),
        ("postgresql.auto.conf", _TARGET),
    ),
    "31 P5: a target time that nobody can read": (
        ("postgresql.auto.conf", "recovery_target_time = '22/11/26 noon EDT'\n"),
    ),
    "32: a streaming standby": (("standby.signal", ""), ("postgresql.auto.conf", _UPSTREAM)),
    "33: no progress in the log": (
        ("postgresql.auto.conf", "log_startup_progress_interval = 0\n"),
    ),
    "38 P4: another time zone": (
        ("postgresql.auto.conf", "timezone = 'America/New_York'\nlog_timezone = 'Asia/Tokyo'\n"),
    ),
}  # fmt: skip
_SINCE_12 = ("16", "17", "29", "31", "32")  # as configuration; before, they stood in recovery.conf
_SINCE_15 = ("33",)


def tricks_for(major: int) -> list[str]:
    """Those whose settings a version knows; any other would not let its server start at all."""
    late = _SINCE_15 if major >= 12 else (*_SINCE_12, *_SINCE_15)
    return [name for name in TRICKS if major >= 15 or not name.startswith(late)]


def tricked(story: Story, bench: Bench, names: list[str]) -> RecoveryPlan:
    """A plan for a backup that has been tampered with so, and may be read by all (18 P33)."""
    backup = bench.configured(*(one for name in names for one in TRICKS[name]))
    backup.chmod(0o755)
    return story.plan(AtTime(story.marks[3].time), backup=backup)


# What is wrong with the question.


def on_timeline(number: int, backup: Callable[[Story], Path], target: RecoveryTarget) -> Making:
    def make(story: Story, bench: Bench) -> RecoveryPlan:
        bench.mend = lambda plan: dataclasses.replace(plan, timeline=None)
        plan = story.raised(story.plan(target, backup=backup(story)))
        return dataclasses.replace(plan, timeline=TimelineId(number))

    return make


def parameter(story: Story, bench: Bench) -> RecoveryPlan:
    bench.mend = story.raised
    return story.plan(AtXid(story.marks[6].xid))


def from_later(story: Story, bench: Bench) -> RecoveryPlan:
    return story.raised(story.plan(AtXid(story.marks[3].xid), backup=story.later_path))


QUESTIONS = (
    Scenario("12 P1 P2 P3: a time behind the end",
             plain(lambda s: AtTime(s.marks[6].time + timedelta(minutes=1))),
             Failed("UNREACHED", "the archive ends before the target is met", True),
             Judged(AMBER, "target", "there is none behind it to stop at"), opened(),
             often="11"),
    Scenario("13: a restore point that nobody set", plain(lambda s: AtName("never set")),
             Failed("UNREACHED", "the archive ends before the target is met", True),
             Judged(RED, "target", "never set"), opened(),
             often="18"),
    Scenario("14 P7: a time before the backup",
             plain(lambda s: AtTime(s.marks[1].time - timedelta(hours=1))),
             Failed("TOO_EARLY", "before the end of the backup"),
             Judged(RED, "end of backup", "before the end of the backup"),
             often="18"),
    Scenario("14 P7: a position before the end of the backup",
             plain(lambda s: AtLsn(Lsn(s.backup.label.start_lsn + 8))),
             Failed("TOO_EARLY", "before"),
             Judged(RED, "end of backup", "before the end of the backup")),
    Scenario("P8: a backup from behind the target", from_later,
             Failed("UNREACHED", "the archive ends before the target is met", True),
             Judged(RED, "target", "ended before this backup began"), opened()),
    Scenario("35 P14: a timeline that left before the backup",
             on_timeline(2, lambda s: s.later_path, Latest()),
             Failed("TIMELINE", "not a continuation", True, ALL),
             Judged(RED, "timeline", "does not contain the backup"),
             often="18"),
    Scenario("36 P15 P16: the other branch",
             on_timeline(2, lambda s: s.backup_path, Latest()),
             Reached([1, 2, 3, ON_SECOND], "the end of the archived WAL", RunState.PROMOTED),
             Judged(GREEN, "timeline", "follows timeline 2"),
             often="11"),
    Scenario("59 P27: more connections on the way", parameter,
             Failed("PARAM", "max_connections", True, ALL),
             often="18"),
)  # fmt: skip


# What is wrong with the archive, for a target behind the damage.


def broken(
    damage: Callable[[Path, Story], None],
    target: Callable[[Story], RecoveryTarget] = lambda story: AtXid(story.marks[3].xid),
    without_own_wal: bool = False,
) -> Making:
    """A copy of the archive with the damage; mended by the files that were there before."""

    def make(story: Story, bench: Bench) -> RecoveryPlan:
        archive = bench.archive()
        damage(archive, story)
        backup = bench.backup() if without_own_wal else None
        if backup is not None:
            for path in (backup / story.installation.version.wal_directory).iterdir():
                if path.is_file():
                    path.unlink()

        def whole(plan: RecoveryPlan) -> RecoveryPlan:
            shutil.rmtree(archive)
            story.copy_archive(archive.name)
            return plan

        bench.mend = whole
        return story.raised(story.plan(target(story), archive=archive, backup=backup))

    return make


def with_everything(story: Story) -> RecoveryTarget:
    return Latest()


DAMAGE = (
    Scenario("20 P19: the first segment is missing", broken(remove_first, without_own_wal=True),
             Failed("NO_CHECKPOINT", "Do NOT", True, [1, 2, 3]),
             Judged(RED, "wal", "neither in the archive nor in the backup"),
             often="18"),
    Scenario("21 P20: the second segment is missing", broken(remove(3)),
             Failed("GAP", "is not in the archive", True, [1, 2, 3]),
             Judged(RED, "no gap", "000000010000000000000003"), opened(),
             often="11"),
    Scenario("22 P22: a truncated segment", broken(truncate),
             Failed("FETCH_FATAL", "8,388,608 bytes instead of 16,777,216", True, [1, 2, 3]),
             Judged(RED, "no gap", "000000010000000000000003")),
    Scenario("23: a corrupt record", broken(corrupt),
             Failed("CRC", "damaged", True, [1, 2, 3]),
             Judged(RED, "readable WAL", "cannot be read at"),
             Failed("CRC", "opened all the same"),
             often="11"),
    Scenario("24 P24: a segment of another cluster", broken(foreign),
             Failed("FETCH_FATAL", "000000010000000000000003", True, [1, 2, 3]),
             Judged(RED, "no gap", "000000010000000000000003")),
    Scenario("25: a zeroed segment", broken(zero),
             Failed("FETCH_FATAL", "000000010000000000000003", True, [1, 2, 3]),
             Judged(RED, "no gap", "000000010000000000000003")),
    Scenario("26 P18: the WAL ends before the backup does",
             broken(cut_backup, without_own_wal=True),
             Failed("UNREACHED", "All WAL that was found was replayed", True),
             Judged(RED, "end of backup", "alone, and the backup is consistent from"),
             Failed("NO_END_OF_BACKUP", "written while the base backup ran", True),
             often="18"),
    Scenario("52 P18: the WAL ends before the backup does, no target",
             broken(cut_backup, with_everything, without_own_wal=True),
             Failed("NO_END_OF_BACKUP", "written while the base backup ran", True, ALL),
             Judged(RED, "end of backup", "alone, and the backup is consistent from")),
    Scenario("51: a gap, and no target", broken(remove(3), with_everything),
             Failed("GAP", "before the end of the archive"),
             Judged(RED, "no gap", "000000010000000000000003"),
             often="18"),
    Scenario("51: a corrupt record, and no target", broken(corrupt, with_everything),
             Failed("CRC", "ended at damaged WAL"),
             Judged(RED, "readable WAL", "cannot be read at")),
    Scenario("62 P21: a segment that cannot be unpacked", broken(packed_badly),
             Failed("FETCH_FATAL", "000000010000000000000003", True, [1, 2, 3]),
             Judged(RED, "no gap", "000000010000000000000003")),
    Scenario("P23: the last segment is partial", broken(partial, lambda s: AtXid(s.marks[6].xid)),
             Reached(ALL, "just after transaction"),
             often="18"),
)  # fmt: skip


# What goes wrong while the secondary fetches.


def unreachable(target: Callable[[Story], RecoveryTarget]) -> Making:
    """The archive goes away between the check and the first segment."""

    def make(story: Story, bench: Bench) -> RecoveryPlan:
        archive = bench.archive()
        away = archive.with_name("away")

        def leave(plan: RecoveryPlan) -> None:
            archive.rename(away)

        bench.at[Step.START] = leave

        def back(plan: RecoveryPlan) -> RecoveryPlan:
            bench.at.clear()
            away.rename(archive)
            return plan

        bench.mend = back
        return story.raised(story.plan(target(story), archive=archive))

    return make


def killed(number: int) -> Making:
    """Somebody kills the restore_command that waits for the segment of row 3."""

    def make(story: Story, bench: Bench) -> RecoveryPlan:
        wanted, fetch, hit = story.segment(3).name, WalSource.fetch, list[int]()

        def slow(source: WalSource, name: str, place: WritePath) -> int | None:
            if name == wanted and not hit:
                hit.append(_waiting_for(name, story.directory))
                os.kill(hit[0], number)
                _until_gone(hit[0])
            return fetch(source, name, place)

        bench.patch.setattr(WalSource, "fetch", slow)
        return story.plan(AtXid(story.marks[3].xid))

    return make


def _waiting_for(name: str, below: Path) -> int:
    """The process of a server's script below this place that wants this file."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for process in Path("/proc").glob("[0-9]*"):
            try:
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                place = (process / "cwd").readlink()
            except OSError:  # it has ended
                continue
            if words[1:3] == [str(SCRIPT_PATH), name] and place.is_relative_to(below):
                return int(process.name)
        time.sleep(0.01)
    raise AssertionError(f"nobody asks for {name}")


def _until_gone(pid: int) -> None:
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def without_script(story: Story, bench: Bench) -> RecoveryPlan:
    """The program that fetches goes away before the server starts."""
    bench.at[Step.START] = lambda plan: (local(plan).directory / SCRIPT_PATH).unlink()

    def back(plan: RecoveryPlan) -> RecoveryPlan:
        bench.at.clear()
        return plan

    bench.mend = back
    return story.plan(AtXid(story.marks[3].xid))


FETCHING = (
    Scenario("17: the program that fetches is gone", without_script,
             Failed("FETCH_FATAL", "restore_command broke down", True, [1, 2, 3]), often="18"),
    Scenario("60 P21: the archive cannot be reached, no target", unreachable(with_everything),
             Failed("FETCH_FATAL", "which cannot be delivered", True, ALL),
             often="11"),
    Scenario("61 P21: the archive cannot be reached",
             unreachable(lambda s: AtXid(s.marks[3].xid)),
             Failed("FETCH_FATAL", "which cannot be delivered", True, [1, 2, 3])),
    Scenario("63 P21: restore_command gets SIGTERM", killed(signal.SIGTERM),
             Failed("FETCH_FATAL", "restore_command broke down", True, [1, 2, 3]),
             often="18"),
    Scenario("63: restore_command gets SIGKILL", killed(signal.SIGKILL),
             Failed("FETCH_FATAL", "restore_command broke down", True, [1, 2, 3])),
)  # fmt: skip
