"""What a restore_command itself wrote between the server's lines.

PostgreSQL takes its exit codes 1 to 125 for "the archive does not have that file", and then
ends the recovery, so these words are all that tells an absent file from an archive that could
not be asked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pitr_tui.postgres.logkind import Severity
from pitr_tui.postgres.logline import LogLine

_NAME = re.compile(r"(?<![0-9A-Fa-f])([0-9A-F]{24}|[0-9A-F]{8}\.history)(?![0-9A-Fa-f])")
_ABSENT = re.compile(
    r"no such (?:file|key|object)|not found|does not exist|doesn't exist|cannot find"
    r"|unable to find|not in the archive|not available|NoSuchKey|\b404\b|absent"
    r"|skipping missing",
    re.IGNORECASE,
)
_TROUBLE = re.compile(
    r"time[d -]*out|refused|unreachable|unavailable|outage|denied|forbidden|\b40[13]\b|\b50[0-4]\b"
    r"|(?:could|can) ?not|can't|cannot|unable to|\bfail(?:ed|ure|s)?\b|\berror\b|reset by peer"
    r"|broken pipe|traceback|exception|not resolve|name resolution|no route|certificate"
    r"|expired|invalid (?:access|credential|token)|input/output error|stale file|corrupt"
    r"|unexpected (?:end|eof)|not mounted|transport endpoint|lost connection|network",
    re.IGNORECASE,
)
_COMMAND_ABSENT = re.compile(r"command not found|: not found$|: No such file or directory$")
_FETCH = re.compile(
    r'could not restore file "(?P<name>[^"]+)" from archive: '
    r"child process exited with exit code (?P<code>[0-9]{1,3})"
)
_QUIET = re.compile(r"#|Warning: Permanently added|PostgreSQL Database directory appears")
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class CommandSaid:
    """A line of restore_command's: which file it speaks of, and how it went.

    `absent`: the archive was asked and has no such file. `trouble`: something else went wrong.
    """

    name: str = ""
    absent: bool = False
    trouble: bool = False


def said_by_command(line: LogLine) -> CommandSaid | None:
    """Understand a line that the server did not write, or None when it says nothing of interest.

    >>> from pitr_tui.postgres.logline import parse_line
    >>> said_by_command(parse_line("cp: cannot stat '/a/00000002.history': No such file"))
    CommandSaid(name='00000002.history', absent=True, trouble=False)
    >>> said_by_command(parse_line("repo1: timed out on 000000010000000000000003")).trouble
    True
    """
    if line.severity in (Severity.DEBUG1, Severity.DEBUG2):
        found = _FETCH.fullmatch(line.message[:_LONGEST])
        return CommandSaid(found["name"], absent=found["code"] == "1") if found else None
    if line.severity is not None or line.is_continuation:
        return None
    text = line.message[:_LONGEST]
    if not text.strip() or _QUIET.match(text):
        return None
    named = _NAME.search(text)
    name = named[1] if named else ""
    if name and _ABSENT.search(text):
        return CommandSaid(name, absent=True)
    if name:
        return CommandSaid(name, trouble=True) if _is_trouble(text) else CommandSaid(name)
    return CommandSaid(trouble=True) if _is_trouble(text) else None


def _is_trouble(text: str) -> bool:
    return _TROUBLE.search(text) is not None or _COMMAND_ABSENT.search(text) is not None
