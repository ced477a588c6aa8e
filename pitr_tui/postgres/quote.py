"""One function for each place that outside text may go to.

SQL values and identifiers go through psycopg2 itself (query parameters and
`psycopg2.sql`), argument lists need no quoting, and the rest is here.
"""

import re
import shlex

from pitr_tui.errors import UsageError

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Lengths are bounded, and what holds none of these words is passed by: a log may have lines of a
# megabyte, and many of them.
_MAYBE_SECRET = re.compile(r"pass|pwd|secret|://", re.IGNORECASE)
# The greedy part takes a password with an @ in it up to its last one.
_URI_PASSWORD = re.compile(
    r"(\b[a-z][a-z0-9+.-]{0,30}://[^\s:/?#@'\"]{0,255}:)[^\s/'\"]{0,1024}@", re.IGNORECASE
)
# '' as inside of a setting, \' as inside of repr, '...' as libpq and SQL take it, "..." as JSON,
# $$...$$ as SQL; a quote that never ends, in a line that was cut off.
_QUOTED = (
    r"''(?:[^']|'(?!'))*''|\\+'.*?\\+'|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\\.)*\""
    r"|\$\w*\$.*?\$\w*\$|[\\'\"]+[^'\"]*$"
)
_ASSIGNED_PASSWORD = re.compile(
    r"((?:passw(?:or)?d|passphrase|cipher-pass|\bpwd|secret[\w-]{0,30}key)"
    rf"\s*[\"']?\s*[=:]\s*)(?:{_QUOTED}|(?:\\.|[^\s'\"])+)",
    re.IGNORECASE,
)
_SQL_PASSWORD = re.compile(rf"(\bPASSWORD\s+E?)(?:{_QUOTED})", re.IGNORECASE)


def conf_value(value: str) -> str:
    """A value of postgresql.conf or recovery.conf, in quotes.

    Source: src/backend/utils/misc/guc-file.l (STRING, DeescapeQuotedString). Raises
    UsageError for a line break or a NUL byte, which no quoting can carry there.

    >>> print(conf_value("it's 100 % C:\\\\x"))
    'it''s 100 % C:\\\\x'
    """
    if any(character in value for character in "\n\r\0"):
        raise UsageError(
            "a setting's value cannot have a line break in it", f"the value is {value!r}"
        )
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def command_percent(text: str) -> str:
    """Text inside archive_command or restore_command, where `%` begins a placeholder."""
    return text.replace("%", "%%")


def shell_word(text: str) -> str:
    """One word of a POSIX shell command."""
    return shlex.quote(text)


def shell_command(argv: tuple[str, ...] | list[str]) -> str:
    """An argument list as the line that a person would type."""
    return shlex.join(argv)


def conninfo_value(value: str) -> str:
    """A value of a libpq connection string.

    >>> print(conninfo_value("it's here"))
    'it\\'s here'
    """
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def without_secrets(text: str) -> str:
    """Text from outside with the passwords in it masked: of connection strings and of SQL.

    >>> without_secrets("primary_conninfo = 'host=db password=''s3 cret'' user=u'")
    "primary_conninfo = 'host=db password=*** user=u'"
    >>> without_secrets("could not connect to postgresql://u:p%40ss@db:5432/x?password=y")
    'could not connect to postgresql://u:***@db:5432/x?password=***'
    >>> without_secrets("STATEMENT:  ALTER ROLE u PASSWORD 'it''s'; SELECT 1")
    'STATEMENT:  ALTER ROLE u PASSWORD ***; SELECT 1'
    """
    if not _MAYBE_SECRET.search(text):
        return text
    text = _URI_PASSWORD.sub(r"\1***@", text)
    text = _ASSIGNED_PASSWORD.sub(r"\1***", text)
    return _SQL_PASSWORD.sub(r"\1***", text)


def visible(text: str) -> str:
    """Text from outside as it may be shown: control characters become visible signs.

    >>> visible("a\\x1b[31mred")
    'a␛[31mred'
    """

    def sign(match: re.Match[str]) -> str:
        code = ord(match[0])
        if code < 0x20:
            return chr(0x2400 + code)
        return "␡" if code == 0x7F else f"<{code:02X}>"

    return _CONTROL.sub(sign, text.encode("utf-8", "replace").decode("utf-8"))


def one_line(text: str) -> str:
    """Text from outside, such as a table's name, where it must not begin another line.

    >>> one_line("evil\\nname")
    'evil␊name'
    """
    return visible(text).replace("\n", "␊").replace("\t", "␉")
