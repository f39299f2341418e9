"""The system as it is run in production: API, worker and scheduler processes on PostgreSQL and Redis."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from subprocess import Popen
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Engine

from benchmarks.common import Bench, free_port, is_listening, until
from dialer import accounts, ids, schema
from dialer.db import make_engine, reading, writing
from dialer.secrets import SecretBox
from dialer.store import campaigns, tables

KEY = "a key for the benchmarks only"


@dataclass
class Service:
    """Started processes and the rows that they work on."""

    bench: Bench
    database_url: str
    redis_url: str
    engine: Engine
    port: int
    account_id: str
    auth: str
    provider_id: str
    processes: dict[str, Popen[bytes]] = field(default_factory=dict)
    #: Further settings of its processes, by their variables.
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of its processes."""
        return {
            "DIALER_HOME": str(self.bench.folder / "home"),
            "DIALER_DATABASE_URL": self.database_url,
            "DIALER_REDIS_URL": self.redis_url,
            "DIALER_SECRET_KEY": KEY,
            "DIALER_PORT": str(self.port),
            "DIALER_LOG_LEVEL": "WARNING",
            **self.settings,
        }

    def start(self, name: str, *arguments: str) -> None:
        """Start `dialer …` under that name."""
        argv = [sys.executable, "-m", "dialer", *arguments]
        self.processes[name] = self.bench.start(argv, f"{name}-{self.port}", **self.environment)

    def start_all(self, *, workers: int = 2, schedulers: int = 1) -> None:
        """Start API, workers (`workers` processes that place campaign calls, one for one-time passwords, one for
        results) and schedulers."""
        self.start("api", "api")
        self.start("calls", "worker", "--queues", "calls", "--concurrency", str(workers))
        self.start("otp", "worker", "--queues", "otp", "--concurrency", "1")
        self.start("results", "worker", "--queues", "results,upkeep", "--concurrency", "1")
        until(lambda: is_listening(self.port), "the API listens")
        for number in range(schedulers):
            self.start(f"scheduler{number}", "scheduler")

    def stop_all(self) -> None:
        """Stop them."""
        self.bench.stop(*self.processes.values())
        self.processes.clear()

    def scalar(self, statement: str, **parameters: Any) -> Any:
        """One value from the database."""
        with reading(self.engine) as connection:
            return connection.execute(sa.text(statement), parameters).scalar()

    def add_contacts(self, count: int, first: int = 0) -> str:
        """A list of `count` contacts with three fields; its id."""
        list_id = ids.list_id()
        with writing(self.engine) as connection:
            connection.execute(
                tables.contact_list.insert(),
                {"id": list_id, "account_id": self.account_id, "name": list_id, "last_position": count,
                 "contact_count": count, "created_at": datetime.now(UTC)},
            )  # fmt: skip
            connection.execute(
                sa.text(
                    "INSERT INTO contact (list_id, position, e164, name, fields, time_zone) "
                    "SELECT :list_id, n, '+9198' || lpad((n + :first)::text, 8, '0'), 'Name ' || n, "
                    "jsonb_build_object('field1', 'Dear', 'field2', n::text, 'field3', '500'), 'Asia/Kolkata' "
                    "FROM generate_series(1, :count) AS n"
                ),
                {"list_id": list_id, "first": first, "count": count},
            )
        return list_id

    def add_campaign(self, list_id: str, **values: Any) -> str:
        """A campaign over that list that starts at once; its id."""
        now = datetime.now(UTC)
        row = {
            "id": ids.campaign_id(), "account_id": self.account_id, "type": 0, "state": "SCHEDULED",
            "list_id": list_id, "caller_id": "15168148111",
            "announcement_text": "{field1} {contact_name}, your due balance is {field3} INR",
            "repeat_count": 1, "voice": "Joanna", "volume": "medium", "rate": "medium", "pitch": "medium",
            "language_code": "en-US", "tts_engine_type": "standard", "time_zone": "UTC", "start_at": now,
            "end_at": now + timedelta(days=1), "calling_window": {"start": "00:00", "end": "24:00"},
            "repeat_policy": {}, "max_retries": 0, "retry_time": 0, "cursor": 0, "wake_at": now,
            "served_at": now, "created_at": now, **values,
        }  # fmt: skip
        row.setdefault("name", row["id"])
        with writing(self.engine) as connection:
            campaigns.add(connection, row, [])
        return str(row["id"])


def make_service(bench: Bench, provider_port: int, **provider: Any) -> Service:
    """A migrated database with an account and a provider, and nothing started yet."""
    database_url, redis_url = bench.database(), bench.redis()
    engine = make_engine(database_url)
    schema.upgrade(engine)
    with writing(engine) as connection:
        account_id, auth = accounts.create(connection, "bench", datetime.now(UTC))
    service = Service(bench, database_url, redis_url, engine, free_port(), account_id, auth, "")
    service.provider_id = add_provider(service, "bench", provider_port, **provider)
    return service


def add_provider(service: Service, name: str, port: int, **values: Any) -> str:
    """A provider at that port, whose webhook token is `token`; its id."""
    row = {
        "id": ids.provider_id(), "name": name, "kind": "mitto", "enabled": True, "priority": 1,
        "base_url": f"http://127.0.0.1:{port}", "credentials": SecretBox([KEY]).seal({"access_key": "key"}),
        "webhook_token": "token", "created_at": datetime.now(UTC), **values,
    }  # fmt: skip
    with writing(service.engine) as connection:
        connection.execute(tables.provider.insert(), row)
    return str(row["id"])
