"""A person's query as text: is it one statement, and one that only looks?

Source: src/backend/parser/scan.l (comments, strings, dollar quotes), with
standard_conforming_strings on.
"""

from __future__ import annotations

import re

from pitr_tui.errors import PitrError

_TOKEN = re.compile(
    r"""
    (?P<comment>--[^\n\r]*|/\*)
  | (?P<string>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')
  | (?P<dollar>\$(?P<tag>[A-Za-z_\x80-\U0010ffff][\w]*)?\$)
  | (?P<quoted>"(?:[^"]|"")*")
  | (?P<word>[A-Za-z_\x80-\U0010ffff][\w$\x80-\U0010ffff]*)
  | (?P<number>\d+)
  | (?P<end>;)
  | (?P<open>['"])
  | .
    """,
    re.VERBOSE | re.DOTALL,
)
_LOOKS = ("select", "with", "values", "table", "show", "explain")
_NOT_HERE = re.compile(
    r"pg_promote|pg_(wal|xlog)_replay_\w+|pg_(cancel|terminate)_backend|pg_reload_conf"
    r"|pg_rotate_logfile|pg_switch_\w+|pg_create_\w+|pg_drop_\w+|pg_copy_\w+|pg_replication_\w+"
    r"|pg_logical_\w+|pg_(start|stop)_backup|pg_backup_\w+|pg_file_\w+|pg_advance_\w+|pg_log_\w+"
    r"|pg_import_\w+|pg_stat_reset\w*|pg_\w*advisory_\w+|pg_notify|lo_\w+|lowrite|dblink\w*"
    r"|set_config|setval|nextval|(query|cursor|table|schema|database)_to_xml\w*|into|execute",
    re.IGNORECASE,
)


def require_look(text: str) -> None:
    """Raises PitrError for anything but one statement that looks and changes nothing.

    What a word does that this does not know, a transaction that only reads has to prevent.

    >>> require_look("SELECT ';' || $a$;$a$ -- ;")
    >>> require_look("SELECT 1; /**/ COMMIT")
    Traceback (most recent call last):
    pitr_tui.errors.PitrError: a query is one statement
      why: something follows the first ;
      try: ask one after the other
    """
    words, ended, at = list[str](), False, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unended()
        at = match.end()
        kind, said = match.lastgroup, match[0]
        if kind == "comment":
            at = _behind_comment(text, at) if said == "/*" else at
            continue
        if said.isspace():
            continue
        if ended:
            raise PitrError(
                "a query is one statement",
                "something follows the first ;",
                "ask one after the other",
            )
        if match["dollar"]:
            at = _behind(text, said, at)
        elif kind == "open":
            raise _unended()
        elif kind == "end":
            ended = True
        elif kind in ("word", "quoted"):
            words.append(said.strip('"'))
    if not words:
        raise PitrError("there is no query", "", "type one, for example: SELECT count(*) FROM t")
    found = next((word for word in words if _NOT_HERE.fullmatch(word)), None)
    if words[0].lower() not in _LOOKS or found is not None:
        raise PitrError(
            "this might change the secondary, or write a file",
            f"a query is for looking, and this has {(found or words[0]).upper()}",
            "use psql for it",
        )


def _behind_comment(text: str, at: int) -> int:
    """Comments hold comments."""
    depth = 1
    while depth:
        opened, closed = text.find("/*", at), text.find("*/", at)
        if closed < 0:
            raise _unended()
        if 0 <= opened < closed:
            depth, at = depth + 1, opened + 2
        else:
            depth, at = depth - 1, closed + 2
    return at


def _behind(text: str, mark: str, at: int) -> int:
    end = text.find(mark, at)
    if end < 0:
        raise _unended()
    return end + len(mark)


def _unended() -> PitrError:
    return PitrError("the query has no end", "a string or comment is not closed")
