"""The person's own checks: how a file is read, and when an answer is the one that was expected."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pitr_tui.errors import PitrError, UsageError
from pitr_tui.recovery import own_checks as own
from pitr_tui.recovery.check_file import OwnCheck, expectation, read_checks
from pitr_tui.recovery.events import Status
from pitr_tui.recovery.own_checks import forget, own_checks, perform, remember, remembered
from pitr_tui.recovery.verify import Answer
from pitr_tui.servers.sql import Database

SYSTEM = 7711009236814082698
GOOD = """\
checks:
  - name: all orders are there
    database: shop
    sql: SELECT count(*) FROM orders
    expect: 51200
  - name: as written
    sql: SELECT 1
    expect: 0042
  - {name: truth, sql: SELECT true, expect: true}
  - {name: nothing, sql: SELECT NULL, expect: null}
  - {name: a text, sql: SELECT 'true', expect: "true"}
  - name: rows
    sql: SELECT a, b FROM t
    expect: [[1, yes], [2026-11-22, ~]]
  - {name: one column, sql: SELECT a FROM t, expect: [1, 2]}
  - {name: none, sql: SELECT a FROM t, expect: []}
"""


def written(place: Path, text: str) -> Path:
    path = place / "own.yaml"
    path.write_text(text)
    return path


def test_values_are_taken_as_they_are_written(tmp_path: Path) -> None:
    checks = read_checks(written(tmp_path, GOOD))
    assert checks[0].database == "shop"
    assert checks[1].database == "postgres"
    assert [check.expect for check in checks] == [
        *("51200", "0042", "t", None, "true"),
        (("1", "yes"), ("2026-11-22", None)),
        (("1",), ("2",)),
        (),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("checks:\n  - name: x\n    sql: SELECT 1\n", 2, "no 'expect'"),
        ("checks:\n  - name: x\n    expect: 1\n", 2, "no 'sql'"),
        ("checks:\n  - name: x\n    sql: S\n    expects: 1\n", 4, "'expects' is not known"),
        ("checks:\n  - name: x\n    name: y\n    sql: S\n    expect: 1\n", 3, "twice"),
        ("checks:\n  - name:\n    sql: S\n    expect: 1\n", 2, "'name' is empty"),
        ("checks:\n  - name: [x]\n    sql: S\n    expect: 1\n", 2, "'name' has to be one value"),
        ("checks:\n  - name: x\n    sql: S\n    expect: {a: 1}\n", 4, "'expect' has to be a list"),
        ("checks:\n  - name: x\n    sql: S\n    expect: [[[1]]]\n", 4, "has to be one value"),
        ("checks:\n  - SELECT 1\n", 2, "a check has to have"),
        ("checks: 5\n", 1, "'checks' has to be a list"),
        ("check:\n  - x\n", 1, "'check' is not known"),
        ("- x\n", 1, "the file has to have"),
        (
            "checks:\n- {name: x, sql: S, expect: 1}\n- {name: x, sql: S, expect: 1}\n",
            2,
            "two checks are called 'x'",
        ),
    ],
)
def test_an_error_names_its_line_and_key(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_checks(written(tmp_path, text))
    assert f"line {line}: " in caught.value.why
    assert words in caught.value.why


@pytest.mark.parametrize(
    "text", ["checks: [", "a: b: c", "\x00", "checks: !!python/name:os.x [", "@"]
)
def test_what_is_no_yaml_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match="is not YAML"):
        read_checks(written(tmp_path, text))


def test_a_recursive_or_foreign_value_is_no_value(tmp_path: Path) -> None:
    for expect in ("&a [*a]", "!!python/object:os.system {}"):
        text = f"checks:\n  - name: x\n    sql: S\n    expect: {expect}\n"
        with pytest.raises(UsageError, match="is not right"):
            read_checks(written(tmp_path, text))


@pytest.mark.parametrize(
    ("expect", "value", "holds"),
    [
        ("5", "5", True),
        ("5", "5.0", False),
        ("5", None, False),
        (None, None, True),
        (None, "", False),
        (">= 51200", "51200", True),
        (">= 51200", "51199", False),
        ("<10.5", "10.49", True),
        ("!= 0", "0.00", False),
        ("= 7", "7.0", True),
        ("> 3", "many", False),
        ("> 3", None, False),
        ("> a", "> a", True),
    ],
)
def test_one_value(expect: str | None, value: str | None, holds: bool) -> None:
    assert OwnCheck("x", "S", expect).holds(((value,),)) is holds


def test_rows_have_to_be_the_same() -> None:
    check = OwnCheck("x", "S", (("1", None), ("2", "b")))
    assert check.holds((("1", None), ("2", "b")))
    assert not check.holds((("2", "b"), ("1", None)))
    assert not OwnCheck("x", "S", "1").holds(())
    assert not OwnCheck("x", "S", "1").holds((("1",), ("1",)))


def test_what_was_answered_is_expected_again() -> None:
    for rows in ((("> 5",),), (("7",),), ((None,),), (), (("a", "b"),)):
        assert OwnCheck("x", "S", expectation(rows)).holds(rows)
    assert not OwnCheck("x", "S", expectation((("> 5",),))).holds((("6",),))


def test_checks_are_remembered_for_their_cluster_alone(tmp_path: Path, state_dir: Path) -> None:
    for check in read_checks(written(tmp_path, GOOD)):
        remember(check, SYSTEM)
    assert remembered(SYSTEM) == read_checks(written(tmp_path, GOOD))
    assert remembered(SYSTEM + 1) == remembered(None) == ()
    path = state_dir / "checks" / f"{SYSTEM}.yaml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    nasty = OwnCheck("a: [b] 'c'\n\"", "SELECT '\x1b'", (("\t", None),), "sh'op")
    remember(nasty, SYSTEM)
    remember(OwnCheck("truth", "SELECT false", "f"), SYSTEM)
    found = {check.name: check for check in remembered(SYSTEM)}
    assert found[nasty.name] == nasty
    assert found["truth"].expect == "f"
    assert forget("truth", SYSTEM)
    assert not forget("truth", SYSTEM)
    assert [p.name for p in path.parent.iterdir()] == [path.name], "nothing half written is left"


def test_the_file_counts_before_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(OwnCheck("truth", "SELECT 1", "1"), SYSTEM)
    remember(OwnCheck("kept", "SELECT 2", "2"), SYSTEM)
    monkeypatch.chdir(tmp_path)
    assert [check.name for check in own_checks(SYSTEM)] == ["truth", "kept"]
    Path("pitr.yaml").write_text(GOOD)
    found = own_checks(SYSTEM)
    assert [check.name for check in found][-2:] == ["none", "kept"]
    assert next(check for check in found if check.name == "truth").sql == "SELECT true"
    with pytest.raises(PitrError, match="cannot be read"):
        own_checks(SYSTEM, tmp_path / "absent.yaml")


def test_each_check_tells_both_values(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: dict[str, Sequence[tuple[str | None, ...]]] = {
        "five": [("5",)],
        "rows": [("1",), ("2",)],
    }

    def ask(database: Database, statement: str, limit: int, seconds: float) -> Answer:
        if statement not in answers:
            raise PitrError("the query failed", 'relation "x" does not exist\nLINE 1')
        return Answer(("c",), list(answers[statement]), False)

    monkeypatch.setattr(own, "ask", ask)
    monkeypatch.setattr(Database, "rows", lambda *_: [("postgres", False), ("template1", True)])
    checks = [
        OwnCheck("same", "five", "5"),
        OwnCheck("more", "five", ">= 4"),
        OwnCheck("less", "five", "6"),
        OwnCheck("many", "rows", "1"),
        OwnCheck("broken", "x", "1"),
    ]
    told = [(one.status, one.evidence) for one in perform(checks, Database({}))]
    assert told == [
        (Status.OK, "5"),
        (Status.OK, "5, expected >= 4"),
        (Status.FAILURE, "5, expected 6"),
        (Status.FAILURE, "2 rows (1; 2), expected 1"),
        (Status.FAILURE, 'it could not be asked: relation "x" does not exist'),
    ]


def test_a_database_that_is_not_there_is_the_names_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(database: Database, statement: str, limit: int, seconds: float) -> Answer:
        raise PitrError("cannot connect", "FATAL: no such database", "is the server running there?")

    monkeypatch.setattr(own, "ask", ask)
    there = [("postgres", False), ("shop", False), ("template1", True)]
    monkeypatch.setattr(Database, "rows", lambda *_: there)
    checks = [OwnCheck("a", "x", "1", "shpo"), OwnCheck("b", "x", "1", "template1")]
    assert [one.hint for one in perform(checks, Database({}))] == [
        "is the name of the database right? There are: postgres, shop",
        "is the server running there?",
    ]
