"""Numbers as people read them; the same words on every face."""

from __future__ import annotations


def size_text(count: float) -> str:
    """Bytes with a unit.

    >>> size_text(900), size_text(16 * 1024 * 1024), size_text(41 << 30)
    ('900 B', '16.0 MB', '41.0 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"


def duration_text(seconds: float) -> str:
    """A duration, coarser the longer it is.

    >>> duration_text(0.42), duration_text(25), duration_text(100), duration_text(7300)
    ('0.4 s', '25 s', '1 min 40 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def count_text(number: int, one: str, many: str = "") -> str:
    """A number with its noun.

    >>> count_text(1, "segment"), count_text(20_000, "row"), count_text(2, "entry", "entries")
    ('1 segment', '20,000 rows', '2 entries')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"
