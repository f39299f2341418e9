"""Requests per minute of each key, counted over all API processes: one Lua call, as for calls (`limiter.py`).

A key may ask as often at once as it may in a minute, and gets what it used back one by one, evenly. Without a limit
nothing is asked. Redis lost lets every request go: an API that is used too much for a while does less harm than one
that is not there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from dialer.pace.spare import SpareRedis


@dataclass(frozen=True, slots=True)
class Counted:
    """What counting a request of a limited key said."""

    #: Whether it may go.
    is_within: bool
    #: Requests in a minute.
    limit: int
    #: Requests that may come now, besides this one.
    left: int
    #: Whole seconds, at least one, until as many as `limit` may come again; of one that may not go, until one may.
    wait: int

    @property
    def headers(self) -> dict[str, str]:
        """As in draft-ietf-httpapi-ratelimit-headers."""
        return {
            "RateLimit-Policy": f'"default";q={self.limit};w=60',
            "RateLimit": f'"default";r={self.left};t={self.wait}',
        }


class RequestLimits:
    """Counts the requests of keys. Safe to share between threads."""

    def __init__(
        self, redis_url: str, default: int | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`default`: requests per minute of a key that has no limit of its own; None: it has none. `clock` tells for
        how long Redis is left alone."""
        self.redis = SpareRedis(redis_url, clock)
        self._count = self.redis.script((files("dialer.pace") / "requests.lua").read_text())
        self._default = default

    def limit(self, own: int | None) -> int | None:
        """Requests per minute of a key with this limit of its own."""
        return self._default if own is None else own

    def count(self, key_id: str, own: int | None) -> Counted | None:
        """Count a request of a key, in one round trip. None: it has no limit, or Redis does not answer."""
        limit = self.limit(own)
        return None if limit is None else self.take(f"requests:{key_id}", limit)

    def take(self, bucket: str, limit: int) -> Counted | None:
        """Take one of the `limit` that a bucket gives in a minute. None: Redis does not answer."""
        answer: Any = self.redis.ask(lambda _: self._count(keys=[bucket], args=[60e6 / limit, limit]))
        if answer is None:
            return None
        is_within, left, wait = (int(number) for number in answer)
        return Counted(bool(is_within), limit, left, max(1, math.ceil(wait / 1e6)))

    def close(self) -> None:
        """Let go of the connections."""
        self.redis.close()
