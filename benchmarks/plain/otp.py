"""A one-time password in plain Celery: a route that enqueues, a task that posts with a kept client. Nothing is written
down, nothing is checked, and a lost message is a lost password."""

from __future__ import annotations

import os
from typing import Any

import httpx
from celery import Celery
from celery.signals import worker_process_init
from fastapi import FastAPI

app = Celery("plain", broker=os.environ.get("PLAIN_BROKER_URL", ""))
app.conf.update(task_ignore_result=True, worker_send_task_events=True)
client: httpx.Client | None = None


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _open_client(**_: object) -> None:
    global client
    client = httpx.Client(timeout=10)


@app.task  # type: ignore[untyped-decorator]
def place(request_id: str, number: str, otp: str) -> None:
    """Place the call."""
    assert client is not None
    reply = client.post(
        os.environ["PLAIN_PROVIDER_URL"] + "/apps/activate",
        headers={"X-Authorization": "AccessKey key"},
        json={
            "reference": request_id,
            "sourceAddr": "15168148111",
            "destAddr": number,
            "scenarioData": f"text=Your code is {', '.join(otp)}",
            "language": "en-US",
            "gender": 2,
            "volume": 1,
            "rate": 2,
        },
    )
    reply.raise_for_status()


web = FastAPI()


@web.post("/otp")
async def outbound_call(body: dict[str, Any]) -> dict[str, str]:
    """Have it placed."""
    place.delay(body["request_id"], body["customer_number"], body["otp"])
    return {"request_id": body["request_id"]}
