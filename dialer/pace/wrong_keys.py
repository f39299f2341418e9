"""Requests with a wrong key, counted by the address that they come from: whoever guesses keys is made to wait.

An address may send so many wrong keys in a minute, counted over all API processes in the buckets of `requests.py`. Then
its requests are refused unread until there is room for the next guess: whether a key is right is not even looked at,
but for keys that were right from there a day ago or less. So whoever guesses keeps nobody out who asks from elsewhere,
nor an app behind the same address that has asked before. Redis lost lets everybody ask.

Right keys cost nothing here, but for a note in Redis an hour: a process that is new knows them, too.
"""

from __future__ import annotations

import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from dialer.logs import get_logger
from dialer.pace.requests import RequestLimits
from dialer.secrets import hash_auth

log = get_logger(__name__)

#: Seconds for which a key that was right may be used from there, whatever else comes from there.
TRUSTED_FOR = 86_400
#: Seconds after which a key that is used all the time is noted again.
NOTED_EVERY = 3600.0
#: Keys, and addresses, that a process remembers.
MOST_REMEMBERED = 10_000
#: Seconds between two lines in the log about one address.
TOLD_EVERY = 60.0
#: In Redis: requests that were answered 401, and those refused unread, since it was empty.
ANSWERED, UNREAD = "wrong-keys-answered", "wrong-keys-unread"


class WrongKeys:
    """Counts wrong keys. Safe to share between threads."""

    def __init__(
        self, limits: RequestLimits, per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`per_minute`: wrong keys that an address may send; 0: as many as it likes. `clock` is of this process."""
        self._limits = limits
        self._per_minute = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._right: OrderedDict[str, float] = OrderedDict()
        self._blocked: OrderedDict[str, float] = OrderedDict()
        self._told: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: str, account_id: str, key: str) -> int | None:
        """Whole seconds for which this key of an account is not looked at, as it comes from this address; None: it
        is."""
        left = self._blocked.get(address, -math.inf) - self._clock()
        if left <= 0 or self._is_known(_note(address, account_id, key)):
            return None
        self._limits.redis.ask(lambda redis: redis.incr(UNREAD))
        return math.ceil(left)

    def right(self, address: str, account_id: str, key: str) -> None:
        """This key was right."""
        if not self._per_minute:
            return
        note, now = _note(address, account_id, key), self._clock()
        if now - self._right.get(note, -math.inf) < NOTED_EVERY:
            return
        self._limits.redis.ask(lambda redis: redis.set(note, 1, ex=TRUSTED_FOR))
        self._remember(self._right, note, now)

    def wrong(self, address: str) -> None:
        """A wrong key came from this address."""
        if not self._per_minute:
            return
        self._limits.redis.ask(lambda redis: redis.incr(ANSWERED))
        counted = self._limits.take(f"wrong-keys:{address}", self._per_minute)
        if counted is None or (counted.is_within and counted.left):
            return
        now = self._clock()
        # Of one that is within, `wait` tells when all of them may come again.
        self._remember(
            self._blocked, address, now + (60 / self._per_minute if counted.is_within else counted.wait)
        )
        if now - self._told.get(address, -math.inf) >= TOLD_EVERY:
            self._remember(self._told, address, now)
            log.warning("too many wrong keys from one address", address=address, per_minute=self._per_minute)

    def _is_known(self, note: str) -> bool:
        """Whether this key was right from there, as this process or another one has seen."""
        now = self._clock()
        if now - self._right.get(note, -math.inf) < TRUSTED_FOR:
            return True
        if not self._limits.redis.ask(lambda redis: redis.exists(note)):
            return False
        self._remember(self._right, note, now)
        return True

    def _remember(self, table: OrderedDict[str, float], name: str, at: float) -> None:
        with self._lock:
            table[name] = at
            table.move_to_end(name)
            if len(table) > MOST_REMEMBERED:
                table.popitem(last=False)


def source(host: str) -> str:
    """The address that a host is counted by: of IPv6 the network of 64 bits, of which one customer has all."""
    try:
        address = ipaddress.ip_address(host)
        if isinstance(address, ipaddress.IPv4Address):
            return str(address)
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    except ValueError:
        return host[:100]  # a unix socket's, or what a proxy calls its client


def _note(address: str, account_id: str, key: str) -> str:
    """What is kept of a key that was right: a hash, which opens nothing."""
    return f"right-key:{hash_auth(f'{address} {account_id} {key}')}"
