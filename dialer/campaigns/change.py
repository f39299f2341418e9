"""A campaign that is there is changed, and a draft started: what is asked of a new one is asked again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from dialer.calls import flow_form
from dialer.calls.repeats import RepeatPolicy
from dialer.calls.window import CallingWindow
from dialer.campaigns import openings
from dialer.campaigns.create import (
    SECOND_GENERATION,
    NewCampaign,
    check_campaign,
    check_end,
    columns_of,
    name_taken,
)
from dialer.campaigns.release import window_of
from dialer.errors import Conflict
from dialer.lifecycle import CallState, CampaignState
from dialer.settings import Settings
from dialer.speech import Speech
from dialer.store import calls, campaigns, dnd, providers
from dialer.store.calls import CallMove
from dialer.store.campaigns import CampaignMove
from dialer.store.tables import AnyRow

#: What may be changed of a campaign that has begun to dial, and the columns that hold it.
WHILE_RUNNING = {
    "name": ("name",),
    "pace": ("calls_per_minute", "max_concurrent"),
    "calling_window": ("calling_window",),
    "end_at": ("end_at",),
}
_OVER = frozenset({CampaignState.FINISHED, CampaignState.STOPPED})


def request_of(connection: Connection, row: AnyRow) -> NewCampaign:
    """What was asked for when this campaign was made. Raises `FlowError` for a flow that cannot be read any more."""
    provider = None if row.provider_id is None else providers.with_ids(connection, [row.provider_id])
    return NewCampaign(
        name=row.name,
        list_id=row.list_id,
        caller_id=row.caller_id,
        start_at=row.start_at,
        end_at=row.end_at,
        text=row.announcement_text,
        recorded_filename=row.recorded_filename,
        flow=None if row.flow is None else flow_form.stored(row.id, row.flow),
        dnd_list_ids=tuple(campaigns.own_dnd_lists(connection, [row.id]).get(row.id, ())),
        speech=Speech(
            repeat_count=row.repeat_count,
            voice=row.voice,
            volume=row.volume,
            rate=row.rate,
            pitch=row.pitch,
            language_code=row.language_code,
            tts_engine_type=row.tts_engine_type,
        ),
        time_zone=row.time_zone,
        calls_per_minute=row.calls_per_minute,
        max_concurrent=row.max_concurrent,
        calling_window=None if row.calling_window is None else CallingWindow.parse(row.calling_window),
        repeat_policy=RepeatPolicy.parse(row.repeat_policy),
        provider_repeats=row.provider_repeats,
        max_retries=row.max_retries,
        retry_time=row.retry_time,
        provider=provider[row.provider_id].name if provider else None,
    )


def start(connection: Connection, account: AnyRow, held: AnyRow, settings: Settings, now: datetime) -> None:
    """Have a draft, locked by this transaction, dial: at its start date, or at once when that has passed.

    Raises `Conflict` when its state does not allow it, and else as `create_campaign`.
    """
    if held.state != CampaignState.DRAFT:
        raise Conflict(
            "campaign_id", f"campaign_id: this campaign is {held.state}; only a DRAFT can be started."
        )
    wanted = request_of(connection, held)
    check_campaign(connection, account, wanted, settings.public_url, now, words=SECOND_GENERATION)
    wake_at = max(held.start_at, now)
    move = CampaignMove(
        held.id, CampaignState.DRAFT, CampaignState.SCHEDULED, {"wake_at": wake_at}, "started"
    )
    campaigns.move(connection, [move], now)


def change(
    connection: Connection,
    account: AnyRow,
    held: AnyRow,
    wanted: NewCampaign,
    given: Collection[str],
    settings: Settings,
    now: datetime,
) -> None:
    """Make a campaign, locked by this transaction, what is `wanted`; `given` are the fields that are to change.

    Of one that has begun to dial, its name, pace, calling window and end may change; the scheduler and the workers
    heed it from their next look on. Raises `Conflict` for anything else then and for a campaign that is over, and else
    as `create_campaign`; the caller's transaction must then be rolled back.
    """
    state = CampaignState(held.state)
    if state in _OVER:
        raise Conflict(
            "campaign_id", f"campaign_id: this campaign is {state}, so it cannot be changed any more."
        )
    has_begun = held.started_at is not None
    if has_begun:
        _check_while_running(given)
        if "end_at" in given:
            check_end(wanted.end_at, now, SECOND_GENERATION)
        names = [column for field in given for column in WHILE_RUNNING[field]]
        columns = columns_of(wanted, account, settings, held.provider_id)
        values = {name: columns[name] for name in names}
    else:
        is_draft = state is CampaignState.DRAFT
        wanted = replace(wanted, dnd_list_ids=dnd.ids_of(connection, account.id, wanted.dnd_list_ids))
        provider_id = check_campaign(
            connection, account, wanted, settings.public_url, now, words=SECOND_GENERATION, is_draft=is_draft
        )
        values = columns_of(wanted, account, settings, provider_id)
        campaigns.set_dnd_lists(connection, held.id, wanted.dnd_list_ids)
    try:
        campaigns.update(connection, held.id, **values, **_waking(state, wanted, now))
    except IntegrityError:
        raise name_taken(SECOND_GENERATION) from None
    if has_begun:
        _apply(connection, account, held, now)


def _check_while_running(given: Collection[str]) -> None:
    for field in given:
        if field not in WHILE_RUNNING:
            allowed = ", ".join(WHILE_RUNNING)
            raise Conflict(
                field,
                f"{field} cannot be changed any more, for the campaign has begun to dial: only {allowed} can; "
                "clone it to dial with other values.",
            )


def _waking(state: CampaignState, wanted: NewCampaign, now: datetime) -> dict[str, Any]:
    """When the scheduler must look at it next."""
    match state:
        case CampaignState.SCHEDULED:
            return {"wake_at": max(wanted.start_at, now)}
        case CampaignState.PAUSED:
            return {"wake_at": wanted.end_at}
        case CampaignState.RUNNING:
            return {"wake_at": now}
        case _:
            return {}


def _apply(connection: Connection, account: AnyRow, before: AnyRow, now: datetime) -> None:
    """Have calls that wait or are released keep to what was changed."""
    after = campaigns.get(connection, account.id, before.id)
    if after is None:
        return
    if window_of(after, account) != window_of(before, account):
        openings.begin(connection, before.id)
    if _is_fewer(after.max_concurrent, before.max_concurrent):
        # Those that no worker has come for are taken back: release then lets go as many as there may be.
        back = calls.lock_released_of(connection, before.id)
        reason = "pace changed"
        values = {"due_at": now, "reason": reason}
        moves = [CallMove(one.id, CallState.RELEASED, CallState.WAITING, values, reason) for one in back]
        calls.move(connection, moves, now)


def _is_fewer(after: int | None, before: int | None) -> bool:
    return after is not None and (before is None or after < before)
