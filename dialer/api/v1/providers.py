"""`/v1/providers`: who may carry an account's calls, and how they fare; not what they are reached with."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dialer.api.v1.caller import Reader
from dialer.api.v1.tools import With
from dialer.db import looking
from dialer.pace.breaker import Phase, phase_of
from dialer.providers.contract import Capability
from dialer.providers.kinds import adapter_class
from dialer.store import providers
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/providers", tags=["providers"])


class Provider(BaseModel):
    """A provider that the account may use."""

    name: str
    kind: str
    capabilities: list[Capability] = Field(description="what its kind can do")
    enabled: bool
    paused_reason: str | None = Field(description="why nothing is sent to it until the operator sees to it")
    held_until: datetime | None = Field(description="it asked to be left alone until then")
    breaker: Phase = Field(description="open: it is left alone for a while, since calls through it failed")


class Providers(BaseModel):
    """All of them, in the order in which they are tried."""

    data: list[Provider]


@router.get("")
def list_providers(caller: Reader, tools: With) -> Providers:
    """Those that the account may use, disabled ones too, in the order in which they are tried."""
    with looking(tools.engine) as connection:
        found = providers.of_account(connection, caller.account_id)
    return Providers(data=[_provider(row, tools.now) for row in found])


def _provider(row: AnyRow, now: datetime) -> Provider:
    return Provider(
        name=row.name,
        kind=row.kind,
        capabilities=sorted(adapter_class(row.kind).capabilities),
        enabled=row.enabled,
        paused_reason=row.paused_reason,
        held_until=row.held_until if row.held_until is not None and row.held_until > now else None,
        breaker=phase_of(row, now),
    )
