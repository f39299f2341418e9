"""`dialer …`, each command in a process of its own, forked from one that has loaded it: loading takes longer than most
commands, and tests give dozens. That a new interpreter does the same is shown wherever a service starts its processes,
and by tests/integration/test_cli.py."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

#: What commands load. Nothing here reads the environment: each command has its own.
LOADED = [
    "dialer.accounts",
    "dialer.campaigns.control",
    "dialer.cli",
    "dialer.models",
    "dialer.providers.kinds",
    "dialer.providers.setup",
    "dialer.schema",
    "dialer.store.tables",
    "psycopg",
]
#: Forks of a process that has one thread and no connection, which the process of the tests has not.
_loaded = multiprocessing.get_context("forkserver")
_loaded.set_forkserver_preload(LOADED)


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended, and what it printed."""

    exit_code: int | None
    stdout: str
    stderr: str


def run(arguments: tuple[str, ...], env: Mapping[str, str], folder: Path, within: float) -> Done:
    """`dialer …` in this folder with this environment; killed when it is not done `within` seconds."""
    with TemporaryDirectory() as printed:
        stdout, stderr = Path(printed, "stdout"), Path(printed, "stderr")
        process = _loaded.Process(target=_live, args=(arguments, dict(env), folder, stdout, stderr))
        process.start()
        process.join(within)
        if process.is_alive():
            process.kill()
            process.join()
        return Done(process.exitcode, stdout.read_text(encoding="utf-8"), stderr.read_text(encoding="utf-8"))


def _live(arguments: tuple[str, ...], env: dict[str, str], folder: Path, stdout: Path, stderr: Path) -> None:
    """The life of the fork."""
    for descriptor, path in ((0, Path(os.devnull)), (1, stdout), (2, stderr)):
        opened = os.open(path, os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["dialer", *arguments]
    runpy.run_module("dialer", run_name="__main__", alter_sys=True)
