"""A recovery that is held where a test wants it, and what has to be the same behind a fault."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery import archiving
from pitr_tui.recovery.events import Event, RunFailed, Stamped
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.plan_record import plan_from
from pitr_tui.recovery.run import recover, take_up
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.servers.process import running_pid
from pitr_tui.storage.path import ReadPath, WritePath
from tests.integration import conftest
from tests.integration.conftest import OLD_AND_NEW, installed
from tests.integration.world import World
from tests.local import local
from tests.unit.made import wait_until

LAST = 8  # rows 5 to 8 of a long world lie in a segment each
ALL_ROWS = list(range(1, LAST + 1))

long_worlds = pytest.mark.parametrize(
    "long_world",
    [pytest.param(one, marks=() if one == "18" else pytest.mark.matrix) for one in OLD_AND_NEW],
    indirect=True,
)


def long_world_of(major: str) -> World:
    """A world whose history goes on over some segments; made once, and not to be changed."""
    name = f"{major}, long"
    if name not in conftest._worlds:
        world = World(installed(major))
        conftest._worlds[name] = world
        world.build()
        for row in range(5, LAST + 1):
            world.insert(row)
            archiving.prove(world.primary, world.archive_directory)
    return conftest._worlds[name]


def segment_of(world: World, row: int) -> str:
    """The name of the segment with the commit of a row."""
    return WalSegment.at(world.marks[row].lsn, TimelineId(1)).name


class Gate:
    """A place in the reading of the archive where everything waits until it is opened."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        copy = WalArchive.copy

        def held(archive: WalArchive, path: ReadPath, to: WritePath) -> int:
            if path.name.startswith(name):
                self.reached.set()
                self.opened.wait(60)
            return copy(archive, path, to)

        patch.setattr(WalArchive, "copy", held)

    def wait(self) -> None:
        assert self.reached.wait(60), "the recovery did not come to the gate"

    def open(self) -> None:
        self.opened.set()


@dataclass
class Begun:
    """A recovery that goes on in a thread of its own."""

    plan: RecoveryPlan
    future: Future[RunView]
    events: list[Stamped]
    record: RunRecord
    cancel: threading.Event

    @property
    def place(self) -> Path:
        return local(self.plan).directory

    def until(self, kind: type[Event], words: str = "") -> None:
        """Wait for an event of this kind that has these words in it."""

        def told() -> bool:
            return any(
                isinstance(one.event, kind) and words in str(one.event) for one in [*self.events]
            )

        wait_until(lambda: told() or self.future.done(), 60)
        assert told(), self.events[-3:]

    def error(self) -> PitrError:
        """What it failed with."""
        error = self.future.exception(120)
        assert isinstance(error, PitrError), repr(error)
        return error

    def failed(self) -> RunFailed:
        """Its end as the journal has it; nothing of it runs any more."""
        self.error()
        view = self.record.view()
        assert view.state in (RunState.FAILED, RunState.CANCELLED)
        assert view.finished is None
        assert view.failed is not None
        assert processes_in(self.place) == []
        return view.failed


@contextmanager
def begun(plan: RecoveryPlan, hear: Callable[[Stamped], None] = lambda _: None) -> Iterator[Begun]:
    """Begin a recovery; at the end it is over, one way or the other, and thrown away."""
    events: list[Stamped] = []
    cancel = threading.Event()

    def told(stamped: Stamped) -> None:
        events.append(stamped)
        hear(stamped)

    journal = Journal.create(told)
    record = run_named(journal.run)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(recover, plan, journal, cancel)
        future.add_done_callback(lambda _: _close(journal))
        try:
            yield Begun(plan, future, events, record, cancel)
        finally:
            cancel.set()
            future.exception(120)
            plan.secondary.throw_away()


def _close(journal: Journal) -> None:
    with suppress(PitrError, OSError):
        journal.close()


def go_on(record: RunRecord, plan: RecoveryPlan) -> RunView:
    """Take a run up by its journal."""
    journal = Journal.reopen(record.directory, lambda _: None)
    try:
        return take_up(plan, journal, record.view())
    finally:
        journal.close()


def rows(plan: RecoveryPlan) -> list[int]:
    return [row[0] for row in plan.secondary.database.rows("SELECT id FROM t ORDER BY id")]


def answers(plan: RecoveryPlan, expected: list[int]) -> bool:
    """Whether the secondary can be read already, and has these rows."""
    try:
        return rows(plan) == expected
    except PitrError:
        return False


def processes_in(place: Path) -> list[str]:
    """What works in a directory: a server, its children, and whatever these began."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with suppress(OSError):
                if os.readlink(process / "cwd").removesuffix(" (deleted)") == str(place):
                    found.append(f"{process.name} {_words(process)}")
    return found


def _words(process: Path) -> str:
    return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")


def postmaster(place: Path) -> int:
    pid = running_pid(place)
    assert pid is not None
    return pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def startup_process(place: Path) -> int:
    """The child that replays."""
    found = [one for one in processes_in(place) if "startup" in one.split("restore-command")[0]]
    assert len(found) == 1, found
    return int(found[0].split()[0])


def state_of(world: World) -> str:
    """A checksum of the backup, the archive and what the primary has."""
    digest = hashlib.sha256()
    for directory in (world.backup_path, world.archive_directory):
        for path in sorted(directory.rglob("*")):
            digest.update(f"{path} {path.lstat().st_mode}".encode())
            if path.is_file():
                digest.update(path.read_bytes())
    for name in ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf"):
        digest.update((world.server.data_directory / name).read_bytes())
    digest.update(str(world.server.database.rows("SELECT * FROM t ORDER BY 1")).encode())
    digest.update(str(running_pid(world.server.data_directory)).encode())
    return digest.hexdigest()


@contextmanager
def untouched(world: World) -> Iterator[None]:
    """Whatever happens within: the backup, the archive and the primary are the same after it."""
    before = state_of(world)
    yield
    assert state_of(world) == before


_HELD = """
import sys, time
from pathlib import Path
from pitr_tui.cli import main
from pitr_tui.recovery.journal import Journal
from pitr_tui.repositories.archive import WalArchive

marks, *words = sys.argv[1:]
gates = [line for line in (Path(marks) / "gates").read_text().split("\\n") if line]
copy, emit = WalArchive.copy, Journal.emit

def hold(told):
    for number, gate in enumerate(gates):
        if told.startswith(gate):
            (Path(marks) / f"reached {number}").touch()
            while not (Path(marks) / f"open {number}").exists():
                time.sleep(0.01)

def held_copy(archive, path, to):
    hold("copy " + path.name)
    return copy(archive, path, to)

def held_emit(journal, event):
    stamped = emit(journal, event)
    hold("event " + str(event))
    return stamped

WalArchive.copy, Journal.emit = held_copy, held_emit
sys.exit(main(words))
"""


@dataclass
class Command:
    """`pitr` in a process of its own, held at gates: `copy NAME` of a segment, `event TEXT`."""

    process: subprocess.Popen[str]
    marks: Path

    def wait(self, gate: int = 0) -> None:
        reached = self.marks / f"reached {gate}"
        wait_until(lambda: reached.exists() or self.process.poll() is not None, 60)
        assert reached.exists(), self.ended()

    def open(self, gate: int = 0) -> None:
        (self.marks / f"open {gate}").touch()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ended(self) -> tuple[int, str]:
        """Its exit code, and what it said."""
        said, _ = self.process.communicate(timeout=120)
        return self.process.returncode, said


@contextmanager
def held(marks: Path, gates: Sequence[str], *words: object, **options: Any) -> Iterator[Command]:
    """Run a command that waits at gates. `options` are of Popen."""
    marks.mkdir()
    (marks / "gates").write_text("\n".join(gates))
    argv = [sys.executable, "-c", _HELD, str(marks), *map(str, words)]
    places: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    places |= {"stdin": subprocess.DEVNULL, "text": True, "errors": "replace"}
    with subprocess.Popen(argv, **{**places, **options}) as process:
        try:
            yield Command(process, marks)
        finally:
            process.kill()


def restoring(world: World, to: Path, *options: str) -> list[object]:
    """The words that recover a long world up to its last row."""
    target = options or ("--target-xid", str(world.marks[LAST].xid))
    places = ["--backup", world.backup_path, "--archive", world.archive_directory, "--to", to]
    return ["restore", *places, "--bindir", world.installation.bindir, "--quick", *target]


def plan_of(record: RunRecord) -> RecoveryPlan:
    """The plan that a run on this machine goes by now."""
    return plan_from(record.view().plan, _Here())  # type: ignore[arg-type]


class _Here:
    def engine(self) -> None:
        raise AssertionError("nothing here is behind an engine")

    def path(self, place: str, image: str) -> ReadPath:
        return Path(place)


def assert_gone(place: Path) -> None:
    """Nothing runs there, and nothing is there."""
    assert processes_in(place) == []
    assert not place.exists()
