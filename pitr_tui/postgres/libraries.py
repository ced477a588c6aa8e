"""Libraries that a server loads when it starts, and which of them act by themselves."""

from __future__ import annotations

_ACTING = {
    "bdr": "it connects to the other nodes and replicates",
    "bgw_replstatus": "it opens a port of its own",
    "citus": "its daemon connects to the worker nodes and ends transactions there",
    "pg_auto_reindexer": "it rebuilds indexes",
    "pg_cron": "it runs its jobs",
    "pg_failover_slots": "it connects to the primary",
    "pg_net": "it sends what waits in its queue to the web",
    "pg_partman_bgw": "it drops old partitions",
    "pg_squeeze": "it rewrites tables",
    "pg_task": "it runs its tasks",
    "pg_timetable": "it runs its jobs",
    "pgautofailover": "it registers with its monitor",
    "pglogical": "it connects to its providers and replicates",
    "repmgr": "it reports to the other nodes of its cluster",
    "spock": "it connects to the other nodes and replicates",
    "timescaledb": "its jobs drop, compress and refresh",
}
_SUFFIXES = (".so", ".dylib", ".dll")


def acts_by_itself(library: str) -> str:
    """What a library does without being asked, once its server is open for writing; or "".

    >>> acts_by_itself("$libdir/pg_cron.so"), acts_by_itself("auto_explain")
    ('it runs its jobs', '')
    """
    name = library.rpartition("/")[2]
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return _ACTING.get(name.partition("-")[0].lower(), "")
