"""The ledger of one transaction: every change to attempts, calls, CDRs and counters, written together.

Whoever learns something about attempts (the dispatcher, the consumer of events, the reconciler) tells the ledger,
which decides what becomes of the call (the repeat policy is a pure function, `dialer.calls.repeats`) and keeps the
CDRs and counters in step. `write` then does it in a handful of statements, however many calls there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Connection

from dialer.calls import cdr, repeats
from dialer.calls.progress import Standing
from dialer.lifecycle import (
    ATTEMPT_FINAL,
    CALL_ENDS,
    CALL_TRANSITIONS,
    DIAL_STATUS,
    AttemptState,
    CallKind,
    CallState,
    CampaignState,
    CdrKind,
    Disposition,
)
from dialer.logs import get_logger
from dialer.models.webhook import WebhookEvent
from dialer.store import attempts, calls, campaigns, cdrs, messages, verifications
from dialer.store.attempts import AttemptMove
from dialer.store.calls import CallMove
from dialer.store.campaigns import Deltas
from dialer.store.tables import AnyRow
from dialer.webhooks import outbox
from dialer.webhooks.events import Happened, attempt_ended, call_ended

log = get_logger(__name__)

#: How long a call waits whose last attempt rings although it was held as never placed.
CONTRADICTED = timedelta(minutes=15)

#: Kinds of CDRs of calls whose message says whom they connect with.
_CONNECTING = frozenset({CdrKind.CLICK_TO_CALL, CdrKind.CALLBACK, CdrKind.INBOUND_CALLBACK})
#: Ends of a one-time password that its verification, if it is one's, goes on from.
_NOT_BROUGHT = frozenset({CallState.FAILED, CallState.SUPPRESSED, CallState.EXPIRED})
_OVER = frozenset({CampaignState.STOPPED, CampaignState.FINISHED})


class Ledger:
    """What one transaction changes. The rows handed in must be locked by it, each once per ledger."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self._dials: list[tuple[CallMove, Mapping[str, Any]]] = []
        self._attempt_moves: list[AttemptMove] = []
        self._attempt_updates: list[dict[str, Any]] = []
        self._call_moves: list[CallMove] = []
        self._call_updates: list[dict[str, Any]] = []
        self._cdrs: list[dict[str, Any]] = []
        self._corrections: list[dict[str, Any]] = []
        self._counts: Deltas = Counter()
        self._said: list[str] = []
        self._not_brought: list[str] = []
        self._happened: list[Happened] = []

    def advance(
        self,
        attempt: AnyRow,
        call: AnyRow,
        campaign: AnyRow | None,
        standing: Standing,
        settle_at: datetime | None = None,
    ) -> None:
        """The provider said something new: the attempt now stands at `standing`. `settle_at` is when it is settled if
        no more is said, None: as before."""
        before = AttemptState(attempt.state)
        values = _columns(standing)
        if settle_at is not None and standing.state not in ATTEMPT_FINAL:
            values["settle_at"] = settle_at
        if standing.state is before:
            self._correct(attempt, call, campaign, standing, values)
            return
        if standing.state is AttemptState.ENDED:
            self._attempt_moves.append(
                AttemptMove(attempt.id, before, standing.state, values | {"settle_at": None})
            )
            self._close(attempt, call, campaign, standing.outcome or Disposition.UNKNOWN, values)
        else:
            self._attempt_moves.append(AttemptMove(attempt.id, before, standing.state, values))
            if call.state == CallState.DIALLING and call.dials == attempt.number:
                self._move_call(call, CallState.IN_PROGRESS)

    def placed(self, attempt: AnyRow, call: AnyRow, reference: str | None, detail: str) -> None:
        """The provider took the attempt."""
        values = {"placed_at": self.now, "provider_reference": reference, "detail": detail}
        if attempt.state == AttemptState.SUBMITTING:
            self._attempt_moves.append(
                AttemptMove(attempt.id, AttemptState.SUBMITTING, AttemptState.PLACED, values)
            )
            self._move_call(call, CallState.IN_PROGRESS)
        else:  # its callback was faster than its reply, or the reaper was
            self._attempt_updates.append({"_id": attempt.id, **values})
            if attempt.disposition is not None and attempt.settle_at is None:  # it has its CDR already
                self._corrections.append({"_id": attempt.id, "provider_reference": reference})

    def not_placed(
        self,
        attempt: AnyRow,
        call: AnyRow,
        due_at: datetime,
        detail: str,
        *,
        to_state: AttemptState = AttemptState.NOT_PLACED,
        backs_off: bool = False,
    ) -> None:
        """Provably not sent, documented as not processed, or REFUSED for the provider's own reasons: the call
        waits until `due_at`, at the cost of no repeat. `backs_off`: the next such wait is longer."""
        if attempt.state not in (AttemptState.SUBMITTING, AttemptState.UNKNOWN):
            return  # an event has shown otherwise
        self._attempt_moves.append(
            AttemptMove(
                attempt.id,
                AttemptState(attempt.state),
                to_state,
                {"ended_at": self.now, "settle_at": None, "detail": detail},
                detail,
            )
        )
        if call.state in (CallState.DIALLING, CallState.IN_PROGRESS):
            unsent = call.unsent + 1 if backs_off else call.unsent
            self._move_call(call, CallState.WAITING, due_at=due_at, unsent=unsent, reason=detail)

    def refused(
        self, attempt: AnyRow, call: AnyRow, campaign: AnyRow | None, disposition: Disposition, detail: str
    ) -> None:
        """The provider said no to this call."""
        if attempt.state not in (AttemptState.SUBMITTING, AttemptState.UNKNOWN):
            return
        values = {"disposition": disposition.value, "ended_at": self.now, "settle_at": None, "detail": detail}
        self._attempt_moves.append(
            AttemptMove(attempt.id, AttemptState(attempt.state), AttemptState.REFUSED, values, detail)
        )
        self._close(attempt, call, campaign, disposition, values)

    def unknown(self, attempt: AnyRow, call: AnyRow, detail: str) -> None:
        """Sent without a definite answer: the call stays in progress until an event, a look-up or `settle_at`."""
        if attempt.state != AttemptState.SUBMITTING:
            return
        self._attempt_moves.append(
            AttemptMove(
                attempt.id,
                AttemptState.SUBMITTING,
                AttemptState.UNKNOWN,
                {"detail": detail},
                detail,
            )
        )
        if call.state == CallState.DIALLING:
            self._move_call(call, CallState.IN_PROGRESS, reason=detail)

    def settle_unknown(self, attempt: AnyRow, call: AnyRow, campaign: AnyRow | None) -> None:
        """Nobody told in time how it ended: the call ends UNKNOWN, for people to see; it is not dialled again. Who is
        known to have picked up was reached. Where the provider might have dialled again and did not, the end that it
        told of was the last."""
        if attempt.answered_at is not None:
            self._settle_ended(attempt, call, campaign, Disposition.ANSWERED, self.now, "no end in time")
            return
        if attempt.dial_ended_at is not None and attempt.disposition != Disposition.UNKNOWN:
            disposition, ended_at = Disposition(attempt.disposition), attempt.dial_ended_at
            self._settle_ended(attempt, call, campaign, disposition, ended_at, "not repeated any more")
            return
        values: dict[str, Any] = {"settle_at": None, "disposition": Disposition.UNKNOWN.value}
        reason = "no final event in time"
        if attempt.state != AttemptState.UNKNOWN:
            self._attempt_moves.append(
                AttemptMove(attempt.id, AttemptState(attempt.state), AttemptState.UNKNOWN, values, reason)
            )
        else:
            self._attempt_updates.append({"_id": attempt.id, **values})
        self._close(attempt, call, campaign, Disposition.UNKNOWN, values)

    def _settle_ended(
        self,
        attempt: AnyRow,
        call: AnyRow,
        campaign: AnyRow | None,
        disposition: Disposition,
        ended_at: datetime,
        reason: str,
    ) -> None:
        values = {"disposition": disposition.value, "ended_at": ended_at, "settle_at": None}
        self._attempt_moves.append(
            AttemptMove(attempt.id, AttemptState(attempt.state), AttemptState.ENDED, values, reason)
        )
        self._close(attempt, call, campaign, disposition, values)

    def end_call(self, call: AnyRow, state: CallState, reason: str) -> None:
        """A call that is not dialled (any more) ends. Who asked for a single one reads of it in its CDR."""
        self._move_call(call, state, reason=reason)
        if call.campaign_id is None:
            self._cdrs.append(cdr.of_undialled(call, self.now))

    def record_end(self, call: Any) -> None:
        """A call that is inserted with an end; `call` has its columns as attributes."""
        self.count(call.campaign_id, call.state)
        self._tell_of_call(call, CallState(call.state), call.disposition, call.reason)

    def suppress(self, call: AnyRow, campaign: AnyRow | None) -> None:
        """On a DND list: the call ends, with a CDR that says so."""
        self._move_call(call, CallState.SUPPRESSED, reason="on a DND list")
        self.record_suppressed(call, campaign)

    def record_suppressed(self, call: Any, campaign: AnyRow | None) -> None:
        """The CDR of a suppressed call; `call` is a row or anything with its columns as attributes."""
        self._cdrs.append(cdr.of_suppressed(call, campaign, self.now))
        self.count(call.campaign_id, "cdr.DND")

    def wait(self, call: AnyRow, due_at: datetime, reason: str) -> None:
        """A released call goes back to wait; costs nothing."""
        self._move_call(call, CallState.WAITING, due_at=due_at, reason=reason)

    def dial(self, call: AnyRow, attempt: Mapping[str, Any]) -> None:
        """A worker has claimed the call for this new attempt, a row."""
        stamp = {"dials": attempt["number"], "reason": ""}
        self._dials.append((CallMove(call.id, CallState(call.state), CallState.DIALLING, stamp), attempt))

    def count(self, campaign_id: str | None, name: str, delta: int = 1) -> None:
        """Move a counter of a campaign."""
        if campaign_id is not None:
            self._counts[campaign_id, name] += delta

    def write(self, connection: Connection) -> None:
        """Write all of it. Raises `StaleStateError` when a row had moved; the transaction must be rolled back."""
        if self._dials:
            moves, new_attempts = zip(*self._dials, strict=True)
            calls.dial(connection, moves, new_attempts, self.now)
        attempts.move(connection, self._attempt_moves, self.now)
        for batch in _alike(self._attempt_updates):
            attempts.update(connection, batch)
        calls.move(connection, self._call_moves, self.now)
        for batch in _alike(self._call_updates):
            calls.update(connection, batch)
        if self._cdrs:
            self._complete(connection)
            cdrs.add(connection, self._cdrs)
        for batch in _alike(self._corrections):
            cdrs.update_settled(connection, batch)
        campaigns.count(connection, self._counts)
        messages.wipe(connection, self._said)
        if self._not_brought:
            verifications.wake(connection, self._not_brought, self.now)
        outbox.queue(connection, self._happened, self.now)

    def _complete(self, connection: Connection) -> None:
        """Fill in what only messages tell: the caller ids of single calls that were not dialled, which have no attempt
        to tell them, and whom click-to-calls and callbacks connect with."""
        nameless = [row for row in self._cdrs if row["campaign_id"] is None and row["attempt_id"] is None]
        connecting = [row for row in self._cdrs if row["kind"] in _CONNECTING]
        if not nameless and not connecting:
            return
        said = messages.of_calls(connection, sorted({row["call_id"] for row in (*nameless, *connecting)}))
        for row in nameless:
            row["caller_id"] = said[row["call_id"]].caller_id if row["call_id"] in said else ""
        for row in connecting:
            row["connect_to"] = said[row["call_id"]].connect_to if row["call_id"] in said else None

    def _close(
        self,
        attempt: AnyRow,
        call: AnyRow,
        campaign: AnyRow | None,
        disposition: Disposition,
        values: Mapping[str, Any],
    ) -> None:
        """An attempt has come to its end: its CDR, and what becomes of its call."""
        if attempt.settle_at is None:  # given up before: it has its CDR
            self._settle_late(attempt, call, campaign, disposition, values)
            return
        self._record_attempt(attempt, call, campaign, disposition, values)
        if call.dials != attempt.number or CallState(call.state) in CALL_ENDS:
            return
        if call.state not in (CallState.DIALLING, CallState.IN_PROGRESS):
            return
        used = repeats.used_from_json(call.repeats)
        policy = repeats.NO_REPEATS
        if attempt.provider_repeats is None:  # else its provider has repeated it
            policy = repeats.stored(call.repeat_policy if campaign is None else campaign.repeat_policy)
        decision = repeats.decide(policy, disposition, used, self.now)
        if isinstance(decision, repeats.Repeat) and not _is_too_late(call, campaign, decision.due_at):
            self._move_call(
                call,
                CallState.WAITING,
                due_at=decision.due_at,
                unsent=0,
                repeats=repeats.used_to_json(repeats.count_repeat(used, disposition)),
                disposition=disposition.value,
                reason=f"repeat after {disposition}",
            )
            return
        state = decision.state if isinstance(decision, repeats.End) else _end_without_repeat(disposition)
        self._move_call(call, state, disposition=disposition.value, reason="")

    def _record_attempt(
        self,
        attempt: AnyRow,
        call: AnyRow,
        campaign: AnyRow | None,
        disposition: Disposition,
        values: Mapping[str, Any],
    ) -> None:
        """The CDR of an attempt that had none."""
        row = cdr.of_attempt(attempt, call, campaign, disposition, values, self.now)
        self._cdrs.append(row)
        self.count(call.campaign_id, f"cdr.{DIAL_STATUS[disposition]}")
        self._tell_of_attempt(attempt, partial(attempt_ended, row, attempt.number, corrected=False))

    def _settle_late(
        self,
        attempt: AnyRow,
        call: AnyRow,
        campaign: AnyRow | None,
        disposition: Disposition,
        values: Mapping[str, Any],
    ) -> None:
        """The provider's word on an attempt that had been given up: known now, and not dialled again for it."""
        self._recount_cdr(attempt, call, campaign, Disposition.UNKNOWN, disposition, values)
        if call.state == CallState.UNKNOWN and disposition is not Disposition.UNKNOWN:
            self._move_call(
                call, _end_without_repeat(disposition), disposition=disposition.value, reason="settled late"
            )

    def _correct(
        self,
        attempt: AnyRow,
        call: AnyRow,
        campaign: AnyRow | None,
        standing: Standing,
        values: dict[str, Any],
    ) -> None:
        """Nothing moved, but something may be known better: a cost, a duration, a contradicting word on the end."""
        changed = {name: value for name, value in values.items() if getattr(attempt, name) != value}
        if not changed:
            return
        self._attempt_updates.append({"_id": attempt.id, **changed})
        before, after = standing_of(attempt).outcome, standing.outcome
        if standing.contradicted and after is None:
            self._hold_back(attempt, call)
        if AttemptState(attempt.state) not in ATTEMPT_FINAL or after is None:
            return
        if before is None:  # held as never placed, so it has no CDR; its provider knows better
            self._record_attempt(attempt, call, campaign, after, values)
        else:
            self._recount_cdr(attempt, call, campaign, before, after, changed)
        if after is before or call.dials != attempt.number:
            return
        reached = after in (Disposition.ANSWERED, Disposition.MACHINE)
        if reached and CallState.COMPLETED in CALL_TRANSITIONS[CallState(call.state)]:
            # Whoever was reached after all is not rung again.
            self._move_call(call, CallState.COMPLETED, disposition=after.value, reason="corrected")
        elif call.state == CallState.UNKNOWN:
            self._move_call(call, _end_without_repeat(after), disposition=after.value, reason="settled late")
        elif before is not None and call.disposition == before.value:
            self._call_updates.append({"_id": call.id, "disposition": after.value})
            if CallState(call.state) in CALL_ENDS:
                self._tell_of_call(call, CallState(call.state), after.value, call.reason, corrected=True)

    def _hold_back(self, attempt: AnyRow, call: AnyRow) -> None:
        """A provider rings an attempt that it had said it would not: the next one waits until that is settled."""
        if call.dials != attempt.number or call.state not in (CallState.WAITING, CallState.RELEASED):
            return
        due_at = max(call.due_at, self.now + CONTRADICTED)
        if call.state == CallState.RELEASED:
            self.wait(call, due_at, "contradicted")
        else:
            self._call_updates.append({"_id": call.id, "due_at": due_at, "reason": "contradicted"})

    def _recount_cdr(
        self,
        attempt: AnyRow,
        call: AnyRow,
        campaign: AnyRow | None,
        before: Disposition,
        after: Disposition,
        values: Mapping[str, Any],
    ) -> None:
        # Apps wait for a recording, which can be fetched later than its call ends.
        if after is not before or "recording_name" in values:
            self._tell_of_attempt(
                attempt,
                lambda: attempt_ended(
                    cdr.of_attempt(attempt, call, campaign, after, values, self.now),
                    attempt.number,
                    corrected=True,
                ),
            )
        self._corrections.append({"_id": attempt.id, **cdr.correction(attempt, after, values)})
        if DIAL_STATUS[before] is not DIAL_STATUS[after]:
            self.count(call.campaign_id, f"cdr.{DIAL_STATUS[before]}", -1)
            self.count(call.campaign_id, f"cdr.{DIAL_STATUS[after]}")

    def _move_call(self, call: AnyRow, to_state: CallState, **values: Any) -> None:
        from_state = CallState(call.state)
        reason = str(values.get("reason", ""))
        if to_state in CALL_ENDS:
            values["ended_at"] = self.now
            self.count(call.campaign_id, to_state.value)
            if call.campaign_id is None:
                self._said.append(call.id)
            if call.kind == CallKind.OTP and to_state in _NOT_BROUGHT:
                self._not_brought.append(call.id)
            disposition = values.get("disposition", call.disposition)
            self._tell_of_call(call, to_state, disposition, reason, corrected=from_state in CALL_ENDS)
        elif to_state is CallState.WAITING and call.expires_at is not None:
            values["due_at"] = min(values["due_at"], call.expires_at)  # that is when it ends, if not before
        if from_state in CALL_ENDS:
            self.count(call.campaign_id, from_state.value, -1)
        self._call_moves.append(CallMove(call.id, from_state, to_state, values, reason))

    def _tell_of_attempt(self, attempt: AnyRow, data: Callable[[], Mapping[str, Any]]) -> None:
        self._happened.append(
            Happened(WebhookEvent.ATTEMPT_ENDED, attempt.account_id, attempt.campaign_id, attempt.id, data)
        )

    def _tell_of_call(
        self, call: Any, state: CallState, disposition: str | None, reason: str, *, corrected: bool = False
    ) -> None:
        data = partial(call_ended, call, state, disposition, reason, self.now, corrected=corrected)
        self._happened.append(
            Happened(WebhookEvent.CALL_ENDED, call.account_id, call.campaign_id, call.id, data)
        )


def standing_of(attempt: AnyRow) -> Standing:
    """What is known of an attempt, from its row."""
    return Standing(
        state=AttemptState(attempt.state),
        disposition=Disposition(attempt.disposition) if attempt.disposition else None,
        hangup_cause=attempt.hangup_cause,
        duration=attempt.duration,
        billsec=attempt.billsec,
        cost=attempt.cost,
        currency=attempt.currency or "",
        answered_by=attempt.answered_by or "",
        recording_name=attempt.recording_name or "",
        ringing_at=attempt.ringing_at,
        answered_at=attempt.answered_at,
        ended_at=attempt.ended_at,
        dial_ended_at=attempt.dial_ended_at,
        keys=frozenset((datetime.fromisoformat(at), key) for at, key in attempt.keys or ()),
    )


def _columns(standing: Standing) -> dict[str, Any]:
    pressed = sorted((at.astimezone(UTC).isoformat(), key) for at, key in standing.keys)
    return {
        # Of few attempts, so that the others' statement does not carry it.
        **({"keys": [[at, key] for at, key in pressed]} if pressed else {}),
        **({"currency": standing.currency} if standing.currency else {}),
        **({"answered_by": standing.answered_by} if standing.answered_by else {}),
        **({"recording_name": standing.recording_name} if standing.recording_name else {}),
        **({"dial_ended_at": standing.dial_ended_at} if standing.dial_ended_at is not None else {}),
        "disposition": standing.disposition.value if standing.disposition else None,
        "hangup_cause": standing.hangup_cause,
        "duration": standing.duration,
        "billsec": standing.billsec,
        "cost": standing.cost,
        "ringing_at": standing.ringing_at,
        "answered_at": standing.answered_at,
        "ended_at": standing.ended_at,
    }


def _alike(rows: list[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Rows with the same columns, for one statement each."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        alike.setdefault(tuple(sorted(row)), []).append(row)
    return alike.values()


def _is_too_late(call: AnyRow, campaign: AnyRow | None, due_at: datetime) -> bool:
    if call.expires_at is not None and due_at >= call.expires_at:
        return True
    return campaign is not None and (CampaignState(campaign.state) in _OVER or due_at >= campaign.end_at)


def _end_without_repeat(disposition: Disposition) -> CallState:
    if disposition is Disposition.UNKNOWN:
        return CallState.UNKNOWN
    return CallState.COMPLETED if disposition in repeats.ANSWERED else CallState.FAILED
