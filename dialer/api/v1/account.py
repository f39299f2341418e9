"""`/v1/account`: the account that asks, as its operator set it up."""

from __future__ import annotations

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from dialer.api.v1.caller import Reader
from dialer.api.v1.campaign_form import Window
from dialer.campaigns.release import window_of_account

router = APIRouter(prefix="/account", tags=["account"])


class Limits(BaseModel):
    """What holds for all of an account's calls together, and for the key that asks; null: no limit."""

    calls_per_minute: int | None
    max_concurrent: int | None = Field(description="calls at once")
    frequency_cap: int | None = Field(description="dials to one number in 24 hours")
    requests_per_minute: int | None = Field(description="of the key that asks, by itself")


class Account(BaseModel):
    """An account."""

    id: str
    name: str
    default_region: str | None = Field(description="country of numbers without a country code, such as `IN`")
    time_zone: str
    limits: Limits
    calling_window: Window = Field(
        description="when people may be rung, by their own clocks, unless a campaign says otherwise"
    )


@router.get("")
def get_account(caller: Reader, request: Request) -> Account:
    """The account whose key is shown."""
    account, limits = caller.account, request.app.state.limits
    return Account(
        id=account.id,
        name=account.name,
        default_region=account.default_region,
        time_zone=account.time_zone,
        limits=Limits(
            calls_per_minute=account.calls_per_minute,
            max_concurrent=account.max_concurrent,
            frequency_cap=account.frequency_cap,
            requests_per_minute=limits.limit(caller.requests_per_minute),
        ),
        calling_window=Window.model_validate(window_of_account(account).to_json()),
    )
