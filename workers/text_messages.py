"""What people write back: a word that means stop puts them on the account's global DND list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from dialer.calls import opt_out
from dialer.logs import get_logger
from dialer.providers.contract import TextMessage
from dialer.settings import get_settings
from dialer.store import attempts, providers

log = get_logger(__name__)

#: Who was sent a text through a shared provider within this is answering it.
ANSWERS_WITHIN = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Written:
    """A text message that came in at a provider."""

    provider_id: str
    message: TextMessage = field(repr=False)


def note(connection: Connection, written: Sequence[Written], now: datetime) -> None:
    """Put whoever has written to stop on the DND lists of those who have written to them: of the account that alone may
    use the provider, and at a shared one, whose sender is everybody's, of all that have lately sent them something."""
    words = opt_out.words_of(get_settings().stop_words)
    stopping = [one for one in written if opt_out.is_stop(one.message.text, words)]
    if not stopping:
        return
    theirs = providers.with_ids(connection, sorted({one.provider_id for one in stopping}))
    leaving = []
    for one in stopping:
        own, sender = theirs[one.provider_id].account_id, one.message.sender
        since = now - ANSWERS_WITHIN
        accounts = [own] if own else attempts.accounts_of(connection, one.provider_id, sender, since)
        if not accounts:
            log.warning("whoever opts out by text message was sent none", provider_id=one.provider_id)
        leaving += [(account_id, sender) for account_id in accounts]
    opt_out.note(connection, leaving, now, opt_out.NAME_BY_TEXT)
