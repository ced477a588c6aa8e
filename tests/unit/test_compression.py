"""Files are read as what they hold, however they are compressed; damage is told."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from functools import partial
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import PitrError
from pitr_tui.storage.compression import SUFFIXES, open_plain, plain_name, read_errors, read_plain

HELD = bytes(range(256)) * 4096  # one megabyte
COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor(write_checksum=True).compress,
    ".lz4": partial(lz4.frame.compress, content_checksum=True),
}


def test_every_ending_is_here() -> None:
    assert set(COMPRESS) == set(SUFFIXES)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_is_read_whole_and_in_part(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"name{suffix}"
    path.write_bytes(COMPRESS[suffix](HELD))
    with open_plain(path) as file:
        assert file.read() == HELD
    with open_plain(path) as file:
        assert b"".join(iter(lambda: file.read(100_000), b"")) == HELD
    assert read_plain(path, 40) == HELD[:40]
    assert read_plain(path, 2 * len(HELD)) == HELD
    assert plain_name(path.name) == "name"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_several_parts_is_one(tmp_path: Path, suffix: str) -> None:
    """As `cat a.gz b.gz`, pigz and pzstd make them, and as every program reads them."""
    path = tmp_path / f"name{suffix}"
    path.write_bytes(COMPRESS[suffix](b"one, ") + COMPRESS[suffix](b"two"))
    with open_plain(path) as file:
        assert file.read() == b"one, two"
    with open_plain(path) as file:
        assert b"".join(iter(lambda: file.read(3), b"")) == b"one, two"


@pytest.mark.parametrize("suffix", SUFFIXES[1:])
@pytest.mark.parametrize("damage", ["cut", "cut at the end", "not compressed", "flipped"])
def test_damage_is_an_error_that_is_expected(tmp_path: Path, suffix: str, damage: str) -> None:
    data = bytearray(COMPRESS[suffix](HELD))
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "cut at the end":
        del data[-4:]
    elif damage == "flipped":
        data[len(data) // 2] ^= 0x10
    else:
        data[:] = HELD
    path = tmp_path / f"name{suffix}"
    path.write_bytes(data)
    with pytest.raises(read_errors()), open_plain(path) as file:
        file.read()
    with pytest.raises(PitrError, match="cannot be read"):
        read_plain(path, 2 * len(HELD))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(PitrError, match="cannot be read") as told:
        read_plain(tmp_path / "none.gz", 1)
    assert "No such file" in told.value.why


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("000000010000000000000002.zst", "000000010000000000000002"),
        ("000000010000000000000002.00000028.backup.gz", "000000010000000000000002.00000028.backup"),
        ("x.gz.gz", "x.gz"),
        ("x.GZ", "x.GZ"),
        ("x.Z", "x.Z"),
        (".gz", ""),
    ],
)
def test_only_the_last_ending_of_a_name_goes(name: str, plain: str) -> None:
    assert plain_name(name) == plain


@given(st.text())
def test_a_name_without_its_ending_is_its_beginning(name: str) -> None:
    assert name.startswith(plain_name(name))
