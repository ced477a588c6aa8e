"""What a WAL record does to a catalog's file, as in recovery.

A full-page image puts the page where it was after the record, a record that begins a page
makes it empty first, and any other is passed over when the page is newer than the record.
Source: src/backend/access/heap/heapam.c (heap_redo, heap2_redo), heapam_xlog.c from 18 on.
"""

from __future__ import annotations

import struct
from enum import IntEnum, StrEnum
from typing import NamedTuple

from pitr_tui.wal.catalogfile import CatalogFile
from pitr_tui.wal.heappage import TUPLE_HEADER, HeapPage, HeapTuple, tuple_bytes
from pitr_tui.wal.pageimage import is_restored, restored_page
from pitr_tui.wal.record import Block, Body, DamagedRecord, Locator, Manager, Record

_OPERATION, _BEGINS_PAGE = 0x70, 0x80
_PREFIX_FROM_OLD, _SUFFIX_FROM_OLD = 0x20, 0x40
_PRUNE, _VACUUM, _PRUNE_CLEANUP, _MULTI_INSERT = 0x10, 0x20, 0x30, 0x50

_U16 = struct.Struct("<H")
_DELETE = struct.Struct("<4xH")
_UPDATE = struct.Struct("<4xHxB4xH")  # old offset, flags, new offset
_HEADER = struct.Struct("<HHB")  # infomask2, infomask, where the columns begin
_MULTI_HEADER = struct.Struct("<HHHB")
_PRUNED = struct.Struct("<4xHH")  # how many are redirected, how many dead
_FREEZE_PLAN_BYTES = 12


class _Heap(IntEnum):
    """XLOG_HEAP_ operations (heapam_xlog.h)."""

    INSERT = 0x00
    DELETE = 0x10
    UPDATE = 0x20
    HOT_UPDATE = 0x40
    INPLACE = 0x70


class _Prune(IntEnum):
    """XLHP_ flags of xl_heap_prune, from 17 on."""

    FREEZE_PLANS = 0x10
    REDIRECTIONS = 0x20
    DEAD = 0x40
    UNUSED = 0x80


class ChangeKind(StrEnum):
    INSERTED = "inserted"
    UPDATED = "updated"
    DELETED = "deleted"


class TupleChange(NamedTuple):
    """A row version that is new, or gone, or both; None where it cannot be known."""

    kind: ChangeKind
    before: HeapTuple | None
    after: HeapTuple | None
    in_place: bool = False  # then it holds at once, whatever becomes of the transaction


def redo(record: Record, body: Body, locator: Locator, file: CatalogFile) -> list[TupleChange]:
    """Do to `file` what the record did to the relation at `locator`. Raises DamagedRecord."""
    try:
        return _Redo(record, body, locator, file).run()
    except (struct.error, IndexError) as error:
        raise DamagedRecord(f"its data are cut off ({error})") from error


class _Redo:
    """One record on its way into a file."""

    def __init__(self, record: Record, body: Body, locator: Locator, file: CatalogFile) -> None:
        self._record, self._main, self._file = record, body.main, file
        self._xid, self._info = record.xid, record.info
        own = [one for one in body.blocks if one.fork == 0 and one.locator == locator]
        self._blocks = {block.id: block for block in own}
        self._due: set[int] = set()  # numbers of the blocks that are to be changed

    def run(self) -> list[TupleChange]:
        record = self._record
        operation = self._info & _OPERATION
        if record.manager == Manager.HEAP:
            if operation == _Heap.INPLACE:
                return self._in_place()
            self._prepare()
            if operation == _Heap.INSERT:
                return self._insert()
            if operation == _Heap.DELETE:
                return self._delete()
            if operation in (_Heap.UPDATE, _Heap.HOT_UPDATE):
                return self._update()
            return []
        self._prepare()
        if record.manager == Manager.HEAP2:
            if operation == _MULTI_INSERT:
                return self._multi_insert()
            if 0 in self._blocks and self._blocks[0].number in self._due:
                for offset in self._pruned(operation):
                    self._file.remove(self._blocks[0].number, offset)
        return []

    def _prepare(self) -> None:
        """Restore images, begin new pages, and see which pages wait for the change."""
        record = self._record
        begins = self._info & _BEGINS_PAGE and (
            record.manager == Manager.HEAP
            or (record.manager == Manager.HEAP2 and self._info & _OPERATION == _MULTI_INSERT)
        )
        for block in self._blocks.values():
            if block.image is not None and is_restored(block.image, record.version):
                content = restored_page(block.image, record.version)
                self._file.install(block.number, content, record.end)
                continue
            if begins and block.id == 0:
                self._file.install(block.number, b"", record.end)
            elif record.manager == Manager.XLOG:
                continue
            else:
                page = self._file.page_to_change(block.number)
                if page.lsn >= record.end:
                    continue
                page.lsn = record.end
            self._due.add(block.number)

    def _insert(self) -> list[TupleChange]:
        block = self._block(0)
        (offset,) = _U16.unpack_from(self._main)
        masks, hoff, rest = _headed(block.data) if block.data else ((0, 0), 0, b"")
        after = self._written(block, offset, masks, hoff, rest)
        return [TupleChange(ChangeKind.INSERTED, None, after)]

    def _multi_insert(self) -> list[TupleChange]:
        block = self._block(0)
        (count,) = _U16.unpack_from(self._main, 2)
        changes = []
        at = 0
        for k in range(count):
            begins = self._info & _BEGINS_PAGE
            offset = k + 1 if begins else _U16.unpack_from(self._main, 4 + 2 * k)[0]
            masks, hoff, rest = (0, 0), 0, b""
            if block.data:
                at += at % 2
                length, mask2, mask, hoff = _MULTI_HEADER.unpack_from(block.data, at)
                at += _MULTI_HEADER.size
                masks, rest = (mask2, mask), block.data[at : at + length]
                at += length
            after = self._written(block, offset, masks, hoff, rest)
            changes.append(TupleChange(ChangeKind.INSERTED, None, after))
        return changes

    def _delete(self) -> list[TupleChange]:
        block = self._block(0)
        (offset,) = _DELETE.unpack_from(self._main)
        page = self._file.page_to_change(block.number)
        before = page.at(offset)
        if block.number in self._due:
            page.mark_deleted(offset, self._xid, (block.number, offset))
        return [TupleChange(ChangeKind.DELETED, before, None)]

    def _update(self) -> list[TupleChange]:
        new = self._block(0)
        old = self._blocks.get(1, new)
        old_offset, flags, new_offset = _UPDATE.unpack_from(self._main)
        page = self._file.page_to_change(old.number)
        before = page.at(old_offset)
        if old.number in self._due:
            page.mark_deleted(old_offset, self._xid, (new.number, new_offset))
        masks, hoff, rest = (0, 0), 0, b""
        if new.data:
            masks, hoff, rest = _completed(new.data, flags, before.data if before else None)
        after = self._written(new, new_offset, masks, hoff, rest)
        return [TupleChange(ChangeKind.UPDATED, before, after)]

    def _in_place(self) -> list[TupleChange]:
        block = self._block(0)
        (offset,) = _U16.unpack_from(self._main)
        page = self._file.page(block.number)
        before = page.at(offset) if page else None
        self._prepare()
        if block.number in self._due:
            self._file.overwrite(block.number, offset, block.data)
        after = self._file.page_to_change(block.number).at(offset)
        return [TupleChange(ChangeKind.UPDATED, before, after, in_place=True)]

    def _written(
        self, block: Block, offset: int, masks: tuple[int, int], hoff: int, rest: bytes
    ) -> HeapTuple | None:
        """The row version that the record wrote, put into its page where that waits for it."""
        content = tuple_bytes(self._xid, masks, hoff, rest) if hoff else b""
        if content and block.number in self._due:
            return self._file.put(block.number, offset, content)
        found = self._file.page_to_change(block.number).at(offset)
        if found is not None and found.xmin == self._xid:
            return found
        if not content:
            return None
        page = HeapPage()  # the page has moved on, so it is only looked at
        page.put(1, content)
        return page.at(1)

    def _pruned(self, operation: int) -> tuple[int, ...]:
        """The line pointers that lead to nothing from now on, or to another one."""
        data, version = self._blocks[0].data, self._record.version
        if version.prune_tells_by_flags:
            if operation in (_PRUNE, _VACUUM, _PRUNE_CLEANUP):
                return _pruned_by_flags(data, self._main[1])
            return ()
        if operation == _PRUNE:
            redirected, _ = _PRUNED.unpack_from(self._main)
            offsets = _numbers(data, 0, len(data) // 2)
            return offsets[: 2 * redirected : 2] + offsets[2 * redirected :]
        if operation == _VACUUM and version.vacuum_has_own_record:
            return _numbers(data, 0, len(data) // 2)
        return ()

    def _block(self, id: int) -> Block:
        if id not in self._blocks:
            raise DamagedRecord(f"it has no block {id}")
        return self._blocks[id]


def _headed(data: bytes) -> tuple[tuple[int, int], int, bytes]:
    """What the record has of a row's header, and what follows the header."""
    mask2, mask, hoff = _HEADER.unpack_from(data)
    return (mask2, mask), hoff, data[_HEADER.size :]


def _completed(data: bytes, flags: int, old: bytes | None) -> tuple[tuple[int, int], int, bytes]:
    """The new version of a row, with the begin and end that it shares with the old one.

    A `hoff` of 0 says that the old one is not known.
    """
    prefix = suffix = 0
    if flags & _PREFIX_FROM_OLD:
        prefix, data = _U16.unpack_from(data)[0], data[_U16.size :]
    if flags & _SUFFIX_FROM_OLD:
        suffix, data = _U16.unpack_from(data)[0], data[_U16.size :]
    masks, hoff, rest = _headed(data)
    if not prefix and not suffix:
        return masks, hoff, rest
    if old is None or max(prefix, suffix) > len(old):
        return masks, 0, b""
    padding = hoff - TUPLE_HEADER  # null bits and what lies between them and the columns
    end = old[len(old) - suffix :]
    return masks, hoff, rest[:padding] + old[:prefix] + rest[padding:] + end


def _pruned_by_flags(data: bytes, flags: int) -> tuple[int, ...]:
    at = 0
    if flags & _Prune.FREEZE_PLANS:
        at = 4 + _FREEZE_PLAN_BYTES * _U16.unpack_from(data)[0]
    offsets: tuple[int, ...] = ()
    for flag, step in ((_Prune.REDIRECTIONS, 2), (_Prune.DEAD, 1), (_Prune.UNUSED, 1)):
        if flags & flag:
            count = step * _U16.unpack_from(data, at)[0]
            offsets += _numbers(data, at + 2, count)[::step]
            at += 2 + 2 * count
    return offsets


def _numbers(data: bytes, at: int, count: int) -> tuple[int, ...]:
    return struct.unpack_from(f"<{count}H", data, at)
