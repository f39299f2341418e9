"""Who waits for whom, where processes share too few cores.

A callback that is answered late is sent again, and a person waits for a one-time password; a campaign has hours. So
processes that work for campaigns step back: the API and the fast lane come first. They lose nothing while a core is
free.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: Of 40 steps: two fifths of what another process gets.
STEPS = 4
AUTOGROUP = Path("/proc/self/autogroup")


def step_back() -> None:
    """Let other processes go first; what this one forks from now on does, too."""
    if not hasattr(os, "nice"):  # Windows
        return
    os.nice(max(0, STEPS - os.nice(0)))
    # Linux shares cores out among sessions first, and asks for a process's steps only within its own.
    if hasattr(os, "getsid") and os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):  # a kernel without, a container that may not
            AUTOGROUP.write_text(str(STEPS))
