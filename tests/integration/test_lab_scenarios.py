"""Every scenario of the lab, played by somebody who sees only what a trainee sees."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pitr_tui.lab import record
from pitr_tui.lab.scenario_file import find
from tests.integration.conftest import installed
from tests.integration.lab_player import Fact, RefusedAsTold, Trainee, only, pitr

pytestmark = pytest.mark.integration

Play = Callable[[Trainee], None]


@contextmanager
def lab(scenario: str, major: str = "18", *more: str) -> Iterator[Trainee]:
    installed(major)  # or a skip that says what is missing
    trainee = Trainee.begins(scenario, major, *more)
    try:
        yield trainee
    finally:
        trainee.ends()


# How a trainee does it who has understood the story.


def wrong_rows(one: Trainee) -> None:
    """The clock is in the story."""
    noted = re.search(r"it was (\S+ \S+ UTC)", one.told["story"])
    assert noted is not None
    one.recover(one.oldest_backup(), "--target-time", noted[1])


def dropped_table(one: Trainee) -> None:
    one.recover_before(one.suspect("drop table", "shop.orders"))


def truncated_table(one: Trainee) -> None:
    one.recover_before(one.suspect("truncate", "shop.order_lines"))


def update_without_where(one: Trainee) -> None:
    one.recover_before(one.suspect("mass update", "shop.products"))


def deleted_part(one: Trainee) -> None:
    one.recover_before(one.suspect("mass delete", "shop.order_lines"))


def failed_deployment(one: Trainee) -> None:
    """The first transaction that changes the catalogue, not the big UPDATE behind it."""
    mass = one.suspect("mass update", "shop.orders")
    listed = one.transactions()
    first = next(
        each
        for each in listed
        if any(
            change["name"] == "pg_catalog.pg_attribute" and change["inserted"]
            for change in each["relations"]
        )
    )
    order = [each["xid"] for each in listed]
    assert order.index(first["xid"]) < order.index(mass["xid"])
    one.recover(one.oldest_backup(), "--target-xid", first["xid"], "--exclusive")


def dropped_database(one: Trainee) -> None:
    one.recover_before(one.suspect("drop database"))


def keep_later_rows(one: Trainee) -> None:
    """A copy is recovered; the one table is brought home from it."""
    one.recover_before(one.suspect("drop table", "shop.order_lines"))
    (run,) = one.runs
    one.promote(run)  # it holds the lock of the drop as long as it is paused
    lines = one.dump(one.connection(run), "shop.order_lines")
    one.psql(one.primary_connection(), lines)


def disk_gone(one: Trainee) -> None:
    one.recover(one.oldest_backup(), "--latest")


def last_segment(one: Trainee) -> None:
    """The story says that the archive ends too early: the dead server's files have the rest."""
    joined = one.told["directory"] + "/joined"
    data = one.told["primary"]["data"]
    pitr("archive", "collect", "--from", data, "--with", one.archive, "--to", joined)
    one.archive = joined
    one.recover_before(one.suspect("mass delete", "shop.order_lines"))


def missing_segment(one: Trainee) -> None:
    """The coverage tells from which backup the WAL leads there."""
    one.recover_before(one.suspect("mass update", "shop.products"))


def corrupt_segment(one: Trainee) -> None:
    """The check says how far one gets, instead of to the accident."""
    backup = one.oldest_backup()
    told = pitr("check", *one.sources(backup), "--latest", allow=(0, 1, 3))
    instead = only(told, "Verdict")["alternative"]
    assert instead is not None
    one.recover(backup, *_options(instead))


def _options(settings: Fact) -> list[str]:
    """The settings of a target, as the options that are called like them."""
    words = []
    for name, value in settings.items():
        if name == "recovery_target_inclusive":
            words += ["--exclusive"] if value == "off" else []
        else:
            words += [f"--{name.removeprefix('recovery_').replace('_', '-')}", value]
    return words


def broken_backup(one: Trainee) -> None:
    """The listing tells which one is broken, and the coverage does not offer it."""
    one.recover_before(one.suspect("mass delete", "shop.audit"))


def backup_too_new(one: Trainee) -> None:
    one.recover_before(one.suspect("mass update", "shop.customers"))


def stray_timeline(one: Trainee) -> None:
    """The newest branch is the test server's; the shop's is the backup's own."""
    one.recover_before(one.suspect("mass update", "shop.orders", timeline=1))


def other_zone(one: Trainee) -> None:
    told = re.search(r"right after (\S+ \S+) on our clock", one.told["story"])
    assert told is not None
    one.recover(one.oldest_backup(), "--target-time", told[1], "--zone", "Asia/Tokyo")


def idle_server(one: Trainee) -> None:
    one.recover(one.oldest_backup(), "--latest")


def raised_connections(one: Trainee) -> None:
    one.recover_before(one.suspect("mass update", "shop.customers"))


def tablespace(one: Trainee) -> None:
    one.recover_before(one.suspect("truncate", "shop.order_lines"))


PLAYS: tuple[Play, ...] = (
    wrong_rows,
    dropped_table,
    truncated_table,
    update_without_where,
    deleted_part,
    failed_deployment,
    dropped_database,
    keep_later_rows,
    disk_gone,
    last_segment,
    missing_segment,
    corrupt_segment,
    broken_backup,
    backup_too_new,
    stray_timeline,
    other_zone,
    idle_server,
    raised_connections,
    tablespace,
)
OFTEN = (keep_later_rows,)  # dropped_table is played below
FIRST_TEN = PLAYS[:10]


def _all() -> Iterator[object]:
    """Each on 18, the first ten on older majors; most of them not in every run of the tests."""
    for play in PLAYS:
        marks = () if play in OFTEN else (pytest.mark.matrix,)
        yield pytest.param(play, "18", marks=marks, id=f"{_name(play)}-18")
    for major in ("11", "13", "15"):
        for play in FIRST_TEN:
            yield pytest.param(play, major, marks=pytest.mark.matrix, id=f"{_name(play)}-{major}")


def _name(play: Play) -> str:
    return play.__name__.replace("_", "-")


@pytest.mark.parametrize(("play", "major"), list(_all()))
def test_who_does_it_right_has_full_marks(play: Play, major: str) -> None:
    with lab(_name(play), major) as trainee:
        play(trainee)
        score = trainee.score()
    assert score["marks"] == 100, score["sentence"]
    assert (score["lost"], score["wrong"]) == ([], [])
    assert (score["scenario"], score["hints"], score["attempts"]) == (_name(play), 0, 0)


def test_every_scenario_is_played() -> None:
    listed = [one["name"] for one in pitr("lab") if one["event"] == "Scenario"]
    assert listed == [_name(play) for play in PLAYS]


# Wrong answers, and what they deserve.


def test_too_early_too_late_and_then_right() -> None:
    with lab("dropped-table") as one:
        with pytest.raises(RefusedAsTold, match="nothing of this lab was recovered yet"):
            one.score()
        one.recover(one.oldest_backup(), "--immediate")
        early = one.score()
        assert early["marks"] < 50
        assert early["lost"]
        assert not early["wrong"]
        assert "too early" in early["sentence"]
        assert one.exit == 1

        one.recover(one.oldest_backup(), "--latest")
        late = one.score()
        assert late["missing_tables"] == ["shop.orders"]
        assert late["marks"] == 0
        assert late["attempts"] == 1
        assert one.exit == 1

        one.hint()
        dropped_table(one)
        right = one.score()
        assert (right["marks"], right["hints"], right["attempts"]) == (100, 1, 2)
        assert right["after_answer"]
        assert one.exit == 0
        assert one.score(one.runs[0])["marks"] == early["marks"]


@pytest.mark.matrix
def test_rows_that_nobody_ordered_cost_marks() -> None:
    """Those of the accident, and one that the trainee changed by hand."""
    with lab("wrong-rows") as one:
        one.recover(one.oldest_backup(), "--latest")
        late = one.score()
        assert late["marks"] == 0
        assert not late["lost"]
        imported = [row for row in late["wrong"] if "IMP-" in row["found"]]
        assert len(imported) == 300
        assert "the partner's import" in imported[0]["why"]

        wrong_rows(one)
        assert one.score()["marks"] == 100
        run = one.runs[-1]
        one.promote(run)
        first = "(SELECT min(id) FROM shop.orders)"
        one.psql(one.connection(run), f"UPDATE shop.orders SET total = 0.01 WHERE id = {first}")
        typed = one.score(run)
        assert typed["marks"] == 99
        assert [row["table"] for row in typed["wrong"]] == ["shop.orders"]


@pytest.mark.matrix
def test_the_wrong_branch_has_somebody_elses_rows() -> None:
    with lab("stray-timeline") as one:
        one.recover(one.oldest_backup(), "--latest", "--timeline", "2")
        score = one.score()
    assert score["marks"] < 60
    assert [row for row in score["wrong"] if "TRIAL-" in row["found"]]
    assert score["lost"]


@pytest.mark.matrix
def test_the_archive_alone_ends_before_the_last_segment() -> None:
    with lab("last-segment") as one:
        one.recover(one.oldest_backup(), "--latest")
        score = one.score()
    assert score["lost"]
    assert not score["wrong"]
    assert score["marks"] < 90


@pytest.mark.matrix
def test_a_primary_that_nobody_mended_lacks_its_table() -> None:
    with lab("keep-later-rows") as one:
        score = one.score()
        assert score["missing_tables"] == ["shop.order_lines"]
        assert score["marks"] == 0


@pytest.mark.matrix
def test_half_a_release_is_left_behind_by_who_stops_before_the_update() -> None:
    with lab("failed-deployment") as one:
        one.recover_before(one.suspect("mass update", "shop.orders"))
        score = one.score()
    assert score["marks"] < 50
    assert score["wrong"]


@pytest.mark.matrix
def test_the_shop_goes_on_while_its_table_comes_home() -> None:
    """Payments that come in during the recovery are on the primary, and cost nothing."""
    with lab("keep-later-rows", "18", "--rate", "20") as one:
        keep_later_rows(one)
        status = only(pitr("lab", "status"), "LabStatus")
        assert status["works"]
        score = one.score()
    assert score["marks"] == 100, score["sentence"]


@pytest.mark.matrix
def test_a_lab_is_begun_again_looked_at_exported_and_listed(tmp_path: Path) -> None:
    with lab("update-without-where") as one:
        first = one.oldest_backup()
        one.hint()
        again = only(pitr("lab", "reset"), "LabStarted")
        assert (again["seed"], again["directory"]) == (one.told["seed"], one.told["directory"])
        assert one.oldest_backup() == first
        status = only(pitr("lab", "status"), "LabStatus")
        assert (status["lab"], status["hints"], status["runs"]) == (again["lab"], [], [])
        update_without_where(one)
        assert one.score()["marks"] == 100
    exported = only(pitr("lab", "export", "--name", "Ada", "--to", tmp_path / "a.gz"), "Exported")
    assert exported["lab"] == again["lab"]
    with pytest.raises(RefusedAsTold, match="exists already"):
        pitr("lab", "export", "--name", "Ada", "--to", tmp_path / "a.gz")
    with pytest.raises(RefusedAsTold, match="no lab is running"):
        pitr("lab", "status")
    (tmp_path / "b.gz").write_bytes((tmp_path / "a.gz").read_bytes()[:-40])
    listed = pitr("lab", "class", tmp_path / "a.gz", tmp_path / "b.gz", allow=(1,))
    told = {row["file"]: (row["marks"], bool(row["problem"])) for row in listed}
    assert told == {"a.gz": (100, False), "b.gz": (None, True)}


# An instructor, who has the file.


@pytest.mark.matrix
def test_a_file_that_is_tried_is_played_and_leaves_nothing(tmp_path: Path) -> None:
    installed("18")
    path = tmp_path / "mine.yaml"
    path.write_text(find("dropped-table").text)
    try:
        valid = only(pitr("lab", "validate", path, "--play"), "Valid")
        assert valid["name"] == "dropped-table"
        assert "gone very quiet" in valid["story"]
        assert record.current() is None
        (lab,) = record.all_labs()  # its record is kept, as of each that was played
        assert not lab.directory.exists()
        assert not lab.server.is_running()
    finally:
        if record.current() is not None:
            pitr("lab", "stop")
