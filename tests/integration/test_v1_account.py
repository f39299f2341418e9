"""`/v1/account` and `/v1/providers`: what an app may know of its account, and of who carries its calls."""

from __future__ import annotations

from datetime import timedelta

from upstream import Upstream

from dialer.db import writing
from dialer.keys import Scope
from dialer.store import accounts


def test_an_account_is_shown_as_the_operator_set_it_up(upstream: Upstream) -> None:
    reader = upstream.key(Scope.READ)
    assert upstream.got("GET", "/v1/account", key=reader) == {
        "id": upstream.account_id,
        "name": "first",
        "default_region": None,
        "time_zone": "UTC",
        "limits": {
            "calls_per_minute": None,
            "max_concurrent": None,
            "frequency_cap": None,
            "requests_per_minute": None,
        },
        "calling_window": {
            "start": "08:00",
            "end": "21:00",
            "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        },
    }
    window = {"start": "22:00", "end": "24:00", "days": ["fri"]}
    with writing(upstream.engine) as connection:
        accounts.update(
            connection,
            upstream.account_id,
            default_region="IN",
            calls_per_minute=60,
            frequency_cap=3,
            calling_window=window,
        )
    shown = upstream.got("GET", "/v1/account")
    assert (shown["default_region"], shown["calling_window"]) == ("IN", window)
    assert (shown["limits"]["calls_per_minute"], shown["limits"]["frequency_cap"]) == (60, 3)
    assert upstream.got("GET", "/v1/account", other=True)["name"] == "second"
    upstream.refused(403, "GET", "/v1/account", key=upstream.key(Scope.CALL))


def test_providers_are_shown_to_those_who_may_use_them_without_what_opens_them(upstream: Upstream) -> None:
    now = upstream.clock.now
    later, earlier = now + timedelta(minutes=1), now - timedelta(minutes=1)
    upstream.add_provider(held_until=later, breaker_trips=1, breaker_until=later)
    own = {"account_id": upstream.account_id, "priority": 5, "kind": "mtt-callback"}
    upstream.add_provider(name="own", held_until=earlier, breaker_trips=1, breaker_until=earlier, **own)
    upstream.add_provider(name="off", priority=200, enabled=False, paused_reason="no funds")
    upstream.add_provider(name="of another", account_id=upstream.other_id)
    found = upstream.got("GET", "/v1/providers", key=upstream.key(Scope.READ))["data"]
    told = [(one["name"], one["enabled"], one["paused_reason"], one["breaker"]) for one in found]
    assert told == [
        ("own", True, None, "half-open"),
        ("main", True, None, "open"),
        ("off", False, "no funds", "closed"),
    ]
    first, second, _ = found
    assert set(first) == {
        "name", "kind", "capabilities", "enabled", "paused_reason", "held_until", "breaker",
    }  # fmt: skip
    assert (first["held_until"], second["held_until"]) == (None, later.isoformat().replace("+00:00", "Z"))
    assert "CLICK_TO_CALL" in first["capabilities"]
    assert "ANNOUNCE_TEXT" in second["capabilities"]
    assert {one["name"] for one in upstream.got("GET", "/v1/providers", other=True)["data"]} == {
        "main", "of another", "off",
    }  # fmt: skip
    upstream.refused(403, "GET", "/v1/providers", key=upstream.key(Scope.CAMPAIGN))
