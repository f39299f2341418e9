"""Logs hold no phone number, no credential and no webhook token, and still say what happened."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from dialer import ids, logs
from dialer.logs import Scrubber
from dialer.settings import Settings

NUMBER = "+919876543210"
E164 = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
LONG_NUMBER = st.from_regex(r"[1-9][0-9]{8,14}", fullmatch=True)
SECRETS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789+/=_-.", min_size=6, max_size=40)
SCRUBBER = Scrubber("key")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers, root.level, sys.excepthook, threading.excepthook, logging.raiseExceptions)
    yield
    root.handlers, root.level, sys.excepthook, threading.excepthook, logging.raiseExceptions = before


class Log:
    """What one process would write to stderr."""

    def __init__(self, settings: Settings) -> None:
        logs.configure(settings)
        self.stream = io.StringIO()
        handler = logging.getLogger().handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        assert handler.setStream(self.stream) is sys.stderr

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


@pytest.fixture
def log(home: Path) -> Log:
    """The log of a production process."""
    return Log(
        Settings(
            home=home,
            env="production",
            database_url="postgresql://dialer:hush%2Fdatabase@db/dialer",
            redis_url="redis://:hush-redis@cache",
            broker_url="amqp://dialer:hush-broker@rabbit",
            secret_key="hush-hush-hush-hush, hush-old-hush-old",
            flower_auth="ops:hush-flower",
            public_url="https://calls.example.com",
        )
    )


@settings(deadline=None)
@given(
    E164, st.sampled_from(["{}", "call to {} failed", "to={}&x=1", "'{}'", "tel:{}", "<sip:{}@host>", "a{}"])
)
def test_no_phone_number_survives(number: str, sentence: str) -> None:
    digits = number[1:]
    line = SCRUBBER(
        None, "info", {"event": sentence.format(number), "deep": [{"n": sentence.format(number)}]}
    )
    assert digits not in json.dumps(line)


@settings(deadline=None)
@given(
    LONG_NUMBER,
    st.sampled_from(["{}", "call to {} failed", "to={}&x=1", "['{}', 1]", "%2B{}", "to_{}", "n{}x"]),
)
def test_no_number_without_a_plus_survives(number: str, sentence: str) -> None:
    line = SCRUBBER(None, "info", {"event": sentence.format(number), "n": int(number), number: {number: 1.0}})
    assert number not in json.dumps(line)


@pytest.mark.parametrize(
    "number", ["+44 20 7946 0958", "+1 (212) 555-1234", "+49-151-1234-5678", "%2B2902345"]
)
def test_a_number_written_for_people_is_one_too(number: str) -> None:
    assert SCRUBBER.text(f"calling {number}.").startswith("calling <number ")
    assert number[-4:] not in SCRUBBER.text(number)


def test_the_same_number_has_the_same_tag_however_it_is_written() -> None:
    tags = {
        SCRUBBER.text(number) for number in (NUMBER, "919876543210", "%2B919876543210", "+91 98765 43210")
    }
    assert len(tags) == 1
    assert tags != {SCRUBBER.text("+919876543211")}
    assert tags != {Scrubber("another key").text(NUMBER)}


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=2**44))
def test_ids_of_ours_survive(milliseconds: int) -> None:
    call = ids.call_ids(1, datetime.fromtimestamp(milliseconds / 1000, UTC))[0]
    if call.isdecimal():
        return  # looks like a number, so it is masked: once in four million million calls
    for one in (call, ids.attempt_id(call, 2), ids.account_id(), ids.campaign_id(), ids.provider_id()):
        assert SCRUBBER.text(f"call {one} placed") == f"call {one} placed"


@pytest.mark.parametrize(
    "text",
    [
        "AC0123456789",
        "1m700000000000000000-1",
        "550e8400-e29b-41d4-a716-446655440000",
        "task 9b2d7e1a-1111-4222-8333-123456789012 received",
        "3f786850e387550fdab836ed7e6dc881de23001b",
        "2026-11-20T19:01:28.181823Z [info] 12345678 bytes in 0.123 s, exit code 3",
        "the author of the token ring passed",
        "Basic tests passed",
    ],
)
def test_what_is_no_number_and_no_secret_survives(text: str) -> None:
    assert SCRUBBER.text(text) == text


@settings(deadline=None)
@given(SECRETS)
def test_no_known_secret_survives_anywhere(secret: str) -> None:
    scrubber = Scrubber("key", (secret,))
    line = scrubber(
        None, "info", {"event": f"x {secret} y", "url": f"https://h/{secret}", "deep": [{"v": (secret,)}]}
    )
    assert json.dumps(line) == json.dumps(
        {"event": "x *** y", "url": "https://h/***", "deep": [{"v": ["***"]}]}
    )


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "authorization: {}",
        "X-Authorization: Basic {}",
        "AccessKey: {}",
        "{{'X-AccessKey': '{}'}}",
        '{{"auth": "{}", "to": 1}}',
        '{{\\"password\\": \\"{}\\"}}',
        "GET /cdr?account=x&auth={}&page=1",
        "auth%3D{}",
        "webhook_token={}",
        "[(b'authorization', b'Basic {}')]",
        "otp={}",
        "sent Bearer {}",
        "amqp://user:{}@rabbit:5672//",
        "GET /webhooks/mitto/{}/delivery",
        "https://h/webhooks/mtt/{}?event=x",
    ],
)
def test_a_secret_is_known_by_where_it_stands(text: str) -> None:
    scrubbed = SCRUBBER.text(text.format("Zm9vOmJhcg9"))
    assert "Zm9v" not in scrubbed
    assert "***" in scrubbed


def test_what_stands_around_a_secret_survives() -> None:
    assert SCRUBBER.text("GET /webhooks/mitto/abcdef/delivery?x=1") == "GET /webhooks/mitto/***/delivery?x=1"
    assert SCRUBBER.text("GET /cdr?auth=abcdef&page=1") == "GET /cdr?auth=***&page=1"
    assert SCRUBBER.text('{"auth": "abcdef", "page": 1}') == '{"auth": "***", "page": 1}'


@pytest.mark.parametrize(
    "name", ["auth", "Authorization", "X-Authorization", "AccessKey", "access_key", "password", "token", "otp",
             "webhook_token", "callback_password", "private_key", "secret_key"]
)  # fmt: skip
def test_a_value_whose_name_says_it_is_secret_is_masked(name: str) -> None:
    line = SCRUBBER(None, "info", {"event": "x", name: "value", "headers": {name: ["value"]}})
    assert line == {"event": "x", name: "***", "headers": {name: "***"}}


def test_values_of_every_kind_are_scrubbed() -> None:
    class Contact:
        def __repr__(self) -> str:
            return f"Contact({NUMBER})"

    line = SCRUBBER(
        None, "info",
        {"object": Contact(), "set": {NUMBER}, "bytes": NUMBER.encode(), "float": 919876543210.0, "none": None,
         "yes": True, "n": 42, "at": datetime(2026, 1, 1, tzinfo=UTC)},
    )  # fmt: skip
    assert "9876543210" not in str(line)
    assert (line["none"], line["yes"], line["n"]) == (None, True, 42)
    assert line["at"] == datetime(2026, 1, 1, tzinfo=UTC)


def test_production_writes_one_json_object_per_line(log: Log) -> None:
    logs.get_logger("dialer.calls").info("call placed", call_id="1m7x5bhqt034kffde3sn", to=NUMBER)
    (line,) = log.lines
    assert line["event"] == "call placed"
    assert line["level"] == "info"
    assert line["logger"] == "dialer.calls"
    assert line["call_id"] == "1m7x5bhqt034kffde3sn"
    assert line["timestamp"].endswith("Z")
    assert line["to"].startswith("<number ")


def test_development_writes_for_people(home: Path) -> None:
    log = Log(Settings(home=home))
    logs.get_logger("dialer.calls").info("call placed", to=NUMBER)
    assert "call placed" in log.text
    assert "9876543210" not in log.text
    assert not log.text.startswith("{")


@pytest.mark.parametrize(
    "name", ["celery.worker", "uvicorn.error", "sqlalchemy.pool", "httpx", "some.library"]
)
def test_lines_of_libraries_go_the_same_way(log: Log, name: str) -> None:
    logging.getLogger(name).warning("to %s with Authorization: Bearer %s", NUMBER, "abcdef")
    (line,) = log.lines
    assert line["logger"] == name
    assert line["event"].startswith("to <number ")
    assert line["event"].endswith(" with Authorization: ***")


def test_requests_in_and_out_are_not_logged_line_by_line(log: Log) -> None:
    logging.getLogger("uvicorn.access").info("GET /webhooks/x")
    assert not logging.getLogger("uvicorn.access").propagate, (
        "uvicorn would put each line together for nobody"
    )
    logging.getLogger("httpx").info("HTTP Request: POST https://provider/")
    logging.getLogger("sqlalchemy.engine").info("SELECT")
    assert log.text == ""


@pytest.mark.parametrize("library", [False, True])
def test_tracebacks_are_scrubbed_and_show_no_locals(log: Log, library: bool) -> None:
    hidden = "local-variable-value"
    try:
        raise ValueError(f"{NUMBER} refused, auth=abcdef")
    except ValueError:
        if library:
            logging.getLogger("celery").exception("task failed")
        else:
            logs.get_logger("x").exception("task failed")
    (line,) = log.lines
    assert "Traceback" in line["exception"]
    assert "ValueError: <number" in line["exception"]
    for secret in ("9876543210", "abcdef", hidden):
        assert secret not in log.text


def test_an_error_nobody_caught_is_logged_scrubbed(log: Log) -> None:
    try:
        raise ValueError(f"{NUMBER} refused")
    except ValueError as error:
        sys.excepthook(type(error), error, error.__traceback__)
    thread = threading.Thread(target=lambda: int(f"{NUMBER}x"))
    thread.start()
    thread.join()
    assert [line["level"] for line in log.lines] == ["critical", "critical"]
    assert "9876543210" not in log.text


def test_configured_secrets_are_masked_wherever_they_turn_up(log: Log) -> None:
    logs.hide("hush-provider")
    said = ("hush/database", "hush%2Fdatabase", "hush-redis", "hush-broker", "hush-hush-hush-hush",
            "hush-old-hush-old", "hush-flower", "hush-provider")  # fmt: skip
    for secret in said:
        logging.getLogger("x").warning("the driver says %s is wrong", secret)
        logs.get_logger("x").warning("so do we", what=secret)
    assert len(log.lines) == 2 * len(said)
    assert "hush" not in log.text


def test_bound_context_is_scrubbed(log: Log) -> None:
    with structlog.contextvars.bound_contextvars(contact=NUMBER):
        logs.get_logger("x").warning("hello")
    assert "9876543210" not in log.text
    assert log.lines[0]["contact"].startswith("<number ")


def test_the_level_of_the_settings_holds(home: Path) -> None:
    log = Log(Settings(home=home, log_level="warning"))
    logs.get_logger("x").info("quiet")
    logging.getLogger("x").info("quiet")
    logs.get_logger("x").warning("loud")
    assert "quiet" not in log.text
    assert "loud" in log.text


def test_texts_for_elsewhere_can_be_scrubbed_the_same_way(log: Log) -> None:
    logs.get_logger("x").warning(NUMBER)
    assert logs.scrub(NUMBER) == log.lines[0]["event"]


def test_a_line_before_configure_is_scrubbed_as_well(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handler = logging.StreamHandler(stream := io.StringIO())
    root.handlers = [handler]
    logs.get_logger("early").warning("calling", to=NUMBER)
    assert "calling" in stream.getvalue()
    assert "9876543210" not in stream.getvalue()
    assert capsys.readouterr().out == ""
