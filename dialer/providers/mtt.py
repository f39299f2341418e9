"""What the kinds of MTT have in common: how requests are authorized, the forms that callbacks have been seen in,
and amounts of money."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from decimal import Decimal
from typing import Any

from dialer.providers.contract import RawEvent, json_object
from dialer.providers.reading import event_fields

#: The examples print a string in braces, `{"date_time=…&id=…"}` or `{"data":{"date_time=…"}}`, which is no JSON.
_STRING_IN_BRACES = re.compile(r'\{\s*(?:"data"\s*:\s*\{\s*"([^"]*)"\s*\}|"([^"]*)")\s*\}\s*,?')


def basic_authorization(user: str, password: str) -> dict[str, str]:
    """The header of HTTP Basic authorization."""
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def event_parameters(raw: RawEvent) -> dict[str, str]:
    """The parameters of a callback: in the URL, as a form, as JSON, and as JSON or braces around one string of
    `name=value` pairs, each of them perhaps within `{"data": …}`. Never raises."""
    body = raw.body.strip()
    if body[:1] != b"{":
        return event_fields(raw)
    found = json_object(body)
    inner: Any
    if found is None:
        printed = _STRING_IN_BRACES.fullmatch(body.decode("utf-8", "replace"))
        if printed is None:
            return event_fields(replace(raw, body=b""))
        inner = printed[1] or printed[2] or ""
    else:
        inner = found["data"] if list(found) == ["data"] else found
        if isinstance(inner, dict) and len(inner) == 1 and "=" in (only := next(iter(inner))):
            inner = only
        if inner is found:
            return event_fields(raw)
    plain = inner if isinstance(inner, str) else json.dumps(inner)
    return event_fields(replace(raw, body=plain.encode("utf-8", "replace")))


def cost(value: Any) -> Decimal | None:
    """An amount of money, or None when it is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if not re.fullmatch(r"-?[0-9]{1,12}(?:\.[0-9]{1,12})?", written := str(value).strip()):
        return None
    return Decimal(written)


def currency(value: Any) -> str:
    """The letters of a currency, which stand in the example alone; "" when they are none."""
    return value if isinstance(value, str) and re.fullmatch(r"[A-Z]{3}", value) else ""
