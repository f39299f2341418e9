"""Bodies that `/docs` shows, of every request of `/v1` that takes JSON. Each is taken as it stands, where the account
has what its ids name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CAMPAIGN = {
    "name": "bills of May",
    "list_id": "LS608c393614",
    "caller_id": "+15168148111",
    "text": "Dear {contact_name}, your due balance is {due}.",
    "time_zone": "Asia/Kolkata",
    "calling_window": {"start": "09:00", "end": "20:00", "days": ["mon", "tue", "wed", "thu", "fri"]},
    "pace": {"calls_per_minute": 60, "max_concurrent": 20},
    "repeat_policy": {"most": 2, "rules": {"BUSY": {"times": 2, "delays": [60, 300]}}},
}
_CONTACTS = {
    "contacts": [
        {"number": "+919979271234", "name": "Ankit", "fields": {"due": "500"}},
        {"number": "+918000681234", "fields": {"due": 750}, "time_zone": "Asia/Kolkata", "language": "hi-IN"},
    ]
}
_PASSWORD = {
    "purpose": "otp",
    "to": "+919979271234",
    "from": "+15168148111",
    "message": "Your code is {otp}.",
    "code": "1987",
    "metadata": {"order": "A7"},
}
_ANNOUNCEMENT = {
    "purpose": "announcement",
    "to": "+918000681234",
    "from": "+15168148111",
    "message": "Dear {name}, your parcel arrives on {day}.",
    "variables": {"name": "Ankit", "day": "Monday"},
    "speech": {"language": "en-IN", "times": 2},
    "repeat_policy": {"most": 2, "rules": {"BUSY": {"times": 2, "delays": [60, 300]}}},
}
_TALK = {
    "purpose": "click_to_call",
    "to": "+919979271234",
    "connect_to": "+918000681234",
    "from": "+15168148111",
}

#: By request.
ONE: Mapping[str, Mapping[str, Any]] = {
    "POST /v1/callbacks": {
        "agent_number": "+919979271234",
        "destination_number": "+918000681234",
        "caller_id": "+15168148111",
        "at_local": "2030-09-26 14:30:00",
        "time_zone": "Asia/Kolkata",
    },
    "PATCH /v1/callbacks/{callback_id}": {"at": "2030-09-27T09:00:00Z"},
    "POST /v1/campaigns": _CAMPAIGN,
    "PATCH /v1/campaigns/{campaign_id}": {
        "pace": {"calls_per_minute": 120},
        "calling_window": {"start": "08:00", "end": "21:00"},
    },
    "POST /v1/campaigns/{campaign_id}/contacts": _CONTACTS,
    "POST /v1/campaigns/{campaign_id}/clone": {"name": "bills of June"},
    "POST /v1/campaigns/{campaign_id}/redial": {
        "name": "bills of May, once more",
        "dispositions": ["NO_ANSWER", "BUSY"],
    },
    "POST /v1/campaigns/{campaign_id}/test-call": {
        "to": "+918000681234",
        "fields": {"due": "500"},
        "name": "Ankit",
    },
    "POST /v1/dnd-lists": {"name": "never again"},
    "PATCH /v1/dnd-lists/{dnd_list_id}": {"name": "opted out"},
    "POST /v1/dnd-lists/{dnd_list_id}/numbers": {"numbers": [{"number": "+918000681234", "name": "Ankit"}]},
    "POST /v1/dnd-lists/{dnd_list_id}/check": {"numbers": ["+919979271234", "+918000681234"]},
    "POST /v1/imports": {
        "kind": "contacts",
        "target_id": "LS608c393614",
        "file": "contacts.csv",
        "columns": {"number": "Phone", "name": "Full name", "fields": {"due": "Amount"}},
        "dry_run": True,
    },
    "PUT /v1/inbound-rules/{number}": {
        "action": "CONNECT",
        "numbers": ["+46850000001", {"number": "+46850000002", "seconds": 40}],
        "ring_seconds": 15,
    },
    "POST /v1/keys": {"name": "shop", "scopes": ["read", "call"], "requests_per_minute": 600},
    "PATCH /v1/keys/{key_id}": {"requests_per_minute": 1200},
    "POST /v1/lists": {"name": "customers"},
    "PATCH /v1/lists/{list_id}": {"name": "customers of May"},
    "POST /v1/lists/{list_id}/contacts": _CONTACTS,
    "POST /v1/templates": {"text": "Dear {name}, your code is {otp}."},
    "POST /v1/templates/{template_id}/reject": {"reason": "It does not say who calls."},
    "POST /v1/verifications": {
        "number": "+46700000050",
        "channels": [{"channel": "flash", "timeout": 30}, {"channel": "voice"}],
        "rate_key": "198.51.100.7",
    },
    "PATCH /v1/verifications/settings": {
        "countries": ["SE", "NO"],
        "caller_id": "+46850000000",
        "lifetime": 300,
        "number_limit": {"sends": 5, "seconds": 3600},
    },
    "POST /v1/verifications/{verification_id}/check": {"code": "1987"},
    "POST /v1/verifications/{verification_id}/resend": {"channel": "voice"},
    "POST /v1/webhooks": {
        "url": "https://app.example.com/calls",
        "events": ["call.ended", "campaign.ended"],
        "description": "shop",
    },
    "PATCH /v1/webhooks/{webhook_id}": {"events": ["call.ended"], "enabled": True},
}
#: Of requests that take bodies of several sorts, each with what it is.
SEVERAL: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "POST /v1/calls": {
        "a one-time password": _PASSWORD,
        "an announcement": _ANNOUNCEMENT,
        "two people who are connected": _TALK,
        "several at once": {"calls": [_PASSWORD, _ANNOUNCEMENT]},
    },
}


def add_examples(request: str, content: dict[str, Any]) -> None:
    """Add what is shown of a request, such as `POST /v1/calls`, to what the document says of its JSON."""
    if request in ONE:
        content["example"] = ONE[request]
    elif request in SEVERAL:
        content["examples"] = {title: {"value": body} for title, body in SEVERAL[request].items()}
