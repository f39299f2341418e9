"""Priority: who works for campaigns lets passwords and callbacks go first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dialer.priority import AUTOGROUP, STEPS

STEP_BACK = "from dialer.priority import step_back; step_back(); step_back(); import os; print(os.nice(0))"


@pytest.mark.skipif(not hasattr(os, "nice"), reason="this system knows no priorities")
@pytest.mark.parametrize("alone", [True, False])
def test_who_steps_back_does_it_once_and_takes_along_no_other_of_its_session(alone: bool) -> None:
    before = AUTOGROUP.read_text() if AUTOGROUP.exists() else ""
    stepped = subprocess.run(
        [sys.executable, "-c", STEP_BACK],
        cwd=Path(__file__).parents[2],
        start_new_session=alone,
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(stepped.stdout) == max(STEPS, os.nice(0))
    assert os.nice(0) <= int(stepped.stdout)
    assert (AUTOGROUP.read_text() if AUTOGROUP.exists() else "") == before
