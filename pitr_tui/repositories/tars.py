"""Tar files of backups, read once from front to end, with damage that is told."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Self, cast

from pitr_tui.storage.compression import open_plain, read_errors
from pitr_tui.storage.path import ReadPath

_HEADER_BYTES = 1 << 20
_EMPTY_READS = 64
_READ_WHOLE = (
    *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
)


class _Member(tarfile.TarInfo):
    """A member whose damaged header is an error, and one that would fill the memory.

    Behind the first member, tarfile takes one that is cut off or overwritten for the end. Names
    and attributes that follow a header it reads whole, however long these say that they are.
    """

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            member = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # the zeros at the end of a whole tar
                raise
            raise tarfile.ReadError(str(error)) from error
        if member.type in _READ_WHOLE and member.size > _HEADER_BYTES:
            raise tarfile.ReadError(f"a header of {member.size:,} bytes")
        return member


class _Ending:
    """A file that tells when somebody reads on and on behind its end.

    tarfile skips a member in steps, and one that claims a petabyte has a billion of them.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._empty = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._empty = 0 if data else self._empty + 1
        if self._empty > _EMPTY_READS:
            raise tarfile.ReadError("unexpected end of data")
        return data


@contextmanager
def open_tar(path: ReadPath) -> Iterator[tarfile.TarFile]:
    """A tar file to be read once from front to end, whatever its compression."""
    with (
        open_plain(path) as file,
        tarfile.open(
            fileobj=cast(IO[bytes], _Ending(file)), mode="r|", bufsize=1 << 20, tarinfo=_Member
        ) as members,
    ):
        yield members


def drain(tar: tarfile.TarFile) -> None:
    """Read what follows the last member, so that a compression sees its checksum."""
    while tar.fileobj is not None and tar.fileobj.read(1 << 20):
        pass


def tar_errors() -> tuple[type[Exception], ...]:
    return (*read_errors(), tarfile.TarError)
