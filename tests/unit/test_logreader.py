"""One verdict, in whatever form the log comes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pitr_tui.postgres.logline import LogLine, Severity, parse_line
from pitr_tui.postgres.logreader import LogReader, grouped, read_lines
from pitr_tui.postgres.logstory import ServerLog
from tests.unit.made import LOG_MAJORS, SERVER_LOGS
from tests.unit.test_logstory import scenarios, text_of, told, truth_of

Form = Callable[[LogLine], str]


def verdict_of(texts: list[str]) -> tuple[str, bool | None, str | None, bool | None]:
    log = ServerLog()
    for line in read_lines(texts):
        log.add(line)
    return told(log)


def prefixed(prefix: str) -> Form:
    def form(line: LogLine) -> str:
        if line.severity is None:
            return line.text
        stamp = f"{line.time:%Y-%m-%d %H:%M:%S}" if line.time else "2026-11-22 01:02:03"
        head = prefix.format(t=stamp, p=line.pid)
        return f"{head}{line.severity}:  {line.message}"

    return form


def in_container(line: LogLine) -> str:
    return f"2026-11-22T14:43:48.896123456Z {line.text}"


def in_compose(line: LogLine) -> str:
    return f"pg-secondary-1  | {line.text}"


def in_syslog(line: LogLine) -> str:
    text = line.text.replace("\t", "#011")
    return f"Nov 22 14:43:48 db1 postgres[{line.pid or 9}]: [4-1] {text}"


def in_json_file(line: LogLine) -> str:
    return json.dumps({"log": line.text + "\n", "stream": "stderr", "time": "2026"})


FORMS: dict[str, Form] = {
    "ours": lambda line: line.text,
    "Windows": lambda line: f"{line.text}\r\n",
    "Debian": prefixed("{t} UTC [{p}] "),
    "%t [%p]: [%l-1] user=%u,db=%d": prefixed("{t} UTC [{p}]: [3-1] user=,db= "),
    "< %m >": prefixed("< {t}.123 UTC >"),
    "%t:%r:%u@%d:[%p]:": prefixed("{t} UTC::@:[{p}]:"),
    "pid=": prefixed("time={t} CET, pid={p} "),
    "none": prefixed(""),
    "docker logs -t": in_container,
    "docker compose": in_compose,
    "syslog": in_syslog,
    "docker json-file": in_json_file,
}


@pytest.mark.parametrize("form", FORMS)
def test_any_prefix_gives_the_same_verdict(form: str) -> None:
    for major, name in scenarios():
        lines = [parse_line(text) for text in text_of(major, name)]
        assert verdict_of([FORMS[form](line) for line in lines]) == truth_of(major, name)


# csvlog and jsonlog do not have restore_command's own words: no verdict may hang on them alone.
SERVER_ONLY = [(m, n) for m, n in scenarios() if n[:2] not in ("60", "61")]


def records(major: str, name: str) -> list[tuple[LogLine, dict[str, str]]]:
    """The server's messages with what belongs to them, by the small name of each part."""
    found = []
    for message in grouped(parse_line(text) for text in text_of(major, name)):
        if message.line.severity is not None:
            parts = (Severity.DETAIL, Severity.HINT, Severity.CONTEXT)
            found.append((message.line, {one.lower(): message.said(one) for one in parts}))
    return found


def as_csv(major: str, name: str, columns: int) -> list[str]:
    out = io.StringIO()
    for line, parts in records(major, name):
        cells = [""] * columns
        cells[0] = line.text[: line.text.index(" [")]
        cells[3], cells[11], cells[12] = str(line.pid), str(line.severity), "00000"
        cells[13] = line.message
        cells[14], cells[15], cells[18] = parts["detail"], parts["hint"], parts["context"]
        csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue().splitlines(keepends=True)


@pytest.mark.parametrize("columns", [23, 24, 26])
def test_csvlog_gives_the_same_verdict(columns: int) -> None:
    for major, name in SERVER_ONLY:
        assert verdict_of(as_csv(major, name, columns)) == truth_of(major, name)


def as_json(major: str, name: str, wrapped: bool) -> list[str]:
    found = []
    for line, parts in records(major, name):
        data: dict[str, Any] = {
            "timestamp": line.text[: line.text.index(" [")],
            "pid": line.pid,
            "error_severity": line.severity,
            "message": line.message,
            **{part: text for part, text in parts.items() if text},
        }
        if wrapped:
            data = {"level": "info", "msg": "record", "record": data | {"log_time": "2026-11-22"}}
        found.append(json.dumps(data))
    return found


@pytest.mark.parametrize("wrapped", [False, True])
def test_jsonlog_gives_the_same_verdict(wrapped: bool) -> None:
    for major, name in SERVER_ONLY:
        assert verdict_of(as_json(major, name, wrapped)) == truth_of(major, name)


def test_a_csv_record_goes_over_many_lines() -> None:
    cells = [""] * 26
    cells[0], cells[3], cells[11] = "2026-11-22 14:43:48.896 UTC", "7", "FATAL"
    cells[13], cells[15] = 'it says "no"\nand more', "one\ntwo"
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    texts = out.getvalue().splitlines(keepends=True)
    assert len(texts) == 3
    [message] = grouped(read_lines(texts))
    assert (message.text, message.line.pid) == ('it says "no"\nand more', 7)
    assert message.said(Severity.HINT) == "one\ntwo"
    # A record that is cut off in the middle does not swallow the next one.
    lines = list(read_lines([texts[0], *as_csv("18", "12", 26)]))
    assert any("redo starts" in line.message for line in lines)


def test_mixed_formats_are_told_line_by_line() -> None:
    half = text_of("18", "12")[:6]
    mixed = [*half, *as_json("18", "12", False), *as_csv("18", "12", 26), *half]
    assert len([line for line in read_lines(mixed) if line.severity]) > 30


@pytest.mark.parametrize(
    ("text", "pid", "severity"),
    [
        ("2026-11-22 14:43:48 UTC [12-3] LOG:  x", 12, "LOG"),
        ("1795358628.896 [12] FATAL:  x", 12, "FATAL"),
        ("2026-11-22 14:43:48 UTC [12] LOG: redo starts at 0/28", 12, "LOG"),
        ("ERROR: cannot reach the repository", None, None),
        ("WARNING:  from a script of somebody", None, "WARNING"),
        ("cp: cannot stat 'x': LOG", None, None),
        ("BLOG:  not a severity", None, None),
    ],
)
def test_who_says_it(text: str, pid: int | None, severity: str | None) -> None:
    [line] = read_lines([text])
    assert (line.pid, line.severity) == (pid, severity)


def test_syslog_goes_on_in_further_parts() -> None:
    head = "Nov 22 14:43:48 db1 postgres[9]: [4-{}] {}"
    texts = [
        head.format(1, "2026-11-22 14:43:48 UTC [9] FATAL:  the beginning"),
        head.format(2, "#011and the rest"),
        head.format(3, "2026-11-22 14:43:48 UTC [9] DETAIL:  why"),
    ]
    [message] = grouped(read_lines(texts))
    assert message.text == "the beginning\nand the rest"
    assert message.said(Severity.DETAIL) == "why"


def test_another_language_is_noticed() -> None:
    reader = LogReader()
    for word in ("FEHLER", "WARNUNG", "ОШИБКА"):
        reader.feed(f"2026-11-22 14:43:48 CET [7] {word}:  etwas")
    reader.feed("2026-11-22 14:43:48 CET [7] LOG:  Datenbanksystem wird heruntergefahren")
    assert reader.foreign == 3


@given(st.lists(st.binary(max_size=200), max_size=20))
@example([b'2026-11-22 14:43:48 UTC,"', b'","' * 40])
@example([b'{"error_severity": "LOG", "message": {"a": []}, "pid": [1]}'])
@example([b'{"record": {"error_severity": []}}'])
@example([b"[" * 5000, b'{"a":' * 5000, b"\x00\x1b[31m\xff\xfe", b"\t" * 100])
def test_any_bytes_at_all(chunks: list[bytes]) -> None:
    texts = [chunk.decode("utf-8", "replace") for chunk in chunks]
    lines = list(read_lines(texts))
    assert verdict_of(texts)[1] is not True
    assert all(isinstance(line.message, str) for line in lines)


REAL = [text for major in LOG_MAJORS for text in text_of(major, "23")]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(REAL), st.integers(0, 300)), max_size=30))
def test_lines_that_are_cut(pieces: list[tuple[str, int]]) -> None:
    assert verdict_of([text[at:] for text, at in pieces])[1] is not True
    assert verdict_of([text[:at] for text, at in pieces])[1] is not True


def test_a_line_of_a_megabyte_costs_no_time() -> None:
    import time

    text = "2026-11-22 14:43:48.896 UTC [7] FATAL:  " + "could not " * 100_000
    begun = time.monotonic()
    [line] = read_lines([text])
    assert line.severity is Severity.FATAL
    ServerLog().add(line)
    assert time.monotonic() - begun < 1


def test_the_logs_are_there() -> None:
    assert len(list(SERVER_LOGS.glob("*/*.log"))) > 300
