"""The words of the CPaaS API and ours: requests, replies and CDRs, by its reference."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.talk import Side
from dialer.lifecycle import AttemptState, Disposition
from dialer.providers.base import Adapter
from dialer.providers.contract import (
    Asked,
    Capability,
    EventError,
    Outcome,
    ProviderConfig,
    ProviderError,
    ProviderRequest,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
)
from dialer.providers.cpaas import DIAL_STATUSES, MOST_PAGES, PAGE, facts_of, moment
from dialer.providers.cpaas_methods import METHODS
from dialer.providers.kinds import adapter_class, make_adapter

NOW = datetime(2023, 7, 7, 6, 8, tzinfo=UTC)
SETTINGS = {"account": "AC1", "auth": "k3y-value", "announce_template_id": "AN2222314c96"}
OTP = Submission(
    "AT1", "+919979271234", "+15168148111", "Your code is 1, 9, 8, 7", None,
    voice="Raveena", volume="soft", rate="slow", pitch="medium", code="1987",
)  # fmt: skip
CLICK = Submission("AT1", "+919979271234", "+15168148111", None, None, connect_to="+918000681234")
#: The example of "Get CDR By Date", with numbers of our own.
CDR: dict[str, Any] = {
    "account_id": "ACvjfnvjnfs",
    "agent_number": "",
    "answer": "Fri, 07 Jul 2023 06:08:09 GMT",
    "billsec": 7.26955,
    "call_date": "Fri, 07 Jul 2023 06:08:16 GMT",
    "call_direction": "outbound-api",
    "call_duration": 17.0311,
    "call_status": "ANSWERED",
    "caller_id": "15168148111",
    "customer_number": "919979271234",
    "destination_context": "local_call",
    "dial_status": "ANSWER",
    "dialed_number": "919979271234",
    "dtmf_inputs": "",
    "end": "Fri, 07 Jul 2023 06:08:16 GMT",
    "id": 352,
    "recording_name": "",
    "request_id": "b5e66bf36f",
    "uniqueid": "1688710079.868",
}
#: The example of "Create Campaign".
CAMPAIGN: dict[str, str] = {
    "list_id": "LS608c393614", "dnd_list_id": "DNd2b09f8f80", "campaign_name": "test_broadcast_campaign_test_volume",
    "campaign_type": "0", "campaign_caller_id": "15168148111", "dynamic_announcement": "1", "recorded_filename": "",
    "announcement_text": "Dear, {field1} , {field2}, Your due balance is,, {field3},,INR only",
    "campaign_start_date": "2023-09-25 14:05:00", "campaign_end_date": "2023-09-26 20:00:00",
    "time_zone": "Asia/Kolkata", "repeat": "2", "max_retries": "1", "retry_time": "60", "calls_per_minute": "10",
    "voice": "Matthew", "volume": "soft", "rate": "slow", "pitch": "medium", "language_code": "en-US",
    "tts_engine_type": "standard",
}  # fmt: skip
NEVER = "Thu, 01 Jan 1970 00:00:00 GMT"
ASKED = Asked("AT1", "b5e66bf36f", "+919979271234", "+15168148111", NOW)
UNHEARD = replace(ASKED, provider_reference=None)


def adapter_with(**settings: str) -> Adapter:
    wanted = {name: value for name, value in {**SETTINGS, **settings}.items() if value}
    return make_adapter(ProviderConfig("PR1", "south", "cpaas", "http://cpaas.example/api", wanted))


def reply(content: object, status: int = 200) -> Reply:
    body = content if isinstance(content, bytes) else json.dumps({"response": content}).encode()
    return Reply(status, {}, body)


def found(*cdrs: dict[str, Any]) -> Reply:
    return reply({"message": "cdr found", "result": list(cdrs), "success": "true"})


# --- requests --------------------------------------------------------------------------------------------


def test_a_password_reads_as_in_the_reference() -> None:
    request = adapter_with().build_request(replace(OTP, tts_engine_type="neural"))
    assert (request.method, request.path) == ("POST", "outbound_call")
    assert request.headers == {"account": "AC1", "auth": "k3y-value"}
    assert request.json == {
        "customer_number": "919979271234",
        "otp": "1987",
        "announce_template_id": "AN2222314c96",
        "repeat": "1",
        "caller_id": "15168148111",
        "voice": "Raveena",
        "volume": "soft",
        "rate": "slow",
        "pitch": "medium",
        "language_code": "en-US",
        "tts_engine_type": "neural",
    }


def test_words_that_the_reference_breaks_are_mended_and_others_left_to_the_provider() -> None:
    body = adapter_with().build_request(replace(OTP, volume="x- Loud", rate="brisk", repeat_count=3)).json
    assert body["volume"] == "x-loud"
    assert "rate" not in body
    assert body["repeat"] == "3"


@pytest.mark.parametrize(
    ("record", "side", "option"),
    [
        (False, None, "off"),
        (True, None, "both"),
        (True, Side.AGENT, "agent"),
        (True, Side.CUSTOMER, "customer"),
    ],
)
def test_two_people_are_connected_our_callee_first(record: bool, side: Side | None, option: str) -> None:
    click = replace(CLICK, record=record, record_side=side)
    request = adapter_with(announce_template_id="").build_request(click)
    assert (request.method, request.path) == ("POST", "click2call")
    assert request.json == {
        "agent_number": "919979271234",
        "caller_id": "15168148111",
        "destination_number": "918000681234",
        "recording_option": option,
    }


def test_a_call_without_a_caller_id_takes_the_providers() -> None:
    bare = replace(CLICK, caller_id="")
    assert adapter_with(caller_id="+1 516 814").build_request(bare).json["caller_id"] == "1516814"


@pytest.mark.parametrize(
    ("submission", "settings", "refusal", "words"),
    [
        (replace(OTP, caller_id=""), {}, Refusal.BAD_REQUEST, "no caller id"),
        (replace(OTP, code=None), {}, Refusal.BAD_REQUEST, "nothing else"),
        (replace(OTP, text=None, code=None, media="a.wav"), {}, Refusal.BAD_REQUEST, "nothing else"),
        (OTP, {"announce_template_id": ""}, Refusal.NOT_HERE, "set announce_template_id"),
    ],
)
def test_what_it_cannot_do_is_refused_before_sending(
    submission: Submission, settings: dict[str, str], refusal: Refusal, words: str
) -> None:
    with pytest.raises(RefusedError, match=words) as caught:
        adapter_with(**settings).build_request(submission)
    assert caught.value.refusal is refusal


def test_it_needs_an_address_and_credentials() -> None:
    for base_url, settings, words in (
        ("", SETTINGS, "needs its address"),
        ("http://x", {"account": "AC1"}, "needs the setting auth"),
        ("http://x", {"auth": "x"}, "needs the setting account"),
    ):
        with pytest.raises(ProviderSettingError, match=words):
            make_adapter(ProviderConfig("PR1", "south", "cpaas", base_url, settings))


def test_it_speaks_passwords_and_connects_people_and_announces_nothing() -> None:
    kind = adapter_class("cpaas")
    assert kind.capabilities == {
        Capability.VOICE_OTP, Capability.CLICK_TO_CALL, Capability.RECORDING, Capability.LIVE_CONTROL,
        Capability.RECORD_ONE_SIDE, Capability.TRANSCRIPT,
    }  # fmt: skip
    for has_text, has_media in ((True, False), (False, True)):
        (problem,) = kind.check_campaign("en-US", has_text, has_media)
        assert "nothing but one-time passwords" in problem


# --- replies ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("success", ["true", "True", True])
def test_a_request_id_is_placed(success: object) -> None:
    verdict = adapter_with().read_reply(reply({"request_id": "ae63e9576e", "success": success}))
    assert (verdict.outcome, verdict.provider_reference) == (Outcome.PLACED, "ae63e9576e")


@pytest.mark.parametrize(
    ("message", "status", "refusal"),
    [
        ("announce_template_id is required", 400, Refusal.BAD_REQUEST),
        ("customer_number: it is no telephone number.", 400, Refusal.BAD_NUMBER),
        ("invalid agent_number", 200, Refusal.BAD_NUMBER),
        ("something else", 200, Refusal.BAD_REQUEST),
        ("invalid account or auth", 401, Refusal.PROVIDER),
        ("no such template", 404, Refusal.PROVIDER),
        ("the name is taken", 409, Refusal.BAD_REQUEST),
    ],
)
def test_what_did_not_succeed_is_refused(message: str, status: int, refusal: Refusal) -> None:
    verdict = adapter_with().read_reply(reply({"message": message, "success": "false"}, status))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)
    assert message in verdict.detail


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ({"success": "true"}, 200),
        ({"request_id": "", "success": "true"}, 200),
        ({"request_id": 7, "success": "true"}, 200),
        ({"request_id": "a b", "success": "true"}, 200),
        ({"request_id": "ae63e9576e"}, 200),
        ({"request_id": "ae63e9576e", "success": "maybe"}, 200),
        ({"request_id": "ae63e9576e", "success": "true"}, 400),
        ([], 200),
        (b"<html>It works!</html>", 200),
        (b'{"request_id": "ae63e9576e", "success": "true"}', 200),
        (b"", 409),
        (b"[" * 9999, 200),
    ],
)
def test_what_says_neither_yes_nor_no_is_unknown(content: object, status: int) -> None:
    verdict = adapter_with().read_reply(reply(content, status))
    assert verdict.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("status", "refusal"), [(400, Refusal.BAD_REQUEST), (403, Refusal.PROVIDER)])
def test_a_4xx_without_an_envelope_is_refused_by_its_status(status: int, refusal: Refusal) -> None:
    verdict = adapter_with().read_reply(reply(b"nginx", status))
    assert (verdict.outcome, verdict.refusal) == (Outcome.REFUSED, refusal)


def test_a_conflict_is_judged_by_what_it_says_and_other_statuses_by_themselves() -> None:
    adapter = adapter_with()
    assert adapter.read_status(Reply(409, {}, b"")) is None
    for status, outcome in ((429, Outcome.NOT_PROCESSED), (500, Outcome.UNKNOWN), (302, Outcome.UNKNOWN)):
        verdict = adapter.read_status(Reply(status, {}, b""))
        assert verdict is not None
        assert verdict.outcome is outcome


# --- CDRs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "disposition"), [*DIAL_STATUSES.items(), (" answer ", Disposition.ANSWERED), ("LOST", Disposition.UNKNOWN)]
)  # fmt: skip
def test_every_dial_status_is_an_end(word: str, disposition: Disposition) -> None:
    ended = facts_of({**CDR, "dial_status": word}, NOW)[-1]
    assert (ended.state, ended.disposition, ended.hangup_cause) == (AttemptState.ENDED, disposition, None)
    assert ended.provider_reference == "b5e66bf36f"
    assert ended.is_unheard_of == (word == "LOST")


def test_a_cdr_without_a_moment_is_of_the_moment_that_is_given() -> None:
    timeless = {**CDR, "dial_status": "BUSY", "end": None, "call_date": NEVER}
    assert [fact.at for fact in facts_of(timeless, NOW)] == [NOW]
    assert [fact.at for fact in adapter_with().read_lookup(found(timeless), ASKED)] == [ASKED.submitted_at]
    assert [fact.at for fact in adapter_with().read_cdrs(found(timeless), None, NOW).facts] == [NOW]


def test_a_recording_is_called_as_the_cdr_says() -> None:
    for told, name in (("talk 1.wav", "talk 1.wav"), ("", ""), ("a\nb", ""), (None, ""), (7, "")):
        assert facts_of({**CDR, "recording_name": told}, NOW)[-1].recording_name == name


def test_a_cdr_tells_when_it_was_answered_how_long_it_took_and_what_is_billed() -> None:
    answered, ended = facts_of(CDR, NOW)
    assert (answered.state, answered.at) == (AttemptState.ANSWERED, datetime(2023, 7, 7, 6, 8, 9, tzinfo=UTC))
    assert ended.at == datetime(2023, 7, 7, 6, 8, 16, tzinfo=UTC)
    assert (ended.duration, ended.billsec, ended.cost) == (17.0311, 7.26955, None)


def test_the_example_of_a_number_that_was_not_dialled_was_not_answered_in_1970() -> None:
    dnd = {**CDR, "answer": NEVER, "end": NEVER, "billsec": None, "call_duration": None, "dial_status": "DND"}
    (ended,) = facts_of(dnd, NOW)
    assert ended.disposition is Disposition.CANCELLED
    assert ended.at == datetime(2023, 7, 7, 6, 8, 16, tzinfo=UTC)
    assert (ended.duration, ended.billsec) == (None, None)


@pytest.mark.parametrize(
    "change", [{"dial_status": None}, {"dial_status": ""}, {"request_id": ""}, {"request_id": 7}]
)
def test_a_cdr_without_an_end_or_a_reference_says_nothing(change: dict[str, Any]) -> None:
    assert facts_of({**CDR, **change}, NOW) == []


@given(st.dictionaries(st.sampled_from(sorted(CDR)), st.none() | st.booleans() | st.integers() | st.text()))
def test_no_cdr_whatsoever_breaks_it(odd: dict[str, Any]) -> None:
    for fact in facts_of({**CDR, **odd}, NOW):
        assert fact.at.tzinfo is not None
        assert fact.duration is None or fact.duration >= 0


@pytest.mark.parametrize("written", [None, 7, "", "yesterday", NEVER, "Fri, 99 Jul 2023 06:08:16 GMT"])
def test_what_is_no_moment_is_none(written: object) -> None:
    assert moment(written) is None


def test_there_are_no_callbacks() -> None:
    with pytest.raises(EventError, match="no callbacks"):
        adapter_class("cpaas").read_event(RawEvent("POST", "", "", "", b"{}", None, NOW))


# --- look-ups --------------------------------------------------------------------------------------------


def lookup(asked: Asked) -> ProviderRequest:
    request = adapter_with().lookup_request(asked)
    assert request is not None
    return request


def test_an_attempt_is_looked_up_by_its_reference() -> None:
    request = lookup(ASKED)
    assert (request.method, request.path) == ("POST", "get_cdr_by_request_id")
    assert request.json == {"request_id": "b5e66bf36f"}
    facts = adapter_with().read_lookup(found(CDR, {**CDR, "request_id": "other"}), ASKED)
    assert [fact.state for fact in facts] == [AttemptState.ANSWERED, AttemptState.ENDED]


@pytest.mark.parametrize(
    "answer",
    [
        found(),
        reply({"message": "no cdr found", "success": "true"}),
        reply({"message": "no such call", "success": "false"}, 404),
    ],
)
def test_a_call_without_a_cdr_has_no_end_yet(answer: Reply) -> None:
    assert adapter_with().read_lookup(answer, ASKED) == []


@pytest.mark.parametrize(
    "answer",
    [
        reply({"message": "invalid account or auth", "success": "false"}, 401),
        reply({"message": "it broke", "success": "false"}),
        reply({"result": "cdr", "success": "true"}),
        reply(b"<html>"),
        reply(b"", 404),
    ],
)
def test_an_answer_without_cdrs_is_a_sentence(answer: Reply) -> None:
    with pytest.raises(ProviderError, match=r"answered with HTTP \d+ and no CDRs\.$"):
        adapter_with().read_lookup(answer, ASKED)
    with pytest.raises(ProviderError, match="no CDRs"):
        adapter_with().read_cdrs(answer, None, NOW)


def test_an_attempt_whose_reply_was_lost_is_known_by_its_numbers_and_time() -> None:
    request = lookup(UNHEARD)
    assert request.path == "get_cdr_by_date"
    assert (request.json["start_call_date"], request.json["end_call_date"]) == ("2023-07-06", "2023-07-08")
    facts = adapter_with().read_lookup(found(CDR), UNHEARD)
    assert {fact.provider_reference for fact in facts} == {"b5e66bf36f"}


def test_of_a_click_to_call_the_agent_is_whom_we_called() -> None:
    cdr = {
        **CDR,
        "agent_number": "919979271234",
        "customer_number": "918000681234",
        "dialed_number": "918000681234",
    }
    assert len(adapter_with().read_lookup(found(cdr), UNHEARD)) == 2


@pytest.mark.parametrize(
    "others",
    [
        [],
        [{**CDR, "dialed_number": "919979279999", "customer_number": ""}],
        [{**CDR, "caller_id": "15168140000"}],
        [{**CDR, "end": "Fri, 07 Jul 2023 06:07:40 GMT"}],
        [{**CDR, "end": "Fri, 07 Jul 2023 06:12:16 GMT"}],
        [{**CDR, "end": NEVER, "call_date": ""}],
        [CDR, {**CDR, "request_id": "another"}],
    ],
)
def test_what_may_be_another_call_is_not_taken_for_it(others: list[dict[str, Any]]) -> None:
    assert adapter_with().read_lookup(found(*others), UNHEARD) == []


OTHERS = [
    {**CDR, "request_id": f"other{place}", "dialed_number": "1", "customer_number": ""}
    for place in range(PAGE)
]


def test_of_a_lost_reply_all_pages_are_read() -> None:
    adapter, full, rest = adapter_with(), found(*OTHERS), found(CDR)
    request = adapter.next_lookup([full], UNHEARD)
    assert request is not None
    assert (request.path, request.json["offset"]) == ("get_cdr_by_date", str(PAGE))
    assert adapter.next_lookup([full, rest], UNHEARD) is None
    assert {fact.provider_reference for fact in adapter.read_lookups([full, rest], UNHEARD)} == {"b5e66bf36f"}
    twice = [found(CDR, *OTHERS[1:]), found({**CDR, "request_id": "another"})]
    assert adapter.read_lookups(twice, UNHEARD) == [], "nobody knows which is which"
    assert adapter.next_lookup([full], ASKED) is None, "its reference is known"


def test_what_stands_on_more_pages_than_are_read_is_not_taken_for_it() -> None:
    adapter, pages = adapter_with(), [found(CDR, *OTHERS[1:])] + [found(*OTHERS)] * (MOST_PAGES - 1)
    assert adapter.next_lookup(pages[:-1], UNHEARD) is not None
    assert adapter.next_lookup(pages, UNHEARD) is None
    assert adapter.read_lookups(pages, UNHEARD) == []


def test_cdrs_are_read_page_by_page() -> None:
    adapter = adapter_with()
    request = adapter.cdr_request(NOW - timedelta(days=2), NOW, None)
    assert request is not None
    assert request.json == {
        "start_call_date": "2023-07-04",
        "end_call_date": "2023-07-08",
        "record_count": str(PAGE),
        "offset": "0",
    }
    full = adapter.read_cdrs(found(*[CDR] * PAGE), None, NOW)
    assert (len(full.facts), full.next) == (2 * PAGE, str(PAGE))
    following = adapter.cdr_request(NOW, NOW, full.next)
    assert following is not None
    assert following.json["offset"] == str(PAGE)
    rest = adapter.read_cdrs(found(CDR), full.next, NOW)
    assert (len(rest.facts), rest.next) == (2, None)
    assert adapter.read_cdrs(found(*[CDR] * PAGE), "3000", NOW).next == str(3000 + PAGE)


# --- the account and the methods -------------------------------------------------------------------------


def test_the_account_is_tried_by_its_live_calls() -> None:
    adapter = adapter_with()
    assert adapter.check_request().path == "get_live_call_statistics"  # type: ignore[union-attr]
    assert "accepts" in adapter.read_check(reply({"result": {}, "success": "true"}))
    for wrong in (reply({"message": "no", "success": "false"}, 401), reply(b"<html>"), reply({})):
        with pytest.raises(ProviderError, match="check account, auth"):
            adapter.read_check(wrong)


def built(name: str, /, **values: Any) -> ProviderRequest:
    method = METHODS[name]
    return method.build(adapter_with(), method.checked(values))


@pytest.mark.parametrize(
    ("name", "values", "http", "path", "body"),
    [
        (
            "callback_create",
            {
                "agent_number": "919979271234", "caller_id": "15168148111", "destination_number": "918000681234",
                "recording_option": "no", "time_zone": "Asia/Kolkata", "scheduled_at": "2023-08-15 12:55:00",
            },
            "POST", "callback",
            {
                "agent_number": "919979271234", "caller_id": "15168148111", "destination_number": "918000681234",
                "recording_option": "off", "time_zone": "Asia/Kolkata", "scheduled_at": "2023-08-15 12:55:00",
            },
        ),
        (
            "callback_update",
            {
                "request_id": "fd5ff6e021", "agent_number": "919979271234", "caller_id": "15168148111",
                "destination_number": "918000681234", "recording_option": True, "scheduled_at": "2023-08-16 09:00:02",
            },
            "PATCH", "callback",
            {
                "request_id": "fd5ff6e021", "agent_number": "919979271234", "caller_id": "15168148111",
                "destination_number": "918000681234", "recording_option": "on", "scheduled_at": "2023-08-16 09:00:02",
            },
        ),
        ("callback_delete", {"request_id": "fd5ff6e021"}, "DELETE", "callback", {"request_id": "fd5ff6e021"}),
        (
            "transfer_call", {"channel": "PJSIP/101-0000023c", "transfer_to": "102"}, "POST", "modify_call",
            {"channel": "PJSIP/101-0000023c", "modify_type": "0", "transfer_to": "102"},
        ),
        (
            "attend_transfer", {"channel": "PJSIP/101-0000023c", "transfer_to": "102"}, "POST", "modify_call",
            {"channel": "PJSIP/101-0000023c", "modify_type": "1", "transfer_to": "102"},
        ),
        ("hang_up_call", {"channel": "PJSIP/1"}, "POST", "modify_call", {"channel": "PJSIP/1", "modify_type": "2"}),
        ("record_call", {"channel": "PJSIP/1"}, "POST", "modify_call", {"channel": "PJSIP/1", "modify_type": "3"}),
        (
            "get_cdr_by_date",
            {"start_call_date": "2023-06-13", "end_call_date": "2023-06-17", "record_count": 5, "offset": "1"},
            "POST", "get_cdr_by_date",
            {"start_call_date": "2023-06-13", "end_call_date": "2023-06-17", "record_count": "5", "offset": "1"},
        ),
        (
            "add_contact_to_list",
            {"list_id": "LS1", "contacts": '[{"contact_number": "919979271234", "contact_fields": {"field1": "500"}}]'},
            "POST", "add_contact_to_list",
            {"list_id": "LS1", "contacts": [{"contact_number": "919979271234", "contact_fields": {"field1": "500"}}]},
        ),
        (
            "add_dnd_contact_to_list",
            {"dnd_list_id": "DN1", "dnd_contacts": [{"dnd_contact_name": "abc", "dnd_contact_number": "918000681234"}]},
            "POST", "add_dnd_contact_to_list",
            {"dnd_list_id": "DN1", "dnd_contacts": [{"dnd_contact_name": "abc", "dnd_contact_number": "918000681234"}]},
        ),
        (
            "create_campaign",
            {name: value for name, value in CAMPAIGN.items() if value} | {"repeat": 2, "calls_per_minute": 10},
            "POST", "create_campaign", CAMPAIGN,
        ),
        ("get_cdr_statistics", {}, "GET", "get_cdr_statistics", None),
        ("create_campaign_list", {"list_name": "mine"}, "POST", "create_campaign_list", {"list_name": "mine"}),
    ],
)  # fmt: skip
def test_a_method_is_asked_as_in_the_reference(
    name: str, values: dict[str, Any], http: str, path: str, body: object
) -> None:
    request = built(name, **values)
    assert (request.method, request.path, request.json) == (http, path, body)
    assert request.headers == {"account": "AC1", "auth": "k3y-value"}


def test_what_has_somebody_rung_says_so() -> None:
    rings = {name for name, method in METHODS.items() if method.rings}
    assert rings == {
        "callback_create", "callback_update", "transfer_call", "attend_transfer", "create_campaign"
    }  # fmt: skip
    assert all(METHODS[name].changes for name in rings)


def test_whom_a_method_rings_and_when_stands_in_its_parameters() -> None:
    numbers = {"agent_number": "919979271200", "destination_number": "918000681234"}
    at = {"scheduled_at": "2099-08-15 12:55:00", "time_zone": "Asia/Kolkata"}
    for name in ("callback_create", "callback_update"):
        whom = METHODS[name].rung
        assert whom is not None
        assert whom(numbers) == tuple(numbers.values())
    for name in ("transfer_call", "attend_transfer"):
        whom = METHODS[name].rung
        assert whom is not None
        assert whom({"transfer_to": "919979271200"}) == ("919979271200",)
        assert METHODS[name].rung_at is None, "at once"
    made_at, changed_at = METHODS["callback_create"].rung_at, METHODS["callback_update"].rung_at
    assert made_at is not None
    assert changed_at is not None
    assert made_at(at) == (datetime(2099, 8, 15, 7, 25, tzinfo=UTC),)
    assert {moment.hour for one in changed_at(at) for moment in [one.astimezone(UTC)]} == set(range(24))
    for wrong in ({"scheduled_at": "tomorrow"}, {"time_zone": "Mars/Base"}):
        with pytest.raises(ProviderError, match=next(iter(wrong))):
            made_at(at | wrong)


def test_when_a_campaign_rings_stands_in_its_dates() -> None:
    during = METHODS["create_campaign"].rung_during
    assert during is not None
    zone, begins_at, ends_at = during(CAMPAIGN)
    assert zone.key == "Asia/Kolkata"
    assert begins_at == datetime(2023, 9, 25, 8, 35, tzinfo=UTC)
    assert ends_at == datetime(2023, 9, 26, 14, 30, tzinfo=UTC)
    dates = {name: value for name, value in CAMPAIGN.items() if name.endswith("_date")}
    assert during(dates)[1] == datetime(2023, 9, 25, 14, 5, tzinfo=UTC), "UTC unless told"
    with pytest.raises(ProviderError, match="campaign_end_date is no moment"):
        during(CAMPAIGN | {"campaign_end_date": "2023-09-26"})


@pytest.mark.parametrize(("how", "lacking"), [("1", "announcement_text"), ("0", "recorded_filename")])
def test_a_campaign_that_says_nothing_is_not_asked_for(how: str, lacking: str) -> None:
    said = {name: value for name, value in CAMPAIGN.items() if value} | {"dynamic_announcement": how}
    with pytest.raises(ProviderError, match=f"needs {lacking}"):
        built("create_campaign", **{name: value for name, value in said.items() if name != lacking})


def test_a_methods_answer_is_what_stands_in_the_envelope() -> None:
    read = METHODS["callback_delete"].read
    answer = {
        "message": "callback request deleted successfully",
        "request_id": "fd5ff6e021",
        "success": "true",
    }
    assert read(reply(answer)) == {
        "message": "callback request deleted successfully",
        "request_id": "fd5ff6e021",
    }
    for content, status, words in (
        ({"message": "no such callback", "success": "false"}, 404, "HTTP 404 and said: no such callback."),
        ({"success": "false"}, 200, "refused it with HTTP 200."),
        ({}, 200, "nothing that it documents"),
        (b"<html>", 502, "nothing that it documents"),
    ):
        with pytest.raises(ProviderError, match=words):
            read(reply(content, status))
