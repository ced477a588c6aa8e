"""The report: the same text from the same journal, and nothing of a journal is markup in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeAlias
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.single_file import SingleFileSnapshotExtension, WriteMode

from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.recovery.events import (
    CheckDone,
    CheckedBefore,
    CutKnown,
    FeedFailed,
    LogArrived,
    NameAbsent,
    Promoted,
    RunFailed,
    RunFinished,
    RunStarted,
    RunTakenUp,
    SegmentStaged,
    Stamped,
    Status,
    Step,
    StepDone,
    ThrownAway,
)
from pitr_tui.recovery.postflight import locked_check
from pitr_tui.recovery.report import Ending, facts, markdown, outcome, tale_of
from pitr_tui.recovery.report.markup import code, fence, table, text
from pitr_tui.recovery.state import RunView
from tests.unit.made_journals import (
    DROPPED,
    MISSING,
    PAUSED,
    PLAN,
    SILENT,
    STEPPED,
    cut_off,
    followed_by,
    kept,
    planned,
    recorded,
    taken_up,
)

Made: TypeAlias = Callable[[], list[Stamped]]
CASES: dict[str, Made] = {
    PAUSED: lambda: recorded(PAUSED),
    MISSING: lambda: recorded(MISSING),
    SILENT: lambda: recorded(SILENT),
    DROPPED: lambda: recorded(DROPPED),
    STEPPED: lambda: recorded(STEPPED),
    "taken-up": taken_up,
    "cut-off": cut_off,
    "thrown-away": lambda: followed_by(recorded(DROPPED), 60, ThrownAway()),
}


class MarkdownExtension(SingleFileSnapshotExtension):
    """Keeps each report in an .md file, as a person would get it."""

    file_extension = "md"
    _write_mode = WriteMode.TEXT

    def serialize(self, data: Any, **_options: Any) -> str:
        """Return the text as it is."""
        return str(data)


@pytest.mark.parametrize("name", CASES)
def test_a_journal_makes_this_report(name: str, snapshot: SnapshotAssertion) -> None:
    told = markdown(CASES[name]())
    assert told == snapshot(extension_class=MarkdownExtension)


def test_neither_clock_nor_zone_nor_environment_is_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = markdown(recorded(DROPPED))
    monkeypatch.setenv("PITR_STATE_DIR", "/elsewhere")
    nepal = timezone(timedelta(hours=5, minutes=45))
    elsewhere = [Stamped(one.at.astimezone(nepal), one.event) for one in recorded(DROPPED)]
    assert markdown(elsewhere) == first


# What it says.


def paragraph(events: list[Stamped], name: str) -> str:
    """One paragraph of the first page."""
    (found,) = (line for line in markdown(events).split("\n") if line.startswith(f"**{name}.** "))
    return found.removeprefix(f"**{name}.** ")


def verdict(events: list[Stamped]) -> str:
    return markdown(events).split("\n")[2].strip("*")


def cut_of(events: list[Stamped]) -> CutKnown:
    return next(one.event for one in events if isinstance(one.event, CutKnown))


def with_cut(**changes: Any) -> list[Stamped]:
    """The dropped table's run with another knowledge of the cut."""
    events = recorded(DROPPED)
    return [
        Stamped(one.at, replace(one.event, **changes)) if isinstance(one.event, CutKnown) else one
        for one in events
    ]


def test_rto_is_from_the_first_event_to_the_proof() -> None:
    events = recorded(DROPPED)
    measured = facts(tale_of(events))["rto"]
    (proof,) = (one.at for one in events if isinstance(one.event, RunFinished))
    assert measured["seconds"] == (proof - events[0].at).total_seconds()
    told = paragraph(events, "The recovery itself took")
    assert "17 min 4 s" in told  # until it was promoted


def test_rto_is_counted_from_the_first_transaction_left_out() -> None:
    events = recorded(DROPPED)
    measured = facts(tale_of(events))["rto"]
    (proof,) = (one.at for one in events if isinstance(one.event, RunFinished))
    first_lost = datetime(2026, 11, 23, 3, 55, 8, 843_084, tzinfo=UTC)
    assert measured["seconds_since_accident"] == (proof - first_lost).total_seconds()
    told = paragraph(events, "The recovery itself took")
    assert "2 h 39 min to the proof, 2 h 56 min until it was open for writing" in told
    waiting = paragraph(events[:-1], "The recovery itself took")
    assert waiting.endswith("2 h 39 min to the proof.")


@pytest.mark.parametrize(
    "changes",
    [
        {"lost_transactions": 0, "first_lost_xid": None, "first_lost_time": None},
        {"first_lost_time": None},
        {"first_lost_time": datetime(2026, 11, 23, 23, tzinfo=UTC)},  # by a clock that is ahead
    ],
)
def test_rto_is_not_known_where_no_accident_is(changes: dict[str, Any]) -> None:
    events = with_cut(**changes)
    assert "RTO: not known" in paragraph(events, "The recovery itself took")
    assert facts(tale_of(events))["rto"]["seconds_since_accident"] is None


def test_a_clock_that_was_set_back_measures_nothing() -> None:
    events = recorded(DROPPED)
    half = len(events) // 2
    back = [Stamped(one.at - timedelta(hours=2), one.event) for one in events[half:]]
    jumped = [*events[:half], *back]
    assert paragraph(jumped, "The recovery itself took").startswith("Not known: the clock was set")
    assert facts(tale_of(jumped))["rto"] is None
    assert facts(tale_of(events))["clock_set_back"] is False


def test_who_asks_again_to_promote_changes_nothing_in_the_report() -> None:
    events = recorded(DROPPED)
    again = followed_by(events, 40, Promoted(recorded_timeline()))
    for name in ("What happened", "The recovery itself took"):
        assert paragraph(again, name) == paragraph(events, name)
    assert facts(tale_of(again))["promoted"] == facts(tale_of(events))["promoted"]


def test_rto_has_the_time_between_attempts_in_it() -> None:
    measured = facts(tale_of(taken_up()))["rto"]
    assert measured["attempts"] == 2
    assert 300 < measured["seconds"] < 305
    assert 0 < measured["seconds_at_work"] < 5
    assert "2 attempts" in paragraph(taken_up(), "The recovery itself took")


def test_rpo_is_what_lies_behind_the_cut() -> None:
    measured = facts(tale_of(recorded(DROPPED)))["rpo"]
    assert measured["lost_transactions"] == 47_661
    assert measured["seconds"] == pytest.approx(14.000742)
    assert "14 s of work, 47,661 transactions" in paragraph(recorded(DROPPED), "RPO achieved")


def test_nothing_lost_is_said_only_where_all_was_read() -> None:
    none = {"lost_transactions": 0}  # the one that it stopped before was rolled back
    end = datetime(2026, 11, 23, 3, 56, tzinfo=UTC)
    assert "Nothing" in paragraph(with_cut(**none, archive_end=end), "What was lost")
    assert "Not known" in paragraph(with_cut(**none, archive_end=None), "What was lost")
    assert "Not known" in paragraph(with_cut(**none, archive_end=None), "RPO achieved")


def test_a_step_forward_is_told_with_the_cut_of_the_later_target() -> None:
    events = recorded(STEPPED)
    assert verdict(events) == "Recovered as asked for, and thrown away since."
    assert "36,572 transactions" in paragraph(events, "What was lost")
    assert "updated 5,000 of about 5,000 rows" in paragraph(events, "What happened")
    first = Stamped(events[0].at, cut_of(recorded(DROPPED)))
    measured = facts(tale_of([events[0], first, *events[1:]]))["rpo"]
    assert measured["lost_transactions"] == 36_572


def test_a_step_forward_names_what_it_went_past() -> None:
    events = recorded(STEPPED)
    assert "in these data" not in paragraph(events, "What happened")
    first = Stamped(events[0].at, cut_of(recorded(DROPPED)))
    told = paragraph([events[0], first, *events[1:]], "What happened")
    assert "It took 2 steps, each to a target of its own" in told
    assert "It had stopped before transaction 64510 (2026-11-23 03:55:08.843084 UTC): " in told
    assert "dropped shop.orders (about 20,000 rows), and a person let it go on: that is in" in told


def test_a_step_that_failed_has_gone_past_nothing() -> None:
    events = recorded(STEPPED)
    place = next(n for n, one in enumerate(events) if isinstance(one.event, RunTakenUp))
    first = Stamped(events[0].at, cut_of(recorded(DROPPED)))
    failed = Stamped(events[place].at, RunFailed("no", "", "", "nothing"))
    told = paragraph([events[0], first, *events[1 : place + 1], failed], "What happened")
    assert "in these data" not in told


def test_a_cut_that_the_stop_does_not_fit_is_not_believed() -> None:
    events = with_cut(first_lost_xid=64_000, last_kept_xid=63_999)
    for name in ("What was lost", "RPO achieved"):
        assert paragraph(events, name).startswith("Not known")
    assert "RTO: not known" in paragraph(events, "The recovery itself took")
    assert "63999" not in markdown(events).partition("## Failures")[0]
    assert facts(tale_of(events))["rpo"] is None


def test_a_later_attempt_changes_nothing_of_the_one_before() -> None:
    events = planned(recorded(PAUSED))
    place = next(n for n, one in enumerate(events) if one.event == StepDone(Step.START, ANY))
    first = events[0].event
    assert isinstance(first, RunStarted)
    again = RunTakenUp(Step.REPLAY, first.target, first.action, first.files_and_commands, PLAN)
    both = [*followed_by(events[: place + 1], 0, again), *events[place + 1 :]]
    before, after = facts(tale_of(events[: place + 1])), facts(tale_of(both))
    assert before["attempts"][0] == after["attempts"][0]
    assert after["attempts"][0]["stop"] is None
    assert after["attempts"][1]["stop"] is not None


def test_an_archive_not_read_to_its_end_gives_a_lower_bound() -> None:
    events = with_cut(archive_end=None)
    assert "at least 47,661 transactions" in paragraph(events, "RPO achieved")
    assert facts(tale_of(events))["rpo"]["seconds"] is None


def test_without_a_cut_the_loss_is_not_known() -> None:
    assert "Not known" in paragraph(recorded(PAUSED), "What was lost")
    assert "Not known" in paragraph(recorded(PAUSED), "RPO achieved")


def test_the_cut_of_another_target_is_not_this_ones() -> None:
    events = taken_up()
    place = next(n for n, one in enumerate(events) if isinstance(one.event, RunTakenUp))
    lost = datetime(2026, 11, 22, 18, 22, 10, 598_845, tzinfo=UTC)
    cut = replace(cut_of(recorded(DROPPED)), first_lost_xid=759, first_lost_time=lost)
    events.insert(1, Stamped(events[0].at, cut))
    assert "Not known" not in paragraph(events, "What was lost")
    again = events[place + 1]
    assert isinstance(again.event, RunTakenUp)
    events[place + 1] = Stamped(again.at, replace(again.event, target="just after transaction 9"))
    assert "Not known" in paragraph(events, "What was lost")


@pytest.mark.parametrize("name", [MISSING, SILENT, "cut-off"])
def test_no_recovery_is_told_as_none(name: str) -> None:
    events = CASES[name]()
    assert verdict(events).startswith(("Not recovered", "Not ended"))
    assert paragraph(events, "The recovery itself took").startswith("Nothing")
    assert paragraph(events, "RPO achieved").startswith("None")
    assert paragraph(events, "What was restored").startswith("Nothing")


def test_the_attempt_that_failed_stays_in_the_record_of_one_that_came_to_its_target() -> None:
    told = markdown(taken_up())
    assert verdict(taken_up()).startswith("Recovered")
    assert "segment 00000001000000000000000A is not in the archive" in told
    assert "diagnosis: UNREACHED" in told
    assert "taken up again, from: start the secondary" in told


def test_a_check_that_failed_later_spoils_the_verdict() -> None:
    bad = CheckDone("all orders are there", Status.FAILURE, "51199, not 51200")
    events = followed_by(recorded(PAUSED), 60, bad)
    assert "1 check of the result failed" in verdict(events)


def test_what_cannot_be_read_yet_is_on_the_first_line() -> None:
    events = recorded(DROPPED)[:-1]
    assert "1 relation (each table and each index counts) cannot be read before" in verdict(events)
    assert "(behind the target: dropped shop.orders (about 20,000 rows))" in verdict(events)
    assert "can be read." not in verdict(events)
    assert facts(tale_of(events))["locked"] == "1 relation"
    again = followed_by(events, 60, locked_check(4))
    assert "as asked for. 4 relations (each table" in verdict(again)
    assert "relation" not in verdict(recorded(DROPPED)), "promoted, all can be read"
    assert facts(tale_of(recorded(DROPPED)))["locked"] == ""


def test_the_first_page_counts_the_rows_of_the_evidence() -> None:
    events = recorded(PAUSED)
    before = [CheckedBefore("gaps", Status.OK, "none"), CheckedBefore("disk", Status.NOTE, "big")]
    events[1:1] = [Stamped(events[0].at, one) for one in before]
    counted = "2 checks of the plan before it, 2 checks of the run and its result"
    assert f"{counted}, all of them well." in paragraph(events, "What was restored")
    evidence = markdown(events).partition("## Evidence")[2].partition("## WAL")[0]
    assert f"Attempt 1: {counted}." in evidence
    assert evidence.count("UTC | plan |") == evidence.count("UTC | run |") == 2


def test_a_stop_that_nobody_looked_at_is_not_proved() -> None:
    events = recorded(PAUSED)
    place = next(
        n
        for n, one in enumerate(events)
        if "recovery stopping" in str(getattr(one.event, "text", ""))
    )
    told = paragraph(events[: place + 1], "To which transaction")
    assert told.startswith("Not proved: PostgreSQL said that it stopped before the commit of")


def test_a_log_line_without_end_is_cut_and_said_to_be() -> None:
    events = recorded(MISSING)
    long = "2026-11-22 18:22:13.787 UTC [1] FATAL:  " + "x" * 1_000_000
    told = markdown(followed_by(events, 1, LogArrived(long)))
    assert len(told) < 100_000
    assert "characters more)" in told


def test_a_damaged_journal_is_told_as_far_as_it_goes() -> None:
    def damaged() -> Iterator[Stamped]:
        yield from recorded(PAUSED)[:-3]
        raise PitrError("this is not a line of a journal", "*garbage*")

    told = markdown(damaged())
    assert "Not ended" in told
    assert "behind event 59 the journal cannot be read" in told
    assert "This is not a line of a journal: \\*garbage\\*." in told
    assert facts(tale_of(damaged()))["damage"]["why"] == "*garbage*"


def test_a_journal_without_a_run_is_refused() -> None:
    with pytest.raises(RefusedError, match="empty"):
        markdown([])
    with pytest.raises(RefusedError, match="does not begin with a run"):
        markdown(recorded(PAUSED)[1:])


# How it ended, in words.


def outcome_of(events: list[Stamped], live: bool = False) -> tuple[Ending, str, bool]:
    view = RunView()
    for one in events:
        view.apply(one)
    found = outcome(view, live)
    return found.ending, found.words, found.resumable


@pytest.mark.parametrize(
    ("events", "live", "expected"),
    [
        (recorded(PAUSED), False, (Ending.REACHED, "paused at target", False)),
        (planned(recorded(PAUSED)), False, (Ending.REACHED, "paused at target", True)),
        (recorded(MISSING), False, (Ending.FAILED, "failed", False)),
        (kept(), False, (Ending.FAILED, "failed, can be resumed", True)),
        (taken_up(), False, (Ending.REACHED, "paused at target", True)),
        (cut_off(), False, (Ending.CUT_OFF, "cut off, can be resumed", True)),
        (recorded(PAUSED)[:-1], False, (Ending.CUT_OFF, "cut off", False)),
        (cut_off(), True, (Ending.GOING_ON, "running now", False)),
        (taken_up()[:-5], True, (Ending.GOING_ON, "running now", False)),
        (recorded(DROPPED), False, (Ending.PROMOTED, "promoted, timeline 2", False)),
        (
            followed_by(recorded(DROPPED), 1, ThrownAway()),
            False,
            (Ending.THROWN_AWAY, "thrown away", False),
        ),
        (
            followed_by(cut_off(), 1, RunFailed("c", "", "", "", cancelled=True)),
            False,
            (Ending.CANCELLED, "cancelled", False),
        ),
    ],
)
def test_how_it_ended(
    events: list[Stamped], live: bool, expected: tuple[Ending, str, bool]
) -> None:
    assert outcome_of(events, live) == expected


# Outside text is text.

NASTY = (
    "</td><script>alert(1)</script>",
    "a | b || c \\| d",
    "`` ` ``` code ~~~~",
    "![x](http://evil/x.png) [y](javascript:z) <http://evil> https://evil www.evil.org",
    "# heading\n## another\n\n---\n=====",
    "*a* **b** _c_ __d__ ~~e~~ $f$ &lt; &amp;",
    "1. one\n2) two\n- three\n+ four\n> five\n    six",
    "\x1b[2J\x1b]0;title\x07\r\x00\u202e\u2028",
    "\\",
    "",
    " ",
)
HEADINGS = [
    "The run",
    "Timeline",
    "The cut",
    "Failures",
    "Evidence",
    "WAL",
    "The log around the stop",
    "What is left",
    "How this was measured",
    "Commands and files, as planned",
]
OUTSIDE = st.sampled_from(NASTY) | st.text(max_size=40)


def hostile(word: str) -> list[Stamped]:
    """A run in which every text is this one."""
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def filled(kind: type[Any], **given: Any) -> Any:
        texts = {f.name: word for f in fields(kind) if f.type == "str" and f.name not in given}
        return kind(**texts, **given)

    events = [
        filled(RunStarted),
        CutKnown(5, moment, 6, moment, word, 1, 2, (word, word), moment),
        filled(SegmentStaged, bytes=1, seconds=1.0),
        filled(NameAbsent),
        filled(FeedFailed),
        filled(LogArrived),
        LogArrived(f"2026-11-22 18:22:13.787 UTC [1] FATAL:  {word}"),
        filled(CheckDone, status=Status.WARNING),
        filled(RunFailed),
        RunTakenUp(
            step=recorded_step(), target=word, action=word, files_and_commands=word, plan={}
        ),
        filled(CheckDone, status=Status.OK),
        filled(RunFinished, segments_restored=1),
        Promoted(recorded_timeline()),
    ]
    return [Stamped(moment + timedelta(seconds=n), one) for n, one in enumerate(events)]


def recorded_step() -> Any:
    event = next(one.event for one in taken_up() if isinstance(one.event, RunTakenUp))
    return event.step


def recorded_timeline() -> Any:
    return next(one.event for one in recorded(DROPPED) if isinstance(one.event, Promoted)).timeline


def parser() -> MarkdownIt:
    """As GitHub reads it: HTML, tables and bare addresses mean something."""
    made = MarkdownIt("commonmark", {"html": True, "linkify": True})
    made.enable(["table", "strikethrough", "linkify"])
    assert made.linkify is not None
    made.linkify.set({"fuzzy_link": False, "fuzzy_email": False})
    return made


def all_tokens(told: str) -> list[Token]:
    found: list[Token] = []
    for token in parser().parse(told):
        found += [token, *(token.children or [])]
    return found


@settings(max_examples=60)
@given(OUTSIDE, st.sampled_from([1, 9, 13]))
def test_no_text_of_a_journal_is_markup(word: str, length: int) -> None:
    """Cut off at once, failed, or recovered in a second attempt."""
    told = markdown(hostile(word)[:length])
    tokens = all_tokens(told)
    kinds = {token.type for token in tokens}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "em_open", "s_open"}
    headings = [
        tokens[n + 1].content for n, token in enumerate(tokens) if token.type == "heading_open"
    ]
    assert headings[1:] == HEADINGS
    assert all(ord(one) >= 32 or one == "\n" or one == "\t" for one in told)
    assert "\x7f" not in told


def columns(tokens: list[Token]) -> list[int]:
    """How many cells each row of each table has."""
    found: list[int] = []
    for token in tokens:
        if token.type == "tr_open":
            found.append(0)
        elif token.type in ("td_open", "th_open"):
            found[-1] += 1
    return found


@given(st.lists(st.sampled_from(NASTY) | st.text(min_size=1, max_size=20), min_size=1, max_size=4))
def test_a_table_keeps_its_cells(words: list[str]) -> None:
    tokens = parser().parse("\n".join(table(["a", "b"], [[text(w), code(w)] for w in words])))
    assert columns(tokens) == [2] * (len(words) + 1)


@given(st.text("ab|\\`*_<&>[]#-1.: ", min_size=1, max_size=12))
def test_prose_reads_as_it_was(word: str) -> None:
    tokens = parser().parse("x " + text(word) + " y")
    (inline,) = (token for token in tokens if token.type == "inline")
    shown = "".join(child.content for child in inline.children or [])
    assert {child.type for child in inline.children or []} <= {"text", "text_special"}
    assert shown == "x " + word + " y"


@given(st.text("ab`\\ <*\n", min_size=1, max_size=12))
def test_a_code_span_reads_as_it_was(word: str) -> None:
    (inline,) = (token for token in parser().parse(f"x {code(word)} y") if token.type == "inline")
    shown = "".join(child.content for child in inline.children or [])
    expected = word.replace("\n", "␊")
    assert shown == f"x {expected} y" or not expected.strip()


LINES = st.sampled_from(["```", "````", "~~~", "```text", "   ```", "a", "", "- b", "# c"])


@given(st.lists(LINES, max_size=5).map("\n".join))
def test_a_fence_ends_where_it_should(word: str) -> None:
    tokens = parser().parse("\n".join([*fence(word), "after"]))
    assert [token.type for token in tokens][:2] == ["fence", "paragraph_open"]
    assert tokens[0].content == word.removesuffix("\n") + "\n"
