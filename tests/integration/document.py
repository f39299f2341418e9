"""The OpenAPI document of the application with all of its routes, made once: it takes a second."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine

from dialer.api import outbound
from dialer.api.app import make_app
from dialer.settings import Settings


def _document() -> dict[str, Any]:
    engine, own = create_engine("sqlite://"), Settings(home=Path("unused"), _env_file=None)
    singles = outbound.make_router(engine, own, lambda _: None)
    return make_app(engine, own, extra_routers=[singles]).openapi()


DOCUMENT = _document()
#: Path and method of each route below /api and /v1.
OPERATIONS = [
    (path, method)
    for path, operations in DOCUMENT["paths"].items()
    if path.startswith(("/api/", "/v1/"))
    for method in operations
]


def examples(content: Mapping[str, Any]) -> list[Any]:
    """The bodies that the document shows of one media type."""
    if "example" in content:
        return [content["example"]]
    return [one["value"] for one in content.get("examples", {}).values()]
