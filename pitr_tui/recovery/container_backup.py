"""Take a base backup of a server in a container, by a helper container of the same image.

The helper shares the server's network namespace, so that it comes from 127.0.0.1 whatever
networks there are, and its tools are the image's own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pitr_tui.containers.engine import EngineError
from pitr_tui.containers.helper import Helper
from pitr_tui.containers.process import Process
from pitr_tui.containers.volumes import volume_exists
from pitr_tui.errors import CancelledError, PitrError
from pitr_tui.postgres.quote import shell_command, shell_word, visible
from pitr_tui.recovery.backup import (
    PROGRESS,
    Compression,
    backup_arguments,
    backup_failure,
    require_compressible,
    require_known,
    require_same_cluster,
)
from pitr_tui.recovery.backup_place import BackupPlace, writing_helper
from pitr_tui.recovery.events import Progress
from pitr_tui.repositories.backups import TABLESPACES, Backup, BackupFormat, open_backup
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.image_tools import ImageTool, ImageTools, image_tools, tool_environment
from pitr_tui.servers.primary import PrimaryFacts
from pitr_tui.storage.engine_place import open_place, require_apart
from pitr_tui.storage.location import EngineLocation, LocationKind

_LOOPBACK = "127.0.0.1"
_POLL = 0.1
_WORDS = 8192
_NOT_OF_THE_NETWORK = ("host", "hostaddr", "password")

# The links that pg_basebackup makes lead to where the helper sees the tablespaces.
_RELINK = """
cd {place}/pg_tblspc && for link in *; do
    [ ! -L "$link" ] || ln -sfn "../{tablespaces}/$link" "$link" || exit 1
done
"""


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether the checksums of a backup were checked, and by what, or why not."""

    done: bool
    words: str


@dataclass(frozen=True, slots=True)
class ContainerBackupOrder:
    """A base backup to be taken behind an engine, or from there onto this machine."""

    server: ContainerServer
    facts: PrimaryFacts
    destination: EngineLocation | Path
    format: BackupFormat = BackupFormat.PLAIN
    compression: Compression = Compression.NONE
    label: str = "pitr"

    def __post_init__(self) -> None:
        require_compressible(self)
        if isinstance(self.destination, EngineLocation):
            require_apart(self.server.container, self.destination)

    def connection(self) -> dict[str, str]:
        """How the helper reaches the server. Raises PitrError when it does not run."""
        parameters = self.server.database.parameters
        kept = {name: one for name, one in parameters.items() if name not in _NOT_OF_THE_NETWORK}
        return {"host": _LOOPBACK, **kept}

    def describe(self) -> str:
        """The command as a person would type it. Raises PitrError."""
        tools = image_tools(self.server.engine, self.server.image)
        place = self.place(tools)
        mount = place.mount
        words = ["docker", "run", "--rm", "--user", place.owner, "--env", "PGPASSWORD"]
        words += ["--network", f"container:{self.server.name}"]
        words += ["--mount", f"type={mount.kind},source={mount.source},target={mount.target}"]
        words += ["--entrypoint", tools.require("pg_basebackup").path, self.server.image]
        return shell_command([*words, *backup_arguments(self, place.inside, self.connection())])

    def remark(self) -> str:
        """What will be made besides the backup, and whose its files will be. Raises EngineError."""
        if isinstance(self.destination, Path):
            return ""
        owner = image_tools(self.server.engine, self.server.image).owner
        whose = f"the files will belong to {owner}, the image's user of the server"
        if self.destination.kind is LocationKind.ENGINE:
            return whose
        if volume_exists(self.server.engine, self.destination.root):
            return whose
        return f"the volume {self.destination.root} will be made for it; {whose}"

    def place(self, tools: ImageTools) -> BackupPlace:
        """Where it will be written."""
        return BackupPlace(self.server.engine, self.server.image, self.destination, tools.owner)


def take_container_backup(
    order: ContainerBackupOrder, cancel: threading.Event | None = None
) -> Iterator[Progress | Verified]:
    """Run pg_basebackup and yield its progress in bytes, and at last what was verified.

    Raises RefusedError for a destination that is not empty and for a compression that the
    image does not know, PitrError with pg_basebackup's own words, CancelledError. What it had
    written is removed then.
    """
    tools = image_tools(order.server.engine, order.server.image)
    tool = tools.require("pg_basebackup")
    require_known(order.compression, tool.version)
    connection, environment = order.connection(), tool_environment(order.server)
    place = order.place(tools)
    place.prepare()
    try:
        with writing_helper(place, f"container:{order.server.container.id}") as helper:
            command = [tool.path, *backup_arguments(order, place.inside, connection)]
            writing = _Tool(helper, command, place.owner, environment)
            yield from writing.progress(cancel)
            if writing.code != 0:
                raise backup_failure(writing.said)
            if order.format is BackupFormat.PLAIN and order.facts.tablespaces:
                _relink(helper, place.inside)
            verified = _verify(order, helper, place, tools.find("pg_verifybackup"), cancel)
            require_same_cluster(order, open_backup(place.seen_by(helper)))
    except BaseException:
        place.remove()
        raise
    yield verified


def finished_container_backup(order: ContainerBackupOrder) -> Backup:
    """The backup that was taken, read back from its files. Raises PitrError."""
    if isinstance(order.destination, Path):
        return open_backup(order.destination)
    return open_backup(open_place(order.server.engine, order.server.image, order.destination))


def _relink(helper: Helper, place: PurePosixPath) -> None:
    """Let the links in pg_tblspc stay inside of the backup, wherever it is seen from."""
    script = _RELINK.format(place=shell_word(str(place)), tablespaces=TABLESPACES)
    ran = helper.shell().run(script)
    if ran.code != 0:
        raise PitrError("the backup's tablespaces cannot be linked", visible(ran.stderr.strip()))


def _verify(
    order: ContainerBackupOrder,
    helper: Helper,
    place: BackupPlace,
    tool: ImageTool | None,
    cancel: threading.Event | None,
) -> Verified:
    """Check every file against the manifest. Raises PitrError when one differs."""
    version, tar = order.facts.version, order.format is BackupFormat.TAR
    if not version.writes_backup_manifest:
        return Verified(False, f"PostgreSQL {version.major} writes no manifest with checksums")
    if tool is None:
        return Verified(False, "the image has no pg_verifybackup")
    if tar and not tool.version.verifies_tar_backups:
        return Verified(
            False, f"pg_verifybackup {tool.version.major} reads no tar; 18 is the first that does"
        )
    with_wal = not tar and tool.version.same_major(version)
    command = [tool.path, "--quiet", "--ignore", TABLESPACES]
    command += [] if with_wal else ["--no-parse-wal"]
    checking = _Tool(helper, [*command, str(place.inside)], place.owner, {"LC_ALL": "C"})
    for _ in checking.progress(cancel):
        pass
    if checking.code != 0:
        raise PitrError(
            "the backup does not hold what the server sent",
            visible(checking.said.strip()),
            "the disk or its connection damages what is written: use another place",
        )
    what = "all checksums fit the manifest"
    return Verified(
        True,
        f"pg_verifybackup {tool.version}: {what}, and its WAL can be read"
        if with_wal
        else f"pg_verifybackup {tool.version}: {what}; its WAL was not looked at",
    )


class _Tool:
    """A program of PostgreSQL's in a helper, waited for without being deaf to a cancel."""

    def __init__(
        self, helper: Helper, argv: list[str], user: str, environment: Mapping[str, str]
    ) -> None:
        """Start it. Raises EngineError."""
        self._process: Process = helper.popen(argv, user=user, environment=environment)
        self.said = ""
        self.code: int | None = None

    def progress(self, cancel: threading.Event | None) -> Iterator[Progress]:
        """What it tells of its progress until it ends. Raises CancelledError, EngineError."""
        try:
            while self.code is None:
                if cancel is not None and cancel.is_set():
                    raise CancelledError("the backup was cancelled")
                self.code = self._process.poll()
                self._process.read()
                fresh = self._process.read_errors()
                self.said = (self.said + fresh)[-_WORDS:]
                found = PROGRESS.findall(fresh)
                if found:
                    yield Progress(int(found[-1][0]) * 1024, int(found[-1][1]) * 1024)
                if self.code is None:
                    time.sleep(_POLL)
        finally:
            if self.code is None:
                with suppress(EngineError):  # a helper that is gone has ended it too
                    self._process.terminate()
            self._process.close()
