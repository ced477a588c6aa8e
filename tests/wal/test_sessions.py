"""Histories that hypothesis makes up, on servers that keep running."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pitr_tui.postgres.lsn import Lsn
from pitr_tui.wal.pages import Ending
from tests.integration.conftest import installed
from tests.wal import ours
from tests.wal.cluster import MEGABYTE, Cluster
from tests.wal.sessions import SESSIONS, SHARED, VERBS, Outcome, Session, Turn, create
from tests.wal.test_transactions import compare
from tests.wal.waldump import Counts, waldump

pytestmark = pytest.mark.integration

EXAMPLES = 40

turns = st.lists(
    st.builds(Turn, st.integers(0, SESSIONS - 1), st.sampled_from(VERBS), st.integers(1, 60)),
    min_size=10,
    max_size=60,
)


@pytest.fixture(scope="module", params=["15", "18"])
def busy(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    settings = {"wal_level": "logical", "wal_compression": "on", "lock_timeout": "5s"}
    cluster = Cluster(installed(request.param), MEGABYTE, settings)
    try:
        cluster.initialize()
        cluster.start()
        yield cluster
    finally:
        cluster.close()


def play(cluster: Cluster, given: list[Turn]) -> list[Outcome]:
    """Let the sessions take their turns; what is open at the end is committed."""
    with ExitStack() as stack:
        sessions = [
            Session(stack.enter_context(cluster.connect()), f"own{number}")
            for number in range(SESSIONS)
        ]
        for table in (SHARED, *(session.table for session in sessions)):
            sessions[0].run(f"DROP TABLE IF EXISTS {table}")
            sessions[0].run(create(table))
        for turn in given:
            sessions[turn.session].take(turn)
        for session in sessions:
            session.take(Turn(0, "commit", 0))
        return [outcome for session in sessions for outcome in session.outcomes]


def segments_since(cluster: Cluster, start: Lsn) -> range:
    """The numbers of the segments that are finished by now."""
    cluster.switch()
    return range(int(start) // MEGABYTE, int(cluster.position()) // MEGABYTE)


# Without shrinking, for which the same xids would have to come again.
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(turns)
def test_what_sessions_did_is_told(busy: Cluster, given: list[Turn]) -> None:
    cluster = busy
    cluster.switch()
    start = cluster.position()
    outcomes = play(cluster, given)
    numbers = segments_since(cluster, start)
    paths = [path for path in cluster.segments() if ours.number_of(path, MEGABYTE) in numbers]
    reading = ours.read(ours.facts_of(paths, MEGABYTE))
    assert [one.kind for one in reading.unread] == [Ending.LAST]
    compare(reading, waldump(cluster.major).read(paths[0], paths[-1]))
    for outcome in outcomes:
        found = ours.rows_of(reading.of(outcome.xid, outcome.kind))
        for place, counts in outcome.rows.items():
            assert plain(found.get(place, Counts())) == plain(counts), outcome


def plain(counts: Counts) -> tuple[int, int, int]:
    """Rows, with HOT or without."""
    return counts.inserted, counts.updated + counts.hot_updated, counts.deleted
