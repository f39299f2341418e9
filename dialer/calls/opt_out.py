"""Opting out: who presses the key for it goes on the account's global DND list, before anybody is dialled again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import Connection

from dialer.calls.flow import Flow
from dialer.calls.flow_steps import effects_of_key, next_answer
from dialer.logs import get_logger
from dialer.providers.contract import Fact
from dialer.providers.live import Asks, Question
from dialer.store import dnd

log = get_logger(__name__)

#: What stands beside the number on the list.
NAME = "opted out by a key"


def is_wanted(flow: Flow, facts: Sequence[Fact], question: Question | None) -> bool:
    """Whether the callee has pressed the key for it: as asked by the provider, or in the first menu, where the provider
    walks through it by itself."""
    if question is not None:
        return (
            question.asks is Asks.COMMAND and next_answer(flow, question.state, question.keys).effects.opt_out
        )
    return any(effects_of_key(flow, fact.dtmf).opt_out for fact in facts)


def note(connection: Connection, numbers: Iterable[tuple[str, str]], now: datetime) -> None:
    """Put numbers, each with its account (id, E.164), on the accounts' global DND lists."""
    by_account: dict[str, list[str]] = {}
    for account_id, e164 in numbers:
        by_account.setdefault(account_id, []).append(e164)
    lists = dnd.global_lists(connection, by_account)
    for account_id in sorted(by_account):
        for dnd_list_id in lists.get(account_id, []):
            new = dnd.add_numbers(
                connection, dnd_list_id, [(one, NAME) for one in by_account[account_id]], now
            )
            log.info("opted out", account_id=account_id, numbers=sum(new))
