"""What a container's command line says about the server that it starts."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

_SERVERS = {"postgres", "postmaster"}
_SHELLS = {"ash", "bash", "dash", "sh"}
_ENTRYPOINT = "docker-entrypoint.sh"
_SEPARATOR = re.compile(r"[;&|()<>]+")

# The short options that stand for a setting (src/backend/postmaster/postmaster.c).
_SHORT = {
    "-B": "shared_buffers",
    "-h": "listen_addresses",
    "-k": "unix_socket_directories",
    "-N": "max_connections",
    "-p": "port",
    "-S": "work_mem",
}


def program(command: Sequence[str]) -> str:
    """The name of what a container runs, behind a shell or the official entrypoint.

    It is empty when that is the entrypoint's own choice.

    >>> program(["docker-entrypoint.sh", "psql", "-l"]), program(["/usr/bin/tini", "postgres"])
    ('psql', 'tini')
    """
    words = _words(command)
    if words and _name(words[0]) == _ENTRYPOINT:
        words = words[1:]
    return _name(words[0]) if words and not words[0].startswith("-") else ""


def server_arguments(command: Sequence[str]) -> tuple[str, ...] | None:
    """The arguments of `postgres` in a container's command; None when it names no server.

    >>> server_arguments(["docker-entrypoint.sh", "-c", "wal_level=replica"])
    ('-c', 'wal_level=replica')
    >>> server_arguments(["sh", "-c", "umask 077; exec postgres -D /data && echo over"])
    ('-D', '/data')
    >>> server_arguments(["psql", "-h", "db"]) is None
    True
    """
    words = _words(command)
    for index, word in enumerate(words):
        if _name(word) in _SERVERS:
            rest = words[index + 1 :]
            ends = (i for i, one in enumerate(rest) if _SEPARATOR.fullmatch(one))
            return tuple(rest[: next(ends, len(rest))])
    if words and _name(words[0]) == _ENTRYPOINT and (len(words) == 1 or words[1].startswith("-")):
        return tuple(words[1:])
    return None


def settings_of(command: Sequence[str]) -> dict[str, str]:
    """The settings that a command line fixes: no file and no ALTER SYSTEM can override them.

    >>> settings_of(["postgres", "-c", "archive_mode=on", "--wal-level=replica", "-p", "5433"])
    {'archive_mode': 'on', 'wal_level': 'replica', 'port': '5433'}
    """
    found: dict[str, str] = {}
    arguments = list(server_arguments(command) or ())
    while arguments:
        word = arguments.pop(0)
        if word == "-c" and arguments:
            word = f"--{arguments.pop(0)}"
        elif word in _SHORT and arguments:
            found[_SHORT[word]] = arguments.pop(0)
            continue
        elif word.startswith("-c"):
            word = f"--{word[2:]}"
        elif word == "-D" and arguments:
            arguments.pop(0)
            continue
        elif word[:2] in _SHORT:
            found[_SHORT[word[:2]]] = word[2:]
            continue
        name, separator, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and separator:
            found[name.replace("-", "_").lower()] = value
    return found


def data_directories(command: Sequence[str]) -> tuple[PurePosixPath, ...]:
    """Where the command says the data are, best first; `-D` may be just the configuration."""
    found = [settings_of(command).get("data_directory", "")]
    arguments = server_arguments(command) or ()
    for index, word in enumerate(arguments):
        if word == "-D":
            found += arguments[index + 1 : index + 2]
        elif word.startswith("-D"):
            found.append(word[2:])
    return tuple(PurePosixPath(path) for path in found if path.startswith("/"))


def _words(command: Sequence[str]) -> list[str]:
    """A command's words; the script of a `sh -c` is taken apart."""
    words = list(command)
    if len(words) < 3 or _name(words[0]) not in _SHELLS:
        return words
    flag = next((i for i, word in enumerate(words) if re.fullmatch("-[a-z]*c", word)), None)
    if flag is None or flag + 1 >= len(words):
        return words
    lexer = shlex.shlex(words[flag + 1], posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return words[flag + 1].split()


def _name(word: str) -> str:
    return word.rpartition("/")[2]
