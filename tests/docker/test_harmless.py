"""A secondary in a container is asked what it amounts to, whatever its backup brings along."""

from __future__ import annotations

import pytest
from docker import DockerClient

from tests.docker.accident import events, play, restore
from tests.docker.secondaries import query
from tests.docker.world import OLD_AND_NEW, Project, majors

pytestmark = pytest.mark.docker

HOSTILE = """
synchronous_standby_names = 'nobody'
archive_mode = always
archive_command = 'touch /pitr/data/archived; a\\nb'
listen_addresses = '*'
port = 6000
unix_socket_directories = '/tmp'
shared_preload_libraries = 'pg_cron, no_such_library'
include '/etc/passwd'
include_dir 'gone'
"""


@majors(*OLD_AND_NEW)
def test_a_hostile_configuration_does_nothing(
    engine: DockerClient, project: Project, secondary: str
) -> None:
    accident = play(project)
    path = "/archive/base/postgresql.auto.conf"
    project.run(["sh", "-c", 'printf %s "$1" >>"$2"', "sh", HOSTILE, path])
    done = restore(accident, f"volume:{secondary}", "--target-xid", str(accident.xid))
    assert done.returncode == 0, done.stdout
    (merged,) = (one for one in events(done, "CheckDone") if one["name"] == "merged configuration")
    assert merged["status"] == "ok", merged
    container = engine.containers.get(secondary)
    shown = "SELECT name || '=' || setting FROM pg_settings WHERE name IN "
    names = "('archive_mode', 'listen_addresses', 'port', 'shared_preload_libraries')"
    assert query(container, f"{shown} {names} ORDER BY 1").splitlines() == [
        "archive_mode=off",
        "listen_addresses=127.0.0.1",
        "port=5432",
        "shared_preload_libraries=",
    ]
    assert query(container, "SELECT count(*) FROM t") == "3"
