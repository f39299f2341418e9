"""What iotcomms' callbacks say, in our words, by its document."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer import ids
from dialer.calls.progress import Standing, advance
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.contract import EventError, Fact, RawEvent
from dialer.providers.iotcomms import IotcommsAdapter
from dialer.providers.iotcomms_events import ALARMS, NOTIFICATIONS, RECORDINGS
from dialer.providers.iotcomms_live import CALL_EVENTS, DROPS, FAILURES, SPLITS
from dialer.providers.iotcomms_reference import Reference
from dialer.providers.sip import ENDINGS, ending

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
PLACED, HEARD = Reference("AT1"), Reference("AT1", answered=True)
CONNECTED = Reference("AT1", answered=True, connected=True)
CAME_IN, GIVEN_AWAY = Reference(state={"rule": 1}), Reference(connected=True)
NAMES = [
    "callNotify",
    "callAnswered",
    "getIvrCommand",
    "callEvent",
    "sessionCompleted",
    "newCall",
    "recordingReady",
    "getCallIdentifier",
    "newRemoteCall",
    "alarms",
    "",
]


def facts(name: str, /, reference: Reference | None = PLACED, **fields: Any) -> list[Fact]:
    body = {"sessionId": "S1", **fields}
    if reference is not None:
        body["sessionReferenceId"] = reference.to_json()
    return IotcommsAdapter.read_event(
        RawEvent("POST", name, "", "application/json", json.dumps(body).encode(), None, NOW)
    )


def only(name: str, /, reference: Reference | None = PLACED, **fields: Any) -> Fact:
    (fact,) = facts(name, reference, **fields)
    assert fact.at == NOW
    return fact


def test_it_rings() -> None:
    assert only("callNotify", event="ringing").state is AttemptState.RINGING
    assert facts("callNotify", event="update") == facts("callNotify", event="reInvite") == []
    assert facts("callNotify", event="ringing", monitoringParticipant=True) == []
    assert facts("callNotify", CONNECTED, event="ringing") == [], "it rings at somebody else"


def test_somebody_is_on_the_line() -> None:
    assert only("callAnswered", callingPartyNumber="46890510").state is AttemptState.ANSWERED
    assert facts("callAnswered", monitoringParticipant=True) == []
    asked = only("getIvrCommand", HEARD, dtmfParams={"dtmfMatch": "12"})
    assert (asked.state, asked.dtmf, asked.attempt_id) == (AttemptState.ANSWERED, "12", "AT1")


@pytest.mark.parametrize("status", ENDINGS)
def test_a_call_that_nobody_picked_up_ends_as_its_status_says(status: int) -> None:
    for code in (status, str(status)):
        fact = only("callEvent", event="calledPartyFailure", sipResponseCode=code, errorDescr="x")
        assert (fact.state, fact.disposition, fact.hangup_cause) == (AttemptState.ENDED, *ENDINGS[status])


@pytest.mark.parametrize(
    ("status", "reason", "how"),
    [
        (486, 'Q.850;cause=17;text="User busy"', (Disposition.BUSY, 17)),
        (503, "Q.850 ;cause=34", (Disposition.CONGESTION, 34)),
        (480, 'SIP;cause=480, q.850; cause=20;text="x"', (Disposition.UNAVAILABLE, 20)),
        (486, "SIP ;cause=200 ;text=Call completed elsewhere", (Disposition.BUSY, 17)),
        (603, "Q.850;cause=999", (Disposition.REJECTED, 21)),
        (499, "", (Disposition.UNKNOWN, None)),
        (299, "", (Disposition.UNKNOWN, None)),
        (None, "Q.850;cause=17", (Disposition.UNKNOWN, 17)),
    ],
)
def test_the_network_may_tell_the_cause(
    status: int | None, reason: str, how: tuple[Disposition, int | None]
) -> None:
    assert ending(status, reason) == how
    fact = only("callEvent", event="calledPartyFailure", sipResponseCode=status, sipReason=reason)
    assert (fact.disposition, fact.hangup_cause) == how


def test_a_failure_without_a_status_is_unknown() -> None:
    for code in (None, True, "busy", 48600, [486]):
        assert (
            only("callEvent", event="callingPartyFailure", sipResponseCode=code).disposition
            is Disposition.UNKNOWN
        )


def test_who_hangs_up_has_picked_up_unless_a_status_says_otherwise() -> None:
    hung_up = only("callEvent", event="calledPartyDrop")
    assert (hung_up.disposition, hung_up.hangup_cause) == (Disposition.ANSWERED, 16)
    assert only("callEvent", event="calledPartyDrop", sipResponseCode=200).disposition is Disposition.ANSWERED
    assert only("callEvent", event="calledPartyDrop", sipResponseCode=486).disposition is Disposition.BUSY
    assert (
        only("callEvent", event="callingPartyDrop", sipResponseCode=487).disposition is Disposition.NO_ANSWER
    )
    assert facts("callEvent", event="callingPartyDrop") == [], "our own prompts have ended"


def test_after_somebody_was_on_the_line_no_callevent_ends_the_attempt() -> None:
    for reference in (HEARD, CONNECTED):
        for event in CALL_EVENTS:
            assert facts("callEvent", reference, event=event, sipResponseCode=486) == []
    for event in SPLITS:
        assert facts("callEvent", event=event) == []


def test_a_session_ends_as_what_was_heard_says() -> None:
    talked = only("sessionCompleted", HEARD, sessionDuration="12.5", reason="whatever")
    assert (talked.state, talked.disposition, talked.hangup_cause) == (
        AttemptState.ENDED,
        Disposition.ANSWERED,
        16,
    )
    assert (talked.duration, talked.billsec) == (12.5, None)
    silent = only("sessionCompleted", sessionDuration=7)
    assert (silent.state, silent.disposition, silent.duration) == (AttemptState.ENDED, None, 7)
    for odd in (46890510, "soon", None, True, {}, -1):
        assert only("sessionCompleted", sessionDuration=odd).duration is None


def test_recordings_and_alarms_say_nothing_of_an_attempt() -> None:
    for event in RECORDINGS:
        assert facts("recordingReady", None, event=event) == []
    for alarm in ALARMS:
        assert facts("our-alarms", None, type=alarm, error="maxDuration") == []
    assert facts("newRemoteCall") == []


def test_a_recording_that_we_asked_for_is_its_attempts() -> None:
    attempt_id = ids.attempt_id(ids.call_ids(1, NOW)[0], 1)
    told = {"recordingFileName": f"{attempt_id}.mp3", "connectionId": "C1", "fileSize": 4711}
    fact = only("recordingReady", None, event="recordingSuccessful", **told)
    assert (fact.attempt_id, fact.recording_name) == (attempt_id, f"{attempt_id}.mp3")
    assert (fact.state, fact.inbound) == (AttemptState.ANSWERED, None)
    assert facts("recordingReady", None, event="recordingFailed", **told) == []
    for another in ("talk.mp3", f"{attempt_id}.wav", f"{attempt_id}é.mp3", "S2.mp3", ""):
        told["recordingFileName"] = another
        assert facts("recordingReady", None, event="recordingSuccessful", **told) == []


def test_a_recording_that_is_called_as_its_session_is_that_of_a_call_that_came_in() -> None:
    fact = only("recordingReady", None, event="recordingSuccessful", recordingFileName="S1.mp3")
    assert (fact.attempt_id, fact.recording_name) == ("", "S1.mp3")
    assert fact.inbound is not None
    assert fact.inbound.session == "S1"
    assert facts("recordingReady", None, event="recordingFailed", recordingFileName="S1.mp3") == []


def test_alarms_and_failed_recordings_are_for_somebody_to_look_at() -> None:
    def alarm(name: str, **fields: Any) -> str:
        raw = RawEvent("POST", name, "", "application/json", json.dumps(fields).encode(), None, NOW)
        return IotcommsAdapter.read_alarm(raw)

    failed = alarm("recordingReady", event="recordingFailed", reason="No callee media received")
    assert failed == "iotcomms did not record a conversation: No callee media received"
    for odd in ("", "nobody at +46701112233", "a\nb", 7):
        assert alarm("recordingReady", event="recordingFailed", reason=odd).endswith("a conversation")
    reinvited = alarm("our-alarms", type="callError", error="unexpectedReinviteResponse", status="488")
    assert reinvited.endswith("alarm: callError, unexpectedReinviteResponse")
    assert alarm("recordingReady", event="recordingSuccessful") == alarm("callNotify", event="ringing") == ""
    for told in ALARMS:
        assert alarm("our-alarms", type=told, error="maxDuration").endswith(f"alarm: {told}, maxDuration")
    secret = alarm("our-alarms", type="callEventError", error="Invalid sip address: sip:+46701112233@x")
    assert secret.endswith("Invalid sip address"), "whom it was for is in the event alone"
    assert "does not document" in alarm("our-alarms", type="callError", error="the house burns")


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("callNotify", {"event": "knocking"}),
        ("callNotify", {}),
        ("callEvent", {"event": "callingPartyLeft"}),
        ("callEvent", {"event": 7}),
        ("recordingReady", {"event": "recordingLost"}),
        ("alarms", {"type": "fire"}),
        ("somethingNew", {}),
        ("", {}),
    ],
)
def test_a_word_in_none_of_the_tables_is_kept_and_not_guessed(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(EventError, match="documents"):
        facts(name, **fields)


def test_the_tables_are_those_of_the_document() -> None:
    assert {"ringing", "reInvite", "update"} == NOTIFICATIONS
    assert len(CALL_EVENTS) == len(DROPS) + len(FAILURES) + len(SPLITS) == 6
    assert len(ALARMS) == 6


# --- calls that come in --------------------------------------------------------------------------------------


def test_a_call_that_came_in_is_known_by_its_session() -> None:
    begun = only("newCall", None, callingParty="46701112233", calledParty="+46850001111")
    assert begun.inbound is not None
    assert (begun.attempt_id, begun.provider_reference, begun.state) == ("", None, AttemptState.RINGING)
    assert (begun.inbound.session, begun.inbound.caller, begun.inbound.called) == (
        "S1",
        "46701112233",
        "+46850001111",
    )
    rung = only("callNotify", GIVEN_AWAY, event="ringing", user="+46709998877")
    talks = only("callAnswered", GIVEN_AWAY, remotePartyNumber="46709998877")
    assert rung.inbound is not None
    assert talks.inbound is not None
    assert rung.inbound.connected == talks.inbound.connected == "+46709998877"
    assert (rung.state, talks.state) == (AttemptState.RINGING, AttemptState.ANSWERED)
    over = only("sessionCompleted", GIVEN_AWAY, sessionDuration=9)
    assert over.inbound is not None
    assert (over.state, over.disposition, over.inbound.session) == (AttemptState.ENDED, None, "S1")


def test_a_callback_that_names_no_session_is_known_by_what_travels_with_the_call() -> None:
    given_away = Reference(connected=True, session="S7")
    talks = only("callAnswered", given_away, sessionId=None, remotePartyNumber="46709998877")
    assert talks.inbound is not None
    assert (talks.inbound.session, talks.inbound.connected) == ("S7", "+46709998877")


def test_a_caller_whom_the_prompts_have_at_once_is_told_of_without_their_number() -> None:
    begun = only("getCallIdentifier", None, calledParty="+46850001111")
    assert begun.inbound is not None
    assert (begun.state, begun.inbound.session) == (AttemptState.RINGING, "S1")
    assert (begun.inbound.caller, begun.inbound.called) == ("", "+46850001111")


def test_a_caller_who_hears_something_presses_keys() -> None:
    pressed = only("getIvrCommand", CAME_IN, dtmfBuffer="2")
    assert pressed.inbound is not None
    assert (pressed.state, pressed.dtmf, pressed.inbound.connected) == (AttemptState.ANSWERED, "2", "")


def test_a_caller_whom_nobody_could_be_found_for_is_told_so_of() -> None:
    from_dial = only("callEvent", GIVEN_AWAY, event="calledPartyFailure", sipResponseCode=486)
    assert (from_dial.state, from_dial.disposition) == (AttemptState.ENDED, Disposition.BUSY)
    for event in DROPS:
        assert facts("callEvent", GIVEN_AWAY, event=event) == []


def test_an_event_of_nobody_is_an_error() -> None:
    with pytest.raises(EventError, match="neither a reference nor a sessionId"):
        facts("sessionCompleted", None, sessionId=None)
    for session in ("S" * 65, "S\x00", "\ud800"):
        with pytest.raises(EventError, match="not one of ours"):
            facts("sessionCompleted", None, sessionId=session)


def test_a_caller_who_is_no_text_is_nobody() -> None:
    fact = only("newCall", None, callingParty="\ud800", calledParty="7" * 100)
    assert fact.inbound is not None
    assert (fact.inbound.caller, fact.inbound.called) == ("", "")


# --- whatever comes ------------------------------------------------------------------------------------------

ANSWERED_CALL = [
    ("callNotify", PLACED, {"event": "ringing"}),
    ("callAnswered", PLACED, {}),
    ("getIvrCommand", PLACED, {}),
    ("getIvrCommand", HEARD, {"dtmfBuffer": "1"}),
    ("callEvent", HEARD, {"event": "callingPartyDrop"}),
    ("callNotify", CONNECTED, {"event": "ringing"}),
    ("callEvent", CONNECTED, {"event": "calledPartyFailure", "sipResponseCode": 486}),
    ("sessionCompleted", CONNECTED, {"sessionDuration": 20}),
]
BUSY_CALL = [
    ("callNotify", PLACED, {"event": "ringing"}),
    ("callEvent", PLACED, {"event": "calledPartyFailure", "sipResponseCode": 486}),
    ("sessionCompleted", PLACED, {"sessionDuration": 4}),
]


@pytest.mark.parametrize(
    ("story", "disposition"), [(ANSWERED_CALL, Disposition.ANSWERED), (BUSY_CALL, Disposition.BUSY)]
)
@given(seed=st.integers(0, 10_000))
def test_in_any_order_and_however_often_the_end_is_the_same(
    story: list[tuple[str, Reference, dict[str, Any]]], disposition: Disposition, seed: int
) -> None:
    shuffled = [*story, *random.Random(seed).sample(story, len(story) // 2)]
    random.Random(seed).shuffle(shuffled)
    every = [fact for name, reference, fields in shuffled for fact in facts(name, reference, **fields)]
    standing = advance(Standing(AttemptState.PLACED), every)
    assert (standing.state, standing.outcome) == (AttemptState.ENDED, disposition)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "sessionId",
    "sessionReferenceId",
    "event",
    "type",
    "sipResponseCode",
    "sipReason",
    "dtmfParams",
    "dtmfBuffer",
    "sessionDuration",
    "monitoringParticipant",
    "user",
    "callingParty",
    "replyId",
]


@given(st.sampled_from(NAMES), st.dictionaries(st.sampled_from(FIELDS), ANYTHING) | st.binary(max_size=80))
def test_no_callback_whatsoever_breaks_the_reading(name: str, body: object) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    raw = RawEvent("POST", name, "", "application/json", content, None, NOW)
    for read in (IotcommsAdapter.read_event, IotcommsAdapter.read_question):
        with suppress(EventError):
            read(raw)
