"""The suite hears what must not be told, wherever it is told, also when tests are shared among processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LEAKS = {
    "a log": "logging.getLogger('x').warning('calls %s', '+46701112233')",
    "stderr": "print('calls 46701112233', file=sys.stderr)",
    "stdout": "print('key sEcrEt-key-0815')",
    "a child": "subprocess.run([sys.executable, '-c', 'import sys; sys.stderr.write(chr(52) + \"6701112233\")'])",
    "a code": "logging.getLogger('x').error('otp=%s', '730519')",
    "a spoken code": "logging.getLogger('x').error('says 7, 3, 0, 5, 1, 9')",
    "a log file": "secrecy.hear('worker.log', 'line one\\nto +12025550150\\n')",
    "a secret of its own": "secrecy.keep('an-auth-key-of-now'); secrecy.hear('up.log', 'an-auth-key-of-now')",
    "a login as it is sent": "print('dXNlcjpzM3NhbWU=')",
    "any login as it is sent": "print({'Authorization': 'Basic c29tZWJvZHk6dGhlaXIgb3du'})",
    "a login of its own": "secrecy.keep_login('me', 'my-own'); print(secrecy.as_sent('me', 'my-own'))",
    "a token": "print('eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJhY21lIn0.c2lnbmF0dXJl')",
    "a number of its own": "secrecy.keep('33612345678'); print('to +33612345678')",
}
HARMLESS = (
    "request 0ahk1987xq3tz",
    "pid=1987 port=1987 127.0.0.1:1987 line 1987",
    "took 0.1987 s at 2026-01-13T12:19:87.730519Z",
    "number tag 9f86d081, 1234567890123 bytes",
    "set the user of Basic authorization: Basic auth, basic settings",
    "eyJhbGciOiJSUzI1NiJ9 is the head of a token",
)
PLAIN = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio")
HEAD = "import logging, subprocess, sys\nimport secrecy\n"


def run(folder: Path, place: str, bodies: list[str], *options: str) -> str:
    """What a suite of these tests says that listens as this one does."""
    tests = "".join(f"def test_{number}():\n    {body}\n\n" for number, body in enumerate(bodies))
    (folder / place).mkdir()
    (folder / "conftest.py").write_text("from secrecy import pytest_runtest_makereport\n", encoding="utf-8")
    (folder / place / "test_it.py").write_text(HEAD + tests, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", *PLAIN, f"--rootdir={folder}", *options, str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    # Not by pytester, which would say it all again.
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return f"{done.stdout}\nexit code {done.returncode}"


@pytest.mark.parametrize("options", [(), ("-n2",)], ids=["alone", "shared"])
def test_every_leak_fails_its_test_and_the_suite(tmp_path: Path, options: tuple[str, ...]) -> None:
    said = run(tmp_path, "integration", [*LEAKS.values(), "pass"], *options)
    # A test that passed and then told something counts as passed and as an error.
    assert f" {len(LEAKS) + 1} passed, {len(LEAKS)} errors in " in said
    assert "exit code 1" in said
    assert "worker.log, line 2, tells '+12025550150': to +12025550150" in said


def test_what_only_looks_like_a_secret_is_none(tmp_path: Path) -> None:
    said = run(tmp_path, "integration", [f"print({one!r})" for one in HARMLESS])
    assert f" {len(HARMLESS)} passed in " in said


def test_unit_tests_may_log_what_is_to_be_hidden(tmp_path: Path) -> None:
    said = run(tmp_path, "unit", [*LEAKS.values()])
    assert f" {len(LEAKS)} passed in " in said
