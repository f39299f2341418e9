"""Dialer: campaigns, callbacks and repeat policies become phone calls, placed through providers over HTTP."""

__version__ = "0.1.0"
