"""`dialer demo`: a whole campaign, from the CSV to the CDRs, on this machine and without ringing anybody."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dialer.cli.output import Json, mark, print_json, print_rows, remark

#: Rings and talks last a twenty-fifth of what they would.
TIME_SCALE = 0.04
#: Seconds without a final callback after which a call is looked into. Longer than the longest played call and than
#: the reply that never comes.
RECONCILE_AFTER = 10.0


def demo(
    contacts: Annotated[int, typer.Option(min=20, max=4000, help="How many people to call.")] = 300,
    home: Annotated[
        Path | None,
        typer.Option(
            file_okay=False, help="Keep everything in this folder [default: a new one, removed at the end]."
        ),
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Run a whole campaign here, ringing nobody.

    From a CSV of contacts to CDRs, through a provider's adapter and the played provider, on a throw-away installation.
    Exit code 1 when the numbers do not add up.
    """
    from dialer.demo.run import run
    from dialer.demo.stack import Ports, running, settle_in
    from dialer.settings import get_settings

    began, ports = time.monotonic(), Ports.free()
    with _home(home) as folder:
        settle_in(folder, ports, RECONCILE_AFTER)
        get_settings.cache_clear()
        remark(f"Starting API, scheduler, workers, Flower, Redis and the played providers in {folder} …")
        with running(folder, ports, TIME_SCALE):
            remark(f"Ready after {time.monotonic() - began:.0f} s.")
            result = run(contacts, ports)
            result["seconds"] = round(time.monotonic() - began, 1)
            _show(result, as_json=json)
            if keep:
                _wait_for_ctrl_c(result["urls"])
        if not all(check["ok"] for check in result["checks"]):
            remark("The numbers do not add up: the line above that says fail tells where.")
            raise typer.Exit(1)


def _show(result: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    typer.echo("\nWhat became of the calls (CDRs by dial status)\n")
    total = max(1, sum(result["cdrs"].values()))
    print_rows(
        [
            {"dial_status": name, "cdrs": count, "share": f"{100 * count / total:.0f} %"}
            for name, count in result["cdrs"].items()
        ],
        ["dial_status", "cdrs", "share"],
        as_json=False,
        nothing="None.",
    )
    typer.echo("\nWhat became of the people\n")
    print_rows(
        [{"end": name, "people": count} for name, count in result["ends"].items()],
        ["end", "people"],
        as_json=False,
        nothing="None.",
    )
    typer.echo("\nDoes it add up?\n")
    for check in result["checks"]:
        typer.echo(f"{mark('ok' if check['ok'] else 'fail')}  {check['check']}")
    typer.echo("")
    for name, url in result["urls"].items():
        typer.echo(f"{name:<9} {url}")
    remark(f"\nDone in {result['seconds']:.0f} s. `dialer demo --keep` leaves it running to look around.")


def _wait_for_ctrl_c(urls: dict[str, str]) -> None:
    from dialer.settings import get_settings

    remark(f"Everything runs on. Flower's login is {get_settings().flower_login()}. Ctrl-C stops it.")
    remark(f"The API is described at {urls['API docs']}.")
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


@contextlib.contextmanager
def _home(home: Path | None) -> Iterator[Path]:
    if home is not None:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        yield home.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="dialer-demo-", ignore_cleanup_errors=True) as folder:
        before = Path.cwd()
        try:
            yield Path(folder).resolve()
        finally:
            # The folder cannot be removed everywhere while it is somebody's current one.
            with contextlib.suppress(OSError):
                os.chdir(before)
