"""The oracle, and what was really done to the servers: they have to agree first of all."""

from __future__ import annotations

import gzip
from datetime import UTC, timedelta

import pytest

from tests.unit.made import DATA
from tests.wal.conftest import shapes
from tests.wal.histories import SMALL, History
from tests.wal.ours import told_rows
from tests.wal.waldump import WITHOUT_WALDUMP, Waldump, account
from tests.wal.workload import same_rows

pytestmark = pytest.mark.integration


def test_waldump_tells_what_was_done(history: History, oracle: Waldump) -> None:
    result = oracle.read(history.paths[0], history.paths[-1])
    endings = {(ending.xid, ending.kind): ending for ending in result.endings}
    assert [e.lsn for e in result.endings] == sorted(e.lsn for e in result.endings)
    for deed in history.truth.deeds:
        ending = endings[deed.xid, deed.kind]
        assert ending.time is not None
        assert deed.before is not None
        assert deed.after is not None
        assert deed.before <= ending.time.astimezone(UTC) <= deed.after, deed.label
        if deed.subtransactions:
            assert len(ending.subxids) == deed.subtransactions, deed.label
        assert deed.dropped <= ending.dropped, deed.label
        found = told_rows(result, ending)
        for place, counts in deed.rows.items():
            assert same_rows(found[place], counts, deed.hot), (deed.label, deed.names[place])
        if deed.kind == "prepare":
            assert ending.gid == deed.gid


@shapes(*(shape for shape in SMALL if shape.major not in WITHOUT_WALDUMP))
def test_the_record_given_up_is_in_the_archive(history: History, oracle: Waldump) -> None:
    assert history.given_up is not None
    result = oracle.read(history.paths[0], history.paths[-1], "--rmgr=XLOG")
    assert result.operations["XLOG OVERWRITE_CONTRECORD"] == 1
    assert result.last is not None
    assert result.last > history.given_up


def test_the_dump_of_9_6_is_understood() -> None:
    with gzip.open(DATA / "pg96" / "xlogdump.txt.gz", "rt") as lines:
        result = account(lines)
    assert result.records == 56066
    shop = [(e.xid, e.kind) for e in result.endings if e.xid >= 556]
    assert (563, "prepare") in shop
    assert (563, "commit prepared") in shop
    times = [ending.time for ending in result.endings if ending.time is not None]
    assert times == sorted(times)
    assert times[-1] - times[0] < timedelta(minutes=5)
