"""The first-generation API, as in `cpaas-campaign-api.md`: one module per subject.

Every endpoint names the section of that reference which it follows. Ids are looked up within the account that
asks; what is another's is not there. One-time passwords and click-to-calls, which somebody waits for, are in
`dialer/api/outbound.py`.
"""

from __future__ import annotations

from fastapi import APIRouter

from dialer.api.cpaas import callback, campaigns, cdrs, lists, live, statistics
from dialer.api.envelope import FAILURES

_SUBJECTS = (lists, campaigns, callback, live, cdrs, statistics)


def make_router() -> APIRouter:
    """The router of the first generation, but for `dialer/api/outbound.py`."""
    router = APIRouter(tags=["first generation"], responses=FAILURES)
    for subject in _SUBJECTS:
        router.include_router(subject.router, prefix="/api")
    router.include_router(campaigns.bare_router)
    return router
