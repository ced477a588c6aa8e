"""A run in five lines: what, how it stands, how far in WAL and in time, and the steps."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import PurePosixPath

from textual.content import Content

from pitr_tui.recovery.events import Step
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.tui.literal import Part, assemble, lines, literal
from pitr_tui.tui.widgets.jobline import bar
from pitr_tui.wording import count_text, duration_text, size_text

_MUTED = "$foreground-muted"
_CALM = "bold $text-primary on $primary-muted"
_GOOD = "bold $text-success on $success-muted"
_NOT_YET = "bold $text-warning on $warning-muted"
_BAD = "bold $text-error on $error-muted"
_BADGES = {
    RunState.PREPARING: (_CALM, "the destination is being made"),
    RunState.COPYING: (_CALM, "the base backup is on its way"),
    RunState.FETCHING: (_CALM, "the first WAL is awaited"),
    RunState.REPLAYING: (_CALM, "not readable yet"),
    RunState.READABLE: (_NOT_YET, "replay goes on, so do not use the data yet"),
    RunState.STOPPED: (_GOOD, ""),
    RunState.PAUSED: (_GOOD, ""),
    RunState.PROMOTING: (_CALM, "opening for writing"),
    RunState.PROMOTED: (_GOOD, "open for writing"),
    RunState.SHUT_DOWN: (_GOOD, ""),
    RunState.SUSPECT_OPEN: (_BAD, "do not trust the data: replay never said that it stops"),
    RunState.FAILED: (_BAD, ""),
    RunState.CANCELLED: (_NOT_YET, ""),
    RunState.THROWN_AWAY: (_CALM, "nothing of the secondary is left"),
}
_TIME_TARGET = re.compile(r"(?:up to|just before) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S*)")
_SHORT_STEP_SECONDS = 1.0
_FEWEST_CELLS, _MOST_CELLS = 10, 50


def draw_head(view: RunView, width: int, halted: bool = False) -> Content:
    """The lines above the log, fit for `width` cells; nothing goes on in a halted one."""
    shown = _halted_badge(view) if halted else _badge(view)
    way, clock = _way(view, width), _clock(view)
    return lines(_headline(view, halted), shown, way, clock, _steps(view, halted))


def draw_end(view: RunView, left: str = "") -> Content | None:
    """What is to be said when a run has ended: its result, or why there is none.

    `left` is what a halted one has left.
    """
    if left:
        return assemble(("! ", "bold $text-warning"), left)
    failed = view.failed
    if failed is not None:
        sign, style = ("■", "bold $text-warning") if failed.cancelled else ("✗", "bold $text-error")
        rows = [assemble((f"{sign} {failed.what}", style))]
        rows += [literal(f"  {line}") for line in failed.why.splitlines()]
        if failed.hint:
            rows.append(assemble(("  try: ", "bold"), failed.hint))
        words = failed.left
        if failed.kept and view.started is not None:  # its place stands in the first line
            words = f"the copy, stopped: pitr resume {view.started.run} takes it up"
        if words:
            rows.append(assemble(("  left: ", "bold"), words))
        return lines(*rows)
    if view.finished is not None:
        return assemble(("✓ ", "bold $text-success"), view.finished.headline)
    return None


def badge(state: RunState) -> Content:
    """The state as one coloured word."""
    return literal(f" {state.value.upper()} ", _BADGES[state][0])


def _halted_badge(view: RunView) -> Content:
    """Of a run that nobody is at: it was cut off, or its server has gone since."""
    if view.finished is not None:
        return assemble((" NOT RUNNING ", _NOT_YET), f" it was {view.state}")
    remark = "before its first step"
    if view.step is not None:
        done = view.step in view.done
        remark = f"{'just after' if done else 'during'} the step {view.step}"
    return assemble((" CUT OFF ", _NOT_YET), f" {remark}")


def _headline(view: RunView, halted: bool) -> Content:
    started = view.started
    if started is None:
        return literal("No recovery has been started.", _MUTED)
    over = halted or view.failed is not None
    verb = "Recovered" if view.finished else "Recovery of" if over else "Recovering"
    return assemble(
        (f"{verb} {PurePosixPath(started.backup).name}", "bold"),
        f" into {started.destination}",
        (f"  PostgreSQL {started.version}", _MUTED),
    )


def _badge(view: RunView) -> Content:
    style, remark = _BADGES[view.state]
    word = view.state.value.upper()
    if view.state is RunState.READABLE and not view.aims_at_stop:
        word, remark = "READABLE, NOT AT THE END", "replay goes on"
    elif view.state is RunState.PREPARING and Step.COPY in view.done:
        word, remark = "GOING ON", "nothing is copied again"
    elif view.failed is not None:
        remark = f"while trying to {view.step.words}" if view.step else ""
    elif view.finished is not None and not remark:
        remark = "as planned"
    elif view.stop is not None and not remark:
        remark = f"stopped {view.stop}"
    return assemble((f" {word} ", style), f" {remark}")


def _way(view: RunView, width: int) -> Content:
    """How far, in bytes: of the copy first, of the WAL then."""
    cells = max(_FEWEST_CELLS, min(_MOST_CELLS, width - 60))
    if view.state is RunState.COPYING and view.copied is not None:
        done, total = view.copied.done, view.copied.total
        part = min(1.0, done / total) if total else 0.0
        told = f"{size_text(done)} of about {size_text(total)}" if total else size_text(done)
        return _bar_line("copy", part if total else None, cells, told)
    fraction, replay = view.fraction, view.replay
    restored = f"{count_text(view.segments_restored, 'segment')} restored"
    if view.failed is not None:
        ended = f"replay ended at {view.redo_done}   " if view.redo_done else ""
        return assemble(("WAL    ", _MUTED), ended + restored)
    parts = []
    if replay is not None:
        if fraction is not None and fraction < 1.0 and replay.end is not None:
            parts.append(f"{replay.lsn} of {replay.end}")
        elif fraction is None:
            parts.append(f"at {replay.lsn}")
        if view.rate > 0 and not _over(view):
            parts.append(f"{size_text(view.rate)}/s")
    if view.segments_restored and (_over(view) or len(parts) < 2):
        parts.append(restored)
    return _bar_line("WAL", fraction, cells, "   ".join(parts))


def _bar_line(name: str, fraction: float | None, cells: int, told: str) -> Content:
    percent = f"{fraction * 100:3.0f} %" if fraction is not None else "  ? %"
    return assemble(
        (f"{name:<6} ", _MUTED),
        (bar(fraction or 0.0, cells), "$text-primary"),
        f" {percent}   {told}",
    )


def _clock(view: RunView) -> Content:
    """How far, by the clock of the transactions; at the end, how long it took."""
    if _over(view) and view.done:
        told = [f"{step} {duration_text(s)}" for step, s in view.done.items() if s >= 0.1]
        if view.finished is not None:
            told.append(f"{duration_text(sum(view.done.values()))} in all")
        return assemble(("took   ", _MUTED), " · ".join(told) or "less than a moment")
    parts: list[Part] = [("clock  ", _MUTED)]
    wanted = view.target
    found = _TIME_TARGET.match(wanted)
    aim = datetime.fromisoformat(found[1]) if found else None
    at = view.replay.time if view.replay else None
    if at is not None and aim is not None:
        same_day = at.astimezone(UTC).date() == aim.astimezone(UTC).date()
        shown = _time(at).split()[1] if same_day else _time(at)
        parts.append(f"{shown} of {_time(aim)} UTC")
    elif aim is not None:
        parts.append(f"target {_time(aim)} UTC")
    elif at is not None:
        parts.append(f"replayed {_time(at)} UTC")
    if aim is None and wanted:
        parts.append(f"{'  ' if at else ''}target: {wanted}")
    if view.seconds_left is not None and view.fraction != 1.0:
        parts.append(f"   at most {duration_text(view.seconds_left)} to go")
    return assemble(*parts)


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]


def _steps(view: RunView, halted: bool) -> Content:
    parts: list[Part] = []
    for step in Step:
        if step in view.done:
            seconds = view.done[step]
            took = f" {duration_text(seconds)}" if seconds >= _SHORT_STEP_SECONDS else ""
            parts += [("✓ ", "$text-success"), f"{step}{took}  "]
        elif step is view.step:
            parts.append(_current_step(step, view, halted))
        else:
            parts.append((f"· {step}  ", _MUTED))
    return assemble(*parts)


def _current_step(step: Step, view: RunView, halted: bool) -> Part:
    if view.failed is None and not halted:
        return f"▸ {step}  ", "bold $text-primary"
    if view.failed is None or view.failed.cancelled:
        return f"■ {step}  ", "bold $text-warning"
    return f"✗ {step}  ", "bold $text-error"


def _over(view: RunView) -> bool:
    return view.finished is not None or view.failed is not None
