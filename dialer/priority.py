"""Who waits for whom, where processes share too few cores.

A callback that is answered late is sent again, and a person waits for a one-time password; a campaign has hours. So
processes that work for campaigns step back: the API and the fast lane come first. They lose nothing while a core is
free.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

#: Of 40 steps: a tenth of what another process gets.
STEPS = 10
#: Seconds after which a thread that computes lets another one of its process go on: a tenth of Python's.
HAND_OVER_AFTER = 0.0005
AUTOGROUP = Path("/proc/self/autogroup")


def hand_over_soon() -> None:
    """Let no thread of this process keep the others waiting. Each answer that somebody waits for is read and written
    between threads that store callbacks or write replies; whoever has to wait for one of those at each step waits
    long."""
    sys.setswitchinterval(HAND_OVER_AFTER)


def step_back() -> None:
    """Let other processes go first; what this one forks from now on does, too."""
    if not hasattr(os, "nice"):  # Windows
        return
    os.nice(max(0, STEPS - os.nice(0)))
    # Linux shares cores out among sessions first, and asks for a process's steps only within its own.
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a kernel without, a container that may not
            AUTOGROUP.write_text(str(STEPS))
