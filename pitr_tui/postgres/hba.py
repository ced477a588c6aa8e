"""pg_hba.conf as text: which line decides about a connection, and one more line in its place.

Source: src/backend/libpq/hba.c. The first line that fits decides; `all` as a database does not
include `replication`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

_TOKEN = re.compile(r'#.*|,|"(?:[^"]|"")*"|[^\s,#"]+')
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_KEYWORDS = ("all", "replication", "samegroup", "samehost", "samenet", "samerole", "sameuser")
_HOST_KINDS = ("host", "hostssl", "hostnossl", "hostgssenc", "hostnogssenc")
_ABOUT_REPLICATION = re.compile(r"^[#\s]*(?:local|host\w*)\s+replication\b")
_LOOPBACK = ip_network("127.0.0.1/32")


@dataclass(frozen=True, slots=True)
class HbaLine:
    """One rule for connections over TCP. `row` counts lines from 0; tokens keep their quotes."""

    row: int
    databases: tuple[str, ...]
    users: tuple[str, ...]
    address: str
    method: str

    def fits(self, database: str, user: str, network: Network) -> bool:
        """Whether the line may decide about this user from somewhere in `network`.

        What only the server can know (members of a role, names of hosts) counts as yes.
        `database` is `replication` or the name of one.
        """
        if database == "replication":
            wanted = "replication" in self.databases
        else:
            wanted = any(_unquoted(one) == database for one in self.databases) or bool(
                {"all", "sameuser", "samerole", "samegroup"}.intersection(self.databases)
            )
        known = any(
            one == "all" or one.startswith(("+", "/", "@")) or _unquoted(one) == user
            for one in self.users
        )
        return wanted and known and self._overlaps(network)

    def _overlaps(self, network: Network) -> bool:
        try:
            own = ip_network(self.address, strict=False)
        except ValueError:
            return True
        return own.version == network.version and own.overlaps(network)


def host_lines(text: str) -> tuple[HbaLine, ...]:
    """The rules for TCP in the order in which the server tries them."""
    return tuple(_host_lines(text))


def deciding_line(text: str, database: str, user: str, network: Network) -> HbaLine | None:
    """The first line that fits, or None when the server would say that there is none."""
    return next((one for one in host_lines(text) if one.fits(database, user, network)), None)


def trusts_loopback(text: str, user: str) -> bool:
    """Whether the user needs no password from 127.0.0.1 for ordinary connections."""
    line = deciding_line(text, "postgres", user, _LOOPBACK)
    return line is not None and line.method == "trust"


def replication_rule(user: str, network: Network, method: str) -> str:
    """The line that lets one user replicate from one network.

    >>> replication_rule("postgres", ip_network("127.0.0.1/32"), "md5")
    'host    replication     postgres        127.0.0.1/32            md5'
    """
    return f"host    replication     {hba_name(user):<15} {network!s:<23} {method}"


def with_rule(text: str, rule: str) -> str:
    """The text with one rule more, where it counts; everything else stays as it is.

    It stands before the first line that would decide in its place, or else below what the
    file says about replication, in comments too.
    """
    lines = text.split("\n")
    (new,) = _host_lines(rule)
    network = ip_network(new.address)
    user = _unquoted(new.users[0])
    first = deciding_line(text, "replication", user, network)
    about = [row for row, line in enumerate(lines) if _ABOUT_REPLICATION.match(line)]
    if first is not None:
        row = first.row
    elif about:
        row = about[-1] + 1
        while row < len(lines) and lines[row - 1].endswith("\\"):
            row += 1
    else:
        row = len(lines) - (lines[-1] == "")
    lines.insert(row, rule)
    return "\n".join(lines) if lines[-1] == "" else "\n".join(lines) + "\n"


def hba_name(user: str) -> str:
    """A user's name as pg_hba.conf reads it.

    >>> hba_name("postgres"), hba_name("all"), hba_name("My User")
    ('postgres', '"all"', '"My User"')
    """
    if _PLAIN_NAME.fullmatch(user) and user not in _KEYWORDS:
        return user
    return '"' + user.replace('"', '""') + '"'


def _host_lines(text: str) -> Iterator[HbaLine]:
    for row, line in _logical_lines(text):
        fields = _fields(line)
        if len(fields) < 5 or fields[0][0] not in _HOST_KINDS:
            continue
        address, method = _unquoted(fields[3][0]), fields[4][0]
        if len(fields) > 5 and re.fullmatch(r"[\d.]+|[0-9a-fA-F:]*:[0-9a-fA-F:]*", method):
            address, method = f"{address}/{_bits(method)}", fields[5][0]
        yield HbaLine(row, tuple(fields[1]), tuple(fields[2]), address, _unquoted(method))


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those joined that a backslash continues (version 14 and later)."""
    begun, start = "", 0
    for row, line in enumerate(text.split("\n")):
        start = start if begun else row
        if line.endswith("\\"):
            begun += line[:-1] + " "
            continue
        yield start, begun + line
        begun = ""


def _fields(line: str) -> list[list[str]]:
    """The fields of a line, each a list: values that commas join belong together."""
    fields: list[list[str]] = []
    joined = False
    for word in _TOKEN.findall(line):
        if word.startswith("#"):
            break
        if word == ",":
            joined = bool(fields)
        elif joined:
            fields[-1].append(word)
            joined = False
        else:
            fields.append([word])
    return fields


def _bits(mask: str) -> str:
    """A mask as Python's networks take it; IPv6 ones only as a number of bits."""
    if ":" not in mask:
        return mask
    value = int(ip_network(mask).network_address)
    return str(value.bit_count())


def _unquoted(token: str) -> str:
    return token[1:-1].replace('""', '"') if token.startswith('"') else token
