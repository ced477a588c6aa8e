"""Archives of real servers in every shape that the WAL can have, each built once in a session."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.postgres.version import PostgresVersion
from pitr_tui.postgres.walname import WalSegment
from tests.integration.conftest import installed
from tests.wal.cluster import MEGABYTE, Cluster
from tests.wal.truth import Truth
from tests.wal.workload import Workload


@dataclass(frozen=True)
class Shape:
    """How a cluster writes its WAL."""

    major: str
    segment_size: int = 16 * MEGABYTE
    wal_level: str = "replica"
    compression: str = "off"
    epoch: int = 0

    def __str__(self) -> str:
        size = f"{self.segment_size // MEGABYTE}MB"
        epoch = f"-epoch{self.epoch}" if self.epoch else ""
        return f"{self.major}-{size}-{self.wal_level}-{self.compression}{epoch}"

    @property
    def version(self) -> PostgresVersion:
        return PostgresVersion.parse(self.major)


# In every run, so chosen that they differ in all the rest.
SHAPES = (
    Shape("11", MEGABYTE, "logical", "on"),
    Shape("13", MEGABYTE, "replica", "on"),
    Shape("15", MEGABYTE, "replica", "lz4", epoch=5),
    Shape("16", MEGABYTE, "logical", "pglz"),
    Shape("17", 16 * MEGABYTE),
    Shape("18", MEGABYTE, "logical", "pglz"),
)
MORE_SHAPES = (
    Shape("10"),
    Shape("12", 64 * MEGABYTE),
    Shape("14", MEGABYTE, "logical"),
    *(
        Shape(major, size * MEGABYTE, level, compression)
        for major in ("15", "18")
        for size, level, compression in (
            (1, "replica", "off"),
            (2, "logical", "pglz"),
            (16, "logical", "off"),
            (16, "replica", "pglz"),
            (64, "logical", "off"),
            (1024, "replica", "off"),
        )
    ),
    Shape("15", MEGABYTE, "logical", "zstd"),  # no other server here was built with it
    Shape("15", 16 * MEGABYTE, "logical", "lz4"),
    Shape("10", 16 * MEGABYTE, "logical", "on"),
    *(
        Shape(major, size * MEGABYTE, "replica", compression)
        for major in ("11", "12", "13", "14", "16", "17")
        for size, compression in ((2, "off"), (4, "on"), (64, "on"))
    ),
    Shape("18", MEGABYTE, "replica", "off", epoch=7),
)
SMALL = tuple(shape for shape in SHAPES if shape.segment_size == MEGABYTE)


@dataclass
class History:
    """An archive with a backup, and what was done to the server that wrote it."""

    shape: Shape
    directory: Path
    truth: Truth = field(default_factory=Truth)
    given_up: Lsn | None = None  # where a record begins that a crash cut off

    @property
    def archive(self) -> Path:
        return self.directory / "archive"

    @property
    def backup(self) -> Path:
        return self.directory / "backup"

    @property
    def paths(self) -> list[Path]:
        return sorted(path for path in self.archive.iterdir() if len(path.name) == 24)

    def segment(self, path: Path) -> WalSegment:
        return WalSegment.parse(path.name, self.shape.segment_size)


_histories: dict[Shape, History] = {}


def history_of(shape: Shape) -> History:
    """The history of this shape, built when it is first asked for."""
    if shape not in _histories:
        installation = installed(shape.major)
        settings = {"wal_level": shape.wal_level, "wal_compression": shape.compression}
        cluster = Cluster(installation, shape.segment_size, settings)
        history = History(shape, Path(tempfile.mkdtemp(prefix="pitr-history-")))
        try:
            _build(history, cluster)
        finally:
            cluster.close()
        _histories[shape] = history
    return _histories[shape]


def remove_histories() -> None:
    for history in _histories.values():
        shutil.rmtree(history.directory)
    _histories.clear()


def _build(history: History, cluster: Cluster) -> None:
    workload = Workload(cluster, history.truth)
    cluster.initialize()
    if history.shape.epoch:
        data = str(cluster.server.data_directory)
        cluster.server.run_tool("pg_resetwal", ["-e", str(history.shape.epoch), "-D", data])
    cluster.start()
    workload.prepare()
    shutil.copytree(cluster.take_backup(), history.backup)
    workload.run()
    if history.shape.segment_size == MEGABYTE:
        history.given_up = give_up_a_record(cluster)
    else:
        cluster.crash()
    cluster.configure({**cluster.settings, "max_connections": "77"})
    cluster.start()
    workload.after_restart()
    cluster.switch()
    cluster.server.stop()
    cluster.archive_to(history.archive)


def give_up_a_record(cluster: Cluster) -> Lsn:
    """Crash while a record is being written over the end of a segment; where it begins.

    What was written of it behind that segment is removed, as if it never reached the disk.
    """
    position = cluster.position()
    with cluster.connect() as connection, connection.cursor() as cursor:
        size = 2 * cluster.segment_size
        cursor.execute(f"SELECT pg_logical_emit_message(false, 'p', repeat('m', {size}))")
    cluster.crash()
    begun = int(position) // cluster.segment_size
    for path in cluster.wal_directory.iterdir():
        if len(path.name) == 24 and WalSegment.parse(path.name, MEGABYTE).number > begun:
            path.unlink()
    return position
