"""Numbers as people read them, at the borders of their units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.wording import count_text, duration_text, size_text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 kB"),
        (1 << 20, "1.0 MB"),
        (3 << 29, "1.5 GB"),
        (1 << 40, "1.0 TB"),
        (5000 << 40, "5000.0 TB"),
    ],
)
def test_a_size(count: float, text: str) -> None:
    assert size_text(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (59.5, "1 min 0 s"),
        (60, "1 min 0 s"),
        (3599.5, "1 h 0 min"),
        (7300, "2 h 1 min"),
        (90000, "25 h 0 min"),
    ],
)
def test_a_duration(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.floats(0, 1e9))
def test_a_duration_has_no_part_of_sixty(seconds: float) -> None:
    assert " 60 " not in duration_text(seconds)


def test_a_count() -> None:
    assert count_text(0, "row") == "0 rows"
    assert count_text(1, "row") == "1 row"
    assert count_text(2, "copy", "copies") == "2 copies"
