"""How often codes may be brought, and wrong ones told, as far as that is counted over more than one verification."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Connection

from dialer.errors import LimitReached
from dialer.store import verifications as store
from dialer.store.verifications import Counted
from dialer.verifications import decide
from dialer.verifications.rules import LONGEST_LIFE, Limit, Rules


@dataclass(frozen=True, slots=True, repr=False)
class Counts:
    """What a send is counted by."""

    e164: str
    prefix: str
    rate_key: str | None


_LIMITED = {
    "e164": ("number", "number: it was brought too many codes"),
    "prefix": ("number", "number: too many codes were brought to numbers that begin like this one"),
    "rate_key": ("rate_key", "rate_key: too many codes were brought for it"),
}


def check_limits(
    connection: Connection, account_id: str, counts: Counts, rules: Rules, now: datetime
) -> None:
    """Raises `LimitReached`. The number is held; so is what it shares with others, that nobody else takes the last of a
    limit."""
    store.hold_shared(connection, account_id, counts.prefix, counts.rate_key)
    limits: dict[str, Limit] = {
        "e164": rules.number_limit,
        "prefix": rules.prefix_limit,
        "rate_key": rules.rate_key_limit,
    }
    sends = [
        Counted(column, value, limits[column].sends, limits[column].seconds)
        for column, value in asdict(counts).items()
        if value is not None
    ]
    moments = store.nth_sends(connection, account_id, sends, now)
    known = {one.column: (limits[one.column], at) for one, at in zip(sends, moments, strict=True)}
    found = decide.limited_for(known, now)
    if found is not None:
        which, wait = found
        field, sentence = _LIMITED[which]
        limit = limits[which]
        raise LimitReached(
            field,
            f"{sentence}; {limit.sends} in {limit.seconds} s are allowed. Try again later.",
            retry_after=ceil(wait.total_seconds()),
        )


def checks_left(connection: Connection, account_id: str, e164: str, rules: Rules, now: datetime) -> int:
    """How many wrong codes may be told in a new verification of this number, which is held: as one is open at a time,
    nobody else counts. Raises `LimitReached` when there is none."""
    limit = rules.check_limit
    since, life = now - timedelta(seconds=limit.seconds), timedelta(seconds=LONGEST_LIFE)
    told = [tuple(row) for row in store.wrong_checks(connection, account_id, e164, since, life)]
    left, wait = decide.checks_left(limit, told, now)
    if wait is not None:
        raise LimitReached(
            "number",
            f"number: too many wrong codes were told for it; {limit.checks} in {limit.seconds} s are allowed. Try "
            "again later.",
            retry_after=ceil(wait.total_seconds()),
        )
    return min(rules.max_checks, left)
