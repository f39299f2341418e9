"""Priority: who works for campaigns lets passwords and callbacks go first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dialer.priority import AUTOGROUP, STEPS

STEP_BACK = "from dialer.priority import step_back; step_back(); step_back(); import os; print(os.nice(0))"


HAND_OVER = (
    "from dialer.priority import hand_over_soon; hand_over_soon(); import sys; print(sys.getswitchinterval())"
)


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


def test_threads_of_a_process_that_is_waited_for_hand_over_ten_times_as_soon() -> None:
    told = subprocess.run(
        [sys.executable, "-c", HAND_OVER],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(told.stdout) <= sys.getswitchinterval() / 10
