"""Redis for what can do without it: it is asked with little patience, and left alone for a moment when it does not
answer, so that not every request waits for it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from redis import Redis, RedisError

from dialer.logs import get_logger

log = get_logger(__name__)

#: Seconds that a request waits for Redis, at most.
PATIENCE = 0.25
#: Seconds for which Redis is left alone when it did not answer: not every request is to wait for it.
REST = 1.0
#: Seconds between two lines in the log that say so.
TOLD_EVERY = 60.0

T = TypeVar("T")


class SpareRedis:
    """Asks Redis, or does without. Safe to share between threads."""

    def __init__(self, redis_url: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells for how long Redis is left alone."""
        self._redis = Redis.from_url(
            redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._rests_until = self._silent_until = -math.inf

    def script(self, text: str) -> Any:
        """A Lua script, to be called in what is asked."""
        return self._redis.register_script(text)

    def ask(self, question: Callable[[Any], T]) -> T | None:
        """What `question` makes of the client; None: Redis does not answer, or did not a moment ago."""
        if self._clock() < self._rests_until:
            return None
        try:
            return question(self._redis)
        except RedisError as error:
            self._missed(error)
            return None

    def close(self) -> None:
        """Let go of the connections."""
        self._redis.close()

    def _missed(self, error: RedisError) -> None:
        now = self._clock()
        with self._lock:
            self._rests_until = now + REST
            is_told = now < self._silent_until
            if not is_told:
                self._silent_until = now + TOLD_EVERY
        if not is_told:
            log.warning("requests are not limited: Redis does not answer", error=type(error).__name__)
