"""Write a file of a server's container, whole or not at all, in whatever state the container is.

A server that shuts down takes every program in its container with it, so nothing runs there:
a helper that has the same directory mounted renames the draft.
"""

from __future__ import annotations

import posixpath
import tarfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from pitr_tui.containers.container import PostgresContainer
from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.files import put_tree, walk_tree
from pitr_tui.containers.shell import Ran
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.quote import visible
from pitr_tui.storage.engine_place import location_in, open_place

if TYPE_CHECKING:
    from pitr_tui.servers.container_server import ContainerServer

_DRAFT = ".pitr-new"
_MOVE = '{ sync "$1" 2>/dev/null || sync; } && mv -f "$1" "$2"'
_MOST_LINKS = 16


@dataclass(frozen=True, slots=True)
class FileRights:
    """Whose a file is, and who may read it."""

    uid: int
    gid: int
    mode: int


def resolved(
    engine: Engine, container: PostgresContainer, path: PurePosixPath
) -> tuple[PurePosixPath, FileRights | None]:
    """The file that a path leads to through its links, and its rights if it is there.

    Raises EngineError.
    """
    for _ in range(_MOST_LINKS):
        try:
            member, _content = next(walk_tree(engine, container.id, str(path)))
        except (FileNotFoundError, StopIteration):
            return path, None
        if not member.issym():
            return path, FileRights(member.uid, member.gid, member.mode)
        path = PurePosixPath(posixpath.normpath(path.parent / member.linkname))
    raise EngineError(f"{path} of the container {container.name} is a circle of links")


def require_replaceable(container: PostgresContainer, path: PurePosixPath, remedy: str) -> None:
    """Raises RefusedError for a file that no other can be put in the place of.

    `path` is without links.
    """
    held = container.mount_of(path)
    if held is None or (held[0].target != path and held[0].writable):
        return
    mount, _ = held
    how = "is a mount of its own" if mount.target == path else "is mounted read-only"
    raise RefusedError(
        f"{path} of the container {container.name} cannot be replaced",
        f"it {how}: {mount.source}",
        remedy,
    )


def write_file(server: ContainerServer, path: PurePosixPath, data: bytes, mode: int) -> None:
    """Replace a file, which keeps its owner and mode, or make one of the server's user.

    Links are followed. Raises RefusedError for a file that is a mount, PitrError.
    """
    path, old = resolved(server.engine, server.container, path)
    require_replaceable(server.container, path, "change it where it comes from")
    uid, _, gid = server.owner.partition(":")
    rights = old or FileRights(int(uid), int(gid), mode)
    try:
        location = location_in(server.container, path.parent)
    except RefusedError:
        _write_in_layer(server, path, data, rights)
        return
    directory = open_place(server.engine, server.image, location, writable=True)
    helper = directory.tree.helper
    inside, name = str(directory.inside), path.name
    draft = f"{inside}/{name}{_DRAFT}"
    try:
        helper.put(inside, _tar(f"{name}{_DRAFT}", data, rights))
        ran = helper.run(["sh", "-c", _MOVE, "sh", draft, f"{inside}/{name}"])
        if ran.code != 0:
            raise _unwritten(server, path, ran)
    except BaseException:
        with suppress(EngineError):  # the first error is the one that tells
            helper.run(["rm", "-f", draft])
        raise
    finally:
        helper.close()


def _write_in_layer(
    server: ContainerServer, path: PurePosixPath, data: bytes, rights: FileRights
) -> None:
    """Write what nobody else can mount: only programs of the container can rename there.

    When it does not run, nobody reads half a file either.
    """
    parent, draft = str(path.parent), f"{path}{_DRAFT}"
    if not server.is_running():
        put_tree(server.engine, server.container.id, parent, _tar(path.name, data, rights))
        return
    put_tree(server.engine, server.container.id, parent, _tar(path.name + _DRAFT, data, rights))
    for argv in (["sync"], ["mv", "-f", draft, str(path)]):
        ran = server.run(argv)
        if ran.code != 0:
            server.run(["rm", "-f", draft])
            raise _unwritten(server, path, ran)


def _tar(name: str, data: bytes, rights: FileRights) -> Iterator[bytes]:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), rights.mode, int(time.time())
    member.uid, member.gid = rights.uid, rights.gid
    end = bytes(-member.size % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)
    return iter([member.tobuf(), data, end])


def _unwritten(server: ContainerServer, path: PurePosixPath, ran: Ran) -> PitrError:
    return PitrError(
        f"{path} in the container {server.name} cannot be written",
        visible(ran.stderr.strip()) or f"exit code {ran.code}",
    )
