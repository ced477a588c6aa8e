"""Recoveries into containers, by the command, on every major version."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from docker import DockerClient
from docker.errors import NotFound

from tests.docker.accident import events, play, restore
from tests.docker.secondaries import assert_undisturbed, has, query
from tests.docker.world import (
    MAJORS,
    Project,
    executed,
    majors,
    remove_secondary,
    running,
    tutorial,
)
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker


@majors(*MAJORS, "15-busybox")
def test_a_secondary_stops_before_the_transaction(
    engine: DockerClient, project: Project, secondary: str
) -> None:
    accident = play(project)
    done = restore(
        accident, f"volume:{secondary}", "--target-xid", str(accident.xid), "--exclusive"
    )
    assert done.returncode == 0, done.stderr
    (finished,) = events(done, "RunFinished")
    assert finished["state"] == "paused at target"
    container = engine.containers.get(secondary)
    assert query(container, "SELECT array_agg(id ORDER BY id) FROM t") == "{1,2}"
    old = int(query(container, "SHOW server_version_num")) < 120000
    marker = "recovery.conf" if old else "recovery.signal"
    assert has(container, marker)

    query(container, f"SELECT pg_{'wal'}_replay_resume()")
    wait_until(lambda: query(container, "SELECT pg_is_in_recovery()") == "f", 30)
    assert not has(container, marker)
    assert has(container, "recovery.done") == old
    assert_undisturbed(container)
    assert_undisturbed(project.primary)


@majors("18")
def test_a_secondary_can_harm_nobody(
    engine: DockerClient, project: Project, secondary: str
) -> None:
    accident = play(project)
    assert restore(accident, f"volume:{secondary}", "--immediate").returncode == 0
    container = engine.containers.get(secondary)
    facts = container.attrs
    assert list(facts["NetworkSettings"]["Networks"]) == ["none"]
    assert not facts["HostConfig"]["PortBindings"]
    assert facts["Config"]["User"] == "999:999"
    assert {mount["Destination"]: mount["RW"] for mount in facts["Mounts"]} == {
        "/pitr/data": True,
        "/pitr/archive": False,
    } | _image_volumes(facts)
    assert query(container, "SHOW archive_mode") == "off"
    code, _ = executed(container, ["touch", "/pitr/archive/wal/x"])
    assert code != 0


def _image_volumes(facts: dict[str, dict[str, object]]) -> dict[str, bool]:
    """The image's own volumes, which the engine adds empty."""
    volumes = facts["Config"].get("Volumes")
    return dict.fromkeys(volumes, True) if isinstance(volumes, dict) else {}


@majors("11")
def test_what_fails_leaves_nothing(engine: DockerClient, project: Project, secondary: str) -> None:
    accident = play(project, "-Ft", "-z")
    done = restore(accident, f"volume:{secondary}", "--target-name", "never set", "--quick")
    assert done.returncode == 1
    assert "nothing: " in str(events(done, "RunFailed")[0]["left"])
    for collection in (engine.containers, engine.volumes):
        with pytest.raises(NotFound):
            collection.get(secondary)
    assert restore(accident, f"volume:{secondary}", "--latest").returncode == 0
    container = engine.containers.get(secondary)
    assert query(container, "SELECT count(*) FROM t") == "4"
    again = restore(accident, f"volume:{secondary}", "--latest")
    assert again.returncode == 3
    assert f"there is a container {secondary} already" in again.stdout


def test_a_directory_of_the_engines_machine(
    engine: DockerClient, project: Project, secondary: str, tmp_path: Path
) -> None:
    accident = play(project)
    place = tmp_path / "recovered"
    done = restore(accident, f"engine:{place}", "--immediate", "--name", secondary)
    assert done.returncode == 0, done.stderr
    assert (place / "pitr" / "restore-command").is_file()
    assert (place.stat().st_uid, place.stat().st_mode & 0o777) == (999, 0o700)
    assert query(engine.containers.get(secondary), "SELECT count(*) FROM t") == "1"


def test_the_plan_and_its_compose_file(project: Project, secondary: str, tmp_path: Path) -> None:
    accident = play(project)
    file = tmp_path / "pitr.yml"
    done = restore(
        accident, f"volume:{secondary}", "--dry-run", "--write-compose", str(file), "--latest"
    )
    assert done.returncode == 0, done.stderr
    (plan,) = events(done, "Plan")
    text = str(plan["files_and_commands"])
    assert f"docker volume create --label io.pitr-tui=data {secondary}" in text
    assert not file.exists()


def test_a_compose_file_that_keeps_it(
    engine: DockerClient, project: Project, secondary: str, tmp_path: Path
) -> None:
    accident = play(project)
    file = tmp_path / "pitr.yml"
    done = restore(accident, f"volume:{secondary}", "--write-compose", str(file), "--latest")
    assert done.returncode == 0, done.stderr
    described = yaml.safe_load(file.read_text())
    (service,) = described["services"].values()
    container = engine.containers.get(secondary)
    assert [*service["entrypoint"], *service["command"]] == [
        container.attrs["Path"],
        *container.attrs["Args"],
    ]
    assert described["volumes"][secondary] == {"external": True}


def test_settings_of_the_primarys_command_line(
    engine: DockerClient, tmp_path: Path, secondary_name: str
) -> None:
    """No backup holds them, and PostgreSQL replays nothing with less of these."""
    described = yaml.safe_load(tutorial("18"))
    described["services"]["primary"]["command"] = ["postgres", "-c", "max_connections=200"]
    with running(engine, tmp_path, yaml.safe_dump(described)) as project:
        accident = play(project)
        done = restore(accident, f"volume:{secondary_name}", "--latest")
        assert done.returncode == 0, done.stdout
        assert query(engine.containers.get(secondary_name), "SHOW max_connections") == "200"
        (checked,) = events(done, "Preflight")
        assert "max_connections 200: as the primary ran" in str(checked)
        remove_secondary(engine, secondary_name)
