"""What the target's screen says around the list: the headline, the list's head, the panel."""

from __future__ import annotations

from textual.content import Content

from pitr_tui.postgres.quote import one_line
from pitr_tui.postgres.target import AtLsn, AtName, AtXid, Immediate, Latest
from pitr_tui.recovery.choice import ended_at
from pitr_tui.repositories.backups import Backup
from pitr_tui.tui.literal import assemble, literal
from pitr_tui.tui.screens.aim import keep_and_lose
from pitr_tui.tui.screens.decision import Decision, Ground, Sure
from pitr_tui.tui.screens.zones import Zone
from pitr_tui.tui.widgets.cut_panel import NAME_CELLS, cut_rows, row
from pitr_tui.tui.widgets.moment_rows import Clock
from pitr_tui.wal.chronicle import Chronicle
from pitr_tui.wording import size_text

_LONG_NAME = 24
_SIGNS = {
    Sure.REACHED: ("● ", "$text-success"),
    Sure.OPEN: ("◐ ", "$text-accent"),
    Sure.UNPROVEN: ("● ", "$text-warning"),
    Sure.NO_BACKUP: ("✗ ", "$text-error"),
}


def headline(zone: Zone, others: int) -> Content:
    """The question, and in whose clock it is answered."""
    more = "   z other" if others else ""
    return assemble(
        "Where do you want to stop?",
        (f"   times in {zone}", "not bold $foreground-muted"),
        (more, "not bold $foreground-muted"),
    )


def stop_words(decision: Decision, story: Chronicle | None) -> str:
    """Where it stops, as short as can be."""
    aim = decision.aim
    lost = story.first_lost(aim.cut) if story is not None and aim.cut is not None else None
    match aim.asked:
        case AtXid() | AtLsn() if story is not None and lost is not None:
            return f"just before xid {int(story.xids[lost])}"
        case AtXid(xid, inclusive):
            return f"just {'after' if inclusive else 'before'} xid {xid}"
        case AtLsn(lsn, inclusive):
            return f"just {'after' if inclusive else 'before'} {lsn}"
        case Latest():
            return "at the end of the WAL"
        case Immediate():
            return "at the end of the backup"
        case AtName(name):
            return f"at {name!r}" if len(name) <= _LONG_NAME else "at the restore point"
        case _:
            return "at this time"


def panel(
    decision: Decision, ground: Ground, clock: Clock, zone: Zone, wide: bool
) -> list[Content]:
    """What is kept and lost, and the way there."""
    aim, story = decision.aim, ground.chronicle
    if aim.cut is not None and story is not None:
        rows = cut_rows(story, aim.cut, clock)
    else:
        keep, lose = keep_and_lose(aim.asked, zone.zone)
        rows = [row("Keep", keep), row("Lose", lose)]
    sign, colour = _SIGNS[decision.sure]
    if decision.sure is Sure.REACHED:
        state = (f"{sign + decision.words:<{NAME_CELLS}}", f"bold {colour}")
        return [*rows, assemble(state, "backup ", _way(decision.backup, ground, zone, wide))]
    way = row("Backup", _way(decision.backup, ground, zone, wide))
    return [*rows, way, assemble((sign, f"bold {colour}"), (decision.words, colour))]


def _way(backup: Backup | None, ground: Ground, zone: Zone, wide: bool) -> Content:
    """From which backup, along which timeline."""
    if backup is None:
        return literal("none")
    ended = ended_at(backup)
    when = f"of {ended.astimezone(zone.zone):%Y-%m-%d %H:%M}" if ended else "end unknown"
    timeline = ground.followed or backup.label.timeline
    return assemble(
        (one_line(backup.name), "bold"),
        f" {when}{f', {size_text(backup.total_bytes)}' if wide else ''}",
        ", your choice" if ground.own else "",
        f", timeline {int(timeline)}",
    )
