"""Events are stored in groups: what arrives within a few milliseconds, or while the last group is being committed, is
committed together. Who brought an event is told after its own commit."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from dialer.logs import get_logger
from dialer.store import events

log = get_logger(__name__)

#: Events stored in one transaction.
GROUP = 500
#: Seconds between the beginnings of two groups, at least: what comes meanwhile goes together. Who comes alone does not
#: wait for company.
GATHER = 0.004
#: Seconds for which the writer keeps its connection when nothing comes.
IDLE = 1.0
#: Seconds between two doorbells for new events.
RING_EVERY = 0.2

_Waiting = tuple[dict[str, Any], "asyncio.Future[None]"]


class Inbox:
    """Stores raw events in groups, and rings for their consumer. One per process, on its event loop."""

    def __init__(self, engine: Engine, ring: Callable[[], None]) -> None:
        """`ring` may block; it is called for what is committed, from a thread of its own."""
        self._ringer = Ringer(ring)
        self._writer = Writer(engine, self._heard)
        self._waiting: list[_Waiting] = []
        self._is_busy = False
        self._last_began = 0.0

    async def store(self, row: dict[str, Any]) -> None:
        """Return once the event is committed. Raises SQLAlchemyError when it could not be."""
        loop = asyncio.get_running_loop()
        stored: asyncio.Future[None] = loop.create_future()
        self._waiting.append((row, stored))
        if not self._is_busy:
            self._is_busy = True
            self._begin_soon(loop)
        await stored

    def close(self) -> None:
        """Wait for what is being written and rung, which may take seconds. Nothing can be stored after this."""
        self._writer.stop()
        self._ringer.stop()

    def _begin_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        wait = self._last_began + GATHER - loop.time()
        if wait > 0:
            loop.call_later(wait, self._begin, loop)
        else:
            loop.call_soon(self._begin, loop)  # not at once: the others of this moment come along

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        self._last_began = loop.time()
        self._writer.write(group, loop)

    def _heard(self, group: Sequence[_Waiting], error: Exception | None) -> None:
        """A group is committed, or could not be."""
        for _, stored in group:
            if stored.done():
                continue  # cancelled
            if error is None:
                stored.set_result(None)
            else:
                stored.set_exception(error)
        if error is None:
            self._ringer.ring()
        if self._waiting:
            self._begin_soon(asyncio.get_running_loop())
        else:
            self._is_busy = False


class Writer:
    """A thread that commits groups of events, one after the other, on a connection that it keeps while they come."""

    def __init__(self, engine: Engine, heard: Callable[[Sequence[_Waiting], Exception | None], None]) -> None:
        """`heard` is told, on the loop of each group, what became of it."""
        self._engine = engine
        self._heard = heard
        self._groups: queue.SimpleQueue[tuple[list[_Waiting], asyncio.AbstractEventLoop] | None]
        self._groups = queue.SimpleQueue()
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self._run, name="event writer", daemon=True)
        self._thread.start()

    def write(self, group: list[_Waiting], loop: asyncio.AbstractEventLoop) -> None:
        """Commit this group after those before it."""
        self._groups.put((group, loop))

    def stop(self) -> None:
        """Return when everything is written."""
        self._groups.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                given = self._groups.get(timeout=None if self._connection is None else IDLE)
            except queue.Empty:
                self._let_go()
                continue
            if given is None:
                self._let_go()
                return
            group, loop = given
            failed: Exception | None = None
            try:
                self._commit([row for row, _ in group])
            except Exception as error:  # noqa: BLE001 - handed to every request of the group, which answers 503
                failed = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._heard, group, failed)

    def _commit(self, rows: Sequence[dict[str, Any]]) -> None:
        is_kept = self._connection is not None
        try:
            self._add(rows)
        except SQLAlchemyError as error:
            self._let_go()
            if not (is_kept and isinstance(error, DBAPIError) and error.connection_invalidated):
                raise
            # It was lost, perhaps long before this group; to store an event twice is to store it once.
            self._add(rows)

    def _add(self, rows: Sequence[dict[str, Any]]) -> None:
        if self._connection is None:
            connection = self._engine.connect()
            # On PostgreSQL a group is one statement, which is a transaction by itself: one round trip, not three.
            is_sqlite = connection.dialect.name == "sqlite"
            options: dict[str, Any] = {"writes": True} if is_sqlite else {"isolation_level": "AUTOCOMMIT"}
            self._connection = connection.execution_options(**options)
        with self._connection.begin():
            events.add(self._connection, rows)

    def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(SQLAlchemyError):
                connection.close()


class Ringer:
    """A thread that rings: at once, and once more for what was asked since, but not all the time."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._is_wanted = threading.Event()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event ringer", daemon=True)
        self._thread.start()

    def ring(self) -> None:
        """Have it rung soon."""
        self._is_wanted.set()

    def stop(self) -> None:
        """Return when everything is rung for."""
        self._is_stopping.set()
        was_wanted = self._is_wanted.is_set()
        self._is_wanted.set()
        self._thread.join()
        if was_wanted:
            self._ring_once()

    def _run(self) -> None:
        while self._is_wanted.wait() and not self._is_stopping.is_set():
            self._is_wanted.clear()
            self._ring_once()
            self._is_stopping.wait(RING_EVERY)

    def _ring_once(self) -> None:
        try:
            self._ring()
        except Exception as error:  # noqa: BLE001 - whatever it was, the next event must be rung for
            log.warning("doorbell not rung", error=type(error).__name__)
