"""The record of a lab: other commands find its world by it, and its truth outlives the world."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab.scenario import SHOP, Scenario
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.events import RunStarted
from pitr_tui.recovery.journal import read_journal, state_directory
from pitr_tui.recovery.runs import RunRecord, all_runs
from pitr_tui.servers.installation import Installation
from pitr_tui.servers.local import LocalServer, socket_place
from pitr_tui.servers.osuser import server_user
from pitr_tui.servers.sql import Database

if TYPE_CHECKING:
    from pitr_tui.lab.truth import Truth

MARK = "pitr-lab"  # in the world's directory: the name of the lab that may remove it
_CURRENT, _LOCK = "current", "lock"
_FACTS, _SCENARIO, _TRUTH = "lab.json", "scenario.yaml", "truth.jsonl"
_PORT = 5432
_START_HINT = "`pitr lab` lists the scenarios, `pitr lab start NAME` begins one"


@dataclass(frozen=True, slots=True)
class Lab:
    """One scenario that was played: where its world is, and what the trainee was told.

    `done_items` counts the shop's transactions before the trainee's turn, `ready` is when that
    began. `primary_state` is how the scenario left the primary: runs, stopped, killed or lost.
    """

    name: str
    scenario: Scenario
    seed: int
    version: PostgresVersion
    bindir: Path
    os_user: str
    directory: Path
    system_identifier: int
    started: datetime
    ready: datetime
    story: str
    rate: float
    image: str | None
    done_items: int
    primary_state: str
    hints: tuple[str, ...]
    expert: str

    @property
    def record_directory(self) -> Path:
        return record_directory(self.name)

    @property
    def truth_path(self) -> Path:
        return self.record_directory / _TRUTH

    @property
    def scenario_path(self) -> Path:
        return self.record_directory / _SCENARIO

    @property
    def facts_path(self) -> Path:
        return self.record_directory / _FACTS

    def truth(self) -> Truth:
        """What a perfect recovery holds. Raises PitrError when it cannot be read."""
        from pitr_tui.lab.truth import Truth

        return Truth.read(self.truth_path)

    @property
    def server(self) -> LocalServer:
        """The primary."""
        places: dict[str, Any] = {
            "installation": Installation(self.bindir, self.version),
            "data_directory": self.directory / "primary",
            "user": server_user(self.os_user),
            "socket_directory": socket_place(self.directory / "socket"),
            "port": _PORT,
            "log_path": self.directory / "primary.log",
        }
        if self.image is None:
            return LocalServer(**places)
        from pitr_tui.lab.container_ground import ContainerLabServer

        return ContainerLabServer(**places, image=self.image)

    @property
    def database(self) -> Database:
        """The shop on the primary."""
        return self.server.database.named(SHOP)

    @property
    def archive_directory(self) -> Path:
        return self.directory / "archive"

    @property
    def backup_directory(self) -> Path:
        return self.directory / "backups"

    @property
    def destination(self) -> Path:
        """Where we propose to recover to; nothing is there at first."""
        return self.directory / "recovered"


def labs_directory() -> Path:
    """Each lab has a directory in it, by its name."""
    return state_directory() / "lab"


def record_directory(name: str) -> Path:
    return labs_directory() / name


def lab_name(scenario: str, seed: int, at: datetime) -> str:
    return f"{scenario}-{seed}-{at:%Y%m%dT%H%M%S}"


@contextmanager
def reserved(name: str) -> Iterator[Path]:
    """The new record's directory while its lab is set up; it goes again when that fails.

    Raises RefusedError while another lab runs or is being set up, PitrError.
    """
    directory = record_directory(name)
    with _alone():
        running = current_name()
        if running is not None:
            raise RefusedError(
                f"the lab {running} is running",
                "there is one lab at a time",
                "`pitr lab stop` ends it, and removes its servers and files",
            )
        try:
            directory.mkdir(mode=0o700)
        except OSError as error:
            raise unwritable(directory, error) from error
        try:
            yield directory
        except BaseException:
            forget(name)
            shutil.rmtree(directory, ignore_errors=True)
            raise


def create(lab: Lab) -> None:
    """Write a lab down, with its scenario's file, and make it the current one.

    Its directory is there since `reserved`. Raises PitrError.
    """
    facts = {one.name: _plain(getattr(lab, one.name)) for one in fields(Lab)}
    facts["scenario"] = lab.scenario.name  # the rest of it is in its file
    try:
        write_private(lab.scenario_path, lab.scenario.text)
        write_private(lab.facts_path, json.dumps(facts, indent=2) + "\n")
        write_private(labs_directory() / _CURRENT, f"{lab.name}\n")
    except OSError as error:
        raise unwritable(lab.record_directory, error) from error


def current() -> Lab | None:
    """The lab that runs. Raises PitrError when its record cannot be read."""
    name = current_name()
    return None if name is None else load(name)


def require_current() -> Lab:
    """The lab that runs. Raises RefusedError when none does, PitrError as `current`."""
    lab = current()
    if lab is None:
        raise RefusedError("no lab is running", "", _START_HINT)
    return lab


def load(name: str) -> Lab:
    """A lab by its name. Raises RefusedError when there is none, PitrError when it is damaged."""
    directory = record_directory(name)
    if "/" in name or not (directory / _FACTS).is_file():
        raise RefusedError(
            f"no lab is called {name!r}", f"looked in {labs_directory()}", _START_HINT
        )
    from pitr_tui.lab.scenario_file import load as load_scenario

    try:
        facts = json.loads((directory / _FACTS).read_text(encoding="utf-8"))
        return _lab(facts, load_scenario(directory / _SCENARIO))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PitrError(
            f"the record of the lab {name} cannot be read",
            f"{directory / _FACTS}: {error!r}",
            "it was made by another version of pitr, or changed; `pitr lab stop` ends that lab",
        ) from error


def all_labs() -> list[Lab]:
    """Every lab that was played here and can be read, the newest first."""
    found = []
    for facts in labs_directory().glob(f"*/{_FACTS}"):
        with suppress(PitrError):
            found.append(load(facts.parent.name))
    return sorted(found, key=lambda lab: lab.started, reverse=True)


def is_complete(directory: Path) -> bool:
    """Whether the lab of this record was set up to its end."""
    return (directory / _FACTS).exists()


def runs_of(lab: Lab) -> list[RunRecord]:
    """The runs that recovered this lab's cluster, the newest first."""
    return [record for record in all_runs() if is_of(record, lab)]


def is_of(record: RunRecord, lab: Lab) -> bool:
    """Whether a run recovers a backup of this lab's cluster, as far as its journal tells."""
    try:
        for stamped in read_journal(record.directory, outline=True):
            if isinstance(stamped.event, RunStarted):
                label = stamped.event.plan.get("label")
                return isinstance(label, list) and str(lab.system_identifier) in label[2:]
    except PitrError:
        pass  # it is somebody's, and cannot be read
    return False


def forget(name: str) -> None:
    """The lab of that name runs no more; its record stays."""
    if current_name() == name:
        (labs_directory() / _CURRENT).unlink(missing_ok=True)


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else sets up a lab meanwhile; the lock goes with its process."""
    path = labs_directory() / _LOCK
    try:
        labs_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise unwritable(path, error) from error
    with os.fdopen(descriptor, "wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(
                "another pitr is setting up a lab", "there is one lab at a time", "wait for it"
            ) from error
        yield


def current_name() -> str | None:
    """The name of the lab that runs, though its record may be damaged."""
    try:
        name = (labs_directory() / _CURRENT).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return name or None


def write_private(path: Path, text: str) -> None:
    """A file for nobody else, whole or not at all."""
    draft = path.with_name(path.name + ".pitr-new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)  # else the name may be there after a crash, and the text not
    draft.rename(path)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    return value.number if isinstance(value, PostgresVersion) else value


def _lab(facts: dict[str, Any], scenario: Scenario) -> Lab:
    """The lab that `create` wrote. Raises KeyError, TypeError or ValueError for anything else."""
    facts = {
        **facts,
        "scenario": scenario,
        "version": PostgresVersion(int(facts["version"])),
        "bindir": Path(facts["bindir"]),
        "directory": Path(facts["directory"]),
        "started": datetime.fromisoformat(facts["started"]),
        "ready": datetime.fromisoformat(facts["ready"]),
        "hints": tuple(facts["hints"]),
    }
    return Lab(**{one.name: facts[one.name] for one in fields(Lab)})


def unwritable(path: Path, error: OSError) -> PitrError:
    return PitrError(
        "the lab cannot be written down",
        f"{error.filename or path}: {error.strerror}",
        "make room there, or name another place in PITR_STATE_DIR",
    )
