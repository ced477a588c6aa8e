"""Any server log, line by line: whatever log_line_prefix, csvlog or jsonlog, shipped by anybody.

Each line is looked at by itself, because one file can hold several kinds: the server's own
lines, those of restore_command, and what a container or syslog puts before them. A record of
csvlog or jsonlog becomes the lines that stderr would have had, so that one grammar serves all.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from pitr_tui.postgres.logkind import ObservationKind as Kind
from pitr_tui.postgres.logkind import Severity
from pitr_tui.postgres.logline import LogLine, moment_of, observe, parse_line

LONGEST = 1 << 16  # characters of a line that are looked at
_PREFIX_CHARACTERS = 400
_RECORD_LINES = 2000  # a csv record of more lines than this has a stray quote

_WORDS = "|".join(Severity)
_SAID = re.compile(rf"(?<![A-Za-z])(?P<severity>{_WORDS}):  ?(?! )")
_FOREIGN = re.compile(r"(?<![^\W\d_])(?P<word>[^\W\d_]{3,14}):  (?=\S)")
_STAMP = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
    r" ?(?P<zone>Z\b|[A-Z][A-Za-z]{1,5}\b|[+-]\d\d(?::?\d\d)?\b)?",
    re.ASCII,
)
_EPOCH = re.compile(r"(?<![\d.])(1\d{9}(?:\.\d{1,6})?)(?![\d.])", re.ASCII)
_PID = re.compile(r"\[(\d{1,10})\]|\bp(?:id)?[=:](\d{1,10})\b", re.ASCII)
_PID_LINE = re.compile(r"\[(\d{1,10})-\d{1,10}\]", re.ASCII)
_CONTAINER = re.compile(
    r"(?:(?P<name>[\w.-]{1,80}) +\| ?)?"  # docker compose
    r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(?:Z|[+-]\d\d:\d\d) "  # docker logs -t, CRI
    r"(?:(?:stdout|stderr) [FP] )?)?",
    re.ASCII,
)
_SYSLOG = re.compile(
    r"(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\S{8,30})"
    r"(?: (?P<name>[\w.-]{1,100}))? postgres(?:ql)?\[(?P<pid>\d{1,10})\]:? "
    r"(?:\[\d{1,10}-(?P<part>\d{1,6})\] ?)?(?P<rest>.*)",
    re.ASCII | re.DOTALL,
)
_CSV = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)? \S{1,40},", re.ASCII)
_CSV_FEWEST = 23
_SECONDARY = (Severity.DETAIL, Severity.HINT, Severity.CONTEXT, Severity.STATEMENT, Severity.QUERY)
_ADDED = frozenset({*_SECONDARY, Severity.LOCATION})


@dataclass(slots=True)
class Message:
    """One message of the server with all that belongs to it, or a line of somebody else's."""

    line: LogLine
    added: list[LogLine] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The message whole: its further lines joined."""
        lines = [self.line.message]
        for one in self.added:
            if not one.is_continuation:
                break
            lines.append(one.text.strip())
        return "\n".join(lines)

    def said(self, severity: Severity) -> str:
        """Its DETAIL, HINT or CONTEXT, or nothing."""
        found: list[str] = []
        inside = False
        for one in self.added:
            inside = one.severity is severity or (inside and one.is_continuation)
            if inside:
                found.append(one.message.strip())
        return "\n".join(found)


@dataclass(slots=True)
class LogReader:
    """Turns the lines of a log into LogLines; never raises.

    `foreign` counts the lines of a server that speaks another language than English. `source` is
    the service or host that the last line names, before the server's own words.

    >>> reader = LogReader()
    >>> [line] = reader.feed("< 2026-11-22 14:43:48 UTC >LOG:  redo starts at 0/2000028")
    >>> str(line.severity), line.message, line.time.isoformat()
    ('LOG', 'redo starts at 0/2000028', '2026-11-22T14:43:48+00:00')
    >>> [line] = reader.feed("db_1  | 2026-11-22 14:43:48.896 CET [7] FATAL:  the end")
    >>> line.pid, line.time, line.message
    (7, None, 'the end')
    """

    foreign: int = 0
    source: str = ""
    _record: list[str] = field(default_factory=list)
    _quotes: int = 0

    def feed(self, text: str) -> list[LogLine]:
        """The lines that one physical line completes."""
        text = text.removesuffix("\n").removesuffix("\r")[:LONGEST]
        if self._record:
            return self._go_on(text)
        if _CSV.match(text) and text.count(",") > 2:
            self._record, self._quotes = [text], text.count('"')
            return self._try_record()
        if text.startswith("{") and (found := self._from_json(text)) is not None:
            return found
        return [self._line(text)]

    def end(self) -> list[LogLine]:
        """What is left of a record that was cut off."""
        lines, self._record = self._record, []
        return [self._line(one) for one in lines]

    def _line(self, text: str) -> LogLine:
        self.source = ""
        line = parse_line(text)
        if line.severity is not None:
            return line
        carried = _CONTAINER.match(text)
        self.source = (carried["name"] if carried else None) or ""
        rest = text[carried.end() :] if carried else text
        pid = None
        if logged := _SYSLOG.match(rest):
            pid = int(logged["pid"])
            self.source = self.source or logged["name"] or ""
            rest = logged["rest"].replace("#011", "\t")
            part = int(logged["part"] or 1)
            if part > 1 and not rest.startswith("\t") and not _severity(rest):
                rest = "\t" + rest
        if rest.startswith("\t"):
            return LogLine(rest, None, None, None, rest)
        line = parse_line(rest)
        if line.severity is None:
            line = self._free(text, rest)
        return replace(line, pid=pid) if line.severity and line.pid is None else line

    def _free(self, text: str, rest: str) -> LogLine:
        """A line with any prefix, or a line of nobody that is known."""
        found = _severity(rest)
        if found is None:
            prefix = text[: len(text) - len(rest)] + rest[:_PREFIX_CHARACTERS]
            foreign = _FOREIGN.search(rest[:_PREFIX_CHARACTERS])
            self.foreign += bool(foreign and _STAMP.search(prefix))
            return LogLine(rest, None, None, None, rest)
        severity, message = Severity(found["severity"]), rest[found.end() :]
        prefix = rest[: found.start()]
        pids = _PID.search(prefix) or _PID_LINE.search(prefix)
        pid = next((int(one) for one in pids.groups() if one), None) if pids else None
        stamp = moment_in(prefix)
        line = LogLine(rest, stamp, pid, severity, message)
        if found[0].endswith("  "):
            return line
        seen = observe(line)  # one blank: a person's copy, or another program's words
        known = seen is not None and seen.kind not in _ANY
        looks_own = pid is not None and _STAMP.search(prefix) is not None
        return line if known or looks_own else LogLine(rest, None, None, None, rest)

    def _go_on(self, text: str) -> list[LogLine]:
        if _CSV.match(text) and len(self._record) >= 1 and text.count(",") >= _CSV_FEWEST - 2:
            return [*self.end(), *self.feed(text)]  # the quote before was a stray one
        self._record.append(text)
        self._quotes += text.count('"')
        if len(self._record) > _RECORD_LINES:
            return self.end()
        return self._try_record()

    def _try_record(self) -> list[LogLine]:
        if self._quotes % 2:
            return []
        lines, self._record = self._record, []
        try:
            cells = next(csv.reader(["\n".join(lines)], strict=False), [])
        except csv.Error:
            cells = []
        if len(cells) < _CSV_FEWEST or cells[11] not in Severity.__members__:
            return [self._line(one) for one in lines]
        extra = dict(zip(_SECONDARY, (cells[n] for n in (14, 15, 18, 19, 16)), strict=True))
        return _spoken(cells[0], cells[3], cells[11], cells[13], extra)

    def _from_json(self, text: str) -> list[LogLine] | None:
        try:
            data: Any = json.loads(text)
        except (ValueError, RecursionError):
            return None
        if not isinstance(data, dict):
            return None
        if isinstance(data.get("record"), dict):  # CloudNativePG
            data = data["record"]
        if isinstance(data.get("log"), str) and "stream" in data:  # Docker's json-file
            return [self._line(data["log"].removesuffix("\n"))]
        severity = data.get("error_severity")
        if not isinstance(severity, str) or severity not in Severity.__members__:
            return None
        names = ("detail", "hint", "context", "statement", "internal_query")
        words = {one: _text(data.get(name)) for one, name in zip(_SECONDARY, names, strict=True)}
        stamp = _text(data.get("timestamp") or data.get("log_time"))
        pid = _text(data.get("pid") or data.get("process_id"))
        return _spoken(stamp, pid, severity, _text(data.get("message")), words)


_ANY = (Kind.UNRECOGNISED_FATAL, Kind.UNRECOGNISED_PANIC)


def read_lines(texts: Iterable[str]) -> Iterator[LogLine]:
    """All lines of a log."""
    reader = LogReader()
    for text in texts:
        yield from reader.feed(text)
    yield from reader.end()


def grouped(lines: Iterable[LogLine]) -> Iterator[Message]:
    """Messages with their DETAIL, HINT and further lines."""
    last: Message | None = None
    for line in lines:
        belongs = line.severity in _ADDED or line.is_continuation
        if belongs and last is not None:
            last.added.append(line)
            continue
        if last is not None:
            yield last
        last = Message(line)
    if last is not None:
        yield last


def moment_in(prefix: str) -> datetime | None:
    """The last time in a line's prefix: what carried the line may have put its own before."""
    stamps = list(_STAMP.finditer(prefix))
    if stamps:
        last = stamps[-1]
        fraction = (last["fraction"] or "0")[:6].ljust(3, "0")
        text = f"{last['time'].replace('T', ' ')}.{fraction}"
        return moment_of(text, "UTC" if last["zone"] == "Z" else last["zone"] or "")
    epoch = _EPOCH.search(prefix)
    return datetime.fromtimestamp(float(epoch[1]), UTC) if epoch else None


def _severity(text: str) -> re.Match[str] | None:
    return _SAID.search(text, 0, _PREFIX_CHARACTERS + len(_WORDS))


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _spoken(
    stamp: str, pid: str, severity: str, message: str, words: dict[Severity, str]
) -> list[LogLine]:
    """The lines that stderr would have for one record."""
    moment = moment_in(stamp)
    process = int(pid) if pid.isascii() and pid.isdigit() and len(pid) < 11 else None
    found: list[LogLine] = []
    for one, said in ((Severity(severity), message), *words.items()):
        if not said and one in words:
            continue
        first, *further = said.splitlines() or [""]
        head = f"{stamp} [{pid}] {one}:  {first}"
        found.append(LogLine(head, moment, process, one, first))
        found += [LogLine(f"\t{more}", None, None, None, f"\t{more}") for more in further]
    return found
