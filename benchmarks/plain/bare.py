"""The bare limit of the outbound half: a loop of `httpx.AsyncClient` on the aiohttp transport, 100 requests in
flight, posting the bodies that the adapter makes. No database, no Celery, nothing kept.

It is what a careful user of httpx gets: `AsyncClient` on asyncio's own loop. It is not the floor of aiohttp: ours sends
through the aiohttp session of the same transport, without httpx around it, on uvloop's loop.

usage: python -m benchmarks.plain.bare URL   (runs until it is ended; one process per core)
"""

from __future__ import annotations

import asyncio
import sys
from itertools import count

import httpx
from httpx_aiohttp import AiohttpTransport

from dialer.providers.contract import ProviderConfig, Submission
from dialer.providers.mitto import MittoAdapter

AT_ONCE = 100
SUBMISSION = Submission(
    attempt_id="00000000000000000000000000-1",
    to="+919800000001",
    caller_id="15168148111",
    text="Dear Name 1, your due balance is 500 INR",
    media=None,
    language="en-US",
    voice="Joanna",
    volume="medium",
    rate="medium",
    pitch="medium",
)


async def run(url: str) -> None:
    """Post for ever."""
    adapter = MittoAdapter(ProviderConfig("PV", "bare", "mitto", url, {"access_key": "key"}))
    sample = adapter.build_request(SUBMISSION)
    numbers = count()
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    transport = AiohttpTransport(trust_env=False, limits=limits)
    async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=10) as client:

        async def one_after_the_other() -> None:
            for number in numbers:
                body = {**sample.json, "reference": f"{number:026d}-1", "destAddr": f"9198{number:08d}"}
                reply = await client.post(f"{url}/{sample.path}", headers=sample.headers, json=body)
                reply.raise_for_status()

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
