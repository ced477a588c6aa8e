"""A new, empty directory for a backup that a helper container writes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.helper import Helper, HelperMount
from pitr_tui.containers.labels import Role
from pitr_tui.containers.volumes import create_volume, remove_volume, volume_exists
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import shell_word, visible
from pitr_tui.servers.local_secondary import remove, require_empty
from pitr_tui.storage.engine_place import helper_mount, place_in
from pitr_tui.storage.location import EngineLocation, LocationKind
from pitr_tui.storage.path import ReadPath

INSIDE = PurePosixPath("/pitr/backup")
_OUTER = PurePosixPath("/pitr/around")
_OCCUPIED = 17
_NO_SOURCE = "bind source path does not exist"

_PREPARE = """
set -e
if [ -e {place} ] || [ -L {place} ]; then
    [ -d {place} ] && [ -z "$(ls -A {place})" ] || exit {occupied}
    {keep} || {{ chown {owner} {place} && chmod 0700 {place}; }}
    echo was-there
else
    mkdir -p "$(dirname {place})"
    mkdir -m 0700 {place}
    chown {owner} {place}
fi
stat -c %u:%g {place}
"""


@dataclass(slots=True)
class BackupPlace:
    """Where a backup comes to lie, by a person's words, and how a helper reaches it.

    `owner` ("uid:gid") is who writes a new place behind the engine. What lies on this machine
    is written as the person who asks, so that nobody has to be root to read or remove it.
    """

    engine: Engine
    image: str
    destination: EngineLocation | Path
    owner: str
    made_volume: bool = field(default=False, init=False)
    _was_there: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if isinstance(self.destination, Path):
            # In a rootless engine, root inside of a container is the person outside of it.
            self.owner = "0:0" if self.engine.rootless else f"{os.getuid()}:{os.getgid()}"

    @property
    def mount(self) -> HelperMount:
        """What the helper that writes has to mount at `INSIDE`."""
        if isinstance(self.destination, Path):
            return HelperMount("bind", str(self.destination), str(INSIDE), writable=True)
        return helper_mount(self.destination, INSIDE, writable=True)

    @property
    def inside(self) -> PurePosixPath:
        """The place as that helper sees it."""
        return INSIDE if isinstance(self.destination, Path) else INSIDE / self.destination.path

    def prepare(self) -> None:
        """Make it, or see that it is empty.

        Raises RefusedError when something is there, PitrError when it cannot be made; then
        there is nothing new.
        """
        if isinstance(self.destination, Path):
            self._prepare_here(self.destination)
        else:
            try:
                self._prepare_there(self.destination)
            except BaseException:
                self._remove_volume()
                raise

    def seen_by(self, helper: Helper) -> ReadPath:
        """The place as a path, as long as that helper lives."""
        if isinstance(self.destination, Path):
            return self.destination
        return place_in(helper, self.destination, INSIDE)

    def require_seen_by(self, helper: Helper) -> None:
        """Raises RefusedError when the engine's machine has another directory of this name."""
        if not isinstance(self.destination, Path):
            return
        here = str(self.destination.stat().st_ino)
        ran = helper.shell().run(f"stat -c %i {INSIDE}")
        if ran.stdout.decode().strip() != here:
            raise _not_shared(self.destination)

    def remove(self) -> None:
        """Take away what a failed backup has left. Raises PitrError when something resists."""
        if isinstance(self.destination, Path):
            remove(self.destination, keep_directory=self._was_there)
            return
        if self.made_volume:
            self._remove_volume()
            return
        with self._around(self.destination) as (helper, place):
            what = f"find {place} -mindepth 1 -delete" if self._was_there else f"rm -rf {place}"
            ran = helper.run(["sh", "-c", what], timeout=3600)
        if ran.code != 0:
            raise PitrError(
                f"what the backup left in {self.destination} could not be removed",
                visible(ran.stderr.strip()),
            )

    def _prepare_here(self, directory: Path) -> None:
        if not self.engine.local:
            raise RefusedError(
                f"{directory} is not on the machine of the Docker engine",
                f"the engine is at {self.engine.address}, and the backup is written there",
                "name a volume (volume:NAME/PATH) or a directory there (engine:/PATH)",
            )
        require_empty(directory)
        self._was_there = directory.exists()
        try:
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise RefusedError(f"{directory} cannot be made", str(error.strerror)) from error

    def _prepare_there(self, location: EngineLocation) -> None:
        is_volume = location.kind is LocationKind.VOLUME
        if is_volume and not volume_exists(self.engine, location.root):
            create_volume(self.engine, location.root, Role.BACKUPS)
            self.made_volume = True
        with self._around(location) as (helper, place):
            script = _PREPARE.format(
                place=place,
                owner=self.owner,
                keep="false" if is_volume else "true",
                occupied=_OCCUPIED,
            )
            ran = helper.shell().run(script)
        if ran.code == _OCCUPIED:
            raise RefusedError(
                f"the destination {location} is not empty",
                "a backup never overwrites anything",
                "name a new directory in it" if is_volume else "choose a new directory",
            )
        if ran.code != 0:
            raise RefusedError(f"{location} cannot be made", visible(ran.stderr.strip()))
        *said, self.owner = ran.stdout.decode().split()
        self._was_there = bool(said)

    def _remove_volume(self) -> None:
        if self.made_volume and isinstance(self.destination, EngineLocation):
            remove_volume(self.engine, self.destination.root)

    @contextmanager
    def _around(self, location: EngineLocation) -> Iterator[tuple[Helper, str]]:
        """A helper with what lies around the place, and the place's name in it for a shell."""
        if location.kind is LocationKind.VOLUME:
            around, below = EngineLocation(location.kind, location.root), location.path
        else:
            path = PurePosixPath(location.root)
            if path.parent == path:
                raise RefusedError(f"{location} is no place for a backup", "it is everything")
            around = EngineLocation(location.kind, str(path.parent))
            below = PurePosixPath(path.name)
        mount = helper_mount(around, _OUTER, writable=True)
        try:
            helper = Helper.start(self.engine, self.image, mounts=[mount], name_hint="place")
        except EngineError as error:
            if _NO_SOURCE not in error.why:
                raise
            raise RefusedError(f"{location} cannot be made", f"there is no {around}") from error
        with helper:
            yield helper, shell_word(str(_OUTER / below))


@contextmanager
def writing_helper(place: BackupPlace, network: str) -> Iterator[Helper]:
    """The helper that writes into the place. Raises EngineError, RefusedError."""
    try:
        helper = Helper.start(
            place.engine, place.image, mounts=[place.mount], network=network, name_hint="backup"
        )
    except EngineError as error:
        if isinstance(place.destination, Path) and _NO_SOURCE in error.why:
            raise _not_shared(place.destination) from error
        raise
    with helper:
        place.require_seen_by(helper)
        yield helper


def _not_shared(directory: Path) -> RefusedError:
    return RefusedError(
        f"the Docker engine does not see {directory}",
        "it has a file system of its own, as in a virtual machine, or another place is mounted",
        "name a volume: volume:NAME/PATH",
    )
