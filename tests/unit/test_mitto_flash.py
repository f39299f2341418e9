"""The words of Mitto's flash calls and ours: requests, replies and callbacks, by its reference."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
from dialer.providers.kinds import adapter_class, make_adapter
from dialer.providers.mitto_flash import ENDINGS, ERRORS, STATUSES, TOO_MANY

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)
UNIXTIME = int(NOW.timestamp())
CALL = Submission("AT1", "+46701112233", "+46850001111", None, None, code="1987")


def adapter_with(**settings: str) -> Adapter:
    return make_adapter(
        ProviderConfig("PR1", "flash", "mitto-flash", "", {"token": "t0ken-value", **settings})
    )


def body_of(submission: Submission, **settings: str) -> dict[str, object]:
    body = adapter_with(**settings).build_request(submission).json
    assert isinstance(body, dict)
    return body


def callback(query: str = "", body: bytes = b"") -> RawEvent:
    return RawEvent("POST" if body else "GET", "", query, "", body, None, NOW)


def reply(status: int, answer: object) -> Reply:
    return Reply(status, {}, answer if isinstance(answer, bytes) else json.dumps(answer).encode())


def only_fact(raw: RawEvent) -> Fact:
    (fact,) = adapter_with().read_event(raw)
    return fact


# --- requests --------------------------------------------------------------------------------------------


def test_a_flash_call_reads_as_in_the_reference() -> None:
    request = adapter_with().build_request(CALL)
    assert (request.method, request.path) == ("POST", "apps/flash/calls/flash")
    assert request.json == {"number": "46701112233", "code": 1987, "timeout": 60000}


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("t0ken", "Basic t0ken"),
        (" t0ken ", "Basic t0ken"),
        ("Basic t0ken", "Basic t0ken"),
        ("Bearer t0ken", "Bearer t0ken"),
    ],
)
def test_a_token_is_sent_as_given_with_a_scheme_when_it_has_none(token: str, sent: str) -> None:
    assert adapter_with(token=token).build_request(CALL).headers == {"Authorization": sent}


def test_a_code_keeps_its_leading_zero() -> None:
    assert body_of(replace(CALL, code="0987"))["code"] == "0987"
    assert body_of(replace(CALL, code="0000"))["code"] == "0000"


@given(
    st.none()
    | st.text(max_size=6).filter(lambda code: not (len(code) == 4 and code.isascii() and code.isdigit()))
)
def test_a_code_that_is_not_four_digits_is_refused_before_sending(code: str | None) -> None:
    with pytest.raises(RefusedError, match="exactly 4 digits") as caught:
        body_of(replace(CALL, code=code, text="Your code is 1987"))
    assert caught.value.refusal is Refusal.BAD_REQUEST


def test_how_long_it_rings_is_a_setting() -> None:
    assert body_of(CALL, timeout_ms="20000")["timeout"] == 20000
    assert body_of(CALL, timeout_ms="")["timeout"] == 60000


@pytest.mark.parametrize("given_ms", ["0", "-1", "20 s", "1.5", "120001", "9" * 5000, "²"])
def test_a_ringing_time_that_cannot_be_is_refused_with_the_mend(given_ms: str) -> None:
    with pytest.raises(ProviderSettingError, match="whole number of milliseconds from 1 to 120000"):
        adapter_with(timeout_ms=given_ms)


def test_the_token_is_needed() -> None:
    with pytest.raises(ProviderSettingError, match="needs the setting token"):
        adapter_with(token=" ")


def test_it_shows_codes_and_nothing_else() -> None:
    kind = adapter_class("mitto-flash")
    assert kind.capabilities == {Capability.FLASH_OTP}
    for has_text, has_media in ((True, False), (False, True), (False, False)):
        (problem,) = kind.check_campaign("en-US", has_text, has_media)
        assert "can announce nothing" in problem


# --- replies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("request_id", "reference"), [(184467, "184467"), ("a1-b2", "a1-b2")])
def test_a_reply_with_a_request_id_is_placed(request_id: object, reference: str) -> None:
    verdict = adapter_with().read_reply(reply(200, {"requestId": request_id, "from": "79179136787"}))
    assert (verdict.outcome, verdict.provider_reference) == (Outcome.PLACED, reference)
    said = adapter_with().read_reply(reply(200, {"requestId": request_id, "status": "ok"}))
    assert (said.outcome, said.provider_reference) == (Outcome.PLACED, reference)


@pytest.mark.parametrize(
    ("status", "error", "refusal"),
    [
        (401, 1, Refusal.PROVIDER),
        (400, 2, Refusal.PROVIDER),
        (401, 5, Refusal.PROVIDER),
        (403, 6, Refusal.PROVIDER),
        (400, 10, Refusal.BAD_REQUEST),
        (400, 11, Refusal.BAD_NUMBER),
        (400, 16, Refusal.PROVIDER),
    ],
)
def test_each_error_of_the_reference_says_whose_fault_it_is(
    status: int, error: int, refusal: Refusal
) -> None:
    answer = reply(status, {"errorCode": error, "errorReason": "46701112233 1987"})
    adapter = adapter_with()
    assert adapter.read_status(answer) is None
    verdict = adapter.read_reply(answer)
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)
    assert f"error {error}:" in verdict.detail
    assert "46701112233" not in verdict.detail
    assert len(ERRORS) == 7  # … and 4, which is next


@pytest.mark.parametrize("status", [200, 400, 401, 403, 422])
@pytest.mark.parametrize("error", [*ERRORS, TOO_MANY])
def test_an_error_is_the_same_under_whichever_status(error: int, status: int) -> None:
    verdict = adapter_with().read_reply(reply(status, {"errorCode": error, "errorReason": "no"}))
    if error == TOO_MANY:
        assert verdict.outcome is Outcome.NOT_PROCESSED
    else:
        assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, ERRORS[error][0])


def test_too_many_requests_were_not_processed() -> None:
    answer = Reply(429, {"retry-after": "7"}, b'{"errorCode": 4, "errorReason": "Too many requests"}')
    verdict = adapter_with().read_status(answer)
    assert verdict is not None
    assert (verdict.outcome, verdict.retry_after) == (Outcome.NOT_PROCESSED, 7.0)


@pytest.mark.parametrize(
    ("status", "outcome", "refusal"),
    [
        ("ok", Outcome.UNKNOWN, None),  # "requestId is returned" in case of success
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
    verdict = adapter_with().read_reply(reply(200, {"status": status}))
    assert (verdict.outcome, verdict.refusal) == (outcome, refusal)
    assert len(STATUSES) == 8


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {}),
        (200, {"from": "79179136787"}),
        (200, {"errorCode": 99}),
        (200, {"status": "fine"}),
        (200, {"status": ["ok"]}),
        (200, {"requestId": None}),
        (200, {"requestId": ""}),
        (200, {"requestId": True}),
        (200, {"requestId": 1.5}),
        (200, {"requestId": "x" * 65}),
        (200, {"requestId": 7, "errorCode": 11}),
        (200, {"requestId": 7, "status": "rpcError"}),
        (200, {"requestId": 7, "status": "fine"}),
        (400, {"requestId": 7}),
        (400, {"status": "ok"}),
        (200, b"<html>"),
        (200, b"[7]"),
        (200, b"[" * 5000),
        (200, b""),
    ],
)
def test_what_the_reference_does_not_say_is_unknown(status: int, answer: object) -> None:
    assert adapter_with().read_reply(reply(status, answer)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("status", "answer", "refusal"),
    [
        (400, b"<html>", Refusal.BAD_REQUEST),
        (400, {"errorCode": 99}, Refusal.BAD_REQUEST),
        (400, {"errorCode": [11]}, Refusal.BAD_REQUEST),
        (401, {"errorCode": True}, Refusal.PROVIDER),
        (404, b"", Refusal.PROVIDER),
    ],
)
def test_a_refusal_without_a_documented_error_goes_by_its_status(
    status: int, answer: object, refusal: Refusal
) -> None:
    verdict = adapter_with().read_reply(reply(status, answer))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)


@given(st.integers(200, 499), st.dictionaries(
    st.sampled_from(["requestId", "errorCode", "errorReason", "status", "from"]),
    st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()) | st.sampled_from(["ok", 7]),
))  # fmt: skip
def test_only_a_clean_request_id_is_ever_placed(status: int, answer: dict[str, object]) -> None:
    verdict = adapter_with().read_reply(reply(status, answer))
    if verdict.outcome is Outcome.PLACED:
        assert status < 300
        assert "errorCode" not in answer or answer["errorCode"] is None
        assert verdict.provider_reference == str(answer["requestId"])


# --- callbacks -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "disposition", "cause", "billsec"),
    [
        ("ANSWERED", Disposition.ANSWERED, 16, None),
        ("TERMINATED", Disposition.ANSWERED, 19, 0.0),
        ("BUSY_HERE", Disposition.ANSWERED, 21, 0.0),
        ("REJECTED", Disposition.FAILED, None, 0.0),
        ("UNAVAILABLE", Disposition.UNAVAILABLE, 20, 0.0),
        ("FORBIDDEN", Disposition.CANCELLED, None, 0.0),
        ("answered", Disposition.UNKNOWN, None, None),
        ("DELIVERED", Disposition.UNKNOWN, None, None),
    ],
)
def test_each_status_has_its_disposition_and_others_are_unknown(
    status: str, disposition: Disposition, cause: int | None, billsec: float | None
) -> None:
    query = f"requestId=184467&number=46701112233&status={status}&timestamp={UNIXTIME - 9}&appKey=secret"
    fact = only_fact(callback(query))
    assert (fact.attempt_id, fact.provider_reference, fact.state) == ("", "184467", AttemptState.ENDED)
    assert (fact.disposition, fact.hangup_cause, fact.billsec) == (disposition, cause, billsec)
    assert fact.at == NOW - timedelta(seconds=9)
    assert len(ENDINGS) == 6


def test_parameters_may_come_in_the_body() -> None:
    fact = only_fact(
        callback(body=b'{"requestId": 184467, "status": "ANSWERED", "timestamp": %d}' % UNIXTIME)
    )
    assert (fact.provider_reference, fact.disposition, fact.at) == ("184467", Disposition.ANSWERED, NOW)


@pytest.mark.parametrize("request_id", [184467, "184467", "a1-b2"])
def test_reply_and_callback_name_a_call_alike(request_id: object) -> None:
    placed = adapter_with().read_reply(reply(200, {"requestId": request_id}))
    told = only_fact(callback(body=json.dumps({"requestId": request_id, "status": "ANSWERED"}).encode()))
    assert placed.provider_reference == told.provider_reference == str(request_id)


@pytest.mark.parametrize(
    "timestamp", ["", "soon", "nan", "inf", "-1e300", "0", str(UNIXTIME * 1000), str(UNIXTIME + 90000)]
)
def test_a_time_that_cannot_be_gives_way_to_the_arrival(timestamp: str) -> None:
    assert only_fact(callback(f"requestId=7&status=ANSWERED&timestamp={timestamp}")).at == NOW


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("", "no status"),
        ("requestId=7", "no status"),
        ("status=ANSWERED", "no reference"),
        ("status=ANSWERED&requestId=" + "7" * 65, "not one of ours"),
        ("status=ANSWERED&requestId=7%00", "not one of ours"),
    ],
)
def test_nonsense_is_an_event_error_that_says_why(query: str, why: str) -> None:
    with pytest.raises(EventError, match=why):
        adapter_with().read_event(callback(query))


@given(
    query=st.text()
    | st.lists(
        st.tuples(
            st.sampled_from(["requestId", "status", "timestamp", "number", "appKey"]),
            st.sampled_from([*ENDINGS, "7", "-1", "nan", "1e400", "%00", ""]),
        )
    ).map(lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)),
    body=st.binary() | st.dictionaries(
        st.sampled_from(["requestId", "status", "timestamp"]),
        st.none() | st.integers() | st.floats() | st.text() | st.sampled_from([*ENDINGS]),
    ).map(lambda fields: json.dumps(fields).encode()),
)  # fmt: skip
def test_no_callback_whatsoever_breaks_the_reading(query: str, body: bytes) -> None:
    try:
        facts = adapter_with().read_event(callback(query, body))
    except EventError:
        return
    for fact in facts:
        assert fact.provider_reference
        assert fact.disposition is not None
        assert abs(fact.at - NOW) <= timedelta(days=1)


@given(st.data())
def test_callbacks_of_one_call_end_the_same_in_any_order_with_doubles(data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from([*ENDINGS, "RINGING"]), min_size=1, max_size=4))
    events = [callback(f"requestId=7&status={word}&timestamp={UNIXTIME + n}") for n, word in enumerate(words)]
    doubled = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=4))]))

    def ended(told: list[RawEvent]) -> Standing:
        return advance(Standing(AttemptState.PLACED), [only_fact(raw) for raw in told])

    assert ended(doubled) == ended(events)
    if {"ANSWERED", "TERMINATED", "BUSY_HERE"} & set(words):
        assert ended(doubled).outcome is Disposition.ANSWERED


def test_no_repr_shows_what_is_private() -> None:
    config = ProviderConfig("PR1", "flash", "mitto-flash", "", {"token": "t0ken-value"})
    shown = repr([config, CALL, make_adapter(config).build_request(CALL)])
    for private in ("t0ken-value", "46701112233", "1987"):
        assert private not in shown
