"""Runs `python -m module …` in a fork of this process instead of in a new interpreter.

For memory: a new interpreter loads some 100 MB of modules for itself; forks share those that were loaded before
(`load`). The program finds what it would find after an exec: its command line, its environment, a session of its
own, default signals, nothing open but its output. Three things differ: modules already loaded have read this
process's environment, exit handlers (`atexit`) may not be run, and `ps` shows the command line as a title.

Fork only from a process with one thread and without connections.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkProcess

from setproctitle import setproctitle

from dialer import tether
from dialer.memory import keep_for_good, keep_one_heap

#: Elsewhere the system's own libraries may break in a fork that does not exec (macOS).
IS_POSSIBLE = sys.platform == "linux"


class Fork:
    """A running fork, with as much of the face of a `subprocess.Popen` as the supervisor looks at."""

    def __init__(self, process: ForkProcess) -> None:
        self._process = process
        assert process.pid is not None  # noqa: S101 - narrows the type; it was started
        self.pid: int = process.pid

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        """Sends a signal, unless the fork is known to be gone."""
        if self.poll() is None:
            os.kill(self.pid, number)


def load(modules: Sequence[str]) -> None:
    """Imports these modules, for the forks to share; call it right before the first fork."""
    for name in modules:
        importlib.import_module(name)
    # A collection writes to every object that it looks at, and a page that is written to is shared no more.
    keep_for_good()


def fork(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    output: int | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> Fork:
    """Starts `[python, "-m", module, *arguments]`.

    `output` is the file descriptor for what it prints; without it our own are inherited. `death_signal` is what it
    gets when this process dies.
    """
    # A signal in between would run this process's handlers in the fork, and be lost.
    held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        process = multiprocessing.get_context("fork").Process(
            target=_live, args=(list(argv), env, output, death_signal, os.getpid(), held)
        )
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    return Fork(process)


def _live(
    argv: list[str],
    env: Mapping[str, str] | None,
    output: int | None,
    death_signal: signal.Signals,
    parent: int,
    mask: set[signal.Signals],
) -> None:
    """The life of the fork."""
    os.setsid()
    tether.tether(death_signal, parent)
    keep_one_heap()
    _default_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    _open_only(output)
    setproctitle(
        " ".join(argv)
    )  # first: it finds its place beside the environment that the process was born with
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
    sys.argv = ["-m", *argv[3:]]
    try:
        runpy.run_module(argv[2], run_name="__main__", alter_sys=True)
    except Exception:  # noqa: BLE001 - told as the end of any program, and no line of our parent's stack with it
        sys.excepthook(*sys.exc_info())
        sys.exit(1)


def _default_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _open_only(output: int | None) -> None:
    """Nothing to read, `output` or our parent's own output to write to, and nothing else open."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - as the interpreter opens it
    if output is not None:
        os.dup2(output, 1)
        os.dup2(output, 2)
    # The objects that hold the others lie in frames of our parent's that never end here: none is closed twice.
    watched = multiprocessing.parent_process()
    kept = {0, 1, 2, watched.sentinel if watched is not None else 0}
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):  # the listing's own
                os.close(int(name))
