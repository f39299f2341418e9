"""What every benchmark needs: processes on two cores, a database of its own, a Redis of its own, the provider in C."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from dialer.embedded import find_server
from dialer.tether import preexec

HERE = Path(__file__).parent
#: The cores that everything measured runs on.
CORES = os.environ.get("BENCH_CORES", "0,1")
POSTGRES = os.environ.get("DIALER_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass
class Bench:
    """Processes and servers of one benchmark; `close` ends them all."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="dialer-bench-")))
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _databases: list[str] = field(default_factory=list)

    def start(self, argv: list[str], name: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a process on the benchmark's cores; its output goes to a file of that name."""
        pinned = ["taskset", "-c", CORES, *argv] if shutil.which("taskset") else argv
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                pinned,
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
                cwd=HERE.parent,
                start_new_session=True,
                preexec_fn=preexec(),  # noqa: PLW1509 - one thread here; nothing outlives a benchmark that is killed
            )
        self._processes.append(process)
        return process

    def stop(self, *processes: subprocess.Popen[bytes], grace: float = 30) -> None:
        """SIGTERM, and SIGKILL for what is left after `grace` seconds."""
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(grace)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process in self._processes:
                self._processes.remove(process)

    def close(self) -> None:
        """End every process, drop every database."""
        self.stop(*reversed(self._processes), grace=10)
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            for name in self._databases:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[arg-type]
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a new PostgreSQL database."""
        name = f"dialer_bench_{uuid.uuid4().hex[:10]}"
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
        self._databases.append(name)
        return POSTGRES.rpartition("/")[0] + "/" + name

    def redis(self) -> str:
        """The URL of a new Redis-compatible server on TCP, append-only file on."""
        port = free_port()
        folder = self.folder / f"redis-{port}"
        folder.mkdir()
        self.start(
            [str(find_server()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder),
             "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"],
            f"redis-{port}",
        )  # fmt: skip
        until(lambda: is_listening(port), "Redis listens")
        return f"redis://127.0.0.1:{port}/0"

    def provider(self, *options: str) -> int:
        """Start the provider; its port."""
        port = free_port()
        self.start([str(compiled()), str(port), *options], f"provider-{port}")
        until(lambda: is_listening(port), "the provider listens")
        return port


def compiled() -> Path:
    """The provider's program, compiled when its source is newer."""
    program = Path(tempfile.gettempdir()) / f"dialer-bench-provider-{os.getuid()}"
    source = HERE / "provider.c"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            sys.exit("The benchmarks need a C compiler for their provider: install gcc.")
        subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def until(condition: Callable[[], Any], what: str, timeout: float = 60, every: float = 0.05) -> Any:
    """Wait until `condition` is true; what it returned. Ends the run after `timeout` seconds."""
    give_up = time.monotonic() + timeout
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > give_up:
            sys.exit(f"not within {timeout} s: {what}")
        time.sleep(every)


def get_json(url: str) -> dict[str, Any]:
    """GET a JSON object."""
    with urllib.request.urlopen(url, timeout=10) as reply:
        answer: dict[str, Any] = json.load(reply)
        return answer


@contextlib.contextmanager
def bench() -> Iterator[Bench]:
    """A bench that is closed whatever happens."""
    one = Bench()
    try:
        yield one
    finally:
        one.close()


def steady_rate(samples: list[tuple[float, int]], total: int) -> float:
    """Per second between a tenth and nine tenths of the way: without start and end."""
    low = next(sample for sample in samples if sample[1] >= total * 0.1)
    high = next(sample for sample in samples if sample[1] >= total * 0.9)
    return (high[1] - low[1]) / (high[0] - low[0])
