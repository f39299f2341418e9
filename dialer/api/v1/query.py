"""Parameters of a request's query: one that nothing here knows is refused, for a filter that is misspelt would choose
everything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import Request

from dialer.errors import FieldError


def check_names(request: Request) -> None:
    """Raises `FieldError` for a parameter that this endpoint does not have."""
    known = set(_known(request.scope["route"].dependant))
    for name in request.query_params:
        if name not in known:
            mend = f"use {', '.join(sorted(known))}" if known else "leave it out"
            raise FieldError(name, f"{name}: there is no such parameter here: {mend}.")


def _known(dependant: Any) -> Iterator[str]:
    """The names of its parameters, and of those that it depends on."""
    for one in dependant.query_params:
        yield one.alias
    for one in dependant.dependencies:
        yield from _known(one)
