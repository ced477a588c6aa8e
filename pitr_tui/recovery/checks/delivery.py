"""The WAL delivery, tried out: one name that is there, one that cannot be.

On this machine the restore command itself is run as the server's user; of a container only what
it would be given is fetched.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.walname import WalSegment
from pitr_tui.recovery.checks.case import Case
from pitr_tui.recovery.events import CheckDone, Status
from pitr_tui.recovery.feeder import FEED_DIRECTORY, SCRIPT_PATH, restore_script
from pitr_tui.servers.osuser import OsUser
from pitr_tui.wording import duration_text, size_text

_DELIVERED, _PROVED_ABSENT = 0, 1
# No server gets so far: the name can be neither in an archive nor on the way.
_NONSENSE = TimelineId(0x7FFFFFFF).history_name


class Proof(NamedTuple):
    """How many bytes were fetched in how many seconds, and whether the script was run."""

    name: str
    bytes: int
    seconds: float
    by_script: bool

    @property
    def rate(self) -> float | None:
        return self.bytes / self.seconds if self.seconds > 0 else None


def prove_delivery(case: Case) -> Proof | None:
    """Fetch one segment as the feeder does, and let the restore command hand it over.

    None when the archive has no segment on the way. Raises RefusedError when it does not work.
    """
    segment = _a_segment(case)
    if segment is None:
        return None
    place = Path(tempfile.mkdtemp(prefix="pitr-check-"))
    try:
        return _prove(case, segment, place)
    except OSError as error:
        raise RefusedError(
            "the delivery of WAL could not be tried",
            f"{error.filename or place}: {error.strerror}",
            "make room in the directory for temporary files",
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def delivery(case: Case, proof: Proof | None) -> Iterator[CheckDone]:
    """The words for a proof."""
    if proof is None:
        return
    took = duration_text(proof.seconds)
    how = "fetched from the archive, where a made-up name was not found"
    if proof.by_script:
        by = case.plan.secondary.user.name
        how = f"handed over by the restore command as {by}; a made-up name is told as absent"
    words = f"{proof.name} ({size_text(proof.bytes)} in {took}) {how}"
    yield CheckDone("delivery", Status.OK, words)


def _a_segment(case: Case) -> WalSegment | None:
    """The first that is archived from the start of the backup on, and whole."""
    plan = case.plan
    held = case.held
    for number in sorted(number for number in held if number >= plan.backup.start_segment.number):
        path = plan.archive.find(held[number].name)
        if path is not None and ".partial" not in path.name:
            return held[number]
    return None


def _prove(case: Case, segment: WalSegment, place: Path) -> Proof:
    plan, user = case.plan, case.plan.secondary.user
    as_server = isinstance(user, OsUser)
    owner = user if isinstance(user, OsUser) else OsUser.current()
    owner.own(place)
    for directory in (SCRIPT_PATH.parent, FEED_DIRECTORY, FEED_DIRECTORY / "ready"):
        owner.make_directory(place / directory)
    ready = place / FEED_DIRECTORY / "ready" / segment.name
    started = time.monotonic()
    size = plan.source.fetch(segment.name, ready)
    seconds = time.monotonic() - started
    if size is None:
        raise PitrError(f"{segment.name} is listed in the archive and cannot be found there")
    if plan.source.fetch(_NONSENSE, place / "nothing") is not None:
        raise RefusedError(
            f"the archive claims to have {_NONSENSE}, which nobody ever wrote",
            str(plan.archive.directory),
            "is it an archive of WAL?",
        )
    if as_server:
        ready.chmod(0o600)
        owner.own(ready)
        owner.write_file(place / SCRIPT_PATH, restore_script())
        _run_script(case, place, segment.name, _DELIVERED)
        if (place / "restored").stat().st_size != size:
            raise RefusedError(f"the restore command did not hand over {segment.name} whole")
        closed = place / FEED_DIRECTORY / "closed"
        owner.write_file(closed, f"{_NONSENSE}\n")
        _run_script(case, place, _NONSENSE, _PROVED_ABSENT)
    return Proof(segment.name, size, seconds, as_server)


def _run_script(case: Case, place: Path, name: str, due: int) -> None:
    """Raises RefusedError when the restore command ends otherwise than it has to."""
    command = ("sh", str(SCRIPT_PATH), name, "restored")
    code = case.plan.secondary.run_as_server(command, place)
    if code not in (None, due):
        raise RefusedError(
            f"the restore command does not work as the user {case.plan.secondary.user.name}",
            f"for {name} it ended with {code}, and {due} was due",
            "try another user with --os-user, or recover into a container",
        )
