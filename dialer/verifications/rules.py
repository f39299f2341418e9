"""The rules of an account's verifications: what it has set, and what holds where it has set nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from phonenumbers import SUPPORTED_REGIONS
from pydantic import AfterValidator, BaseModel, Field, StringConstraints

#: In `countries`: every country.
ANYWHERE = "*"
#: Seconds for which a code may be good.
LONGEST_LIFE = 86_400


def _known_country(given: str) -> str:
    country = given.strip().upper()
    if country != ANYWHERE and country not in SUPPORTED_REGIONS:
        raise ValueError("use countries of two letters, such as SE, or * for every country")
    return country


def _each_once(given: list[str] | None) -> list[str] | None:
    return None if given is None else sorted(set(given))


Country = Annotated[str, AfterValidator(_known_country)]


class Limit(BaseModel, extra="forbid", frozen=True):
    """At most `sends` in any `seconds`."""

    sends: int = Field(ge=1, le=1_000_000)
    seconds: int = Field(ge=1, le=30 * 86_400)


class PrefixLimit(Limit, extra="forbid", frozen=True):
    """The same for all numbers that begin alike."""

    digits: int = Field(default=4, ge=1, le=10, description="digits after the country code")


class CheckLimit(BaseModel, extra="forbid", frozen=True):
    """At most `checks` wrong codes in any `seconds`."""

    checks: int = Field(ge=1, le=1_000_000)
    seconds: int = Field(ge=1, le=30 * 86_400)


class Alarm(BaseModel, extra="forbid", frozen=True):
    """When too few are confirmed: a smaller part than `below` of the last `of_last` of a country."""

    of_last: int = Field(default=50, ge=10, le=1000)
    below: float = Field(default=0.3, ge=0, le=1)


class Rules(BaseModel, extra="forbid", frozen=True):
    """The rules of an account's verifications."""

    countries: Annotated[list[Country], Field(max_length=300), AfterValidator(_each_once)] | None = Field(
        default=None,
        description="ISO 3166 codes of the countries whose numbers may be verified, `*` for all; null: the account's "
        "default region alone",
    )
    lifetime: int = Field(default=600, ge=60, le=LONGEST_LIFE, description="seconds for which a code is good")
    max_sends: int = Field(default=5, ge=1, le=20, description="calls and messages of one verification")
    max_checks: int = Field(default=5, ge=1, le=20, description="wrong codes after which it fails")
    resend_after: int = Field(
        default=30, ge=1, le=3600, description="seconds between two sends that are asked for"
    )
    code_length: int = Field(
        default=6, ge=4, le=10, description="digits; always 4 where a flash call is among the channels"
    )
    number_limit: Limit = Limit(sends=10, seconds=3600)
    prefix_limit: PrefixLimit = PrefixLimit(sends=200, seconds=3600, digits=4)
    rate_key_limit: Limit = Limit(sends=20, seconds=3600)
    check_limit: CheckLimit = Field(
        default=CheckLimit(checks=10, seconds=3600),
        description="wrong codes for one number, over all its verifications",
    )
    alarm: Alarm = Alarm()
    caller_id: (
        Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^\+?[0-9]{3,15}$")] | None
    ) = Field(default=None, description="what voice calls show unless a request says otherwise")
    template_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{1,16}$")] | None = Field(
        default=None, description="what is said unless a request says otherwise; null: a text of ours"
    )


DEFAULTS = Rules()


def of_account(given: Mapping[str, Any]) -> Rules:
    """The rules where an account has set these."""
    return Rules.model_validate(given) if given else DEFAULTS


def changed(given: Mapping[str, Any], patch: Rules) -> dict[str, Any]:
    """What is set after a change; null takes a setting away."""
    merged = {**given, **patch.model_dump(mode="json", exclude_unset=True)}
    return {name: value for name, value in merged.items() if value is not None}
