"""What happened, in order, for people: lines that mean nothing left out, runs folded into one.

A recovery asks for many files, and for some that nobody has (the next timeline's history file,
the segment behind the last): hundreds of lines that say one thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.logkind import Severity
from pitr_tui.postgres.loglife import SAID_BEFORE_THE_LOG, Life
from pitr_tui.postgres.logline import LogLine, Observation, explain, observe
from pitr_tui.postgres.logoutput import CommandSaid, said_by_command
from pitr_tui.postgres.logreader import Message
from pitr_tui.postgres.walname import is_segment
from pitr_tui.wording import count_text

ABSENT, COMMAND = "absent", "restore command"
_RUNS = {
    *(Kind.FETCHED, Kind.CHECKPOINT, Kind.RESTARTPOINT, Kind.SESSION_REFUSED, Kind.SESSION_ENDED),
    *(Kind.REDO_PROGRESS, Kind.PREPARING_FILES, Kind.STREAM_FAILED, Kind.WAITING_FOR_WAL),
    *(Kind.PAGE_MISSING,),
}
_TOLD_BY_ITS_LINE = {Kind.REDO_CONTEXT, Kind.RESTART_FROM, Kind.VERSION_MISMATCH}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, or a run of `count` of the same: `first` to `last` by name.

    `kind` is that of the observation, or "absent" or "restore command" for what the server did
    not write; `text` the words of the log, `explanation` what they mean.
    """

    time: datetime | None
    stamp: str
    kind: str
    text: str
    explanation: str
    grave: bool = False
    count: int = 1
    first: str = ""
    last: str = ""
    detail: str = ""
    seen: Observation | None = None


def events(messages: Iterable[Message]) -> Iterator[Event]:
    """What the messages tell, with runs folded."""
    held: Event | None = None
    life = Life()
    for message in messages:
        seen = observe(message.line)
        if seen is not None:
            life = Life() if life.begins_with(seen, message.line) else life
            life.take(message.line, seen)
        for event in _events(message, seen, life):
            if held is not None and _is_run(held, event):
                held = _joined(held, event)
                continue
            if held is not None:
                yield held
            held = event
    if held is not None:
        yield held


def _events(message: Message, seen: Observation | None, life: Life) -> Iterator[Event]:
    line = message.line
    inner = (one for one in map(observe, message.added) if one is not None)
    told = [one for one in inner if one.kind not in _TOLD_BY_ITS_LINE]
    if seen is not None and (line.severity or seen.kind in SAID_BEFORE_THE_LOG):
        detail = message.said(Severity.DETAIL)
        also = [explain(one) for one in told if one.kind is not seen.kind or one.name]
        sentence = _sentence(line, seen, life) if not also or seen.name else also[0]
        if Kind.PAUSED_UNFIT in {one.kind for one in told}:
            seen, sentence = Observation(Kind.PAUSED_UNFIT), explain(Observation(Kind.PAUSED_UNFIT))
        yield _event(line, seen, message.text, sentence, detail)
        return
    said = said_by_command(line)
    if said is not None:
        yield _of_command(line, said)
    elif seen is not None:
        yield _event(line, seen, message.text, explain(seen), "")


def _sentence(line: LogLine, seen: Observation, life: Life) -> str:
    """What a line means at this place of the log."""
    if life.is_hearsay(line, seen):
        return "Not the process that replays has written this: it proves nothing."
    known = life.at_target or life.aim is not None or life.standby
    if seen.kind is not Kind.READ_ONLY_OPEN or not known:
        return explain(seen)
    return f"The server is readable{_beside_the_target(life)}."


def _beside_the_target(life: Life) -> str:
    """Where a server stands when it says that it can be read.

    Another process than the one that replays says it, often later than that one has stopped.
    """
    if life.at_target:
        return ", where replay has stopped" if life.stopped_behind_target else ", at the target"
    if life.stop is not None:
        return ", but NOT at the target: replay stopped elsewhere"
    if life.redo_done is not None:
        return f"{', but NOT at the target' * life.aims_at_stop}; replay has ended"
    if life.aims_at_stop:
        return ", but NOT at the target yet; replay goes on"
    return "; it follows as a standby" if life.standby else "; replay goes on"


def _event(line: LogLine, seen: Observation, text: str, sentence: str, detail: str) -> Event:
    name = seen.name if seen.kind is Kind.FETCHED and seen.name else ""
    grave = seen.is_failure
    return Event(
        line.time,
        _stamp(line),
        seen.kind.value,
        text,
        sentence,
        grave,
        first=name,
        last=name,
        detail=detail,
        seen=seen,
    )


def _of_command(line: LogLine, said: CommandSaid) -> Event:
    if said.absent:
        words = f"The archive was asked for {said.name} and does not have it: its end, or a gap."
        if not is_segment(said.name):
            words = f"The archive was asked for {said.name}, which is not there: normal."
        return Event(None, "", ABSENT, line.message, words, first=said.name, last=said.name)
    words = "The restore_command says so itself; PostgreSQL knows only its exit code."
    return Event(None, "", COMMAND, line.message, words, grave=said.trouble)


def _is_run(held: Event, event: Event) -> bool:
    if held.kind != event.kind:
        return False
    if event.kind == ABSENT:
        return True
    same = held.explanation == event.explanation and held.text == event.text
    if event.kind == Kind.FETCHED:
        return is_segment(held.last) and is_segment(event.first)
    return same or event.kind in {kind.value for kind in _RUNS}


def _joined(held: Event, event: Event) -> Event:
    count = held.count + event.count
    if event.kind == ABSENT:
        names = list(dict.fromkeys([*held.last.split(", "), *event.first.split(", ")]))
        listed = ", ".join(names)
        told = ", its end or a gap" if any(map(is_segment, names)) else ": normal"
        words = f"The archive was asked for {listed}, which are not there{told}."
        if len(names) == 1:
            words = held.explanation
        return replace(held, count=count, last=listed, explanation=words)
    if event.kind == Kind.FETCHED:
        words = f"The WAL archive delivered {run_text(held.first, event.last, count)}."
        return replace(held, count=count, last=event.last, explanation=words)
    words = event.explanation.removesuffix(".")
    return replace(event, count=count, first=held.first, explanation=f"{words} ({count} times).")


def run_text(first: str, last: str, count: int) -> str:
    """What a run of delivered segments is called.

    >>> run_text("000000010000000000000006", "00000001000000000000000F", 10)
    'segments 000000010000000000000006 to 0F (10 segments)'
    """
    if first == last:
        return f"segment {first} ({count} times)"
    same = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), 0)
    start = min(same, len(first) - 2)
    return f"segments {first} to {last[start:]} ({count_text(count, 'segment')})"


def _stamp(line: LogLine) -> str:
    """The clock time as it was printed, for a zone that cannot be trusted too."""
    if line.time is not None:
        return f"{line.time:%Y-%m-%d %H:%M:%S}"
    found = line.text[: line.text.find(line.message)] if line.message else ""
    return found[:19] if found[:4].isdigit() and found[4:5] == "-" else ""
