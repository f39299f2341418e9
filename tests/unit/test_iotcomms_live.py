"""iotcomms asks and is answered: questions, answers, and what travels with a call, by its document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.flow import Prompt
from dialer.providers.contract import EventError, RawEvent
from dialer.providers.iotcomms import IotcommsAdapter
from dialer.providers.iotcomms_live import (
    DEFAULT_VOICE,
    DROPS,
    FAILURES,
    SPLITS,
    VOICE_BY_LANGUAGE,
    as_number,
    phrase,
    recording_name,
)
from dialer.providers.iotcomms_reference import Reference, read_reference
from dialer.providers.live import Answer, Asks, Collect, Connect, Question

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
OPEN = {"sip_host": "sip.example.com", "sip_from": "+4685000222"}
HELLO, SONG = Prompt(text="Hello"), Prompt(media="song.mp3")
ANNA, BO = "+46701112233", "+46709998877"
#: "/getIvrCommand" and "/callEvent", as in the document's samples.
COMMAND: Mapping[str, Any] = {"sessionId": "S1", "sessionReferenceId": {"attempt": "AT1"}, "replyId": "R1"}
EVENT: Mapping[str, Any] = {
    "sessionId": "S1",
    "sessionReferenceId": {"attempt": "AT1"},
    "event": "calledPartyDrop",
}


def heard(name: str, body: object, path: str = "") -> RawEvent:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return RawEvent("POST", f"{path}{name}", "", "application/json", content, None, NOW)


def asked(name: str, body: object) -> Question:
    question = IotcommsAdapter.read_question(heard(name, body))
    assert question is not None
    return question


def answered(question: Question, answer: Answer, **settings: str) -> dict[str, Any]:
    response = IotcommsAdapter.write_answer(question, answer, {**OPEN, **settings})
    assert (response.status, response.content_type) == (200, "application/json")
    body = json.loads(response.body)
    assert isinstance(body, dict)
    return body


# --- questions -----------------------------------------------------------------------------------------------


def test_who_is_on_the_line_asks_for_a_command() -> None:
    question = asked("getIvrCommand", COMMAND)
    assert (question.asks, question.session, question.attempt_id) == (Asks.COMMAND, "S1", "AT1")
    assert (question.keys, question.state, question.settled) == ("", {}, None)


@pytest.mark.parametrize(
    ("fields", "keys"),
    [
        ({"dtmfParams": {"dtmfMatch": "12", "reason": "terminationKey", "matchedTerminationKey": "#"}}, "12"),
        ({"dtmfBuffer": "123", "dtmfParams": {"dtmfMatch": "1", "reason": "maxDigits"}}, "1"),
        ({"dtmfBuffer": "7"}, "7"),
        ({"dtmfBuffer": "*"}, "*"),
        ({"dtmfParams": {"dtmfMatch": "", "reason": "terminationKey", "matchedTerminationKey": "#"}}, "#"),
        ({"dtmfParams": {"reason": "firstTimeout"}, "dtmfBuffer": None}, ""),
        ({"dtmfParams": "1", "dtmfBuffer": 7}, ""),
        ({"dtmfBuffer": "5f4dcc3b5aa765d61d8327deb882cf99"}, ""),
    ],
)
def test_keys_are_those_that_matched_else_those_in_the_buffer(fields: dict[str, Any], keys: str) -> None:
    assert asked("getIvrCommand", {**COMMAND, **fields}).keys == keys


def test_a_caller_asks_with_both_numbers() -> None:
    body = {"sessionId": "S2", "callingParty": "46701112233", "calledParty": "+46850001111", "fromUser": "x"}
    question = asked("newCall", body)
    assert (question.asks, question.session, question.attempt_id) == (Asks.INBOUND, "S2", "")
    assert (question.caller, question.called) == ("46701112233", "+46850001111")


def test_a_caller_stays_as_told_since_nobody_knows_where_the_number_is_dialled() -> None:
    for told in ("2025550100", ANNA, "anonymous"):
        body = {"sessionId": "S2", "callingParty": told, "calledParty": "46850001111"}
        question = asked("newCall", body)
        assert (question.caller, question.called) == (told, "+46850001111")


@pytest.mark.parametrize(
    ("told", "asserted", "caller"),
    [
        ("0701112233", ANNA, ANNA),
        ("46701112233", ANNA, ANNA),
        ("0701112233", "0701112233", "0701112233"),
        ("0701112233", "46701112233", "0701112233"),
        ("anonymous", ANNA, "anonymous"),
        (BO, ANNA, BO),
    ],
)
def test_a_caller_whose_country_the_network_asserts_is_known_by_that(
    told: str, asserted: str, caller: str
) -> None:
    body = {"sessionId": "S2", "callingParty": told, "calledParty": "46850001111", "paiNumber": asserted}
    assert asked("newCall", body).caller == caller


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("46701112233", ANNA),
        (ANNA, ANNA),
        ("anonymous", "anonymous"),
        ("0701112233", "0701112233"),
        ("112", "112"),
    ],
)
def test_what_is_no_number_stays_as_it_was_told(user: str, number: str) -> None:
    assert as_number(user) == number


@pytest.mark.parametrize(
    "name", ["callNotify", "callAnswered", "sessionCompleted", "recordingReady", "newRemoteCall"]
)
def test_what_only_tells_asks_nothing(name: str) -> None:
    assert IotcommsAdapter.read_question(heard(name, EVENT)) is None
    assert IotcommsAdapter.read_question(heard("alarms", {"type": "callError"})) is None


def test_the_address_may_have_folders_of_its_own() -> None:
    assert IotcommsAdapter.read_question(heard("getIvrCommand", COMMAND, "a/b/")) is not None
    with pytest.raises(EventError, match="name"):
        IotcommsAdapter.read_question(heard("getSupper", COMMAND))
    with pytest.raises(EventError, match="no JSON"):
        IotcommsAdapter.read_question(heard("getIvrCommand", b"sessionId=S1"))


# --- what travels with a call --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference",
    [
        Reference("AT1"),
        Reference("AT1", answered=True, state={"menu": "main", "tries": 1}),
        Reference("AT1", connected=True, then=Answer(connect=Connect((BO,), timeout=20, record=True))),
        Reference(
            answered=True,
            then=Answer(
                (HELLO, SONG), Collect(3, 7), language="sv-SE", voice="Astrid", rate="slow", pitch="high"
            ),
        ),
        Reference(is_secret=True),
        Reference(then=Answer(connect=Connect((ANNA, BO), timeout=20, each={BO: 40}))),
        Reference(session="S2"),
        Reference(
            then=Answer(connect=Connect((ANNA, BO), caller_id=ANNA, greeting=(HELLO,)), state={"a": 1})
        ),
    ],
)
def test_a_reference_comes_back_as_it_was_sent_as_an_object_or_as_its_text(reference: Reference) -> None:
    told = json.loads(json.dumps(reference.to_json()))
    assert read_reference(told) == reference
    assert read_reference(json.dumps(told)) == reference


def test_a_text_alone_is_the_attempt_and_nothing_is_a_call_that_came_in() -> None:
    assert read_reference("AT1") == Reference("AT1")
    assert (
        read_reference(None)
        == read_reference({})
        == read_reference("")
        == read_reference("{}")
        == Reference()
    )


@pytest.mark.parametrize(
    "value",
    [
        20000,
        {"foo": 1, "bar": 2},
        {"attempt": 7},
        ["AT1"],
        {"inbound": True, "session": 7},
        True,
        "A" * 65,
        {"attempt": "A\n"},
    ],
)
def test_anothers_reference_is_none_of_ours(value: object) -> None:
    with pytest.raises(EventError):
        read_reference(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "say",
                        "text",
                        "media",
                        "collect",
                        "connect",
                        "numbers",
                        "timeout",
                        "caller_id",
                        "record",
                        "greeting",
                        "language",
                        "voice",
                        "state",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
        max_leaves=12,
    )
)
def test_what_is_still_to_come_may_be_anything(then: object) -> None:
    reference = read_reference({"attempt": "AT1", "then": then})
    question = asked("callEvent", {**EVENT, "sessionReferenceId": {"attempt": "AT1", "then": then}})
    assert reference.attempt_id == question.attempt_id == "AT1"
    answered(question, Answer())


# --- commands ------------------------------------------------------------------------------------------------


def test_an_announcement_is_said_and_hung_up() -> None:
    body = answered(asked("getIvrCommand", COMMAND), Answer((HELLO, SONG)))
    assert body == {
        "sessionId": "S1",
        "sessionReferenceId": {"attempt": "AT1", "answered": True},
        "replyId": "R1",
        "phrases": [
            {
                "format": "awstts",
                "awsTTSParameters": {
                    "Text": "Hello",
                    "OutputFormat": "pcm",
                    "VoiceId": "Joanna",
                    "LanguageCode": "en-US",
                },
            },
            {"format": "file", "fileName": "song.mp3"},
        ],
        "hangup": True,
    }


def test_keys_are_waited_for_during_and_after_the_prompts() -> None:
    question = asked("getIvrCommand", COMMAND)
    body = answered(question, Answer((HELLO,), Collect(4, 2), state={"menu": "main"}))
    assert body["hangup"] is False
    assert body["bargeIn"] == "all"
    assert body["dtmf"] == {"flush": True, "maxDigits": 4, "firstTimeout": 2, "betweenTimeout": 2}
    assert "backgroundPrompt" not in body
    again = asked("getIvrCommand", {**COMMAND, "sessionReferenceId": body["sessionReferenceId"]})
    assert again.state == {"menu": "main"}


def test_a_background_is_played_while_keys_are_waited_for() -> None:
    question = asked("getIvrCommand", COMMAND)
    waiting = answered(question, Answer((HELLO,), Collect(1, 9)), background_prompt="rain.mp3")
    assert waiting["backgroundPrompt"] == {"fileName": "rain.mp3"}
    assert waiting["getIVRCommandAfter"] == 9
    assert answered(question, Answer((HELLO,)), background_prompt="rain.mp3")["backgroundPrompt"] == {
        "stop": True
    }


def test_who_is_refused_on_the_line_is_hung_up() -> None:
    body = answered(asked("getIvrCommand", COMMAND), Answer(refuse=True))
    assert (body["phrases"], body["hangup"]) == ([], True)


@pytest.mark.parametrize(
    ("language", "voice", "sent"),
    [
        ("en-US", "Joanna", ("en-US", "Joanna")),
        ("en_us", "matthew", ("en-US", "Matthew")),
        ("sv-SE", DEFAULT_VOICE, ("sv-SE", "Astrid")),
        ("SV_se", "joanna", ("sv-SE", "Astrid")),
        ("sv-SE", "Elin", ("sv-SE", "Elin")),
        ("fi-fi", "Joanna", ("fi-FI", "Joanna")),
        ("arb", "", ("arb", "Zeina")),
    ],
)
def test_a_text_has_a_voice_that_speaks_its_language(
    language: str, voice: str, sent: tuple[str, str]
) -> None:
    told = phrase(HELLO, Answer(language=language, voice=voice))["awsTTSParameters"]
    assert (told["LanguageCode"], told["VoiceId"]) == sent
    assert DEFAULT_VOICE not in VOICE_BY_LANGUAGE.values()


def test_a_text_is_spoken_as_wished() -> None:
    loud = phrase(Prompt(text="Salt & <pepper>"), Answer(volume=" x- loud", rate="Slow", pitch="medium"))[
        "awsTTSParameters"
    ]
    assert loud["TextType"] == "ssml"
    assert loud["Text"] == (
        '<speak><prosody volume="x-loud" rate="slow">Salt &amp; &lt;pepper&gt;</prosody></speak>'
    )
    for odd in ('loud" onload="x', "", "medium"):
        assert "TextType" not in phrase(HELLO, Answer(volume=odd, rate=odd, pitch=odd))["awsTTSParameters"]


# --- connecting ----------------------------------------------------------------------------------------------


def test_whoever_is_to_be_connected_hears_the_prompts_first_and_is_asked_about_when_they_are_done() -> None:
    connect = Connect((BO,), timeout=25, record=True, greeting=(Prompt(text="A caller"),))
    said = answered(asked("getIvrCommand", COMMAND), Answer((HELLO,), connect=connect))
    assert said["hangup"] is True
    left = asked(
        "callEvent", {**EVENT, "event": "callingPartyDrop", "sessionReferenceId": said["sessionReferenceId"]}
    )
    assert (left.asks, left.attempt_id) == (Asks.LEFT, "AT1")
    assert left.settled == Answer(connect=connect)
    body = answered(left, Answer())
    assert body == {
        "action": "call",
        "destAddr": f"sip:{BO}@sip.example.com",
        "maxRingTime": 25,
        "ringbackTone": "default",
        "sipFrom": "+4685000222",
        "callRecording": True,
        "recordingFileName": "AT1.mp3",
        "greeting": {
            "playMode": "calleeFirst",
            "callee": {"phrases": [phrase(Prompt(text="A caller"), Answer())]},
        },
        "sessionReferenceId": {"attempt": "AT1", "answered": True, "connected": True},
    }


def test_nobody_is_rung_for_a_callee_who_has_gone() -> None:
    said = answered(asked("getIvrCommand", COMMAND), Answer((HELLO,), connect=Connect((BO,))))
    for event in ("calledPartyDrop", "callingPartyFailure", "calledPartyFailure"):
        left = asked("callEvent", {**EVENT, "event": event, "sessionReferenceId": said["sessionReferenceId"]})
        assert answered(left, Answer(connect=Connect((BO,))))["action"] == "drop", event


def test_numbers_are_rung_one_after_the_other_until_somebody_picks_up() -> None:
    question = asked("callEvent", {**EVENT, "event": "callingPartyDrop"})
    connect = Connect((ANNA, BO), timeout=20, caller_id="+4685000444", each={BO: 40})
    first = answered(question, Answer(connect=connect))
    assert (first["destAddr"], first["sipFrom"]) == (f"sip:{ANNA}@sip.example.com", "+4685000444")
    assert first["maxRingTime"] == 20
    told = {**EVENT, "event": "calledPartyFailure", "sessionReferenceId": first["sessionReferenceId"]}
    second = answered(asked("callEvent", told), Answer())
    assert (second["destAddr"], second["maxRingTime"]) == (f"sip:{BO}@sip.example.com", 40)
    last = asked("callEvent", {**told, "sessionReferenceId": second["sessionReferenceId"]})
    assert last.settled is None
    assert answered(last, Answer())["action"] == "drop"
    talked = asked("callEvent", {**told, "event": "calledPartyDrop"})
    assert answered(talked, Answer())["action"] == "drop", "they have talked: the next is not rung"


def test_a_caller_who_leaves_before_the_prompts_is_not_given_to_them_again() -> None:
    body = answered(asked("newCall", NEW_CALL), Answer((HELLO,)))
    told = {"sessionId": "S2", "sessionReferenceId": body["sessionReferenceId"]}
    for event in DROPS | FAILURES:
        assert answered(asked("callEvent", {**told, "event": event}), Answer())["action"] == "drop"


def test_of_two_who_have_been_parted_nothing_is_settled() -> None:
    said = answered(asked("getIvrCommand", COMMAND), Answer(connect=Connect((BO,))))
    told = {**EVENT, "event": "calleeConnectionSplit", "sessionReferenceId": said["sessionReferenceId"]}
    assert asked("callEvent", told).settled is None


def test_who_is_asked_about_is_who_remains_and_of_two_who_are_parted_each() -> None:
    told = {**EVENT, "participantId": "P1", "remoteParticipantId": "P2"}
    left = asked("callEvent", told)
    assert (left.party, left.gone, left.is_parted) == ("P2", "P1", False)
    for event in SPLITS:
        parted = asked("callEvent", {**told, "event": event})
        assert (parted.party, parted.gone, parted.is_parted) == ("P1", "", True)


def test_of_two_who_are_parted_only_who_is_called_on_changes_what_travels_with_their_session() -> None:
    reference = {"attempt": "AT1", "answered": True, "connected": True}
    question = asked(
        "callEvent", {**EVENT, "event": "calleeConnectionSplit", "sessionReferenceId": reference}
    )
    called_on = answered(question, Answer(connect=Connect((BO,)), state={"over": True}))
    assert called_on["sessionReferenceId"] == {**reference, "state": {"over": True}}
    # Whichever answer comes last: two are connected then.
    assert answered(question, Answer()) == {"action": "drop", "dropCode": "dropNoMsg"}
    assert answered(question, Answer(collect=Collect())) == {"action": "ivr"}


def test_who_waits_does_not_change_that_two_others_talk() -> None:
    reference = {"attempt": "AT1", "answered": True, "connected": True}
    question = asked("getIvrCommand", {**COMMAND, "sessionReferenceId": reference})
    assert answered(question, Answer(collect=Collect()))["sessionReferenceId"] == reference
    handed_on = answered(question, Answer(connect=Connect((BO,))))["sessionReferenceId"]
    assert "connected" not in handed_on, "nobody is, until the other has picked up"


def test_who_waits_is_connected_by_their_id() -> None:
    assert answered(asked("callEvent", EVENT), Answer(join="P7")) == {
        "action": "connect",
        "participantId": "P7",
        "sessionReferenceId": {"attempt": "AT1", "connected": True},
    }


def test_whom_somebody_is_connected_with_is_shown_the_same_as_whoever_is_called() -> None:
    shown = {"caller_privacy": "yes", "display_name": "Choir", "sip_diversion": "4685000333"}
    question = asked("callEvent", {**EVENT, "event": "callingPartyDrop"})
    body = answered(question, Answer(connect=Connect((BO,))), **shown, x_headers='{"x-a": "1"}')
    told = {"callerPrivacy": True, "displayName": "Choir", "sipDiversion": "4685000333"}
    assert body.items() >= told.items()
    assert "xHeaders" not in body


def test_an_extension_has_a_host_of_its_own() -> None:
    question = asked("callEvent", {**EVENT, "event": "callingPartyDrop"})
    answer = Answer(connect=Connect(("102",)))
    assert answered(question, answer, extension_host="pbx.example")["destAddr"] == "sip:102@pbx.example"


def test_who_is_left_may_hear_something() -> None:
    body = answered(asked("callEvent", EVENT), Answer((SONG,), state={"menu": "after"}))
    assert body["action"] == "ivr"
    asked_again = asked("getIvrCommand", {**COMMAND, "sessionReferenceId": body["sessionReferenceId"]})
    assert asked_again.settled == Answer((SONG,), state={"menu": "after"})


@pytest.mark.parametrize("wanted", ["AT1", "S1-2", "a/b", "../x", "å" * 80])
def test_a_recording_has_a_name_that_can_stand_in_an_address(wanted: str) -> None:
    assert (
        recording_name(wanted).replace("-", "").removesuffix(".mp3").isalnum()
        or recording_name(wanted) == ".mp3"
    )


# --- calls that come in --------------------------------------------------------------------------------------

NEW_CALL = {"sessionId": "S2", "callingParty": ANNA, "calledParty": "+46850001111"}


def test_a_call_that_nobody_wants_is_refused() -> None:
    refused = answered(asked("newCall", NEW_CALL), Answer(refuse=True))
    assert refused == {
        "action": "drop",
        "dropCode": "numberNotActive",
        "sessionReferenceId": {"inbound": True, "session": "S2"},
    }
    assert answered(asked("newCall", NEW_CALL), Answer())["dropCode"] == "dropNoMsg"


def test_a_caller_is_connected_and_shown_as_they_are() -> None:
    body = answered(
        asked("newCall", NEW_CALL), Answer(connect=Connect((BO,), timeout=15, record=True)), sip_from=""
    )
    assert body == {
        "action": "call",
        "destAddr": f"sip:{BO}@sip.example.com",
        "maxRingTime": 15,
        "ringbackTone": "default",
        "callRecording": True,
        "recordingFileName": "S2.mp3",
        "sessionReferenceId": {"inbound": True, "session": "S2", "connected": True},
    }


def test_a_caller_who_does_not_want_their_number_shown_is_not_shown() -> None:
    secret = asked("newCall", {**NEW_CALL, "callingPartyPrivacy": "secret"})
    connect = Connect((BO,))
    assert answered(secret, Answer(connect=connect), sip_from="")["callerPrivacy"] is True
    assert "callerPrivacy" not in answered(secret, Answer(connect=connect)), "it is our number that is shown"
    public = asked("newCall", {**NEW_CALL, "callingPartyPrivacy": "public"})
    assert "callerPrivacy" not in answered(public, Answer(connect=connect), sip_from="")
    # … after a word, either.
    told = answered(secret, Answer((HELLO,), connect=connect))
    command = asked("getIvrCommand", {"sessionId": "S2", "sessionReferenceId": told["sessionReferenceId"]})
    said = answered(command, Answer())
    done = {"sessionId": "S2", "event": "calledPartyDrop", "sessionReferenceId": said["sessionReferenceId"]}
    assert answered(asked("callEvent", done), Answer(), sip_from="")["callerPrivacy"] is True


def test_a_caller_whom_the_prompts_have_at_once_gets_what_the_number_gives() -> None:
    question = asked("getCallIdentifier", {"sessionId": "S2", "calledParty": "46850001111"})
    assert (question.asks, question.session, question.called) == (Asks.INBOUND, "S2", "+46850001111")
    wanted = Answer((HELLO,), connect=Connect((BO,)))
    body = answered(question, wanted)
    assert body.keys() == {"sessionId", "sessionReferenceId"}
    command = asked("getIvrCommand", body)
    assert command.settled == wanted
    refused = answered(question, Answer(refuse=True))
    assert refused == {"sessionId": "S2"}
    assert asked("getIvrCommand", refused).settled is None


def test_a_caller_stays_hidden_from_everybody_who_is_rung_and_who_picks_up_hears_something() -> None:
    connect = Connect((ANNA, BO), greeting=(HELLO,), hide_caller=True)
    first = answered(asked("newCall", NEW_CALL), Answer(connect=connect))
    gone = {"sessionReferenceId": first["sessionReferenceId"], "event": "calledPartyFailure"}
    second = answered(asked("callEvent", {**EVENT, **gone}), Answer())
    assert [body["destAddr"][4:16] for body in (first, second)] == [ANNA, BO]
    for body in (first, second):
        assert body["callerPrivacy"] is True
        assert body["greeting"]["callee"]["phrases"] == [phrase(HELLO, Answer())]


def test_no_keys_are_pressed_for_a_caller_and_nobody_is_rung_together_and_all_else_can_be_done() -> None:
    whole = Connect((BO,), record=True, greeting=(HELLO,), hide_caller=True)
    assert IotcommsAdapter.check_inbound(Answer((SONG,), connect=whole, answer_first=True)) == []
    (pressed,) = IotcommsAdapter.check_inbound(Answer(connect=Connect((BO,), press="1")))
    assert "leave out press" in pressed
    (together,) = IotcommsAdapter.check_inbound(Answer(connect=Connect((ANNA, BO), one_by_one=False)))
    assert "leave out --at-once" in together


def test_an_announcement_to_a_caller_takes_two_answers_and_one_decision() -> None:
    wanted = Answer((HELLO,), connect=Connect((BO,)), state={"rule": "R1"}, language="sv-SE")
    body = answered(asked("newCall", NEW_CALL), wanted)
    assert body["action"] == "ivr"
    command = asked("getIvrCommand", {"sessionId": "S2", "sessionReferenceId": body["sessionReferenceId"]})
    assert (command.attempt_id, command.settled) == ("", wanted)
    said = answered(command, Answer(refuse=True))
    assert said["phrases"] == [phrase(HELLO, Answer(language="sv-SE"))]
    told = {"sessionId": "S2", "sessionReferenceId": said["sessionReferenceId"]}
    gone = asked("callEvent", {**told, "event": "callingPartyDrop"})
    assert answered(gone, Answer())["action"] == "drop", "the caller has hung up"
    done = asked("callEvent", {**told, "event": "calledPartyDrop"})
    assert answered(done, Answer())["destAddr"] == f"sip:{BO}@sip.example.com"
