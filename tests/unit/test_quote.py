"""Quoting: what goes in comes out at the other end, and no terminal obeys a name."""

import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitr_tui.errors import UsageError
from pitr_tui.postgres.conf import read_settings
from pitr_tui.postgres.quote import (
    command_percent,
    conf_value,
    conninfo_value,
    shell_command,
    shell_word,
    visible,
)
from pitr_tui.servers.sql import parse_conninfo

ANY_TEXT = st.text(st.characters(exclude_categories=()))
# Characters that steer a terminal, that reorder what follows, or that nobody can see.
STEERING = frozenset(
    one
    for one in map(chr, [*range(0x10000), *range(0xE0000, 0xE0080)])
    if one not in "\n\t"
    and (
        unicodedata.category(one) in ("Cc", "Cs", "Zl", "Zp")
        or (unicodedata.category(one) == "Cf" and unicodedata.bidirectional(one) != "AN")
    )
) - {"\u070f"}  # the Syriac abbreviation mark is a visible sign
ONE_LINE = st.text(st.characters(exclude_characters="\n\r\0"))


@given(ONE_LINE)
def test_a_setting_comes_back_from_its_file(value: str) -> None:
    assert read_settings(f"name = {conf_value(value)} # comment") == {"name": value}


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b", "\n"])
def test_a_line_break_cannot_be_quoted(value: str) -> None:
    with pytest.raises(UsageError, match="cannot have a line break"):
        conf_value(value)


@given(ONE_LINE.filter(lambda text: text.isprintable()))
def test_a_connection_value_comes_back_from_libpq(value: str) -> None:
    assert parse_conninfo(f"dbname={conninfo_value(value)} host=x")["dbname"] == value


HARD_WORDS = [
    "",
    "a b",
    "it's",
    '"$HOME"',
    "`id`",
    "$(id)",
    "a\\",
    "-n",
    "*",
    "#",
    "ü",
    "a\nb",
    ";",
    "!",
]


def test_words_come_back_from_the_shell() -> None:
    words = " ".join(map(shell_word, HARD_WORDS))
    for command in (f"printf '%s\\0' {words}", shell_command(["printf", "%s\\0", *HARD_WORDS])):
        said = subprocess.run(["sh", "-c", command], capture_output=True, check=True).stdout
        assert said.decode().split("\0") == [*HARD_WORDS, ""]


@given(ANY_TEXT)
def test_a_percent_sign_is_doubled(text: str) -> None:
    assert command_percent(text).replace("%%", "%") == text
    assert "%" not in command_percent(text).replace("%%", "")


def test_control_characters_become_signs() -> None:
    assert visible("\x1b[2J\x07\x00\x7f\x9b\r") == "␛[2J␇␀␡<9B>␍"
    assert visible("a\u202eb\u2066c\u200fd\u061ce\ufefff") == "a<202E>b<2066>c<200F>d<61C>e<FEFF>f"
    assert visible("two\nlines\tand a tab") == "two\nlines\tand a tab"
    assert visible("[red]\\[/] ünïcode 漢字 \U0001f600") == "[red]\\[/] ünïcode 漢字 \U0001f600"
    assert visible("\ud800x") == "?x"


@given(ANY_TEXT)
def test_nothing_that_steers_a_terminal_passes(text: str) -> None:
    shown = visible(text)
    assert not STEERING & set(shown)
    shown.encode()
    assert visible(shown) == shown


def test_no_character_that_steers_a_terminal_passes() -> None:
    assert {"\x1b", "\x9b", "\u202e", "\u061c"} < STEERING
    assert not STEERING & set(visible("".join(STEERING)))
