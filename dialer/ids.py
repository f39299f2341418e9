"""The ids of things. None of them says anything about a person, so all of them may stand in logs and URLs.

Things that people make (accounts, lists, campaigns, …) have two capital letters and ten random characters. Calls
are made by the million: their ids begin with the time, so that new rows land together in every index.
"""

from __future__ import annotations

import os
import secrets
import string
from datetime import UTC, datetime, timedelta

#: Base 32 without i, l, o and u, in ASCII order, so that ids sort as the numbers they write.
CALL_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
CALL_ID_LENGTH = 20
_TIME_BITS = 45  # milliseconds since 1970: enough until the year 3084
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)
_RANDOM_BITS = 55
_RANDOM_BYTES = 7

_NAME_ALPHABET = string.digits + string.ascii_lowercase
_NAME_LENGTH = 10

_PAIRS = [first + second for first in CALL_ALPHABET for second in CALL_ALPHABET]


def account_id() -> str:
    """`AC` and ten random characters."""
    return _named("AC")


def list_id() -> str:
    """`LS` and ten random characters."""
    return _named("LS")


def dnd_list_id() -> str:
    """`DN` and ten random characters."""
    return _named("DN")


def campaign_id() -> str:
    """`CM` and ten random characters."""
    return _named("CM")


def announce_template_id() -> str:
    """`AN` and ten random characters."""
    return _named("AN")


def provider_id() -> str:
    """`PR` and ten random characters."""
    return _named("PR")


def import_id() -> str:
    """`IM` and ten random characters."""
    return _named("IM")


def key_id() -> str:
    """`AK` and ten random characters."""
    return _named("AK")


def verification_id() -> str:
    """`VE` and ten random characters."""
    return _named("VE")


def webhook_endpoint_id() -> str:
    """`WH` and ten random characters."""
    return _named("WH")


def delivery_ids(n: int, now: datetime) -> list[str]:
    """`n` ids of webhook deliveries, strictly increasing: `WD` and what `call_ids` makes."""
    return [f"WD{one}" for one in call_ids(n, now)]


def first_delivery_id(at: datetime) -> str:
    """What every id of a delivery made at this moment or later is not less than."""
    return "WD" + _written((at - _EPOCH) // _MILLISECOND, _TIME_BITS)


def call_ids(n: int, now: datetime) -> list[str]:
    """`n` ids of 20 characters, strictly increasing: 45 bits of `now` in milliseconds, then 55 random bits.

    `now` must be aware of its time zone. Any number of processes may make ids at once.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware of its time zone")
    # Exactly: as a float, one millisecond may be lost in another.
    time_part = _written((now - _EPOCH) // _MILLISECOND, _TIME_BITS)
    return [time_part + _written(number, _RANDOM_BITS) for number in sorted(_distinct(n))]


def first_call_id(at: datetime) -> str:
    """What sorts before the ids of all calls that were made at this time or later (aware), and after all others."""
    since = max(0, -((_EPOCH - at) // _MILLISECOND))  # rounded up: no call of the millisecond before is meant
    return _written(min(since, 2**_TIME_BITS - 1), _TIME_BITS)


def attempt_id(call_id: str, number: int) -> str:
    """The id of a call's attempt; attempts are numbered from 1."""
    return f"{call_id}-{number}"


def call_of(attempt_id: str) -> str:
    """The id of the call an attempt belongs to; `ValueError` when it is no attempt's id."""
    call_id, dash, number = attempt_id.rpartition("-")
    if not dash or not number.isdecimal() or len(call_id) != CALL_ID_LENGTH:
        raise ValueError("attempt_id must be a call's id, a dash and a number")
    return call_id


def _named(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_NAME_ALPHABET) for _ in range(_NAME_LENGTH))


def _distinct(n: int) -> set[int]:
    """`n` different random numbers of 55 bits, from one read of the system's source."""
    numbers: set[int] = set()
    while len(numbers) < n:
        raw = os.urandom((n - len(numbers)) * _RANDOM_BYTES)
        for start in range(0, len(raw), _RANDOM_BYTES):
            numbers.add(int.from_bytes(raw[start : start + _RANDOM_BYTES]) >> 1)
    return numbers


def _written(number: int, bits: int) -> str:
    """`number` in `bits / 5` characters; both widths in use are odd numbers of characters."""
    text = "".join([_PAIRS[number >> shift & 1023] for shift in range(bits - 10, 0, -10)])
    return text + CALL_ALPHABET[number & 31]
