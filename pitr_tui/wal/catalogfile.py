"""The file of one catalog: its pages, packed while nobody looks at them, and their index."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import lz4.block

from pitr_tui.wal.catalogindex import RowIndex
from pitr_tui.wal.catalogrows import Layout, Row
from pitr_tui.wal.heappage import PAGE_SIZE, HeapPage, HeapTuple

_OPEN_PAGES = 64
_INDEXED_AT_ONCE = 2048  # pages: 16 MB


class CatalogFile:
    """Pages by their block numbers. Without a layout it is not known yet of which catalog."""

    __slots__ = ("_index", "_open", "_packed", "layout")

    def __init__(self, layout: Layout | None = None) -> None:
        self.layout = layout
        self._index = RowIndex(layout) if layout else None
        self._packed: dict[int, bytes] = {}
        self._open: dict[int, HeapPage] = {}

    def __len__(self) -> int:
        return len(self._packed.keys() | self._open.keys())

    def load(self, content: bytes, first: int = 0) -> None:
        """Take pages that lie one behind the other."""
        blocks = range(first, first + len(content) // PAGE_SIZE)
        for k, block in enumerate(blocks):
            self._open.pop(block, None)
            self._packed[block] = _packed(content[k * PAGE_SIZE : (k + 1) * PAGE_SIZE])
        if self._index is not None:
            self._index.load(blocks, content)

    def adopt(self, layout: Layout) -> None:
        """Know from now on whose file it is."""
        if self.layout is layout:
            return
        self.layout, self._index = layout, RowIndex(layout)
        blocks = sorted(self._packed.keys() | self._open.keys()) if layout.keys else []
        for k in range(0, len(blocks), _INDEXED_AT_ONCE):
            some = blocks[k : k + _INDEXED_AT_ONCE]
            self._index.load(some, b"".join(self._content(block) for block in some))

    def page(self, block: int) -> HeapPage | None:
        """A page to be looked at; None if it was never seen."""
        page = self._open.pop(block, None)
        if page is None:
            packed = self._packed.pop(block, None)
            if packed is None:
                return None
            page = HeapPage(_unpacked(packed))
            self._make_room()
        self._open[block] = page  # last in the order, so that it stays open longest
        return page

    def page_to_change(self, block: int) -> HeapPage:
        """A page, empty if it was never seen."""
        page = self.page(block)
        if page is None:
            self._make_room()
            page = self._open[block] = HeapPage()
        return page

    def install(self, block: int, content: bytes, lsn: int) -> None:
        """Put a whole page in the place of what was there."""
        page = HeapPage(content)
        page.lsn = lsn
        if self._index is not None:
            old = self.page(block)
            for found in old.tuples() if old else ():
                self._index.discard(block, found)
            for found in page.tuples():
                self._index.add(block, found)
        self._packed.pop(block, None)
        self._make_room()
        self._open[block] = page

    def put(self, block: int, offset: int, content: bytes) -> HeapTuple | None:
        """Write a row version, and return it. Raises DamagedRecord."""
        page = self.page_to_change(block)
        before = page.at(offset)
        if before is not None and self._index is not None:
            self._index.discard(block, before)
        page.put(offset, content)
        found = page.at(offset)
        if found is not None and self._index is not None:
            self._index.add(block, found)
        return found

    def remove(self, block: int, offset: int) -> None:
        page = self.page_to_change(block)
        found = page.at(offset)
        page.remove(offset)
        if found is not None and self._index is not None:
            self._index.discard(block, found)

    def overwrite(self, block: int, offset: int, columns: bytes) -> None:
        """Change the columns of a row version where it lies."""
        page = self.page_to_change(block)
        before = page.at(offset)
        page.overwrite(offset, columns)
        after = page.at(offset)
        if before is not None and after is not None and self._index is not None:
            self._index.discard(block, before)
            self._index.add(block, after)

    def find(self, key: str, value: int) -> Iterator[tuple[int, HeapTuple, Row]]:
        """The row versions with this value in a key column, with the blocks they lie in."""
        if self._index is None or self.layout is None:
            return
        for block, offset in self._index.find(key, value):
            page = self.page(block)
            found = page.at(offset) if page else None
            row = self.layout.row(found) if found else None
            if found is not None and row is not None and getattr(row, key) == value:
                yield block, found, row

    def search(self, value: bytes) -> Iterator[tuple[int, HeapTuple]]:
        """The row versions in whose columns these bytes stand first."""
        for block in sorted(self._packed.keys() | self._open.keys()):
            content = self._content(block)
            if value in content:
                for found in HeapPage(content).tuples():
                    if found.data.startswith(value):
                        yield block, found

    def rows(self) -> Iterator[tuple[int, HeapTuple]]:
        """All row versions."""
        return self.search(b"")

    def copy(self) -> CatalogFile:
        twin = CatalogFile()
        twin.layout = self.layout
        twin._index = self._index.copy() if self._index else None
        twin._packed = self._packed | {b: _packed(bytes(page)) for b, page in self._open.items()}
        return twin

    def _content(self, block: int) -> bytes:
        page = self._open.get(block)
        return bytes(page) if page else _unpacked(self._packed[block])

    def _make_room(self) -> None:
        """Pack half of the open pages, those that were not looked at for longest."""
        if len(self._open) >= _OPEN_PAGES:
            for block in list(islice(self._open, _OPEN_PAGES // 2)):
                self._packed[block] = _packed(bytes(self._open.pop(block)))


def _packed(content: bytes) -> bytes:
    return bytes(lz4.block.compress(content, store_size=False))


def _unpacked(packed: bytes) -> bytes:
    return bytes(lz4.block.decompress(packed, uncompressed_size=PAGE_SIZE))
