"""What a call needs of its provider, and which kinds have it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.calls.repeats import RepeatPolicy
from dialer.calls.talk import Ring, Rung, Talk
from dialer.providers.contract import Capability
from dialer.providers.kinds import adapter_class, adapter_kinds
from dialer.providers.need import DOES, Need, able_kinds, of_campaign, of_single, why_nobody, why_unable

#: Says something and hangs up.
SURVEY = Flow("main", {"main": Menu((Prompt("Press 1"),), {"1": Action(Does.NOTIFY)})})
TEXT = of_campaign(text="Good day", language="en-US")


def test_every_capability_has_words() -> None:
    assert set(DOES) == set(Capability)


def test_an_announcement_needs_a_voice_or_a_recorder() -> None:
    assert Need((Capability.ANNOUNCE_TEXT,), "en-US") == TEXT
    assert of_campaign(text=None, language="hi-IN") == Need((Capability.ANNOUNCE_FILE,))


def test_a_survey_needs_keys_in_its_language_whatever_else_it_says() -> None:
    need = of_campaign(text="Good day", flow=SURVEY, language="sv-SE")
    assert need == Need((Capability.IVR,), "sv-SE", SURVEY)
    assert "cannot ask for keys" in why_unable("mitto", need)[0]
    assert "does not speak 'sv-SE'" in why_unable("mtt-voice", need)[0]
    assert why_unable("mtt-voice", of_campaign(text=None, flow=SURVEY, language="ru-RU")) == ()


def test_keys_are_heard_of_where_the_provider_tells_of_them() -> None:
    need = of_campaign(text=None, flow=SURVEY, language="en-US")
    (problem,) = why_unable("mtt-voice", replace(need, public_url="http://127.0.0.1:8000"))
    assert "tells of keys at https addresses only: set DIALER_PUBLIC_URL" in problem
    assert why_unable("mtt-voice", replace(need, public_url="https://dialer.example.com")) == ()
    for heard in (("iotcomms", need), ("mtt-voice", TEXT)):  # asks, and is told nothing of keys
        assert why_unable(heard[0], replace(heard[1], public_url="http://127.0.0.1:8000")) == ()


def test_repeats_by_the_provider_are_needed_besides() -> None:
    policy = RepeatPolicy.of_mitto(
        {"isRepeat": 1, "repeatBusy": 1, "repeatBusyCount": 2, "repeatBusyInt": 60}
    )
    need = of_campaign(text="Good day", language="en-US", provider_repeats=policy)
    assert need.capabilities == (Capability.ANNOUNCE_TEXT, Capability.REPEATS)
    assert need.does == "speak a text and repeat calls by itself"
    assert why_unable("mitto", need) == ()
    assert why_unable("mtt-voice", need) == ("A provider of kind mtt-voice cannot repeat calls by itself.",)
    assert able_kinds(need) == ["mitto"]


def test_a_provider_must_have_words_for_the_repeats_that_it_is_to_make() -> None:
    together = RepeatPolicy.of_retries(2, 60, None)
    (problem,) = why_unable("mitto", of_campaign(text="Hi", language="en-US", provider_repeats=together))
    assert "most bounds all repeats of a call together" in problem


def test_only_what_is_spoken_has_a_language() -> None:
    assert of_single(Capability.VOICE_OTP, language="en-US").language == "en-US"
    for silent in (Capability.FLASH_OTP, Capability.SMS_OTP, Capability.CLICK_TO_CALL):
        assert of_single(silent, language="en-US").language is None


def test_a_recorded_call_needs_somebody_who_records() -> None:
    need = of_single(Capability.CLICK_TO_CALL, language="", record=True)
    assert need.capabilities == (Capability.CLICK_TO_CALL, Capability.RECORDING)


def test_a_talk_needs_all_that_is_asked_of_it_and_its_texts_a_language() -> None:
    heard = Talk(Prompt("Your call."), Prompt(media="a.mp3"))
    need = of_single(Capability.CLICK_TO_CALL, language="en-US", talk=heard)
    assert need == Need((Capability.CLICK_TO_CALL, Capability.TALK_PROMPTS), "en-US")
    assert (
        of_single(Capability.CLICK_TO_CALL, language="x", talk=Talk(None, heard.other_hears)).language is None
    )
    whole = Talk(max_seconds=60, ring=Ring((Rung("+79522222222"),)))
    assert of_single(Capability.CLICK_TO_CALL, language="x", record=True, talk=whole) == Need(
        (Capability.CLICK_TO_CALL, Capability.RECORDING, Capability.TALK_LIMIT, Capability.RING_SEVERAL)
    )
    assert able_kinds(need) == ["iotcomms", "mtt-callback"]


@pytest.mark.parametrize(
    ("at_once", "capability", "kinds"),
    [
        (False, Capability.CONNECT_IN_TURN, ["iotcomms", "mtt-callback"]),
        (True, Capability.CONNECT_AT_ONCE, ["mtt-callback"]),
    ],
)
def test_whom_somebody_is_connected_with_may_be_several(
    at_once: bool, capability: Capability, kinds: list[str]
) -> None:
    talk = Talk(ring=Ring((Rung("+79522222222"),), at_once, of_other=True))
    need = of_single(Capability.CLICK_TO_CALL, language="x", talk=talk)
    assert need.capabilities == (Capability.CLICK_TO_CALL, capability)
    assert able_kinds(need) == kinds


@pytest.mark.parametrize("kind", adapter_kinds())
@pytest.mark.parametrize("capability", Capability)
def test_a_kind_can_exactly_what_its_adapter_says(kind: str, capability: Capability) -> None:
    can = capability in adapter_class(kind).capabilities
    assert (not why_unable(kind, Need((capability,), None))) == can
    assert (kind in able_kinds(Need((capability,)))) == can


def test_a_text_must_be_in_a_language_of_the_kind() -> None:
    assert why_unable("mitto", TEXT) == ()
    for need in (
        of_campaign(text="नमस्ते", language="hi-IN"),
        of_single(Capability.VOICE_OTP, language="hi-IN"),
    ):
        (problem,) = why_unable("mitto", need)
        assert "does not speak 'hi-IN'" in problem
    assert why_unable("mitto", of_campaign(text=None, language="hi-IN")) == ()


def test_who_says_nothing_is_asked_for_no_language() -> None:
    assert why_unable("mitto-flash", of_single(Capability.FLASH_OTP, language="hi-IN")) == ()
    assert why_unable("mtt-sms", of_single(Capability.SMS_OTP, language="hi-IN")) == ()


def test_a_kind_of_another_version_can_nothing() -> None:
    (problem,) = why_unable("carrier-pigeon", TEXT)
    assert "carrier-pigeon" in problem


def test_when_nobody_can_all_are_heard_and_those_who_could_are_named() -> None:
    said = why_nobody(
        ["mitto-flash", "mtt-sms", "mtt-sms"], of_single(Capability.VOICE_OTP, language="en-US"), "call"
    )
    assert said.count("mtt-sms cannot speak one-time passwords") == 1
    assert "mitto-flash cannot speak one-time passwords" in said
    assert "mitto, mtt-voice" in said.partition("kinds that can: ")[2].partition(")")[0]
