"""A helper does what it is asked, and never stays behind."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from docker import DockerClient
from docker.errors import NotFound

from pitr_tui.containers.engine import Engine, EngineError
from pitr_tui.containers.files import open_file
from pitr_tui.containers.helper import Helper, HelperMount
from pitr_tui.containers.images import image_facts
from pitr_tui.containers.labels import LABEL, Role
from pitr_tui.containers.shell import Shell
from pitr_tui.containers.volumes import create_volume, remove_volume, volume_exists
from pitr_tui.errors import RefusedError
from tests.docker import world
from tests.docker.cutting import Cutter
from tests.unit.made import wait_until

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def seen(engine: DockerClient) -> Iterator[Engine]:
    """The engine as our code sees it."""
    with closing(Engine.connect()) as ours:
        yield ours


@pytest.fixture(scope="module", params=["postgres:15", "postgres:15-busybox"])
def image(request: pytest.FixtureRequest, engine: DockerClient) -> str:
    """Debian's userland, then BusyBox."""
    return world.image(engine, request.param)


@pytest.fixture(scope="module")
def volume(seen: Engine, image: str) -> Iterator[str]:
    name = f"pitr-test-{uuid.uuid4().hex[:8]}"
    create_volume(seen, name, Role.DATA)
    yield name
    remove_volume(seen, name)


@pytest.fixture(scope="module")
def helper(seen: Engine, image: str, volume: str) -> Iterator[Helper]:
    """One that may write to /data and sees the same volume read-only at /kept."""
    mounts = [HelperMount("volume", volume, "/data", True), HelperMount("volume", volume, "/kept")]
    with Helper.start(seen, image, mounts=mounts, name_hint="test") as helper:
        yield helper


def test_a_script_has_its_output_and_code(helper: Helper) -> None:
    ran = helper.shell().run("echo out; printf 'no end'; echo 'it'\\''s' >&2; exit 3")
    assert (ran.code, ran.stdout, ran.stderr) == (3, b"out\nno end", "it's\n")


def test_nothing_of_a_script_outlives_it(helper: Helper) -> None:
    shell = helper.shell()
    assert shell.run("cat; x=1; cd /data; set -e; false").code == 1
    assert shell.run("if ; then )").code != 0
    assert shell.run("exec 1>&- 2>&-").stdout == b""
    assert shell.run('echo "[$x]$(pwd)"').stdout == b"[]/\n"
    assert helper.shell() is shell


def test_a_script_carries_any_bytes_and_any_size(helper: Helper) -> None:
    words = "ü % \\ ' \" $HOME `id` \t|" * 20_000
    quoted = words.replace("'", "'\\''")
    assert helper.shell().run(f"printf %s '{quoted}'").stdout.decode() == words
    binary = helper.shell().run("head -c 3000000 /dev/zero; printf '\\000\\377\\n\\n'").stdout
    assert binary == bytes(3_000_001) + b"\xff\n\n"


def test_a_shell_serves_several_threads(helper: Helper) -> None:
    got: list[bytes] = []
    threads = [
        threading.Thread(target=lambda n=n: got.append(helper.shell().run(f"echo {n}").stdout))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(map(int, got)) == list(range(20))


def test_a_script_that_does_not_end_is_killed(helper: Helper) -> None:
    shell = helper.shell()
    with pytest.raises(EngineError, match="did not end"):
        shell.run("sleep 4321 & sleep 4322; echo", timeout=0.3)
    assert shell.closed
    wait_until(lambda: b"432" not in processes(helper), 10)
    assert helper.shell().run("echo again").stdout == b"again\n"


def test_a_script_in_a_server_s_container_is_not_killed(helper: Helper, seen: Engine) -> None:
    """PostgreSQL as process 1 would take the death of an adopted process for a crash."""
    with closing(Shell(seen, helper.id)) as shell:
        with pytest.raises(EngineError) as raised:
            shell.run("sleep 2; touch /data/went-on", timeout=0.2)
        assert "left alone" in raised.value.why
    wait_until(lambda: helper.shell().run("test -e /data/went-on").code == 0, 10)


def test_a_blocked_script_ends_when_the_shell_is_closed(seen: Engine, image: str) -> None:
    raised: list[EngineError] = []
    with Helper.start(seen, image) as helper:
        shell = helper.shell()

        def blocked() -> None:
            try:
                shell.run("touch /begun; sleep 1000")
            except EngineError as error:
                raised.append(error)

        thread = threading.Thread(target=blocked)
        thread.start()
        wait_until(lambda: helper.run(["test", "-e", "/begun"]).code == 0, 10)
        shell.close()
        thread.join(5)
        assert not thread.is_alive()
        assert raised[0].why == "it was closed"


def test_a_shell_says_that_its_container_is_gone_and_the_next_has_another(
    seen: Engine, image: str
) -> None:
    with Helper.start(seen, image) as helper:
        shell, first = helper.shell(), helper.id
        seen.client.api.kill(helper.id)
        with pytest.raises(EngineError, match="is gone"):
            shell.run("true")
        assert helper.shell().run("true").code == 0  # of another one like it
        assert helper.id != first


def test_a_user_of_the_image_gets_a_shell_of_its_own(helper: Helper) -> None:
    assert helper.shell("postgres").run("id -u").stdout == b"999\n"
    assert helper.shell("12:34").run("id -u; id -g").stdout == b"12\n34\n"
    with pytest.raises(EngineError, match="nobody-known"):
        helper.shell("nobody-known")


def test_a_program_gets_its_words_and_its_input_untouched(helper: Helper) -> None:
    words = ["a b", "$HOME", "'", "--", "-n", "*", ""]
    ran = helper.run(["printf", "[%s]", *words])
    assert ran.stdout.decode() == "".join(f"[{word}]" for word in words)
    data = os.urandom(5_000_000)
    ran = helper.run(["sha256sum"], stdin=data, user="postgres")
    assert ran.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert helper.run(["true"], stdin=data).code == 0
    assert helper.run(["cat"]).stdout == b""
    assert helper.run(["sh", "-c", "echo $X; exit 7"], environment={"X": "a b"}).code == 7
    assert helper.run(["no-such-program"]).code == 127


def test_a_program_that_does_not_end_is_killed(helper: Helper) -> None:
    with pytest.raises(EngineError, match="sleep did not end"):
        helper.run(["sleep", "4323"], timeout=0.3)
    wait_until(lambda: b"4323" not in processes(helper), 10)


def test_a_process_is_read_while_it_runs_and_ended(helper: Helper) -> None:
    script = "trap 'echo bye >&2; exit 9' TERM; echo up; echo half >&2; while :; do sleep 0.1; done"
    process = helper.popen(["sh", "-c", script])
    got, errors = bytearray(), []

    def came() -> bool:
        got.extend(process.read())
        errors.append(process.read_errors())
        return bytes(got) == b"up\n" and "".join(errors) == "half\n"

    wait_until(came, 10)
    assert process.poll() is None
    process.terminate()
    assert process.wait(10) == process.poll() == 9
    assert process.read_errors().endswith("bye\n")
    process.close()


def test_a_process_that_nobody_reads_waits_and_is_killed(helper: Helper) -> None:
    process = helper.popen(["yes", "4324"])
    wait_until(lambda: b"4324" in processes(helper), 10)
    process.close()
    wait_until(lambda: b"4324" not in processes(helper), 10)


def test_a_file_is_read_as_a_stream(helper: Helper) -> None:
    made = helper.shell().run(
        "mkdir -p /data/files/sub && cd /data/files && head -c 20000000 /dev/urandom >big && "
        "ln -s ../big sub/link && : >empty && sha256sum big"
    )
    for path in ("/data/files/big", "/kept/files/sub/link"):
        with helper.get(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        assert digest == made.stdout.split()[0].decode()
    with helper.get("/data/files/empty") as file:
        assert file.read() == b""
    with helper.get("/data/files/big") as file:
        assert len(file.read(10)) == 10
    with pytest.raises(FileNotFoundError), helper.get("/data/files/none"):
        pass
    with pytest.raises(IsADirectoryError), helper.get("/data/files"):
        pass
    sizes = {
        member.name: len(content.read())
        for member, content in helper.get_tree("/data/files")
        if content is not None
    }
    assert sizes == {"files/big": 20_000_000, "files/empty": 0}


def test_a_stream_that_is_cut_off_is_no_end(seen: Engine, image: str, tmp_path: Path) -> None:
    with Helper.start(seen, image) as helper:
        helper.shell().run("head -c 50000000 /dev/urandom >/big")
        with (
            closing(Cutter(tmp_path / "s")) as cutter,
            closing(Engine.connect(cutter.url)) as cut,
            open_file(cut, helper.id, "/big") as file,
        ):
            assert file.read(1)
            assert cutter.cut()
            with pytest.raises(EngineError, match="could not be read to its end"):
                file.read()


def test_a_tree_is_put(helper: Helper) -> None:
    content = os.urandom(3_000_000)
    assert helper.shell().run("mkdir -p /data/put").code == 0
    helper.put("/data/put", pieces(tar_of("name with blank", content)))
    ran = helper.shell().run("cd /data/put && sha256sum 'name with blank'; stat -c %u *")
    digest, *_, owner = ran.stdout.split()
    assert (digest.decode(), owner) == (hashlib.sha256(content).hexdigest(), b"999")
    with pytest.raises(EngineError, match="read-only"):
        helper.put("/kept", pieces(tar_of("x", b"y")))
    with pytest.raises(EngineError, match="cannot be written"):
        helper.put("/data/nowhere", pieces(tar_of("x", b"y")))

    def broken() -> Iterator[bytes]:
        yield bytes(512)
        raise ValueError("the source broke")

    with pytest.raises(ValueError, match="the source broke"):
        helper.put("/data/put", broken())


def test_a_helper_may_do_what_it_needs_and_no_more(helper: Helper, seen: Engine) -> None:
    shell = helper.shell()
    assert shell.run("touch /kept/x").code != 0
    own = "touch /data/own && chown 999:999 /data/own && chmod 600 /data/own && ls /sys/class/net"
    assert shell.run(own).stdout.split() == [b"lo"]
    facts = seen.client.api.inspect_container(helper.id)
    assert facts["Config"]["Labels"][LABEL] == Role.HELPER
    assert not facts["HostConfig"]["PortBindings"]
    assert "NET_RAW" not in str(facts["HostConfig"]["CapAdd"])


def test_nothing_is_made_that_was_not_asked_for(
    seen: Engine, image: str, tmp_path: Path, volume: str
) -> None:
    missing = tmp_path / "missing"
    name = f"pitr-test-{uuid.uuid4().hex[:8]}"
    for mount in (HelperMount("bind", str(missing), "/x"), HelperMount("volume", name, "/x")):
        with pytest.raises(EngineError, match="start|be used") as raised:
            Helper.start(seen, image, mounts=[mount])
        assert mount.source in str(raised.value)
    assert not missing.exists()
    with pytest.raises(NotFound):
        seen.client.volumes.get(name)
    with pytest.raises(EngineError) as raised:
        Helper.start(seen, "postgres:no-such-tag")
    assert raised.value.hint == "docker pull postgres:no-such-tag"
    with pytest.raises(RefusedError, match="already"):
        create_volume(seen, volume, Role.DATA)
    foreign = seen.client.volumes.create(name, labels={world.MARK: "foreign"})
    try:
        with pytest.raises(RefusedError, match="is not removed"):
            remove_volume(seen, name)
    finally:
        foreign.remove()
    remove_volume(seen, name)


def test_a_closed_helper_leaves_nothing(seen: Engine, image: str) -> None:
    """The image wants a volume at its data directory; that one goes too."""
    helper = Helper.start(seen, image)
    mounted = [mount["Name"] for mount in seen.client.api.inspect_container(helper.id)["Mounts"]]
    assert mounted
    helper.close()
    with pytest.raises(NotFound):
        seen.client.containers.get(helper.id)
    wait_until(lambda: not any(volume_exists(seen, name) for name in mounted), 10)
    helper.close()


CHILD = """
import sys, time
from pitr_tui.containers.engine import Engine
from pitr_tui.containers.files import open_file
from pitr_tui.containers.helper import Helper
helper = Helper.start(Engine.connect(), sys.argv[1])
process = helper.popen(["sleep", "1000"])
print(helper.id, flush=True)
time.sleep(1000)
"""


def test_a_helper_ends_with_a_process_that_is_killed(seen: Engine, image: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, image], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        identifier = child.stdout.readline().strip()
        assert seen.client.containers.get(identifier).status == "running"
        child.send_signal(signal.SIGKILL)

    def gone() -> bool:
        try:
            seen.client.containers.get(identifier)
        except NotFound:
            return True
        return False

    wait_until(gone, 20)


def test_an_image_is_known_by_looking(seen: Engine, image: str) -> None:
    facts = image_facts(seen, image)
    assert (facts.postgres_uid, facts.postgres_gid) == (999, 999)
    assert facts.version.startswith("postgres (PostgreSQL) 15.")
    assert facts.libc.startswith("glibc 2.")
    assert facts.pgdata == "/var/lib/postgresql/data"
    assert image_facts(seen, facts.id) is facts
    with pytest.raises(EngineError, match="no-such-tag"):
        image_facts(seen, "postgres:no-such-tag")


def processes(helper: Helper) -> bytes:
    script = "for p in /proc/[0-9]*/cmdline; do tr '\\000' ' ' <$p; echo; done 2>/dev/null"
    return helper.shell().run(script).stdout


def tar_of(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size, member.uid = len(content), 999
        tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), 100_000):
        yield data[start : start + 100_000]


def test_a_closed_helper_does_not_come_back(seen: Engine, image: str) -> None:
    helper = Helper.start(seen, image)
    helper.shell()
    helper.close()
    with pytest.raises(EngineError, match="is gone"):
        helper.shell()
    assert not helper.exists()
