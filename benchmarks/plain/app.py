"""Plain Celery: one task per call, one POST per task, one row per call, a commit each; a callback route that updates
the row. No pace, no windows, no DND, no repeats, and no answer to what happens when a process dies."""

from __future__ import annotations

import os
from datetime import UTC, datetime

import httpx
from celery import Celery
from celery.signals import worker_process_init
from fastapi import FastAPI
from sqlmodel import Field, Session, SQLModel, create_engine, select

app = Celery("plain", broker=os.environ.get("PLAIN_BROKER_URL", ""))
app.conf.update(task_ignore_result=True, worker_send_task_events=True)
engine = create_engine(os.environ.get("PLAIN_DATABASE_URL", "sqlite://"), pool_size=10)
client: httpx.Client | None = None


class Person(SQLModel, table=True):
    """A contact."""

    __tablename__ = "plain_person"

    id: int | None = Field(default=None, primary_key=True)
    number: str
    name: str


class Call(SQLModel, table=True):
    """A call and its CDR."""

    __tablename__ = "plain_call"

    id: int | None = Field(default=None, primary_key=True)
    person_id: int
    number: str
    status: str = "new"
    dialled_at: datetime | None = None
    ended_at: datetime | None = None
    duration: float | None = None


@worker_process_init.connect
def _open_client(**_: object) -> None:
    global client
    client = httpx.Client(timeout=10)
    engine.dispose(close=False)


@app.task
def place(person_id: int) -> None:
    """Place one call."""
    assert client is not None
    with Session(engine) as session:
        person = session.get_one(Person, person_id)
        call = Call(
            person_id=person_id, number=person.number, status="dialling", dialled_at=datetime.now(UTC)
        )
        session.add(call)
        session.commit()
        reply = client.post(
            os.environ["PLAIN_PROVIDER_URL"] + "/apps/activate",
            headers={"X-Authorization": "AccessKey key"},
            json={
                "reference": f"{call.id}-1",
                "sourceAddr": "15168148111",
                "destAddr": person.number,
                "scenarioData": f"text=Dear {person.name}, your due balance is 500 INR",
                "language": "en-US",
                "gender": 2,
                "volume": 1,
                "rate": 2,
            },
        )
        reply.raise_for_status()
        # The callback may have been faster than this line.
        session.refresh(call)
        if call.status == "dialling":
            call.status = "placed"
            session.add(call)
        session.commit()


web = FastAPI()


@web.get("/callback")
def callback(type: str, reference: str, state: int, error: int, duration: float) -> str:  # noqa: A002
    """The end of a call."""
    with Session(engine) as session:
        call = session.exec(select(Call).where(Call.id == int(reference.partition("-")[0]))).one()
        call.status = "answered" if state == 2 else "failed"
        call.ended_at = datetime.now(UTC)
        call.duration = duration
        session.add(call)
        session.commit()
    return "ok"
