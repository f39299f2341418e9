"""The fixtures of `backends`; other modules import names from there, since every folder here has a conftest."""

from __future__ import annotations

from backends import make_backend, make_service

__all__ = ["make_backend", "make_service"]
