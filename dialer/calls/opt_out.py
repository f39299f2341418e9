"""Opting out: who presses the key for it, or writes back to stop, goes on the account's global DND list, before
anybody is dialled again."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection

from dialer.calls import flow_form
from dialer.calls.flow import Flow
from dialer.calls.flow_steps import may_opt_out, next_answer
from dialer.logs import get_logger
from dialer.providers.contract import Fact
from dialer.providers.live import Asks, Question
from dialer.store import campaigns, dnd, messages
from dialer.store.tables import AnyRow

log = get_logger(__name__)

#: What stands beside the number on the list.
NAME = "opted out by a key"
NAME_BY_TEXT = "opted out by a text message"


@dataclass(frozen=True, slots=True)
class Pressed:
    """What was told of keys at an attempt, a row: facts of an event, of a look-up or of a CDR, and what was asked with
    them, where the provider asks."""

    attempt: AnyRow = field(repr=False)
    facts: Sequence[Fact]
    question: Question | None = None

    @property
    def keys(self) -> str:
        """All of the keys, in the order in which they were pressed."""
        if self.question is not None:
            return self.question.keys
        told = sorted((fact for fact in self.facts if fact.dtmf), key=lambda fact: fact.at)
        return "".join(fact.dtmf for fact in told)


def note_pressed(connection: Connection, told: Iterable[Pressed], now: datetime) -> None:
    """Put whoever has pressed the key for it on the DND list; the attempts are locked by this transaction."""
    pressed = [one for one in told if one.keys]
    if not pressed:
        return
    theirs = campaigns.with_ids(
        connection, sorted({one.attempt.campaign_id for one in pressed if one.attempt.campaign_id})
    )
    # A call without a campaign may try out what one says.
    said = messages.of_calls(
        connection, sorted({one.attempt.call_id for one in pressed if not one.attempt.campaign_id})
    )
    forms = {key: row.flow for key, row in (*theirs.items(), *said.items()) if row.flow is not None}
    flows = {key: flow_form.stored(key, form) for key, form in forms.items()}
    leaving = [
        (one.attempt.account_id, one.attempt.e164)
        for one in pressed
        if (flow := flows.get(one.attempt.campaign_id or one.attempt.call_id)) is not None
        and is_wanted(flow, one)
    ]
    note(connection, leaving, now)


def is_wanted(flow: Flow, pressed: Pressed) -> bool:
    """Whether the callee has pressed the key for it: as asked by the provider, or on the way through the menus that it
    has gone by itself."""
    question = pressed.question
    if question is None:
        return may_opt_out(flow, pressed.keys)
    return question.asks is Asks.COMMAND and next_answer(flow, question.state, question.keys).effects.opt_out


def words_of(setting: str) -> frozenset[str]:
    """The words that mean stop, from a list with commas."""
    return frozenset(_plain(word) for word in setting.split(",")) - {""}


def is_stop(text: str, words: Collection[str]) -> bool:
    """Whether a message says one of the words and nothing else, in whichever case and with whatever signs around it."""
    return _plain(text) in words


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def note(connection: Connection, numbers: Iterable[tuple[str, str]], now: datetime, name: str = NAME) -> None:
    """Put numbers, each with its account (id, E.164), on the accounts' global DND lists, with `name` beside them."""
    by_account: dict[str, list[str]] = {}
    for account_id, e164 in numbers:
        by_account.setdefault(account_id, []).append(e164)
    lists = dnd.global_lists(connection, by_account)
    for account_id in sorted(by_account):
        for dnd_list_id in lists.get(account_id, []):
            new = dnd.add_numbers(
                connection, dnd_list_id, [(one, name) for one in by_account[account_id]], now
            )
            log.info("opted out", account_id=account_id, numbers=sum(new))
