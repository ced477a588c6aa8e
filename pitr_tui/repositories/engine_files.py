"""Many files behind an engine at once: what a question for each would take minutes for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pitr_tui.containers.engine import EngineError
from pitr_tui.postgres.quote import shell_word
from pitr_tui.storage.engine_path import EnginePath

_BATCH = 500  # paths in one question
_BATCH_BYTES = 4 << 20  # and bytes in one answer
_FACTS = 6
_NEXT = b"\n==> "


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What `stat` tells, times in whole seconds; `asked_at` is by the clock over there."""

    path: str
    mode: int
    size: int
    modified: int
    changed: int
    inode: int
    asked_at: int


def facts_of(directory: EnginePath, paths: Sequence[str]) -> Iterator[FileFacts]:
    """The facts of those of the files below a directory that are there. Raises EngineError."""
    for begin in range(0, len(paths), _BATCH):
        words = " ".join(map(shell_word, paths[begin : begin + _BATCH]))
        answer = _answer(
            directory, f"date +%s && {{ stat -L -c '%f %s %Y %Z %i %n' {words} 2>&1 || :; }}"
        )
        first, *lines = answer.decode("utf-8", "replace").splitlines()
        for line in lines:
            parts = line.split(" ")
            if len(parts) == _FACTS and parts[1].isdigit():  # else it is gone, and `stat` says so
                size, modified, changed, inode = map(int, parts[1:5])
                mode, asked_at = int(parts[0], 16), int(first)
                yield FileFacts(parts[5], mode, size, modified, changed, inode, asked_at)


def heads_of(directory: EnginePath, paths: Sequence[str], size: int) -> Iterator[tuple[str, bytes]]:
    """The first `size` bytes of each of the files that can be read. Raises EngineError."""
    step = max(1, _BATCH_BYTES // size)
    for begin in range(0, len(paths), step):
        batch = paths[begin : begin + step]
        words = " ".join(map(shell_word, batch))
        answer = _answer(directory, f"{{ head -v -c {size} {words} 2>/dev/null || :; }}")
        at = 0
        for path in batch:
            mark = f"==> {path} <==\n".encode()
            found = answer.find(mark, at)
            if found >= 0:  # else it cannot be read, or is gone
                start = found + len(mark)
                at = _end_of_head(answer, start, size)
                yield path, answer[start:at]


def _end_of_head(answer: bytes, start: int, size: int) -> int:
    """Where the bytes of a file end that may have fewer than `size`."""
    end = start + size
    if end == len(answer) or answer.startswith(_NEXT, end):
        return end
    following = answer.find(_NEXT, start, end)
    return following if following >= 0 else min(end, len(answer))


def _answer(directory: EnginePath, script: str) -> bytes:
    ran = directory.tree.run(f"cd {shell_word(str(directory.inside))} && {script}")
    if ran.code != 0:
        raise EngineError(f"{directory} cannot be read", ran.stderr.strip())
    return ran.stdout
