"""What is asked for when a one-time password is to be spoken."""

from __future__ import annotations

from typing import Any

import pytest

from dialer.calls.otp import NewOtp, check_template, spoken
from dialer.campaigns.template import TemplateError
from dialer.errors import FieldError
from dialer.providers.contract import Capability
from dialer.speech import Speech

#: The body of the reference's example, with digits for its X's.
EXAMPLE = {
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
    "tts_engine_type": "standard",
}


def read(**changes: Any) -> NewOtp:
    return NewOtp.read({**EXAMPLE, **changes}, None)


def refused(**changes: Any) -> FieldError:
    with pytest.raises(FieldError) as told:
        read(**changes)
    return told.value


def test_the_references_example() -> None:
    wanted = read()
    assert (wanted.e164, wanted.caller_id, wanted.otp) == ("+919979271234", "+15168148111", "1987")
    assert wanted.template_id == "AN2222314c96"
    assert wanted.speech == Speech(1, "Raveena", "soft", "slow", "medium", "en-US", "standard")


def test_what_is_optional_has_the_references_defaults() -> None:
    needed = ("customer_number", "otp", "announce_template_id", "caller_id")
    wanted = NewOtp.read({name: EXAMPLE[name] for name in needed}, None)
    assert wanted.speech == Speech(1, "Joanna", "medium", "medium", "medium", "en-US", "standard")


@pytest.mark.parametrize("name", ["customer_number", "otp", "announce_template_id", "caller_id"])
@pytest.mark.parametrize("left_out", [None, "", "  "])
def test_what_is_needed_is_named(name: str, left_out: str | None) -> None:
    error = refused(**{name: left_out})
    assert error.field == name
    assert error.message == f"{name} is missing: give it in the request's body."


@pytest.mark.parametrize(
    ("name", "value"),
    [("customer_number", "12"), ("customer_number", "call me"), ("customer_number", []), ("otp", "12#4"),
     ("otp", "7" * 33), ("otp", True), ("otp", {}), ("caller_id", "mom"), ("repeat", "0"), ("repeat", "21"),
     ("repeat", "often"), ("voice", "<break/>"), ("volume", "11"), ("rate", "supersonic"), ("pitch", "high C"),
     ("language_code", "the Queen's"), ("tts_engine_type", "diesel"), ("announce_template_id", ["AN1"])],
)  # fmt: skip
def test_a_value_that_cannot_be_used_is_named(name: str, value: Any) -> None:
    error = refused(**{name: value})
    assert error.field == name
    assert name in error.message


def test_no_refusal_repeats_the_password_or_the_number() -> None:
    for value in ("secret#123", "9" * 40):
        assert value not in refused(otp=value).message
        assert value not in refused(customer_number=value + "x").message


@pytest.mark.parametrize(
    ("given", "meant"),
    [(1987, "1987"), ("0042", "0042"), (" 19-87 ", "1987"), ("12 34 56", "123456"), ("a1B2", "a1B2")],
)  # fmt: skip
def test_a_password_may_be_written_in_any_usual_way(given: Any, meant: str) -> None:
    assert read(otp=given).otp == meant


@pytest.mark.parametrize("word", ["x- soft", "X-Soft", "x-soft"])
def test_the_references_own_spelling_of_words_is_taken(word: str) -> None:
    assert read(volume=word).speech.volume == "x-soft"


def test_a_password_is_read_out_one_character_at_a_time() -> None:
    assert spoken("1987") == "1, 9, 8, 7"


def test_a_number_without_a_country_code_is_of_the_accounts_region() -> None:
    assert NewOtp.read({**EXAMPLE, "customer_number": "9979271234"}, "IN").e164 == "+919979271234"


@pytest.mark.parametrize("text", ["Your code is {otp}.", "{otp}, once more {otp}", "{{yes}} {otp}"])
def test_a_template_has_a_place_for_the_password(text: str) -> None:
    check_template(text)


@pytest.mark.parametrize("text", ["Your code", "Dear {name}, your code is {otp}", "{{otp}}"])
def test_a_template_has_no_other_place(text: str) -> None:
    with pytest.raises(FieldError, match="otp"):
        check_template(text)


def test_a_stray_brace_is_no_template() -> None:
    with pytest.raises(TemplateError):
        check_template("{otp} {")


# --- the channel ---------------------------------------------------------------------------------------------


def test_without_a_channel_it_is_spoken() -> None:
    call = read().single("Your code is {otp}.")
    assert call.need.capabilities == (Capability.VOICE_OTP,)
    assert (call.message["text"], call.message["code"]) == ("Your code is 1, 9, 8, 7.", "1987")


def test_in_a_text_message_it_is_written() -> None:
    wanted = read(channel="sms", caller_id=None)
    assert wanted.caller_id == ""
    call = wanted.single("Your code is {otp}.")
    assert call.need.capabilities == (Capability.SMS_OTP,)
    assert (call.message["text"], call.message["code"]) == ("Your code is 1987.", "1987")


def test_a_flash_call_says_nothing() -> None:
    wanted = NewOtp.read({"customer_number": "919979271234", "otp": "0987", "channel": "Flash"}, None)
    call = wanted.single(None)
    assert call.need.capabilities == (Capability.FLASH_OTP,)
    assert (call.message["text"], call.message["code"]) == (None, "0987")


@pytest.mark.parametrize("otp", ["198", "19870", "19a7", "１９８７"])
def test_a_flash_call_shows_four_digits(otp: str) -> None:
    assert refused(channel="flash", otp=otp).field == "otp"


@pytest.mark.parametrize("name", ["otp", "customer_number", "announce_template_id"])
def test_a_text_message_needs_all_but_a_caller_id(name: str) -> None:
    assert refused(channel="sms", **{name: None}).field == name


def test_a_channel_that_is_none_is_named() -> None:
    assert refused(channel="pigeon").field == "channel"


def test_a_password_never_shows() -> None:
    assert "1987" not in repr(read())
    assert "1987" not in repr(read().single("{otp}"))
