"""The lessons: each part of each step for each version, and true to the plan at hand."""

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pitr_tui import cli
from pitr_tui.errors import RefusedError, UsageError
from pitr_tui.postgres.conf import read_settings
from pitr_tui.postgres.lsn import Lsn, TimelineId
from pitr_tui.postgres.target import AtLsn, AtName, AtTime, AtXid, Immediate, Latest, RecoveryTarget
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.recovery.archiving import ArchivingChange, ArchivingStatus
from pitr_tui.recovery.plan import RecoveryPlan
from pitr_tui.recovery.teaching import STEPS, Behind, Kind, Lesson, Seen, lesson, lessons
from pitr_tui.servers.primary import ArchiverStatus, PrimaryFacts, Setting
from tests.unit.made import backup_value, make_plan

MAJORS = ("9.6", "10", "11", "12", "13", "14", "15", "16", "17", "18")
OLD, NEW = MAJORS[:3], MAJORS[3:]
NOW = datetime(2026, 11, 22, 18, 24, 30, tzinfo=UTC)
TARGETS: list[RecoveryTarget] = [
    Latest(),
    Immediate(),
    AtTime(NOW),
    AtXid(728, inclusive=False),
    AtName("it's 100 %"),
]
LONGEST = 640  # letters of a paragraph: nine rows of a small terminal
# A term, and what a person is told of it before or where it first comes.
EXPLAINED = {
    "WAL": "write-ahead log",
    "LSN": "position in the WAL",
    "segment": "files of",
    "timeline": "branch of",
    "restore point": "a name",
    "base backup": "copy of all",
    "system identifier": "draws a number",
    "replication slot": "promise to keep",
    "promote": "to open it for writing",
}


def version_of(major: str) -> PostgresVersion:
    return PostgresVersion.parse(major)


def prose(told: Lesson) -> str:
    return " ".join((*told.what, *told.why, *told.without, *(one.meaning for one in told.behind)))


def names(told: Lesson, kind: Kind) -> set[str]:
    return {one.name for one in told.behind if one.kind is kind}


def settings(told: Lesson) -> dict[str, str]:
    return {one.name: one.value for one in told.behind if one.kind is Kind.SETTING}


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("step", STEPS)
def test_each_step_has_every_part_in_each_version(step: str, major: str) -> None:
    told = lesson(step, version_of(major))
    assert told.step == step
    assert told.title
    assert told.source.endswith(".")
    for texts in (told.what, told.why, told.without):
        assert texts
        for text in texts:
            assert text.endswith((".", "postgresql://...", '"latest".', ".)"))
            assert text == " ".join(text.split())
            assert 20 < len(text) <= LONGEST
    assert told.behind
    assert all(one.name and one.meaning and one.meaning[-1] != "." for one in told.behind)
    assert told.manual
    assert told.headless
    assert {Kind.SETTING, Kind.FILE, Kind.COMMAND, Kind.FUNCTION} >= {
        one.kind for one in told.behind
    } - {Kind.VIEW}


def test_the_lessons_are_those_of_the_wizards_steps() -> None:
    from pitr_tui.tui.session import WizardStep
    from pitr_tui.tui.widgets.stepper import TITLES

    assert tuple(WizardStep) == STEPS
    for step, told in lessons().items():
        assert told.title.startswith(f"{TITLES[step]}: ")
        assert told == lesson(step)


@pytest.mark.parametrize("term", EXPLAINED)
@pytest.mark.parametrize("major", ["9.6", "18"])
def test_a_term_is_explained_in_the_first_lesson_that_uses_it(major: str, term: str) -> None:
    every = [f"{told.title} {prose(told)}" for told in lessons(version_of(major)).values()]
    uses = [bool(re.search(rf"\b{term}", text)) for text in every]
    explains = [EXPLAINED[term] in text for text in every]
    assert True in explains
    assert explains.index(True) <= uses.index(True)


@pytest.mark.parametrize("step", STEPS)
def test_a_lesson_that_is_read_alone_says_what_wal_is(step: str) -> None:
    assert "write-ahead log" in prose(lesson(step))


@pytest.mark.parametrize("major", MAJORS)
def test_things_have_the_names_of_the_version(major: str) -> None:
    every = lessons(version_of(major))
    told = json.dumps([one.facts() for one in every.values()])
    plan = every["plan"]
    assert ("pg_xlog" in told) == (major == "9.6")
    assert ("pg_wal/" in told) == (major != "9.6")
    assert ("recovery.conf" in names(plan, Kind.FILE)) == (major in OLD)
    assert ("recovery.signal" in names(plan, Kind.FILE)) == (major in NEW)
    assert ("recovery.signal" in told) == (major in NEW)
    assert ("pg_backup_start" in told) == (major in ("15", "16", "17", "18"))
    assert ("pg_start_backup" in told) == (major not in ("15", "16", "17", "18"))
    assert ("backup_manifest" in told) == (major not in (*OLD, "12"))
    assert ("archive_library" in settings(every["archive"])) == (major in ("15", "16", "17", "18"))
    reached = " ".join(every["target"].without)
    assert ("in silence" in reached) == (major in (*OLD, "12"))


def test_the_functions_of_the_oldest_version_have_their_old_names() -> None:
    """No 9.6 can be asked everywhere; the newer ones are, in tests/integration."""
    every = lessons(version_of("9.6")).values()
    assert {name for told in every for name in names(told, Kind.FUNCTION)} == {
        *("pg_control_system", "pg_is_in_recovery", "clock_timestamp", "txid_current"),
        *("pg_create_restore_point", "pg_switch_xlog", "pg_start_backup", "pg_stop_backup"),
        *("pg_current_xlog_location", "pg_last_xlog_replay_location"),
        *("pg_last_xact_replay_timestamp", "pg_is_xlog_replay_paused", "pg_xlog_replay_resume"),
    }


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.kind)
def test_a_lesson_shows_what_the_plan_prints(
    tmp_path: Path, major: str, target: RecoveryTarget
) -> None:
    plan = make_plan(tmp_path, major, target)
    printed, told = plan.render(), lesson("plan", plan=plan)
    for one in told.behind:
        if one.kind is Kind.SETTING:
            assert f"\n{one.text}\n" in printed
        elif one.kind is Kind.FILE:
            assert f"{plan.secondary.data_directory}/{one.name}" in printed
        else:
            assert f"\n{one.value}\n" in printed
    assert settings(told) == written(plan)
    assert names(told, Kind.FILE) == {str(file.path) for file in plan.files()}


def written(plan: RecoveryPlan) -> dict[str, str]:
    """Every setting in the files of a plan."""
    found: dict[str, str] = {}
    for file in plan.files():
        if file.path.name in ("postgresql.auto.conf", "recovery.conf"):
            found |= read_settings(file.text)
    return found


def test_what_a_backup_brings_along_is_told_too(tmp_path: Path) -> None:
    backup = backup_value(
        tmp_path / "backup",
        "17",
        parameters={"max_connections": 300, "max_worker_processes": 8},
        preload={"shared_preload_libraries": ("pg_cron", "auto_explain")},
    )
    plan = make_plan(tmp_path, "17", backup=backup)
    told = settings(lesson("plan", plan=plan))
    assert told == written(plan)
    assert told["max_connections"] == "300"
    assert told["shared_preload_libraries"] == '"auto_explain"'


@pytest.mark.parametrize("step", ["target", "recover"])
@pytest.mark.parametrize("major", ["11", "18"])
def test_the_target_is_the_one_of_the_plan(tmp_path: Path, major: str, step: str) -> None:
    plan = make_plan(tmp_path, major, AtXid(728, inclusive=False))
    told = lesson(step, plan=plan)
    mine = {name: value for name, value in plan.recovery_settings().items() if value}
    if step == "target":
        del mine["restore_command"]
    assert settings(told) == mine
    assert settings(told)["recovery_target_xid"] == "728"
    assert "your plan" in told.source


@pytest.mark.parametrize(
    ("inclusive", "value", "meaning"),
    [
        (True, "on", "on: stop just after the target, so that it is kept"),
        (False, "off", "off: stop just before the target, so that it is left out"),
    ],
)
def test_which_side_of_the_target_is_said_as_it_is_set(
    tmp_path: Path, inclusive: bool, value: str, meaning: str
) -> None:
    plan = make_plan(tmp_path, "18", AtXid(728, inclusive=inclusive))
    for step in ("target", "plan"):
        behind = {one.name: one for one in lesson(step, plan=plan).behind}
        told = behind["recovery_target_inclusive"]
        assert (told.value, told.meaning) == (value, meaning)


@pytest.mark.parametrize("major", MAJORS)
def test_a_timeline_that_is_left_out_means_what_it_means_in_the_version(major: str) -> None:
    """src/backend/access/transam/xlog.c: the default is latest since version 12."""
    told = " ".join(lesson("target", version_of(major)).without)
    left_out = "recovery_target_timeline left out means"
    assert (f"{left_out} the branch of the backup" in told) == (major in OLD)
    assert (f"{left_out} latest" in told) == (major in NEW)


def test_without_a_plan_the_chosen_target_is_shown() -> None:
    seen = Seen(target=AtLsn(Lsn.parse("0/3002448"), inclusive=False))
    told = lesson("target", version_of("14"), seen=seen)
    assert settings(told)["recovery_target_lsn"] == "0/3002448"
    assert "There is no plan to show yet" in told.source
    assert "the target that you chose" in told.source
    assert settings(lesson("target", version_of("14")))["recovery_target_xid"] == "4711"


def test_without_a_plan_everything_may_be_latest() -> None:
    told = lesson("plan", version_of("18"), seen=Seen(target=Latest()))
    assert "recovery_target_action" not in settings(told)
    assert settings(told)["recovery_target_xid"] == ""


FACTS = PrimaryFacts(
    version=PostgresVersion.parse("15.18"),
    system_identifier=7711009236814082698,
    in_recovery=False,
    clock=NOW,
    time_zone="Europe/Berlin",
    segment_size=1 << 20,
    data_directory=Path("/srv/pg/primary"),
    superuser=True,
    timeline=TimelineId(1),
    total_bytes=120 << 20,
)


def archiving() -> ArchivingStatus:
    """A primary that archives nothing yet."""
    values = {
        "archive_mode": "off",
        "archive_command": "(disabled)",
        "archive_library": "",
        "archive_timeout": "0",
        "wal_level": "replica",
        "max_wal_senders": "7",
    }
    return ArchivingStatus(
        FACTS,
        {
            name: Setting(name, value, "", "default", "", "", False)
            for name, value in values.items()
        },
        ArchiverStatus(3, "000000010000000000000007", NOW, 0, None, None),
    )


def test_the_archives_lesson_shows_the_proposal() -> None:
    change = ArchivingChange(
        settings={"archive_mode": "on", "archive_command": "cp %p /a/%f", "archive_timeout": "60"},
        replaced={"archive_mode": "off", "archive_command": "", "archive_timeout": "0"},
        diff="",
        restart=("archive_mode",),
        archive_directory=Path("/a"),
    )
    told = lesson("archive", seen=Seen(facts=FACTS, archiving=archiving(), change=change))
    assert told.version == FACTS.version
    assert settings(told) == {
        "wal_level": "replica",
        "archive_mode": "on",
        "archive_command": "cp %p /a/%f",
        "archive_timeout": "60",
        "max_wal_senders": "7",
        "archive_library": "",
    }
    notes = {one.name: one.note for one in told.behind if one.note}
    assert notes == {
        "archive_mode": "now off, needs a restart",
        "archive_command": "now empty",
        "archive_timeout": "now 0",
    }
    assert "1.0 MB" in told.what[1] or "1 MB" in told.what[1]
    assert (
        Behind(
            Kind.VIEW,
            "pg_stat_archiver",
            "last archived: 000000010000000000000007",
            "which segment was archived last, and which one failed",
        )
        in told.behind
    )


def test_the_first_lesson_shows_what_the_primary_answered() -> None:
    told = lesson("connect", seen=Seen(facts=FACTS))
    answers = {one.name: one.value for one in told.behind if one.kind is Kind.FUNCTION}
    assert answers["pg_control_system"] == "7711009236814082698"
    assert answers["pg_is_in_recovery"] == "no"
    assert settings(told) == {"TimeZone": "Europe/Berlin", "data_directory": "/srv/pg/primary"}
    assert "pg_switch_wal" in answers


def test_the_backups_lesson_shows_the_command_that_would_run() -> None:
    told = lesson(
        "backups", seen=Seen(backups="/srv/b", backup_command="pg_basebackup -D /srv/b/1")
    )
    assert any(one.value == "pg_basebackup -D /srv/b/1" for one in told.behind)
    assert "pitr backup list /srv/b --json" in told.headless


@pytest.mark.parametrize("major", MAJORS)
def test_the_manual_is_the_one_of_the_major(major: str) -> None:
    pages = {
        one.url: one.title for told in lessons(version_of(major)).values() for one in told.manual
    }
    start = f"https://www.postgresql.org/docs/{major}/"
    assert all(
        re.fullmatch(rf"{re.escape(start)}[a-z0-9-]+\.html(#[A-Z-]+)?", one) for one in pages
    )
    assert f"{start}continuous-archiving.html#BACKUP-PITR-RECOVERY" in pages
    settings_page = f"{start}runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET"
    assert (f"{start}recovery-target-settings.html" in pages) == (major in OLD)
    assert (settings_page in pages) == (major in NEW)
    assert (f"{start}app-pgverifybackup.html" in pages) == (major not in (*OLD, "12"))
    assert (f"{start}pgxlogdump.html" in pages) == (major == "9.6")
    assert (f"{start}app-pgreceivewal.html" in pages) == (major != "9.6")


_WAL = "runtime-config-wal.html#RUNTIME-CONFIG-WAL"
_IN_RECOVERY_CONF = ("recovery-target-settings.html", "archive-recovery-settings.html")
_IN_THE_CONFIGURATION = (f"{_WAL}-RECOVERY-TARGET", f"{_WAL}-ARCHIVE-RECOVERY")


@pytest.mark.parametrize(
    ("major", "target", "restore"),
    [
        ("9.6", *_IN_RECOVERY_CONF),
        ("10", *_IN_RECOVERY_CONF),
        ("11", *_IN_RECOVERY_CONF),
        ("12", *_IN_THE_CONFIGURATION),
        ("13", *_IN_THE_CONFIGURATION),
        ("18", *_IN_THE_CONFIGURATION),
    ],
)
def test_settings_are_where_the_manual_of_the_major_has_them(
    major: str, target: str, restore: str
) -> None:
    """recovery_target, restore_command and archive_command, each in the lessons that set it."""
    every = lessons(version_of(major))
    start = f"https://www.postgresql.org/docs/{major}/"

    def of(step: str) -> list[str]:
        return [one.url.removeprefix(start) for one in every[step].manual]

    for step in ("target", "plan"):
        assert target in of(step)
    for step in ("plan", "recover"):
        assert restore in of(step)
    assert f"{_WAL}-ARCHIVING" in of("archive")
    told = {page for step in STEPS for page in of(step)}
    assert not told & ({*_IN_RECOVERY_CONF, *_IN_THE_CONFIGURATION} - {target, restore})


@pytest.mark.parametrize("step", STEPS)
def test_the_commands_of_pitr_are_ones_that_it_knows(step: str) -> None:
    for command in lesson(step).headless:
        program, *arguments = shlex.split(command)
        assert program == "pitr"
        assert cli._parser().parse_args(arguments).command is not None


def test_a_step_or_a_version_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="there is no step 'lunch'"):
        lesson("lunch")
    with pytest.raises(RefusedError, match="9.5.0 is not supported"):
        lesson("plan", version_of("9.5"))


def test_teach_lists_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["teach"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[1] for row in rows if re.match(r" +\d ", row)] == list(STEPS)
    assert cli.main(["teach", "--json"]) == 0
    facts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["step"] for one in facts] == list(STEPS)


@pytest.mark.parametrize("called", ["plan", "check", "5"])
def test_teach_tells_a_lesson(called: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["teach", called, "--version", "11"]) == 0
    said = capsys.readouterr().out
    told = lesson("plan", version_of("11"))
    joined = " ".join(said.split())
    for text in (*told.what, *told.why, *told.without, *(one.meaning for one in told.behind)):
        assert " ".join(text.split()) in joined
    for line in (*(one.text for one in told.behind), *(one.url for one in told.manual)):
        assert line in said
    assert "recovery_target_xid = '4711'" in said
    assert "5 check: " in said.splitlines()[0]


def test_teach_tells_programs_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["teach", "target", "--version", "9.6", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    told = lesson("target", version_of("9.6"))
    assert json.loads(line) == {"event": "Lesson"} | json.loads(json.dumps(told.facts()))


def test_teach_refuses_what_it_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["teach", "lunch"]) == 2
    assert "connect, archive, backups" in capsys.readouterr().err
    assert cli.main(["teach", "plan", "--version", "8.4"]) == 3
    assert cli.main(["teach", "plan", "--version", "new"]) == 2
