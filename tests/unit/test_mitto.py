"""Mitto's words and ours: requests, replies and callbacks, by its reference."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.api.webhooks import is_login
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    EventError,
    Outcome,
    ProviderConfig,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
)
from dialer.providers.kinds import adapter_class, adapter_kinds, make_adapter
from dialer.providers.mitto import (
    END_ERRORS,
    GENDERS,
    LANGUAGES,
    NETWORK_ERRORS,
    RATES,
    SCRIPT_ERRORS,
    STATUSES,
    VOLUMES,
    MittoAdapter,
    ending,
    mitto_language,
    scenario_value,
)
from dialer.providers.setup import callback_auth_hash

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
CALL = Submission("AT1", "+46701112233", "+46850001111", "Hello, how are you?", None)


def adapter_with(**settings: str) -> Adapter:
    return make_adapter(ProviderConfig("PR1", "north", "mitto", "", {"access_key": "k3y-value", **settings}))


def body_of(submission: Submission, **settings: str) -> dict[str, object]:
    body = adapter_with(**settings).build_request(submission).json
    assert isinstance(body, dict)
    return body


def callback(
    query: str = "", body: bytes = b"", content_type: str = "", authorization: str | None = None
) -> RawEvent:
    return RawEvent("POST" if body else "GET", "", query, content_type, body, authorization, NOW)


# --- requests --------------------------------------------------------------------------------------------


def test_an_activation_reads_as_in_the_reference() -> None:
    request = adapter_with().build_request(CALL)
    assert (request.method, request.path) == ("POST", "apps/activate")
    assert request.headers == {"X-Authorization": "AccessKey k3y-value"}
    assert request.json == {
        "reference": "AT1",
        "sourceAddr": "46850001111",
        "destAddr": "46701112233",
        "scenarioData": "text=Hello%2C%20how%20are%20you%3F",
        "language": "en-US",
        "gender": 2,
        "volume": 1,
        "rate": 2,
    }


def test_a_key_pasted_with_its_scheme_is_sent_once() -> None:
    request = adapter_with(access_key="AccessKey abc123").build_request(CALL)
    assert request.headers == {"X-Authorization": "AccessKey abc123"}


def test_mitto_is_never_asked_to_repeat_a_call_by_itself() -> None:
    assert not [name for name in body_of(replace(CALL, repeat_count=3)) if "epeat" in name]


def test_the_callers_own_number_wins_over_the_providers() -> None:
    assert body_of(CALL, source_addr="+4699")["sourceAddr"] == "46850001111"
    assert body_of(replace(CALL, caller_id=""), source_addr="+46 99 123")["sourceAddr"] == "4699123"


def test_without_any_caller_id_the_call_is_refused_with_the_mend() -> None:
    with pytest.raises(RefusedError, match="source_addr") as caught:
        body_of(replace(CALL, caller_id=""))
    assert caught.value.refusal is Refusal.BAD_REQUEST


def test_a_text_is_announced_as_often_as_asked() -> None:
    assert body_of(replace(CALL, text="Hi", repeat_count=3))["scenarioData"] == "text=Hi.%20Hi.%20Hi"
    assert body_of(replace(CALL, text="Hi!", repeat_count=2))["scenarioData"] == "text=Hi%21%20Hi%21"


def test_a_script_that_can_repeat_is_told_to() -> None:
    assert (
        body_of(replace(CALL, text="Hi", repeat_count=3), repeat_variable="n")["scenarioData"]
        == "text=Hi&n=3"
    )


def test_a_recorded_file_goes_into_the_variable_the_script_knows() -> None:
    recorded = replace(CALL, text=None, media="hello & bye.wav", language="xx-XX")
    assert body_of(recorded)["scenarioData"] == "file=hello%20%26%20bye.wav"
    assert body_of(recorded, media_variable="media")["scenarioData"] == "media=hello%20%26%20bye.wav"
    assert "language" not in body_of(recorded)


def test_a_call_without_a_message_is_refused() -> None:
    with pytest.raises(RefusedError, match="neither a text nor a recorded file"):
        body_of(replace(CALL, text=None))


@given(st.text(min_size=1))
def test_any_text_survives_as_one_value_of_the_scenario(text: str) -> None:
    encoded = scenario_value(text)
    assert "&" not in encoded
    assert "=" not in encoded
    assert "\n" not in encoded
    spoken = " ".join("".join(" " if c < " " or c == "\x7f" else c for c in text).split())
    assert dict(parse_qsl(f"text={encoded}", keep_blank_values=True))["text"] == spoken


@pytest.mark.parametrize(
    ("voice", "gender"),
    [("Joanna", 2), ("Matthew", 1), ("Raveena", 2), ("MALE", 1), ("female", 2), ("Zorg", None)],
)
def test_a_voice_becomes_a_gender(voice: str, gender: int | None) -> None:
    assert body_of(replace(CALL, voice=voice)).get("gender") == gender


@pytest.mark.parametrize(
    ("volume", "number"),
    [
        ("silent", 0),
        ("x-soft", 0),
        ("x- soft", 0),
        ("soft", 0),
        ("medium", 1),
        ("loud", 2),
        ("x-loud", 2),
        ("?", None),
    ],
)
def test_a_volume_becomes_0_to_2(volume: str, number: int | None) -> None:
    assert body_of(replace(CALL, volume=volume)).get("volume") == number


@pytest.mark.parametrize(
    ("rate", "number"), [("x-slow", 0), ("slow", 1), ("medium", 2), ("fast", 3), ("x- fast", 4), ("?", None)]
)
def test_a_rate_becomes_0_to_4(rate: str, number: int | None) -> None:
    assert body_of(replace(CALL, rate=rate)).get("rate") == number


def test_voice_tables_stay_within_the_reference() -> None:
    assert set(GENDERS.values()) == {1, 2}
    assert set(VOLUMES.values()) == {0, 1, 2}
    assert set(RATES.values()) == {0, 1, 2, 3, 4}
    assert len(LANGUAGES) == 36


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("en-US", "en-US"),
        ("en_us", "en-US"),
        ("en-AU", "en-UA"),
        ("fr-CA", "fi-CA"),
        ("zh-CN", "cmn-CN"),
        ("en-GB", None),
        ("hi-IN", None),
        ("", None),
    ],
)
def test_a_language_is_written_as_in_the_reference_or_not_offered(language: str, code: str | None) -> None:
    assert mitto_language(language) == code


def test_a_language_mitto_does_not_speak_is_refused_before_sending_and_at_campaign_creation() -> None:
    adapter = adapter_with()
    with pytest.raises(RefusedError, match="does not speak 'hi-IN'"):
        adapter.build_request(replace(CALL, language="hi-IN"))
    assert "does not speak 'hi-IN'" in adapter.check_campaign("hi-IN", True, False)[0]
    assert adapter.check_campaign("hi-IN", False, True) == []
    assert adapter.check_campaign("sv-SE", True, True) == []


# --- replies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "outcome", "refusal"),
    [
        ("ok", Outcome.PLACED, None),
        ("invalidAccessKeyError", Outcome.REFUSED, Refusal.PROVIDER),
        ("requiredJsonError", Outcome.REFUSED, Refusal.BAD_REQUEST),
        ("invalidSchemeError", Outcome.REFUSED, Refusal.BAD_REQUEST),
        ("invalidDataError", Outcome.REFUSED, Refusal.BAD_REQUEST),
        ("prohibitedForAppError", Outcome.REFUSED, Refusal.PROVIDER),
        ("prohibitedForServiceError", Outcome.REFUSED, Refusal.PROVIDER),
        ("rpcError", Outcome.UNKNOWN, None),
    ],
)
def test_each_status_of_the_reference_has_its_outcome(
    status: str, outcome: Outcome, refusal: Refusal | None
) -> None:
    verdict = adapter_with().read_reply(Reply(200, {}, json.dumps({"status": status}).encode()))
    assert (verdict.outcome, verdict.refusal) == (outcome, refusal)
    assert len(STATUSES) == 8


@given(st.binary() | st.from_regex(rb'\{"status": ?"[a-zA-Z]+"\}', fullmatch=True))
def test_only_ok_is_ever_placed(body: bytes) -> None:
    verdict = adapter_with().read_reply(Reply(200, {}, body))
    assert (verdict.outcome is Outcome.PLACED) == (b'"ok"' in body)


# --- callbacks -------------------------------------------------------------------------------------------


def test_a_start_means_ringing() -> None:
    (fact,) = adapter_with().read_event(callback("type=startCallback&reference=AT1"))
    assert (fact.attempt_id, fact.state, fact.disposition, fact.at) == (
        "AT1",
        AttemptState.RINGING,
        None,
        NOW,
    )


def test_an_end_is_final_with_its_length() -> None:
    query = "type=endCallback&reference=AT1&state=2&error=0&duration=12&appKey=secret"
    (fact,) = adapter_with().read_event(callback(query))
    assert fact.state is AttemptState.ENDED
    assert (fact.disposition, fact.hangup_cause, fact.duration) == (Disposition.ANSWERED, 16, 12.0)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"type=endCallback&reference=AT1&state=5&error=17&duration=0", "application/x-www-form-urlencoded"),
        (b'{"type": "endCallback", "reference": "AT1", "state": 5, "error": 17}', "application/json"),
    ],
)
def test_parameters_may_come_in_the_body(body: bytes, content_type: str) -> None:
    (fact,) = adapter_with().read_event(callback(body=body, content_type=content_type))
    assert (fact.attempt_id, fact.disposition) == ("AT1", Disposition.BUSY)


ENDINGS_OF_ERRORS = {
    (16, Disposition.NO_ANSWER),
    (17, Disposition.BUSY),
    (18, Disposition.NO_ANSWER),
    (19, Disposition.UNAVAILABLE),
    (34, Disposition.CONGESTION),
    *((code, Disposition.FAILED) for code in range(1001, 1022)),
    (0, Disposition.FAILED),
    (1, Disposition.INVALID_NUMBER),
    *(
        (code, Disposition.FAILED)
        for code in (4, 5, 9, 10, 11, 12, 13, 29, 31, 32, 58, 100, 102, 127, 199, 212)
    ),
    (6, Disposition.CONGESTION),
    (20, Disposition.UNAVAILABLE),
    (21, Disposition.REJECTED),
    (22, Disposition.INVALID_NUMBER),
    (27, Disposition.UNAVAILABLE),
    (28, Disposition.INVALID_NUMBER),
    (36, Disposition.UNAVAILABLE),
    (38, Disposition.CONGESTION),
    (43, Disposition.UNAVAILABLE),
    (98, Disposition.CANCELLED),
    (99, Disposition.MACHINE),
    (200, Disposition.INVALID_NUMBER),
    (201, Disposition.INVALID_NUMBER),
}


@pytest.mark.parametrize(("error", "disposition"), sorted(ENDINGS_OF_ERRORS))
def test_each_error_of_the_reference_has_its_disposition(error: int, disposition: Disposition) -> None:
    assert ending("5", str(error))[0] is disposition


def test_no_documented_error_is_left_out() -> None:
    assert {code for code, _ in ENDINGS_OF_ERRORS} == {*END_ERRORS, *SCRIPT_ERRORS, *NETWORK_ERRORS}


def test_16_and_19_mean_what_the_state_says() -> None:
    assert ending("2", "16") == (Disposition.ANSWERED, 16)
    assert ending("5", "16") == (Disposition.NO_ANSWER, 19)
    assert ending("2", "19") == (Disposition.NO_ANSWER, 19)
    assert ending("5", "19") == (Disposition.UNAVAILABLE, 20)


@pytest.mark.parametrize(
    ("state", "error"),
    [("5", "777"), ("2", "777"), ("5", ""), ("5", "busy"), ("7", "17"), ("", ""), ("5", "9" * 5000)],
)
def test_what_the_reference_does_not_list_is_unknown(state: str, error: str) -> None:
    assert ending(state, error) == (Disposition.UNKNOWN, None)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "type"),
        ("type=middleCallback&reference=AT1", "type"),
        ("type=startCallback", "no reference"),
        ("type=startCallback&reference=" + "x" * 65, "not one of ours"),
        ("type=startCallback&reference=A%00", "not one of ours"),
    ],
)
def test_nonsense_is_an_event_error_that_says_why(query: str, why: str) -> None:
    with pytest.raises(EventError, match=why):
        adapter_with().read_event(callback(query))


EVENT_WORDS = st.sampled_from(
    ["startCallback", "endCallback", "AT1", "2", "5", "16", "-1", "nan", "1e400", "%00"]
)


@given(
    query=st.text()
    | st.lists(
        st.tuples(st.sampled_from(["type", "reference", "state", "error", "duration"]), EVENT_WORDS)
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)),
    body=st.binary(),
    content_type=st.text(max_size=20),
)
def test_no_callback_whatsoever_breaks_the_reading(query: str, body: bytes, content_type: str) -> None:
    adapter, raw = adapter_with(), callback(query, body, content_type)
    assert len(adapter.dedupe_key(raw)) == 32
    try:
        facts = adapter.read_event(raw)
    except EventError:
        return
    for fact in facts:
        assert fact.state in (AttemptState.RINGING, AttemptState.ENDED)
        assert (fact.disposition is None) == (fact.state is AttemptState.RINGING)
        assert fact.duration is None or 0 <= fact.duration <= 86400


def test_equal_callbacks_have_one_key_and_others_another() -> None:
    adapter = adapter_with()
    start, end = callback("type=startCallback&reference=AT1"), callback("type=endCallback&reference=AT1")
    later = replace(start, received_at=NOW.replace(hour=13))
    assert adapter.dedupe_key(start) == adapter.dedupe_key(later)
    assert adapter.dedupe_key(start) != adapter.dedupe_key(end)
    assert adapter.dedupe_key(replace(start, path="a", query="b")) != adapter.dedupe_key(
        replace(start, path="ab", query="")
    )


@pytest.mark.parametrize("kind", ["mitto", "mitto-flash"])
@pytest.mark.parametrize(
    ("query", "body", "kept_query", "kept_body"),
    [
        ("type=endCallback&appKey=k3y&state=2", b"", "type=endCallback&appKey=&state=2", b""),
        ("appKey=k3y", b"", "appKey=", b""),
        ("a=appKey&noappKey=7&b=%26appKey%3D8", b"", "a=appKey&noappKey=7&b=%26appKey%3D8", b""),
        ("", b"status=ANSWERED&appKey=k%33y%2B", "", b"status=ANSWERED&appKey="),
        ("", b"appKey=k3y&x=\xff\x00", "", b"appKey=&x=\xff\x00"),
        ("", b'{"status": "ANSWERED", "appKey" : "k3y"}', "", b'{"status": "ANSWERED", "appKey" : ""}'),
        ("", b'{"appKey": 7, "x": "appKey"}', "", b'{"appKey": 7, "x": "appKey"}'),
        ("type=startCallback&reference=AT1", b"", "type=startCallback&reference=AT1", b""),
    ],
)
def test_the_key_in_a_callback_is_not_kept(
    kind: str, query: str, body: bytes, kept_query: str, kept_body: bytes
) -> None:
    kept = adapter_class(kind).kept(callback(query, body))
    assert (kept.query, kept.body) == (kept_query, kept_body)


def test_what_is_kept_reads_the_same() -> None:
    raw = callback("type=endCallback&reference=AT1&state=2&error=0&duration=12&appKey=k3y")
    assert MittoAdapter.read_event(MittoAdapter.kept(raw)) == MittoAdapter.read_event(raw)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (basic("mitto", "pass:word"), True),
        (basic("mitto", "password"), False),
        (basic("Mitto", "pass:word"), False),
        ("", False),
        ("Bearer abc", False),
        ("Basic åäö", False),
    ],
)
def test_callbacks_are_checked_when_a_password_is_set(authorization: str, expected: bool) -> None:
    login = callback_auth_hash({"callback_user": "mitto", "callback_password": "pass:word"})
    assert login is not None
    assert is_login(login, authorization) is expected


def test_callbacks_are_taken_as_they_are_when_no_password_is_set() -> None:
    assert callback_auth_hash({"callback_user": "", "callback_password": ""}) is None


def test_mitto_signs_nothing() -> None:
    assert MittoAdapter.is_signed(callback(), {})


# --- configuration ---------------------------------------------------------------------------------------


def test_mitto_is_a_kind_of_provider() -> None:
    assert "mitto" in adapter_kinds()


@pytest.mark.parametrize(
    ("kind", "base_url", "settings", "sentence"),
    [
        ("mito", "", {"access_key": "k"}, "no provider kind 'mito'"),
        ("mitto", "", {}, "needs the setting access_key"),
        ("mitto", "", {"access_key": " "}, "needs the setting access_key"),
        ("mitto", "", {"access_key": "k", "sourceaddr": "1"}, "no setting 'sourceaddr'"),
        ("mitto", "cpaas.mittoapi.net/api", {"access_key": "k"}, "must begin with https://"),
        ("mitto", "http://[::1", {"access_key": "k"}, "must begin with https://"),
        ("mitto", "ftp://host", {"access_key": "k"}, "must begin with https://"),
    ],
)
def test_a_provider_that_cannot_work_is_a_sentence(
    kind: str, base_url: str, settings: dict[str, str], sentence: str
) -> None:
    with pytest.raises(ProviderSettingError, match=sentence):
        make_adapter(ProviderConfig("PR1", "north", kind, base_url, settings))


@pytest.mark.parametrize(
    ("word", "number"),
    [
        (("STATE_OK", "0"), ("2", "0")),
        (("STATE_ERR", "ERR_NO_ANSWER"), ("5", "16")),
        (("STATE_ERR", "ERR_BUSY"), ("5", "17")),
        (("5", "ERR_ALERTING"), ("5", "19")),
        (("5", "ERR_CONGESTION"), ("5", "34")),
        (("5", "ERR_TTS"), ("5", "1002")),
    ],
)
def test_a_state_or_error_that_comes_as_its_word_is_its_number(
    word: tuple[str, str], number: tuple[str, str]
) -> None:
    assert ending(*word) == ending(*number)
    assert ending(*word)[0] is not Disposition.UNKNOWN


def test_of_repeats_that_mitto_makes_two_dials_that_end_alike_are_not_taken_for_one() -> None:
    query = "type=endCallback&reference=AT1-1.r&state=5&error=17&duration=0"
    end = callback(query)
    (fact,) = MittoAdapter.read_event(end)
    assert fact.attempt_id == "AT1-1"
    key = MittoAdapter.dedupe_key
    for raw in (end, replace(end, query="", body=query.encode())):
        next_dial = replace(raw, received_at=raw.received_at + timedelta(seconds=30))
        assert key(raw) != key(next_dial)
        assert key(raw) == key(replace(raw))
    alone = callback(query.replace(".r", ""))
    assert key(alone) == key(replace(alone, received_at=alone.received_at + timedelta(days=1)))


def test_no_repr_shows_what_is_private() -> None:
    config = ProviderConfig("PR1", "north", "mitto", "", {"access_key": "k3y-value"})
    request = make_adapter(config).build_request(CALL)
    event = callback(
        "reference=AT1&appKey=k3y-value", b"to=46701112233", authorization=basic("u", "k3y-value")
    )
    shown = repr([config, CALL, request, event, Reply(200, {"a": "k3y-value"}, b"46701112233")])
    for private in ("k3y-value", "46701112233", "46850001111", "how are you"):
        assert private not in shown
