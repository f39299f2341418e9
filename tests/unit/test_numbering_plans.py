"""Plans give no other answers than phonenumbers, whose metadata they are made of."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import phonenumbers
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberType

from dialer import numbers, plans
from dialer.numbers import NumberError, read_all, to_e164, zone_of

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)
KINDS = [kind for kind in PhoneNumberType.values() if kind != PhoneNumberType.UNKNOWN]


def of_every_kind() -> Iterator[str]:
    """Digits of one number of every kind in every region, country code first."""
    for region in REGIONS:
        for kind in KINDS:
            if found := phonenumbers.example_number_for_type(region, kind):
                yield phonenumbers.format_number(found, PhoneNumberFormat.E164)[1:]
    for code in phonenumbers.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
        if found := phonenumbers.example_number_for_non_geo_entity(code):
            yield phonenumbers.format_number(found, PhoneNumberFormat.E164)[1:]


EXAMPLES = sorted(set(of_every_kind()))


def altered(digits: str, chosen: random.Random) -> str:
    """Digits near a number that is valid: another one of its range, one too few or too many, anything."""
    at, digit = chosen.randrange(len(digits)), str(chosen.randrange(10))
    tail = "".join(chosen.choices("0123456789", k=chosen.randrange(1, len(digits))))
    return chosen.choice(
        [
            digits[: len(digits) - len(tail)] + tail,
            digits[:at] + digit + digits[at + 1 :],
            digits[:at] + digits[at + 1 :],
            digits[:at] + digit + digits[at:],
        ]
    )


def read(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    """What phonenumbers makes of a text, when it is a valid number."""
    try:
        found = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    return found if phonenumbers.is_valid_number(found) else None


def holds(digits: str) -> bool:
    """That what the plan says of these digits is what phonenumbers says; whether it says anything."""
    found = read("+" + digits, None)
    if not plans.is_valid(digits):
        assert plans.is_geographic(digits) is None
        return False
    assert found is not None
    assert phonenumbers.format_number(found, PhoneNumberFormat.E164) == "+" + digits
    kind = phonenumbers.number_type(found)
    is_geographic = phonenumbers.is_number_type_geographical(kind, found.country_code)
    assert plans.is_geographic(digits) == is_geographic
    return True


def holds_within(region: str, digits: str) -> bool:
    """The same, of digits as they are dialled within a region."""
    code = plans.code_within(region, digits)
    if code is None:
        return False
    found = read(digits, region)
    assert found is not None
    assert phonenumbers.format_number(found, PhoneNumberFormat.E164) == f"+{code}{digits}"
    return True


def test_numbers_of_every_kind_in_every_region_are_read_alike() -> None:
    said = sum(map(holds, EXAMPLES))
    assert said > 0.9 * len(EXAMPLES), "a plan that says nothing is no use"


def test_thousands_of_numbers_near_them_are_read_alike() -> None:
    chosen = random.Random(20260504)
    said = sum(holds(altered(chosen.choice(EXAMPLES), chosen)) for _ in range(20_000))
    assert 4_000 < said < 16_000, "some are valid, some are not"


def test_numbers_are_read_alike_within_every_region() -> None:
    chosen = random.Random(20260504)
    said = tried = 0
    for region in REGIONS:
        code = str(phonenumbers.country_code_for_region(region))
        own = [one.removeprefix(code) for one in EXAMPLES if one.startswith(code)]
        for digits in own[:20]:
            said += holds_within(region, digits)
            # As numbers are written within a country, and as they are written from there.
            for written in (altered(digits, chosen), "0" + digits, code + digits, "00" + code + digits):
                holds_within(region, written)
            tried += 1
    assert said > 0.5 * tried


@settings(max_examples=300)
@given(st.sampled_from(EXAMPLES), st.randoms(use_true_random=False))
def test_any_number_is_read_alike(digits: str, chosen: random.Random) -> None:
    holds(altered(digits, chosen))


@settings(max_examples=300)
@given(st.text("0123456789", max_size=20), st.sampled_from([*REGIONS, "001", "XX", ""]))
@example("", "IN")
@example("0", "001")
def test_any_digits_are_read_alike(digits: str, region: str) -> None:
    holds(digits)
    holds_within(region, digits)


def zone_by_phonenumbers(e164: str) -> str | None:
    """The zone as it comes out when phonenumbers is asked about every number that no single time settles."""
    digits = e164[1:]
    code = int(plans.country_code(digits[:3]))
    settled = numbers._settle(code, numbers._zones_of_prefix(digits[: numbers.TIMEZONE_LONGEST_PREFIX]))
    if settled is None or len(numbers._times_in(code)) == 1:
        return settled
    return numbers._settle(code, numbers.time_zones_for_number(phonenumbers.parse(e164)))


def test_numbers_are_in_the_zones_that_phonenumbers_puts_them_in() -> None:
    chosen = random.Random(20260504)
    near = [altered(chosen.choice(EXAMPLES), chosen) for _ in range(20_000)]
    for digits in [*EXAMPLES, *filter(plans.is_valid, near)]:
        assert zone_of("+" + digits) == zone_by_phonenumbers("+" + digits), digits
    e164s, zones, _ = read_all(["+" + digits for digits in [*EXAMPLES, *near]], None)
    assert zones == [zone_of(e164) if e164 else None for e164 in e164s]


def test_without_a_plan_nothing_is_sure_and_the_answers_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = random.Random(20260504)
    texts = ["+" + altered(digits, chosen) for digits in chosen.sample(EXAMPLES, 300)]
    with_plans = read_all(texts, None)
    monkeypatch.setattr(plans, "plan_for", lambda head, length: plans.NO_PLAN)
    numbers._beginning.cache_clear()
    try:
        without = read_all(texts, None)
    finally:
        numbers._beginning.cache_clear()
    assert without == with_plans


def outcome(text: str, region: str | None, read: Callable[[str, str | None], str]) -> str:
    try:
        return read(text, region)
    except NumberError as error:
        return error.reason


@pytest.mark.parametrize("region", [None, "IN", "US", "RU", "GB", "AR", "XX"])
def test_a_plan_changes_no_answer(region: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = random.Random(20260504)
    texts = []
    for _ in range(1_000):
        digits = altered(chosen.choice(EXAMPLES), chosen)
        texts.append(chosen.choice(["+", "", "00", "0", "+0", "++"]) + digits[chosen.choice([0, 0, 1, 2]) :])
    with_plans = [outcome(text, region, to_e164) for text in texts]
    e164s, zones, wrong = read_all(texts, region)
    assert [e164 or wrong[place] for place, e164 in enumerate(e164s)] == with_plans
    assert zones == [zone_of(e164) if e164 else None for e164 in e164s]
    monkeypatch.setattr(numbers, "_read_plain", lambda text, region: None)
    assert with_plans == [outcome(text, region, to_e164) for text in texts]
