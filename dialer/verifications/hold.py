"""Holding a verification with its calls, and ending it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Connection

from dialer.calls.ledger import Ledger
from dialer.errors import Conflict, NotFound
from dialer.lifecycle import CALL_OPEN, CallState, Disposition, VerificationState
from dialer.store import calls
from dialer.store import verifications as store
from dialer.store.tables import AnyRow
from dialer.verifications.decide import Standing

#: Calls that may still be kept from ringing.
NOT_DIALLED = frozenset({CallState.WAITING, CallState.RELEASED})
#: How often all of it is done again when somebody else makes a call of the same verification at the same moment.
TRIES = 5

T = TypeVar("T")


class WentOnError(Exception):
    """Somebody else made another call of this verification meanwhile: do all of it again."""


@dataclass(frozen=True, slots=True, repr=False)
class Held:
    """A verification and all its calls, by id, locked."""

    row: AnyRow
    calls: Mapping[str, AnyRow]

    def is_open(self, now: datetime) -> bool:
        """Whether its code can be told at `now`."""
        return self.row.state == VerificationState.PENDING and bool(now < self.row.expires_at)

    def standing(self) -> Standing:
        """What decides how it goes on."""
        row = self.row
        their_call = self.calls[row.call_id]
        return Standing(
            step=row.step,
            steps=len(row.channels),
            sends=row.sends,
            max_sends=row.max_sends,
            expires_at=row.expires_at,
            next_at=row.next_at,
            call_state=CallState(their_call.state),
            disposition=None if their_call.disposition is None else Disposition(their_call.disposition),
            call_states=[CallState(one.state) for one in self.calls.values()],
        )


def hold(connection: Connection, account_id: str, verification_id: str) -> Held:
    """Lock the calls of a verification and then itself, as a worker does that ends one of the calls.

    Raises `NotFound`, and `WentOnError` (see `insisting`).
    """
    their_calls = store.lock_calls(connection, account_id, verification_id)
    row = store.get(connection, account_id, verification_id, lock=True)
    if row is None:
        raise NotFound(
            "verification_id", "verification_id: this account has no such verification; check the id."
        )
    if row.state == VerificationState.PENDING and row.call_id not in their_calls:
        raise WentOnError
    return Held(row, their_calls)


def insisting(do: Callable[[], T]) -> T:
    """Do it, and again from its beginning where that is needed. Raises `Conflict` when there is no end of it."""
    for _ in range(TRIES):
        try:
            return do()
        except WentOnError:
            continue
    raise Conflict(
        "verification_id", "verification_id: it is being changed by others at this moment: try again."
    )


def check_open(held: Held, now: datetime) -> None:
    """Raises `Conflict` for a verification that has ended."""
    if not held.is_open(now):
        state = held.row.state
        told = VerificationState.EXPIRED if state == VerificationState.PENDING else state
        raise Conflict("verification_id", f"verification_id: this verification is {told}: begin a new one.")


def end(
    connection: Connection,
    held: Held,
    state: VerificationState,
    reason: str,
    now: datetime,
    **values: Any,
) -> None:
    """End an open verification, whose calls do not ring any more."""
    cancel_calls(connection, held, f"verification {state.value.lower()}", now)
    store.end(connection, [held.row], state, reason, now, **values)


def cancel_calls(connection: Connection, held: Held, reason: str, now: datetime) -> None:
    """Have those calls not ring that were not dialled yet. One that is being submitted is given up should it come back
    without having been placed."""
    ledger = Ledger(now)
    under_way = []
    for one in held.calls.values():
        if one.state in NOT_DIALLED:
            ledger.end_call(one, CallState.CANCELLED, reason)
        elif one.state in CALL_OPEN:
            under_way.append({"_id": one.id, "expires_at": now})
    ledger.write(connection)
    calls.update(connection, under_way)
