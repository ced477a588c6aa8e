"""Every numbered scenario of the field-notes through pitr: what is broken, what comes of it.

After each one the backup, the archive and the primary are as before, no process is left, and
the destination is as before or the journal names it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from pitr_tui.cli.check import examine
from pitr_tui.cli.output import Output
from pitr_tui.errors import PitrError, RefusedError
from pitr_tui.postgres.lsn import TimelineId
from pitr_tui.postgres.target import AtLsn, AtTime, AtXid, Immediate, Latest, RecoveryTarget
from pitr_tui.recovery.aftercare import aftercare
from pitr_tui.recovery.checks import Light
from pitr_tui.recovery.events import RunFailed, Stamped, Status, StepStarted
from pitr_tui.recovery.fate import discard_run, promote_run
from pitr_tui.recovery.going_on import reached
from pitr_tui.recovery.journal import Journal
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.run import recover
from pitr_tui.recovery.runs import RunRecord, run_named
from pitr_tui.recovery.state import RunState, RunView
from pitr_tui.recovery.verdict import RecoveryFailedError
from pitr_tui.recovery.verify import server_state
from pitr_tui.repositories.backups import open_backup
from pitr_tui.servers.local import LocalServer
from tests.integration.bench import Bench, Failed, Judged, Reached, Scenario
from tests.integration.conftest import MAJORS, OLD_AND_NEW, installed
from tests.integration.damage import corrupt, remove
from tests.integration.scenarios import (
    DAMAGE,
    FETCHING,
    QUESTIONS,
    TARGETS,
    tricked,
    tricks_for,
)
from tests.integration.story import ALL, NOT_BROUGHT_BACK, Story, checksums, traces
from tests.integration.test_taking_up import changed, go_on, rows
from tests.local import local

pytestmark = pytest.mark.integration

_stories: dict[str, Story] = {}


@pytest.fixture(scope="module", autouse=True)
def _close_stories() -> Iterator[None]:
    """Byte by byte, what was only looked at is what it was."""
    yield
    for story in _stories.values():
        try:
            assert checksums(story.watched()) == story.seen
        finally:
            story.close()
    _stories.clear()


@pytest.fixture
def story(request: pytest.FixtureRequest) -> Story:
    major = request.param
    if major not in _stories:
        made = Story(installed(major))
        try:
            made.build()
        except BaseException:
            made.close()
            raise
        _stories[major] = made
    return _stories[major]


@pytest.fixture
def bench(story: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A scenario's copies; afterwards nothing else has changed, and nobody is left."""
    before, primary = traces(story.watched()), story.primary_state()
    bench = Bench(story, monkeypatch)
    try:
        yield bench
    finally:
        bench.clear()
    assert traces(story.watched()) == before
    assert story.primary_state() == primary
    assert story.is_idle()
    assert story.strangers() == {}
    assert not list(story.directory.glob("secondary-*"))


def rarely(*values: object) -> ParameterSet:
    return pytest.param(*values, marks=pytest.mark.matrix)


def on_all(*often: str) -> pytest.MarkDecorator:
    majors = [major if major in often else rarely(major) for major in MAJORS[1:]]
    return pytest.mark.parametrize("story", majors, indirect=True)


def cases(scenarios: tuple[Scenario, ...]) -> pytest.MarkDecorator:
    """Each scenario on each major, most of them rarely."""
    found = [
        pytest.param(
            major,
            one,
            id=f"{one.name}-{major}",
            marks=() if major in one.often.split() else pytest.mark.matrix,
        )
        for major in MAJORS[1:]
        for one in scenarios
    ]
    return pytest.mark.parametrize(("story", "scenario"), found, indirect=["story"])


def start(bench: Bench, plan: RecoveryPlan) -> RunView:
    """Recover, with what the bench does at its steps."""

    def hear(stamped: Stamped) -> None:
        if isinstance(stamped.event, StepStarted) and stamped.event.step in bench.at:
            bench.at[stamped.event.step](plan)

    journal = Journal.create(hear)
    try:
        return recover(plan, journal)
    finally:
        journal.close()


def check_reached(plan: RecoveryPlan, view: RunView, wanted: Reached) -> None:
    """The run says that it is there, and so do the server and its data."""
    assert view.finished is not None
    assert wanted.words in view.finished.headline
    assert view.state is wanted.state
    if wanted.state is RunState.SHUT_DOWN:
        assert not plan.secondary.is_running()
        return
    assert rows(plan) == wanted.rows
    state = server_state(plan.secondary.database, plan.version)
    assert (state.in_recovery, state.paused) == (wanted.state is RunState.PAUSED,) * 2


def check_failed(plan: RecoveryPlan, error: PitrError, wanted: Failed) -> RunRecord:
    """The run has failed for this reason, and tells what it left."""
    assert wanted.words in str(error)
    assert isinstance(error, RecoveryFailedError)
    assert error.failure == wanted.failure
    record = run_named("last")
    view = record.view()
    failed = view.failed
    assert isinstance(failed, RunFailed)
    assert view.finished is None
    assert (failed.failure, failed.kept) == (wanted.failure, wanted.kept)
    place = local(plan).directory
    assert not plan.secondary.is_running()
    if failed.kept:
        assert str(place) in failed.left
        assert f"pitr resume {record.name}" in failed.left
        assert (place / "PG_VERSION").exists()
    else:
        assert failed.left == f"nothing: {place} is as it was before"
        assert not place.exists()
    return record


def check_judged(plan: RecoveryPlan, wanted: Judged) -> None:
    _, judgement = examine(plan, Output(as_json=True), quick=False)
    said = [one for one in judgement.checks if one.name == wanted.check]
    assert judgement.light is wanted.light, judgement.sentence
    assert wanted.words in " ".join(one.evidence for one in said)


def perform(bench: Bench, plan: RecoveryPlan, wanted: Reached | Failed) -> None:
    """Recover as planned, and once the cause is mended go on, where that is promised."""
    with ExitStack() as stack:
        stack.callback(plan.secondary.throw_away)
        if isinstance(wanted, Reached):
            check_reached(plan, start(bench, plan), wanted)
            return
        with pytest.raises(PitrError) as raised:
            start(bench, plan)
        record = check_failed(plan, raised.value, wanted)
        if wanted.then is not None:
            plan = bench.mend(plan)
            go_on(record, plan)
            assert rows(plan) == wanted.then
        elif wanted.kept:
            discard_run(record, plan.secondary)
            assert not local(plan).directory.exists()


def play(story: Story, bench: Bench, scenario: Scenario) -> None:
    plan = scenario.make(story, bench)
    wanted = scenario.comes
    if scenario.silently and not story.installation.version.fails_when_target_unreached:
        wanted = scenario.silently
    if scenario.judged is not None:
        check_judged(plan, scenario.judged)
    perform(bench, plan, wanted)


@cases(TARGETS)
def test_each_target_in_a_copy_of_its_own(story: Story, bench: Bench, scenario: Scenario) -> None:
    play(story, bench, scenario)


@cases(QUESTIONS)
def test_what_was_asked_for_cannot_be_had(story: Story, bench: Bench, scenario: Scenario) -> None:
    play(story, bench, scenario)


@cases(DAMAGE)
def test_a_damaged_archive(story: Story, bench: Bench, scenario: Scenario) -> None:
    play(story, bench, scenario)


@cases(FETCHING)
def test_fetching_breaks_down(story: Story, bench: Bench, scenario: Scenario) -> None:
    play(story, bench, scenario)


@on_all("11")
def test_one_copy_steps_through_all_targets(story: Story, bench: Bench) -> None:
    """55: each target is later than the one before; 56: none that is earlier."""
    marks, exact = story.marks, story.exact
    way: list[tuple[RecoveryTarget, list[int]]] = [
        (Immediate(), [1]),
        (AtXid(marks[2].xid, inclusive=False), [1]),
        (AtTime(marks[2].time), [1, 2]),
        (AtLsn(marks[3].lsn, inclusive=False), [1, 2, 3]),
        (AtTime(exact[5], inclusive=False), ALL[:4]),
        (AtTime(exact[5]), ALL[:5]),
        (AtXid((1 << 32) + marks[6].xid), ALL),
    ]
    plan = story.raised(story.plan(way[0][0]))
    with ExitStack() as stack:
        stack.callback(plan.secondary.throw_away)
        start(bench, plan)
        record = run_named("last")
        assert rows(plan) == way[0][1]
        for target, wanted in way[1:]:
            plan = changed(plan, target)
            view = go_on(record, plan)
            assert (view.state, rows(plan)) == (RunState.PAUSED, wanted), str(target)
        back = changed(plan, AtXid(marks[5].xid))
        _, judgement = examine(
            back, Output(as_json=True), quick=False, reached=reached(plan, record.view())
        )
        assert "later: the target lies at" in judgement.sentence
        with pytest.raises(PitrError) as raised:
            go_on(record, back)
        assert isinstance(raised.value, RecoveryFailedError)
        assert raised.value.failure == "TOO_EARLY"
        failed = record.view().failed
        assert failed is not None
        assert failed.kept
        assert go_on(record, plan).state is RunState.PAUSED
        assert rows(plan) == ALL


@on_all(*OLD_AND_NEW)
def test_tricks_of_the_copied_configuration(story: Story, bench: Bench) -> None:
    """15 to 18, 27 to 33 and 38, all at once; 02: it is opened by hand; 34: it archives nothing."""
    names = tricks_for(story.installation.version.major_number // 100)
    play_tricks(story, bench, names)


@on_all()
def test_tricks_one_at_a_time(story: Story, bench: Bench) -> None:
    for name in tricks_for(story.installation.version.major_number // 100):
        play_tricks(story, bench, [name])


def play_tricks(story: Story, bench: Bench, names: list[str]) -> None:
    plan = tricked(story, bench, names)
    with ExitStack() as stack:
        stack.callback(plan.secondary.throw_away)
        view = start(bench, plan)
        check_reached(plan, view, Reached([1, 2, 3], "recovered up to"))
        assert not any("started streaming" in line for line in plan.secondary.log_tail())
        record = run_named("last")
        promote_run(record, plan.secondary)
        sql = plan.secondary.database.rows
        sql("INSERT INTO t VALUES (1000)")
        sql(f"SELECT {plan.version.switch_wal_function}()")
        sql("CHECKPOINT")
        assert rows(plan) == [1, 2, 3, 1000]
        assert record.view().promoted is not None


@on_all("18")
def test_what_a_whole_recovery_does_not_bring_back(story: Story, bench: Bench) -> None:
    """58 P41: an unlogged table is empty, a sequence is ahead; both are told. P17, P39 too."""
    plan = story.raised(story.plan(Latest()))
    with ExitStack() as stack:
        stack.callback(plan.secondary.throw_away)
        check_reached(plan, start(bench, plan), Reached(ALL, "end of", RunState.PROMOTED))
        assert story.server.database.row(NOT_BROUGHT_BACK) == (10, 1)
        assert plan.secondary.database.row(NOT_BROUGHT_BACK) == (0, 33)
        told = {check.name: check for check in aftercare(plan.secondary)}
        assert "fleeting" in told["unlogged tables"].evidence
        assert "numbers" in told["sequences"].evidence
        assert told["base backup"].status is Status.WARNING
        assert told["archiving"].status is Status.WARNING


@on_all(*OLD_AND_NEW)
def test_a_timeline_that_nobody_has_seen(story: Story, bench: Bench) -> None:
    """30: it is refused, and where nobody asked first nothing is begun."""
    plan = replace(story.plan(Latest()), timeline=TimelineId(9))
    check_judged(plan, Judged(Light.RED, "timeline", "00000009.history"))
    with pytest.raises(PitrError, match=r"00000009\.history"):
        start(bench, plan)
    assert not local(plan).directory.exists()


@on_all(*OLD_AND_NEW)
def test_a_backup_without_its_label_is_no_backup(story: Story, bench: Bench) -> None:
    """19: PostgreSQL would look for another checkpoint, and may find one."""
    backup = bench.backup()
    (backup / "backup_label").unlink()
    with pytest.raises(RefusedError, match="backup_label"):
        open_backup(backup, story.archive)


def outcome(server: LocalServer) -> str:
    """How a server that somebody set up by hand ended: open with its rows, or its last words."""
    server.start()
    try:
        server.wait_until_open()
        server.wait_until_writable()
        found = [row[0] for row in server.database.rows("SELECT id FROM t ORDER BY id")]
        return f"open with {found}"
    except PitrError as error:
        return f"{error.why}\n{server.log_path.read_text()}"
    finally:
        server.stop()


TRAPS: dict[str, tuple[Callable[[Path, Story], None], str, list[int]]] = {
    "12 and 13: a target that is never met": (lambda archive, story: None, "never set", ALL),
    "23: a corrupt record before the target": (corrupt, "never set", [1, 2]),
    "21: a missing segment before the target": (remove(3), "never set", [1]),
    "51: a missing segment, no target": (remove(3), "", [1]),
    "51: a corrupt record, no target": (corrupt, "", [1, 2]),
}


@on_all()
@pytest.mark.parametrize("trap", TRAPS)
def test_plain_postgresql_opens_all_the_same(story: Story, bench: Bench, trap: str) -> None:
    """What pitr calls a failure above, said by nobody: up to 12 always, later without a target."""
    damage, target, left = TRAPS[trap]
    archive = bench.archive()
    damage(archive, story)
    version = story.installation.version
    settings = {"recovery_target_name": target} if target else {}
    if not version.uses_recovery_conf:
        settings["recovery_target_timeline"] = "current"
    server = story.plain_server(story.backup_path, archive, settings)
    try:
        ended = outcome(server)
    finally:
        shutil.rmtree(server.data_directory)
    if target and version.fails_when_target_unreached:
        assert "recovery ended before configured recovery target was reached" in ended
    else:
        assert ended == f"open with {left}"
