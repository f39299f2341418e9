"""Bodies that are described by hand in `/docs`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

_WITHIN = "#/$defs/"


def whole(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON Schema with nothing that it refers to: a reference is looked for in the whole document of the API,
    which does not hold what stands beside a schema."""
    schema = model.model_json_schema(by_alias=True)
    found: dict[str, Any] = _whole(schema, schema.pop("$defs", {}))
    return found


def _whole(node: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(node, list):
        return [_whole(one, known) for one in node]
    if not isinstance(node, dict):
        return node
    inner = {key: _whole(value, known) for key, value in node.items() if key != "$ref"}
    if "$ref" not in node:
        return inner
    return {**_whole(known[node["$ref"].removeprefix(_WITHIN)], known), **inner}
