"""Keeps the processes of one installation running together: start, restart, drain, stop. `dialer up` is built on it.

No child outlives the supervisor, not even after its kill -9: every child runs in a session of its own (Ctrl-C in
the terminal reaches the supervisor alone, which then stops the children in order) and is tethered to it by the
kernel (`dialer/tether.py`). The tether is not inherited: a child that forks has its own children tether
themselves. A Celery worker's pool processes call `tether(signal.SIGKILL)` in `worker_process_init`.

One thread does everything, between waits for signals and for lines of the children.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dialer import fork, tether
from dialer.embedded import DEATH_SIGNAL, READY_WITHIN, STOP_WITHIN, EmbeddedServer
from dialer.logs import get_logger
from dialer.settings import private_folder

FIRST_BACKOFF = 0.2  # seconds before a child that died is started again; doubles each time …
LONGEST_BACKOFF = 5.0  # … up to this
STEADY_AFTER = 10.0  # seconds of life after which the backoff begins anew
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TICK = 0.1  # seconds between looks at the children when no signal wakes us
_READ_BYTES = 64 * 1024  # also the longest line that is passed on in one piece

log = get_logger(__name__)


class SupervisorError(Exception):
    """These children cannot be run together; the message says how to mend it."""


@dataclass(frozen=True)
class Child:
    """A program to keep running. Times are seconds.

    `before` runs before each start. `ready` (quick; it is asked again and again) must say yes before the next
    child is started; without it a child counts as ready at once. At the end the children with the lowest
    `stop_order` get their `stop_signal` first, all at once; the next ones follow when those are gone. Who is not
    gone after `stop_grace` is killed with its whole process group. With `fork`, `[python, "-m", module, …]` runs in
    a fork of the supervisor where that is possible (`dialer/fork.py`).
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_grace: float = 30.0
    stop_order: int = 0
    ready: Callable[[], bool] | None = None
    ready_within: float = 30.0
    before: Callable[[], None] | None = None
    death_signal: signal.Signals = signal.SIGKILL
    pass_fds: tuple[int, ...] = ()
    fork: bool = False


def embedded_child(server: EmbeddedServer) -> Child:
    """The embedded server as a child: it stops last. Its lock is taken here and held until `server.stop()`."""
    return Child(
        name="redis",
        argv=server.command(),
        before=server.prepare,
        ready=server.answers,
        ready_within=READY_WITHIN,
        stop_grace=STOP_WITHIN,
        stop_order=100,
        death_signal=DEATH_SIGNAL,
        pass_fds=(server.lock_fd(),),
    )


def next_backoff(backoff: float, lived: float) -> float:
    """Seconds to wait before a child that lived `lived` seconds starts again, having waited `backoff` before."""
    if lived >= STEADY_AFTER or backoff == 0:
        return FIRST_BACKOFF
    return min(backoff * 2, LONGEST_BACKOFF)


class Supervisor:
    """Runs `children` until it is told to stop; see the module.

    `home/run/up.lock` keeps a second one away; `home/run/up.json` says what runs:
    `{"pid": …, "ready": bool, "children": {name: pid}}`, written anew at each change and removed at the end.
    With `prefix` the children's lines come out on our stderr as `name | line`; without it they inherit our output.
    `on_ready` is called once, when every child is ready.
    """

    def __init__(
        self,
        children: Sequence[Child],
        home: Path,
        *,
        prefix: bool = True,
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self._run_folder = home / "run"
        self._keepers = [_Keeper(child) for child in children]
        self._on_ready = on_ready
        self._selector = selectors.DefaultSelector()
        self._output = _Output(self._selector, [child.name for child in children]) if prefix else None
        self._ready = False
        self._signals = 0  # how often we were told to stop
        self._reported: object = None

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the children that run now, by name."""
        return {
            keeper.child.name: keeper.process.pid for keeper in self._keepers if keeper.process is not None
        }

    def run(self) -> None:
        """Starts, keeps and, after SIGINT, SIGTERM or SIGHUP, stops the children. Call it from the main thread.

        A second signal kills what is left. `SupervisorError` when another one runs on this home or when a child
        cannot be started at all; nothing is left running then.
        """
        private_folder(self._run_folder)
        with _only_one(self._run_folder / "up.lock"), self._listening():
            try:
                self._start_all()
                while not self._signals:
                    self._look_after(self._keepers)
                    self._wait()
            finally:
                self._stop_all()
                (self._run_folder / "up.json").unlink(missing_ok=True)

    def _start_all(self) -> None:
        for position, keeper in enumerate(self._keepers):
            keeper.start(self._output)
            deadline = time.monotonic() + keeper.child.ready_within
            while not self._signals and not keeper.is_ready():
                if time.monotonic() > deadline:
                    raise SupervisorError(
                        f"{keeper.child.name} was not ready within {keeper.child.ready_within:g} s: "
                        "its lines above say why."
                    )
                self._look_after(self._keepers[: position + 1])
                self._wait()
            if self._signals:
                return
            self._report()
        self._ready = True
        self._report()
        if self._on_ready is not None:
            self._on_ready()

    def _look_after(self, keepers: Sequence[_Keeper]) -> None:
        now = time.monotonic()
        for keeper in keepers:
            keeper.bury(now)
            keeper.restart_if_due(now, self._output)
        self._report()

    def _stop_all(self) -> None:
        orders = sorted({keeper.child.stop_order for keeper in self._keepers})
        for order in orders:
            leaving = [keeper for keeper in self._keepers if keeper.child.stop_order == order]
            for keeper in leaving:
                keeper.ask_to_stop()
            while any(keeper.process is not None for keeper in leaving):
                now = time.monotonic()
                for keeper in leaving:
                    keeper.kill_if_due(now, hurry=self._signals > 1)
                self._wait()
                for keeper in leaving:
                    keeper.bury(now, expected=True)
                self._report()
        if self._output is not None:
            self._output.close()

    def _wait(self) -> None:
        """Until a signal, a line, or the next look is due."""
        for key, _ in self._selector.select(_TICK):
            key.data()

    def _report(self) -> None:
        state = {"pid": os.getpid(), "ready": self._ready, "children": self.pids}
        if state == self._reported:
            return
        draft = self._run_folder / f".up.json.{os.getpid()}"
        draft.write_text(json.dumps(state), encoding="utf-8")
        draft.replace(self._run_folder / "up.json")
        self._reported = state

    @contextlib.contextmanager
    def _listening(self) -> Iterator[None]:
        """Signals are counted and wake the wait; a child's death wakes it, too."""
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        self._selector.register(read_end, selectors.EVENT_READ, lambda: os.read(read_end, _READ_BYTES))
        waker = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        handlers = {
            number: signal.signal(number, self._told_to_stop)
            for number in STOP_SIGNALS
            if not (number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN)  # under nohup
        }
        handlers[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(waker)
            self._selector.close()
            os.close(read_end)
            os.close(write_end)

    def _told_to_stop(self, *_: object) -> None:
        self._signals += 1


class _Keeper:
    """Keeps one child: starts it, buries it, starts it again."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.process: subprocess.Popen[bytes] | fork.Fork | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._kill_at = 0.0
        self._killed = False
        self._backoff = 0.0

    def start(self, output: _Output | None) -> None:
        """Starts the child; `SupervisorError` when there is no such program."""
        child = self.child
        if child.before is not None:
            child.before()
        self._started_at = time.monotonic()
        source, sink = (None, None) if output is None else os.pipe()
        try:
            self.process = self._begin(sink)
        except OSError as error:
            if source is not None:
                os.close(source)
            raise SupervisorError(
                f"{child.name} cannot be started: {error.strerror}: {child.argv[0]}."
            ) from None
        finally:
            if sink is not None:
                os.close(sink)
        if output is not None and source is not None:
            output.follow(child.name, source)

    def _begin(self, sink: int | None) -> subprocess.Popen[bytes] | fork.Fork:
        child = self.child
        if child.fork and fork.IS_POSSIBLE:
            return fork.fork(child.argv, env=child.env, output=sink, death_signal=child.death_signal)
        # The command lines are our own, and no shell reads them.
        return subprocess.Popen(  # noqa: S603
            child.argv,
            env=child.env,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            pass_fds=child.pass_fds,
            start_new_session=True,
            preexec_fn=tether.preexec(child.death_signal),  # noqa: PLW1509 - we have one thread
        )

    def is_ready(self) -> bool:
        """Whether the next child may be started."""
        if self.process is None or self.process.poll() is not None:
            return False
        return self.child.ready is None or self.child.ready()

    def bury(self, now: float, *, expected: bool = False) -> None:
        """If the child has died: tells how, kills what is left of its process group, plans the next start."""
        if self.process is None or (code := self.process.poll()) is None:
            return
        self._kill_group()
        lived = now - self._started_at
        self._backoff = next_backoff(self._backoff, lived)
        self._start_at = now + self._backoff
        ending = describe_exit(code)
        if expected:
            log.info("child stopped", child=self.child.name, ending=ending)
        else:
            log.warning("child died", child=self.child.name, ending=ending, restart_in=self._backoff)
        self.process = None

    def restart_if_due(self, now: float, output: _Output | None) -> None:
        """Starts the child again when it is down and its backoff is over."""
        if self.process is not None or now < self._start_at:
            return
        try:
            self.start(output)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other children go on and we try again
            self._backoff = next_backoff(self._backoff, 0)
            self._start_at = now + self._backoff
            log.warning("child not started", child=self.child.name, error=str(error), retry_in=self._backoff)

    def ask_to_stop(self) -> None:
        """Sends the stop signal to the child alone: what it does with its own children is its affair."""
        if self.process is not None:
            self.process.send_signal(self.child.stop_signal)
            self._kill_at = time.monotonic() + self.child.stop_grace

    def kill_if_due(self, now: float, *, hurry: bool) -> None:
        """Kills the child and its process group when its grace is over, or at once in a hurry."""
        if self.process is None or self._killed or not (hurry or now >= self._kill_at):
            return
        log.warning("child killed, since it did not stop in time", child=self.child.name, in_a_hurry=hurry)
        self._killed = True
        self._kill_group()
        self.process.send_signal(signal.SIGKILL)  # a fork of this moment has no group of its own yet

    def _kill_group(self) -> None:
        if self.process is not None:
            # Nobody left in the group; macOS says "not permitted" when only zombies are.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


class _Output:
    """Passes the children's lines on to our stderr as `name | line`."""

    def __init__(self, selector: selectors.BaseSelector, names: Sequence[str]) -> None:
        self._selector = selector
        self._width = max(map(len, names), default=0)
        self._partial: dict[int, bytes] = {}

    def follow(self, name: str, source: int) -> None:
        """Passes on what comes from the pipe `source` until its end, which may come later than the child's."""
        os.set_blocking(source, False)
        self._partial[source] = b""
        self._selector.register(source, selectors.EVENT_READ, lambda: self._pass_on(name, source))

    def close(self) -> None:
        """Passes on what is still in the pipes and forgets them."""
        for source in list(self._partial):
            key = self._selector.get_key(source)
            while source in self._partial and key.data():
                pass
            if source in self._partial:
                self._forget(source)

    def _pass_on(self, name: str, source: int) -> bool:
        """Whether there was something to pass on."""
        try:
            chunk = os.read(source, _READ_BYTES)
        except BlockingIOError:
            return False
        *lines, rest = (self._partial[source] + chunk).split(b"\n")
        if rest and (not chunk or len(rest) > _READ_BYTES):
            lines.append(rest)
            rest = b""
        self._partial[source] = rest
        prefix = f"{name:<{self._width}} | ".encode()
        _write(b"".join(prefix + line + b"\n" for line in lines))
        if not chunk:
            self._forget(source)
        return bool(chunk)

    def _forget(self, source: int) -> None:
        self._selector.unregister(source)
        os.close(source)
        del self._partial[source]


def describe_exit(code: int) -> str:
    """How a process ended, for people: `exit code 3` or `SIGKILL`."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _write(text: bytes) -> None:
    # Nobody reads our output any more (`dialer up | head`): the children's work goes on all the same.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.buffer.write(text)
        sys.stderr.buffer.flush()


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Holds the lock of a home; the file names the holder."""
    with open(path, "a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "?"
            raise SupervisorError(
                f"`dialer up` already runs on {path.parent.parent} as process {holder}: stop that one, or give this "
                "one a DIALER_HOME of its own."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
