"""Rehearsals: what a process does all day, done once as it starts, in a transaction that is rolled back.

What is done for the first time costs more than ever after: modules are loaded, statements compiled, and pages that a
fork shares with its parent become its own. Paid at the start, the first one-time password is as fast as the
thousandth, and an idle service takes the memory that it is going to need.

The people, campaigns and providers of a rehearsal exist in its own transaction alone. What is sent goes to a server
of its own on this machine, and no token is taken: its provider has no pace.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import sqlalchemy as sa
from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp

from dialer import http, ids
from dialer.campaigns.release import visit
from dialer.db import utc_now
from dialer.lifecycle import AttemptState, CallKind, CallState, CampaignState
from dialer.logs import get_logger
from dialer.memory import give_back, keep_for_good
from dialer.models.event import EventState
from dialer.pace.limiter import Grant, Limiter, Pace
from dialer.pace.limiter import Stage as PaceStage
from dialer.providers.base import submit
from dialer.providers.contract import SubmitResult
from dialer.providers.kinds import make_adapter
from dialer.secrets import SecretBox
from dialer.store import campaigns, contacts, dnd, events, tables
from dialer.store.contacts import NewContact
from dialer.store.tables import AnyRow, Rows
from workers import replies, results
from workers.claim import AdapterCache, Placement, claim

log = get_logger(__name__)

#: Events of one rehearsal, calls of campaigns and single ones: as many as go together on a busy day.
EVENTS, CALLS, SINGLES = 500, 200, 20
#: Numbers for plays and films.
CALLER = "12025550100"
CALLEES = [f"+1{area}55501{last:02}" for area in (202, 212, 213, 214, 215) for last in range(100)]
ROUND_THE_CLOCK = {"start": "00:00", "end": "24:00"}
#: Seconds for a request to ourselves.
PATIENCE = 10.0

Part = Callable[["Stage"], object]


@dataclass(frozen=True, slots=True)
class Stage:
    """A running campaign with its contacts and its provider, in a transaction that will be rolled back."""

    connection: Connection
    limiter: Limiter
    adapters: AdapterCache
    now: datetime
    account_id: str
    provider_id: str
    campaign: AnyRow


class _Unlimited(Limiter):
    """Grants everything: no provider of a rehearsal has a pace."""

    def __init__(self) -> None:
        pass

    def _ask(
        self,
        stage: PaceStage,
        provider_id: str,
        paces: Sequence[Pace],
        calls: int,
        *,
        take: bool,
        ahead: bool,
    ) -> Grant:
        return Grant(calls=calls, wait=0.0, blocker=None)


def rehearse(engine: Engine, limiter: Limiter, *parts: Part) -> None:
    """Play the parts, one after the other. Never raises: whoever cannot rehearse pays at the first call."""
    for part in parts:
        try:
            with (
                engine.connect().execution_options(writes=True) as connection,
                connection.begin() as transaction,
            ):
                part(_set(connection, limiter))
                transaction.rollback()
        except (
            SQLAlchemyError,
            RedisError,
            OSError,
        ) as error:  # away, or without its tables: that is told elsewhere
            log.info("not rehearsed", part=part.__name__, error=type(error).__name__)
            return
        except Exception:
            # A rehearsal must not keep anybody from the work.
            log.exception("rehearsal failed", part=part.__name__)
    give_back()


def rehearse_for_forks(engine: Engine) -> None:
    """Play what processes do that will be forked from this one, so that they share what it leaves behind. Nothing is
    asked of Redis, which need not run yet, and nothing is sent: uvloop keeps files open that a fork would close. Never
    raises."""
    http.authorities()
    rehearse(engine, _Unlimited(), release, take, hear, consume)


def aside(rehearsal: Callable[[], None]) -> None:
    """Have it in a thread of its own, so that no work waits for a server that does not answer. The process has what it
    will need then, for good."""

    def play() -> None:
        try:
            rehearsal()
        finally:
            keep_for_good()

    threading.Thread(target=play, name="rehearsal", daemon=True).start()


def release(stage: Stage) -> None:
    """What a scheduler does."""
    visit(stage.connection, stage.limiter, stage.campaign, stage.now)


def place(stage: Stage) -> None:
    """What a worker does with the calls of campaigns, but for the request."""
    _place(stage, add_calls(stage, CallState.RELEASED))


def place_single(stage: Stage) -> None:
    """What a worker does with a single call, but for the request."""
    call_ids = add_calls(
        stage, CallState.RELEASED, SINGLES, kind=CallKind.OTP.value, campaign_id=None, list_id=None
    )
    messages = [{"call_id": one, "caller_id": CALLER, "text": "Your code is 1987."} for one in call_ids]
    stage.connection.execute(tables.message.insert(), messages)
    _place(stage, call_ids, single=True)


def _place(stage: Stage, call_ids: Sequence[str], *, single: bool = False) -> None:
    claimed = claim(stage.connection, stage.limiter, stage.adapters, call_ids, stage.now, single=single)
    loop = http.new_loop()
    try:
        answered = loop.run_until_complete(_submit_to_ourselves(claimed.placements))
    finally:
        loop.close()
    replies.write(stage.connection, answered, stage.now)


async def _submit_to_ourselves(placements: Sequence[Placement]) -> list[SubmitResult]:
    """Over HTTP, to a server that is there for these requests alone."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0, backlog=CALLS)
    async with server, http.make_client(CALLS) as client:
        port = server.sockets[0].getsockname()[1]
        config = replace(placements[0].adapter.config, base_url=f"http://127.0.0.1:{port}")
        adapter = make_adapter(config)
        sent = [submit(client, adapter, one.submission, timeout=PATIENCE) for one in placements]
        return await asyncio.gather(*sent)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b'{"status": "ok"}'
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with suppress(asyncio.IncompleteReadError, OSError):  # given up meanwhile, on a machine that is very busy
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
    writer.close()


def take(stage: Stage) -> None:
    """What `place` begins with."""
    claim(stage.connection, stage.limiter, stage.adapters, add_calls(stage, CallState.RELEASED), stage.now)


def hear(stage: Stage) -> None:
    """What the API does with a callback."""
    _add_events(stage, [str(number) for number in range(EVENTS)])


def consume(stage: Stage) -> None:
    """What a consumer of events does."""
    told = _add_events(stage, add_attempts(stage, add_calls(stage, CallState.IN_PROGRESS, EVENTS, dials=1)))
    results.consume_claimed(stage.connection, told, stage.now)


async def answer(app: ASGIApp) -> None:
    """What the API does with any request: it is asked for its health, and for a webhook that nobody has."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://rehearsal") as client:
        for path in ("/healthz", "/webhooks/rehearsal/none"):
            await client.get(path)


def _set(connection: Connection, limiter: Limiter) -> Stage:
    now = utc_now(connection)
    box = SecretBox([ids.provider_id() * 2])
    account_id, provider_id, campaign_id = ids.account_id(), ids.provider_id(), ids.campaign_id()
    account: dict[str, Any] = {
        "id": account_id,
        "name": account_id,
        "auth_hash": "",
        "enabled": True,
        "time_zone": "UTC",
        "created_at": now,
    }
    provider: dict[str, Any] = {
        "id": provider_id,
        "name": provider_id,
        "kind": "mitto",
        "account_id": account_id,
        "base_url": "http://127.0.0.1:9",
        "credentials": box.seal({"access_key": provider_id}),
        "enabled": True,
        "priority": 100,
        "webhook_token": provider_id,
        "created_at": now,
    }
    campaign: dict[str, Any] = {
        "id": campaign_id,
        "account_id": account_id,
        "name": campaign_id,
        "type": 0,
        "state": CampaignState.RUNNING.value,
        "caller_id": CALLER,
        "announcement_text": "Good day, {contact_name}",
        "repeat_count": 1,
        "voice": "Joanna",
        "volume": "medium",
        "rate": "medium",
        "pitch": "medium",
        "language_code": "en-US",
        "tts_engine_type": "standard",
        "time_zone": "UTC",
        "start_at": now,
        "end_at": now + timedelta(days=1),
        "calling_window": ROUND_THE_CLOCK,
        "repeat_policy": {},
        "max_retries": 0,
        "retry_time": 0,
        "cursor": 0,
        "wake_at": now,
        "served_at": now,
        "created_at": now,
    }
    connection.execute(tables.account.insert(), account)
    connection.execute(tables.provider.insert(), provider)
    dnd.add_list(connection, account_id, "global", now, is_global=True)
    people = [NewContact(e164, name="Ann", time_zone="UTC") for e164 in CALLEES]
    campaign["list_id"] = contacts.add_list(connection, account_id, ids.list_id(), now)
    contacts.add(connection, campaign["list_id"], people, now)
    campaigns.add(connection, campaign, [])
    row = campaigns.with_ids(connection, [campaign_id])[campaign_id]
    adapters = AdapterCache(box, reconcile_after=None, public_url="http://rehearsal")
    return Stage(connection, limiter, adapters, now, account_id, provider_id, row)


def add_calls(stage: Stage, state: CallState, many: int = CALLS, **values: Any) -> list[str]:
    """Calls of the stage's campaign; their ids."""
    call = {
        "account_id": stage.account_id,
        "kind": CallKind.CAMPAIGN.value,
        "campaign_id": stage.campaign.id,
        "list_id": stage.campaign.list_id,
        "time_zone": "UTC",
        "state": state.value,
        "due_at": stage.now,
        "released_at": stage.now,
        "provider_id": stage.provider_id,
        "dials": 0,
        "unsent": 0,
        "repeats": {},
        "reason": "",
        "created_at": stage.now,
    }
    rows = [
        call | values | {"id": call_id, "e164": e164, "position": place}
        for place, (call_id, e164) in enumerate(zip(ids.call_ids(many, stage.now), CALLEES, strict=False))
    ]
    stage.connection.execute(tables.call.insert(), rows)
    return [str(row["id"]) for row in rows]


def add_attempts(stage: Stage, call_ids: Sequence[str]) -> list[str]:
    """A placed attempt of each of these calls; their ids."""
    attempt = {
        "number": 1,
        "account_id": stage.account_id,
        "campaign_id": stage.campaign.id,
        "provider_id": stage.provider_id,
        "caller_id": CALLER,
        "state": AttemptState.PLACED.value,
        "submitted_at": stage.now,
        "deadline_at": stage.now,
        "settle_at": stage.now,
        "detail": "",
    }
    rows = [
        attempt | {"id": ids.attempt_id(call_id, 1), "call_id": call_id, "e164": e164}
        for call_id, e164 in zip(call_ids, CALLEES, strict=False)
    ]
    stage.connection.execute(tables.attempt.insert(), rows)
    return [str(row["id"]) for row in rows]


def _add_events(stage: Stage, attempt_ids: Sequence[str]) -> Rows:
    event = {
        "provider_id": stage.provider_id,
        "state": EventState.NEW.value,
        "method": "GET",
        "path": "",
        "content_type": "",
        "body": b"",
        "received_at": stage.now,
        "error": "",
    }
    told = "type=endCallback&state=2&error=0&duration=7&reference="
    rows = [event | {"dedupe_key": one, "query": f"{told}{one}"} for one in attempt_ids]
    events.add(stage.connection, rows)
    ours = tables.event.c.provider_id == stage.provider_id
    found = tables.event.select().add_columns(sa.literal("mitto").label("kind")).where(ours)
    return stage.connection.execute(found).all()
