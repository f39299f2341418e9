"""What all tests share: the profile of Hypothesis, and one Redis-compatible server for the whole run."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import certifi
import pytest
import typer.testing
from hypothesis import HealthCheck, settings
from redis import Redis
from secrecy import pytest_runtest_makereport

from dialer.embedded import EmbeddedServer
from dialer.memory import keep_for_good
from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderConfig
from dialer.providers.kinds import make_adapter
from dialer.providers.methods import File, Method, Parameter, Value

__all__ = ["pytest_runtest_makereport"]

# No deadline: a shared machine is slow now and then, and nothing here asserts speed.
settings.register_profile(
    "dialer",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("dialer")


def pytest_collection_finish() -> None:
    """Thousands of tests and all that they import stay to the end: the collector need not look through them again."""
    keep_for_good()


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """HTTP clients trust one authority of many: each client reads the certificates of all it trusts, for longer than
    most tests take, and nobody here has a certificate of any."""
    every = Path(certifi.where()).read_text(encoding="utf-8")
    end = "-----END CERTIFICATE-----\n"
    path = tmp_path_factory.mktemp("authorities") / "first.pem"
    path.write_text(every.partition(end)[0] + end, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certifi, "where", lambda: str(path))
        yield


@pytest.fixture(scope="session", autouse=True)
def commands_made_once() -> Iterator[None]:
    """Typer's runner makes all commands anew for each that is run, which takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", functools.cache(typer.main.get_command))
        yield


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


@pytest.fixture(scope="session")
def sample() -> Callable[[Method], dict[str, Value]]:
    """One value of its type for every parameter of a method, for where its meaning does not matter; none
    for what sends a request elsewhere."""
    by_type = {
        str: "a name.mp3", int: 1, bool: True, File: File("hello.mp3", b"ID3"), dict: {"field1": "Anna"},
    }  # fmt: skip

    def of(parameter: Parameter) -> Value:
        if parameter.fields:
            return [{field.name: of(field) for field in parameter.fields}]
        return parameter.choices[0] if parameter.choices else by_type[parameter.takes]

    def values(method: Method) -> dict[str, Value]:
        return {
            parameter.name: of(parameter)
            for parameter in method.parameters
            if parameter.name != "siteBaseUrl"
        }

    return values


@pytest.fixture(scope="session")
def telecom() -> Callable[[str], Adapter]:
    """An adapter of MTT's Telecom API at a base URL, its own when that is empty."""
    settings = {"username": "south", "password": "s3cret:key", "customer_name": "110000777"}
    return lambda base_url: make_adapter(ProviderConfig("PR1", "south", "mtt-callback", base_url, settings))
