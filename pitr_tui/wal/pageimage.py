"""Full-page images, made into pages again.

Source: src/backend/access/transam/xlogreader.c (RestoreBlockImage).
"""

from __future__ import annotations

from collections.abc import Callable

from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.wal import pglz
from pitr_tui.wal.heappage import PAGE_SIZE
from pitr_tui.wal.record import DamagedRecord, PageImage

_WINDOW = 1 << 20


def is_restored(image: PageImage, version: PostgresVersion) -> bool:
    """Whether recovery takes the page from this image; some are there only to be compared."""
    return not version.marks_images_to_restore or bool(image.info & version.image_apply_flag)


def restored_page(image: PageImage, version: PostgresVersion) -> bytes:
    """The page of an image. Raises DamagedRecord."""
    if image.hole_offset + image.hole_length > PAGE_SIZE:
        raise DamagedRecord(
            f"its page has a hole of {image.hole_length} bytes at {image.hole_offset}"
        )
    size = PAGE_SIZE - image.hole_length
    data = image.data
    for flag, method in version.image_compressions:
        if image.info & flag:
            data = _decompressed(data, size, method)
    if len(data) != size:
        raise DamagedRecord(f"its page image has {len(data)} bytes, not {size}")
    return data[: image.hole_offset] + bytes(image.hole_length) + data[image.hole_offset :]


def _decompressed(data: bytes, size: int, method: str) -> bytes:
    try:
        return _METHODS[method](data, size)
    except ValueError as error:
        raise DamagedRecord(f"its page image cannot be unpacked ({method}: {error})") from error


def _lz4(data: bytes, size: int) -> bytes:
    import lz4.block

    try:
        return bytes(lz4.block.decompress(data, uncompressed_size=size))
    except lz4.block.LZ4BlockError as error:
        raise ValueError(str(error)) from error


def _zstd(data: bytes, size: int) -> bytes:
    import zstandard

    # The sizes in the frame's own header are not to be trusted: they would be allocated.
    reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(data)
    try:
        return reader.read(size + 1)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


_METHODS: dict[str, Callable[[bytes, int], bytes]] = {
    "pglz": pglz.decompress,
    "lz4": _lz4,
    "zstd": _zstd,
}
