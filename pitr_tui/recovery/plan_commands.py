"""The files that a run writes, and the shell commands by which a person would do the same."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from pitr_tui.postgres.conf import BEGIN, END, LEFT_OUT, comment_out, without_block
from pitr_tui.postgres.quote import shell_word
from pitr_tui.recovery.place import NOT_COPIED
from pitr_tui.repositories.backups import TABLESPACES, Backup, BackupFormat


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file of the secondary's data directory; appended to what the backup has, or written.

    `left_out` are the lines of the backup's, counted from 1, that become comments.
    """

    path: PurePosixPath
    text: str
    append: bool = False
    left_out: tuple[int, ...] = ()

    def written(self, before: str) -> str:
        """The file as the run writes it, from what the copy has of it: none is the same as "".

        Writing it a second time changes nothing.
        """
        if not self.append:
            return self.text
        return without_block(comment_out(before, self.left_out)) + self.text


def copy_corrections(backup: Backup, data_directory: PurePath) -> list[str]:
    """What the run does otherwise than `cp` and `tar`, of a backup on this machine."""
    if not isinstance(backup.path, Path):
        return []
    place = PurePosixPath(data_directory)
    left_out = " ".join(map(shell_word, NOT_COPIED))
    lines = [f"(cd {_word(place)} && rm -rf {left_out})"]
    with suppress(OSError):  # what is gone by now has no tablespaces to tell of
        tar = backup.format is BackupFormat.TAR
        lines += _more_tars(backup, place) if tar else _linked(backup.path, place)
    return lines


def _more_tars(backup: Backup, place: PurePosixPath) -> list[str]:
    lines: list[str] = []
    for tar in backup.tars():
        stem = tar.name.split(".", 1)[0]
        if stem == "base":
            continue
        wal = stem == "pg_wal"
        to = place / (backup.version.wal_directory if wal else f"{TABLESPACES}/{stem}")
        lines += [f"mkdir -p {_word(to)}", f"(cd {_word(to)} && tar -xf {_word(tar)})"]
        if not wal:
            lines += _link_commands(place, stem)
    return lines


def _linked(backup: Path, place: PurePosixPath) -> list[str]:
    lines: list[str] = []
    links = backup / "pg_tblspc"
    for link in sorted(links.iterdir()) if links.is_dir() else ():
        to = place / TABLESPACES / link.name
        if not (backup / TABLESPACES / link.name).is_dir():
            lines += [f"mkdir -p {_word(to)}", f"cp -R {_word(link)}/PG_* {_word(to)}"]
        lines += _link_commands(place, link.name)
    return lines


def _link_commands(place: PurePosixPath, oid: str) -> list[str]:
    """The link of a tablespace, which leads to where it lies inside."""
    links = place / "pg_tblspc"
    inside = _word(PurePosixPath("..", TABLESPACES, oid))
    return [f"mkdir -p {_word(links)}", f"ln -sfn {inside} {_word(links / oid)}"]


def writing_commands(
    files: Iterable[PlannedFile], data_directory: PurePath, has_block: bool
) -> list[str]:
    """What writes the files; `has_block` where the backup was a secondary of ours once."""
    lines = ["umask 077"]
    for file in files:
        sign = ">>" if file.append else ">"
        path = _word(data_directory / file.path)
        edits = [f"{number}s/^/{LEFT_OUT}/" for number in file.left_out]
        if file.append and has_block:
            edits.append(f"/^{BEGIN}$/,/^{END}$/d")
        if edits:
            words = " ".join(f"-e {shell_word(edit)}" for edit in edits)
            lines.append(f"sed {words} {path} >{path}.new && mv {path}.new {path}")
        if not file.text:
            lines.append(f": {sign}{path}")
            continue
        text = file.text.removesuffix("\n").split("\n")
        lines += [f"cat {sign}{path} <<'EOF'", *text, "EOF"]
    return lines


def _word(path: object) -> str:
    return shell_word(str(path))
