"""The Celery app. Every setting that differs from Celery's default says why.

A Celery message is a doorbell that carries ids; the tables are the truth. So nothing here tries to deliver exactly
once: a lost doorbell is rung again by the scheduler, a doubled one finds its calls taken.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu.entity import Exchange, Queue

from dialer.settings import Settings, get_settings

#: Seconds. Deadlines nest: HTTP total (10) < lease of an attempt (30) < soft limit < hard limit < stop grace
#: < visibility timeout.
SOFT_TIME_LIMIT = 45
TIME_LIMIT = 60
VISIBILITY_TIMEOUT = 600

#: Lanes are queues with workers of their own; priorities on Redis are inverted and defeated by prefetching.
QUEUES = ("otp", "calls", "results", "upkeep")


def make_app(settings: Settings) -> Celery:
    """The Celery app for these settings."""
    app = Celery("dialer", broker=settings.broker_url, include=["workers.tasks"])
    app.conf.update(
        # Early ack: redelivering a running task is worse than losing a doorbell.
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        # Nobody reads results; a result backend doubles the traffic to Redis.
        task_ignore_result=True,
        result_backend=None,
        # A retried publish may queue two copies and blocks its caller; the scheduler rings again anyway.
        task_publish_retry=False,
        task_serializer="json",
        accept_content=["json"],
        task_default_queue="upkeep",
        task_queues=[_queue(name, settings.broker_url) for name in QUEUES],
        task_create_missing_queues=False,
        task_soft_time_limit=SOFT_TIME_LIMIT,
        task_time_limit=TIME_LIMIT,
        # A reserved doorbell is one that an idle worker cannot answer.
        worker_disable_prefetch=_is_redis(settings.broker_url),
        worker_prefetch_multiplier=1,
        worker_disable_rate_limits=True,
        worker_max_memory_per_child=400_000,
        # Lost connections are waited for without end, and a read-only or full Redis must not end the worker.
        broker_connection_retry=True,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        # The default waits for ever on a dead pool.
        broker_pool_acquire_timeout=5,
        broker_transport_options=_transport_options(settings.broker_url),
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # Flower lives on events; the published-task event would cost as much as publishing does.
        worker_send_task_events=True,
        task_send_sent_event=False,
        worker_hijack_root_logger=False,
        timezone="UTC",
        enable_utc=True,
    )
    return app


def _queue(name: str, broker_url: str) -> Queue:
    # A doorbell of the fast lane is taken off the queue for good: to keep it until it is acknowledged costs two round
    # trips before the task runs, and early acks promise no more. RabbitMQ would hand all of them to one worker.
    no_ack = name == "otp" and _is_redis(broker_url)
    return Queue(name, exchange=Exchange(name), routing_key=name, no_ack=no_ack)


def _is_redis(url: str) -> bool:
    return url.startswith(("redis", "unix"))


def _transport_options(url: str) -> dict[str, Any]:
    if not _is_redis(url):
        return {"client_properties": {"connection_name": "dialer"}, "confirm_publish": True}
    return {
        "visibility_timeout": VISIBILITY_TIMEOUT,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,
        "socket_timeout": 5,
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
        # Finds a half-open connection in some 20 seconds instead of 50.
        "health_check_interval": 10,
        "retry_on_timeout": False,
        # One key per queue, not four.
        "priority_steps": [0],
        "client_name": "dialer",
    }


app = make_app(get_settings())
