"""The provider simulators: real HTTP servers that play providers strictly by their references.

Adapters are run against them in the demo and in tests. `docs/sandbox.md` says what a number's end decides.
"""

from dialer.sandbox.app import make_app, make_server, run

__all__ = ["make_app", "make_server", "run"]
