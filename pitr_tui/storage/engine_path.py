"""Paths in volumes and in directories of an engine's machine, read through a helper container.

Questions go to a shell that is kept open in the helper, bytes through the engine's archive
streams. So it is all the same whether the engine is local or remote, and no right on its
machine is needed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from pitr_tui.containers.engine import EngineError
from pitr_tui.containers.shell import ShellGone
from pitr_tui.postgres.quote import shell_word
from pitr_tui.storage.engine_stream import Download, Upload

if TYPE_CHECKING:
    from pitr_tui.containers.helper import Helper
    from pitr_tui.containers.shell import Ran

_STAT = "stat -c '%f %s %Y %n'"  # GNU and BusyBox both know these four
_PAUSES = (0.0, 0.5, 2.0, 5.0)
_FACTS = re.compile(r"[0-9a-f]+ \d+ -?\d+ (.*)")


@dataclass(frozen=True, eq=False, slots=True)
class EngineTree:
    """A mount of a helper: where it is inside, how people call it, and who acts there.

    `others` are further trees of the same helper, from which files can be copied in place.
    """

    helper: Helper
    mountpoint: PurePosixPath
    location: str
    user: str = ""
    others: tuple[EngineTree, ...] = ()

    @property
    def root(self) -> EnginePath:
        return EnginePath(self, PurePosixPath())

    def run(self, script: str, user: str | None = None) -> Ran:
        """Run a script in the helper's shell, by the tree's user unless another is named.

        A connection that was cut is made anew, so a script has to bear being run twice. Raises
        EngineError when that does not help.
        """
        by = self.user if user is None else user
        for pause in _PAUSES:
            try:
                shell = self.helper.shell(by)
            except EngineError as error:
                if error.status:  # the engine answered, and will not change its mind
                    raise
            else:
                with suppress(ShellGone):
                    return shell.run(script)
            time.sleep(pause)
        return self.helper.shell(by).run(script)


@dataclass(frozen=True, slots=True)
class EnginePath:
    """A path in an EngineTree; those from `iterdir` remember what kind of file they are."""

    tree: EngineTree
    relative: PurePosixPath
    _known: os.stat_result | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        below = f"/{self.relative}" if self.relative.parts else ""
        return f"{self.tree.location}{below}"

    def __truediv__(self, name: str) -> EnginePath:
        return EnginePath(self.tree, self.relative / name)

    def joined(self, below: PurePosixPath) -> EnginePath:
        return EnginePath(self.tree, self.relative / below)

    @property
    def inside(self) -> PurePosixPath:
        """The path in the helper container."""
        return self.tree.mountpoint / self.relative

    @property
    def name(self) -> str:
        return self.relative.name or self.tree.location.rsplit(":", 1)[-1].rsplit("/", 1)[-1]

    @property
    def parent(self) -> EnginePath:
        return EnginePath(self.tree, self.relative.parent)

    def absolute(self) -> EnginePath:
        return self

    def lstat(self) -> os.stat_result:
        """Raises FileNotFoundError and its siblings."""
        return _facts(self._run(f"{_STAT} {self._word}"))

    def stat(self) -> os.stat_result:
        if self._known is not None and not stat.S_ISLNK(self._known.st_mode):
            return self._known
        return _facts(self._run(f"{_STAT.replace('stat', 'stat -L', 1)} {self._word}"))

    def exists(self) -> bool:
        return self._mode() is not None

    def is_dir(self) -> bool:
        mode = self._mode()
        return mode is not None and stat.S_ISDIR(mode)

    def is_file(self) -> bool:
        mode = self._mode()
        return mode is not None and stat.S_ISREG(mode)

    def is_symlink(self) -> bool:
        try:
            return stat.S_ISLNK((self._known or self.lstat()).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return False

    def iterdir(self) -> Iterator[EnginePath]:
        """The entries of a directory, in no order, with what is known of them."""
        found = self._find("-mindepth 1 -maxdepth 1")
        return iter([path for path in found if path.relative != self.relative])

    def files_below(self) -> Iterator[EnginePath]:
        return iter(self._find("-type f"))

    def members(self) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
        """All that is in a directory, as tar members with names relative to it."""
        for member, content in self.tree.helper.get_tree(str(self.inside)):
            member.name = member.name.partition("/")[2]
            if member.name:
                yield member, content

    def open(self, mode: str) -> IO[bytes]:
        """Read a file from front to end, or write one whole: it is there once it is closed."""
        helper, path = self.tree.helper, self.inside
        if mode == "wb":
            return cast("IO[bytes]", Upload(helper, path, self.tree.user))
        return cast("IO[bytes]", Download(helper, path))

    def read_bytes(self) -> bytes:
        with self.open("rb") as file:
            return file.read()

    def mkdir(self, mode: int = 0o777) -> None:
        self._run(f"mkdir -m {mode:o} {self._word}")

    def chmod(self, mode: int) -> None:
        self._run(f"chmod {mode:o} {self._word}")

    def unlink(self, missing_ok: bool = False) -> None:
        self._run(f"rm {'-f ' if missing_ok else ''}{self._word}")

    def rename(self, target: EnginePath) -> None:
        # Asked twice over a cut connection, it may have been done the first time, and whom the
        # target was for may have taken it away by now.
        self._run(f"[ ! -e {self._word} ] || mv {self._word} {target._word}")

    def write_text(self, text: str, mode: int = 0o600) -> None:
        """Write a small file whole or not at all. Raises OSError."""
        draft = shell_word(f"{self.inside}.pitr-new")
        self._run(
            f"printf %s {shell_word(text)} >{draft} && chmod {mode:o} {draft} && "
            f"mv {draft} {self._word}"
        )

    @classmethod
    def first_of(cls, paths: Sequence[EnginePath]) -> EnginePath | None:
        """The first of them that is there; one question to the helper for all."""
        words = " ".join(path._word for path in paths)
        ran = paths[0].tree.run(
            f'for p in {words}; do if [ -e "$p" ] || [ -L "$p" ]; then printf %s "$p"; exit; fi; '
            "done"
        )
        if ran.code != 0:
            raise EngineError(f"{paths[0].parent} cannot be read", ran.stderr.strip())
        there = ran.stdout.decode("utf-8", "surrogateescape")
        return next((path for path in paths if str(path.inside) == there), None)

    def copy_from(self, source: EnginePath) -> int | None:
        """Copy a file inside of the engine; its size, or None if our helper cannot see it."""
        for seen in (self.tree, *self.tree.others):
            if seen.location == source.tree.location:
                word = shell_word(str(seen.mountpoint / source.relative))
                # What writes here is not always who may read there, so root copies.
                owner = f"chown {self.tree.user} {self._word}" if self.tree.user else ":"
                script = f"cp {word} {self._word} && {owner} && {_STAT} {self._word}"
                ran = self.tree.run(script, user="")
                return _facts(self._checked(ran, script)).st_size
        return None

    @property
    def _word(self) -> str:
        return shell_word(str(self.inside))

    def _mode(self) -> int | None:
        try:
            return self.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _find(self, tests: str) -> list[EnginePath]:
        """What `find` finds, with the facts of each; names with a line break are left out.

        A name may be gone before its facts are asked for: only that error is passed over.
        """
        plain = "! -name '*\n*'"
        seek = f"find {self._word} {tests} {plain} -exec {_STAT} {{}} + 2>&1"
        gone = "grep -v ': No such file or directory$'"
        there = f"{{ [ -d {self._word} ] || ls {self._word}/; }}"  # before and after it was read
        script = f"{there} && {{ {seek} | {gone} || :; }} && {there}"
        return [self._found(line) for line in self._run(script).splitlines()]

    def _found(self, line: str) -> EnginePath:
        """One line of `stat`. Raises OSError for what is an error's."""
        match = _FACTS.fullmatch(line)
        if match is None:
            raise _os_error(line, str(self))
        relative = PurePosixPath(match[1]).relative_to(self.tree.mountpoint)
        return EnginePath(self.tree, relative, _facts(line))

    def _run(self, script: str) -> str:
        return self._checked(self.tree.run(script), script)

    def _checked(self, ran: Ran, script: str) -> str:
        """What a script said. Raises OSError, of the kind that its own words tell."""
        if ran.code != 0:
            words = ran.stderr.strip().rsplit("\n", 1)[-1]
            raise _os_error(words or f"exit code {ran.code} of {script}", str(self))
        return ran.stdout.decode("utf-8", "surrogateescape")


_KNOWN_ERRORS = (
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EACCES,
    errno.EPERM,
    errno.ENOSPC,
    errno.EROFS,
    errno.EISDIR,
    errno.EDQUOT,
)


def _os_error(words: str, path: str) -> OSError:
    """An OSError of the kind that a program's words end with."""
    reason = words.rsplit(": ", 1)[-1]
    number = next((n for n in _KNOWN_ERRORS if os.strerror(n) == reason), errno.EIO)
    return OSError(number, reason, path)


def _facts(line: str) -> os.stat_result:
    """One line of `stat`: mode in hex, size in bytes, seconds of its last change, name."""
    mode, size, modified = line.split(" ", 3)[:3]
    changed = int(modified)
    return os.stat_result((int(mode, 16), 0, 0, 1, 0, 0, int(size), changed, changed, changed))
