"""The whole engine in threads: the provider sandbox and the webhooks over real HTTP, schedulers, workers and consumers
with doorbells that can be shaken. Only Celery is missing; a queue of this process rings in its place."""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from world import World

from dialer.api.live import Live
from dialer.api.webhooks import Webhooks
from dialer.pace.limiter import Limiter
from dialer.sandbox import make_app as make_sandbox
from dialer.sandbox import make_server
from workers.claim import AdapterCache
from workers.dispatch import Dispatcher
from workers.process import make_redis
from workers.results import consume
from workers.scheduler import Scheduler

WITHIN = 60.0  # seconds; a deadline, not an expectation


def until(holds: Callable[[], object], what: str = "it") -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + WITHIN
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come about in time"
        time.sleep(0.02)


class Bell:
    """Doorbells of this process. `shaken`: one in three is lost, others ring up to three times, out of order."""

    def __init__(self, *, shaken: bool) -> None:
        self.calls: queue.Queue[list[str] | None] = queue.Queue()
        self.events = threading.Event()
        self._shaken = shaken
        self._random = random.Random(7)

    def place_calls(self, ids: Sequence[str]) -> None:
        for start in range(0, len(ids), 100):
            batch = list(ids[start : start + 100])
            if not self._shaken:
                self.calls.put(batch)
            elif self._random.random() > 0.3:
                for _ in range(self._random.randint(1, 3)):
                    self._random.shuffle(batch)
                    self.calls.put(list(batch))

    def place_singles(self, ids: Sequence[str]) -> None:
        self.place_calls(ids)

    def place_others(self, ids: Sequence[str]) -> None:
        self.place_calls(ids)

    def consume_events(self) -> None:
        self.events.set()

    def tidy_uploads(self) -> None:
        """There are none."""

    def run_import(self, import_id: str) -> None:
        raise AssertionError(import_id)

    def deliver_webhooks(self) -> None:
        raise AssertionError

    def look_up(self, attempt_ids: Sequence[str]) -> None:
        raise AssertionError(attempt_ids)

    def read_cdrs(self, provider_id: str) -> None:
        raise AssertionError(provider_id)

    def mirror_dnd(self, provider_id: str) -> None:
        raise AssertionError(provider_id)


class Running:
    """Starts all of it at once; `with` stops it, and says what broke meanwhile."""

    def __init__(
        self,
        world: World,
        folder: Path,
        *,
        shaken: bool = False,
        workers: int = 2,
        time_scale: float = 0.0,
        settle_within: float = 4.0,
        kind: str = "mitto",
        **provider: Any,
    ) -> None:
        """`kind`, and columns of `provider`, are those of the world's provider."""
        self.world = world
        world.clock.now = datetime.now(UTC)
        self.bell = Bell(shaken=shaken)
        self.stopping = threading.Event()
        self.errors: list[BaseException] = []
        self._servers: list[tuple[uvicorn.Server, threading.Thread]] = []
        self._threads: list[threading.Thread] = []
        webhooks = Webhooks(FastAPI(), world.engine, self.bell.consume_events)
        webhooks.live = Live(world.engine, deadline=WITHIN)  # a slow machine answers late, and not wrongly
        webhook = self._serve(lambda: uvicorn.Server(uvicorn.Config(webhooks, log_config=None)))
        self.heard_at = f"{webhook}/webhooks/{world.provider_id.lower()}/token"
        self._log = folder / "sandbox.jsonl"
        sandbox = make_sandbox(
            time_scale=time_scale,
            log=self._log,
            callback_url=self.heard_at,
        )
        base_url = f"{self._serve(lambda: make_server(sandbox))}/{kind}"
        world.set_provider(kind=kind, base_url=base_url, **provider)
        self._redis = [make_redis(world.redis_url) for _ in range(workers + 2)]
        adapters = AdapterCache(world.box, reconcile_after=settle_within, public_url=webhook)
        self.dispatchers = [
            Dispatcher(world.engine, Limiter(redis), adapters, in_flight=40) for redis in self._redis[2:]
        ]
        self.schedulers = [
            Scheduler(world.engine, Limiter(redis), self.bell, 0.02)  # type: ignore[arg-type]
            for redis in self._redis[:2]
        ]
        for scheduler in self.schedulers:
            self._start(scheduler.run)
        for dispatcher in self.dispatchers:
            self._start(partial(self._work, dispatcher))
        for _ in range(2):
            self._start(self._consume)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *error: object) -> None:
        self.stopping.set()
        for scheduler in self.schedulers:
            scheduler.stopping.set()
        for _ in self.dispatchers:
            self.bell.calls.put(None)
        self.bell.events.set()
        for thread in self._threads:
            thread.join(WITHIN)
        for dispatcher in self.dispatchers:
            dispatcher.drain(5)
            dispatcher.close()
        for server, thread in reversed(self._servers):
            server.should_exit = True
            thread.join(WITHIN)
        for client in self._redis:
            client.close()
        if self.errors:
            raise self.errors[0]

    def log(self) -> list[dict[str, Any]]:
        """What the provider was asked, in order."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def accepted(self) -> list[dict[str, Any]]:
        """What the provider took: a telephone rings."""
        return [line for line in self.log() if line["accepted"]]

    def until_finished(self, *campaigns: str) -> None:
        def finished() -> bool:
            # The connection that this would read on may be one of those that the test has cut.
            with contextlib.suppress(OperationalError):
                return all(self.world.campaign_row(one).state == "FINISHED" for one in campaigns)
            return False

        until(finished, "the end of the campaigns")
        self.world.check()

    def no_attempt_came_twice(self) -> None:
        references = Counter(line["reference"] for line in self.log())
        assert [one for one, times in references.items() if times > 1] == []

    def _serve(self, make: Callable[[], uvicorn.Server]) -> str:
        """Serves on a free port; the URL."""
        listener = socket.socket(proto=socket.IPPROTO_TCP)  # so that asyncio sets TCP_NODELAY
        listener.bind(("127.0.0.1", 0))
        server = make()

        def serve() -> None:
            asyncio.run(server.serve(sockets=[listener]))
            listener.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        self._servers.append((server, thread))
        until(lambda: server.started)
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def _start(self, work: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - the test must hear of it
                self.errors.append(error)

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _work(self, dispatcher: Dispatcher) -> None:
        while (ids := self.bell.calls.get()) is not None:
            # As a Celery task would: it fails, and its calls are rung for again.
            with contextlib.suppress(SQLAlchemyError, RedisError):
                dispatcher.place(ids)

    def _consume(self) -> None:
        while not self.stopping.is_set():
            self.bell.events.wait()
            self.bell.events.clear()
            with contextlib.suppress(SQLAlchemyError):
                while not self.stopping.is_set() and consume(self.world.engine):
                    pass
