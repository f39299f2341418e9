"""`/v1/calls/{id}/events`: what providers told of a call, as it came, without credentials."""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import quote, quote_plus

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dialer.api.v1.caller import Reader
from dialer.api.v1.calls import CallId, found
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import With
from dialer.db import reading
from dialer.lifecycle import CallKind
from dialer.models.event import LOOK_UP, SUBMIT
from dialer.providers.contract import Asked, EventError, Fact, ProviderConfig, ProviderError, RawEvent, Reply
from dialer.providers.kinds import adapter_class, make_adapter
from dialer.secrets import SecretBox, SecretError
from dialer.store import attempts, events
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/calls", tags=["calls"])

#: Events that are shown of one call.
MOST = 500
#: A setting with fewer characters is no credential.
SHORTEST_SECRET = 4
HIDDEN = "[…]"


class Told(BaseModel):
    """What an event says of the call, in our words."""

    attempt_id: str
    state: str
    disposition: str | None
    hangup_cause: int | None = Field(description="Q.850")
    at: datetime
    duration: float | None = Field(description="seconds")
    billsec: float | None = Field(description="seconds")
    answered_by: str | None = Field(description="which number picked up")
    cost: str | None
    currency: str | None = Field(description="ISO 4217")
    recording_name: str | None = Field(
        description="what its recording can be fetched by; of `mtt-callback` its links, a blank between them"
    )
    dtmf: str


class Raw(BaseModel):
    """An event as it came; credentials are hidden."""

    method: str
    path: str
    query: str
    content_type: str
    body: str


class Event(BaseModel):
    """One callback, or one reply to a look-up."""

    id: int
    attempt_id: str
    provider_id: str
    received_at: datetime
    consumed_at: datetime | None
    state: str
    error: str
    told: list[Told] = Field(description="what it says of this call")
    raw: Raw | None = Field(
        description="null where it may repeat a one-time password, or tells of other calls as well"
    )


class Events(BaseModel):
    """What was told of a call, in the order of arrival; the first 500."""

    data: list[Event]


@router.get("/{call_id}/events", responses=documented(404))
def list_events(call_id: CallId, caller: Reader, tools: With) -> Events:
    """What providers told of a call, as it came."""
    with reading(tools.engine) as connection:
        call = found(connection, caller, call_id)
        dials = {row.id: row for row in attempts.of_call(connection, call_id)}
        rows = events.of_attempts(connection, sorted(dials), MOST) if dials else []
    ours = {row.id: row.provider_reference for row in dials.values()}
    credentials = _Credentials(tools.settings.secret_keys() if rows else ())
    shown = []
    for row in rows:
        facts = _facts(row, dials[row.attempt_id], credentials)
        theirs = [fact for fact in facts if not _is_ours(fact, ours)]
        may_show = facts and not theirs and call.kind != CallKind.OTP
        hidden = credentials.secrets_of(row) if may_show else None
        shown.append(
            Event(
                id=row.id,
                attempt_id=row.attempt_id,
                provider_id=row.provider_id,
                received_at=row.received_at,
                consumed_at=row.consumed_at,
                state=row.state,
                error=row.error,
                told=[_told(fact, row.attempt_id) for fact in facts if _is_ours(fact, ours)],
                raw=_raw(row, hidden) if hidden is not None else None,
            )
        )
    return Events(data=shown)


def _facts(row: AnyRow, attempt: AnyRow, credentials: _Credentials) -> Sequence[Fact]:
    """What it says; nothing, where nobody can tell any more."""
    try:
        if row.method == SUBMIT:
            return ()  # nobody has understood it
        if row.method == LOOK_UP:
            return _looked_up(row, attempt, credentials.of(row))
        raw = RawEvent(row.method, row.path, row.query, row.content_type, row.body, None, row.received_at)
        return adapter_class(row.provider_kind).read_event(raw)
    except (EventError, ProviderError):
        return ()
    except Exception:  # noqa: BLE001 - it was kept although nobody can read it
        return ()


def _looked_up(row: AnyRow, attempt: AnyRow, settings: Mapping[str, str] | None) -> Sequence[Fact]:
    if settings is None:
        return ()
    adapter = make_adapter(
        ProviderConfig(row.provider_id, row.provider_name, row.provider_kind, row.provider_base_url, settings)
    )
    asked = Asked(
        attempt.id, attempt.provider_reference, attempt.e164, attempt.caller_id, attempt.submitted_at
    )
    return adapter.read_lookups([Reply(200, {"content-type": row.content_type}, row.body)], asked)


def _is_ours(fact: Fact, ours: dict[str, str | None]) -> bool:
    if fact.inbound is not None:
        return False
    if fact.attempt_id:
        return fact.attempt_id in ours
    return fact.provider_reference is not None and fact.provider_reference in ours.values()


def _told(fact: Fact, attempt_id: str) -> Told:
    return Told(
        attempt_id=fact.attempt_id or attempt_id,
        state=fact.state.value,
        disposition=None if fact.disposition is None else fact.disposition.value,
        hangup_cause=fact.hangup_cause,
        at=fact.at,
        duration=fact.duration,
        billsec=fact.billsec,
        answered_by=fact.answered_by or None,
        cost=None if fact.cost is None else str(fact.cost),
        currency=fact.currency or None,
        recording_name=fact.recording_name or None,
        dtmf=fact.dtmf,
    )


def _raw(row: AnyRow, secrets: Collection[str]) -> Raw:
    try:
        body = row.body.decode()
    except UnicodeDecodeError:
        body = "base64:" + base64.b64encode(row.body).decode()
    return Raw(
        method=row.method,
        path=_hidden(row.path, secrets),
        query=_hidden(row.query, secrets),
        content_type=row.content_type,
        body=_hidden(body, secrets),
    )


def _hidden(text: str, secrets: Iterable[str]) -> str:
    forms = {spell(secret) for secret in secrets for spell in (str, quote, quote_plus)}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


class _Credentials:
    """Those of each provider, opened."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._box = SecretBox(keys) if keys else None
        self._known: dict[str, Mapping[str, str] | None] = {}

    def of(self, row: AnyRow) -> Mapping[str, str] | None:
        """Its settings; None when they cannot be opened."""
        if row.provider_id not in self._known:
            try:
                self._known[row.provider_id] = self._box.open(row.provider_credentials) if self._box else None
            except SecretError:
                self._known[row.provider_id] = None
        return self._known[row.provider_id]

    def secrets_of(self, row: AnyRow) -> list[str] | None:
        """What must not be shown: its credentials, and the token of its webhook; None when they cannot be opened, so
        that nobody knows what to hide."""
        opened = self.of(row)
        if opened is None:
            return None
        is_open = adapter_class(row.provider_kind).open_settings
        values = [value for name, value in opened.items() if name not in is_open]
        values.append(row.provider_webhook_token)
        return [value for value in values if len(value) >= SHORTEST_SECRET]
