"""`dialer api`, `worker`, `scheduler`, `flower`, `sandbox`: one process each, for production.

A command becomes the real program (uvicorn, celery): the same process id, its own signals, nothing in between.
The command lines are made here, for `dialer up` as well. None of them holds a secret: those travel in the
environment.
"""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from dialer.cli.errors import CommandError
from dialer.cli.output import remark

QUEUES = ("otp", "calls", "results", "upkeep")
#: Seconds that running requests get when the API is stopped.
API_GRACE = 10

Host = Annotated[str | None, typer.Option(help="Address to listen on [default: DIALER_HOST].")]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on [default: DIALER_PORT].")]


def api(host: Host = None, port: Port = None) -> None:
    """Serve the HTTP API and the providers' webhooks."""
    from dialer.settings import get_settings

    settings = get_settings()
    _become(api_argv(host or settings.host, settings.port if port is None else port))


def worker(
    queues: Annotated[
        str, typer.Option(help="Queues to serve, separated by commas: otp, calls, results, upkeep.")
    ] = ",".join(QUEUES),
    concurrency: Annotated[int, typer.Option(min=1, help="Processes that work at once.")] = 2,
) -> None:
    """Run a Celery worker. It places calls, consumes events and does the upkeep."""
    from dialer.settings import get_settings

    names = checked_queues(queues)
    get_settings()  # what is wrong with the settings is told before Celery starts
    _become(worker_argv(names, concurrency, f"{'-'.join(names)}-{os.getpid()}"))


def scheduler() -> None:
    """Release what is due, within pace and windows. Any number of these may run."""
    from dialer.settings import get_settings
    from workers.scheduler import run

    run(get_settings())


def flower(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port to listen on [default: DIALER_FLOWER_PORT].")
    ] = None,
) -> None:
    """Show the workers on a read-only web page. It asks for the login of DIALER_FLOWER_AUTH."""
    from dialer.settings import get_settings

    settings = get_settings()
    os.environ.update(flower_environment(settings.flower_login()))
    _become(flower_argv(host, settings.flower_port if port is None else port))


def sandbox(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8900,
    time_scale: Annotated[
        float, typer.Option(min=0, help="Factor on ring and talk times; 0 ends every call at once.")
    ] = 1.0,
    log: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Append every request to this file, one JSON object a line."),
    ] = None,
    callback_url: Annotated[
        str | None, typer.Option(help="Where callbacks go: a provider's webhook_url.")
    ] = None,
) -> None:
    """Play the providers, ringing nobody. The last two digits of a number say how its call ends."""
    from dialer.sandbox import run

    remark(f"Mitto is played at http://{host}:{port}/mitto, which is the --base-url of a provider.")
    run(host, port, time_scale=time_scale, log=log, callback_url=callback_url)


def api_argv(host: str, port: int) -> list[str]:
    """The command line of the API."""
    return [
        sys.executable, "-m", "uvicorn", "dialer.asgi:create_app", "--factory",
        "--host", host, "--port", str(port),
        # Whose word on a client's address counts, DIALER_TRUSTED_PROXIES says.
        "--no-access-log", "--no-server-header", "--no-proxy-headers", "--ws", "none",
        "--timeout-graceful-shutdown", str(API_GRACE),
    ]  # fmt: skip


def worker_argv(queues: list[str], concurrency: int, name: str) -> list[str]:
    """The command line of a worker; `name` must be its alone on this machine."""
    # A worker with one process does its tasks itself: a pool of one would be two processes, of which one hands tasks
    # to the other. Calls wait for their pace and their providers, so their worker only watches over those who do.
    pool = "solo" if concurrency == 1 and "calls" not in queues else "prefork"
    return [
        sys.executable, "-m", "celery", "--quiet", "-A", "workers.app:app", "worker",
        "-Q", ",".join(queues), "-c", str(concurrency), "-P", pool, "-n", f"{name}@%h",
        "--without-mingle", "--without-gossip", "-E",
    ]  # fmt: skip


def flower_argv(host: str, port: int) -> list[str]:
    """The command line of Flower; see `flower_environment` for its login."""
    return [
        sys.executable, "-m", "celery", "-A", "workers.app:app", "flower",
        f"--address={host}", f"--port={port}", "--read_only=True",
        "--max_tasks=500", "--purge_offline_workers=300", "--logging=warning",
    ]  # fmt: skip


def flower_environment(login: str) -> dict[str, str]:
    """What Flower needs in its environment: `login` is `user:password`."""
    return {"FLOWER_BASIC_AUTH": login}


def checked_queues(queues: str) -> list[str]:
    """The names in a comma-separated list. Wrong usage unless all are queues of ours."""
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise typer.BadParameter(
            f"{', '.join(unknown) or 'nothing'} is no queue: choose from {', '.join(QUEUES)}.",
            param_hint="--queues",
        )
    return list(dict.fromkeys(names))


def _become(argv: list[str]) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        os.execv(argv[0], argv)  # noqa: S606 - the command line is our own, and there is no shell
    except OSError as error:
        raise CommandError(f"{argv[0]} cannot be started: {error.strerror}.") from None
