"""The journal: any event comes back from it, and damage is told, but for a torn last line."""

import dataclasses
import json
import stat
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.recovery.events import Event, LogArrived, Stamped, from_json, to_json
from pitr_tui.recovery.journal import SCHEMA, Journal, is_written, read_journal, state_directory

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Undecodable bytes of a path are lone surrogates; JSON would join a pair of them to one character.
ANY_TEXT = st.text(
    st.characters(codec="utf-8")
    | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, exclude_categories=())
)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(timezones=OFFSETS)

st.register_type_strategy(Lsn, st.integers(0, (1 << 64) - 1).map(Lsn))
st.register_type_strategy(TimelineId, st.integers(1, (1 << 32) - 1).map(TimelineId))


def values(hint: Any) -> st.SearchStrategy[Any]:
    """Any value of a field's type."""
    if hint is str:
        return ANY_TEXT
    if hint is datetime:
        return MOMENTS
    if hint is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if get_origin(hint) is dict:
        return st.dictionaries(ANY_TEXT, st.none() | st.booleans() | st.integers() | ANY_TEXT)
    if get_origin(hint) is tuple:
        return st.lists(values(get_args(hint)[0]), max_size=3).map(tuple)
    if parts := get_args(hint):
        return st.one_of(*map(values, parts))
    return st.from_type(hint)


def events(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Any event of a kind, by the types of its fields."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{f.name: values(hints[f.name]) for f in dataclasses.fields(kind)})


ANY_EVENT = st.one_of(*map(events, get_args(Event)))


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
def test_any_event_comes_back_as_a_line(kind: type[Any]) -> None:
    @given(st.builds(Stamped, MOMENTS, events(kind)))
    def comes_back(stamped: Stamped) -> None:
        line = json.dumps(to_json(stamped))
        back = from_json(json.loads(line))
        assert back == stamped
        fields = [f.name for f in dataclasses.fields(stamped.event)]
        types = [[type(getattr(one.event, name)) for name in fields] for one in (back, stamped)]
        assert types[0] == types[1]

    comes_back()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(ANY_EVENT, st.data())
def test_an_event_with_a_wrong_field_is_refused_or_typed(event: Event, data: st.DataObject) -> None:
    line = to_json(Stamped(NOON, event))
    line[data.draw(st.sampled_from(sorted(line)))] = data.draw(JSON)
    try:
        back = from_json(line)
    except PitrError:
        return
    assert from_json(to_json(back)) == back or "nan" in repr(back)


def journal_of(*texts: str) -> Path:
    """A journal with these lines of a log."""
    journal = Journal.create(lambda _: None, lambda: NOON)
    for text in texts:
        journal.emit(LogArrived(text))
    journal.close()
    return journal.directory / "events.jsonl"


def texts_of(path: Path) -> list[str]:
    return [one.event.text for one in read_journal(path) if isinstance(one.event, LogArrived)]


@pytest.mark.parametrize("tear", [1, 2, 10, 60])
def test_a_torn_last_line_is_passed_over(tear: int) -> None:
    path = journal_of("one", "two", "three")
    path.write_bytes(path.read_bytes()[:-tear])
    assert texts_of(path) == ["one", "two"]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"garbage",
        b"[]",
        b"3",
        b"null",
        b"{}",
        b"\0" * 50,
        b"\xff\xfe",
        b'{"at": "2026-11-22T12:00:00+00:00", "event": "LogArrived"}',
        b'{"at": "2026-11-22T12:00:00+00:00", "event": ["LogArrived"], "text": "x"}',
        b'{"at": 3, "event": "LogArrived", "text": "x"}',
        b'{"at": "2026-11-22T12:00:00+00:00", "event": "ReplayAt", "lsn": 3, "start": 3, "end": 3}',
        b"[" * 100_000,
    ],
    ids=lambda line: line[:70].decode("latin-1"),
)
def test_a_garbage_line_is_told(line: bytes) -> None:
    path = journal_of("one", "two")
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    with pytest.raises(PitrError, match="not a line of a journal"):
        list(read_journal(path))


@given(st.lists(ANY_TEXT, min_size=1, max_size=4))
def test_a_line_of_the_log_stays_one_line(texts: list[str]) -> None:
    assert texts_of(journal_of(*texts)) == texts


def test_nobody_else_may_read_it() -> None:
    path = journal_of("one")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_is_written_before_it_is_told() -> None:
    seen: list[str] = []

    def sink(stamped: Stamped) -> None:
        (path,) = state_directory().glob("runs/*/events.jsonl")
        seen.append(path.read_text())

    journal = Journal.create(sink, lambda: NOON)
    journal.emit(LogArrived("one"))
    journal.close()
    assert '"one"' in seen[0]


def test_it_goes_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert state_directory() == tmp_path / "state"
    monkeypatch.delenv("PITR_STATE_DIR")
    assert state_directory() == tmp_path / "xdg" / "pitr"
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_directory() == tmp_path / ".local" / "state" / "pitr"


def test_what_cannot_be_written_is_told(tmp_path: Path, state_dir: Path) -> None:
    state_dir.write_text("a file where a directory should be")
    with pytest.raises(PitrError, match="journal of this run cannot be written"):
        Journal.create(lambda _: None)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").symlink_to("/dev/full")
    journal = Journal(tmp_path, lambda _: None, lambda: NOON)
    with pytest.raises(PitrError, match="journal of this run cannot be written") as told:
        journal.emit(LogArrived("one"))
    assert "No space left" in told.value.why
    journal.close()


def test_a_missing_journal_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(PitrError, match="there is no journal at"):
            list(read_journal(path))


def test_only_one_may_write_it() -> None:
    journal = Journal.create(lambda _: None)
    journal.emit(LogArrived("one"))
    assert is_written(journal.directory)
    with pytest.raises(RefusedError, match="another pitr"):
        Journal.reopen(journal.directory, lambda _: None)
    journal.close()
    assert not is_written(journal.directory)
    Journal.reopen(journal.directory, lambda _: None).close()


@pytest.mark.parametrize("tear", [1, 2, 10, 60])
def test_it_goes_on_behind_a_torn_line(tear: int) -> None:
    path = journal_of("one", "two", "three")
    path.write_bytes(path.read_bytes()[:-tear])
    journal = Journal.reopen(path.parent, lambda _: None, lambda: NOON)
    journal.emit(LogArrived("four"))
    journal.close()
    assert texts_of(path) == ["one", "two", "four"]


def test_a_journal_of_a_later_schema_is_left_alone() -> None:
    path = journal_of("one")
    line = {"at": "2030-01-01T00:00:00+00:00", "event": "Unheard", "schema": SCHEMA + 1}
    path.write_text(json.dumps(line) + "\n")
    with pytest.raises(RefusedError, match="newer pitr"):
        list(read_journal(path))
