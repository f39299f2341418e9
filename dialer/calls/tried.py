"""Who was tried for a call in vain, and who is asked next.

Who has refused a call is asked again only where there is nobody else; whom it did not reach a moment ago comes last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from dialer.lifecycle import AttemptState
from dialer.pace.breaker import left_alone_until
from dialer.store import attempts
from dialer.store.tables import AnyRow

#: How long a provider that a call did not reach comes last for it.
LAST_FOR = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Tried:
    """Of one call: the ids of the providers that have refused it, and of those that it has not reached lately."""

    refused: frozenset[str] = frozenset()
    unreached: frozenset[str] = frozenset()

    def order(self, able: Sequence[AnyRow]) -> list[AnyRow]:
        """Those of the providers that can carry it, given in the order of their trial, that are asked next."""
        willing = [row for row in able if row.id not in self.refused] or able
        return sorted(willing, key=lambda row: row.id in self.unreached)

    def has_other(
        self, able: Iterable[AnyRow], provider_id: str, now: datetime, *, at_once: bool = False
    ) -> bool:
        """Whether one of them, besides this one, has not refused it; `at_once`: and was not missed lately, and may be
        called now."""
        others = [row for row in able if row.id != provider_id and row.id not in self.refused]
        if at_once:
            return any(row.id not in self.unreached and left_alone_until(row, now) is None for row in others)
        return bool(others)


NOBODY = Tried()


def tried(connection: Connection, their_calls: Iterable[AnyRow], now: datetime) -> Mapping[str, Tried]:
    """Who was tried for these calls in vain, by the ids of the calls; `NOBODY` is left out."""
    # Whoever was dialled more often than repeated was at a provider that did not take the call.
    odd = {call.id: call for call in their_calls if call.dials > sum((call.repeats or {}).values())}
    refused: dict[str, set[str]] = {}
    unreached: dict[str, set[str]] = {}
    for row in attempts.in_vain(connection, odd.values()) if odd else ():
        if row.state == AttemptState.REFUSED:
            refused.setdefault(row.call_id, set()).add(row.provider_id)
        # Who asked for rest (429) may be among them: that does no harm to a call that somebody else did not take.
        elif odd[row.call_id].unsent and row.ended_at is not None and row.ended_at > now - LAST_FOR:
            unreached.setdefault(row.call_id, set()).add(row.provider_id)
    return {
        call_id: Tried(frozenset(refused.get(call_id, ())), frozenset(unreached.get(call_id, ())))
        for call_id in refused.keys() | unreached.keys()
    }
