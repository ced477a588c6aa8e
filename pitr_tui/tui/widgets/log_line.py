"""How one line of a server log is shown: cut in two, with a colour class and a remark."""

from __future__ import annotations

from pitr_tui.postgres.logline import LogLine, Observation
from pitr_tui.postgres.logline import ObservationKind as Kind
from pitr_tui.postgres.logline import Severity as S
from pitr_tui.postgres.quote import visible

LONGEST = 1_000
REMARKS = {
    Kind.READ_ONLY_OPEN: "  ← no proof of the target ",
    Kind.STOPPING: "  ← the target ",
}
_NO_TIME = " " * len("14:43:48.896  ")
_BAD = (S.ERROR, S.FATAL, S.PANIC)


def split(line: LogLine, whole: bool) -> tuple[str, str]:
    """When a line was said, and what; the date, zone and process only in the whole line.

    >>> from pitr_tui.postgres.logline import parse_line
    >>> line = parse_line("2026-11-22 14:43:48.896 UTC [7] FATAL:  the end")
    >>> split(line, False), split(line, True)[0]
    (('14:43:48.896  ', 'FATAL: the end'), '2026-11-22 14:43:48.896 UTC [7] FATAL:  ')
    """
    if whole:
        return line.text.removesuffix(line.message), line.message
    if line.time is None:
        return _NO_TIME, line.message.removeprefix("\t")
    severity = "" if line.severity in (None, S.LOG) else f"{line.severity}: "
    return f"{line.time:%H:%M:%S}.{line.time.microsecond // 1000:03}  ", severity + line.message


def gravity_class(line: LogLine, seen: Observation | None) -> str:
    """Red for what failed, yellow for a warning, dim for what means nothing to a recovery."""
    if line.severity in _BAD or (seen is not None and seen.is_failure):
        return "log--bad"
    if line.severity is S.WARNING:
        return "log--warning"
    return "log--noise" if seen is None else "log--plain"


def shown(text: str) -> str:
    """Outside text for one row: control characters visible, no tab, no endless line.

    >>> shown("a\\tb\\x1b"), len(shown("x" * 5000))
    ('a    b␛', 1001)
    """
    cut = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    return visible(cut.replace("\t", "    ").replace("\n", "␊"))
