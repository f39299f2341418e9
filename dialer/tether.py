"""Ties the life of a process to its parent's, so that a kill -9 of the parent leaves no orphan.

On Linux the kernel does it: `PR_SET_PDEATHSIG` (prctl(2)) sends a signal when the parent dies. It is cleared
in the children of the tethered process, so each generation tethers itself; a Celery prefork pool process
calls `tether(signal.SIGKILL)` in `worker_process_init`, else it would outlive its worker. The kernel watches
the *thread* that forked: start children from a thread that lives as long as the process.

Elsewhere (macOS, BSD) a daemon thread looks at the parent's id ten times a second. That works for our own
Python processes, through `tether`, and not for a foreign program such as the embedded server: there `preexec`
is None, and a server left behind by a kill -9 is stopped by the next start on the same home.
"""

from __future__ import annotations

import ctypes
import os
import signal as signals
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LOOK_EVERY = 0.1  # seconds, where the kernel does not tell
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def tether(signal: int = signals.SIGKILL, parent: int | None = None) -> None:
    """This process gets `signal` when its parent dies, at once if it is already dead.

    `parent` is the process id the parent had when it forked; without it the parent of this moment is watched.
    """
    parent = os.getppid() if parent is None else parent
    if _libc is None:
        threading.Thread(target=_watch, args=(signal, parent), name="tether", daemon=True).start()
        return
    _set_death_signal(signal, parent)


def preexec(signal: int = signals.SIGKILL) -> Callable[[], None] | None:
    """For `subprocess.Popen(preexec_fn=…)`: the child gets `signal` when this process dies.

    None where the kernel cannot do it. Nothing is imported or looked up between fork and exec.
    """
    if _libc is None:
        return None
    parent = os.getpid()
    return lambda: _set_death_signal(signal, parent)


def _set_death_signal(signal: int, parent: int) -> None:
    assert _libc is not None  # noqa: S101 - narrows the type; both callers have looked
    if _libc.prctl(_PR_SET_PDEATHSIG, signal, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_PDEATHSIG): {os.strerror(number)}")
    # The parent may have died between the fork and the call above: then nobody will send the signal.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal)


def _watch(signal: int, parent: int) -> None:
    pause = threading.Event()
    while os.getppid() == parent:
        pause.wait(_LOOK_EVERY)
    os.kill(os.getpid(), signal)
