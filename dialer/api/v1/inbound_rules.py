"""`/v1/inbound-rules`: what becomes of people who call the account's numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, Field, StringConstraints
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from dialer import speech
from dialer.api.failures import ForbiddenError
from dialer.api.v1.caller import Admin, Caller
from dialer.api.v1.lists import written_number
from dialer.api.v1.page import CursorText, Limit, Page, page_of, read_text
from dialer.api.v1.problem import documented
from dialer.api.v1.tools import With
from dialer.calls import inbound, inbound_form
from dialer.calls.single import able
from dialer.calls.talk_form import LONGEST_FILE, LONGEST_RING, LONGEST_TEXT, SHORTEST_RING
from dialer.db import reading, writing
from dialer.errors import Conflict, NotFound
from dialer.models.inbound import InboundAction
from dialer.providers.contract import Capability
from dialer.providers.kinds import adapter_class
from dialer.providers.need import of_single
from dialer.store import accounts, audit, providers
from dialer.store import inbound as store
from dialer.store.tables import AnyRow

router = APIRouter(prefix="/inbound-rules", tags=["inbound rules"])

Number = Annotated[str, StringConstraints(max_length=40)]


class RungNumber(BaseModel, extra="forbid"):
    """A number that is rung for a time of its own."""

    number: str = Field(max_length=40, description="E.164, or national in the account's region")
    seconds: int = Field(ge=SHORTEST_RING, le=LONGEST_RING, description="how long it is rung")


class InboundRuleForm(BaseModel, extra="forbid"):
    """What becomes of calls to a number. All of it is said at once: what is left out is as it is without."""

    action: InboundAction = Field(
        description="`CONNECT` with the first of `numbers` that answers, one after the other; `CONNECT_ALL`: all are "
        "rung together; `ANNOUNCE` and hang up; `CALL_BACK` and connect with the first that answers; `OPT_OUT`: onto "
        "the global DND list; `REFUSE`"
    )
    numbers: list[Number | RungNumber] = Field(
        default=[],
        max_length=inbound_form.MOST_NUMBERS,
        description="whom the caller is connected with: E.164, or national in the account's region; with `seconds` "
        "where one is rung for a time of its own",
    )
    say: str | None = Field(
        default=None, max_length=LONGEST_TEXT, description="a text that the caller hears first"
    )
    play: str | None = Field(
        default=None,
        max_length=LONGEST_FILE,
        description="instead a recorded file, by the provider's name for it",
    )
    answer_first: bool = Field(
        default=False, description="answer the call before they hear it, where the provider leaves that open"
    )
    ring_seconds: int | None = Field(
        default=None,
        ge=SHORTEST_RING,
        le=LONGEST_RING,
        description="for how long each of the other numbers is rung; null: 30, together 60",
    )
    greet_say: str | None = Field(
        default=None, max_length=LONGEST_TEXT, description="a text that whoever picks up hears first"
    )
    greet_play: str | None = Field(
        default=None,
        max_length=LONGEST_FILE,
        description="instead a recorded file, by the provider's name for it",
    )
    back_say: str | None = Field(
        default=None,
        max_length=LONGEST_TEXT,
        description="a text that who is called back hears when they have picked up",
    )
    back_play: str | None = Field(
        default=None,
        max_length=LONGEST_FILE,
        description="instead a recorded file, by the provider's name for it",
    )
    hide_caller: bool = Field(default=False, description="hide the caller's number from whoever is rung")
    press: str | None = Field(
        default=None,
        max_length=64,
        description="keys that are pressed when a number has answered; `w` and `W` wait",
    )
    language: str = Field(
        default=speech.DEFAULT_LANGUAGE, pattern=rf"^{speech.LANGUAGE.pattern}$", description="of the texts"
    )
    voice: str = Field(
        default=speech.DEFAULT_VOICE, pattern=rf"^{speech.VOICE.pattern}$", description="that speaks them"
    )
    record: bool = Field(default=False, description="record what is said")


class InboundRule(BaseModel):
    """What becomes of calls to a number."""

    number: str = Field(description="E.164 with the plus")
    action: InboundAction
    numbers: list[str | RungNumber]
    say: str | None
    play: str | None
    answer_first: bool
    ring_seconds: int
    greet_say: str | None
    greet_play: str | None
    back_say: str | None
    back_play: str | None
    hide_caller: bool
    press: str | None
    language: str
    voice: str
    record: bool
    set_at: datetime = Field(description="when it was last said")


class InboundRuleHere(InboundRule):
    """The same, and who would ask for it."""

    asked_by: list[str] = Field(
        description="the enabled providers that ask what becomes of calls, and at which the rule holds; none: nobody "
        "hears of them"
    )
    unable: dict[str, str] = Field(
        description="what of it would not be done, should the number be at one of those: a sentence by their names"
    )


@router.get("")
def list_inbound_rules(
    caller: Admin, tools: With, limit: Limit = 100, cursor: CursorText = None
) -> Page[InboundRule]:
    """The account's rules, by number. Calls to any other number are refused."""
    after = read_text(cursor) or ""
    with reading(tools.engine) as connection:
        rows = store.rules(connection, caller.account_id, after=after, limit=limit + 1)
    return page_of(rows, limit, rule, "e164")


@router.get("/{number}", responses=documented(404))
def get_inbound_rule(number: str, caller: Admin, tools: With) -> InboundRuleHere:
    """What becomes of calls to a number, and which providers would ask."""
    e164 = written_number(number, caller.account, tools)
    with reading(tools.engine) as connection:
        row = store.rule(connection, e164)
        if row is None or row.account_id != caller.account_id:
            raise _no_rule()
        return _here(connection, row)


@router.put("/{number}", responses=documented(409))
def set_inbound_rule(number: str, body: InboundRuleForm, caller: Admin, tools: With) -> InboundRuleHere:
    """Say what becomes of calls to a number, in place of what was said before. It holds for the next caller.

    A number is one account's. Where several accounts share a provider that asks, or none does yet, the operator gives a
    number its first rule. One that an account gives itself holds at providers of its own alone, should others come to
    be shared, until the operator sets it."""
    now, e164 = tools.now, written_number(number, caller.account, tools)
    region = caller.account.default_region or tools.settings.default_region
    columns = inbound_form.read(body.model_dump(), e164, region)
    row = {**columns, "e164": e164, "account_id": caller.account_id, "created_at": now}
    try:
        with writing(tools.engine) as connection:
            held = store.rule(connection, e164, lock=True)
            if held is not None and held.account_id != caller.account_id:
                raise _anothers()
            askers = _askers(connection, caller.account_id)
            if held is None:
                _check_claim(connection, caller, askers)
            row["claimed"] = _is_claimed(connection, caller, held)
            askers = _where_it_holds(askers, row["claimed"])
            unable = _unable(askers, columns)
            if askers and len(unable) == len(askers):
                # Whoever the number is at: nobody could do that.
                raise Conflict("action", " ".join(dict.fromkeys(unable.values())))
            _check_call_back(connection, caller.account_id, columns)
            if held is None:
                store.add_rule(connection, row)
            else:
                store.change_rule(connection, row)
            action = "inbound.create" if held is None else "inbound.change"
            audit.add(connection, caller.account_id, caller.actor, action, e164, now, does=columns["action"])
            set_ = store.rule(connection, e164)
            assert set_ is not None  # noqa: S101 - it was written in this transaction
            return _here(connection, set_)
    except IntegrityError:
        raise _anothers() from None


@router.delete("/{number}", status_code=204, responses=documented(404))
def remove_inbound_rule(number: str, caller: Admin, tools: With) -> None:
    """Take away what becomes of calls to a number: they are refused from then on."""
    e164 = written_number(number, caller.account, tools)
    with writing(tools.engine) as connection:
        if not store.remove_rule(connection, caller.account_id, e164):
            raise _no_rule()
        audit.add(connection, caller.account_id, caller.actor, "inbound.remove", e164, tools.now)


def rule(row: AnyRow) -> InboundRule:
    """A row as it is shown."""
    return InboundRule(number=row.e164, set_at=row.created_at, **inbound_form.shown(row))


def _here(connection: Connection, row: AnyRow) -> InboundRuleHere:
    askers = _where_it_holds(_askers(connection, row.account_id), row.claimed)
    return InboundRuleHere(
        **rule(row).model_dump(),
        asked_by=[one.name for one in askers],
        unable=_unable(askers, dict(row._mapping)),
    )


def _askers(connection: Connection, account_id: str) -> list[AnyRow]:
    """The account's providers that ask what becomes of calls."""
    enabled = providers.enabled(connection, account_id)
    return [row for row in enabled if Capability.INBOUND in adapter_class(row.kind).capabilities]


def _where_it_holds(askers: list[AnyRow], claimed: bool | None) -> list[AnyRow]:
    """Those of them that are given the answer of such a rule."""
    return [row for row in askers if row.account_id is not None or not claimed]


def _is_claimed(connection: Connection, caller: Caller, held: AnyRow | None) -> bool:
    """Whether nobody but the account says that the number is its own; who has the installation alone takes nobody's."""
    if caller.is_operator:
        return False
    return accounts.are_several(connection) if held is None else bool(held.claimed)


def _unable(askers: list[AnyRow], columns: Mapping[str, Any]) -> dict[str, str]:
    """Why callers would not be given all that the rule says, by the name of each provider that cannot do it."""
    asked = inbound.answer(SimpleNamespace(**columns))
    found = {row.name: adapter_class(row.kind).check_inbound(asked) for row in askers}
    return {name: " ".join(problems) for name, problems in found.items() if problems}


def _check_call_back(connection: Connection, account_id: str, columns: Mapping[str, Any]) -> None:
    """Raises `FieldError` where no provider of the account could ever call back as the rule says."""
    if columns["action"] != InboundAction.CALL_BACK:
        return
    need = of_single(
        Capability.CLICK_TO_CALL,
        language=columns["language_code"],
        record=columns["record"],
        talk=inbound.talk_back(SimpleNamespace(**columns)),
    )
    with contextlib.suppress(Conflict):  # none can be used yet
        able(providers.enabled(connection, account_id), need)


def _check_claim(connection: Connection, caller: Caller, askers: list[AnyRow]) -> None:
    """Nobody may answer the callers of another account: at a provider that several share, only the operator knows whose
    a number is. Raises `ForbiddenError`."""
    are_own = bool(askers) and all(row.account_id == caller.account_id for row in askers)
    if caller.is_operator or are_own or not accounts.are_several(connection):
        return
    raise ForbiddenError(
        "This number has no rule yet, and providers that ask about it may serve other accounts, too: have the operator "
        "give it its first one, which this account can change."
    )


def _no_rule() -> NotFound:
    return NotFound("number", "number has no rule of this account; check it.")


def _anothers() -> Conflict:
    return Conflict("number", "number has a rule already, of another account: a number is one account's.")
