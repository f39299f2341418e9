"""A flow in MTT's words for calls that ask for keys, and what it has no words for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.calls.flow_form import parse
from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderConfig, Refusal, RefusedError, Submission
from dialer.providers.kinds import adapter_class, make_adapter

URL = "https://dialer.example.com/webhooks/moscow/token"
SETTINGS = {"username": "user", "password": "s3same", "method": "inform", "sip_id": "79581112233"}
FLOW = parse(
    {
        "first": "main",
        "menus": {
            "main": {
                "prompts": [{"text": "Your order is ready."}, {"text": "Press 1, 2 or 3"}],
                "keys": {
                    "3": {"does": "transfer", "number": "+74997090111"},
                    "1": {"does": "notify"},
                    "2": {"does": "opt_out"},
                },
                "repeats": 1,
            }
        },
    }
)
CALL = Submission("AT1", "+79101112233", "+79580000000", None, None, language="ru-RU", flow=FLOW)


def adapter(callback_url: str = URL, **settings: str) -> Adapter:
    config = ProviderConfig("PR1", "moscow", "mtt-voice", "", {**SETTINGS, **settings}, callback_url)
    return make_adapter(config)


def body_of(submission: Submission, **settings: str) -> Any:
    return adapter(**settings).build_request(submission).json


def problems(flow: Flow) -> list[str]:
    return adapter_class("mtt-voice").check_flow(flow, "ru-RU")


def with_key(key: str, action: Action) -> Flow:
    return replace(FLOW, menus={"main": replace(FLOW.menus["main"], keys={key: action})})


def test_a_call_that_asks_for_keys_reads_as_in_the_reference() -> None:
    assert body_of(CALL) == {
        "method": "ivr-api",
        "data": {
            "messId": "AT1",
            "sip_id": "79581112233",
            "b_number": "79101112233",
            "a_number": "79580000000",
            "messText": "Your order is ready. Press 1, 2 or 3. Your order is ready. Press 1, 2 or 3",
            "langCode": "ru-RU",
            "voice_name": "oksana",
            "speed_speech": 1.0,
            "dtmf": [
                {"dtmf_id": "1", "type": "notify", "value": URL},
                {"dtmf_id": "2", "type": "notify", "value": URL},
                {"dtmf_id": "3", "type": "transfer", "value": "74997090111"},
            ],
        },
    }


def test_the_method_is_the_one_that_mtt_handed_out() -> None:
    assert body_of(CALL, ivr_method="menu")["method"] == "menu"


def test_such_a_call_must_show_a_number_so_it_shows_the_accounts_own() -> None:
    unnamed = replace(CALL, caller_id="")
    assert body_of(unnamed)["data"]["a_number"] == "79581112233"
    assert body_of(unnamed, a_number="79583334455")["data"]["a_number"] == "79583334455"


def test_menus_are_spoken_in_turkish_too() -> None:
    assert body_of(replace(CALL, language="tr-TR"))["data"]["langCode"] == "tr-TR"
    assert adapter_class("mtt-voice").check_flow(FLOW, "tr-TR") == []
    assert adapter_class("mtt-voice").check_flow(FLOW, "sv-SE") == [
        "MTT does not speak 'sv-SE'; choose one of en-US, ru-RU, tr-TR."
    ]


def test_keys_are_told_to_https_addresses_alone() -> None:
    with pytest.raises(RefusedError, match="DIALER_PUBLIC_URL") as caught:
        adapter("http://127.0.0.1:8000/webhooks/moscow/token").build_request(CALL)
    assert caught.value.refusal is Refusal.NOT_HERE


@pytest.mark.parametrize(
    ("flow", "sentence"),
    [
        (with_key("0", Action(Does.NOTIFY)), "MTT knows the keys 1 to 9, not 0 (flow.menus.main.keys.0)"),
        (
            with_key("1", Action(Does.GO_TO, menu="main")),
            "MTT knows one menu, said once, so no key can lead to one (flow.menus.main.keys.1, go_to)",
        ),
        (with_key("1", Action(Does.REPEAT)), "so no key can lead to one (flow.menus.main.keys.1, repeat)"),
        (
            with_key("1", Action(Does.NOTIFY, (Prompt("Bye"),))),
            "MTT says words of its own after a key (flow.menus.main.keys.1.say)",
        ),
        (
            with_key("1", Action(Does.TRANSFER, number="+46850123")),
            "MTT connects with numbers of exactly 11 digits (flow.menus.main.keys.1.number)",
        ),
        (
            Flow("main", {"main": Menu((Prompt(media="a.wav"),), {"1": Action(Does.NOTIFY)})}),
            "MTT plays no recorded file before it asks for keys (flow.menus.main.prompts.0)",
        ),
        (
            Flow(
                "main",
                {
                    "main": Menu(
                        (Prompt("a"),), {"1": Action(Does.NOTIFY)}, otherwise=Action(Does.GO_TO, menu="main")
                    )
                },
            ),
            "MTT hangs up when no key is pressed (flow.menus.main.otherwise, go_to)",
        ),
    ],
)
def test_what_mtt_has_no_words_for_is_told_when_made_and_never_sent(flow: Flow, sentence: str) -> None:
    (told,) = problems(flow)
    assert sentence in told
    with pytest.raises(RefusedError) as caught:
        adapter().build_request(replace(CALL, flow=flow))
    assert str(caught.value) == told


def test_of_a_menu_that_notes_every_digit_mtt_is_asked_for_those_that_it_knows() -> None:
    noting = dict.fromkeys("0123456789", Action(Does.NOTIFY))
    flow = replace(FLOW, menus={"main": replace(FLOW.menus["main"], keys=noting)})
    assert problems(flow) == []
    asked = body_of(replace(CALL, flow=flow))["data"]["dtmf"]
    assert [(one["dtmf_id"], one["type"]) for one in asked] == [(key, "notify") for key in "123456789"]
    for other in (noting | {"0": Action(Does.OPT_OUT)}, {"0": noting["0"], "1": noting["1"]}):
        (sentence,) = problems(replace(flow, menus={"main": replace(FLOW.menus["main"], keys=other)}))
        assert "MTT knows the keys 1 to 9, not 0" in sentence


def test_every_problem_is_told_at_once() -> None:
    menu = Menu((Prompt("a"),), {"0": Action(Does.REPEAT), "1": Action(Does.HANG_UP, (Prompt("Bye"),))})
    assert len(problems(Flow("main", {"main": menu}))) == 3


def test_kinds_without_menus_say_so() -> None:
    assert adapter_class("mitto").check_flow(FLOW, "ru-RU") == [
        "A provider of kind mitto cannot ask for keys."
    ]
