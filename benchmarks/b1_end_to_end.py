"""B1: durable campaign calls per second end to end, beside plain Celery.

Ours: contacts in tables → release → Celery → HTTP POST → attempt and placement committed → callback received,
stored, consumed → CDR closed. Plain Celery (benchmarks/plain): one task, one POST, one row and its commits per call,
a callback route that updates the row. Both take turns; the figures are medians.
"""

from __future__ import annotations

import statistics
import sys
from typing import Any

import sqlalchemy as sa
from sqlmodel import Session, SQLModel, create_engine

from benchmarks.common import Bench, bench, free_port, is_listening, post, steady_rate, until
from benchmarks.service import Service, make_service

OURS = 20_000
PLAIN = 2_000
ROUNDS = 3


#: What the processes of a benchmark are for.
PROCESSES = {
    "calls": "workers that place calls", "results": "worker of results", "api": "API", "scheduler0": "scheduler",
    "PostgreSQL": "PostgreSQL", "redis": "Redis", "provider": "the provider itself",
}  # fmt: skip


def ours(one: Bench, calls: int = OURS, *, workers: int = 2, schedulers: int = 1) -> float:
    """Calls per second of the whole system."""
    return ours_and_costs(one, calls, workers=workers, schedulers=schedulers)[0]


def ours_and_costs(
    one: Bench, calls: int = OURS, *, workers: int = 2, schedulers: int = 1
) -> tuple[float, dict[str, Any]]:
    """Calls per second of the whole system; what one call costs: microseconds of CPU by process, bytes of WAL."""
    provider = one.provider()
    service = make_service(one, provider)
    service.start_all(workers=workers, schedulers=schedulers)
    list_id = service.add_contacts(calls)
    post(f"http://127.0.0.1:{provider}/callback?{service.port}/webhooks/bench/token")
    before, wal_before = one.cpu_seconds(), _wal(service)
    service.add_campaign(list_id)
    rate = steady_rate(lambda: int(service.scalar("SELECT count(*) FROM cdr")), calls, "CDRs")
    used = {
        PROCESSES.get(name, name): round((seconds - before.get(name, 0.0)) / calls * 1e6, 1)
        for name, seconds in one.cpu_seconds().items()
    }
    wal = (_wal(service) - wal_before) // calls
    service.stop_all()
    return rate, {"cpu_us_per_call": used, "wal_bytes_per_call": wal}


def _wal(service: Service) -> int:
    """Bytes of write-ahead log that the server has written so far."""
    return int(service.scalar("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))


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
    post(f"http://127.0.0.1:{provider}/callback?{port}/callback")
    one.start(
        [sys.executable, "-m", "benchmarks.b1_end_to_end", "enqueue", str(calls)],
        "plain-enqueue",
        **environment,
    )

    def ended() -> int:
        with engine.connect() as connection:
            counted = connection.execute(
                sa.text("SELECT count(*) FROM plain_call WHERE ended_at IS NOT NULL")
            )
            return int(counted.scalar_one())

    return steady_rate(ended, calls, "calls of plain Celery")


def run() -> dict[str, Any]:
    """Both, in turns."""
    references, measured = [], []
    costs: dict[str, Any] = {}
    for _ in range(ROUNDS):
        with bench() as one:
            references.append(plain(one))
        with bench() as one:
            rate, costs = ours_and_costs(one)
            measured.append(rate)
    calls_per_s, reference = statistics.median(measured), statistics.median(references)
    return {
        "calls_per_s": calls_per_s,
        "plain_celery_per_s": reference,
        "ratio": calls_per_s / reference,
        **costs,
        "rounds": {"ours": measured, "plain_celery": references},
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["enqueue"]:
        from benchmarks.plain.app import place

        for person_id in range(1, int(sys.argv[2]) + 1):
            place.delay(person_id)
    else:
        print(run())
