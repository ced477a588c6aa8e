"""The archive_command that is proposed, run by a real shell as the server runs it."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from pitr_tui.postgres.archiverlog import archiver_words
from pitr_tui.postgres.conf import read_settings
from pitr_tui.postgres.quote import conf_value
from pitr_tui.recovery.archiving import archive_command
from tests.unit.made import SHELLS, segment, segment_bytes

NAME = segment(2).name
HARD_NAMES = [
    "archive",
    "a b",
    "it's",
    '"q"',
    "100%",
    "%p%f%%",
    "$HOME",
    "`id`",
    "\\n",
    "-n",
    "*;#",
]


def substituted(command: str, path: str, name: str) -> str:
    """What shell_archive.c makes of a command: %p, %f and %% are replaced, from left to right."""
    values = {"p": path, "f": name, "%": "%"}
    parts, rest = [], command
    while "%" in rest:
        before, _, rest = rest.partition("%")
        assert rest[:1] in values, f"the server refuses %{rest[:1]}"
        parts += [before, values[rest[0]]]
        rest = rest[1:]
    return "".join([*parts, rest])


@dataclass
class Primary:
    """A data directory with one finished segment, and an archive beside it."""

    data: Path
    archive: Path
    shell: list[str]

    def __post_init__(self) -> None:
        (self.data / "pg_wal").mkdir(parents=True)
        self.archive.mkdir()
        self.finish(segment_bytes(segment(2)))

    def finish(self, content: bytes) -> None:
        (self.data / "pg_wal" / NAME).write_bytes(content)

    def archives(self, **programs: str) -> int:
        """The exit code of the command where these programs do something else.

        They are functions of the shell: busybox never looks for its own programs in the PATH.
        """
        replaced = "".join(f"{name}() {{ {text}; }}\n" for name, text in programs.items())
        command = substituted(archive_command(self.archive), f"pg_wal/{NAME}", NAME)
        done = subprocess.run(
            [*self.shell, "-c", replaced + command], cwd=self.data, capture_output=True
        )
        return done.returncode

    @property
    def held(self) -> list[str]:
        return sorted(path.name for path in self.archive.iterdir())


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return list(request.param)


@pytest.fixture
def primary(tmp_path: Path, shell: list[str]) -> Primary:
    return Primary(tmp_path / "data", tmp_path / "archive", shell)


@pytest.mark.parametrize("name", HARD_NAMES)
def test_a_segment_arrives_whole_wherever_the_archive_lies(
    tmp_path: Path, shell: list[str], name: str
) -> None:
    primary = Primary(tmp_path / "data", tmp_path / name, shell)
    assert primary.archives() == 0
    assert primary.held == [NAME]
    assert (primary.archive / NAME).read_bytes() == segment_bytes(segment(2))
    # It comes through the configuration file as it is.
    command = archive_command(primary.archive)
    assert read_settings(f"archive_command = {conf_value(command)}") == {"archive_command": command}


def test_the_same_segment_twice_is_a_success(primary: Primary) -> None:
    assert [primary.archives(), primary.archives()] == [0, 0]
    assert primary.held == [NAME]


def test_another_segment_of_that_name_is_never_overwritten(primary: Primary) -> None:
    assert primary.archives() == 0
    primary.finish(segment_bytes(segment(2), system=1))
    assert primary.archives() != 0
    assert (primary.archive / NAME).read_bytes() == segment_bytes(segment(2))
    (primary.archive / NAME).write_bytes(b"short")
    assert primary.archives() != 0


def test_an_interrupted_copy_leaves_no_segment_and_can_be_repeated(primary: Primary) -> None:
    assert primary.archives(cp='head -c 1000 "$1" >"$2"; false') != 0
    assert NAME not in primary.held
    assert primary.archives() == 0
    assert primary.held == [NAME]
    assert (primary.archive / NAME).read_bytes() == segment_bytes(segment(2))


def test_a_segment_has_its_name_only_when_it_is_on_disk(primary: Primary) -> None:
    assert primary.archives(sync="false") != 0
    assert NAME not in primary.held


def test_a_sync_that_takes_no_file_will_do(primary: Primary) -> None:
    """As that of busybox and of old coreutils."""
    assert primary.archives(sync="test $# = 0") == 0
    assert primary.held == [NAME]


def test_a_missing_archive_is_a_failure(primary: Primary) -> None:
    primary.archive.rmdir()
    assert primary.archives() != 0
    assert not primary.archive.exists()


def test_the_servers_words_about_a_failure_are_found_among_others() -> None:
    log = [
        "cp: cannot create regular file '/old': No such file or directory",
        "2026-11-22 21:21:41 UTC [28] LOG:  archive command failed with exit code 1",
        "2026-11-22 21:21:41 UTC [28] DETAIL:  The failed archive command was: old",
        "2026-11-22 21:21:42 UTC [27] LOG:  checkpoint starting: time",
        "cp: cannot create regular file '/archive/.x.part': Permission denied",
        "2026-11-22 21:21:43 UTC [28] LOG:  archive command failed with exit code 1",
        "2026-11-22 21:21:43 UTC [28] DETAIL:  The failed archive command was: new",
        '2026-11-22 21:21:44 UTC [28] WARNING:  archiving write-ahead log file "x" failed '
        "too many times, will try again later",
    ]
    assert archiver_words(log) == tuple(log[4:7])
    assert archiver_words(log[3:4]) == ()
    assert archiver_words(log[5:6]) == (log[5],)
    assert archiver_words(log[7:]) == (log[7],)
