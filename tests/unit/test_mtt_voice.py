"""MTT's words for announcements and ours: requests, replies and callbacks, by its reference."""

from __future__ import annotations

import base64
import json
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.progress import Standing, advance
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    Capability,
    EventError,
    Fact,
    Outcome,
    ProviderConfig,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
)
from dialer.providers.kinds import adapter_kinds, make_adapter
from dialer.providers.mtt_voice import (
    CAUSES,
    FEMALE_VOICES,
    MALE_VOICES,
    REFUSALS,
    SPEEDS,
    VOICE_BY_GENDER,
    ending,
    mtt_language,
    mtt_voice,
    pressed,
    utc_of,
)

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
CALL = Submission("AT1", "+79101112233", "+79580000000", "Hello, how are you?", None)
SETTINGS = {"username": "user", "password": "s3same", "method": "inform", "sip_id": "79581112233"}


def adapter_with(**settings: str) -> Adapter:
    return make_adapter(ProviderConfig("PR1", "moscow", "mtt-voice", "", {**SETTINGS, **settings}))


def data_of(submission: Submission, **settings: str) -> dict[str, object]:
    body = adapter_with(**settings).build_request(submission).json
    assert isinstance(body, dict)
    data = body["data"]
    assert isinstance(data, dict)
    return data


def callback(query: str = "", body: str | bytes = b"", content_type: str = "") -> RawEvent:
    raw = body.encode() if isinstance(body, str) else body
    return RawEvent("POST" if raw else "GET", "", query, content_type, raw, None, NOW)


def told(event: str, at: str = "2019-03-29-11-37-13", **more: str) -> list[Fact]:
    body = {"date_time": at, "id": "AT1", "CallID": "00035c7d92bb0971", "event": event, **more}
    return adapter_with().read_event(callback(body=json.dumps(body)))


# --- requests --------------------------------------------------------------------------------------------


def test_a_call_reads_as_in_the_reference() -> None:
    request = adapter_with().build_request(CALL)
    assert (request.method, request.path) == ("POST", "")
    assert request.headers == {"Authorization": "Basic " + base64.b64encode(b"user:s3same").decode()}
    assert request.json == {
        "method": "inform",
        "data": {
            "messId": "AT1",
            "sip_id": "79581112233",
            "a_number": "79580000000",
            "b_number": "79101112233",
            "messText": "Hello, how are you?",
            "langCode": "en-US",
            "voice_name": "oksana",
            "speed_speech": 1.0,
        },
    }


def test_settings_may_be_pasted_with_blanks_and_plus() -> None:
    assert data_of(CALL, sip_id=" +79581112233 ")["sip_id"] == "79581112233"
    assert adapter_with(method=" inform ").build_request(CALL).json["method"] == "inform"


@pytest.mark.parametrize("to", ["+4670111223", "+791011122334", "+467011122334455"])
def test_a_number_without_eleven_digits_is_refused_as_no_number(to: str) -> None:
    with pytest.raises(RefusedError, match="exactly 11 digits") as caught:
        data_of(replace(CALL, to=to))
    assert caught.value.refusal is Refusal.BAD_NUMBER
    assert to[1:] not in str(caught.value)


def test_the_callers_own_number_wins_over_the_providers_and_without_either_mtt_shows_its_own() -> None:
    assert data_of(CALL, a_number="+79583334455")["a_number"] == "79580000000"
    unnamed = replace(CALL, caller_id="")
    assert data_of(unnamed, a_number="+7 958 333-44-55")["a_number"] == "79583334455"
    assert "a_number" not in data_of(unnamed)


def test_a_caller_id_that_mtt_would_not_show_is_refused_before_sending() -> None:
    with pytest.raises(RefusedError, match="caller ids of exactly 11 digits") as caught:
        data_of(replace(CALL, caller_id="+4685000111"), a_number="79583334455")
    assert caught.value.refusal is Refusal.BAD_REQUEST


def test_a_text_is_announced_as_often_as_asked_on_one_line() -> None:
    assert data_of(replace(CALL, text="Hi", repeat_count=3))["messText"] == "Hi. Hi. Hi"
    assert data_of(replace(CALL, text="Hi!\n", repeat_count=2))["messText"] == "Hi! Hi!"
    assert data_of(replace(CALL, text="Привет,\tмир", repeat_count=0))["messText"] == "Привет, мир"


@pytest.mark.parametrize("media", ["hello.wav", None])
def test_a_call_without_a_text_is_refused(media: str | None) -> None:
    with pytest.raises(RefusedError, match="plays no recorded files") as caught:
        data_of(replace(CALL, text=None, media=media))
    assert caught.value.refusal is Refusal.BAD_REQUEST


@pytest.mark.parametrize(
    ("voice", "name"),
    [
        ("Joanna", "oksana"),
        ("Matthew", "zahar"),
        ("FEMALE", "oksana"),
        ("male", "zahar"),
        *(
            (voice.title(), voice)
            for voice in ("alyss", "jane", "oksana", "omazh", "zahar", "ermil", "erkanyavas")
        ),
        ("Zorg", None),
        ("", None),
    ],
)
def test_a_voice_is_one_of_mtts_or_left_to_it(voice: str, name: str | None) -> None:
    assert mtt_voice(voice) == name
    assert data_of(replace(CALL, voice=voice)).get("voice_name") == name


@pytest.mark.parametrize(
    ("rate", "speed"),
    [("x-slow", 0.5), ("slow", 0.75), ("medium", 1.0), ("fast", 1.25), ("x- fast", 1.5), ("?", None)],
)
def test_a_rate_becomes_a_speed(rate: str, speed: float | None) -> None:
    assert data_of(replace(CALL, rate=rate)).get("speed_speech") == speed


def test_voice_tables_stay_within_the_reference() -> None:
    assert len(FEMALE_VOICES | MALE_VOICES) == 7
    assert set(VOICE_BY_GENDER.values()) <= FEMALE_VOICES | MALE_VOICES
    assert all(0.1 <= speed <= 3.0 for speed in SPEEDS.values())
    assert sorted(SPEEDS.values()) == list(SPEEDS.values())


@pytest.mark.parametrize("emotion", ["good", "evil", " Neutral "])
def test_how_the_voice_sounds_is_a_setting(emotion: str) -> None:
    assert data_of(CALL, emotion=emotion)["emotion"] == emotion.strip().lower()


def test_an_emotion_that_mtt_does_not_have_is_a_sentence_at_once() -> None:
    with pytest.raises(
        ProviderSettingError, match="emotion of provider moscow must be one of good, evil, neutral"
    ):
        adapter_with(emotion="sad")


def test_what_mtt_has_no_word_for_is_not_sent() -> None:
    words = data_of(replace(CALL, volume="loud", pitch="low", code="1987"))
    assert not {"volume", "pitch", "code", "emotion", "dtmf"} & set(words)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("en-US", "en-US"),
        ("ru_ru", "ru-RU"),
        (" RU-RU ", "ru-RU"),
        ("tr-TR", None),
        ("en-GB", None),
        ("", None),
    ],
)
def test_a_language_is_one_of_two(language: str, code: str | None) -> None:
    assert mtt_language(language) == code


def test_another_language_is_refused_before_sending_and_at_campaign_creation() -> None:
    adapter = adapter_with()
    with pytest.raises(RefusedError, match="does not speak 'sv-SE'") as caught:
        adapter.build_request(replace(CALL, language="sv-SE"))
    assert caught.value.refusal is Refusal.BAD_REQUEST
    (problem,) = adapter.check_campaign("sv-SE", True, False)
    assert problem == "MTT does not speak 'sv-SE'; choose one of en-US, ru-RU."
    assert adapter.check_campaign("ru-RU", True, False) == []
    assert "cannot play a recorded file" in adapter.check_campaign("ru-RU", False, True)[0]


# --- replies ---------------------------------------------------------------------------------------------

TAKEN = '{"result": {"success": 1}, "id": "1255490", "CallID": "00035c7d92bb061e"}'
FORBIDDEN = """
{
  {
    "result": {
      "success": 0,
      "error": "Forbidden"
    },
    "id": "1255490",
    "CallID": "00035c7d9226611f"
  }
}
"""


def refused(error: str) -> str:
    return json.dumps(
        {"result": {"success": 0, "error": error}, "id": "1255490", "CallID": "00035c7d92260ed6"}
    )


def test_a_success_is_placed_under_the_call_id() -> None:
    verdict = adapter_with().read_reply(Reply(200, {}, TAKEN.encode()))
    assert (verdict.outcome, verdict.provider_reference) == (Outcome.PLACED, "00035c7d92bb061e")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (refused('"b_number" should be in e164 format'), Refusal.BAD_NUMBER),
        (refused('"a_number" should be in e164 format'), Refusal.BAD_REQUEST),
        (refused('"notify" value is not allowed'), Refusal.BAD_REQUEST),
        (
            r'{"result": {"success": 0, "error": "\"messId\" not found in request body"}, "id": "00035c7d92bb099a"}',
            Refusal.BAD_REQUEST,
        ),
        ('{\n  "message": "access forbidden"\n}', Refusal.PROVIDER),
        (FORBIDDEN, Refusal.PROVIDER),
        (refused("Forbidden"), Refusal.PROVIDER),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 403])
def test_each_error_of_the_reference_is_a_refusal(body: str, refusal: Refusal, status: int) -> None:
    verdict = adapter_with().read_reply(Reply(status, {}, body.encode()))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)
    assert len(REFUSALS) == 6


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        "{}",
        "{{}}",
        "{{{}}}",
        '{"result": null}',
        '{"result": {"success": 2}}',
        '{"result": {"success": [1]}}',
        '{"result": {"success": 1, "error": "Forbidden"}}',
        '{"result": {"error": "Forbidden"}}',
        '{"result": {"success": 0}}',
        '{"result": {"success": 0, "error": 5}}',
        '{"result": {}, "message": "access forbidden"}',
        '{"message": "ok"}',
        refused("Internal error"),
    ],
)
def test_what_the_reference_does_not_print_is_unknown(body: str) -> None:
    assert adapter_with().read_reply(Reply(200, {}, body.encode())).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "body", "outcome", "refusal"),
    [
        (401, "", Outcome.REFUSED, Refusal.PROVIDER),
        (404, "not here", Outcome.REFUSED, Refusal.PROVIDER),
        (400, refused("Internal error"), Outcome.REFUSED, Refusal.BAD_REQUEST),
        (400, TAKEN, Outcome.UNKNOWN, None),
    ],
)
def test_a_4xx_is_a_refusal_unless_it_speaks_of_success(
    status: int, body: str, outcome: Outcome, refusal: Refusal | None
) -> None:
    verdict = adapter_with().read_reply(Reply(status, {}, body.encode()))
    assert (verdict.outcome, verdict.refusal) == (outcome, refusal)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(sorted(REFUSALS)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["result", "success", "error", "message", "CallID", "id"]), inner)
    ),
    max_leaves=8,
)


@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()))
def test_only_success_is_ever_placed(body: bytes) -> None:
    verdict = adapter_with().read_reply(Reply(200, {}, body))
    if verdict.outcome is Outcome.PLACED:
        assert json.loads(body)["result"]["success"] in (1, "1")
    assert (verdict.refusal is None) == (verdict.outcome is not Outcome.REFUSED)


# --- callbacks -------------------------------------------------------------------------------------------

BEGUN = "date_time=2019-03-29-11-37-13&id=AT1&CallID=00035c7d92bb0971&event=o_79101112233"
OVER = "date_time=2019-03-29-11-37-27&id=AT1&CallID=00035c7d92bb0971&event=h_79101112233_16_4"


def as_object(pairs: str) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in pairs.split("&"))


@pytest.mark.parametrize(
    "event",
    [
        callback(OVER),
        callback(body=OVER),
        callback(body=OVER, content_type="application/x-www-form-urlencoded"),
        callback(body=OVER.replace("_", "%5F").replace("-", "%2D")),
        callback(body=json.dumps(as_object(OVER))),
        callback(
            body=json.dumps(as_object(OVER), indent=2), content_type="application/x-www-form-urlencoded"
        ),
        callback(body=json.dumps({"data": as_object(OVER)})),
        callback(body=json.dumps({OVER: ""})),
        callback(body=json.dumps({OVER: None})),
        callback(body=json.dumps({"data": {OVER: ""}})),
        callback(body=json.dumps({"data": OVER})),
        callback(body=f'{{"{OVER}"}}'),
        callback(body=f'{{"{OVER}"}},\n'),
        callback(body=f'{{"data":{{"{OVER}"}}}}'),
        callback(body=f'{{"data" : {{ "{OVER}" }} }},'),
        callback("extra=1", body=f'{{"{OVER}"}}'),
    ],
)
def test_an_end_is_read_however_it_is_wrapped(event: RawEvent) -> None:
    (fact,) = adapter_with().read_event(event)
    assert fact == Fact(
        attempt_id="AT1",
        state=AttemptState.ENDED,
        disposition=Disposition.ANSWERED,
        hangup_cause=16,
        at=datetime(2019, 3, 29, 8, 37, 27, tzinfo=UTC),
        duration=4.0,
        billsec=4.0,
        cost=None,
        provider_reference="00035c7d92bb0971",
    )


def test_a_beginning_is_ringing_at_the_time_in_moscow() -> None:
    (fact,) = adapter_with().read_event(callback(BEGUN))
    assert (fact.attempt_id, fact.state, fact.disposition) == ("AT1", AttemptState.RINGING, None)
    assert fact.at == datetime(2019, 3, 29, 8, 37, 13, tzinfo=UTC)


def test_moscow_is_three_hours_ahead_in_summer_and_winter() -> None:
    assert utc_of("2026-07-01-00-30-00") == datetime(2026, 6, 30, 21, 30, tzinfo=UTC)
    assert utc_of("2026-01-01-02-59-59") == datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    "at", ["", "2019-03-29 11:37:13", "2019-02-30-00-00-00", "0001-01-01-00-00-00", "null"]
)
def test_an_event_without_a_readable_time_was_when_it_came(at: str) -> None:
    (fact,) = told("o_79101112233", at)
    assert fact.at == NOW


#: By Q.850, "Table 1", and for 16, 17 and 20 by the reference's examples. 16 is that of a text that was listened to.
DISPOSITIONS = {
    Disposition.BUSY: {17},
    Disposition.NO_ANSWER: {18, 19},
    Disposition.UNAVAILABLE: {20, 27},
    Disposition.REJECTED: {21},
    Disposition.INVALID_NUMBER: {1, 22, 28},
    Disposition.CONGESTION: {34, 38, 41, 42, 44, 47},
    Disposition.UNKNOWN: {16, 31},
    Disposition.FAILED: {
        *(2, 3, 25, 29, 50, 57, 58, 63, 65, 69, 79, 88, 95, 96, 97, 98, 99, 100, 101, 102, 111, 127),
    },
}
ROWS = [(cause, disposition) for disposition, causes in DISPOSITIONS.items() for cause in causes]


@pytest.mark.parametrize(("cause", "disposition"), ROWS)
def test_each_cause_has_its_disposition(cause: int, disposition: Disposition) -> None:
    assert ending(str(cause), 0.0) == (disposition, cause)
    (fact,) = told(f"h_79101112233_{cause}_0")
    assert (fact.state, fact.disposition, fact.hangup_cause) == (AttemptState.ENDED, disposition, cause)
    assert (fact.duration, fact.billsec) == (0.0, 0.0)
    assert not fact.is_unheard_of, "it is documented, whatever it leaves open"


def test_no_cause_is_left_out() -> None:
    assert dict(ROWS) == CAUSES | {16: Disposition.UNKNOWN}
    assert CAUSES[16] is Disposition.ANSWERED


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_who_has_listened_has_picked_up_whatever_ended_the_call(cause: int) -> None:
    assert ending(str(cause), 12.0) == (Disposition.ANSWERED, cause)


@pytest.mark.parametrize("cause", ["", "0", "128", "777", "-1", "1_6", "busy", "٣", "9" * 5000])
def test_a_cause_outside_the_table_is_unknown(cause: str) -> None:
    assert ending(cause, 0.0) == ending(cause, 5.0) == (Disposition.UNKNOWN, None)


@pytest.mark.parametrize(
    "event", ["h_79101112233", "h_79101112233_", "h_79101112233_x_y", "h_79101112233_999_0"]
)
def test_an_end_without_a_word_on_how_is_an_end_all_the_same(event: str) -> None:
    (fact,) = told(event)
    assert (fact.state, fact.disposition) == (AttemptState.ENDED, Disposition.UNKNOWN)
    assert fact.is_unheard_of


def test_a_normal_end_is_an_answer_only_for_who_listened_or_pressed_a_key() -> None:
    def outcome(*events: Fact) -> Disposition | None:
        return advance(Standing(AttemptState.PLACED), events).outcome

    (cleared,), (pressed_none,) = (
        told("h_79101112233_16_0"),
        told("n_79101112233", type="notify", dtmf="null"),
    )
    assert outcome(cleared) is Disposition.UNKNOWN
    assert outcome(pressed_none, cleared) is outcome(*told("h_79101112233_16_1")) is Disposition.ANSWERED


@pytest.mark.parametrize(
    ("event", "more"),
    [
        ("o_79101112233", {}),
        ("n_79101112233", {"type": "notify", "dtmf": "1"}),
        ("o_74997090111", {"type": "transfer", "dtmf": "3"}),
        ("h_79101112233_17_0", {}),
    ],
)
def test_every_event_tells_mtts_reference_where_it_holds_one(event: str, more: dict[str, str]) -> None:
    assert [fact.provider_reference for fact in told(event, **more)] == ["00035c7d92bb0971"]
    for odd in ("", "a b", "x" * 65, "ы"):
        assert [fact.provider_reference for fact in told(event, CallID=odd, **more)] == [None]


@pytest.mark.parametrize(
    ("dtmf", "keys"),
    [("1", "1"), ("9", "9"), ("12", "12"), ("*", "*"), ("null", ""), ("", ""), ("one", ""), ("1" * 33, "")],
)
def test_keys_are_what_a_telephone_has(dtmf: str, keys: str) -> None:
    assert pressed(dtmf) == keys
    (fact,) = told("n_79101112233", type="notify", dtmf=dtmf)
    assert (fact.state, fact.disposition, fact.dtmf) == (AttemptState.ANSWERED, None, keys)


def test_a_key_that_is_null_in_json_is_none() -> None:
    body = {"date_time": "", "id": "AT1", "dtmf": None, "type": "notify", "event": "n_79101112233"}
    (fact,) = adapter_with().read_event(callback(body=json.dumps(body)))
    assert (fact.state, fact.dtmf) == (AttemptState.ANSWERED, "")


def test_a_transfer_tells_its_key_and_never_ends_the_attempt() -> None:
    (begun,) = told("o_74997090111", type="transfer", dtmf="3")
    assert (begun.state, begun.dtmf, begun.disposition) == (AttemptState.ANSWERED, "3", None)
    assert told("h_74997090111_16_30", type="transfer", dtmf="3") == []
    assert told("h_74997090111_16_30", type="transfer", dtmf="null") == []
    assert told("h_74997090111_16_30", type="transfer") == []
    assert told("h_74997090111_16_30", dtmf="3") == []
    assert told("o_74997090111", type="transfer") == []


#: "General example": the whole of a call that was transferred.
TRANSFERRED = [
    {"date_time": "2019-03-29-11-37-13", "event": "o_79103880489"},
    {"date_time": "2019-03-29-11-37-55", "dtmf": "3", "type": "transfer", "event": "o_74997090111"},
    {"date_time": "2019-03-29-11-38-45", "dtmf": "3", "type": "transfer", "event": "h_74997090111_16_30"},
    {"date_time": "2019-03-29-11-39-20", "event": "h_79103880489_16_50"},
]
BUSY = [
    {"date_time": "2019-03-29-11-37-13", "event": "o_79103880489"},
    {"date_time": "2019-03-29-11-37-15", "event": "h_79103880489_17_0"},
]
NOTIFIED = [
    {"date_time": "2019-03-29-11-37-13", "event": "o_79103880489"},
    {"date_time": "2019-03-29-11-37-30", "dtmf": "1", "type": "notify", "event": "n_79103880489"},
    {"date_time": "2019-03-29-11-37-40", "event": "h_79103880489_16_9"},
]


@given(st.sampled_from([TRANSFERRED, BUSY, NOTIFIED]), st.randoms(use_true_random=False))
def test_events_of_a_call_in_any_order_and_doubled_end_the_same(
    events: list[dict[str, str]], chance: random.Random
) -> None:
    def standing(told: list[dict[str, str]]) -> Standing:
        read = adapter_with().read_event
        raws = [callback(body=json.dumps({"id": "AT1", "CallID": "c", **event})) for event in told]
        return advance(Standing(AttemptState.PLACED), [fact for raw in raws for fact in read(raw)])

    again = events + [chance.choice(events) for _ in range(3)]
    chance.shuffle(again)
    ended = standing(events)
    assert standing(again) == ended
    assert ended.state is AttemptState.ENDED
    last = events[-1]["event"].split("_")
    assert (ended.hangup_cause, ended.duration) == (int(last[2]), float(last[3]))
    assert ended.ringing_at == datetime(2019, 3, 29, 8, 37, 13, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("", "not one that MTT documents"),
        ("{}", "not one that MTT documents"),
        ("{,}", "not one that MTT documents"),
        ('{"data": {}}', "not one that MTT documents"),
        ("id=AT1&event=s_79101112233", "not one that MTT documents"),
        ("id=AT1&event=o_", "not one that MTT documents"),
        ("id=AT1&event=o_79101112233_16_4", "not one that MTT documents"),
        ("id=AT1&event=h_79101112233_16_4_4", "not one that MTT documents"),
        ("event=o_79101112233", "no reference"),
        ("event=o_79101112233&id=" + "x" * 65, "not one of ours"),
        ("event=o_79101112233&id=A%00", "not one of ours"),
    ],
)
def test_nonsense_is_an_event_error_that_says_why(body: str, why: str) -> None:
    with pytest.raises(EventError, match=why) as caught:
        adapter_with().read_event(callback(body=body))
    assert "79101112233" not in str(caught.value)


EVENT_NAMES = st.sampled_from(["event", "id", "date_time", "dtmf", "type", "data", "CallID"])
EVENTS = ["o_79101112233", "h_79101112233_16_4", "h_79101112233_nan_1e400", "h_7_555_-1", "n_79101112233"]
TIMES = ["2019-03-29-11-37-13", "0001-01-01-00-00-00", "9999-12-31-23-59-59"]
EVENT_WORDS = st.sampled_from([*EVENTS, *TIMES, "AT1", "transfer", "null", "3", "%00", "٣"])
PAIRS = st.lists(st.tuples(EVENT_NAMES, EVENT_WORDS)).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)
BODIES = (
    PAIRS
    | PAIRS.map(lambda pairs: json.dumps({pairs: ""}))
    | PAIRS.map(lambda pairs: json.dumps({"data": {pairs: ""}}))
    | PAIRS.map(lambda pairs: f'{{"{pairs}"}}')
    | st.recursive(
        EVENT_WORDS | st.none() | st.integers() | st.floats(),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(EVENT_NAMES, inner),
        max_leaves=6,
    ).map(json.dumps)
    | st.text(st.sampled_from('{}":,=&data \\ud8'), max_size=30)
).map(str.encode)


@given(query=st.text() | PAIRS, body=st.binary() | BODIES, content_type=st.text(max_size=20))
def test_no_callback_whatsoever_breaks_the_reading(query: str, body: bytes, content_type: str) -> None:
    adapter, raw = adapter_with(), callback(query, body, content_type)
    assert len(adapter.dedupe_key(raw)) == 32
    try:
        facts = adapter.read_event(raw)
    except EventError:
        return
    for fact in facts:
        assert fact.state in (AttemptState.RINGING, AttemptState.ANSWERED, AttemptState.ENDED)
        assert (fact.disposition is None) == (fact.state is not AttemptState.ENDED)
        assert fact.duration is None or 0 <= fact.duration <= 86400
        assert fact.at.tzinfo is UTC


def test_a_body_of_many_braces_is_nonsense_like_any_other() -> None:
    for body in (b'{"data":' * 100_000, b"{" * 100_000, b'{"a=b' * 100_000):
        with pytest.raises(EventError):
            adapter_with().read_event(callback(body=body))


# --- configuration ---------------------------------------------------------------------------------------


def test_mtt_voice_is_a_kind_of_provider_that_speaks() -> None:
    assert "mtt-voice" in adapter_kinds()
    adapter = adapter_with()
    assert adapter.capabilities == {Capability.ANNOUNCE_TEXT, Capability.VOICE_OTP, Capability.IVR}
    assert adapter.base_url == "https://sb-api.mtt.ru/v1/sb"
    assert adapter.check_request() is None


@pytest.mark.parametrize("missing", sorted(SETTINGS))
def test_what_mtt_hands_out_must_all_be_set(missing: str) -> None:
    settings = {name: value for name, value in SETTINGS.items() if name != missing}
    with pytest.raises(ProviderSettingError, match=f"needs the setting {missing}"):
        make_adapter(ProviderConfig("PR1", "moscow", "mtt-voice", "", settings))


@pytest.mark.parametrize("number", ["7958000000", "+795800000000", "office"])
def test_an_outgoing_number_that_mtt_would_refuse_is_a_sentence_at_once(number: str) -> None:
    with pytest.raises(ProviderSettingError, match="a_number of provider moscow must have exactly 11 digits"):
        adapter_with(a_number=number)


def test_the_method_of_calls_that_ask_for_keys_may_be_set() -> None:
    assert adapter_with(ivr_method="menu").build_request(CALL).json["method"] == "inform"


def test_no_repr_shows_what_is_private() -> None:
    config = ProviderConfig("PR1", "moscow", "mtt-voice", "", SETTINGS)
    request = make_adapter(config).build_request(CALL)
    shown = repr([config, CALL, request, callback(OVER), callback(body=OVER)])
    for private in ("s3same", "79101112233", "79580000000", "79581112233", "how are you"):
        assert private not in shown
