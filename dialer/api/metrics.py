"""`/metrics`: what Prometheus scrapes. Counted in the tables, so that every API process tells the same; nobody's number
or name is in it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request, Response
from kombu import Connection as Broker
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from redis import Redis, RedisError
from sqlalchemy import Engine

from dialer.api.answer_times import BEYOND, BOUNDS, ODD, SUM
from dialer.calls.inbound import SETTLE_AFTER
from dialer.db import reading, utc_now
from dialer.lifecycle import CALL_ENDS, CallState
from dialer.logs import get_logger
from dialer.pace.breaker import Phase, phase_of
from dialer.pace.wrong_keys import ANSWERED, UNREAD
from dialer.providers.kinds import adapter_class
from dialer.settings import Settings
from dialer.store import inbound, meters, providers, unknown_words, verifications, webhooks
from dialer.store.tables import Rows

log = get_logger(__name__)

#: Seconds for which an answer is given again: however many scrape, the tables are asked once.
REMEMBERED = 5.0
#: Celery's queues.
QUEUES = ("otp", "calls", "results", "upkeep")
#: Seconds to wait for the broker.
PATIENCE = 2.0

#: A metric's samples by the values of its labels.
Values = Mapping[Any, float]

router = APIRouter(tags=["operators"])


class Remembered:
    """The text of the last look at the tables."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at = float("-inf")
        self._text = b""

    def text(self, engine: Engine, settings: Settings) -> bytes:
        """What is known, at most REMEMBERED seconds old. Who asks meanwhile waits for the same look."""
        with self._lock:
            if time.monotonic() - self._at > REMEMBERED:
                registry = CollectorRegistry()
                registry.register(Look(engine, settings))
                self._text = generate_latest(registry)
                self._at = time.monotonic()
            return self._text


@router.get("/metrics", response_class=Response)
def metrics(request: Request) -> Response:
    """Calls, attempts, providers, events and queues, for Prometheus."""
    state = request.app.state
    if not hasattr(state, "metrics"):
        state.metrics = Remembered()
    return Response(state.metrics.text(state.engine, state.settings), media_type=CONTENT_TYPE_LATEST)


class Look(Collector):
    """One look at the tables and the broker."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    def describe(self) -> list[Metric]:
        """Nothing is asked for when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        with reading(self._engine) as connection:
            now = utc_now(connection)
            calls = meters.open_calls(connection)
            counts = meters.campaign_counts(connection)
            campaigns = meters.campaigns_by_state(connection)
            events = meters.odd_events(connection)
            totals = meters.totals(connection)
            rows = providers.every(connection)
            unknown = unknown_words.counts(connection)
            came_in = inbound.count_live(connection, None, now - SETTLE_AFTER)
            conversions = verifications.conversions(connection, None)
            open_verifications = verifications.count_open(connection)
            oldest_message = webhooks.oldest_due_at(connection, now)
        yield from of_calls(calls, came_in, counts, campaigns)
        yield from of_providers(rows, now)
        waited = 0.0 if oldest_message is None else max(0.0, (now - oldest_message).total_seconds())
        yield _gauge(
            "dialer_webhook_oldest_seconds",
            "How long the message to an app has been due that has been due longest.",
            [],
            {(): waited},
        )
        yield from of_meters(totals, {row.id: row.name for row in rows})
        yield from of_live_answers(totals, rows)
        yield _counter("dialer_unknown_words", "Events with a word that is in no table.", ["provider"], {
            (row.name,): unknown.get(row.id, 0) for row in rows
        })  # fmt: skip
        yield _gauge("dialer_events", "Callbacks to be consumed, and those that nothing came of.", ["state"], {
            (state,): count for state, count in events.items()
        })  # fmt: skip
        yield from of_verifications(conversions, open_verifications)
        yield from of_wrong_keys(self._settings.redis_url)
        yield from of_queues(self._settings.broker_url)


def of_calls(
    calls: dict[tuple[str, str], int], came_in: int, counts: dict[str, int], campaigns: dict[str, int]
) -> Iterator[Metric]:
    """Calls on their way, how those of campaigns have ended, and campaigns."""
    states = (CallState.WAITING, CallState.RELEASED, CallState.DIALLING, CallState.IN_PROGRESS)
    known = {(lane, state.value): 0 for lane in ("campaign", "single") for state in states} | calls
    yield _gauge("dialer_calls", "Calls that have not ended.", ["lane", "state"], known)
    at_providers = (CallState.DIALLING, CallState.IN_PROGRESS)
    live = sum(count for (_, state), count in known.items() if state in at_providers)
    yield _gauge(
        "dialer_live_calls",
        "Calls at providers now.",
        ["direction"],
        {("outbound",): live, ("inbound",): came_in},
    )
    ended = {(state.value,): counts.get(state.value, 0) for state in sorted(CALL_ENDS)}
    yield _counter("dialer_campaign_calls_ended", "Calls of campaigns that have ended.", ["state"], ended)
    by_state = {(state,): count for state, count in campaigns.items()}
    yield _gauge("dialer_campaigns", "Campaigns.", ["state"], by_state)


def of_providers(rows: Rows, now: datetime) -> Iterator[Metric]:
    """Which providers are in use."""
    names = ["provider", "kind"]
    enabled = {(row.name, row.kind): int(row.enabled) for row in rows}
    yield _gauge("dialer_provider_enabled", "1: calls may go to it.", names, enabled)
    paused = {(row.name, row.kind): int(row.paused_reason is not None) for row in rows}
    yield _gauge("dialer_provider_paused", "1: it refused for its own reasons.", names, paused)
    held = {(row.name, row.kind): _seconds_until(row.held_until, now) for row in rows}
    yield _gauge("dialer_provider_held_seconds", "How long it has asked to be left alone.", names, held)
    breaker = {
        (row.name, phase.value): int(phase_of(row, now) is phase) for row in rows for phase in sorted(Phase)
    }
    yield _gauge("dialer_breaker", "1: where its circuit breaker stands.", ["provider", "state"], breaker)


def of_meters(totals: dict[meters.Key, int], names: dict[str, str]) -> Iterator[Metric]:
    """What only grows."""
    submits: dict[tuple[str, ...], int] = {}
    attempts: dict[tuple[str, ...], int] = {}
    undialled: dict[tuple[str, ...], int] = {}
    disagreements: dict[tuple[str, ...], int] = {}
    messages: dict[tuple[str, ...], int] = {}
    for (meter, provider_id, label), count in sorted(totals.items()):
        provider = names.get(provider_id, provider_id)
        if meter == meters.SUBMIT:
            submits[provider, label] = count
        elif meter == meters.DISAGREEMENT:
            disagreements[provider,] = count
        elif meter == meters.WEBHOOK:
            messages[label,] = count
        elif meter == meters.CDR and provider_id:
            attempts[(provider, *label.split("/"))] = count
        elif meter == meters.CDR:
            undialled[tuple(label.split("/"))] = count
    yield _counter("dialer_submits", "Attempts sent, by what became of it.", ["provider", "outcome"], submits)
    yield _counter(
        "dialer_attempts_ended",
        "Attempts by their disposition.",
        ["provider", "kind", "disposition"],
        attempts,
    )
    yield _counter(
        "dialer_cdr_disagreements",
        "Attempts whose CDR at the provider says another end.",
        ["provider"],
        disagreements,
    )
    yield _counter(
        "dialer_webhook_tries", "Messages to apps, by what became of each try.", ["result"], messages
    )
    yield _counter("dialer_undialled", "Numbers that were not dialled.", ["kind", "reason"], undialled)


def of_live_answers(totals: Mapping[meters.Key, int], rows: Rows) -> Iterator[Metric]:
    """How long those providers waited that wait for answers."""
    askers = [row for row in rows if adapter_class(row.kind).asks]
    times = HistogramMetricFamily(
        "dialer_live_answer_seconds", "How long a provider waited for an answer.", labels=["provider"]
    )
    for row in askers:
        seen = 0
        buckets: list[tuple[str, float]] = []
        for label in (*map(str, BOUNDS), BEYOND):
            seen += totals.get((meters.LIVE, row.id, label), 0)
            buckets.append((label, float(seen)))
        times.add_metric([row.name], buckets, totals.get((meters.LIVE, row.id, SUM), 0) / 1e6)
    yield times
    yield _counter(
        "dialer_live_answers_odd",
        "Answers that were not known in time, or whose question was stored after them, or never.",
        ["provider", "what"],
        {(row.name, what): totals.get((meters.LIVE_ODD, row.id, what), 0) for row in askers for what in ODD},
    )


def of_verifications(rows: Rows, open_now: int) -> Iterator[Metric]:
    """How many verifications are open, and how many of the last ones were confirmed."""
    yield _gauge("dialer_verifications_open", "Verifications that have not ended.", [], {(): open_now})
    names = ["account", "country"]
    confirmed = {(row.account_id, row.country): row.verified / row.ended for row in rows if row.ended}
    yield _gauge(
        "dialer_verification_conversion",
        "The part of the last verifications of a country that was confirmed.",
        names,
        confirmed,
    )
    alarms = {(row.account_id, row.country): int(row.alarmed_at is not None) for row in rows}
    yield _gauge("dialer_verification_alarm", "1: too few are confirmed.", names, alarms)


def of_wrong_keys(url: str) -> Iterator[Metric]:
    """Requests whose key opened nothing; nothing while Redis, which counts them, does not answer."""
    found: dict[tuple[str, ...], int] = {}
    client = _client(url)
    try:
        answered, unread = client.mget(ANSWERED, UNREAD)
        found = {("401",): int(answered or 0), ("429",): int(unread or 0)}
    except RedisError as error:
        log.warning("wrong keys not counted", error=type(error).__name__)
    finally:
        client.close()
    yield _counter("dialer_wrong_keys", "Requests whose key opened no account.", ["status"], found)


def of_queues(url: str) -> Iterator[Metric]:
    """How many doorbells wait; nothing while the broker does not answer."""
    depths: dict[tuple[str, ...], int] = {}
    try:
        depths = {(queue,): depth for queue, depth in _depths(url).items()}
    except Exception as error:  # noqa: BLE001 - every transport has errors of its own; none may cost all the rest
        log.warning("queues not counted", error=type(error).__name__)
    answers = {(): int(bool(depths))}
    yield _gauge("dialer_broker_up", "1: the broker answers.", [], answers)
    yield _gauge("dialer_queue_messages", "Doorbells that no worker has answered.", ["queue"], depths)


def _depths(url: str) -> dict[str, int]:
    if url.startswith("redis"):
        # Not through Celery's transport, which tries again for seconds.
        client = _client(_redis_url(url))
        try:
            return {queue: client.llen(queue) for queue in QUEUES}
        finally:
            client.close()
    with Broker(url, connect_timeout=PATIENCE) as broker:
        return {queue: _depth(broker, queue) for queue in QUEUES}


def _client(url: str) -> Any:
    return Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None)


def _depth(broker: Broker, queue: str) -> int:
    # A look at a queue that is not there closes the channel: each has one of its own.
    with broker.channel() as channel:
        try:
            declared = channel.queue_declare(queue=queue, passive=True)
        except broker.channel_errors:  # nobody has rung there yet
            return 0
        return int(declared.message_count)


def _redis_url(url: str) -> str:
    """A broker's URL as Redis' own client takes it."""
    parts = urlsplit(url)
    if parts.scheme != "redis+socket":
        return url
    database = parse_qs(parts.query).get("virtual_host", ["0"])[0]
    return f"unix://{parts.path}?db={database}"


def _seconds_until(at: datetime | None, now: datetime) -> float:
    return 0.0 if at is None else max(0.0, (at.astimezone(UTC) - now).total_seconds())


def _gauge(name: str, help_: str, labels: list[str], values: Values) -> Metric:
    family = GaugeMetricFamily(name, help_, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family


def _counter(name: str, help_: str, labels: list[str], values: Values) -> Metric:
    family = CounterMetricFamily(name, help_, labels=labels)
    for label, value in values.items():
        family.add_metric(label, value)
    return family
