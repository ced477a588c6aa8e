"""The pages on what reached the secondary, and on what it said: WAL and log."""

from __future__ import annotations

from collections.abc import Iterator

from pitr_tui.recovery.report.markup import code, fence, table
from pitr_tui.recovery.report.tale import Tale
from pitr_tui.wording import count_text, size_text

_BEFORE, _AFTER = 8, 12
_LONGEST = 2_000
_MOST_NAMES = 50


def wal(tale: Tale) -> Iterator[str]:
    if tale.timelines:
        rows = [
            (
                str(int(timeline, 16)),
                code(found.first),
                code(found.last),
                f"{len(found.names):,}",
                f"{found.times:,}",
                f"{found.bytes:,} ({size_text(found.bytes)})",
            )
            for timeline, found in sorted(tale.timelines.items())
        ]
        yield "Read from the archive, checked, and laid ready for the secondary:"
        yield ""
        head = ("timeline", "first segment", "last segment", "segments", "deliveries", "bytes")
        yield from table(head, rows)
    else:
        yield "No segment was laid ready for the secondary."
    yield ""
    for attempt in tale.attempts:
        many = count_text(attempt.view.segments_restored, "segment")
        last = attempt.view.last_restored
        until = f", the last one {code(last)}" if last else ""
        yield f"- Attempt {attempt.number}: the secondary's log tells of {many} taken{until}."
    if tale.other_files:
        yield f"- Other files delivered: {_names(tale.other_files)}"
    if tale.absent:
        yield f"- Asked for, and proved not to be in the archive: {_names(tale.absent)}"
    else:
        yield "- No name that the secondary asked for was absent."


def _names(counted: dict[str, int]) -> str:
    shown = [
        code(name) + (f" ({times} times)" if times > 1 else "")
        for name, times in list(counted.items())[:_MOST_NAMES]
    ]
    more = len(counted) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def log(tale: Tale) -> Iterator[str]:
    """What stands around the line that decided; the end of the log where none did."""
    for attempt in tale.attempts:
        total = len(attempt.log)
        if not total:
            yield f"Attempt {attempt.number}: no line of a log was recorded."
            yield ""
            continue
        if attempt.decisive:
            first = max(0, attempt.decisive[0] - _BEFORE)
            last = min(total, attempt.decisive[0] + 1 + _AFTER)
        else:
            first, last = max(0, total - _BEFORE - _AFTER), total
        yield (
            f"Attempt {attempt.number}: lines {first + 1:,} to {last:,} of {total:,}"
            + ("." if attempt.decisive else ", its end: no line told of a stop or a failure.")
        )
        yield ""
        yield from fence("\n".join(shortened(line) for line in attempt.log[first:last]))
        yield ""


def shortened(line: str) -> str:
    """A line of the log as one line, without the rest of an endless one."""
    line = line.replace("\n", "␊")
    more = len(line) - _LONGEST
    return line if more <= 0 else f"{line[:_LONGEST]}… ({more:,} characters more)"
