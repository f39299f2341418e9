"""Settings of an iotcomms provider that stand in its requests and answers word for word
(`iotcomms-mediaservice-api.md`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dialer.providers.contract import ProviderSettingError

#: Settings that are objects of names and values: those of the SIP request that rings the callee.
HEADERS: Mapping[str, str] = {
    "x_headers": "xHeaders",
    "p_headers": "pHeaders",
    "contact_parameters": "contactParameters",
    "contact_user_parameters": "contactUserParameters",
    "sip_diversion_parameters": "sipDiversionParameters",
}
#: … and those that are texts.
TEXTS: Mapping[str, str] = {
    "mediaservice_id": "mediaserviceId",
    "display_name": "displayName",
    "sip_diversion": "sipDiversion",
}
LONGEST_RING = 600  # seconds
#: Of these, how whoever is called is shown who calls: the same for whom somebody is connected with ("/callEvent" and
#: "/newCall", "Response Schema").
SHOWN = frozenset({"display_name", "caller_privacy", "sip_diversion", "sip_diversion_parameters"})


def call_settings(name: str, settings: Mapping[str, str]) -> dict[str, Any]:
    """The fields of placeivrcall that are the same for every call. Raises ProviderSettingError."""
    fields: dict[str, Any] = {}
    for key, field in TEXTS.items():
        if given := settings.get(key, "").strip():
            fields[field] = given
    for key, field in HEADERS.items():
        if given := settings.get(key, "").strip():
            fields[field] = _header_object(name, key, given)
    if given := settings.get("max_ring_time", "").strip():
        if not (given.isascii() and given.isdigit() and 1 <= int(given[:9]) <= LONGEST_RING):
            raise ProviderSettingError(
                f"The max_ring_time of provider {name} must be a number of seconds from 1 to {LONGEST_RING}."
            )
        fields["maxRingTime"] = int(given)
    if given := settings.get("caller_privacy", "").strip().lower():
        if given not in ("yes", "no"):
            raise ProviderSettingError(f"The caller_privacy of provider {name} must be yes or no.")
        fields["callerPrivacy"] = given == "yes"
    return fields


def shown_as(settings: Mapping[str, str]) -> dict[str, Any]:
    """The fields of an answer that calls somebody: how they are shown who calls."""
    return call_settings("", {key: value for key, value in settings.items() if key in SHOWN})


def _header_object(name: str, key: str, given: str) -> dict[str, Any]:
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        found = None
    texts = isinstance(found, dict) and all(
        isinstance(one, str)
        for value in found.values()
        for one in (value if isinstance(value, list) else [value])
    )
    if not isinstance(found, dict) or not found or not texts:
        raise ProviderSettingError(
            f'The {key} of provider {name} must be a JSON object of texts, as {{"x-campaign": "spring"}}.'
        )
    return found
