"""What all tests share: the profile of Hypothesis, and one Redis-compatible server for the whole run."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from redis import Redis

from dialer.embedded import EmbeddedServer

# No deadline: a shared machine is slow now and then, and nothing here asserts speed.
settings.register_profile(
    "dialer",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("dialer")


@pytest.fixture(scope="session")
def embedded_redis() -> Iterator[EmbeddedServer]:
    """The server itself; it lives in a folder with a short name, as the path of a unix socket must be short."""
    with (
        tempfile.TemporaryDirectory(prefix="dialer") as folder,
        EmbeddedServer(Path(folder) / "data", Path(folder) / "redis.sock") as server,
    ):
        yield server


@pytest.fixture
def redis_server(embedded_redis: EmbeddedServer) -> str:
    """The URL of an empty Redis-compatible server."""
    with Redis.from_url(embedded_redis.url) as client:
        client.flushall()
    return embedded_redis.url
