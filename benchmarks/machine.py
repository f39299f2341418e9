"""Facts of the machine that figures were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
import psycopg

from benchmarks.common import HERE, POSTGRES, core_numbers
from dialer.embedded import find_server

PACKAGES = ("celery", "sqlalchemy", "psycopg", "httpx", "httpx-aiohttp", "uvicorn")
#: What decides how fast PostgreSQL commits, plans and reads.
POSTGRES_SETTINGS = ("fsync", "synchronous_commit", "shared_buffers", "max_wal_size", "autovacuum")


def facts() -> dict[str, Any]:
    """Cores, processor, versions, commit, and the settings of PostgreSQL that matter."""
    with psycopg.connect(POSTGRES) as connection:
        server = connection.info.parameter_status("server_version") or ""
        settings = {
            name: row[0]
            for name in POSTGRES_SETTINGS
            if (row := connection.execute(f"SHOW {name}").fetchone()) is not None
        }
    return {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "cpu": _cpu(),
        "cores": len(core_numbers()),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "versions": {
            "Python": platform.python_version(),
            "PostgreSQL": server.partition(" ")[0],
            "Redis": _redis_version(),
            **{name: version(name) for name in PACKAGES},
        },
        "postgresql_settings": settings,
        "postgresql_elsewhere": _postgres_runs_elsewhere(),
    }


def _commit() -> str:
    git = shutil.which("git")
    if git is None:
        return "unknown"
    described = subprocess.run(
        [git, "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} ({platform.machine()})" if names else platform.machine()


def _redis_version() -> str:
    said = subprocess.run(
        [str(find_server()), "--version"], capture_output=True, text=True, check=False
    ).stdout
    found = [word.removeprefix("v=") for word in said.split() if word.startswith("v=")]
    return found[0] if found else "unknown"


def _postgres_runs_elsewhere() -> bool:
    """Whether PostgreSQL may use cores that the benchmarks keep off, so that the figures flatter."""
    if not hasattr(os, "sched_getaffinity"):
        return True
    with psycopg.connect(POSTGRES) as connection:
        row = connection.execute("SELECT pg_backend_pid()").fetchone()
        try:
            return row is None or not os.sched_getaffinity(row[0]) <= core_numbers()
        except OSError:
            return True
