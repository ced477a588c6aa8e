"""`pitr lab` without servers: what is said of scenarios, of a lab, and of a score."""

from __future__ import annotations

import json
import shlex
import textwrap
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pitr_tui.cli import main
from pitr_tui.cli.lab_score_words import say_score
from pitr_tui.cli.output import Output
from pitr_tui.errors import RefusedError
from pitr_tui.lab import diary, record
from pitr_tui.lab.order import Wanted, order_again, order_for
from pitr_tui.lab.record import Lab
from pitr_tui.lab.result import AroundRow, RowDifference, Score, TableCount
from pitr_tui.lab.scenario import Answer
from pitr_tui.lab.scenario_file import find
from pitr_tui.recovery.events import RunStarted, Stamped
from pitr_tui.servers.installation import BINDIRS_VARIABLE
from pitr_tui.servers.osuser import server_user
from tests.unit import made_labs
from tests.unit.made_journals import PAUSED, lay_down, recorded
from tests.unit.made_labs import READY

WIDTH = 80


def made_lab(directory: Path, **more: object) -> Lab:
    return made_labs.made_lab(directory, **{"os_user": server_user().name, **more})  # type: ignore[arg-type]


def written_lab(directory: Path, **more: object) -> Lab:
    return made_labs.written_lab(directory, **{"os_user": server_user().name, **more})


def said(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    """What a command printed, with both streams in one."""
    assert main(["lab", *words]) == code
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    return out + err


def facts(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in said(capsys, *words, "--json", code=code).splitlines()]


def wide(text: str) -> list[str]:
    return [line for line in text.splitlines() if len(line) > WIDTH]


def copied(text: str) -> list[list[str]]:
    """The commands as a shell takes them out of what is on the screen."""
    joined = text.replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in joined if line.startswith(("  pitr ", "  psql "))]


# The list.


def test_scenarios_are_listed_with_stories_that_tell_no_answer(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = said(capsys)
    assert not wide(told)
    assert told == said(capsys, "list")
    assert "dropped-table" in told
    assert "easy, 10 min" in told
    assert "Begin one: pitr lab start NAME" in told
    assert "{" not in told
    assert "…" in told  # a time that is not known yet
    listed = facts(capsys)
    assert len(listed) == 19
    assert listed[1]["name"] == "dropped-table"
    assert listed[1]["best_marks"] is None
    assert listed == [json.loads(line) for line in said(capsys, "--json", "list").splitlines()]


def test_the_best_marks_so_far_are_in_the_list(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lab = written_lab(tmp_path / "lab")
    for marks in (40, 87, 60):
        diary.keep_score(lab, score(marks=marks))
    told = said(capsys)
    (line,) = (one for one in told.splitlines() if one.startswith("update-without-where"))
    assert line.endswith(" 87 of 100")
    assert f"The lab {lab.name} is running" in told
    best = {one["name"]: one["best_marks"] for one in facts(capsys)}
    assert (best["update-without-where"], best["dropped-table"]) == (87, None)


def test_own_scenarios_are_listed_behind_ours(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    place = tmp_path / "pitr" / "scenarios"
    place.mkdir(parents=True)
    text = find("dropped-table").text.replace("name: dropped-table", "name: my-own")
    (place / "my-own.yaml").write_text(text)
    (place / "broken.yaml").write_text("name: broken\n")
    *_, last, broken = facts(capsys)
    assert (last["name"], last["own"]) == ("my-own", True)
    assert broken == {"event": "ScenarioBroken", "file": str(place / "broken.yaml")}


# A lab that runs.


@pytest.mark.parametrize("action", ["status", "hint", "score", "reset", "stop"])
def test_without_a_lab_it_is_said_how_to_begin_one(
    capsys: pytest.CaptureFixture[str], action: str
) -> None:
    told = said(capsys, action, code=3)
    assert told.startswith("pitr: no lab is running\n")
    assert "`pitr lab start NAME` begins one" in told
    assert facts(capsys, action, code=3)[-1]["exit_code"] == 3


def test_the_story_comes_with_commands_to_be_copied(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lab = written_lab(tmp_path / "a place with spaces")
    told = said(capsys, "status")
    assert "All prices are zero." in told
    assert "0 recoveries, 0 hints of 3" in told
    assert "! nobody works in the shop any more" in told
    assert str(lab.archive_directory) in told
    assert "704" not in told  # the answer
    commands = copied(told)
    suspects = ["pitr", "wal", "suspects", str(lab.archive_directory), "--backup"]
    assert [*suspects, f"{lab.backup_directory}/nightly"] in commands
    (restore,) = (one for one in commands if one[1] == "restore")
    assert restore[restore.index("--to") + 1] == str(lab.destination)
    assert all(len(line) < 2 * WIDTH for line in told.splitlines())
    (fact,) = facts(capsys, "status")
    assert fact["commands"]["recover"] == shlex.join(restore)
    assert (fact["primary"]["state"], fact["works"]) == ("runs", False)


def test_commands_of_a_usual_place_fit_into_80_columns(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = made_lab(Path("/tmp/pitr-lab-9580e515"))
    monkeypatch.setattr(record, "current", lambda: lab)
    assert not wide(said(capsys, "status"))


@pytest.mark.parametrize(
    ("state", "words", "data"),
    [("stopped", "is shut down", True), ("killed", "crashed", True), ("lost", "is gone", False)],
)
def test_a_primary_that_is_away_is_not_offered(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, state: str, words: str, data: bool
) -> None:
    lab = written_lab(tmp_path / "lab", primary_state=state, rate=0.0)
    told = said(capsys, "status")
    assert words in told
    assert "look at the primary" not in told
    assert (str(lab.server.data_directory) in told) == data
    assert "nobody works in the shop any more" not in told


def test_an_answer_on_the_primary_is_asked_for_as_such(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    written_lab(tmp_path / "lab", answer=Answer.PRIMARY)
    assert "Here the primary itself has to have every good row" in said(capsys, "status")


def test_hints_come_one_after_the_other(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    written_lab(tmp_path / "lab")
    assert said(capsys, "hint") == "Hint 1 of 3\n  look at the WAL\n"
    assert facts(capsys, "hint")[0]["number"] == 2
    last = "Hint 3 of 3\n  --target-xid 704 --exclusive\n  There are no more.\n"
    assert said(capsys, "hint") == last
    assert said(capsys, "hint") == last
    told = said(capsys, "status")
    assert "3 hints of 3" in told


def test_a_second_lab_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    written_lab(tmp_path / "lab")
    told = said(capsys, "start", "dropped-table", "--dir", str(tmp_path / "second"), code=3)
    assert "is running" in told
    assert "`pitr lab stop` ends it" in told
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["no-such"], "there is no scenario 'no-such'"),
        (["dropped-table", "--seed", "-1"], "-1 is no seed"),
        (["dropped-table", "--rate", "-2"], "-2 transactions a second cannot be"),
        (["dropped-table", "--rate", "nan"], "nan transactions a second cannot be"),
        (["dropped-table", "--version", "x"], "does not name a PostgreSQL version"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_made(
    capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert told in said(capsys, "start", *words, code=2)
    assert record.current() is None


def test_a_version_that_is_not_here_is_told_with_those_that_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BINDIRS_VARIABLE, raising=False)
    told = said(capsys, "start", "dropped-table", "--version", "9.4", code=3)
    assert "there is no PostgreSQL 9.4 here" in told
    assert "--docker" in told


# The order.


def test_an_order_makes_nothing_and_draws_a_seed_and_a_place() -> None:
    scenario = find("dropped-table")
    one, two = (order_for(scenario, Wanted()) for _ in range(2))
    assert one.directory != two.directory
    assert not one.directory.exists()
    assert 0 <= one.seed < 10_000
    assert order_for(scenario, Wanted(seed=0)).seed == 0


@pytest.mark.parametrize(
    ("more", "rate"),
    [({}, None), ({"rate": 7.0}, 7.0), ({"primary_state": "lost", "rate": 0.0}, None)],
)
def test_the_same_is_ordered_again(
    tmp_path: Path, more: dict[str, object], rate: float | None
) -> None:
    lab = made_lab(tmp_path / "lab", bindir=tmp_path, **more)
    with pytest.raises(RefusedError, match="is not there any more"):
        order_again(lab)
    (tmp_path / "initdb").touch(0o755)
    order = order_again(lab)
    assert (order.seed, order.directory, order.scenario) == (5, lab.directory, lab.scenario)
    assert order.installation.version == lab.version
    assert order.rate == rate


# A score.


def score(**more: object) -> Score:
    values: dict[str, object] = {
        "lab": "update-without-where-5",
        "scenario": "update-without-where",
        "seed": 5,
        "version": "18",
        "marks": 100,
        "stake": 40,
        "lost": (),
        "wrong": (),
        "extra": 0,
        "missing_tables": (),
        "tables": (TableCount("shop.orders", 3, 3, 0, 0), TableCount("shop.stock", 1, 1, 0, 0)),
        "minutes": 4.25,
        "hints": 1,
        "attempts": 0,
        "after_answer": False,
        "cut": "right after “order 3” (transaction 703, 2026-10-05 12:00:03 UTC)",
        "best": "right after “order 3” (transaction 703, 2026-10-05 12:00:03 UTC)",
        "sentence": "Everything good that could be reached is there, and nothing that is wrong.",
        "expert": "Stop right before transaction 704.",
        "around": (
            AroundRow(2, 702, "0/200", READY, "payment", True, ""),
            AroundRow(3, 703, "0/300", READY, "order 3", True, "yours ends here, as it should"),
            AroundRow(9, 704, "0/400", READY + timedelta(seconds=1), "free", False, "not good"),
        ),
        "run": "20261005-120400-4a3d9f01",
        "at": READY + timedelta(minutes=5),
        "truth_lines": 40,
    }
    return Score(**{**values, **more})  # type: ignore[arg-type]


def told_score(capsys: pytest.CaptureFixture[str], one: Score) -> str:
    say_score(one, find(one.scenario), Output(False))
    return capsys.readouterr().out


def test_full_marks_are_told_with_the_way_there(capsys: pytest.CaptureFixture[str]) -> None:
    told = told_score(capsys, score())
    assert not wide(told)
    assert told.startswith("✓ 100 of 100: Everything costs one euro\n")
    assert "4 min 15 s, with 1 hint, at the first attempt" in told
    assert "lost:" not in told
    around = told[told.index("The transactions around") :]
    assert around == textwrap.dedent(
        """\
        The transactions around (UTC)
          12:00:20.000      702  payment
          12:00:20.000      703  order 3
                                 ^ yours ends here, as it should
              …
        ✗ 12:00:21.000      704  free
                                 ^ not good
        """
    )


def test_mistakes_are_told_row_by_row_and_not_without_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lost = tuple(
        RowDifference("shop.orders", str(key), f"({key},{'x' * 100})", None, "the row is not there")
        for key in range(7)
    )
    wrong = (RowDifference("shop.stock", "7", "(7,9)", "(7,0)", "written by: \x1b[31mdeed 4"),)
    tables = (
        TableCount("shop.orders", 7, None, 7, 0),
        TableCount("shop.stock", 1, 1, 0, 1),
    )
    one = score(
        marks=12, lost=lost, wrong=wrong, tables=tables, extra=2, after_answer=True, attempts=1
    )
    told = told_score(capsys, one)
    assert not wide(told)
    assert told.startswith("✗ 12 of 100")
    assert "lost: good rows that could have been had (7)" in told
    assert told.count("the row is not there") == 5
    assert "… 2 more, all of them with --json" in told
    assert "wrong: rows that must not be there (1)" in told
    assert "expected  (7,9)" in told
    assert "found     (7,0)" in told
    assert "\x1b" not in told
    assert "and 2 newer good rows, which cost nothing" in told
    assert "after 1 other attempt" in told
    assert "an earlier score had told the answer already" in told
    orders, stock = (
        line.split() for line in told.splitlines() if line.startswith("  shop.") and ":" not in line
    )
    assert orders == ["shop.orders", "7", "none", "7", "0"]
    assert stock == ["shop.stock", "1", "1", "0", "1"]


# For instructors.


def test_every_mistake_of_a_file_is_told_at_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(find("dropped-table").text)
    assert "is a scenario: dropped-table" in said(capsys, "validate", str(path))
    text = path.read_text().replace("difficulty: easy", "difficulty: never")
    path.write_text(text.replace("minutes: 10", "minutes: ten"))
    told = facts(capsys, "validate", str(path), code=2)
    assert [one["event"] for one in told] == ["Mistake", "Mistake", "Error"]
    assert [one["line"] for one in told[:2]] == [3, 4]
    assert "line 3" in said(capsys, "validate", str(path), code=2)


def test_an_export_needs_a_score_and_a_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lab = written_lab(tmp_path / "lab")
    assert "no lab was scored here yet" in said(capsys, "export", "--name", "Ada", code=3)
    diary.keep_score(lab, score(run=""))
    assert "say --name NAME" in said(capsys, "export", code=2)
    to = tmp_path / "ada.tar.gz"
    (fact,) = facts(capsys, "export", "--name", "Ada", "--to", str(to))
    assert (fact["file"], fact["trainee"]) == (str(to), "Ada")
    assert to.exists()


def test_an_export_is_of_a_run_of_a_lab(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    lab = written_lab(tmp_path / "lab")
    mine, other = run_of(made_labs.SYSTEM, "mine"), run_of(made_labs.SYSTEM + 1, "other")
    diary.keep_score(lab, score(run=mine))
    to = tmp_path / "ada.tar.gz"
    words = ["export", "--name", "Ada", "--to", str(to)]
    told = said(capsys, *words, other, code=3)
    assert f"the run {other} is of no lab that was played here" in told
    assert not to.exists()
    (fact,) = facts(capsys, *words, mine)
    assert fact["lab"] == lab.name
    assert to.exists()


def run_of(system: int, name: str) -> str:
    """A recorded run of this cluster; give its name."""
    first, *rest = recorded(PAUSED)
    assert isinstance(first.event, RunStarted)
    plan = {"label": ["0/2000028", "2026-10-05", str(system)]}
    started = replace(first.event, run=name, plan=plan, schema=2)
    return lay_down(name, [Stamped(first.at, started), *rest]).name


def test_a_class_is_told_with_those_that_are_not_believed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "junk.gz").write_bytes(b"junk")
    told = said(capsys, "class", str(tmp_path / "junk.gz"), code=1)
    assert not wide(told)
    assert "! junk.gz" in told
    assert "1 export of 1 cannot be believed." in told
