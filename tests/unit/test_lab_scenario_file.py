"""A scenario's file is looked at as a whole: every mistake is told, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from pitr_tui.errors import PitrError, UsageError
from pitr_tui.lab import scenario_file
from pitr_tui.lab.scenario import (
    Accident,
    Answer,
    Branch,
    Difficulty,
    EndPrimary,
    GoodSql,
    HurtWal,
    PrimaryEnd,
    Settings,
)
from pitr_tui.lab.scenario_file import ScenarioError, load
from pitr_tui.lab.template import Known, fill, mistakes

GOOD = """\
name: lost-prices
title: All prices are lost
difficulty: medium
minutes: 15
since: "12"
answer: primary
story: >
  Sales calls at {time noted in Asia/Tokyo}: all prices are gone. Somebody tried something.
world:
  customers: 25
  rate: 0.5
  tablespace: no
  settings: {max_connections: 50}
steps:
  - work: 20
  - backup: nightly
  - sql: {name: campaign, what: a new customer, run: ["INSERT INTO shop.customers VALUES (1)"]}
  - branch: {backup: nightly, work: 5}
  - note: noted
  - settings: {Work_Mem: 8MB}
  - accident:
      name: wipe
      what: the prices are wiped out
      work_between: 3
      transactions:
        - ["UPDATE shop.products SET price = 0", "DELETE FROM shop.audit"]
        - ["DELETE FROM shop.stock"]
  - restore_point: before-lunch
  - quiet: 0.5
  - switch: yes
  - lose_wal: {at: noted}
  - damage_backup: {backup: nightly, how: no-label}
  - archiving: broken
  - primary: killed
hints:
  - One
  - Two, in {archive}
  - Three, xid {xid wipe}
expert: Before {time wipe}.
coach:
  target: Look at the suspects.
"""


def written(place: Path, text: str) -> Path:
    path = place / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complaints(place: Path, text: str) -> list[tuple[int, int, str]]:
    """The mistakes that are told of a file with this text."""
    with pytest.raises(ScenarioError) as caught:
        load(written(place, text))
    assert str(place / "mine.yaml") in caught.value.what
    assert caught.value.exit_code == 2
    return [(one.line, one.column, one.words) for one in caught.value.mistakes]


def place_of(text: str, part: str) -> tuple[int, int]:
    """The line and the column, from 1, at which a part of a text begins."""
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def test_reads_every_kind_of_step(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, GOOD))
    assert (scenario.name, scenario.difficulty) == ("lost-prices", Difficulty.MEDIUM)
    assert scenario.answer is Answer.PRIMARY
    assert scenario.since is not None
    assert scenario.since.major == "12"
    assert (scenario.world.customers, scenario.world.rate) == (25, 0.5)
    assert not scenario.world.tablespace
    assert dict(scenario.world.settings) == {"max_connections": "50"}
    assert len(scenario.steps) == 14
    accident = next(one for one in scenario.steps if isinstance(one, Accident))
    assert [len(one) for one in accident.transactions] == [2, 1]
    assert (accident.work_between, accident.outside) == (3, "")
    assert Settings({"work_mem": "8MB"}) in scenario.steps
    assert Branch("nightly", 5) in scenario.steps
    assert HurtWal("noted", missing=True) in scenario.steps
    assert scenario.steps[-1] == EndPrimary(PrimaryEnd.KILLED)
    assert isinstance(scenario.steps[2], GoodSql)
    assert scenario.coach == {"target": "Look at the suspects."}
    assert scenario.text == GOOD


def test_a_copy_of_the_file_is_the_same_scenario(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, GOOD))
    assert load(written(tmp_path, scenario.text)) == scenario


WRONG = {
    "an unknown key": ("minutes: 15", "minuets: 15", "minuets", "'minuets' is not known"),
    "a key twice": ("minutes: 15", "minutes: 15\nminutes: 16", "minutes: 16", "there twice"),
    "a word out of a list": ("medium", "middle", "middle", "allowed are easy, medium, hard"),
    "a number as a word": ("minutes: 15", "minutes: soon", "soon", "from 1 to 240"),
    "too large a number": ("minutes: 15", "minutes: 900", "900", "from 1 to 240"),
    "no number at all": ("rate: 0.5", "rate: nan", "nan", "from 0 to 50"),
    "half a transaction": ("work: 20", "work: 20.5", "20.5", "a whole number"),
    "neither yes nor no": ("tablespace: no", "tablespace: maybe", "maybe", "yes and no"),
    "a name with a path": ("backup: nightly", "backup: ../up", "../up", "small letters"),
    "an unknown version": ('since: "12"', 'since: "8.4"', '"8.4"', "from 9.6 to 18"),
    "a list for a text": ("title: All prices are lost", "title: [a]", "[a]", "one value"),
    "a text for a list": ("switch: yes", "lose_wal: noted", "noted\n  - lose", "a mapping"),
    "an unknown step": ("quiet: 0.5", "silence: 1", "silence", "may have work, backup"),
    "two steps in one": ("- quiet: 0.5", "- {quiet: 1, switch: yes}", "{quiet: 1", "has one key"),
    "a second backup of a name": ("quiet: 0.5", "backup: nightly", None, "a backup 'nightly' al"),
    "a second note of a name": ("quiet: 0.5", "note: noted", None, "noted in line"),
    "a backup that is not there": ("{backup: nightly, work", "{backup: b, work", "b, work",
                                   "no backup 'b' was taken before; there are nightly"),
    "a note that is not there": ("at: noted", "at: supper", "supper", "noted as 'supper' before"),
    "an unknown damage": ("no-label", "burnt", "burnt", "no-label, no-control, lost-file"),
    "a setting of the lab's": ("max_connections: 50", "archive_command: x", "archive_command",
                               "the lab sets it"),
    "a setting that is no name": ("max_connections: 50", "'a b': 5", "'a b'", "the name of a set"),
    "an own transaction": ('["DELETE FROM shop.stock"]', '["commit; DELETE"]', '"commit',
                           "one transaction by itself"),
    "a command of psql": ('["DELETE FROM shop.stock"]', "['\\dt']", "'\\dt'", "no SQL"),
    "an empty transaction": ('["DELETE FROM shop.stock"]', "[]", None, "an empty list"),
    "an empty statement": ('["DELETE FROM shop.stock"]', '[" "]', '" "', "is empty"),
    "both kinds of accident": ("work_between: 3", "outside: DROP DATABASE shop", None, "either"),
    "a step behind the end": ("  - primary: killed", "  - primary: killed\n  - work: 1", None,
                              "nothing can follow"),
    "a switch that never ends": ("  - primary: killed", "  - switch: yes", "yes\nhints",
                                 "archiving is broken"),
    "a word for archiving": ("archiving: broken", "archiving: slow", "slow", "works, broken"),
    "too few hints": ("  - One\n", "", "- Two", "there are 2 hints; 3"),
    "an unknown field": ("{archive}", "{archives}", "Two", "{archives} is not known"),
    "a field of no note": ("{time wipe}", "{time lunch}", "Before", "noted as 'lunch'"),
    "an xid of no transaction": ("{xid wipe}", "{xid noted}", "Three", "no transaction is noted"),
    "an unknown zone": ("Asia/Tokyo", "Asia/Atlantis", ">\n", "not a time zone"),
    "a single brace": ("One", "One {", "One", "a single '{'"),
    "an unknown step of the wizard": ("target: Look", "aim: Look", "aim", "connect, archive"),
    "a control character": ("title: All prices are lost", 'title: "a\\eb"', '"a', "control char"),
    "a backup hurt twice": ("quiet: 0.5", "damage_backup: {how: lost-file, backup: nightly}",
                            "nightly, how", "the backup 'nightly' is hurt in line"),
    "a segment hurt twice": ("damage_backup: {backup: nightly, how: no-label}",
                             "damage_wal: {at: noted}", "noted}\n  - archiving",
                             "the WAL at 'noted' is hurt in line"),
    "a backup behind the accident": ("  - backup: nightly\n", "", "name: wipe",
                                     "no backup is taken before this"),
    "a branch in a tablespace": ("tablespace: no", "tablespace: yes", "- work: 20",
                                 "cannot be played with a tablespace"),
    "an object": ("minutes: 15", "minutes: !!python/object:os.system 15", "!!python", "the tag"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
def test_tells_a_mistake_and_its_place(
    tmp_path: Path, case: tuple[str, str, str | None, str]
) -> None:
    good, wrong, at, words = case
    assert good in GOOD
    text = GOOD.replace(good, wrong, 1)
    told = complaints(tmp_path, text)
    fitting = [one for one in told if words in one[2]]
    assert fitting, told
    if at is not None:
        assert fitting[0][:2] == place_of(text, at)


def test_tells_all_mistakes_at_once_in_order(tmp_path: Path) -> None:
    text = GOOD.replace("medium", "middle").replace("work: 20", "work: many")
    text = text.replace("  - One\n", "").replace("how: no-label", "how: burnt")
    told = complaints(tmp_path, text)
    assert [words.split()[0] for *_, words in told] == ["difficulty", "work", "how", "there"]
    assert told == sorted(told)


@pytest.mark.parametrize("key", ["name", "title", "story", "difficulty", "minutes", "expert"])
def test_tells_what_is_missing(tmp_path: Path, key: str) -> None:
    lines = GOOD.splitlines(keepends=True)
    begin = next(n for n, line in enumerate(lines) if line.startswith(f"{key}:"))
    end = next(n for n, line in enumerate(lines) if n > begin and not line.startswith(" "))
    (told,) = complaints(tmp_path, "".join(lines[:begin] + lines[end:]))
    assert told == (1, 1, f"a scenario needs {key}")


def test_needs_a_backup(tmp_path: Path) -> None:
    steps = GOOD[GOOD.index("steps:") : GOOD.index("hints:")]
    told = complaints(tmp_path, GOOD.replace(steps, "steps:\n  - note: noted\n"))
    assert any("no base backup" in words for *_, words in told)


def test_limits_what_is_played(tmp_path: Path) -> None:
    text = GOOD.replace("  - work: 20\n", "  - work: 1000\n" * 4)
    text = text.replace("  - quiet: 0.5\n", "  - quiet: 10\n" * 2)
    told = [words for *_, words in complaints(tmp_path, text)]
    assert len(told) == 2
    assert "at most 3,000 are played" in told[0] + told[1]
    assert "quiet for 20 s" in told[0] + told[1]


STRANGE = {
    "nothing": (b"", "the file is empty"),
    "a list": (b"- a\n", "has to be a mapping"),
    "no YAML": (b"a: [b\n", "no proper YAML"),
    "two documents": (b"--- {a: 1}\n--- {b: 2}\n", "no proper YAML"),
    "no UTF-8": (b"a: b\nname: caf\xe9\n", "not UTF-8"),
    "a NUL byte": (b"a: b\nname: \0\n", "cannot stand in YAML"),
    "an alias": (b"a: &x [1]\nb: *x\n", "anchors and aliases"),
    "too deep": (b"a: " + b"[" * 500 + b"]" * 500, "nested deeper"),
    "much too deep": (b"a: " + b"[" * 30_000, "nested deeper"),
    "too large": (b"# " + b"x" * 70_000, "larger than 65,536 bytes"),
    "a key that is a mapping": (b"? {a: 1}\n: 2\n", "has to be one value"),
}


@pytest.mark.parametrize("case", STRANGE.values(), ids=STRANGE.keys())
def test_refuses_what_is_no_scenario(tmp_path: Path, case: tuple[bytes, str]) -> None:
    content, words = case
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load(path)
    assert words in caught.value.why
    assert caught.value.why.startswith("line ")


def test_the_line_of_what_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    for content in (b"a: b\nname: caf\xe9\n", b"a: b\nname: \0\n"):
        path.write_bytes(content)
        with pytest.raises(ScenarioError) as caught:
            load(path)
        assert caught.value.mistakes[0].line == 2


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PitrError) as caught:
        load(tmp_path / "none.yaml")
    assert "No such file" in caught.value.why
    with pytest.raises(PitrError):
        load(tmp_path)


# What comes with pitr.


def test_all_scenarios_are_there_in_order() -> None:
    built_in = scenario_file.built_in()
    assert tuple(one.name for one in built_in) == scenario_file.TEACHING_ORDER
    assert len(built_in) == 19
    directory = Path(scenario_file.__file__).parent / "scenarios"
    assert {path.stem for path in directory.iterdir()} == set(scenario_file.TEACHING_ORDER)
    assert built_in[0].difficulty is Difficulty.EASY


@pytest.mark.parametrize("name", scenario_file.TEACHING_ORDER)
def test_a_story_gives_nothing_away(name: str) -> None:
    scenario = scenario_file.find(name)
    assert scenario.since is None
    assert len(scenario.story) < 420
    story = scenario.story.lower()
    assert "{xid" not in story
    for word in ("--target", "lsn", "suspect", "restore_command", "recovery target"):
        assert word not in story
    lengths = [len(hint) for hint in scenario.hints]
    assert len(lengths) == 3
    assert max(lengths) < 300


def test_find_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own = scenario_file.own_directory()
    assert scenario_file.own() == ()
    own.mkdir(parents=True)
    (own / "lost-prices.yaml").write_text(GOOD, encoding="utf-8")
    (own / "broken.yaml").write_text("name: 1", encoding="utf-8")
    (own / "notes.txt").write_text("nothing", encoding="utf-8")
    assert [one.name for one in scenario_file.own()] == ["lost-prices"]
    assert scenario_file.find("lost-prices").title == "All prices are lost"
    assert scenario_file.find(str(own / "lost-prices.yaml")).name == "lost-prices"
    assert scenario_file.find("dropped-table").name == "dropped-table"
    with pytest.raises(ScenarioError):
        scenario_file.find("broken")
    with pytest.raises(UsageError, match="there is no scenario 'dropped'") as caught:
        scenario_file.find("dropped")
    assert "lost-prices" in caught.value.why


def test_an_own_scenario_goes_by_the_name_in_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own = scenario_file.own_directory()
    own.mkdir(parents=True)
    other = GOOD.replace("name: lost-prices", "name: second").replace("All prices", "Nothing")
    (own / "mine.yaml").write_text(GOOD, encoding="utf-8")
    (own / "lost-prices.yaml").write_text(other, encoding="utf-8")
    (own / "broken.yaml").write_text("name: 1", encoding="utf-8")
    assert [one.name for one in scenario_file.own()] == ["second", "lost-prices"]
    assert scenario_file.find("lost-prices").title == "All prices are lost"
    assert scenario_file.find("second").title == "Nothing are lost"
    assert scenario_file.find("mine").name == "lost-prices"
    (broken,) = scenario_file.own_broken().items()
    assert broken[0] == own / "broken.yaml"
    assert "needs title" in broken[1].why
    with pytest.raises(UsageError) as caught:
        scenario_file.find("third")
    assert "second, lost-prices\n" in caught.value.why
    assert f"{own / 'broken.yaml'} is not right" in caught.value.why


# The names in braces.


def test_an_unknown_name_is_never_filled_in() -> None:
    known = Known({"archive": "/a"}, {}, {})
    assert fill("in {archive}", known) == "in /a"
    for text in ("{time noted}", "{xid noted}", "{backups}", "{what}", "}"):
        with pytest.raises(UsageError):
            fill(text, known)


def test_every_mistake_of_a_text_is_told() -> None:
    told = list(mistakes("{time a} {xid b} {c} { {time x in Mars}", ["x"], ["y"]))
    assert len(told) == 5
