"""How long providers waited for live answers, and what was odd about those: counted by this process and added to the
table of meters every few seconds, for `/metrics`. A process that is killed loses as many seconds of it."""

from __future__ import annotations

import asyncio
import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from dialer.db import writing
from dialer.logs import get_logger
from dialer.store import meters

log = get_logger(__name__)

#: Seconds between two additions.
METERED_EVERY = 5.0
#: Seconds: an answer is counted with the first of these that it did not exceed. The deadline is 0.25, and iotcomms
#: waits 0.3.
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.5, 1.0)
#: Labels of the meter `live`: a bound as it is written, BEYOND all of them, and the sum in microseconds.
BEYOND, SUM = "+Inf", "sum"
#: Labels of the meter `live_odd`: the answer was not known in time; its event was stored after it; or was never.
NOT_KNOWN, STORED_AFTER, LOST = "not_known", "stored_after", "lost"
ODD = (NOT_KNOWN, STORED_AFTER, LOST)


class AnswerTimes:
    """Counts answers. One per process, noted on its event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._noted: Counter[meters.Key] = Counter()
        self._is_due = False

    def answered(self, provider_id: str, seconds: float) -> None:
        """A question was answered so many seconds after it began to come."""
        place = bisect_left(BOUNDS, seconds)
        label = BEYOND if place == len(BOUNDS) else str(BOUNDS[place])
        self._note(
            {(meters.LIVE, provider_id, label): 1, (meters.LIVE, provider_id, SUM): round(seconds * 1e6)}
        )

    def odd(self, provider_id: str, what: str) -> None:
        """One of ODD happened."""
        self._note({(meters.LIVE_ODD, provider_id, what): 1})

    def close(self) -> None:
        """Add what is noted; from any thread."""
        with self._lock:
            noted, self._noted = self._noted, Counter()
            self._is_due = False
        if not noted:
            return
        try:
            with writing(self._engine) as connection:
                meters.add(connection, noted)
        except SQLAlchemyError as error:
            log.warning("live answers not counted", error=type(error).__name__)
            with self._lock:
                self._noted.update(noted)

    def _note(self, counts: Mapping[meters.Key, int]) -> None:
        with self._lock:
            self._noted.update(counts)
            was_due, self._is_due = self._is_due, True
        if not was_due:
            loop = asyncio.get_running_loop()
            loop.call_later(METERED_EVERY, lambda: loop.run_in_executor(None, self.close))
