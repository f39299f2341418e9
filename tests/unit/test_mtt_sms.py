"""The words of MTT's text messages and ours: requests, replies and callbacks, by its reference."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dialer.calls.progress import Standing, advance
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    Asked,
    Capability,
    EventError,
    Outcome,
    ProviderConfig,
    ProviderError,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    TextMessage,
)
from dialer.providers.kinds import adapter_class, make_adapter
from dialer.providers.mtt_sms import STATUSES

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
SID = "accefd5c385-f2aa-3dd4-9c0b-01abf00ccfe"
MESSAGE = "msgb0789d2f-8932-400d-8768-b6c12abbb872"
URI = f"/v2/accounts/{SID}/messages/{MESSAGE}"
SMS = Submission("AT1", "+46701112233", "+46850001111", "Your code is 1987", None, code="1987")
SETTINGS = {"account_sid": SID, "token": "t0ken-value", "sender": "79587625004"}
#: The outgoing example of the reference.
EVENT = {
    "account_sid": "acc560115b3-4831-3618-9c44-959590da3d44",
    "direction": "outbound",
    "from": "79587625012",
    "hash": "view",
    "message_sid": "msg96f3f40d-d0cf-3af4-99fc-b73653aa6f2e",
    "status": "delivered",
    "text": "test inbound",
    "to": "79587643270",
}
WORDS = [*STATUSES, "undelivered"]


def adapter_with(**settings: str) -> Adapter:
    return make_adapter(ProviderConfig("PR1", "texts", "mtt-sms", "", {**SETTINGS, **settings}))


def callback(query: str = "", body: bytes = b"", received_at: datetime = NOW) -> RawEvent:
    return RawEvent("POST" if body else "GET", "", query, "", body, None, received_at)


def event(status: str, received_at: datetime = NOW) -> RawEvent:
    return callback(urlencode({**EVENT, "status": status}), received_at=received_at)


def reply(status: int, answer: object) -> Reply:
    return Reply(status, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


# --- requests --------------------------------------------------------------------------------------------


def test_a_message_reads_as_in_the_reference_with_our_reference_as_its_tag() -> None:
    request = adapter_with().build_request(SMS)
    assert (request.method, request.path) == ("POST", f"v2/accounts/{SID}/messages")
    login = base64.b64encode(f"{SID}:t0ken-value".encode()).decode()
    assert request.headers == {"Authorization": f"Basic {login}"}
    assert request.json == {
        "from": "79587625004",
        "to": "46701112233",
        "text": "Your code is 1987",
        "tag": "AT1",
    }


@pytest.mark.parametrize("sender", ["+7 958 762-50-04", " 79587625004 ", "+7(958)762.50.04"])
def test_the_sender_may_be_written_as_people_do(sender: str) -> None:
    assert adapter_with(sender=sender).build_request(SMS).json["from"] == "79587625004"


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_message_without_a_text_is_refused_before_sending(text: str | None) -> None:
    with pytest.raises(RefusedError, match="no text") as caught:
        adapter_with().build_request(replace(SMS, text=text))
    assert caught.value.refusal is Refusal.BAD_REQUEST


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"account_sid": " "}, "needs the setting account_sid"),
        ({"token": ""}, "needs the setting token"),
        ({"sender": ""}, "needs the setting sender"),
        ({"account_sid": "acc:1"}, "letters, digits"),
        ({"account_sid": "../x"}, "letters, digits"),
        ({"sender": "Dialer"}, "one of the account's numbers"),
        ({"sender": "12"}, "one of the account's numbers"),
        ({"sender": "7" * 16}, "one of the account's numbers"),
        ({"from": "79587625004"}, "no setting 'from'"),
    ],
)
def test_a_provider_that_cannot_work_is_a_sentence(settings: dict[str, str], sentence: str) -> None:
    with pytest.raises(ProviderSettingError, match=sentence):
        adapter_with(**settings)


def test_it_sends_texts_and_nothing_else() -> None:
    kind = adapter_class("mtt-sms")
    assert kind.capabilities == {Capability.SMS_OTP}
    for has_text, has_media in ((True, False), (False, True), (False, False)):
        (problem,) = kind.check_campaign("en-US", has_text, has_media)
        assert "can announce nothing" in problem


# --- replies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201])
def test_a_created_message_is_placed_under_its_own_id(status: int) -> None:
    answer = {"status_code": 201, "status_message": "CREATED", "uri": URI}
    verdict = adapter_with().read_reply(reply(status, answer))
    assert (verdict.outcome, verdict.provider_reference) == (Outcome.PLACED, MESSAGE)


@pytest.mark.parametrize("status", [200, 400])
def test_the_unsuccessful_answer_is_a_refusal_that_repeats_nothing(status: int) -> None:
    request_id = "7f4d9823-fd41-4697-ba9b-11940e7932d0"
    answer = {
        "status_code": 400,
        "request_id": request_id,
        "error": "Invalid params: text 1987 to 46701112233",
    }
    verdict = adapter_with().read_reply(reply(status, answer))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, Refusal.BAD_REQUEST)
    assert verdict.detail == f"MTT refused the message, request {request_id}"
    odd = adapter_with().read_reply(reply(status, {**answer, "request_id": "46701112233"}))
    assert odd.detail == "MTT refused the message"


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (201, {}),
        (201, {"status_code": 201}),
        (201, {"status_code": 201, "uri": ""}),
        (201, {"status_code": 201, "uri": 7}),
        (201, {"status_code": 201, "uri": "/v2/accounts/a/messages/"}),
        (201, {"status_code": 201, "uri": f"/{MESSAGE}"}),
        (201, {"status_code": 201, "uri": "/messages/" + "x" * 65}),
        (201, {"status_code": "201", "uri": URI}),
        (201, {"uri": URI}),
        (400, {"status_code": 201, "uri": URI}),
        (400, {"status_code": 400, "error": "…", "uri": URI}),
        (200, {"status_code": 400}),
        (200, {"status_code": 401, "error": "Unauthorized"}),
        (200, {"status_code": 429, "error": "Too many"}),
        (200, {"status_code": 500, "error": "…"}),
        (200, {"status_code": [400], "error": "…"}),
        (200, b"<html>"),
        (200, b"[" * 5000),
        (200, b""),
    ],
)
def test_what_the_reference_does_not_say_is_unknown(status: int, answer: object) -> None:
    assert adapter_with().read_reply(reply(status, answer)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "answer", "refusal"),
    [
        (401, {"status_code": 401, "error": "Unauthorized"}, Refusal.PROVIDER),
        (402, b"", Refusal.PROVIDER),
        (404, b"<html>", Refusal.PROVIDER),
        (400, b"", Refusal.BAD_REQUEST),
        (422, {"error": "…"}, Refusal.BAD_REQUEST),
    ],
)
def test_a_refusal_without_a_documented_error_goes_by_its_status(
    status: int, answer: object, refusal: Refusal
) -> None:
    verdict = adapter_with().read_reply(reply(status, answer))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)


def test_429_was_not_processed_and_5xx_is_unknown() -> None:
    held = adapter_with().read_status(Reply(429, {"retry-after": "7"}, b""))
    broken = adapter_with().read_status(Reply(500, {}, b""))
    assert held is not None
    assert broken is not None
    assert (held.outcome, held.retry_after) == (Outcome.NOT_PROCESSED, 7.0)
    assert broken.outcome is Outcome.UNKNOWN


@given(st.integers(200, 499), st.dictionaries(
    st.sampled_from(["status_code", "uri", "error", "request_id"]),
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()) | st.sampled_from([201, 400, URI]),
))  # fmt: skip
def test_only_a_created_message_is_ever_placed(status: int, answer: dict[str, object]) -> None:
    verdict = adapter_with().read_reply(reply(status, answer))
    if verdict.outcome is Outcome.PLACED:
        assert status < 300
        assert answer["status_code"] == 201
        assert str(answer["uri"]).endswith(f"/messages/{verdict.provider_reference}")


# --- callbacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("queued", None),
        ("prebilling", None),
        ("sent", (AttemptState.RINGING, None)),
        ("delivered", (AttemptState.ENDED, Disposition.ANSWERED)),
        ("undelivered", (AttemptState.ENDED, Disposition.UNKNOWN)),
        ("Delivered", (AttemptState.ENDED, Disposition.UNKNOWN)),
        ("received", (AttemptState.ENDED, Disposition.UNKNOWN)),
    ],
)
def test_each_status_has_its_fact_and_others_are_unknown(
    status: str, told: tuple[AttemptState, Disposition | None] | None
) -> None:
    facts = adapter_with().read_event(event(status))
    assert [(fact.state, fact.disposition) for fact in facts] == ([] if told is None else [told])
    for fact in facts:
        assert (fact.attempt_id, fact.provider_reference, fact.at) == ("", EVENT["message_sid"], NOW)
        assert (fact.hangup_cause, fact.duration, fact.billsec, fact.cost) == (None, None, None, None)
    assert len(STATUSES) == 4


FORM = urlencode(EVENT)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (FORM, b""),
        ("", FORM.encode()),
        ("", json.dumps(EVENT).encode()),
        ("", json.dumps({FORM: ""}).encode()),
        ("", json.dumps({FORM: None}).encode()),
    ],
)
def test_parameters_are_read_wherever_mtt_puts_them(query: str, body: bytes) -> None:
    (fact,) = adapter_with().read_event(callback(query, body))
    assert (fact.provider_reference, fact.disposition) == (EVENT["message_sid"], Disposition.ANSWERED)


def test_reply_and_callback_name_a_message_alike() -> None:
    placed = adapter_with().read_reply(reply(201, {"status_code": 201, "uri": URI}))
    (fact,) = adapter_with().read_event(callback(urlencode({**EVENT, "message_sid": MESSAGE})))
    assert placed.provider_reference == fact.provider_reference


def test_what_people_write_back_is_a_message_and_no_event() -> None:
    inbound = {**EVENT, "direction": "inbound", "status": "received", "from": "79587643270", "text": "Стоп!"}
    raw = callback(urlencode(inbound))
    assert adapter_with().read_event(raw) == []
    assert adapter_with().read_text_message(raw) == TextMessage("+79587643270", "Стоп!")
    assert adapter_with().kept(raw) == raw
    for nobody in ("", "Bank", "900"):
        assert adapter_with().read_text_message(callback(urlencode({**inbound, "from": nobody}))) is None
    assert adapter_with().read_text_message(callback(FORM)) is None


@pytest.mark.parametrize(
    ("query", "body"),
    [
        (FORM, b""),
        ("", FORM.encode()),
        ("text=1987", FORM.encode()),
        ("", json.dumps(EVENT).encode()),
        ("", json.dumps({FORM: ""}).encode()),
        ("", json.dumps({"data": FORM}).encode()),
        ("", json.dumps({"messages": [EVENT]}).encode()),
    ],
)
def test_what_was_sent_is_not_kept_and_its_event_reads_the_same(query: str, body: bytes) -> None:
    raw = callback(query, body)
    kept = adapter_with().kept(raw)
    assert not [one for one in (kept.query, kept.body.decode()) if "1987" in one or "test" in one]
    if b"messages" not in body:
        assert adapter_with().read_event(kept) == adapter_with().read_event(raw)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "direction"),
        ("direction=sideways&status=sent&message_sid=msg1", "direction"),
        ("direction=outbound&message_sid=msg1", "no status"),
        ("direction=outbound&status=delivered", "no reference"),
        ("direction=outbound&status=queued", "no reference"),
        ("direction=outbound&status=sent&message_sid=" + "x" * 65, "not one of ours"),
        ("direction=outbound&status=sent&message_sid=m%00", "not one of ours"),
    ],
)
def test_nonsense_is_an_event_error_that_says_why(query: str, why: str) -> None:
    with pytest.raises(EventError, match=why):
        adapter_with().read_event(callback(query))


EVENT_TEXTS = st.text() | st.lists(
    st.tuples(
        st.sampled_from(["direction", "status", "message_sid", "text"]),
        st.sampled_from(["outbound", "inbound", *WORDS, "msg1", "%00", "+", ""]),
    )
).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs))


@example(query="", body=rb'{"\ud800": 1}')
@given(
    query=EVENT_TEXTS,
    body=st.binary()
    | st.dictionaries(
        EVENT_TEXTS, st.none() | st.integers() | st.text() | st.lists(st.none()), max_size=2
    ).map(lambda fields: json.dumps(fields).encode()),
)
def test_no_callback_whatsoever_breaks_the_reading(query: str, body: bytes) -> None:
    try:
        facts = adapter_with().read_event(callback(query, body))
    except EventError:
        return
    for fact in facts:
        assert fact.provider_reference
        assert (fact.disposition is None) == (fact.state is AttemptState.RINGING)


@given(st.data())
def test_callbacks_of_one_message_end_the_same_in_any_order_with_doubles(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5))
    events = [event(word, NOW + timedelta(seconds=n)) for n, word in enumerate(words)]
    doubled = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=5))]))
    adapter = adapter_with()

    def ended(told: list[RawEvent]) -> Standing:
        facts = [fact for raw in told for fact in adapter.read_event(raw)]
        return advance(Standing(AttemptState.PLACED), facts)

    assert ended(doubled) == ended(events)
    if "delivered" in words:
        assert ended(doubled).outcome is Disposition.ANSWERED


# --- look-ups -----------------------------------------------------------------------------------------------

ASKED = Asked("AT1", MESSAGE, "+46701112233", "", NOW)


def told_of(**message: object) -> Reply:
    """The answer about one message."""
    known = {"message_sid": MESSAGE, "direction": "outbound", **message}
    return reply(200, {"page": 0, "total": 1, "limit": 20, "prev": "", "next": "", "messages": [known]})


def test_a_message_is_looked_up_by_its_own_id_alone() -> None:
    request = adapter_with().lookup_request(ASKED)
    assert request is not None
    assert (request.method, request.path) == ("GET", f"v2/accounts/{SID}/messages/{MESSAGE}")
    assert request.headers == adapter_with().build_request(SMS).headers
    for reference in (None, "AT1"):
        assert adapter_with().lookup_request(replace(ASKED, provider_reference=reference)) is None


@pytest.mark.parametrize(
    ("status", "disposition"),
    [
        ("queued", None),
        ("prebilling", None),
        ("sent", None),
        ("delivered", Disposition.ANSWERED),
        ("undelivered", Disposition.UNKNOWN),
    ],
)
def test_a_looked_up_status_is_read_as_in_events_and_only_an_end_is_told(
    status: str, disposition: Disposition | None
) -> None:
    facts = adapter_with().read_lookup(told_of(status=status), ASKED)
    assert [(fact.state, fact.disposition) for fact in facts] == (
        [] if disposition is None else [(AttemptState.ENDED, disposition)]
    )
    assert {(fact.provider_reference, fact.at) for fact in facts} <= {(MESSAGE, NOW)}


@pytest.mark.parametrize(
    "answer",
    [
        told_of(),
        told_of(status=""),
        told_of(status="delivered", message_sid="msg1"),
        reply(404, {"status_code": 404, "error": "Message not found", "request_id": ""}),
    ],
)
def test_what_is_not_told_of_the_message_is_no_end(answer: Reply) -> None:
    with pytest.raises(ProviderError, match="MTT"):
        adapter_with().read_lookup(answer, ASKED)


# --- the account ------------------------------------------------------------------------------------------


def test_the_account_is_tried_by_reading_its_numbers() -> None:
    request = adapter_with().check_request()
    assert request is not None
    assert (request.method, request.path) == ("GET", f"v2/accounts/{SID}/numbers")
    assert request.headers == adapter_with().build_request(SMS).headers


NUMBERS = {"page": 1, "total": 1, "numbers": [{"number": "79587625004", "direction": "OUT"}]}


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (NUMBERS, "numbers of the account: 1."),
        ({**NUMBERS, "total": 30, "numbers": [{"number": "35800445016"}]}, "numbers of the account: 30."),
    ],
)
def test_a_working_account_is_said_to_work(answer: object, sentence: str) -> None:
    assert sentence in adapter_with().read_check(reply(200, answer))


@pytest.mark.parametrize(
    ("status", "answer", "sentence"),
    [
        (401, {}, "does not accept account_sid and token"),
        (404, b"", "HTTP 404 and no list of numbers"),
        (200, b"<html>", "no list of numbers"),
        (200, {"numbers": {}}, "no list of numbers"),
        (
            200,
            {"total": 1, "numbers": [{"number": "35800445016"}]},
            "sender is none of the account's numbers",
        ),
        (200, {"total": 0, "numbers": []}, "sender is none of the account's numbers"),
        (
            200,
            {"total": 2, "numbers": ["79587625004", {"number": None}]},
            "sender is none of the account's numbers",
        ),
    ],
)
def test_an_account_that_does_not_work_is_a_sentence(status: int, answer: object, sentence: str) -> None:
    with pytest.raises(ProviderError, match=sentence):
        adapter_with().read_check(reply(status, answer))


def test_no_repr_shows_what_is_private() -> None:
    config = ProviderConfig("PR1", "texts", "mtt-sms", "", SETTINGS)
    request = make_adapter(config).build_request(SMS)
    shown = repr([config, SMS, request, event("sent")])
    for private in (
        "t0ken-value",
        "46701112233",
        "1987",
        base64.b64encode(f"{SID}:t0ken".encode()).decode()[:20],
    ):
        assert private not in shown
