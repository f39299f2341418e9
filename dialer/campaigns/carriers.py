"""Which providers can carry a campaign's calls, and which of them have refused to.

A kind that could may still refuse, for how the provider is set up (`NOT_HERE`) or for its account's sake (`PROVIDER`),
or may not be reached. Then the next candidate is asked, and only then: a call whose fate is unknown goes to nobody
else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection

from dialer.calls import flow_form, repeats
from dialer.calls.tried import LAST_FOR, NOBODY, tried
from dialer.providers.need import Need, of_campaign, why_unable
from dialer.store import providers
from dialer.store.tables import AnyRow

#: How long a provider that has refused a call of a campaign is not asked for its other ones, where somebody else can
#: carry them: mostly it would refuse them all, and each is a token of the pace.
AVOIDED_FOR = timedelta(minutes=5)
_MOST_NOTED = 10_000


class Refusals:
    """Who has refused calls of which campaign lately, and which campaigns have calls that did not reach somebody, so
    far as this process has seen. To forget costs a few calls a second way round, and nothing else."""

    def __init__(self) -> None:
        self._until: dict[str, dict[str, datetime]] = {}
        self._unreached_until: dict[str, datetime] = {}

    def note(self, campaign_id: str, provider_id: str, now: datetime) -> None:
        """This provider has refused one of its calls."""
        if len(self._until) >= _MOST_NOTED:
            self._until.clear()
        self._until.setdefault(campaign_id, {})[provider_id] = now + AVOIDED_FOR

    def of(self, campaign_id: str, now: datetime) -> frozenset[str]:
        """The providers to be avoided."""
        noted = self._until.get(campaign_id)
        if noted is None:
            return frozenset()
        avoided = frozenset(provider_id for provider_id, until in noted.items() if until > now)
        if not avoided:
            del self._until[campaign_id]
        return avoided

    def note_unreached(self, campaign_id: str, now: datetime) -> None:
        """Some of its calls did not reach a provider; that is a matter of these calls, and of its breaker."""
        if len(self._unreached_until) >= _MOST_NOTED:
            self._unreached_until.clear()
        self._unreached_until[campaign_id] = now + LAST_FOR

    def has_unreached(self, campaign_id: str, now: datetime) -> bool:
        """Whether some of its calls may have to go to somebody else than others."""
        until = self._unreached_until.get(campaign_id)
        if until is not None and until <= now:
            del self._unreached_until[campaign_id]
        return campaign_id in self._unreached_until


def need_of_campaign(campaign: AnyRow) -> Need:
    """What the campaign's calls need of a provider. Raises `FlowError` for a flow that cannot be read any more."""
    flow = None if campaign.flow is None else flow_form.stored(campaign.id, campaign.flow)
    return of_campaign(
        text=campaign.announcement_text,
        flow=flow,
        language=campaign.language_code,
        provider_repeats=repeats.stored(campaign.repeat_policy) if campaign.provider_repeats else None,
    )


def able_providers(connection: Connection, campaign: AnyRow) -> list[AnyRow]:
    """The providers that can carry the campaign's calls, in the order in which they are tried."""
    need = need_of_campaign(campaign)
    return [
        provider
        for provider in providers.usable(connection, campaign.account_id)
        if campaign.provider_id in (None, provider.id) and not why_unable(provider.kind, need)
    ]


def have_others(
    connection: Connection, failed: Sequence[tuple[AnyRow, AnyRow, str]], now: datetime, *, at_once: bool
) -> set[str]:
    """Those calls, by id, that a provider may carry which has not refused them; `failed` are calls with their campaign
    and the provider that does not take each now. `at_once`: one that may be called now and was not missed, either."""
    before = tried(connection, [call for call, _, _ in failed], now)
    able: dict[str, list[AnyRow]] = {}
    for _, campaign, _ in failed:
        if campaign.id not in able:
            able[campaign.id] = able_providers(connection, campaign)
    return {
        call.id
        for call, campaign, provider_id in failed
        if before.get(call.id, NOBODY).has_other(able[campaign.id], provider_id, now, at_once=at_once)
    }
