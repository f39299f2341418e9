"""The contract with Celery: doorbells that may be lost or doubled, never a task that is retried or kept by Celery."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu.serialization import dumps, loads

from dialer.cli import up
from dialer.settings import Settings
from workers import claim, dispatch, process, tasks
from workers.app import QUEUES, SOFT_TIME_LIMIT, TIME_LIMIT, VISIBILITY_TIMEOUT, app, make_app
from workers.doorbell import Doorbell


def app_with(tmp_path: Path, broker_url: str) -> Celery:
    return make_app(Settings(home=tmp_path, broker_url=broker_url, redis_url="redis://127.0.0.1:1/0"))


@pytest.fixture
def redis_app(tmp_path: Path) -> Celery:
    return app_with(tmp_path, "redis://127.0.0.1:1/0")


def our_tasks() -> dict[str, Any]:
    return {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}


def test_a_message_is_acknowledged_before_its_task_runs_and_nothing_is_kept(redis_app: Celery) -> None:
    assert redis_app.conf.task_acks_late is False
    assert redis_app.conf.task_reject_on_worker_lost is False
    assert redis_app.conf.task_ignore_result is True
    assert redis_app.conf.result_backend is None
    assert redis_app.conf.task_publish_retry is False


def test_deadlines_nest(redis_app: Celery) -> None:
    transport = redis_app.conf.broker_transport_options
    deadlines = [
        dispatch.HTTP_DEADLINE,
        process.DRAIN,
        claim.LEASE.total_seconds(),
        redis_app.conf.task_soft_time_limit,
        redis_app.conf.task_time_limit,
        up.GRACE,
        transport["visibility_timeout"],
    ]
    assert deadlines == sorted(set(deadlines)), "each ends before the next"
    assert tuple(deadlines[-4:]) == (SOFT_TIME_LIMIT, TIME_LIMIT, up.GRACE, VISIBILITY_TIMEOUT)
    assert claim.LEASE.total_seconds() >= dispatch.HTTP_DEADLINE + dispatch.WRITE_PATIENCE
    assert dispatch.FRESH + dispatch.PATIENCE < dispatch.HTTP_DEADLINE
    assert max(tasks.RESULTS_STINT, tasks.IMPORT_STINT) < SOFT_TIME_LIMIT / 4


def test_no_task_is_a_coroutine_retries_is_rate_limited_or_acknowledged_late() -> None:
    for name, task in our_tasks().items():
        assert not inspect.iscoroutinefunction(task.run), f"{name} would be logged as done and never run"
        assert task.acks_late is False
        assert task.rate_limit is None
        assert task.ignore_result is True
        assert not getattr(task, "autoretry_for", ())
        source = inspect.getsource(task.run)
        for forbidden in (".retry(", "countdown", "eta="):
            assert forbidden not in source


def test_every_doorbell_rings_a_task_that_exists_in_a_queue_that_exists(redis_app: Celery) -> None:
    redis_app.conf.update(broker_url="memory://", broker_transport_options={})
    rung = []
    with redis_app.connection_for_write() as connection:
        doorbell = Doorbell(redis_app)
        doorbell.place_calls([f"call-{one}" for one in range(250)])
        doorbell.consume_events()
        doorbell.run_import("IM1")
        doorbell.look_up([f"attempt-{one}" for one in range(150)])
        doorbell.read_cdrs("PR1")
        doorbell.mirror_dnd("PR1")
        doorbell.deliver_webhooks()
        doorbell.tidy_uploads()
        for queue in QUEUES:
            simple = connection.SimpleQueue(queue)
            while simple.qsize():
                message = simple.get_nowait()
                args, kwargs, _ = message.payload
                rung.append((queue, message.headers["task"], args))
                assert message.content_type == "application/json"
                assert kwargs == {}
                assert message.headers["eta"] is None
                message.ack()
            simple.close()
    assert [(queue, name) for queue, name, _ in rung] == [
        ("calls", "place_calls"),
        ("calls", "place_calls"),
        ("calls", "place_calls"),
        ("results", "consume_events"),
        ("upkeep", "run_import"),
        ("upkeep", "look_up"),
        ("upkeep", "look_up"),
        ("upkeep", "read_cdrs"),
        ("upkeep", "mirror_dnd"),
        ("upkeep", "deliver_webhooks"),
        ("upkeep", "tidy_uploads"),
    ]
    assert [len(args[0]) for _, _, args in [*rung[:3], *rung[5:7]]] == [100, 100, 50, 100, 50]
    assert {name for _, name, _ in rung} == set(our_tasks())


def test_arguments_are_json_and_nothing_else_is_accepted(redis_app: Celery) -> None:
    assert redis_app.conf.accept_content == ["json"]
    assert redis_app.conf.task_serializer == "json"
    content_type, encoding, payload = dumps([["id"], {}], serializer="json")
    assert loads(payload, content_type, encoding) == json.loads(payload)


def test_lanes_are_queues_and_a_typo_makes_no_new_one(redis_app: Celery) -> None:
    assert {queue.name for queue in redis_app.conf.task_queues} == set(QUEUES)
    assert redis_app.conf.task_create_missing_queues is False
    assert redis_app.conf.task_default_queue in QUEUES


def test_only_the_fast_lanes_doorbells_are_gone_once_taken_and_not_on_rabbitmq(
    tmp_path: Path, redis_app: Celery
) -> None:
    rabbit = app_with(tmp_path, "amqp://localhost//")
    assert {queue.name for queue in redis_app.conf.task_queues if queue.no_ack} == {"otp"}
    assert not any(queue.no_ack for queue in rabbit.conf.task_queues)


HANGING = """
import threading
from celery import signals
from workers import process
process.TIME_LIMIT = 1
signals.worker_process_init.send(sender=None)
signals.task_prerun.send(sender=None)
{}
threading.Event().wait(30)
"""


@pytest.mark.parametrize(
    ("then", "ends"),
    [("", -signal.SIGALRM), ("signals.task_postrun.send(sender=None); raise SystemExit(0)", 0)],
)
def test_a_worker_that_does_its_tasks_itself_is_ended_by_one_that_hangs(
    tmp_path: Path, then: str, ends: int
) -> None:
    environment = {**os.environ, "DIALER_HOME": str(tmp_path)}
    script = HANGING.format(then)
    done = subprocess.run([sys.executable, "-c", script], env=environment, timeout=20, check=False)
    assert done.returncode == ends


def test_a_worker_survives_a_broker_that_is_away_read_only_or_full(redis_app: Celery) -> None:
    assert redis_app.conf.broker_connection_retry is True
    assert redis_app.conf.broker_connection_retry_on_startup is True
    assert redis_app.conf.broker_connection_max_retries is None
    assert redis_app.conf.broker_channel_error_retry is True
    assert redis_app.conf.broker_pool_acquire_timeout == 5
    transport = redis_app.conf.broker_transport_options
    assert transport["socket_timeout"] == 5
    assert transport["socket_connect_timeout"] == 3
    assert transport["retry_on_timeout"] is False
    assert transport["priority_steps"] == [0]


def test_a_worker_takes_no_more_doorbells_than_it_can_answer(tmp_path: Path, redis_app: Celery) -> None:
    assert redis_app.conf.worker_prefetch_multiplier == 1
    assert redis_app.conf.worker_disable_prefetch is True
    # RabbitMQ's transport cannot switch prefetching off, and takes none of Redis' options.
    rabbit = app_with(tmp_path, "amqp://guest@127.0.0.1//")
    assert rabbit.conf.worker_disable_prefetch is False
    assert "visibility_timeout" not in rabbit.conf.broker_transport_options
    assert rabbit.conf.broker_transport_options["confirm_publish"] is True
