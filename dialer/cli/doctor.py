"""`dialer doctor`: looks at everything an installation needs and says how to mend it."""

# ruff: noqa: PLC0415 - see dialer/cli/__init__.py

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from dialer.cli.errors import address, explain
from dialer.cli.output import Json, mark, print_json, remark

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dialer.settings import Settings

OLDEST_PYTHON = (3, 11)
#: Clocks further apart than this are told of, and further than `WRONG_SKEW` are wrong. Seconds.
TOLD_SKEW, WRONG_SKEW = 1.0, 5.0
#: A call or an event that has waited longer than this shows that nobody works. Seconds.
WAITS_TOO_LONG = 60.0
#: Governments change their clocks some ten times a year.
OLD_TZDATA = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing: `status` is ok, warn or fail; `message` is a sentence with the mend."""

    check: str
    status: Literal["ok", "warn", "fail"]
    message: str


Findings = Iterator[Finding]


def doctor(json: Json = False) -> None:
    """Check what an installation needs, and say how to mend it.

    Database, Redis, broker, clocks, time zones, uploads, providers, and whether anything waits for too long. Exit
    code 1 when something fails.
    """
    findings = []
    for finding in examine():
        findings.append(finding)
        if not json:
            typer.echo(f"{mark(finding.status)}  {finding.check}: {finding.message}")
    if json:
        print_json([asdict(finding) for finding in findings])
    failed = sum(finding.status == "fail" for finding in findings)
    if failed:
        remark(f"{failed} of {len(findings)} checks failed.")
        raise typer.Exit(1)


def examine() -> Findings:
    """Every finding, in the order in which one depends on another."""
    yield _python()
    settings = None
    try:
        from dialer.settings import get_settings

        settings = get_settings()
    except Exception as error:  # noqa: BLE001 - whatever it is, the doctor tells of it
        yield Finding("settings", "fail", _words(error))
    if settings is None:
        return
    yield Finding("settings", "ok", f"{settings.env}, home {settings.home}.")
    yield from _guarded("time zones", _time_zones)
    yield from _guarded("uploads", lambda: _uploads(settings))
    yield from _guarded("database", lambda: _database(settings))
    yield from _guarded("redis", lambda: _redis(settings))
    yield from _guarded("broker", lambda: _broker(settings))


def _guarded(check: str, look: Callable[[], Findings]) -> Findings:
    """The findings of `look`; an error in it is one more."""
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001 - one check must not hide the others
        yield Finding(check, "fail", _words(error))


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < OLDEST_PYTHON:
        return Finding("python", "fail", f"Python {version} is too old: install Python 3.11 or newer.")
    return Finding("python", "ok", f"Python {version} on {platform.system()} {platform.machine()}.")


def _time_zones() -> Findings:
    from zoneinfo import ZoneInfo, available_timezones

    ZoneInfo("Asia/Kolkata")
    release = importlib.metadata.version("tzdata")
    year = int(release.partition(".")[0])
    message = f"{len(available_timezones())} zones, tzdata {release}."
    if datetime.now(UTC) - datetime(year, 12, 31, tzinfo=UTC) > OLD_TZDATA:
        yield Finding("time zones", "warn", f"{message} It is old: run `pip install --upgrade tzdata`.")
    else:
        yield Finding("time zones", "ok", message)


def _uploads(settings: Settings) -> Findings:
    if settings.uploads.startswith("s3://"):
        yield Finding(
            "uploads",
            "fail",
            "DIALER_UPLOADS names an S3 bucket, which imports cannot read yet: set it to a folder.",
        )
        return
    folder = Path(settings.uploads)
    if not folder.is_dir():
        yield Finding("uploads", "fail", f"{folder} is no folder: make it, or correct DIALER_UPLOADS.")
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield Finding(
            "uploads",
            "fail",
            f"{folder} cannot be read: give this user the right to, or correct DIALER_UPLOADS.",
        )
    else:
        yield Finding("uploads", "ok", f"CSV files are read from {folder}.")


def _database(settings: Settings) -> Findings:
    from dialer import schema
    from dialer.cli.database import any_database
    from dialer.db import reading, utc_now

    with any_database() as engine:
        with reading(engine) as connection:
            theirs = utc_now(connection)
        yield Finding("database", "ok", f"{address('database_url')} answers.")
        yield _skew("database clock", (theirs - datetime.now(UTC)).total_seconds(), "the database")
        found, needed = schema.current(engine), schema.head()
        if found != needed:
            at = (
                "has no tables yet"
                if found is None
                else f"is at revision {found}, this version needs {needed}"
            )
            yield Finding("schema", "fail", f"It {at}: run `dialer db upgrade`.")
            return
        yield Finding("schema", "ok", f"Revision {found}.")
        yield from _waiting(engine)
        yield from _providers(engine, settings)


def _waiting(engine: Engine) -> Findings:
    """Whether calls and events are worked on."""
    import sqlalchemy as sa

    from dialer.db import reading, utc_now
    from dialer.lifecycle import CallState, CampaignState
    from dialer.models import EventState
    from dialer.store.tables import call, campaign, event, in_states

    with reading(engine) as connection:
        now = utc_now(connection)
        oldest_call = connection.execute(
            sa.select(sa.func.min(call.c.released_at)).where(in_states(call, {CallState.RELEASED}))
        ).scalar_one()
        overdue = connection.execute(
            sa.select(sa.func.min(campaign.c.wake_at)).where(
                campaign.c.state.in_([CampaignState.RUNNING.value, CampaignState.SCHEDULED.value])
            )
        ).scalar_one()
        oldest_event = connection.execute(
            sa.select(event.c.received_at)
            .where(in_states(event, {EventState.NEW}))
            .order_by(event.c.id)
            .limit(1)
        ).scalar_one_or_none()
    yield _wait(
        "campaigns",
        overdue,
        now,
        "A campaign has",
        "is the scheduler running (`dialer up`, or `dialer scheduler`)?",
    )
    yield _wait(
        "calls",
        oldest_call,
        now,
        "A released call has",
        "is a worker of the queue calls running (`dialer worker`)?",
    )
    yield _wait(
        "events",
        oldest_event,
        now,
        "An event has",
        "is a worker of the queue results running (`dialer worker`)?",
    )


def _wait(check: str, since: datetime | None, now: datetime, what: str, mend: str) -> Finding:
    waited = 0.0 if since is None else (now - since).total_seconds()
    if waited <= WAITS_TOO_LONG:
        return Finding(check, "ok", "Nothing waits for longer than it should.")
    return Finding(check, "fail", f"{what} waited for {waited:.0f} s: {mend}")


def _providers(engine: Engine, settings: Settings) -> Findings:
    from dialer.cli.provider import check_provider
    from dialer.db import reading
    from dialer.secrets import SecretBox
    from dialer.store import providers

    box = SecretBox(settings.secret_keys())
    with reading(engine) as connection:
        rows = providers.every(connection)
    if not any(row.enabled for row in rows):
        yield Finding("providers", "warn", "None is in use: `dialer provider add NAME --kind KIND` adds one.")
    for row in rows:
        check = f"provider {row.name}"
        if not row.enabled:
            yield Finding(check, "ok", "It is disabled.")
            continue
        try:
            sentence = check_provider(row, box)
        except Exception as error:  # noqa: BLE001 - one provider must not hide the others
            yield Finding(check, "fail", _words(error))
            continue
        if row.paused_reason is not None:
            yield Finding(
                check,
                "fail",
                f"Paused: {row.paused_reason}. When it is mended: `dialer provider enable {row.name}`.",
            )
        elif row.held_until is not None and row.held_until > datetime.now(UTC):
            yield Finding(
                check, "warn", f"{sentence} It asked to be left alone until {row.held_until:%H:%M:%S} UTC."
            )
        elif row.breaker_trips:
            yield Finding(
                check, "warn", f"{sentence} Calls through it failed, so that it is used for one at a time."
            )
        else:
            yield Finding(check, "ok", sentence)


def _redis(settings: Settings) -> Findings:
    import redis
    from redis.exceptions import RedisError

    client = redis.Redis.from_url(settings.redis_url, socket_timeout=3, socket_connect_timeout=3)
    try:
        if settings.is_embedded_redis and not settings.embedded_socket.exists():
            from dialer.embedded import find_server

            yield Finding(
                "redis", "warn", f"The embedded server ({find_server()}) does not run: `dialer up` starts it."
            )
            return
        began = datetime.now(UTC)
        seconds, micros = client.time()
        middle = began + (datetime.now(UTC) - began) / 2
        info: dict[str, Any] = client.info()
        yield Finding("redis", "ok", f"{address('redis_url')} answers: {_version(info)}.")
        theirs = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=micros)
        yield _skew("redis clock", (theirs - middle).total_seconds(), "Redis")
        policy = info.get("maxmemory_policy")
        if policy != "noeviction":
            yield Finding(
                "redis memory",
                "fail",
                f"maxmemory-policy is {policy}, which drops doorbells: set it to noeviction.",
            )
        else:
            yield Finding("redis memory", "ok", "maxmemory-policy is noeviction.")
        if not info.get("aof_enabled"):
            yield Finding(
                "redis file",
                "warn",
                "There is no append-only file: a restart forgets the pace and holds; set appendonly yes.",
            )
        else:
            yield Finding("redis file", "ok", "The append-only file is on.")
    except RedisError as error:
        yield Finding("redis", "fail", _words(error))
    finally:
        client.close()


def _broker(settings: Settings) -> Findings:
    from kombu import Connection

    is_embedded = settings.is_embedded_redis and "broker_url" not in settings.model_fields_set
    if is_embedded and not settings.embedded_socket.exists():
        return  # told of already
    connection = Connection(settings.broker_url, connect_timeout=3)
    try:
        connection.ensure_connection(max_retries=1, interval_start=0, timeout=5)
        yield Finding("broker", "ok", f"{connection.as_uri()} answers.")
    except Exception as error:  # noqa: BLE001 - every transport has errors of its own
        yield Finding(
            "broker",
            "fail",
            f"{connection.as_uri()} does not answer ({type(error).__name__}): start it, or correct DIALER_BROKER_URL.",
        )
    finally:
        connection.release()


def _skew(check: str, seconds: float, whose: str) -> Finding:
    apart = (
        f"The clock of {whose} is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this host's"
    )
    if abs(seconds) > WRONG_SKEW:
        return Finding(check, "fail", f"{apart}: set both by NTP.")
    if abs(seconds) > TOLD_SKEW:
        return Finding(check, "warn", f"{apart}: set both by NTP.")
    return Finding(check, "ok", f"It agrees with this host's within {TOLD_SKEW:g} s.")


def _words(error: Exception) -> str:
    from dialer.logs import scrub

    return explain(error) or scrub(f"{type(error).__name__}: {error}.")


def _version(info: dict[str, Any]) -> str:
    """Valkey names itself beside the Redis version that it is compatible with."""
    valkey = info.get("valkey_version")
    return f"Valkey {valkey}" if valkey else f"Redis {info.get('redis_version', '?')}"
