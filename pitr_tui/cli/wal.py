"""`pitr wal coverage`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC

from pitr_tui.cli import coverage_words
from pitr_tui.cli.output import Output
from pitr_tui.cli.places import read_with_any_image
from pitr_tui.cli.signals import cancellable
from pitr_tui.errors import PitrError
from pitr_tui.postgres.moment import zone_named
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backup_marks import marks_in, marks_of
from pitr_tui.repositories.backups import Backup, BrokenBackup, list_backups
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_index import Survey, Told, WalIndex
from pitr_tui.repositories.window_ends import with_ends
from pitr_tui.wal.coverage import Coverage
from pitr_tui.wal.coverage import coverage as coverage_of


def coverage(parsed: argparse.Namespace, output: Output) -> int:
    """Show what an archive holds, what it lacks, and what can be recovered with it."""
    zone = zone_named(parsed.zone) if parsed.zone else UTC
    archive = WalArchive(read_with_any_image(parsed, parsed.archive))
    backups = None
    if parsed.backups:
        backups = list_backups(read_with_any_image(parsed, parsed.backups))
    with cancellable() as check, IndexCache() as cache:
        survey = WalIndex(archive, cache, check, _teller(output)).survey()
        found = with_ends(_coverage(survey, backups), archive, Means(cache, check=check))
    coverage_words.say_archive(archive, found, survey.remarks, output)
    for timeline in found.timelines:
        coverage_words.say_timeline(timeline, zone, output)
    coverage_words.say_windows(found, backups, zone, output)
    return 0


def _teller(output: Output) -> Told:
    def told(done: int, total: int) -> None:
        output.progress("first pages", done, total, "segment")

    return told


def _coverage(survey: Survey, backups: Sequence[Backup | BrokenBackup] | None) -> Coverage:
    """Held against the cluster of the backups, where these agree on one."""
    if backups is None:
        return coverage_of(survey.holdings(), marks_in(survey.labels))
    usable = [one for one in backups if isinstance(one, Backup)]
    systems = {one.system_identifier for one in usable}
    try:
        marks = marks_of(usable, survey.labels)
    except OSError as error:
        raise PitrError("a backup cannot be read", f"{error.filename}: {error.strerror}") from error
    if len(systems) != 1:
        return coverage_of(survey.holdings(), marks)
    known = survey.holdings(systems.pop(), usable[0].segment_size)
    whole = any(len(held.numbers) for held in known.held.values())
    # Of backups that are strangers here, the archive's own cluster says that they are.
    return coverage_of(known if whole else survey.holdings(), marks)
