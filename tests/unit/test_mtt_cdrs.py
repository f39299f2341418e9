"""What MTT's histories tell of calls that came in, by its reference."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from mtt_printed import ENTRY

from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import MethodRefusedError, ProviderConfig, ProviderError, Reply
from dialer.providers.kinds import make_adapter
from dialer.providers.mtt_cdrs import TYPES

NOW = datetime(2017, 9, 14, 16, 30, tzinfo=UTC)
SETTINGS = {"username": "user", "password": "s3same", "customer_name": "110011256"}


def adapter() -> Adapter:
    return make_adapter(ProviderConfig("PR1", "moscow", "mtt-callback", "", SETTINGS))


def history(kind: str, *entries: dict[str, Any]) -> Reply:
    told = {"jsonrpc": "2.0", "id": "1", "result": {kind: list(entries), "success": 1}}
    return Reply(200, {}, json.dumps(told).encode())


def failed(code: int, data: str) -> Reply:
    error = {"code": code, "message": "x", "data": data}
    return Reply(200, {}, json.dumps({"jsonrpc": "2.0", "id": "1", "error": error}).encode())


def test_histories_of_calls_that_came_in_are_read_one_after_the_other() -> None:
    request = adapter().cdr_request(NOW - timedelta(minutes=30), NOW, None)
    assert request is not None
    assert (request.json["method"], request.json["params"]) == (
        "getServiceHistoryByCustomer",
        {
            "type": "incoming",
            "customer_name": "110011256",
            "date_from": "2017-09-14 12:00:00",  # of calls that have lasted for long, too
            "date_to": "2017-09-14 16:30:00",
            "order": "asc",
            "record_count": 1000,
        },
    )
    page, read = None, []
    for kind in TYPES:
        asked = adapter().cdr_request(NOW, NOW, page)
        assert asked is not None
        read.append(asked.json["params"]["type"])
        page = adapter().read_cdrs(history(kind), page, NOW).next
    assert (read, page) == (["incoming", "missed", "forwarded"], None)


def test_what_one_reply_does_not_hold_is_asked_for_from_where_it_ends() -> None:
    later = {**ENTRY, "connect_time": "2017-09-14 16:02:00"}
    full = adapter().read_cdrs(history("incoming", *[ENTRY] * 999, later), None, NOW)
    assert (full.next, full.is_cut) == ("incoming 2017-09-14 16:02:00", False)
    asked = adapter().cdr_request(NOW, NOW, full.next)
    assert asked is not None
    params = asked.json["params"]
    assert (params["type"], params["date_from"]) == ("incoming", "2017-09-14 16:02:00")
    assert adapter().read_cdrs(history("incoming", later), full.next, NOW).next == "missed"
    assert adapter().read_cdrs(history("incoming", *[later] * 1000), full.next, NOW).is_cut


def test_an_entry_is_found_by_the_call_or_by_its_incoming_leg() -> None:
    one, other = adapter().read_cdrs(history("incoming", ENTRY), None, NOW).facts
    assert one.inbound is not None
    assert other.inbound is not None
    assert [one.inbound.session, other.inbound.session] == [
        "2B23D937 BD9BCF86 E89D407D 44DA0162",
        "AC4D7D28 994C11E7 88C6AC16 2D8CE148",
    ]
    assert (one.attempt_id, one.provider_reference, one.state) == ("", None, AttemptState.ENDED)
    assert (one.cost, one.currency, one.billsec) == (Decimal("2.48"), "RUB", 119.0)
    assert (one.disposition, one.hangup_cause) == (Disposition.ANSWERED, 16)
    assert (one.at, one.recording_name) == (datetime(2017, 9, 14, 16, 1, 9, tzinfo=UTC), "")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"used_quantity": "0", "disconnect_cause": "17"}, (Disposition.BUSY, 17, "")),
        ({"used_quantity": "0"}, (None, 16, "")),
        ({"used_quantity": "0", "disconnect_cause": "999"}, (Disposition.UNKNOWN, None, "")),
        (
            {"voice_record_exist": True},
            (Disposition.ANSWERED, 16, "2B23D937_BD9BCF86_E89D407D_44DA0162"),
        ),
    ],
)
def test_how_it_ended_is_told_by_its_length_and_cause_and_a_record_by_its_name(
    changes: dict[str, Any], expected: tuple[Disposition | None, int | None, str]
) -> None:
    for fact in adapter().read_cdrs(history("incoming", {**ENTRY, **changes}), None, NOW).facts:
        assert (fact.disposition, fact.hangup_cause, fact.recording_name) == expected


def test_an_entry_without_a_name_is_nobodys() -> None:
    unnamed = {**ENTRY, "h323_conf_id": " ", "h323_incoming_conf_id": ""}
    assert adapter().read_cdrs(history("incoming", unnamed), None, NOW).facts == ()


def test_no_data_is_no_call_and_any_other_error_is_a_sentence() -> None:
    nothing = adapter().read_cdrs(failed(-32001, "No data found"), None, NOW)
    assert (nothing.facts, nothing.next) == ((), "missed")
    with pytest.raises(MethodRefusedError, match="does not permit"):
        adapter().read_cdrs(failed(-32002, "You can not access to this customer"), None, NOW)
    with pytest.raises(ProviderError, match="nothing that it documents"):
        adapter().read_cdrs(history("incoming", {"cli": "1"}), None, NOW)
