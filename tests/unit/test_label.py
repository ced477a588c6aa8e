"""Labels, backup history files and manifests: real ones of six majors, and damaged ones."""

import json

import pytest

from pitr_tui.errors import PitrError
from pitr_tui.postgres.label import BackupLabel, BackupManifest
from pitr_tui.postgres.lsn import Lsn, TimelineId
from tests.unit.made import LOG_MAJORS, SERVER_LOGS, label_text

# Major, checkpoint, end of the backup, its start and its end by the clock.
REAL = [
    ("9.6", "0/2000060", "0/20000F8", "14:46:02", "14:46:02"),
    ("10", "0/2000060", "0/20000F8", "14:45:59", "14:46:00"),
    ("12", "0/2000060", "0/2000100", "14:48:07", "14:48:07"),
    ("13", "0/2000060", "0/2000100", "14:50:05", "14:50:06"),
    ("15", "0/2000060", "0/2000100", "14:43:40", "14:43:41"),
    ("18", "0/2000080", "0/2000120", "14:54:07", "14:54:08"),
]


def test_every_major_is_here() -> None:
    assert tuple(major for major, *_ in REAL) == LOG_MAJORS


@pytest.mark.parametrize(("major", "checkpoint", "stop", "started", "ended"), REAL)
def test_a_real_label_and_its_history_file(
    major: str, checkpoint: str, stop: str, started: str, ended: str
) -> None:
    label = BackupLabel.parse((SERVER_LOGS / major / "backup_label.txt").read_text())
    assert label == BackupLabel(
        start_lsn=Lsn.parse("0/2000028"),
        start_file="000000010000000000000002",
        checkpoint_lsn=Lsn.parse(checkpoint),
        start_time=f"2026-11-22 {started} UTC",
        label="pg_basebackup base backup",
        timeline=TimelineId(1),
        from_standby=False,
        incremental=False,
    )
    (path,) = (SERVER_LOGS / major).glob("backup_history_*.txt")
    history = BackupLabel.parse(path.read_text())
    assert (history.stop_lsn, history.stop_time) == (
        Lsn.parse(stop),
        f"2026-11-22 {ended} UTC",
    )
    assert (history.start_lsn, history.start_time) == (label.start_lsn, label.start_time)


def test_a_backup_of_a_standby_and_an_incremental_one_are_told() -> None:
    text = label_text().replace("FROM: primary", "FROM: standby")
    assert BackupLabel.parse(text).from_standby
    text = label_text(extra="INCREMENTAL FROM LSN: 0/1000028\nINCREMENTAL FROM TLI: 1\n")
    assert BackupLabel.parse(text).incremental


def test_the_timeline_is_that_of_the_first_file() -> None:
    label = BackupLabel.parse(label_text(file="0000001A0000000000000002"))
    assert label.timeline == TimelineId(26)


def test_the_persons_own_words_are_kept_whole_and_mean_nothing() -> None:
    words = "a: b\x0cSTOP WAL LOCATION: 0/1 (file x)\u2028INCREMENTAL FROM LSN: 0/1"
    label = BackupLabel.parse(label_text().replace("nightly: the first", words))
    assert label.label == words
    assert (label.stop_lsn, label.incremental) == (None, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0" * 200,
        "CHECKPOINT LOCATION: 0/200080\n",
        label_text(start="there"),
        label_text(file="short"),
        label_text(file="000000000000000000000002"),
        label_text().replace("(file", "("),
        label_text().replace("CHECKPOINT LOCATION: 0/200080", "CHECKPOINT LOCATION: none"),
        label_text().replace("CHECKPOINT LOCATION", "CHECKPOINT"),
    ],
)
def test_a_damaged_label_is_refused(text: str) -> None:
    with pytest.raises(PitrError, match="label cannot be read") as told:
        BackupLabel.parse(text)
    assert told.value.hint


FILES = [{"Path": "backup_label", "Size": 225}, {"Encoded-Path": "62e5", "Size": 8192}]
RANGES = [
    {"Timeline": 2, "Start-LSN": "0/3000000", "End-LSN": "0/3000120"},
    {"Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/3000000"},
]


def test_manifests_of_both_versions_are_read() -> None:
    old = {"PostgreSQL-Backup-Manifest-Version": 1, "Files": FILES, "WAL-Ranges": RANGES[1:]}
    new = {"System-Identifier": 7711009236814082698, "Files": FILES, "WAL-Ranges": RANGES}
    assert BackupManifest.parse(json.dumps(old)) == BackupManifest(
        None, 2, 225 + 8192, Lsn.parse("0/3000000")
    )
    assert BackupManifest.parse(json.dumps(new)) == BackupManifest(
        7711009236814082698, 2, 225 + 8192, Lsn.parse("0/3000120")
    )
    assert BackupManifest.parse('{"Files": []}') == BackupManifest(None, 0, 0, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "3",
        "{}",
        '{"Files": [{"Path": "x"}]}',
        '{"Files": [{"Size": "big"}]}',
        '{"Files": {"Size": 1}}',
        '{"Files": [], "WAL-Ranges": [{}]}',
        '{"Files": [], "WAL-Ranges": [{"End-LSN": "here"}]}',
        '{"Files": [], "WAL-Ranges": [{"End-LSN": 3}]}',
        '{ "PostgreSQL-Backup-Manifest-Version": 2,\n"Files": [\n{ "Path"',
    ],
)
def test_a_damaged_manifest_is_refused(text: str) -> None:
    with pytest.raises(PitrError, match="manifest cannot be read"):
        BackupManifest.parse(text)
