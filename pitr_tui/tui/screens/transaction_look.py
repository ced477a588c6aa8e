"""Everything that is known of one transaction or mark, for a person who looks closely."""

from __future__ import annotations

from textual.content import Content

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.tui.literal import assemble, lines, literal
from pitr_tui.tui.widgets.moment_rows import Clock, Pick, counts_text
from pitr_tui.wal.chronicle import Chronicle, Mark
from pitr_tui.wording import count_text, size_text

_NAME_CELLS = 16


def _fact(name: str, value: object) -> Content:
    return assemble((f"{name:<{_NAME_CELLS}}", "$text-muted"), str(value))


def entry_content(story: Chronicle, entry: int, clock: Clock, zone: str) -> Content:
    """A transaction: what it did to every table, where it lies in the WAL."""
    mark, gid = story.suspect_at(entry), story.gids.get(entry)
    ended = "committed" if story.committed[entry] else "rolled back"
    full = int(story.full_xids[entry])
    first, lsn, end = (int(column[entry]) for column in (story.firsts, story.lsns, story.ends))
    xid = f"{int(story.xids[entry])}" + (f" (64 bits: {full})" if full >> 32 else "")
    rows = [
        _fact("transaction", xid),
        _fact(ended, f"{clock.text(int(story.times[entry]), micro=True)} {zone}"),
        _fact("WAL", f"first record {Lsn(first)}, commit {Lsn(lsn)} to {Lsn(end)}"),
        _fact("", f"{size_text(int(story.bytes[entry]))}, timeline {int(story.timelines[entry])}"),
    ]
    if gid is not None:
        rows.append(_fact("prepared as", gid))
    if story.partial[entry]:
        rows.append(
            literal("It may have begun before what was read, and done more.", "$text-warning")
        )
    if int(story.at[entry] - story.times[entry]) > 1_000_000:
        rows.append(literal("The server's clock had been put back before it.", "$text-warning"))
    rows += _findings(mark)
    changes, defined = story.changes(entry), story.defined.get(entry, ())
    if defined:
        rows += [literal(""), literal("Definitions changed", "bold")]
        rows += [literal(f"  {one}") for one in defined]
    rows += [literal(""), literal("Rows of tables" if changes else "No rows of tables", "bold")]
    width = max((len(str(one.table)) for one in changes), default=0)
    for one in changes:
        where = f"  in {one.table.database}" if one.table.database else ""
        rows.append(
            assemble(f"  {one.table!s:<{width}}  {counts_text(one)}", (where, "$text-muted"))
        )
    return lines(*rows)


def _findings(mark: Mark | None) -> list[Content]:
    if mark is None or mark.suspect is None:
        return []
    rows = [literal(""), literal("Why it is a suspect", "bold")]
    for finding in mark.suspect.findings:
        rows.append(literal(f"  {finding.words}", "$text-warning"))
        rows += [literal(f"    {name}", "$text-muted") for name in finding.names]
    dropped = len(mark.suspect.transaction.dropped)
    if dropped:
        rows.append(
            literal(f"  {count_text(dropped, 'relation file')} went with it", "$text-muted")
        )
    return rows


def pick_content(story: Chronicle | None, one: Pick, clock: Clock, zone: str) -> Content:
    """A row that is no transaction."""
    rows = [literal(one.words)]
    if one.time is not None:
        rows.append(_fact("time", f"{clock.text(one.time, micro=True)} {zone}"))
    if one.mark is not None:
        rows.append(_fact("WAL position", one.mark.lsn))
        rows.append(_fact("kind", one.mark.what))
        rows += _findings(one.mark)
    if story is not None and one.mark is not None:
        rows.append(_fact("before it", count_text(one.mark.index, "transaction")))
    return lines(*rows)
