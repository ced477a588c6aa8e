"""`pitr wal coverage`."""

from __future__ import annotations

import argparse
from datetime import UTC

from pitr_tui.cli import coverage_words
from pitr_tui.cli.output import Output
from pitr_tui.cli.places import read_with_any_image
from pitr_tui.cli.signals import cancellable
from pitr_tui.postgres.moment import zone_named
from pitr_tui.repositories.archive import WalArchive
from pitr_tui.repositories.backups import list_backups
from pitr_tui.repositories.index_cache import IndexCache
from pitr_tui.repositories.wal_facts import Means
from pitr_tui.repositories.wal_index import Told
from pitr_tui.repositories.wal_story import survey_archive
from pitr_tui.repositories.window_ends import with_ends


def coverage(parsed: argparse.Namespace, output: Output) -> int:
    """Show what an archive holds, what it lacks, and what can be recovered with it."""
    zone = zone_named(parsed.zone) if parsed.zone else UTC
    archive = WalArchive(read_with_any_image(parsed, parsed.archive))
    backups = None
    if parsed.backups:
        backups = list_backups(read_with_any_image(parsed, parsed.backups))
    with cancellable() as check, IndexCache() as cache:
        means = Means(cache, check=check)
        surveyed = survey_archive(archive, backups, means, _teller(output))
        found = with_ends(surveyed.coverage, archive, means)
    coverage_words.say_archive(archive, found, surveyed.remarks, output)
    for timeline in found.timelines:
        coverage_words.say_timeline(timeline, zone, output)
    coverage_words.say_windows(found, backups, zone, output)
    return 0


def _teller(output: Output) -> Told:
    def told(done: int, total: int) -> None:
        output.progress("first pages", done, total, "segment")

    return told
