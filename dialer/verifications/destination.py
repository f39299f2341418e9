"""Numbers that codes are brought to: where they are, and whether they may be rung at the account's cost."""

from __future__ import annotations

from dataclasses import dataclass, field

import phonenumbers
from phonenumbers import PhoneNumberType

from dialer.errors import FieldError
from dialer.numbers import NumberError, to_e164
from dialer.verifications.rules import ANYWHERE, Rules

#: Numbers that people have. All others cost whoever rings them more, or belong to no one person: premium and shared
#: rates, personal numbers, pagers, voicemail, company-wide and toll-free numbers. They are what toll fraud rings.
OF_PEOPLE = frozenset(
    {
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.VOIP,
    }
)
#: The region of satellites and of networks that span the world: calls there cost the most, wherever they come from.
OF_NO_COUNTRY = "001"


@dataclass(frozen=True, slots=True)
class Destination:
    """A valid number; `country` is ISO 3166. `prefix` are its country code and first
    digits, by which it is counted."""

    e164: str = field(repr=False)
    country: str
    prefix: str = field(repr=False)


def destination(number: str, region: str | None, rules: Rules) -> Destination:
    """The number as it is dialled; without a country code it is of `region`.

    Raises `FieldError` for what is no number, and for one that the account's rules do not allow.
    """
    try:
        e164 = to_e164(number, region)
    except NumberError as error:
        raise FieldError("number", f"number: {error.reason}") from None
    parsed = phonenumbers.parse(e164)
    country = phonenumbers.region_code_for_number(parsed) or OF_NO_COUNTRY
    if country == OF_NO_COUNTRY:
        raise FieldError(
            "number",
            "number is of a satellite or another network of no country, which is not verified: give the number of a "
            "telephone of a country.",
        )
    if phonenumbers.number_type(parsed) not in OF_PEOPLE:
        raise FieldError(
            "number",
            "number is of a kind that is not verified, such as premium rate or toll-free: give the number of a "
            "person's own telephone.",
        )
    _check_country(country, region, rules)
    code = str(parsed.country_code)
    national = phonenumbers.national_significant_number(parsed)
    return Destination(e164, country, code + national[: rules.prefix_limit.digits])


def _check_country(country: str, region: str | None, rules: Rules) -> None:
    allowed = rules.countries
    if allowed is None:
        if region is None:
            raise FieldError(
                "number",
                "number: this account has not said which countries it verifies numbers of: set countries with "
                "PATCH /v1/verifications/settings.",
            )
        allowed = [region.upper()]
    if ANYWHERE not in allowed and country not in allowed:
        raise FieldError(
            "number",
            f"number is of {country}, a country that this account does not verify numbers of: add it to countries "
            "with PATCH /v1/verifications/settings.",
        )
