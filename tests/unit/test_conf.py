"""Configuration text: read as the server reads it, changed without touching the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.postgres.conf import (
    BEGIN,
    END,
    change_settings,
    diff,
    read_settings,
    settings_block,
    without_block,
)

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,10}(\.[a-z_]{1,5})?", fullmatch=True)
# Any text that one line can hold: line breaks and NUL are refused by conf_value.
VALUES = st.text(st.characters(exclude_characters="\n\r\0"))
COMMENTS = VALUES.map(lambda text: f"# {text}")
LINES = st.one_of(COMMENTS, st.just(""), st.tuples(NAMES, VALUES).map(lambda one: f"{one[0]} = 1"))
FILES = st.lists(LINES).map(lambda lines: "".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("x = 5433", "5433"),
        ("x=5433", "5433"),
        ("x 5433", "5433"),
        ("\tX\t=\t5433\t", "5433"),
        ("x = 5433# comment", "5433"),
        ("x = 'a' # 'b'", "a"),
        ("x = 'it''s'", "it's"),
        (r"x = 'it\'s'", "it's"),
        (r"x = 'tab\tnew\nback\\oct\101'", "tab\tnew\nback\\octA"),
        ("x = '# no comment'", "# no comment"),
        ("x = ''", ""),
        ("x = '\u2028\x0b\x0c\x85'", "\u2028\x0b\x0c\x85"),
        ("x = 1\nx = 2\nX = 3", "3"),
        ("x = 1\n# x = 2", "1"),
        ("x = 1\r\n", "1"),
        ("# x = 1", None),
        ("x", None),
        ("x = 'open", None),
        ("x = 1 2", None),
        ("1x = 2", None),
        ("# a comment\x0cx = 1", None),
    ],
)
def test_a_line_is_read(line: str, value: str | None) -> None:
    assert read_settings(line).get("x") == value


def test_only_the_winning_line_is_changed() -> None:
    before = "# top\nport = 1\n  PORT = 2 # here\nother = 'x'\n"
    assert (
        change_settings(before, {"port": "5433"}) == "# top\nport = 1\nport = '5433'\nother = 'x'\n"
    )
    assert change_settings(before, {"new.one": "it's"}) == before + "new.one = 'it''s'\n"
    assert change_settings(before, {}) == before


@given(FILES, st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_change_is_read_back_and_nothing_else_changes(text: str, changes: dict[str, str]) -> None:
    after = change_settings(text, changes)
    assert read_settings(after) == read_settings(text) | changes
    kept = [line for line in text.split("\n") if line.startswith("#")]
    assert [line for line in after.split("\n") if line.startswith("#")] == kept


@given(FILES, st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_block_wins_and_can_be_taken_away(text: str, settings: dict[str, str]) -> None:
    block = settings_block(settings)
    assert block.startswith(BEGIN + "\n")
    assert block.endswith(END + "\n")
    assert read_settings(text + block) == read_settings(text) | settings
    assert without_block(text + block) == text
    assert without_block(text + block + block + text) == text + text
    assert without_block(text) == text


def test_a_missing_last_line_break_is_added_before_a_block_goes_there() -> None:
    assert without_block("port = 1") == "port = 1\n"


def test_a_diff_shows_both_sides_or_nothing() -> None:
    before = "port = 1\n"
    assert diff(before, before, "postgresql.conf") == ""
    told = diff(before, change_settings(before, {"port": "2"}), "postgresql.conf").splitlines()
    assert told[:2] == ["--- postgresql.conf", "+++ postgresql.conf (new)"]
    assert told[-2:] == ["-port = 1", "+port = '2'"]
