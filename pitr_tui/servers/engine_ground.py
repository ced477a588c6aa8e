"""The place of a secondary behind an engine: a volume, or a directory of its machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pitr_tui.containers.engine import Engine
from pitr_tui.containers.helper import Helper
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.containers.volumes import create_volume, remove_volume, volume_exists
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import shell_command, shell_word, visible
from pitr_tui.servers.secondary import OWN_DIRECTORY
from pitr_tui.storage.engine_place import helper_mount
from pitr_tui.storage.location import EngineLocation, LocationKind

_AT = PurePosixPath("/pitr/ground")


@dataclass(slots=True)
class EngineGround:
    """`location` is where a data directory comes to lie; `image` has the tools to look at it."""

    engine: Engine
    image: str
    location: EngineLocation
    made: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.is_volume and self.location.path.parts:
            raise RefusedError(
                f"{self.location} is a directory in a volume",
                "a secondary has a volume of its own",
                f"name a new volume, for example volume:{self.location.root}-recovered",
            )

    @property
    def is_volume(self) -> bool:
        return self.location.kind is LocationKind.VOLUME

    def exists(self) -> bool:
        """Raises EngineError, also when the directory above it does not exist."""
        if self.is_volume:
            return volume_exists(self.engine, self.location.root)
        with self._beside() as (helper, place):
            return helper.shell().run(f"[ -e {place} ] || [ -L {place} ]").code == 0

    def state(self) -> str:
        """`new` or `empty`. Raises RefusedError when something is there: nothing is overwritten."""
        if not self.exists():
            return "new"
        mount = helper_mount(self.location, _AT)
        with Helper.start(self.engine, self.image, mounts=[mount]) as helper:
            if _said(helper, f"ls -A {_AT} | head -n 1", f"{self.location} cannot be read"):
                raise RefusedError(
                    f"the destination {self.location} is not empty",
                    "a recovery never overwrites anything",
                    "choose a new one",
                )
        return "empty"

    def free_bytes(self) -> int:
        """The room on the disk where it lies or would lie. Raises PitrError."""
        if self.is_volume:  # the engine keeps volumes and containers in one place
            with Helper.start(self.engine, self.image) as helper:
                return free_bytes_at(helper, "/")
        with self._beside() as (helper, _):
            return free_bytes_at(helper, str(_AT))

    def make(self) -> None:
        """Make it when it is not there. Raises PitrError."""
        if self.exists():
            return
        if self.is_volume:
            create_volume(self.engine, self.location.root, Role.DATA)
        else:
            with self._beside(writable=True) as (helper, place):
                _said(helper, f"mkdir -m 700 {place}", f"{self.location} cannot be made")
        self.made = True

    def empty(self, helper: Helper, directory: PurePosixPath) -> None:
        """Remove what is in it, through a helper that sees it at `directory`."""
        script = f"find {directory} -mindepth 1 -maxdepth 1 -exec rm -rf {{}} +"
        _said(helper, script, f"what the run left in {self.location} cannot be removed")

    def unmake(self) -> None:
        """Remove it if we made it. Raises PitrError."""
        if not self.made:
            return
        if self.is_volume:
            remove_volume(self.engine, self.location.root)
        else:
            with self._beside(writable=True) as (helper, place):
                _said(helper, f"rm -rf {place}", f"{self.location} cannot be removed")
        self.made = False

    def throw_away(self) -> None:
        """Remove the data of a secondary that was made here once.

        Raises RefusedError for what does not look like one, PitrError.
        """
        if not self.exists():
            return
        if self.is_volume:
            remove_volume(self.engine, self.location.root)
            return
        with self._beside(writable=True) as (helper, place):
            script = f"{place}/{OWN_DIRECTORY}/restore-command"
            if helper.shell().run(f"[ -f {script} ]").code != 0:
                raise RefusedError(
                    f"{self.location} is left alone",
                    f"it has no {OWN_DIRECTORY}/restore-command, so no run of pitr made it",
                    "look at what it is, and remove it by hand",
                )
            _said(helper, f"rm -rf {place}", f"{self.location} cannot be removed")

    def commands(self) -> list[str]:
        """How a person makes it."""
        if self.is_volume:
            label = f"{LABEL}={Role.DATA}"
            words = ["docker", "volume", "create", "--label", label, self.location.root]
            return [shell_command(words)]
        return [f"install -d -m 0700 {shell_word(self.location.root)}  # on the engine's machine"]

    @contextmanager
    def _beside(self, writable: bool = False) -> Iterator[tuple[Helper, str]]:
        """A helper that sees the directory above, and the place's path in it as a shell word."""
        path = PurePosixPath(self.location.root)
        above = EngineLocation(LocationKind.ENGINE, str(path.parent))
        mount = helper_mount(above, _AT, writable)
        with Helper.start(self.engine, self.image, mounts=[mount]) as helper:
            yield helper, shell_word(str(_AT / path.name))


def free_bytes_at(helper: Helper, path: str) -> int:
    """The room on the disk where a path of a helper's lies. Raises PitrError."""
    said = _said(helper, f"df -Pk {path} | tail -n 1", "the room on the engine's disk is not known")
    try:
        return int(said.split()[3]) * 1024
    except (IndexError, ValueError) as error:
        raise PitrError("the room on the engine's disk is not known", visible(said)) from error


def _said(helper: Helper, script: str, what: str) -> str:
    ran = helper.shell().run(script)
    if ran.code != 0:
        raise PitrError(what, visible(ran.stderr.strip()))
    return ran.stdout.decode("utf-8", "replace")
