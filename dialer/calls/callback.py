"""Callbacks: two people who are connected at a chosen time, and may be moved, changed or deleted until then.

A callback is a single call that waits for its `scheduled_at`; from then on `release_due` treats it as any other.
Whoever changes one holds its row, as release and claim do, so that it is either changed or dialled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from dialer import ids
from dialer.calls import single, talk_form
from dialer.calls.click_to_call import NewClickToCall
from dialer.calls.ledger import Ledger
from dialer.campaigns.schedule import ChosenTime, ScheduleError, choose, choose_local, local_text
from dialer.errors import Conflict, FieldError, NotFound
from dialer.lifecycle import CallKind, CallState
from dialer.reading import Fields
from dialer.speech import Speech
from dialer.store import callbacks, calls, providers, singles
from dialer.store.calls import CallMove
from dialer.store.tables import AnyRow

#: How long after its time it is still worth dialling, when nobody could take it then.
CALLBACK_LIFE = timedelta(minutes=15)
#: One that was released is not released again within this time: whoever was about to claim it has seen its numbers.
SETTLES_IN = timedelta(seconds=1)

_UNDIALLED = (CallState.WAITING, CallState.RELEASED)
_WORDS = {
    CallState.WAITING: "has been tried already",
    CallState.DIALLING: "is being dialled",
    CallState.IN_PROGRESS: "is being dialled",
    CallState.CANCELLED: "was deleted already",
    CallState.EXPIRED: "could not be dialled in time",
}


def read_time(
    fields: Fields,
    time_zone: str | None,
    now: datetime,
    *,
    local: str = "scheduled_at",
    at: datetime | None = None,
) -> ChosenTime:
    """The time that is chosen: the instant `at`, else what the field `local` says on the clocks of the zone that
    `time_zone` in `fields` names, or of this `time_zone`. Raises `FieldError`."""
    zone = fields.text("time_zone", longest=100) or time_zone
    if zone is None:
        raise FieldError("time_zone", "time_zone is missing: give an IANA name such as Asia/Kolkata.")
    try:
        if at is not None:
            return choose("at", at, zone, now)
        return choose_local(local, fields.needed(local, longest=40), zone, now)
    except ScheduleError as error:
        raise FieldError(error.field, str(error)) from None


def with_talk(
    wanted: NewClickToCall, talk: Mapping[str, Any], speech: Speech, region: str | None
) -> NewClickToCall:
    """The same two, connected so: `talk` as of `talk_form.read`, in the words of `/v1/callbacks`. Raises
    `FieldError`."""
    ends = (wanted.agent, wanted.destination)
    read = talk_form.read(talk, region, ends, talk_form.CALLBACK_SIDES)
    return dataclasses.replace(wanted, talk=read, speech=speech)


def talk_of(held: AnyRow) -> dict[str, Any]:
    """How the two of a callback, a row, are connected, in the words of `/v1/callbacks`."""
    return talk_form.to_columns(talk_form.stored(held), talk_form.CALLBACK_SIDES)


def create(
    connection: Connection, account: AnyRow, wanted: NewClickToCall, chosen: ChosenTime, now: datetime
) -> str:
    """Write a callback; its id. Raises `Conflict` or `FieldError` when no provider could ever carry it."""
    new = wanted.single(CallKind.CALLBACK, CALLBACK_LIFE)
    single.able(providers.enabled(connection, account.id), new.need)
    (call_id,) = ids.call_ids(1, now)
    row = single.new_row(call_id, account, new, now, chosen.at) | {
        "scheduled_at": chosen.at,
        "time_zone": chosen.time_zone,
    }
    singles.add(connection, row, {"call_id": call_id, **new.message})
    return call_id


def change(
    connection: Connection,
    account: AnyRow,
    call_id: str,
    given: Mapping[str, Any],
    region: str | None,
    now: datetime,
    *,
    local: str = "scheduled_at",
    at: datetime | None = None,
    talk: Mapping[str, Any] | None = None,
    speech: Mapping[str, Any] | None = None,
    record_if_able: bool = True,
) -> ChosenTime | None:
    """Change what is `given`, in the words of `cpaas-campaign-api.md`, "Update Callback Request"; the time that this
    chooses, None when it stays. A zone alone keeps the wall time. `local` and `at` as of `read_time`. Beyond the
    reference: `talk` is how they are connected, in the words of `/v1`, None for what is taken away; `speech` are fields
    of `Speech`; `record_if_able` says whether a recording that is asked for now is a wish.

    Raises `FieldError`, `NotFound`, and `Conflict` when it has been dialled, or ended.
    """
    held = _held(connection, account.id, call_id)
    if held.state not in _UNDIALLED or held.dials:
        raise _too_late(held)
    fields = Fields(given)
    chosen = _moved(held, fields, now, local, at)
    wanted = NewClickToCall.read(_whole(held, fields, given), region)
    is_wish = bool(held.record_if_able) if fields.raw("recording_option") is None else record_if_able
    wanted = dataclasses.replace(wanted, record_if_able=wanted.record and is_wish)
    spoken = {one.name: getattr(held, one.name) for one in dataclasses.fields(Speech)} | dict(speech or {})
    wanted = with_talk(wanted, {**talk_of(held), **(talk or {})}, Speech(**spoken), region)
    new = wanted.single(CallKind.CALLBACK, CALLBACK_LIFE)
    single.able(providers.enabled(connection, account.id), new.need)
    of_call: dict[str, Any] = {"e164": wanted.agent, "provider_id": None, "reason": ""}
    if chosen is not None:
        of_call |= {
            "scheduled_at": chosen.at,
            "time_zone": chosen.time_zone,
            "due_at": chosen.at,
            "expires_at": chosen.at + CALLBACK_LIFE,
        }
    if held.state == CallState.RELEASED:
        back = {"due_at": max(of_call.get("due_at", held.due_at), now + SETTLES_IN), "reason": "changed"}
        move = CallMove(held.id, CallState.RELEASED, CallState.WAITING, back, "changed")
        calls.move(connection, [move], now)
        of_call |= back
    if not callbacks.change(connection, held, of_call, new.message):
        raise _too_late(held)
    return chosen


def delete(connection: Connection, account_id: str, call_id: str, now: datetime) -> None:
    """End a callback that nobody is being rung for: CANCELLED, with a CDR that says so. Raises as `change`."""
    held = _held(connection, account_id, call_id)
    if held.state not in _UNDIALLED:
        raise _too_late(held)
    ledger = Ledger(now)
    ledger.end_call(held, CallState.CANCELLED, "deleted")
    ledger.write(connection)


def _held(connection: Connection, account_id: str, call_id: str) -> AnyRow:
    held = callbacks.lock(connection, account_id, call_id)
    if held is None:
        raise no_callback()
    return held


def no_callback() -> NotFound:
    """The answer about another account's callback, and about none."""
    return NotFound("request_id", "request_id: this account has no such callback; check the id.")


def _too_late(held: AnyRow) -> Conflict:
    words = _WORDS.get(CallState(held.state), "was dialled already")
    return Conflict(
        "request_id", f"request_id: this callback {words}, so it cannot be changed any more: make a new one."
    )


def _moved(held: AnyRow, fields: Fields, now: datetime, local: str, at: datetime | None) -> ChosenTime | None:
    """The time that is given; with a zone alone the same time on its clocks."""
    if at is not None or fields.raw(local) is not None:
        return read_time(fields, held.time_zone, now, local=local, at=at)
    zone = fields.raw("time_zone")
    if zone is None:
        return None
    same = {local: local_text(held.scheduled_at, held.time_zone), "time_zone": zone}
    return read_time(Fields(same), None, now, local=local)


def _whole(held: AnyRow, fields: Fields, given: Mapping[str, Any]) -> dict[str, Any]:
    """All of it as it is to be: what is given, and what stands of the rest."""
    stands = {
        "agent_number": held.e164,
        "destination_number": held.connect_to,
        "caller_id": held.caller_id,
        "recording_option": (held.record_side or "on") if held.record else "off",
        "transcript": "on" if held.transcript else "off",
    }
    return stands | {name: value for name, value in given.items() if fields.raw(name) is not None}
