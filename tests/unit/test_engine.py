"""Every way in which an engine is not there has its own sentence; fakes speak real HTTP."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseServer, TCPServer, ThreadingMixIn, UnixStreamServer
from typing import Any

import pytest

from pitr_tui.cli import main
from pitr_tui.containers import engine as engine_module
from pitr_tui.containers.engine import Engine, EngineError, engine_errors
from pitr_tui.errors import PitrError, RefusedError

GOOD: dict[str, tuple[int, object]] = {
    "/version": (200, {"Version": "27.1", "ApiVersion": "1.46"}),
    "/v1.40/info": (200, {"SecurityOptions": ["name=seccomp,profile=builtin"]}),
}


class UnixServer(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True
    block_on_close = False


class NetServer(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False


def handler_of(answers: Mapping[str, tuple[int, object]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, {"message": "page not found"}))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def address_string(self) -> str:
            return "test"

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


@contextmanager
def serving(server: BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def fake(directory: Path, answers: Mapping[str, tuple[int, object]]) -> Iterator[str]:
    """An engine on a Unix socket that answers just so."""
    path = directory / "engine.sock"
    with serving(UnixServer(str(path), handler_of(answers))):
        yield f"unix://{path}"


@pytest.fixture(autouse=True)
def _no_docker_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("DOCKER_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))


def refused(url: str | None = None) -> EngineError:
    with pytest.raises(EngineError) as caught:
        Engine.connect(url)
    assert caught.value.hint
    return caught.value


def test_an_engine_that_answers(tmp_path: Path) -> None:
    with fake(tmp_path, GOOD) as url, closing(Engine.connect(url)) as engine:
        assert (engine.address, engine.version, engine.api_version) == (url, "27.1", "1.46")
        assert engine.local
        assert not engine.rootless
        assert engine.client.api.timeout >= 600


def test_a_rootless_engine(tmp_path: Path) -> None:
    info = {"SecurityOptions": ["name=seccomp", "name=rootless", "name=cgroupns"]}
    with (
        fake(tmp_path, {**GOOD, "/v1.40/info": (200, info)}) as url,
        closing(Engine.connect(url)) as engine,
    ):
        assert engine.rootless


def test_an_engine_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """It gives up connecting after seconds, but lets an answer take its time.

    Its certificate is checked against Docker's authority, whatever the web's is.
    """
    server = NetServer(("127.0.0.1", 0), handler_of(GOOD))
    with serving(server):
        url = f"tcp://127.0.0.1:{server.server_address[1]}"
        with closing(Engine.connect(url)) as engine:
            assert not engine.local
            api = engine.client.api
            api.verify = "/docker/ca.pem"
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/web/ca.pem")
            seen: list[tuple[object, object]] = []

            def send(self: object, request: object, **options: Any) -> Any:
                seen.append((options["timeout"], options["verify"]))
                raise ConnectionResetError

            monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
            for seconds in (300, None):
                with pytest.raises(ConnectionResetError):
                    api.get(f"{api.base_url}/x", timeout=seconds)
            assert seen == [((10, 300), "/docker/ca.pem"), ((10, None), "/docker/ca.pem")]


def test_no_socket(tmp_path: Path) -> None:
    error = refused(f"unix://{tmp_path}/none.sock")
    assert error.what == f"no Docker engine answers at unix://{tmp_path}/none.sock"
    assert error.why == "there is no such socket"


def test_a_rootless_engine_that_was_not_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert "rootless" not in refused(f"unix://{tmp_path}/none.sock").hint
    (tmp_path / "docker.sock").touch()
    hint = refused(f"unix://{tmp_path}/none.sock").hint
    assert f"DOCKER_HOST=unix://{tmp_path}/docker.sock" in hint


def test_nobody_listens(tmp_path: Path) -> None:
    path = tmp_path / "left.sock"
    with closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))
    assert "connection refused" in refused(f"unix://{path}").why


def test_no_permission(closable: Path) -> None:
    with fake(closable, GOOD) as url:
        (closable / "engine.sock").chmod(0)
        error = refused(url)
    assert "may not use the Docker engine" in error.what
    assert "group docker" in error.hint
    assert "rootless" in error.hint


@pytest.mark.parametrize("api", ["1.39", "1.9", "nonsense"])
def test_too_old(tmp_path: Path, api: str) -> None:
    with fake(tmp_path, {"/version": (200, {"Version": "18.09", "ApiVersion": api})}) as url:
        error = refused(url)
    assert "too old" in error.what
    assert "18.09" in error.why
    assert "1.40" in error.why


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"<html>not here</html>"),
        (200, b"<html>welcome</html>"),
        (200, {"Version": "x"}),
        (200, [1]),
        (500, {"message": "broken"}),
    ],
)
def test_something_else_answers(tmp_path: Path, answer: tuple[int, object]) -> None:
    with fake(tmp_path, {"/version": answer}) as url:
        assert "is no Docker engine" in refused(url).what


def test_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "_GREETING_SECONDS", 0.2)
    with closing(socket.socket(socket.AF_UNIX)) as silent:
        silent.bind(str(tmp_path / "s.sock"))
        silent.listen()
        assert "no answer within" in refused(f"unix://{tmp_path}/s.sock").why


@pytest.mark.parametrize("url", ["fd://3", "nonsense", "tcp://", "http://h:1/?a=b"])
def test_senseless_address(url: str) -> None:
    assert "no address of a Docker engine" in refused(url).what


def test_tls_without_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TLS_VERIFY", "1")
    monkeypatch.setenv("DOCKER_CERT_PATH", str(tmp_path))
    error = refused("tcp://127.0.0.1:2376")
    assert "cannot be spoken to safely" in error.what
    assert "DOCKER_CERT_PATH" in error.hint


def test_tls_spoken_to_a_server_without() -> None:
    server = NetServer(("127.0.0.1", 0), handler_of(GOOD))
    with serving(server):
        error = refused(f"https://127.0.0.1:{server.server_address[1]}")
    assert "cannot be spoken to safely" in error.what


def test_a_server_that_wants_tls(tmp_path: Path) -> None:
    answer = (400, b"Client sent an HTTP request to an HTTPS server.\n")
    with fake(tmp_path, {"/version": answer}) as url:
        assert "it wants TLS" in refused(url).why


def put_context(directory: Path, name: str, meta: object) -> None:
    from docker.context.config import get_context_id

    place = directory / "docker" / "contexts" / "meta" / get_context_id(name)
    place.mkdir(parents=True)
    text = meta if isinstance(meta, str) else json.dumps(meta)
    (place / "meta.json").write_text(text)
    (directory / "docker" / "config.json").write_text("{}")


def test_a_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_CONTEXT, or the one in use, names the engine; DOCKER_HOST goes before both."""
    with fake(tmp_path, GOOD) as url:
        endpoint = {"docker": {"Host": url, "SkipTLSVerify": False}}
        put_context(tmp_path, "far", {"Name": "far", "Metadata": {}, "Endpoints": endpoint})
        monkeypatch.setenv("DOCKER_CONTEXT", "far")
        with closing(Engine.connect()) as engine:
            assert engine.address == f"{url} (context far)"
            assert engine.local
        monkeypatch.delenv("DOCKER_CONTEXT")
        (tmp_path / "docker" / "config.json").write_text('{"currentContext": "far"}')
        with closing(Engine.connect()) as engine:
            assert engine.address == f"{url} (context far)"
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
        assert "none.sock" in refused().what


def test_a_context_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONTEXT", "gone")
    error = refused()
    assert error.what == "there is no Docker context gone"
    assert "docker context ls" in error.hint


@pytest.mark.parametrize("meta", ["{", {"Name": "bad"}, [], {"Name": "bad", "Endpoints": {}}])
def test_a_damaged_context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meta: object) -> None:
    put_context(tmp_path, "bad", meta)
    monkeypatch.setenv("DOCKER_CONTEXT", "bad")
    assert "context bad" in refused().what


def test_the_command_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert main(["containers"]) == 1
    assert "no Docker engine answers" in capsys.readouterr().err
    assert main(["cleanup", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["event"] == "Error"


def test_refusals_in_the_engine_s_words(tmp_path: Path) -> None:
    answers = {**GOOD, "/v1.46/containers/x/json": (409, {"message": "it is \x1b[31mbusy"})}
    with fake(tmp_path, answers) as url, closing(Engine.connect(url)) as engine:
        with pytest.raises(EngineError) as caught, engine_errors("x cannot be read", "wait"):
            engine.client.api.inspect_container("x")
        error = caught.value
        assert (error.what, error.why, error.hint) == (
            "x cannot be read",
            "it is ␛[31mbusy",
            "wait",
        )
        assert error.status == 409


def test_an_engine_that_went_away() -> None:
    server = NetServer(("127.0.0.1", 0), handler_of(GOOD))
    with serving(server):
        engine = Engine.connect(f"tcp://127.0.0.1:{server.server_address[1]}")
    with closing(engine):
        with pytest.raises(EngineError) as caught, engine_errors("x cannot be read"):
            engine.client.api.inspect_container("x")
        assert caught.value.why == "Connection refused"
        assert caught.value.status == 0


@pytest.mark.parametrize("kind", [ConnectionResetError, BrokenPipeError, TimeoutError])
def test_broken_streams_are_the_engine_s(kind: Callable[[], Exception]) -> None:
    with pytest.raises(EngineError), engine_errors("the log cannot be read"):
        raise kind()


@pytest.mark.parametrize("error", [KeyError("x"), FileNotFoundError("y"), RefusedError("z")])
def test_other_errors_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, engine_errors("the engine failed"):
        raise error
    assert caught.value is error
    assert not isinstance(error, EngineError)
    assert isinstance(EngineError("w"), PitrError)


SSH = """#!{python}
import os, socket, sys, threading
with open({record!r}, "a") as record:
    print(*sys.argv[1:], sep="\\n", file=record)
if {fails}:
    sys.exit("ssh: Could not resolve hostname far: \\x1b[31mName or service not known")
far = socket.socket(socket.AF_UNIX)
far.connect({path!r})
def there():
    while data := os.read(0, 65536):
        far.sendall(data)
    far.shutdown(socket.SHUT_WR)
threading.Thread(target=there, daemon=True).start()
while data := far.recv(65536):
    os.write(1, data)
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put an ssh on the PATH that carries its connection to a socket, or fails."""

    def put(url: str = "", fails: bool = False) -> Path:
        place = tmp_path / "bin"
        place.mkdir()
        record = tmp_path / "arguments"
        text = SSH.format(
            python=sys.executable,
            record=str(record),
            fails=fails,
            path=url.removeprefix("unix://"),
        )
        (place / "ssh").write_text(text)
        (place / "ssh").chmod(0o755)
        monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        return record

    return put


def test_ssh(tmp_path: Path, ssh: Callable[..., Path]) -> None:
    with fake(tmp_path, GOOD) as url:
        record = ssh(url)
        with closing(Engine.connect("ssh://me@far:2222")) as engine:
            assert (engine.address, engine.version) == ("ssh://me@far:2222", "27.1")
            assert not engine.local
            assert list(tmp_path.glob("pitr-ssh-*"))
    words = record.read_text().splitlines()
    assert words[-5:] == ["-lme", "-p2222", "--", "far", "docker system dial-stdio"]
    assert "-oBatchMode=yes" in words
    assert not list(tmp_path.glob("pitr-ssh-*"))


def test_ssh_says_why(tmp_path: Path, ssh: Callable[..., Path]) -> None:
    ssh(fails=True)
    error = refused("ssh://far")
    assert error.what == "no Docker engine answers at ssh://far"
    assert error.why == "ssh: Could not resolve hostname far: ␛[31mName or service not known"
    assert "ssh far docker version" in error.hint
    assert not list(tmp_path.glob("pitr-ssh-*"))


def test_no_ssh_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "ssh cannot be run" in refused("ssh://far").why


@pytest.mark.parametrize("url", ["ssh://", "ssh://-oProxyCommand=x", "ssh://h:x", "ssh://u:p@h"])
def test_senseless_host(url: str) -> None:
    assert "names no host" in refused(url).what
