"""SQL for answers to providers that wait for them: one statement each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ColumnElement, Connection, Select, Table

from dialer.store.tables import attempt, call, campaign, contact, message

#: All of them: what a call says is made by who sends it, too, from whole rows.
_OF_CALL, _OF_CAMPAIGN, _OF_MESSAGE = (tuple(table.c.keys()) for table in (call, campaign, message))
_OF_CONTACT = ("name", "fields", "language")


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """A call of ours that its provider asks about; `campaign` or `message` says what it says, and `call` has what its
    contact is called besides."""

    call: Any
    campaign: Any | None
    message: Any | None
    #: What is known of its line (`models.attempt`).
    handles: Any | None = None


def of_attempt(connection: Connection, provider_id: str, attempt_id: str) -> Asked | None:
    """The call of an attempt that this provider was given; None for any other."""
    row = connection.execute(
        _of_attempt(), {"provider_id": provider_id, "attempt_id": attempt_id}
    ).one_or_none()
    if row is None:
        return None
    found = row._mapping
    of_campaign, of_message = (
        _named(found, *one) for one in ((campaign, _OF_CAMPAIGN), (message, _OF_MESSAGE))
    )
    their_call = _named(found, call, _OF_CALL)
    for name in _OF_CONTACT:
        setattr(their_call, f"contact_{name}", found[f"contact_{name}"])
    return Asked(
        their_call,
        of_campaign if of_campaign.id is not None else None,
        of_message if of_message.call_id is not None else None,
        found["attempt_handles"],
    )


@cache
def _of_attempt() -> Select[Any]:
    theirs = sa.and_(contact.c.list_id == call.c.list_id, contact.c.position == call.c.position)
    columns = [
        *_labelled(call, _OF_CALL),
        *_labelled(campaign, _OF_CAMPAIGN),
        *_labelled(message, _OF_MESSAGE),
        *_labelled(contact, _OF_CONTACT),
        attempt.c.handles.label("attempt_handles"),
    ]
    return (
        sa.select(*columns)
        .select_from(
            attempt.join(call, call.c.id == attempt.c.call_id)
            .outerjoin(campaign, campaign.c.id == call.c.campaign_id)
            .outerjoin(message, message.c.call_id == call.c.id)
            .outerjoin(contact, theirs)
        )
        .where(
            attempt.c.id == sa.bindparam("attempt_id"), attempt.c.provider_id == sa.bindparam("provider_id")
        )
    )


def _labelled(table: Table, names: tuple[str, ...]) -> list[ColumnElement[Any]]:
    return [table.c[name].label(f"{table.name}_{name}") for name in names]


def _named(found: Any, table: Table, names: tuple[str, ...]) -> Any:
    return SimpleNamespace(**{name: found[f"{table.name}_{name}"] for name in names})
