"""The end of a lab: its processes are stopped and its files removed. The record stays."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.lab import record, worker
from pitr_tui.lab.record import MARK, Lab, runs_of
from pitr_tui.recovery.runs import RunRecord
from pitr_tui.servers.local import socket_place
from pitr_tui.servers.running import find_running


def stop(lab: Lab) -> tuple[str, ...]:
    """End a lab, and tell of the secondaries that lie elsewhere, a sentence each.

    Asked again after a failure, it goes on. Raises RefusedError while one of its runs goes on or
    when the directory is not the lab's, PitrError.
    """
    runs = runs_of(lab)
    for run in runs:
        if run.is_live():
            raise RefusedError(
                f"the run {run.name} recovers this lab just now",
                "its files would be taken from under it",
                "cancel it, or wait for its end",
            )
    _require_own(lab)
    worker.stop(lab)
    removed, left = _remove_containers(lab)
    if lab.image is None:
        lab.server.stop()
    _stop_servers(lab.directory)
    left += [sentence for run in runs if (sentence := _left_elsewhere(lab, run, removed))]
    _remove(lab.directory)
    record.forget(lab.name)
    return tuple(left)


def _remove_containers(lab: Lab) -> tuple[frozenset[str], list[str]]:
    """The names of what the engine had of the lab, and a sentence when the primary is not in it.

    It may have been removed by hand, or DOCKER_HOST names another engine by now.
    """
    if lab.image is None:
        return frozenset(), []
    from pitr_tui.lab.container_ground import container_name, remove_world

    removed, name = remove_world(lab.directory), container_name(lab.directory)
    if name in removed:
        return removed, []
    return removed, [
        f"the Docker engine has no container {name} any more: if another engine has it, "
        f"`docker rm --force --volumes {name}` there removes it"
    ]


def _require_own(lab: Lab) -> None:
    """Raises RefusedError for a directory that this lab has not made: it is not removed."""
    directory = lab.directory
    if directory.exists() and not is_marked(directory, lab.name):
        raise RefusedError(
            f"{directory} is left alone",
            f"it has no file {MARK} that names the lab {lab.name}",
            "look at what it is; when nothing of the lab is in it, remove it by hand",
        )


def is_marked(directory: Path, name: str) -> bool:
    """Whether this directory was made for the lab of that name."""
    try:
        found = (directory / MARK).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return False
    return found == name and not directory.is_symlink()


def remove_world(directory: Path, image: str | None) -> None:
    """Stop and remove what was made of a lab that nobody plays. Raises PitrError."""
    if image is not None:
        from pitr_tui.lab import container_ground

        container_ground.remove_world(directory)
    _stop_servers(directory)
    _remove(directory)


def _stop_servers(directory: Path) -> None:
    """Stop every server below a lab's directory, the primary and secondaries."""
    world = directory.resolve()
    sockets = {socket_place(directory / "socket")}
    for server in find_running():
        if server.data_directory.is_relative_to(world):
            server.stop()
            sockets.add(Path(server.socket_directory))
    for place in sockets:
        if not place.resolve().is_relative_to(world) and place.name.startswith("pitr-"):
            with suppress(OSError):  # it is empty now, unless it is another's
                place.rmdir()


def _left_elsewhere(lab: Lab, run: RunRecord, removed: frozenset[str]) -> str:
    """What a run has left outside of the lab's directory, and of what the engine had of it."""
    try:
        view = run.view()
    except PitrError:
        return ""
    gone = view.thrown_away or (view.failed is not None and not view.failed.kept)
    if view.started is None or view.place is None or gone:
        return ""
    place = view.started.destination
    if Path(place).is_relative_to(lab.directory):
        return ""
    secondary = view.plan.get("secondary", {})
    if secondary.get("kind") == "local" and not Path(place).exists():
        return ""
    if secondary.get("name") in removed:
        return ""
    return f"the secondary in {place} stays: `pitr discard {run.name}` removes it"


def _remove(directory: Path) -> None:
    """A directory that a person had mounted stays, empty. Raises PitrError."""
    try:
        if not directory.exists():
            return
        # The mark goes last: what is left of a removal that was cut off is still the lab's.
        for path in sorted(directory.iterdir(), key=lambda one: one.name == MARK):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if not directory.is_mount():
            directory.rmdir()
    except OSError as error:
        raise PitrError(
            "the lab's files could not all be removed",
            f"{error.filename}: {error.strerror}",
            "`pitr lab stop` once more goes on with it",
        ) from error
