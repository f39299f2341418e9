"""Delivers the callbacks of simulated calls: in time, in order per call, again when the receiver fails."""

from __future__ import annotations

import asyncio
import base64
import heapq
import itertools
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx

from dialer.http import make_client

#: Seconds between the tries of one callback, whatever the time scale: a receiver that is being restarted gets
#: a minute to come back.
RETRY_DELAYS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
#: RuntimeError, because the client refuses to send a second time into a broken connection.
UNREACHED = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, ValueError, RuntimeError)
AT_ONCE = 100  # callbacks on their way at the same time


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where callbacks go; `user` and `password` are sent by Basic authorization when one of them is set."""

    url: str
    user: str = ""
    password: str = ""

    def headers(self) -> dict[str, str]:
        """The authorization header, if any."""
        if not self.user and not self.password:
            return {}
        token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return {"Authorization": f"Basic {token}"}


@dataclass(frozen=True, slots=True)
class Callback:
    """A GET with these parameters, `delay` seconds (before scaling) after the previous one of its call; with
    `content`, a POST of that. It goes to `url` where the call has one of its own, else to the provider's receiver, and
    there to `page`."""

    provider: str
    query: str
    delay: float
    content: bytes | None = None
    content_type: str = ""
    url: str = ""
    page: str = ""


@dataclass(frozen=True, slots=True)
class Heard:
    """The answer to a callback that waits for one, and how many seconds it took."""

    status: int
    body: bytes
    seconds: float


class Callbacks:
    """The callbacks still to be delivered."""

    def __init__(self, time_scale: float) -> None:
        self.time_scale = time_scale
        self.receivers: dict[str, Receiver] = {}
        self.delivered = 0
        self.failed_tries = 0
        self.given_up = 0
        self.without_receiver = 0
        self._client = make_client(AT_ONCE)
        self._due: list[tuple[float, int, Sequence[Callback], int]] = []  # when, tie-break, callbacks, tries
        self._order = itertools.count()
        self._wake = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._deliveries: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Calls with a callback still to come."""
        return len(self._due) + len(self._deliveries)

    def plan(self, callbacks: Sequence[Callback]) -> None:
        """Deliver the callbacks of one call, each after the one before has arrived."""
        if callbacks:
            self._push(callbacks[0].delay * self.time_scale, callbacks, 0)

    async def deliver_now(self, callbacks: Sequence[Callback]) -> None:
        """Deliver all of them before returning; what fails is left to `plan`."""
        for position, callback in enumerate(callbacks):
            if not await self._send(callback):
                self._push(RETRY_DELAYS[0], callbacks[position:], 1)
                return

    async def ask(self, provider: str, content: bytes, content_type: str, *, url: str = "") -> Heard | None:
        """POST a callback that waits for an answer, once, to `url` or the provider's receiver; None when nobody
        answers."""
        receiver = Receiver(url) if url else self.receivers.get(provider)
        if receiver is None:
            self.without_receiver += 1
            return None
        headers = {**receiver.headers(), "Content-Type": content_type}
        begun = time.monotonic()
        try:
            response = await self._client.post(receiver.url, headers=headers, content=content)
        except UNREACHED:
            self.failed_tries += 1
            return None
        return Heard(response.status_code, response.content, time.monotonic() - begun)

    def live(self, call: Coroutine[Any, Any, None]) -> None:
        """Play a call that asks on its way what to do, by `deliver`; it ends when the sandbox does, if not before."""
        task = asyncio.get_running_loop().create_task(call)
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def deliver(
        self, provider: str, page: str, content: bytes, headers: Mapping[str, str]
    ) -> bytes | None:
        """What the receiver answers to a POST of this to `page` below its address; it is asked again as others are,
        and None when it takes it never. A receiver's login wins over an `Authorization` in `headers`."""
        for pause in (0.0, *RETRY_DELAYS):
            await asyncio.sleep(pause)
            receiver = self.receivers.get(provider)
            if receiver is None:
                self.without_receiver += 1
                return None
            url, question, query = receiver.url.partition("?")
            response = await self._exchange(
                f"{url.rstrip('/')}{page}{question}{query}", {**headers, **receiver.headers()}, content
            )
            if response is not None and response.is_success:
                self.delivered += 1
                return response.content
            self.failed_tries += 1
        self.given_up += 1
        return None

    async def run(self) -> None:
        """Deliver until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                self._wake.clear()
                while self._due and self._due[0][0] <= loop.time():
                    await self._slots.acquire()
                    _, _, callbacks, tries = heapq.heappop(self._due)
                    task = loop.create_task(self._deliver(callbacks, tries))
                    self._deliveries.add(task)
                    task.add_done_callback(self._deliveries.discard)
                pause = self._due[0][0] - loop.time() if self._due else None
                try:
                    async with asyncio.timeout(pause):
                        await self._wake.wait()
                except TimeoutError:
                    pass
        finally:
            for task in self._deliveries:
                task.cancel()
            await asyncio.gather(*self._deliveries, return_exceptions=True)
            await self._client.aclose()

    def _push(self, delay: float, callbacks: Sequence[Callback], tries: int) -> None:
        due = asyncio.get_running_loop().time() + delay
        heapq.heappush(self._due, (due, next(self._order), callbacks, tries))
        if self._due[0][0] == due:
            self._wake.set()

    async def _deliver(self, callbacks: Sequence[Callback], tries: int) -> None:
        try:
            delivered = await self._send(callbacks[0])
        finally:
            self._slots.release()
        if not delivered and tries < len(RETRY_DELAYS):
            self._push(RETRY_DELAYS[tries], callbacks, tries + 1)
            return
        if not delivered:
            self.given_up += 1
        self.plan(callbacks[1:])

    async def _send(self, callback: Callback) -> bool:
        receiver = Receiver(callback.url) if callback.url else self.receivers.get(callback.provider)
        if receiver is None:
            self.without_receiver += 1
            return True
        url, headers = f"{receiver.url}{callback.page}", receiver.headers()
        if callback.query:
            url = f"{url}{'&' if '?' in url else '?'}{callback.query}"
        if callback.content is not None:
            headers["Content-Type"] = callback.content_type
        response = await self._exchange(url, headers, callback.content)
        if response is None or not response.is_success:
            self.failed_tries += 1
            return False
        self.delivered += 1
        return True

    async def _exchange(
        self, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> httpx.Response | None:
        """What comes back for a GET, or a POST of `content`; None when nothing does."""
        try:
            if content is None:
                return await self._client.get(url, headers=headers)
            return await self._client.post(url, headers=headers, content=content)
        except UNREACHED:
            return None
