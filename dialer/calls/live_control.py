"""Controlling calls that are going on: transferring, hanging up, recording, by what their providers can.

What is asked for is looked up and checked first, then told to the provider, which a person waits for. A provider that
asks what comes next is told whom a transfer leads to by the answer to that (`dialer.calls.handing_on`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine

from dialer import ids
from dialer.calls import handing_on
from dialer.calls.by_hand import SHORTEST_NUMBER
from dialer.db import reading, writing
from dialer.dnd.applicable import campaign_heeded
from dialer.errors import Conflict, FieldError, NotFound
from dialer.http import Client
from dialer.lifecycle import AttemptState, CallKind
from dialer.numbers import NumberError, to_e164
from dialer.providers import once
from dialer.providers.asking import call_method
from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderError, UnclearError
from dialer.providers.kinds import make_adapter
from dialer.providers.live import Control, Order
from dialer.providers.setup import open_config
from dialer.reading import Fields
from dialer.secrets import SecretBox, SecretError
from dialer.settings import Settings
from dialer.store import attempts, audit, campaigns, providers, singles
from dialer.store.tables import AnyRow

#: "Modify Live Call", `modify_type`.
CONTROLS = (Control.BLIND_TRANSFER, Control.ATTENDED_TRANSFER, Control.HANG_UP, Control.RECORD)
TRANSFERS = frozenset({Control.BLIND_TRANSFER, Control.ATTENDED_TRANSFER})
#: Seconds for the provider's answer.
TIMEOUT = 15.0

_GOING_ON = frozenset({AttemptState.PLACED, AttemptState.RINGING, AttemptState.ANSWERED})
_OPEN = _GOING_ON | {AttemptState.SUBMITTING, AttemptState.UNKNOWN}
_DEVICE = re.compile(r"[A-Za-z0-9_.-]{1,40}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `channel` is a call's id, or an attempt's; `transfer_to` is E.164, or the name of a device."""

    channel: str
    control: Control
    transfer_to: str = ""

    @classmethod
    def read(cls, fields: Fields, region: str | None) -> Wanted:
        """Read the parameters of `modify_call` (`cpaas-campaign-api.md`, "Modify Live Call"). Raises `FieldError`."""
        channel, chosen = fields.identifier("channel"), fields.whole("modify_type", 0, len(CONTROLS) - 1)
        if chosen is None:
            raise FieldError(
                "modify_type",
                "modify_type is missing: give 0 (blind transfer), 1 (attended transfer), 2 (hang up) or 3 (record).",
            )
        control = CONTROLS[chosen]
        return cls(channel, control, _target(fields, region) if control in TRANSFERS else "")


def control(
    engine: Engine, account_id: str, actor: str, wanted: Wanted, settings: Settings, now: datetime
) -> None:
    """Do it. Raises `NotFound`, `FieldError` where the provider, or the call as it stands, lacks something for it, and
    `Conflict` when the call is not going on, and when the provider did not do it, or does not say whether it did."""
    with reading(engine) as connection:
        attempt = _find(connection, account_id, wanted)
        provider = providers.with_ids(connection, [attempt.provider_id])[attempt.provider_id]
        call = singles.get(connection, account_id, attempt.call_id)
    order = Order(
        wanted.control,
        attempt.id,
        attempt.provider_reference or "",
        attempt.handles or {},
        wanted.transfer_to,
        callee_hands_on=_callee_hands_on(call),
    )
    try:
        box = SecretBox(settings.secret_keys())
        adapter = make_adapter(open_config(provider, box, settings.public_url))
        method, values = adapter.control(order)
        transfer: Mapping[str, Any] = {}  # who is hung up on is handed on no further
        if wanted.control in TRANSFERS:
            transfer = handing_on.noted(wanted.control, wanted.transfer_to, adapter.parties(order))
    except (ProviderError, SecretError) as error:
        raise FieldError("modify_type", f"modify_type: {error}") from None
    is_answered = wanted.control is not Control.RECORD and adapter.asks
    before = {key: value for key, value in (attempt.handles or {}).items() if key in handing_on.KEYS}
    with writing(engine) as connection:
        _check_again(connection, account_id, wanted, attempt.id)
        if is_answered:
            _hand_on(connection, attempt.id, transfer)
        detail = {"control": wanted.control.value, "attempt": attempt.id}
        audit.add(connection, account_id, actor, "call.control", attempt.call_id, now, **detail)

    async def tell(client: Client, adapter: Adapter) -> object:
        return await call_method(client, adapter, method, values, timeout=TIMEOUT)

    try:
        once.ask(adapter, tell)
    except UnclearError as error:
        # What was noted for a transfer stays: when the provider does it, it asks whom to.
        raise Conflict("channel", f"channel: the provider may have done it. {error}") from None
    except ProviderError as error:
        if is_answered:
            with writing(engine) as connection:
                _hand_on(connection, attempt.id, before)
        raise Conflict("channel", f"channel: the provider did not do it. {error}") from None


def _find(connection: Connection, account_id: str, wanted: Wanted) -> AnyRow:
    """The attempt that is going on."""
    try:
        ids.call_of(wanted.channel)
        attempt_id = wanted.channel
    except ValueError:
        call = singles.get(connection, account_id, wanted.channel)
        if call is None:
            raise _no_call() from None
        if not call.dials:
            raise Conflict("channel", "channel: this call has not been dialled.") from None
        attempt_id = ids.attempt_id(call.id, call.dials)
    attempt = attempts.get(connection, account_id, attempt_id)
    if attempt is None:
        raise _no_call()
    if attempt.state not in _GOING_ON:
        is_open = attempt.state in _OPEN
        why = "is not known to be going on: try again in a moment" if is_open else "is over"
        raise Conflict("channel", f"channel: this call {why}.")
    return attempt


def _check_again(connection: Connection, account_id: str, wanted: Wanted, attempt_id: str) -> None:
    """Held, so that it is true until this is committed."""
    held = attempts.lock(connection, [attempt_id])[attempt_id]
    if held.state not in _GOING_ON:
        raise Conflict("channel", "channel: this call is over.")
    call = singles.get(connection, account_id, held.call_id)
    heeded = None if call is None else campaign_heeded(call)
    if campaigns.listed(connection, account_id, heeded, [wanted.transfer_to]):
        raise FieldError("transfer_to", "transfer_to stands on a DND list, and is not rung.")


def _hand_on(connection: Connection, attempt_id: str, transfer: Mapping[str, Any]) -> None:
    held = attempts.lock(connection, [attempt_id])[attempt_id]
    others = {key: value for key, value in (held.handles or {}).items() if key not in handing_on.KEYS}
    attempts.update(connection, [{"_id": attempt_id, "handles": {**others, **transfer}}])


def _callee_hands_on(call: AnyRow | None) -> bool:
    """Whether it is a call of an agent, who was rung first, and a customer: the agent hands on the customer. Of all
    others the callee is the customer."""
    if call is None:
        return False
    is_chosen = call.kind == CallKind.CALLBACK and call.scheduled_at is not None
    return is_chosen or call.kind == CallKind.CLICK_TO_CALL


def _target(fields: Fields, region: str | None) -> str:
    given = fields.needed("transfer_to", longest=40)
    if sum(one.isdigit() for one in given) < SHORTEST_NUMBER:
        if not _DEVICE.fullmatch(given):
            raise FieldError(
                "transfer_to", "transfer_to must be a number with its country code, or an extension."
            )
        return given
    try:
        return to_e164(given, region)
    except NumberError as error:
        raise FieldError("transfer_to", f"transfer_to: {error.reason}") from None


def _no_call() -> NotFound:
    return NotFound(
        "channel",
        "channel: this account has no such call; give its request_id, or the uniqueid of its attempt.",
    )
