"""The installation of the demonstration: `dialer up` in a home of its own, with the sandbox."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from dialer import tether
from dialer.cli.errors import CommandError

READY_WITHIN = 90.0  # seconds
STOP_WITHIN = 90.0  # seconds; the supervisor kills its children before
LAST_LINES = 15
_LOOK_EVERY = 0.1  # seconds


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the demonstration listens, on 127.0.0.1."""

    api: int
    flower: int
    sandbox: int

    @classmethod
    def free(cls) -> Ports:
        """Ports that nobody uses now."""
        with contextlib.ExitStack() as held:
            sockets = [held.enter_context(socket.socket()) for _ in range(3)]
            for one in sockets:
                one.bind(("127.0.0.1", 0))
            return cls(*(one.getsockname()[1] for one in sockets))


def settle_in(home: Path, ports: Ports, reconcile_after: float) -> None:
    """Makes this process and its children use the demonstration's settings and no others: no variable and no
    `.env` file of a real installation reaches them."""
    for name in [name for name in os.environ if name.startswith("DIALER_")]:
        del os.environ[name]
    os.environ.update(
        DIALER_HOME=str(home),
        DIALER_HOST="127.0.0.1",
        DIALER_PORT=str(ports.api),
        DIALER_FLOWER_PORT=str(ports.flower),
        DIALER_RECONCILE_AFTER=str(reconcile_after),
    )
    os.chdir(home)


@contextlib.contextmanager
def running(home: Path, ports: Ports, time_scale: float) -> Iterator[None]:
    """`dialer up` with the sandbox, ready; stopped at the end. `CommandError` with its last words when it cannot
    start. What it says goes to `home/demo.log`."""
    log = home / "demo.log"
    argv = [
        sys.executable, "-m", "dialer", "up",
        f"--sandbox-port={ports.sandbox}", f"--sandbox-time-scale={time_scale}",
    ]  # fmt: skip
    with log.open("wb") as output, _sigterm_as_exit():
        # The command line is our own, and there is no shell.
        process = subprocess.Popen(  # noqa: S603
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for us; we then stop it in order
            preexec_fn=tether.preexec(signal.SIGTERM),  # noqa: PLW1509 - one prctl call, no lock taken
        )
        try:
            _wait_ready(process, home, log)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()  # its children are tethered to it
                process.wait()


def last_lines(log: Path) -> str:
    """The end of the installation's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LAST_LINES:])


def _wait_ready(process: subprocess.Popen[bytes], home: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not _is_ready(home / "run" / "up.json"):
        if process.poll() is not None:
            raise CommandError(f"The demonstration could not start:\n{last_lines(log)}")
        if time.monotonic() > deadline:
            raise CommandError(
                f"The demonstration was not ready within {READY_WITHIN:g} s:\n{last_lines(log)}"
            )
        time.sleep(_LOOK_EVERY)


def _is_ready(report: Path) -> bool:
    try:
        return bool(json.loads(report.read_text(encoding="utf-8"))["ready"])
    except (OSError, ValueError, KeyError):
        return False  # not there yet


@contextlib.contextmanager
def _sigterm_as_exit() -> Iterator[None]:
    """SIGTERM leaves through every `finally`, as Ctrl-C does."""

    def leave(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
