"""Which lines a log shows: folding, filtering, forgetting."""

from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.tui.widgets.log_rows import LogRows, fold_text, restored_segment


def restored(number: int) -> str:
    return f'LOG:  restored log file "{number:024X}" from archive'


def shown(rows: LogRows) -> list[str]:
    return [rows.fold(row) or rows.line(rows.span(row)[0]) for row in range(len(rows))]


def filled(*lines: str, limit: int = 1000) -> LogRows:
    rows = LogRows(limit)
    rows.add(lines)
    while rows.arrange(7):
        pass
    return rows


def test_runs_of_segments_are_folded_and_others_are_not() -> None:
    rows = filled("a", restored(7), "b", restored(8), restored(9), restored(10), "c")
    assert shown(rows) == ["a", restored(7), "b", "restored … 08 to 0A (3 files)", "c"]


def test_history_files_are_not_folded() -> None:
    line = 'LOG:  restored log file "00000002.history" from archive'
    assert restored_segment(line) is None
    assert shown(filled(line, line)) == [line, line]


def test_a_fold_opens_and_closes_while_lines_arrive() -> None:
    rows = filled("a", restored(1), restored(2), "b")
    rows.toggle(1)
    assert shown(rows) == ["a", restored(1), restored(2), "b"]
    assert rows.can_toggle(2)
    rows.toggle(2)
    assert shown(rows) == ["a", "restored … 01 to 02 (2 files)", "b"]
    assert not rows.can_toggle(0)
    open_end = filled(restored(1), restored(2))
    open_end.toggle(0)
    open_end.add([restored(3)])
    open_end.arrange()
    assert len(open_end) == 3


def test_names_are_as_short_as_they_can_be_told_apart() -> None:
    assert fold_text("0000000100000000000000FE", "000000010000000100000002", 5) == (
        "restored … 0000000FE to 100000002 (5 files)"
    )
    assert fold_text("A" * 24, "A" * 24, 2) == "restored … AA (2 times)"


def test_a_filter_shows_every_line_with_the_text_in_any_case() -> None:
    rows = filled("Redo starts", restored(1), restored(2), "redo done")
    rows.search("REDO")
    rows.arrange()
    assert shown(rows) == ["Redo starts", "redo done"]
    rows.search("restored")
    rows.arrange()
    assert shown(rows) == [restored(1), restored(2)]
    rows.search("")
    rows.arrange()
    assert len(rows) == 3


def test_old_lines_are_forgotten_and_counted() -> None:
    rows = LogRows(limit=100)
    for start in range(0, 1000, 50):
        rows.add([f"line {n}" for n in range(start, start + 50)])
        rows.arrange()
    assert rows.skipped + len(rows) == 1000
    assert 100 <= len(rows) <= 105
    assert rows.line(rows.skipped) == f"line {rows.skipped}"


@given(
    st.lists(
        st.lists(st.one_of(st.just(restored(5)), st.sampled_from(["x", "redo", ""])), max_size=40),
        max_size=12,
    ),
    st.sampled_from(["", "redo"]),
    st.integers(1, 30),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_rows_always_cover_the_lines_that_are_kept(
    batches: list[list[str]], needle: str, limit: int, toggled: list[int]
) -> None:
    rows = LogRows(limit)
    rows.search(needle)
    for batch in batches:
        rows.add(batch)
        while rows.arrange(7):
            pass
        for place in toggled:
            if place < len(rows):
                rows.toggle(place)
        spans = [rows.span(row) for row in range(len(rows))]
        covered = [n for start, count in spans for n in range(start, start + count)]
        kept = range(rows.skipped, rows.end)
        assert covered == [n for n in kept if needle in rows.line(n)]
        assert all(rows.row_of(start) == row for row, (start, _) in enumerate(spans))
