"""What callbacks of iotcomms call lines by, and which method does what to them, by its document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from dialer.providers.contract import ProviderConfig, ProviderError, RawEvent
from dialer.providers.iotcomms import IotcommsAdapter
from dialer.providers.kinds import make_adapter
from dialer.providers.live import Control, Order

SETTINGS = {"domain": "customer.example", "sip_host": "sip.example.com", "token": "t0ken"}
OPERATOR = "+46702000570"
REFERENCE = {"sessionId": "S1", "sessionReferenceId": {"attempt": "AT1"}}
ANSWERED: Mapping[str, Any] = {
    **REFERENCE, "replyId": "R1", "connectionId": "C1", "callerParticipantId": "prompts", "calleeParticipantId": "anna",
}  # fmt: skip
ASKING: Mapping[str, Any] = {**REFERENCE, "replyId": "R2"}
TALKING: Mapping[str, Any] = {
    "sessionId": "S1", "sessionReferenceId": {"attempt": "AT1", "connected": True}, "replyId": "R3",
    "connectionId": "C2", "callerParticipantId": "anna", "calleeParticipantId": "bo",
}  # fmt: skip


def handles(*told: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, body in told:
        content = json.dumps(body).encode()
        raw = RawEvent("POST", name, "", "application/json", content, None, datetime.now(UTC))
        found |= IotcommsAdapter.read_handles(raw)
    return found


HEARING = handles(("callAnswered", ANSWERED), ("getIvrCommand", ASKING))
TOGETHER = {**HEARING, **handles(("callAnswered", TALKING))}


def ordered(
    what: Control,
    line: Mapping[str, Any],
    transfer_to: str = OPERATOR,
    *,
    agent: bool = False,
    **settings: str,
) -> tuple[str, dict[str, Any], dict[str, str]]:
    """The method, its parameters, and who is parted from whom."""
    adapter = make_adapter(ProviderConfig("PR1", "nordic", "iotcomms", "", {**SETTINGS, **settings}))
    order = Order(what, "AT1", "AT1", line, transfer_to, callee_hands_on=agent)
    method, values = adapter.control(order)
    adapter.methods[method].checked(values)
    return method, values, dict(adapter.parties(order))


def refused(what: Control, line: Mapping[str, Any], transfer_to: str = OPERATOR) -> str:
    with pytest.raises(ProviderError) as told:
        ordered(what, line, transfer_to)
    return str(told.value)


def test_a_line_is_known_by_what_callbacks_tell() -> None:
    assert HEARING == {
        "replyId": "R1", "connectionId": "C1", "sessionId": "S1", "caller": "prompts", "callee": "anna",
        "asking": "R2", "line": "one",
    }  # fmt: skip
    assert TOGETHER["line"] == "two"
    left = {**REFERENCE, "event": "calledPartyDrop", "participantId": "bo"}
    assert handles(("callEvent", left)) == {"gone": "bo"}
    assert handles(("callEvent", {**left, "event": "calleeConnectionSplit"})) == {}
    assert handles(("callAnswered", {**ANSWERED, "monitoringParticipant": True})) == {}
    assert handles(("getIvrCommand", {**ASKING, "replyId": "R" * 5000})).keys() == {"sessionId", "line"}


SITE = "https://site-a.example/mediaservice"


def test_what_is_at_a_hybrid_site_is_acted_on_there() -> None:
    there = {**ANSWERED, "siteId": "siteA", "siteBaseUrl": SITE}
    asking = {**ASKING, "siteBaseUrl": SITE}
    line = handles(("callAnswered", there), ("getIvrCommand", asking))
    assert line == {**HEARING, "siteBaseUrl": SITE}
    known = {"site_hosts": "other.example, site-a.example"}
    for what in (Control.HANG_UP, Control.BLIND_TRANSFER):
        assert ordered(what, line, **known)[1]["siteBaseUrl"] == SITE
    together = {**line, **handles(("callAnswered", {**TALKING, "siteBaseUrl": SITE}))}
    for what in (Control.RECORD, Control.ATTENDED_TRANSFER):
        assert ordered(what, together, **known)[1]["siteBaseUrl"] == SITE


def test_our_callee_is_hung_up_on_whoever_they_talk_with() -> None:
    one, two = ordered(Control.HANG_UP, HEARING), ordered(Control.HANG_UP, TOGETHER)
    assert one == ("hangupparticipant", {"participantId": "anna", "replyId": "R1", "sessionId": "S1"}, {})
    assert two == ("hangupparticipant", {"participantId": "anna", "replyId": "R3", "sessionId": "S1"}, {})
    assert ordered(Control.HANG_UP, {"asking": "R2"})[:2] == ("hangupcall", {"replyId": "R2"})


def test_two_who_are_connected_are_recorded() -> None:
    assert ordered(Control.RECORD, TOGETHER)[:2] == (
        "startrecording",
        {"recordingFileName": "AT1.mp3", "replyId": "R3", "connectionId": "C2"},
    )
    assert "records two" in refused(Control.RECORD, HEARING)


def test_who_hears_something_is_interrupted_to_be_handed_on() -> None:
    assert ordered(Control.BLIND_TRANSFER, HEARING) == (
        "interruptivrcommand",
        {"replyId": "R2", "sessionId": "S1"},
        {},
    )
    assert "Nobody is connected" in refused(Control.ATTENDED_TRANSFER, HEARING)


@pytest.mark.parametrize("what", [Control.BLIND_TRANSFER, Control.ATTENDED_TRANSFER])
def test_two_who_talk_are_parted_and_the_customer_is_kept(what: Control) -> None:
    part = ("splitconnection", {"replyId": "R3", "connectionId": "C2"})
    assert ordered(what, TOGETHER) == (*part, {"kept": "anna", "other": "bo"})
    assert ordered(what, TOGETHER, agent=True) == (*part, {"kept": "bo", "other": "anna"})
    # Who was handed on before is the calling party towards whom they talk with now.
    again = {**TOGETHER, "caller": "bo", "callee": "cia", "kept": "bo"}
    assert ordered(what, again, agent=True)[2] == {"kept": "bo", "other": "cia"}


def test_extensions_need_a_host() -> None:
    assert "extension_host" in refused(Control.BLIND_TRANSFER, TOGETHER, "102")
    assert (
        ordered(Control.BLIND_TRANSFER, TOGETHER, "102", extension_host="pbx.example")[0] == "splitconnection"
    )


def test_what_nobody_is_on_the_line_for_is_refused() -> None:
    for what in Control:
        assert "Nobody is on the line" in refused(what, {})
    assert "try again in a moment" in refused(Control.BLIND_TRANSFER, {"replyId": "R1"})
