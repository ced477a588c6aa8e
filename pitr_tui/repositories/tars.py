"""Tar files of backups, read once from front to end, with damage that is told."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from pitr_tui.storage.compression import open_plain, read_errors
from pitr_tui.storage.path import ReadPath


class _Member(tarfile.TarInfo):
    """A member whose damaged header is an error.

    Behind the first member, tarfile takes one that is cut off or overwritten for the end.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the zeros at the end of a whole tar
                raise
            raise tarfile.ReadError(str(error)) from error


@contextmanager
def open_tar(path: ReadPath) -> Iterator[tarfile.TarFile]:
    """A tar file to be read once from front to end, whatever its compression."""
    with (
        open_plain(path) as file,
        tarfile.open(fileobj=file, mode="r|", bufsize=1 << 20, tarinfo=_Member) as members,
    ):
        yield members


def drain(tar: tarfile.TarFile) -> None:
    """Read what follows the last member, so that a compression sees its checksum."""
    while tar.fileobj is not None and tar.fileobj.read(1 << 20):
        pass


def tar_errors() -> tuple[type[Exception], ...]:
    return (*read_errors(), tarfile.TarError)
