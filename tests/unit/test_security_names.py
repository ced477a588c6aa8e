"""Names that bite go through the plan unharmed: what it prints is what the run does."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pitr_tui.errors import UsageError
from pitr_tui.postgres.conf import BEGIN, END
from pitr_tui.postgres.target import AtName
from pitr_tui.recovery.place import Copy
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.secondary import RUN_MARK
from tests.local import local
from tests.unit.made import (
    backup_files,
    make_archive,
    make_plan,
    segment,
    segment_bytes,
    tar_bytes,
    tar_member,
    write_files,
)

BITING = "'\"\\`$()%;&|*?[]{}<>~#!-=: \t\u00e9\u2028,\x01\n"
NAMES = st.text(BITING + "ab", min_size=1, max_size=20)

_CONFIGURATION = f"""port = 1
include_dir 'conf.d'
include '/etc/passwd'
{BEGIN}
archive_mode = 'on'
{END}
include 'gone.conf'
"""
FILES = backup_files() | {
    "postgresql.conf": b"include_if_exists = '../up.conf'\ninclude 'conf.d/a.conf'\n",
    "postgresql.auto.conf": _CONFIGURATION.encode(),
    "conf.d/a.conf": b"work_mem = 1MB\ninclude '/etc/hosts'\n",
    "standby.signal": b"",
    "postmaster.pid": b"1\n",
    "pitr/restore-command": b"of an earlier secondary\n",
}
SPACE = {"PG_18_202506291/5/16385": b"rows"}
places = itertools.count()


def make_backup(directory: Path, kind: str) -> Path:
    """A backup with a tablespace, with what a copy leaves out, and includes that lead out."""
    if kind == "tar":
        link = tar_member("pg_tblspc/16384", 0x32.to_bytes(), "/srv/live")
        wal = {segment(2).name: segment_bytes(segment(2))}
        return write_files(
            directory,
            {
                "base.tar": tar_bytes(FILES | {"tablespace_map": b"16384 /srv/live\n"}, link),
                "pg_wal.tar": tar_bytes(wal),
                "16384.tar": tar_bytes(SPACE),
            },
        )
    write_files(directory, FILES)
    write_files(directory, {f"pg_wal/{segment(2).name}": segment_bytes(segment(2))})
    inside = directory / "pitr_tablespaces" / "16384"
    place = inside if kind == "own" else directory.with_name(f"{directory.name} space")
    write_files(place, SPACE)
    (directory / "pg_tblspc").mkdir()
    (directory / "pg_tblspc" / "16384").symlink_to(place)
    return directory


def tree(directory: Path) -> dict[str, bytes | str | None]:
    """Every name below: a file's bytes, where a link leads to, None for a directory."""
    found: dict[str, bytes | str | None] = {}
    for path in directory.rglob("*"):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = os.readlink(path)
        else:
            found[name] = path.read_bytes() if path.is_file() else None
    return found


def perform(plan: RecoveryPlan) -> None:
    """The steps of a run that write files."""
    secondary = local(plan)
    secondary.make("a run")
    (secondary.directory / RUN_MARK).unlink()  # it names the run, which a plan does not know
    list(Copy(plan.backup, secondary.filler(), lambda: None).run())
    for file in plan.files():
        path = secondary.directory / file.path
        before = path.read_bytes().decode("utf-8", "surrogateescape") if path.exists() else ""
        secondary.user.write_file(path, file.written(before))


@pytest.mark.parametrize("kind", ["own", "linked", "tar"])
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=NAMES, point=NAMES)
@example(name="-rf *", point="$(touch pwned)")
@example(name="it's 100 % \"\\", point="'; touch pwned; '")
@example(name="two\nlines", point="one")
@example(name="one", point="two\nlines")
def test_the_printed_commands_do_what_the_run_does(
    tmp_path: Path, kind: str, name: str, point: str
) -> None:
    base = tmp_path / str(next(places))
    base.mkdir()
    archive = make_archive(base / "archive", segment(2))
    backup = open_backup(make_backup(base / f"b{name}", kind), archive)
    assert [one.left_out for one in backup.includes].count("") == 2
    local_place = base / f"to{name}" / "data"
    local_place.parent.mkdir()
    if "\n" in name + point:
        with pytest.raises(UsageError, match="line"):
            make_plan(
                base,
                target=AtName(point),
                archive=archive,
                backup=backup,
                destination=local_place,
            ).render()
        return
    plan = make_plan(
        base, target=AtName(point), archive=archive, backup=backup, destination=local_place
    )
    text = plan.render()
    start, end = text.index("\n# 1. "), text.index("\n# 4. ")
    subprocess.run(["sh", "-euc", text[start:end]], check=True, cwd=base)
    by_hand = tree(local(plan).directory)
    local(plan).unmake()
    for one in (local(plan).directory, local(plan).socket_directory):
        if one.exists():
            subprocess.run(["rm", "-rf", "--", one], check=True)
    perform(plan)
    assert tree(local(plan).directory) == by_hand
    local(plan).unmake()
    assert not list(tmp_path.rglob("pwned"))
    text = str(by_hand["postgresql.auto.conf"])
    assert text.count("pitr: left out of this copy") == 2
    assert text.count("archive_mode") == 1
