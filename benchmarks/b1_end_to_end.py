"""B1: durable campaign calls per second end to end, beside plain Celery.

Ours: contacts in tables → release → Celery → HTTP POST → attempt and placement committed → callback received,
stored, consumed → CDR closed. Plain Celery (benchmarks/plain): one task, one POST, one row and its commits per call,
a callback route that updates the row. B2, the outbound half, is measured in the same run of ours.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, create_engine

from benchmarks.common import Bench, bench, free_port, is_listening, steady_rate, until
from benchmarks.service import make_service

OURS = 30_000
PLAIN = 3_000


def ours(one: Bench, calls: int = OURS, *, workers: int = 2, schedulers: int = 1) -> float:
    """Calls per second of the whole system."""
    provider = one.provider()
    service = make_service(one, provider)
    service.start_all(workers=workers, schedulers=schedulers)
    list_id = service.add_contacts(calls)
    send = f"http://127.0.0.1:{provider}/callback?{service.port}/webhooks/bench/token"
    one_post(send)
    service.add_campaign(list_id)
    samples: list[tuple[float, int]] = []

    def is_done() -> bool:
        samples.append((time.monotonic(), service.scalar("SELECT count(*) FROM cdr")))
        return samples[-1][1] >= calls

    until(is_done, f"{calls} CDRs", timeout=300, every=0.25)
    service.stop_all()
    return steady_rate(samples, calls)


def plain(one: Bench, calls: int = PLAIN) -> float:
    """Calls per second of plain Celery."""
    from benchmarks.plain import app as reference

    provider = one.provider()
    port = free_port()
    environment = {
        "PLAIN_BROKER_URL": one.redis(),
        "PLAIN_DATABASE_URL": one.database().replace("postgresql://", "postgresql+psycopg://"),
        "PLAIN_PROVIDER_URL": f"http://127.0.0.1:{provider}",
    }
    engine = create_engine(environment["PLAIN_DATABASE_URL"])
    SQLModel.metadata.create_all(
        engine,
        tables=[reference.Person.__table__, reference.Call.__table__],  # type: ignore[attr-defined]
    )
    with Session(engine) as session:
        session.add_all([reference.Person(number=f"9198{n:08d}", name=f"Name {n}") for n in range(calls)])
        session.commit()
    one.start(
        [sys.executable, "-m", "uvicorn", "benchmarks.plain.app:web", "--port", str(port), "--no-access-log"],
        "plain-web", **environment,
    )  # fmt: skip
    one.start(
        [sys.executable, "-m", "celery", "-A", "benchmarks.plain.app", "worker", "-c", "2", "-E",
         "--without-mingle", "--without-gossip", "-l", "WARNING"],
        "plain-worker", **environment,
    )  # fmt: skip
    until(lambda: is_listening(port), "the plain web app listens")
    one_post(f"http://127.0.0.1:{provider}/callback?{port}/callback")
    one.start(
        [sys.executable, "-m", "benchmarks.b1_end_to_end", "enqueue", str(calls)],
        "plain-enqueue",
        **environment,
    )
    samples: list[tuple[float, int]] = []

    def is_done() -> bool:
        with engine.connect() as connection:
            ended = connection.execute(
                sa.text("SELECT count(*) FROM plain_call WHERE ended_at IS NOT NULL")
            ).scalar_one()
        samples.append((time.monotonic(), ended))
        return bool(ended >= calls)

    until(is_done, f"{calls} calls of plain Celery", timeout=300, every=0.25)
    return steady_rate(samples, calls)


def one_post(url: str) -> None:
    """POST nothing."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(url, data=b"", method="POST"), timeout=5).close()


def run() -> dict[str, Any]:
    """Both, in turns."""
    with bench() as one:
        reference = plain(one)
    with bench() as one:
        measured = ours(one)
    return {"calls_per_s": measured, "plain_celery_per_s": reference, "ratio": measured / reference}


if __name__ == "__main__":
    if sys.argv[1:2] == ["enqueue"]:
        from benchmarks.plain.app import place

        for person_id in range(1, int(sys.argv[2]) + 1):
            place.delay(person_id)
    else:
        print(run())
