"""A real supervisor process with small children: it restarts, drains in order and leaves nobody behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from dialer import fork, tether
from dialer.settings import Settings
from dialer.supervisor import LONGEST_BACKOFF, STEADY_AFTER, describe_exit, next_backoff

WITHIN = 20.0  # seconds; a deadline, not an expectation
ONLY_WHERE_FORKS_ARE = pytest.mark.skipif(not fork.IS_POSSIBLE, reason="children are forks on Linux only")

# Writes its name to the diary when it starts and when it is told to stop; `stubborn` ignores that.
CHILD = """
import os, signal, sys, time
name, diary = sys.argv[1], sys.argv[2]

def write(what):
    with open(diary, "a") as file:
        file.write(f"{what} {name}\\n")

def stop(*_):
    write("stopping")
    if "slow" in sys.argv:
        time.sleep(0.3)
    write("stopped")
    sys.exit(0)

signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else stop)
if "forks" in sys.argv and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "tethers" in sys.argv:
        from dialer.tether import tether
        tether(signal.SIGKILL)
    with open(diary + ".fork", "w") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(600)
print("hello from", name, flush=True)
write("started")
if "brief" in sys.argv:
    sys.exit(3)
while True:
    time.sleep(0.1)  # a signal just before a long sleep would be noticed after it
"""

MAIN = """
import sys
from pathlib import Path
from dialer.embedded import EmbeddedServer
from dialer.settings import Settings
from dialer.supervisor import Child, Supervisor, SupervisorError, embedded_child
home, child, diary, fork = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4] == "fork"
sys.path.insert(0, str(child.parent))

def wrote(line):
    return lambda: Path(diary).exists() and line in Path(diary).read_text().splitlines()

def program(name, *how, **more):
    run = ["-m", child.stem] if fork else [str(child)]
    return Child(name, [sys.executable, *run, name, diary, *how], fork=fork, **more)

try:
    Supervisor({children}, home).run()
except SupervisorError as error:
    sys.exit(str(error))
"""


class House:
    """One home, a diary that its children write, and the supervisors started on it."""

    def __init__(self, folder: Path, how: str) -> None:
        self.how = how
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        self.diary = folder / "diary"
        self.child = folder / "child_of_the_test.py"
        self.child.write_text(CHILD)
        self.script = folder / "main.py"
        self.started: list[subprocess.Popen[str]] = []
        self.seen: set[int] = set()

    def up(self, children: str) -> subprocess.Popen[str]:
        self.script.write_text(textwrap.dedent(MAIN).replace("{children}", children))
        process = subprocess.Popen(
            [sys.executable, str(self.script), str(self.home), str(self.child), str(self.diary), self.how],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            # A test run that is killed leaves nobody behind either.
            preexec_fn=tether.preexec(),  # noqa: PLW1509
        )
        self.started.append(process)
        return process

    def state(self) -> dict[str, Any]:
        path = self.home / "run" / "up.json"
        found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self.seen |= set(found.get("children", {}).values())
        return found

    def is_ready(self) -> bool:
        return bool(self.state().get("ready"))

    def pids(self) -> dict[str, int]:
        children: dict[str, int] = self.state()["children"]
        return children

    def lines(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []

    def fork(self) -> int:
        path = Path(f"{self.diary}.fork")
        wait_for(lambda: path.exists() and path.read_text().endswith("\n"))
        pid = int(path.read_text())
        self.seen.add(pid)
        return pid


@pytest.fixture(params=["exec", pytest.param("fork", marks=ONLY_WHERE_FORKS_ARE)])
def house(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[House]:
    """Children are new interpreters, or forks of the supervisor."""
    house = House(tmp_path, request.param)
    yield house
    for process in house.started:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
    for pid in house.seen:
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if str(house.diary) in psutil.Process(pid).cmdline():
                os.kill(pid, signal.SIGKILL)


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


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def end(process: subprocess.Popen[str], number: int = signal.SIGTERM) -> str:
    process.send_signal(number)
    return process.communicate(timeout=WITHIN)[1]


def test_a_child_that_dies_is_started_again(house: House) -> None:
    supervisor = house.up("[program('worker'), program('api')]")
    wait_for(lambda: house.is_ready() and len(house.lines()) == 2)
    before = house.pids()

    os.kill(before["worker"], signal.SIGKILL)
    wait_for(lambda: house.pids().get("worker", before["worker"]) != before["worker"])
    wait_for(lambda: house.lines().count("started worker") == 2)

    assert house.pids()["api"] == before["api"]
    told = end(supervisor)
    assert "child died" in told
    assert "SIGKILL" in told
    assert supervisor.returncode == 0


def test_a_child_that_keeps_dying_is_tried_again_and_again(house: House) -> None:
    supervisor = house.up("[program('worker', 'brief'), program('api')]")
    wait_for(lambda: house.lines().count("started worker") >= 3 and "started api" in house.lines())
    assert house.lines().count("started api") == 1
    assert "exit code 3" in end(supervisor)


def test_children_start_in_order_each_when_the_one_before_is_ready(house: House) -> None:
    house.up("[program('redis', ready=wrote('started redis')), program('api', ready=wrote('started api'))]")
    wait_for(house.is_ready)
    assert house.lines() == ["started redis", "started api"]


def test_sigterm_drains_workers_before_the_api_before_the_server(house: House) -> None:
    supervisor = house.up(
        "[program('redis', stop_order=2, ready=wrote('started redis')),"
        " program('api', 'slow', stop_order=1, ready=wrote('started api')),"
        " program('worker', 'slow', stop_order=0, ready=wrote('started worker'))]"
    )
    wait_for(house.is_ready)
    end(supervisor)
    assert supervisor.returncode == 0
    assert house.lines()[3:] == [
        *("stopping worker", "stopped worker"),
        *("stopping api", "stopped api"),
        *("stopping redis", "stopped redis"),
    ]
    assert house.state() == {}


def test_ctrl_c_reaches_the_children_only_through_the_supervisor(house: House) -> None:
    supervisor = house.up("[program('worker', ready=wrote('started worker'))]")
    wait_for(house.is_ready)
    worker = house.pids()["worker"]
    assert os.getsid(worker) == worker
    end(supervisor, signal.SIGINT)
    assert house.lines() == ["started worker", "stopping worker", "stopped worker"]


def test_a_child_that_will_not_stop_is_killed_after_its_grace(house: House) -> None:
    supervisor = house.up("[program('worker', 'stubborn', stop_grace=0.2, ready=wrote('started worker'))]")
    wait_for(house.is_ready)
    worker = house.pids()["worker"]
    end(supervisor)
    assert supervisor.returncode == 0
    assert not is_alive(worker)


def test_a_second_signal_hurries(house: House) -> None:
    supervisor = house.up("[program('worker', 'stubborn', stop_grace=600, ready=wrote('started worker'))]")
    wait_for(house.is_ready)
    worker = house.pids()["worker"]
    supervisor.send_signal(signal.SIGINT)
    # Signals of one kind that wait together are one: the second is of another kind.
    told = end(supervisor, signal.SIGTERM)
    assert "child killed" in told
    assert not is_alive(worker)


def test_kill_9_of_the_supervisor_leaves_nobody_behind(house: House) -> None:
    supervisor = house.up("[program('api', 'stubborn'), program('worker', 'stubborn', 'forks', 'tethers')]")
    wait_for(lambda: house.is_ready() and len(house.lines()) == 2)
    pids = [*house.pids().values(), house.fork()]
    assert all(map(is_alive, pids))
    supervisor.kill()
    wait_for(lambda: not any(map(is_alive, pids)))


def test_what_a_dead_child_had_forked_dies_with_it(house: House) -> None:
    house.up("[program('worker', 'forks')]")
    wait_for(house.is_ready)
    forked, worker = house.fork(), house.pids()["worker"]
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not is_alive(forked))


def test_a_second_supervisor_on_one_home_is_refused_and_told_whose_it_is(house: House) -> None:
    first = house.up("[program('worker')]")
    wait_for(house.is_ready)
    second = house.up("[program('worker')]")
    told = second.communicate(timeout=WITHIN)[1]
    assert second.returncode == 1
    assert f"already runs on {house.home} as process {first.pid}" in told
    assert house.state()["pid"] == first.pid


def test_a_killed_supervisor_does_not_lock_the_home(house: House) -> None:
    first = house.up("[program('worker')]")
    wait_for(house.is_ready)
    first.kill()
    first.wait()
    second = house.up("[program('worker')]")
    wait_for(lambda: house.state().get("pid") == second.pid and house.is_ready())


def test_lines_of_children_carry_their_name(house: House) -> None:
    supervisor = house.up("[program('api', ready=wrote('started api')), program('worker')]")
    wait_for(lambda: house.is_ready() and len(house.lines()) == 2)
    told = end(supervisor).splitlines()
    assert "api    | hello from api" in told
    assert "worker | hello from worker" in told


def test_a_child_that_never_gets_ready_stops_everything_with_a_sentence(house: House) -> None:
    supervisor = house.up("[program('redis'), program('api', ready=lambda: False, ready_within=0.3)]")
    told = supervisor.communicate(timeout=WITHIN)[1]
    assert supervisor.returncode == 1
    assert "api was not ready within 0.3 s" in told
    assert "Traceback" not in told
    assert house.state() == {}


def test_a_program_that_is_not_there_is_a_sentence(house: House) -> None:
    supervisor = house.up("[program('redis'), Child('flower', ['/nowhere/flower'])]")
    told = supervisor.communicate(timeout=WITHIN)[1]
    assert supervisor.returncode == 1
    assert "flower cannot be started: No such file or directory: /nowhere/flower." in told


def test_the_embedded_server_is_restarted_like_any_child_and_goes_with_the_supervisor(house: House) -> None:
    settings = Settings(home=house.home)
    supervisor = house.up("[embedded_child(EmbeddedServer.of(Settings(home=home))), program('worker')]")
    wait_for(house.is_ready)
    first = house.pids()["redis"]
    with redis.Redis.from_url(settings.redis_url) as client:
        assert client.ping()
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: house.pids().get("redis", first) != first)
    with redis.Redis.from_url(settings.redis_url) as client:
        wait_for(lambda: answers(client))
    second = house.pids()["redis"]
    supervisor.kill()
    wait_for(lambda: not is_alive(second))


# What a program may know about its own beginning.
ASKING = """
import json, os, signal, sys
from pathlib import Path
handled = [n.name for n in signal.valid_signals() if callable(signal.getsignal(n))]
def kind(file):
    return os.readlink(file).partition("[")[0]
found = {
    "arguments": sys.argv, "name": __name__, "environment": dict(os.environ), "handled": handled,
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "folder": os.getcwd(),
    "stdin": os.read(0, 9).decode(), "leads_its_session": os.getsid(0) == os.getpid(),
    "files": [kind(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()],
}
told = Path(sys.argv[1])
if not told.exists():
    draft = told.with_suffix(".draft")
    draft.write_text(json.dumps(found))
    draft.replace(told)
sys.exit("enough seen")
"""
LIKE_NEW = """
import os, signal, sys
from pathlib import Path
from dialer.supervisor import Child, Supervisor
told, folder = sys.argv[1:3]
sys.path.insert(0, folder)
left_open = [open(__file__), os.open(__file__, os.O_RDONLY)]
def program(name, fork):
    return Child(
        name, [sys.executable, "-m", "asking", f"{told}.{name}", "--how"], fork=fork,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": folder, "LC_CTYPE": "C.UTF-8", "ONLY": "this"},
        ready=Path(f"{told}.{name}").exists,
    )
def enough():
    os.kill(os.getpid(), signal.SIGTERM)
Supervisor([program("new", False), program("forked", True)], Path(folder), on_ready=enough).run()
"""


@ONLY_WHERE_FORKS_ARE
def test_a_forked_program_finds_what_a_new_one_finds(tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(ASKING)
    (tmp_path / "main.py").write_text(LIKE_NEW)
    told = tmp_path / "told"
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "main.py"), str(told), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=True,
    )
    new, forked = (json.loads(Path(f"{told}.{name}").read_text()) for name in ("new", "forked"))
    assert new.pop("files") == ["/dev/null", "pipe:", "pipe:"]
    # One more: by it the standard library hears of the end of a fork's parent.
    assert forked.pop("files") == ["/dev/null", "pipe:", "pipe:", "pipe:"]
    assert forked == new | {"arguments": [new["arguments"][0], f"{told}.forked", "--how"]}
    assert new["environment"]["ONLY"] == "this"
    for name in ("new   ", "forked"):
        assert f"{name} | enough seen" in ended.stderr


@pytest.mark.parametrize("kernel_helps", [True, False])
def test_a_tethered_process_dies_with_its_parent(tmp_path: Path, kernel_helps: bool) -> None:
    told = tmp_path / "pid"
    child = f"""
import os, signal, time
from dialer import tether
if not {kernel_helps}:
    tether._libc = None
tether.tether(signal.SIGKILL)
with open({str(told)!r}, "w") as file:
    file.write(f"{{os.getpid()}}\\n")
time.sleep(600)
"""
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", parent], env=environment) as process:
        wait_for(lambda: told.exists() and told.read_text().endswith("\n"))
        pid = int(told.read_text())
        assert is_alive(pid)
        process.kill()
    wait_for(lambda: not is_alive(pid))


def test_a_process_whose_parent_died_before_it_was_tethered_dies_at_once() -> None:
    nobody = 2**22 + 1  # above the greatest process id
    script = f"import signal, time; from dialer.tether import tether; tether(signal.SIGKILL, {nobody}); time.sleep(600)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, timeout=WITHIN, check=False)
    assert ended.returncode == -signal.SIGKILL


def test_a_pool_process_whose_worker_died_before_it_was_tethered_dies_at_once() -> None:
    script = """
import os, time
from celery import signals
from workers import process
signals.worker_before_create_process.send(sender=None)
worker = os.getpid()
if os.fork() == 0:
    while os.getppid() == worker:
        time.sleep(0.01)
    signals.worker_process_init.send(sender=None)
    print("nobody stops me", flush=True)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    # Its output ends when both are gone.
    ended = subprocess.run(
        [sys.executable, "-c", script], env=environment, timeout=WITHIN, check=True, capture_output=True
    )
    assert ended.stdout == b""


def test_the_backoff_doubles_to_its_longest_and_begins_anew_after_a_steady_life() -> None:
    waits = [next_backoff(0, lived=0)]
    for _ in range(6):
        waits.append(next_backoff(waits[-1], lived=1))
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_BACKOFF, LONGEST_BACKOFF]
    assert next_backoff(LONGEST_BACKOFF, lived=STEADY_AFTER) == 0.2


def test_an_ending_is_told_in_words() -> None:
    assert describe_exit(3) == "exit code 3"
    assert describe_exit(-signal.SIGKILL) == "SIGKILL"
