"""What has to be known of an image before a server is made from it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pitr_tui.containers.engine import Engine, engine_errors
from pitr_tui.containers.helper import Helper, image_missing
from pitr_tui.postgres.quote import visible

# Debian, Red Hat, Bitnami and a build of one's own keep the programs in these places.
_QUESTIONS = r"""
echo "uid=$(id -u postgres 2>/dev/null)"
echo "gid=$(id -g postgres 2>/dev/null)"
program=$(command -v postgres)
for found in /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres \
        /opt/bitnami/postgresql/bin/postgres /usr/local/pgsql/bin/postgres; do
    [ -z "$program" ] && [ -x "$found" ] && program=$found
done
echo "program=$program"
[ -n "$program" ] && echo "version=$("$program" --version)"
echo "libc=$(getconf GNU_LIBC_VERSION 2>/dev/null)"
for library in /lib/*/libc.so.6 /lib64/libc.so.6 /usr/lib/*/libc.so.6 /lib/ld-musl-*.so.1; do
    [ -x "$library" ] && echo "libc=$("$library" 2>&1 | tr '\n' ' ')"
done
:
"""

_GLIBC = re.compile(r"(?:glibc |GNU C Library .*?version )(\d+\.\d+)")
_MUSL = re.compile(r"musl libc .*?Version (\d+(?:\.\d+)+)")

_known: dict[str, ImageFacts] = {}


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image's user `postgres`, its server program and its C library.

    `libc` reads "glibc 2.36" or "musl 1.2.5", or is empty when neither could be seen; a
    cluster's text indexes must not go from one to another.
    """

    id: str
    postgres_uid: int | None
    postgres_gid: int | None
    program: str
    version: str
    libc: str
    pgdata: str
    user: str


def image_facts(engine: Engine, image: str) -> ImageFacts:
    """Look into an image by a helper that lives for a moment; each image is asked once.

    Raises EngineError, which says how to get an image that the engine does not have.
    """
    from docker.errors import ImageNotFound

    with engine_errors(f"the image {visible(image)} cannot be read"):
        try:
            found = engine.client.images.get(image)
        except ImageNotFound as error:
            raise image_missing(image) from error
    identifier = str(found.id)
    if identifier not in _known:
        config = found.attrs.get("Config") or {}
        variables = dict(entry.partition("=")[::2] for entry in config.get("Env") or ())
        with Helper.start(engine, identifier, name_hint="facts") as helper:
            answers = _answers(helper.shell().run(_QUESTIONS).stdout.decode("utf-8", "replace"))
        _known[identifier] = ImageFacts(
            id=identifier,
            postgres_uid=_number(answers.get("uid", "")),
            postgres_gid=_number(answers.get("gid", "")),
            program=answers.get("program", ""),
            version=answers.get("version", ""),
            libc=libc_name(answers.get("libc", "")),
            pgdata=variables.get("PGDATA", ""),
            user=str(config.get("User") or ""),
        )
    return _known[identifier]


def libc_name(said: str) -> str:
    """A C library, by what it says of itself; the first one that is known.

    >>> libc_name("GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.")
    'glibc 2.36'
    >>> libc_name("musl libc (x86_64) Version 1.2.5 Dynamic Program Loader"), libc_name("")
    ('musl 1.2.5', '')
    """
    if found := _GLIBC.search(said):
        return f"glibc {found[1]}"
    found = _MUSL.search(said)
    return f"musl {found[1]}" if found else ""


def _answers(text: str) -> dict[str, str]:
    """Name and value of each line; of several with one name, all values in a row."""
    answers: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition("=")
        answers[name] = f"{answers.get(name, '')} {value}".strip()
    return answers


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None
