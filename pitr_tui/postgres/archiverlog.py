"""What a server's log says about an archive_command that failed."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The command's own failure tells more than that it is given up for a while.
_ARCHIVE_FAILURES = ("archive command failed", "archive command was terminated", "archiving ")
_DETAIL = "DETAIL: "
_SERVER_LINE = re.compile(r"\b(LOG|WARNING|ERROR|FATAL|PANIC|DETAIL|HINT|STATEMENT|CONTEXT):  ")


def archiver_words(log: Sequence[str]) -> tuple[str, ...]:
    """What a server's log says last about its archive_command, in the server's own words."""
    found = ([row for row, line in enumerate(log) if words in line] for words in _ARCHIVE_FAILURES)
    rows = next(filter(None, found), None)
    if rows is None:
        return ()
    last = rows[-1]
    before = last - 1 if last and not _SERVER_LINE.search(log[last - 1]) else last
    after = last + 1 if _DETAIL in "".join(log[last + 1 : last + 2]) else last
    return tuple(log[before : after + 1])
