"""Positions and timelines: what is read, what is refused, and how they are printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import UsageError
from pitr_tui.postgres.lsn import Lsn, TimelineId

POSITIONS = st.integers(0, (1 << 64) - 1)


@given(POSITIONS)
def test_a_position_is_read_as_it_is_printed(number: int) -> None:
    lsn = Lsn(number)
    assert Lsn.parse(str(lsn)) == lsn == number
    assert Lsn.parse(f"{number >> 32:08x}/{number & 0xFFFFFFFF:08x}") == lsn
    assert repr(lsn) == f"Lsn('{lsn}')"


@given(POSITIONS, POSITIONS)
def test_positions_are_ordered_as_pages_not_as_text(one: int, two: int) -> None:
    assert (Lsn(one) < Lsn(two)) == (one < two)
    assert Lsn(one) - Lsn(two) == one - two


def test_order_is_not_that_of_text() -> None:
    assert Lsn.parse("0/FFFFFFFF") < Lsn.parse("1/0") < Lsn.parse("A/0") < Lsn.parse("10/0")


def test_a_position_moved_stays_a_position() -> None:
    moved = Lsn.parse("0/FFFFFFFF") + 1
    assert type(moved) is Lsn
    assert str(moved) == "1/0"
    assert type(moved - Lsn(1)) is int


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "0", "0/", "/0", "0/0/0", "-0/1", "+0/1", "0x1/0", "0 /1", "0/G", "0:1"),
        *("0/123456789", "123456789/0", "0/1 2", "٠/٠", "0/1\x00"),
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a WAL position"):
        Lsn.parse(text)


def test_blanks_around_a_position_do_no_harm() -> None:
    assert Lsn.parse(" 0/3002448\n") == 0x3002448


@pytest.mark.parametrize("number", [-1, 1 << 64])
def test_a_position_has_64_bits(number: int) -> None:
    with pytest.raises(UsageError, match="64 bits"):
        Lsn(number)
    with pytest.raises(UsageError):
        Lsn((1 << 64) - 1) + 1


@given(st.integers(1, (1 << 32) - 1))
def test_a_timeline_is_decimal_in_text_and_hexadecimal_in_names(number: int) -> None:
    timeline = TimelineId(number)
    assert TimelineId.parse(str(int(timeline))) == timeline
    assert TimelineId.parse(hex(number)) == TimelineId.parse(f"0X{number:X}") == timeline
    assert timeline.prefix == f"{number:08X}"
    assert timeline.history_name == f"{timeline.prefix}.history"
    assert f"{timeline}" == str(number)


@pytest.mark.parametrize(
    "text",
    ["", "0", "-1", "1.5", "one", "latest", "0x", "0xG", "1A", "4294967296", "1_0", "9" * 5000],
)
def test_what_is_no_timeline_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a timeline"):
        TimelineId.parse(text)
