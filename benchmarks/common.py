"""What every benchmark needs: processes on two cores, a database of its own, a Redis of its own, the provider in C."""

from __future__ import annotations

import contextlib
import hashlib
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

import psutil
import psycopg

from dialer.embedded import EmbeddedServerError, find_server
from dialer.tether import preexec

HERE = Path(__file__).parent
#: The cores that everything measured runs on: two of those that this process may use.
CORES = os.environ.get("BENCH_CORES") or ",".join(
    str(number)
    for number in (sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0, 1])[:2]
)
POSTGRES = os.environ.get("DIALER_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")


def core_numbers() -> set[int]:
    """The cores of `CORES`."""
    return {int(number) for number in CORES.split(",")}


def check_needs() -> None:
    """End with a sentence that says what is missing on this machine, if anything is."""
    try:
        with psycopg.connect(POSTGRES, connect_timeout=3) as connection:
            row = connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone()
    except psycopg.OperationalError as error:
        why = str(error).strip().partition("\n")[0]
        sys.exit(
            f"The benchmarks need PostgreSQL ({why}): start one, or name one in DIALER_TEST_POSTGRES_URL as "
            "postgresql://user:password@host:port/postgres."
        )
    if row is None or not row[0]:
        sys.exit(
            "The benchmarks make databases and fill them fast: give them a PostgreSQL superuser in "
            "DIALER_TEST_POSTGRES_URL."
        )
    try:
        find_server()
    except EmbeddedServerError as error:
        sys.exit(f"The benchmarks need a Redis-compatible server: {error}")
    compiled()


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
    _names: dict[int, str] = field(default_factory=dict)

    def start(
        self, argv: list[str], name: str, cores: str = CORES, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a process on the benchmark's cores, or these; its output goes to a file of that name."""
        with (self.folder / f"{name}.log").open("ab") as output:
            process = subprocess.Popen(
                pinned(argv, cores),
                env={**os.environ, **environment},
                stdout=output,
                stderr=output,
                cwd=HERE.parent,
                start_new_session=True,
                preexec_fn=preexec(),  # noqa: PLW1509 - one thread here; nothing outlives a benchmark that is killed
            )
        self._processes.append(process)
        self._names[process.pid] = name.rpartition("-")[0] or name
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

    def tell(self) -> None:
        """Show the last words of its processes: something went wrong."""
        for log in sorted(self.folder.glob("*.log")):
            words = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
            print("\n".join([f"--- {log.stem}", *words]), file=sys.stderr)

    def close(self) -> None:
        """End every process, drop every database."""
        self.stop(*reversed(self._processes), grace=10)
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            for name in self._databases:
                connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        shutil.rmtree(self.folder, ignore_errors=True)

    def cpu_seconds(self) -> dict[str, float]:
        """What its processes have used so far, by name, their children included; and what PostgreSQL has used for
        its databases that is still connected."""
        used = {
            self._names[process.pid]: _cpu_of(process.pid)
            for process in self._processes
            if process.poll() is None
        }
        with psycopg.connect(POSTGRES) as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s)", [self._databases]
            )
            used["PostgreSQL"] = sum(_cpu_of(pid) for (pid,) in rows)
        return used

    def database(self) -> str:
        """The URL of a new PostgreSQL database."""
        name = f"dialer_bench_{uuid.uuid4().hex[:10]}"
        with psycopg.connect(POSTGRES, autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
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


def pinned(argv: list[str], cores: str) -> list[str]:
    """The command on these cores, where `taskset` can keep it there."""
    return ["taskset", "-c", cores, *argv] if shutil.which("taskset") else argv


def compiled(name: str = "provider") -> Path:
    """The program of `name`.c, compiled once for each form of its source: checkouts that differ share none."""
    source = HERE / f"{name}.c"
    form = hashlib.sha256(source.read_bytes()).hexdigest()[:12]
    program = Path(tempfile.gettempdir()) / f"dialer-bench-{name}-{form}-{os.getuid()}"
    if not program.exists():
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            sys.exit("The benchmarks need a C compiler for what plays the provider: install gcc.")
        unfinished = program.with_name(f"{program.name}-{os.getpid()}")
        subprocess.run([compiler, "-O2", "-o", str(unfinished), str(source)], check=True)
        unfinished.replace(program)  # whole at once: another run may be looking for it
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
    """A bench that is closed whatever happens. This process and what it starts keep to the cores from now on."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, core_numbers())
    one = Bench()
    try:
        yield one
    except BaseException:
        one.tell()
        raise
    finally:
        one.close()


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process and of its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        times = [one.cpu_times() for one in [process, *process.children(recursive=True)]]
        return float(sum(one.user + one.system for one in times))
    return 0.0


def _cpu_seconds() -> tuple[float, float]:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0), sum(times)


@dataclass
class Busy:
    """How many cores' worth of work the machine does, from `Busy()` on."""

    _before: tuple[float, float] = field(default_factory=_cpu_seconds)

    def cores(self) -> float:
        """Cores busy on average since then; of all the machine's."""
        busy, total = (now - then for now, then in zip(_cpu_seconds(), self._before, strict=True))
        return busy / total * (os.cpu_count() or 1) if total else 0.0


def post(url: str) -> None:
    """POST nothing."""
    urllib.request.urlopen(urllib.request.Request(url, data=b"", method="POST"), timeout=5).close()


def steady_rate(done: Callable[[], int], total: int, what: str, timeout: float = 300) -> float:
    """Wait until `done()` is `total`; how many a second between a tenth and nine tenths of the way, without start
    and end."""
    samples: list[tuple[float, int]] = []

    def is_done() -> bool:
        samples.append((time.monotonic(), done()))
        return samples[-1][1] >= total

    until(is_done, f"{total} {what}", timeout=timeout, every=0.25)
    low = next(sample for sample in samples if sample[1] >= total * 0.1)
    high = next(sample for sample in samples if sample[1] >= total * 0.9)
    return (high[1] - low[1]) / (high[0] - low[0])
