"""What nobody uses is not loaded, and what stays is not looked through again."""

from __future__ import annotations

import importlib
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from dialer import http
from dialer.memory import give_back, keep_one_heap, without


def test_a_module_is_as_if_not_installed_inside_and_there_again_after() -> None:
    sys.modules.pop("antigravity", None)
    with without("antigravity"), pytest.raises(ImportError):
        importlib.import_module("antigravity")
    assert "antigravity" not in sys.modules


def test_a_stand_in_holds_what_it_was_given() -> None:
    with without("click_repl_of_nobody", register_repl=len):
        assert importlib.import_module("click_repl_of_nobody").register_repl is len
    assert "click_repl_of_nobody" not in sys.modules


def test_what_is_loaded_already_stays() -> None:
    with without("json"):
        assert importlib.import_module("json").dumps([]) == "[]"
    assert "json" in sys.modules


def test_heaps_can_be_asked_for_anywhere() -> None:
    keep_one_heap()
    give_back()


KEEP = "from dialer.memory import keep_for_good; keep_for_good()"
REHEARSE = """
import threading
from workers import rehearsal
rehearsal.aside(lambda: {rehearsal})
[one.join() for one in threading.enumerate() if one.name == "rehearsal"]
"""
LEFT = "\nimport gc; print(gc.get_freeze_count() > 10 * len(gc.get_objects()))"


@pytest.mark.parametrize("do", [KEEP, REHEARSE.format(rehearsal=None), REHEARSE.format(rehearsal="1 / 0")])
def test_who_has_all_that_it_needs_keeps_it_for_good(do: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", do + LEFT],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "True"


LOAD = """
import sys
from dialer.cli import up
with up._spare():
    from dialer import fork, logs, schema
    from workers import rehearsal
    fork.load(up.SHARED)
print(*sorted({"rich", "pygments"} & sys.modules.keys()))
"""


def test_what_all_of_dialer_up_shares_holds_nothing_for_colours() -> None:
    told = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == ""


def test_all_clients_of_a_process_share_the_authorities_that_they_trust() -> None:
    one, other = http.make_client(1), http.make_client(1)
    assert one._transport.ssl_context is other._transport.ssl_context is http.authorities()
    assert http.authorities().verify_mode is ssl.CERT_REQUIRED
    assert http.authorities().check_hostname
