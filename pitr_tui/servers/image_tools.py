"""PostgreSQL's client programs in an image: where they are and of which version."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.helper import Helper
from pitr_tui.containers.images import ImageFacts, image_facts
from pitr_tui.errors import RefusedError
from pitr_tui.postgres.quote import shell_word
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.container_server import ContainerServer
from pitr_tui.servers.installation import KNOWN_LIBRARY, LIBRARY_PLACES
from pitr_tui.servers.secondary import library_file

_TOOLS = ("psql", "pg_basebackup", "pg_verifybackup", "pg_receivewal", "pg_receivexlog")

# Beside the server's own program first: what PATH finds may be Debian's wrapper, which chooses
# a version by the clusters that it knows.
_QUESTION = """
for name in {names}; do
    tool={bindir}/$name
    [ -x "$tool" ] || tool=$(command -v "$name") || continue
    echo "$name|$tool|$("$tool" --version)"
done
"""

# The programs may be links into the directory that has the libraries beside it.
_LIBRARIES = """
program=$(readlink -f {program} || echo {program})
for place in {places}; do
    place=${{program%/*}}/../$place
    [ -e "$place/{known}" ] || continue
    echo found
    cd "$place" || exit 1
    for name in {files}; do [ -f "$name" ] || echo "$name"; done
    break
done
"""

_known: dict[str, ImageTools] = {}


@dataclass(frozen=True, slots=True)
class ImageTool:
    """A program of an image. It may be newer than the image's server."""

    name: str
    path: str
    version: PostgresVersion


@dataclass(frozen=True, slots=True)
class ImageTools:
    """The client programs of an image, and the user that its server runs as."""

    facts: ImageFacts
    tools: Mapping[str, ImageTool]

    @property
    def owner(self) -> str:
        """`uid:gid` of the user postgres, or root's where the image has none."""
        uid, gid = self.facts.postgres_uid, self.facts.postgres_gid
        return "0:0" if uid is None else f"{uid}:{uid if gid is None else gid}"

    def find(self, name: str) -> ImageTool | None:
        return self.tools.get(name)

    def require(self, name: str) -> ImageTool:
        """Raises RefusedError when the image has no such program."""
        tool = self.tools.get(name)
        if tool is None:
            raise RefusedError(
                f"the image has no {name}",
                "it runs in a container of the server's own image, so that the versions match",
                "use an image with PostgreSQL's client programs",
            )
        return tool


def image_tools(engine: Engine, image: str) -> ImageTools:
    """Look into an image by a helper that lives for a moment; each image is asked once.

    Raises EngineError.
    """
    facts = image_facts(engine, image)
    if facts.id not in _known:
        _known[facts.id] = ImageTools(facts, _found(engine, image, facts))
    return _known[facts.id]


def missing_libraries(engine: Engine, image: str, names: Sequence[str]) -> tuple[str, ...] | None:
    """Which libraries the image's server would not find; None where its place for them is not seen.

    Raises EngineError.
    """
    files = {library_file(name): name for name in names}
    script = _LIBRARIES.format(
        program=shell_word(image_facts(engine, image).program),
        places=" ".join(LIBRARY_PLACES),
        known=KNOWN_LIBRARY,
        files=" ".join(map(shell_word, files)),
    )
    with Helper.start(engine, image, name_hint="libraries") as helper:
        ran = helper.shell().run(script)
    found, *missing = ran.stdout.decode("utf-8", "replace").splitlines() or [""]
    return tuple(files[file] for file in missing if file in files) if found else None


def tool_environment(server: ContainerServer) -> dict[str, str]:
    """What a tool needs besides its words: the server's password, and words that we can read.

    Raises PitrError when the server does not run.
    """
    password = server.database.parameters.get("password") or os.environ.get("PGPASSWORD")
    return {"LC_ALL": "C", **({"PGPASSWORD": str(password)} if password else {})}


def _found(engine: Engine, image: str, facts: ImageFacts) -> dict[str, ImageTool]:
    bindir = facts.program.rpartition("/")[0] or "/usr/bin"
    script = _QUESTION.format(names=" ".join(_TOOLS), bindir=shell_word(bindir))
    with Helper.start(engine, image, name_hint="tools") as helper:
        ran = helper.shell().run(script)
    if not ran.stdout and ran.stderr.strip():
        raise EngineError(f"the programs of the image {image} cannot be run", ran.stderr.strip())
    found = {}
    for line in ran.stdout.decode("utf-8", "replace").splitlines():
        name, path, said = line.split("|", 2)
        version = PostgresVersion.parse(said.partition("(PostgreSQL)")[2])
        found[name] = ImageTool(name, path, version)
    return found
