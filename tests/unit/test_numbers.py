from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dialer.calls.window import known_zone
from dialer.numbers import NumberError, digits, mask, to_e164, zone_of, zones_of

EXAMPLES = [
    phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (example := phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE))
    and phonenumbers.is_valid_number(example)
]


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("+79261234567", None, "+79261234567"),
        ("79261234567", None, "+79261234567"),
        ("0079261234567", None, "+79261234567"),
        ("+7 (926) 123-45-67", None, "+79261234567"),
        ("\u202a+7\u00a0926\u00a0123\u201145\u201167\u202c", None, "+79261234567"),
        ("'+79261234567", None, "+79261234567"),
        ("89261234567", "RU", "+79261234567"),
        ("(926) 123-45-67", "RU", "+79261234567"),
        ("79261234567", "RU", "+79261234567"),
        ("79261234567", "IN", "+79261234567"),
        ("9876543210", "IN", "+919876543210"),
        ("09876543210", "in", "+919876543210"),
        ("919876543210", "IN", "+919876543210"),
        ("00919876543210", "IN", "+919876543210"),
        ("011919876543210", "US", "+919876543210"),
        ("+39 06 698 12345", "IN", "+390669812345"),
    ],
)
def test_a_number_is_read_however_it_is_written(text: str, region: str | None, e164: str) -> None:
    assert to_e164(text, region) == e164


def test_the_region_comes_first_for_digits_without_a_plus() -> None:
    # Valid in London, and, with a plus before it, in Egypt.
    assert to_e164("2079460958", "GB") == "+442079460958"


@pytest.mark.parametrize(
    ("text", "region", "reason"),
    [
        ("", None, "empty"),
        ("   ", None, "empty"),
        ("7.9E+10", None, "scientific notation"),
        ("7,92612E+10", "RU", "scientific notation"),
        ("79E9", None, "scientific notation"),
        ("79000000000.0", None, "decimal point"),
        ("79000000000,00", "RU", "decimal point"),
        ("call me", None, "characters"),
        ("1-800-FLOWERS", "US", "characters"),
        ("+7926123456７", None, "characters"),
        ("+", None, "characters"),
        ("+7926+1234567", None, "characters"),
        ("123", "RU", "too short"),
        ("+7926123456", None, "too short"),
        ("+121255501234", None, "too long"),
        ("+" + "7" * 60, None, "too long"),
        ("+99912345678", None, "country code"),
        ("9261234567", None, "begin with the country code"),
        ("+12005550123", None, "in use"),
    ],
)
def test_what_is_no_number_is_refused_with_its_reason(text: str, region: str | None, reason: str) -> None:
    with pytest.raises(NumberError, match=reason) as error:
        to_e164(text, region)
    assert error.value.reason == str(error.value)
    assert len(text.strip()) < 4 or text not in error.value.reason


@given(st.sampled_from(EXAMPLES))
def test_a_number_read_once_reads_the_same_again(e164: str) -> None:
    assert to_e164(e164, None) == e164
    assert to_e164("00" + digits(e164), None) == e164


@given(st.text(max_size=45), st.sampled_from([None, "IN", "RU", "US", "XX", ""]))
def test_any_text_is_a_number_or_an_error(text: str, region: str | None) -> None:
    try:
        e164 = to_e164(text, region)
    except NumberError:
        return
    assert e164.startswith("+")
    assert e164[1:].isascii()
    assert e164[1:].isdigit()


@pytest.mark.parametrize(
    ("e164", "zone"),
    [
        ("+919876543210", "Asia/Kolkata"),
        ("+12125550123", "America/New_York"),
        ("+447911123456", "Europe/London"),  # Jersey and Guernsey keep its time
        ("+3725123456", "Europe/Tallinn"),
        ("+74232123456", "Asia/Vladivostok"),
        ("+79261234567", None),  # a Russian mobile may be anywhere in Russia
        ("+61412345678", None),
        ("+18005551234", None),
        ("+870773111632", None),  # a satellite
    ],
)
def test_a_number_is_in_the_one_zone_it_can_be_in(e164: str, zone: str | None) -> None:
    assert zone_of(e164) == zone


@pytest.mark.parametrize(
    ("e164", "zone"),
    [
        ("+213551234567", "Africa/Algiers"),  # not Paris, which has summer time
        ("+74012345678", "Europe/Kaliningrad"),  # not Bucharest
        ("+50581234567", "America/Managua"),  # not Chicago
        ("+211912345678", "Africa/Juba"),  # not Nairobi
        ("+212612345678", "Africa/Casablanca"),  # not the Canaries
    ],
)
def test_a_city_that_only_looks_alike_is_corrected(e164: str, zone: str) -> None:
    assert zone_of(e164) == zone


@given(st.sampled_from(EXAMPLES))
def test_a_zone_is_always_one_that_is_known(e164: str) -> None:
    zone = zone_of(e164)
    assert zone is None or known_zone(zone)


def test_a_number_with_a_zone_is_never_an_hour_off_all_summer() -> None:
    """Held against the plain word of phonenumbers: the same standard time, whatever the summer."""
    january = datetime(2026, 1, 15, 12, tzinfo=UTC)
    for e164 in EXAMPLES:
        zone = zone_of(e164)
        said = phonenumbers.timezone.time_zones_for_number(phonenumbers.parse(e164))
        if zone is not None and len(said) == 1 and not e164.startswith(("+211", "+212")):
            ours, theirs = (january.astimezone(ZoneInfo(name)).utcoffset() for name in (zone, said[0]))
            assert ours is not None
            assert theirs is not None
            assert abs(ours - theirs) < timedelta(minutes=1), e164


def test_a_mask_shows_little_and_tells_numbers_apart() -> None:
    one, other = mask("+79261234567", b"key"), mask("+79269994567", b"key")
    assert one.startswith("+7926***4567#")
    assert "123" not in one.partition("#")[0]
    assert other.partition("#")[0] == one.partition("#")[0]
    assert other != one
    assert mask("+79261234567", b"key") == one
    assert mask("+79261234567", b"another key") != one


def test_a_short_number_is_masked_almost_wholly() -> None:
    assert mask("+29012345", b"key").startswith("+2***#")


def test_digits_are_the_number_without_its_plus() -> None:
    assert digits("+79261234567") == "79261234567"


def test_a_number_whose_place_is_known_may_be_there_alone() -> None:
    assert zones_of("+919812345678") == ("Asia/Kolkata",)
    assert zones_of("+12125551234") == ("America/New_York",)


def test_a_mobile_of_a_wide_country_may_be_in_all_of_its_zones() -> None:
    found = zones_of("+79154368886")
    assert {"Europe/Kaliningrad", "Europe/Moscow", "Asia/Kamchatka"} <= set(found)
    assert len(found) == 11  # one for each time that is kept there


def test_nothing_is_known_of_where_a_satellite_telephone_is() -> None:
    assert zones_of("+870773111632") == ()
