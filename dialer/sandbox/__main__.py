"""`python -m dialer.sandbox`: the provider simulators without the rest of the engine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dialer.sandbox import run
from dialer.sandbox.outcomes import table


def main() -> None:
    """Read the options and serve, or print the table of outcomes."""
    parser = argparse.ArgumentParser(prog="python -m dialer.sandbox", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument(
        "--time-scale", type=float, default=1.0, help="factor on ring and talk times, 0: at once"
    )
    parser.add_argument("--log", type=Path, help="append every request to this file, one JSON object a line")
    parser.add_argument("--callback-url", help="where callbacks go")
    parser.add_argument("--callback-user", default="", help="user name of the callbacks' Basic authorization")
    parser.add_argument("--callback-password", default="", help="password of the same")
    parser.add_argument("--access-key", help="the only key accepted; any, unless given")
    parser.add_argument("--outcomes", action="store_true", help="print what a number's end decides, and stop")
    given = parser.parse_args()
    if given.outcomes:
        sys.stdout.write(table() + "\n")
        return
    if given.time_scale < 0:
        parser.error("--time-scale must be 0 or more")
    sys.stderr.write(f"Mitto is played at http://{given.host}:{given.port}/mitto\n")
    run(
        given.host,
        given.port,
        time_scale=given.time_scale,
        log=given.log,
        callback_url=given.callback_url,
        callback_user=given.callback_user,
        callback_password=given.callback_password,
        access_key=given.access_key,
    )


if __name__ == "__main__":
    main()
