"""Checks of what the secondary's server will be told, against what the WAL asks of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from pitr_tui.postgres.libraries import acts_by_itself
from pitr_tui.postgres.quote import one_line
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.repositories.backups import BackupFormat
from pitr_tui.servers.secondary import Occupancy
from pitr_tui.wal.actions import TablespaceCreated
from pitr_tui.wal.xlog import ParameterChange
from pitr_tui.wording import count_text

_MINIMAL = "minimal"


def needed_settings(case: Case) -> dict[str, int]:
    """The most that the WAL up to the stop asks for of each setting."""
    needed: dict[str, int] = {}
    for item in case.happenings():
        if isinstance(item.action, ParameterChange):
            for name in case.plan.version.standby_minimums:
                value = getattr(item.action, name)
                if value is not None:
                    needed[name] = max(needed.get(name, 0), value)
    return needed


def settings(case: Case) -> Iterator[CheckDone]:
    """A secondary with less than its primary had stops, or waits in the middle of the way."""
    plan = case.plan
    needed = needed_settings(case)
    short = {name: value for name, value in needed.items() if value > plan.minimum(name)}
    if short:
        yield CheckDone(
            "settings",
            Status.FAILURE,
            f"the WAL on the way needs {_listed(short)}, and the secondary would have "
            f"{_listed({name: plan.minimum(name) for name in short})}",
            "the plan has to raise them",
        )
    elif plan.raised:
        yield CheckDone(
            "settings",
            Status.NOTE,
            f"{_listed(plan.raised)}: as the primary ran later, by its WAL",
        )
    elif plan.backup.raised:
        yield CheckDone(
            "settings",
            Status.OK,
            f"{_listed(plan.backup.raised)}: as the primary ran, not as its files say",
        )
    elif case.chronicle is not None:
        yield CheckDone("settings", Status.OK, "the backup's own are enough for all of the WAL")


def _listed(values: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def wal_level(case: Case) -> Iterator[CheckDone]:
    """With wal_level = minimal the primary left changes out of the WAL."""
    if case.chronicle is None:
        return
    for item in case.happenings():
        if isinstance(item.action, ParameterChange) and item.action.wal_level == _MINIMAL:
            yield CheckDone(
                "wal_level",
                Status.FAILURE,
                f"the primary ran with wal_level = minimal from {item.lsn} on, so the WAL behind "
                "does not have everything",
                "stop before it, or use a backup that was taken behind it",
            )
            return
    yield CheckDone("wal_level", Status.OK, "never minimal on the way")


def libraries(case: Case) -> Iterator[CheckDone]:
    """Without a library that it is told to load the server does not start."""
    plan = case.plan
    wanted = plan.libraries()
    left_out = {
        name: f"{setting}, {acts_by_itself(name) or 'not installed here'}"
        for setting, names in plan.backup.preload.items()
        for name in names
        if name not in wanted[setting]
    }
    names = tuple(dict.fromkeys(name for names in wanted.values() for name in names))
    missing = plan.secondary.missing_libraries(names) if names else ()
    if missing is None:
        yield CheckDone(
            "libraries",
            Status.WARNING,
            f"whether {', '.join(names)} can be loaded here is not known: the server's directory "
            "of libraries was not found",
        )
    elif missing:
        yield CheckDone(
            "libraries",
            Status.FAILURE,
            f"{', '.join(missing)} cannot be loaded: there is no such library for these programs",
            "install it, or let the plan leave it out",
        )
    elif left_out:
        told = ", ".join(f"{one_line(name)} ({why})" for name, why in left_out.items())
        yield CheckDone(
            "libraries",
            Status.NOTE,
            f"left out of what the secondary loads: {told}",
            "what needs such a library does not work there",
        )
    elif names:
        yield CheckDone("libraries", Status.OK, f"{', '.join(names)} can be loaded")


def includes(case: Case) -> Iterator[CheckDone]:
    """What the configuration includes from elsewhere would be missing, or be the primary's."""
    left_out = [one for one in case.plan.backup.includes if one.left_out]
    if left_out:
        told = ", ".join(
            f"{one.word} {one_line(one.path)!r} ({one_line(one.file)}, line {one.line}: "
            f"{one.left_out})"
            for one in left_out
        )
        yield CheckDone(
            "configuration",
            Status.NOTE,
            f"the copy does without {told}",
            "what stands there, such as memory settings, has to be set by hand if it is needed",
        )


def traces(case: Case) -> Iterator[CheckDone]:
    """What recoveries before this one left in the backup."""
    found = case.plan.backup.traces
    if found:
        yield CheckDone(
            "leftovers",
            Status.NOTE,
            f"of earlier recoveries, left out or blanked: {', '.join(found)}",
        )


def tablespaces(case: Case) -> Iterator[CheckDone]:
    """The backup's come to lie inside of the secondary; replay makes new ones where they were.

    In recovery it takes a directory that is in use as it is, and replays into its files:
    create_tablespace_directories() in src/backend/commands/tablespace.c.
    """
    yield from _of_the_backup(case)
    for path in _created(case):
        match case.plan.secondary.occupancy(path):
            case Occupancy.ABSENT:
                yield CheckDone(
                    "new tablespace",
                    Status.FAILURE,
                    f"replay makes a tablespace in {path}, which is not there, and stops",
                    f"make an empty directory {path} that belongs to the server's user "
                    f"({case.plan.secondary.user.name}), or stop before it",
                )
            case Occupancy.OCCUPIED:
                yield CheckDone(
                    "new tablespace",
                    Status.FAILURE,
                    f"replay makes a tablespace in {path} and writes over the files that lie "
                    "there, perhaps the primary's own",
                    "recover on another machine or in a container, or stop before it",
                )
            case Occupancy.EMPTY:
                yield CheckDone(
                    "new tablespace",
                    Status.NOTE,
                    f"replay makes a tablespace in {path}, outside of the secondary",
                )


def _of_the_backup(case: Case) -> Iterator[CheckDone]:
    backup = case.plan.backup
    links = backup.path / "pg_tblspc"
    names = [str(oid) for oid in backup.tablespaces]
    if backup.format is BackupFormat.PLAIN and links.is_dir():
        names = [link.name for link in links.iterdir()]
        live = [link for link in links.iterdir() if _leads_to_live(case, link.name)]
        if live:
            yield CheckDone(
                "tablespaces",
                Status.WARNING,
                f"the links of {', '.join(link.name for link in live)} lead to where the primary "
                "has them: what is copied from there is no backup",
                "use a backup that pitr took, or one in tar format",
            )
            return
    if names:
        words = f"{count_text(len(names), 'tablespace')}, which come to lie inside of the secondary"
        yield CheckDone("tablespaces", Status.OK, words)


def _leads_to_live(case: Case, oid: str) -> bool:
    """Whether a plain backup's link leads to where its own map says that the primary has it."""
    place = case.plan.backup.tablespaces.get(int(oid)) if oid.isdecimal() else None
    link = case.plan.backup.path / "pg_tblspc" / oid
    if place is None or not isinstance(link, Path) or not link.is_symlink():
        return False
    return link.resolve() == Path(place).resolve()


def _created(case: Case) -> list[str]:
    """Where replay makes tablespaces up to the stop: their records come before the commits."""
    chronicle, end = case.chronicle, case.end
    if chronicle is None or end is None:
        return []
    found = []
    for item in chronicle.happenings:
        if not isinstance(item.action, TablespaceCreated) or item.lsn < case.start:
            continue
        entry = chronicle.cut_at_lsn(item.lsn)
        begun = item.lsn
        if entry < len(chronicle) and chronicle.lsns[entry] == item.lsn:
            begun = min(begun, type(begun)(int(chronicle.firsts[entry])))
        if begun < end:
            found.append(item.action.path)
    return found
