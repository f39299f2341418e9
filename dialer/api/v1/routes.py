"""All resources of `/v1`."""

from __future__ import annotations

from fastapi import APIRouter

from dialer.api.v1 import (
    account,
    audit,
    call_events,
    callbacks,
    calls,
    campaign_copies,
    campaign_history,
    campaign_progress,
    campaign_test_call,
    campaigns,
    cdrs,
    dnd_lists,
    imports,
    inbound_rules,
    keys,
    lists,
    media,
    providers,
    templates,
    verifications,
    webhooks,
)
from dialer.api.v1.problem import ALWAYS

#: In this order a request is held against them: first what somebody waits for.
_RESOURCES = (
    calls,
    verifications,
    account,
    audit,
    callbacks,
    call_events,
    campaigns,
    campaign_progress,
    campaign_test_call,
    campaign_copies,
    campaign_history,
    cdrs,
    dnd_lists,
    imports,
    inbound_rules,
    keys,
    lists,
    media,
    providers,
    templates,
    webhooks,
)


def make_router() -> APIRouter:
    """The router of `/v1`."""
    router = APIRouter(prefix="/v1", responses=ALWAYS)
    for resource in _RESOURCES:
        router.include_router(resource.router)
    router.include_router(cdrs.files)
    return router
