"""`dialer up`: everything on this machine, kept running by one supervisor."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Annotated

import typer

from dialer.cli.errors import CommandError, address
from dialer.cli.output import remark
from dialer.cli.processes import Host, Port, api_argv, flower_argv, flower_environment, worker_argv

if TYPE_CHECKING:
    from dialer.settings import Settings
    from dialer.supervisor import Child

#: Who stops first: what makes work, what does it, what hears of it, what plays the providers; the embedded server
#: (100) goes last.
MAKES_WORK, WORKS, HEARS, PLAYS = 0, 10, 20, 30
#: Flower shows tasks and workers: whoever wants it elsewhere runs `dialer flower` behind a TLS proxy.
FLOWER_HOST = "127.0.0.1"
#: Seconds that a worker gets to finish: longer than a task may take (`workers.app.TIME_LIMIT`).
GRACE = 65.0
#: What the processes import sooner or later: loaded once, shared by all (`dialer/fork.py`).
SHARED = (
    "anyio._backends._asyncio",
    "celery.app.control",
    "celery.app.events",
    "celery.app.log",
    "celery.apps.worker",
    "celery.bin.celery",
    "celery.concurrency.prefork",
    "celery.concurrency.solo",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "dialer.asgi",
    "kombu.pidbox",
    "kombu.transport.redis",
    "packaging.version",
    "uvicorn.lifespan.on",
    "uvicorn.protocols.http.httptools_impl",
    "workers.scheduler",
    "workers.tasks",
)
FLOWER = ("flower.command", "tornado.platform.asyncio")
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - looked up, not listened on


def up(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that place calls.")] = 2,
    no_flower: Annotated[bool, typer.Option("--no-flower", help="Leave the workers' web page out.")] = False,
    sandbox_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Also play the providers, on this port.")
    ] = None,
    sandbox_time_scale: Annotated[
        float, typer.Option(min=0, help="Factor on the played ring and talk times.")
    ] = 1.0,
) -> None:
    """Run everything on this machine.

    Database, Redis, API, scheduler, workers and Flower, kept running; campaigns go on where they stood. Ctrl-C or
    SIGTERM drains and stops all of it.
    """
    with _spare():
        from dialer import fork, logs, schema
        from dialer.cli.database import any_database
        from dialer.embedded import EmbeddedServer
        from dialer.providers import kinds
        from dialer.settings import get_settings
        from dialer.supervisor import Supervisor, embedded_child
        from workers.rehearsal import rehearse_for_forks

    # The children read the same variables.
    given = {"DIALER_HOST": host, "DIALER_PORT": port}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    get_settings.cache_clear()
    settings = get_settings()
    logs.configure(settings)
    settings.secret_keys()
    logging.getLogger("alembic").setLevel(logging.WARNING)

    server = EmbeddedServer.of(settings) if settings.is_embedded_redis else None
    try:
        # Takes the home's lock: a second `dialer up` on it ends here.
        children = [embedded_child(server)] if server is not None else []
        ports = [(settings.host, settings.port, "--port")]
        if not no_flower:
            mend = "DIALER_FLOWER_PORT, or leave Flower out with --no-flower"
            ports.append((FLOWER_HOST, settings.flower_port, mend))
        if sandbox_port is not None:
            ports.append(("127.0.0.1", sandbox_port, "--sandbox-port"))
        for listen_on, wanted, mend in ports:
            _check_port(listen_on, wanted, mend)
        with any_database() as engine:
            with _spare():
                schema.upgrade(engine)
            if fork.IS_POSSIBLE:
                rehearse_for_forks(engine)
        children += _children(settings, os.environ, workers=workers, flower=not no_flower)
        if sandbox_port is not None:
            children.append(_sandbox_child(os.environ, sandbox_port, sandbox_time_scale))
        where = _where(settings, flower=not no_flower, sandbox_port=sandbox_port)
        if fork.IS_POSSIBLE:
            with _spare():
                fork.load([*SHARED, *kinds.modules(), *([] if no_flower else FLOWER)])
        Supervisor(children, settings.home, on_ready=lambda: remark(where)).run()
    finally:
        if server is not None:
            server.stop()


@contextmanager
def _spare() -> Iterator[None]:
    """Import inside without what others import for a shell and for colours, neither of which these processes have."""
    from dialer.memory import without

    with (
        without("click_repl", register_repl=lambda _: None),
        without("rich"),
        without("pygments"),
    ):
        yield


def _children(
    settings: Settings, environment: Mapping[str, str], *, workers: int, flower: bool
) -> list[Child]:
    """The processes of an installation, in the order of their start."""
    from dialer.supervisor import Child

    env = dict(environment)

    def worker(name: str, queues: list[str], processes: int) -> Child:
        argv = worker_argv(queues, processes, name)
        return Child(name, argv, env=env, stop_order=WORKS, stop_grace=GRACE, fork=True)

    children = [
        Child(
            "api",
            api_argv(settings.host, settings.port),
            env=env,
            stop_order=HEARS,
            ready=answers(settings.host, settings.port, "/healthz"),
            fork=True,
        ),
        worker("calls", ["calls"], workers),
        # One process each: passwords wait for no task of another, and what came of calls for no import.
        worker("otp", ["otp"], 1),
        worker("results", ["results"], 1),
        worker("upkeep", ["upkeep"], 1),
        Child(
            "scheduler",
            [sys.executable, "-m", "dialer", "scheduler"],
            env=env,
            stop_order=MAKES_WORK,
            fork=True,
        ),
    ]
    if flower:
        login = flower_environment(settings.flower_login())
        argv = flower_argv(FLOWER_HOST, settings.flower_port)
        children.append(Child("flower", argv, env=env | login, stop_order=MAKES_WORK, fork=True))
    # What takes longest to be ready is waited for last: all start at once.
    children.sort(key=lambda child: child.ready is not None)
    return children


def _sandbox_child(environment: Mapping[str, str], port: int, time_scale: float) -> Child:
    from dialer.supervisor import Child

    return Child(
        "sandbox",
        [sys.executable, "-m", "dialer", "sandbox", f"--port={port}", f"--time-scale={time_scale}"],
        env=dict(environment),
        stop_order=PLAYS,
        ready=answers("127.0.0.1", port, "/sandbox/stats"),
        fork=True,
    )


def answers(host: str, port: int, path: str) -> Callable[[], bool]:
    """Asks whether `http://host:port/path` answers 200 now."""

    def ask() -> bool:
        connection = HTTPConnection(_EVERY_ADDRESS.get(host, host), port, timeout=1)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    return ask


def _check_port(host: str, port: int, mend: str) -> None:
    """`CommandError` when somebody listens on the port already."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} cannot be used ({error.strerror}): choose another with {mend}."
            ) from None


def _where(settings: Settings, *, flower: bool, sandbox_port: int | None) -> str:
    """What runs where, for people."""
    base = f"http://{_EVERY_ADDRESS.get(settings.host, settings.host)}:{settings.port}"
    lines = [("API", base), ("API docs", f"{base}/docs")]
    if flower:
        login = (
            f"login in {settings.home / 'secrets' / 'flower_auth'}"
            if settings.flower_auth is None
            else "login in DIALER_FLOWER_AUTH"
        )
        lines.append(("Flower", f"http://{FLOWER_HOST}:{settings.flower_port} ({login})"))
    if sandbox_port is not None:
        lines.append(("Sandbox", f"http://127.0.0.1:{sandbox_port} (Mitto is played at /mitto)"))
    lines.append(("Database", address("database_url")))
    lines.append(("Redis", address("redis_url")))
    lines.append(("Home", str(settings.home)))
    width = max(len(name) for name, _ in lines)
    return "\n".join(
        ["Everything runs. Ctrl-C stops it.", *(f"  {name:<{width}}  {what}" for name, what in lines)]
    )
