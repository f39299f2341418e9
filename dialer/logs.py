"""Logs without people in them: structlog and the standard library through the same processors, to stderr.

Development gets a readable console, production one JSON object per line. Every line is scrubbed on its way,
tracebacks included: phone numbers become a keyed tag (the same number has the same tag within one installation,
so lines can still be joined), credentials and webhook tokens become `***`. Tracebacks never show local variables.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import sys
import threading
from collections.abc import Mapping, MutableMapping
from datetime import date, time, timedelta
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from dialer.memory import without
from dialer.settings import Settings

# It would paint tracebacks with rich, which takes 5 MB of every process; ours are plain.
with without("rich"):
    import structlog

MASK = "***"
_MIN_KNOWN_SECRET = 6  # a shorter one would blank innocent words
_TAG_LENGTH = 8
_INT_LIMIT = 10**8  # nine digits

_SECRET_NAME = re.compile(
    r"(?:^|[_\-. ])(?:x[_-]?)?"
    r"(?:auth(?:orization)?|authkey|auth[_-]key|pass(?:word|wd|phrase)|tokens?|access[_-]?key|api[_-]?key|"
    r"private[_-]?key|secret(?:[_-]?key)?s?|otp(?:[_-]?code)?|cookie)$",
    re.IGNORECASE,
)

#: `password=…`, `"token": "…"`, `Authorization: Bearer …`, `(b'authorization', b'…')`.
_NAMED_SECRET = re.compile(
    r"""
    (?P<name>
        (?<![A-Za-z0-9])(?:[A-Za-z]+[_-])*
        (?:auth(?:orization)?|authkey|auth[_-]key|pass(?:word|wd|phrase)|token|access[_-]?key|api[_-]?key|
           private[_-]?key|secret(?:[_-]?key)?|otp(?:[_-]?code)?|cookie)
        (?: \\?["'] \s*[:,=]\s* | \s*[:=]\s* | %3D )
    )
    (?:
        (?P<quote> b?\\?["'] ) (?P<quoted> .*? ) (?= \\?["'] )
      | (?: (?:Bearer|Basic|Digest|Token)\s+ )? [^\s&"',;)}\]]+
    )
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_SCHEME_SECRET = re.compile(r"\b((?i:Bearer|Basic|Digest)\s+)(?=\S*[A-Z0-9=])[A-Za-z0-9+/=._~\-]{6,}")
_URL_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.\-]*://[^\s:/@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
_WEBHOOK_TOKEN = re.compile(r"""(/webhooks/[^/\s?"']+/)[^/\s?&#"'\\)\]}]+""")

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HEX = r"(?=[0-9]*[a-f])(?:[0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})"
_CALL_ID = r"(?:WD)?(?=[0-9]*[a-z])[0-9a-hjkmnp-tv-z]{20}"
_NAMED_ID = r"(?:AC|AK|AN|LS|DN|CM|PR|IM|WH)[0-9a-z]{10}"

#: Ids go first, so that the digits in them are passed over.
_NUMBER = re.compile(
    rf"(?<![A-Za-z0-9])(?P<id>{_UUID}|{_HEX}|{_CALL_ID}|{_NAMED_ID})(?![A-Za-z0-9])"
    r"|(?:\+|%2[Bb])\d{7,}|(?:\+|%2[Bb])\d(?:[ ().\-]{0,2}\d){6,14}|\d{9,}"
)


class Scrubber:
    """Masks phone numbers and secrets in anything that may be logged."""

    def __init__(self, key: str, known: tuple[str, ...] = ()) -> None:
        self._key = hashlib.sha256(b"dialer log tag" + key.encode()).digest()
        self._known: re.Pattern[str] | None = None
        self._values: set[str] = set()
        self.hide(*known)

    def hide(self, *values: str) -> None:
        """From now on each of `values` is masked wherever it stands, also when it is written for a URL."""
        for value in values:
            if len(value) >= _MIN_KNOWN_SECRET:
                self._values |= {value, quote(value), quote(value, safe="")}
        if self._values:
            longest_first = sorted(self._values, key=len, reverse=True)
            self._known = re.compile("|".join(map(re.escape, longest_first)))

    def text(self, text: str) -> str:
        """`text` without numbers and secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _WEBHOOK_TOKEN.sub(rf"\1{MASK}", text)
        text = _URL_PASSWORD.sub(rf"\1{MASK}", text)
        text = _NAMED_SECRET.sub(_mask_named, text)
        text = _SCHEME_SECRET.sub(rf"\1{MASK}", text)
        return _NUMBER.sub(self._tag, text)

    def value(self, value: Any) -> Any:
        """`value` of a log line without numbers and secrets, in a shape every renderer can write."""
        if value is None or isinstance(value, bool | date | time | timedelta):
            return value
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, int | float):
            return value if abs(value) < _INT_LIMIT else self.text(str(value))
        if isinstance(value, Mapping):
            return {self.text(str(name)): self.named(str(name), item) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        return self.text(repr(value))

    def named(self, name: str, value: Any) -> Any:
        """As `value`; masked altogether when its name says that it is secret."""
        if _SECRET_NAME.search(name) and value is not None and not isinstance(value, bool):
            return MASK
        return self.value(value)

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """The structlog processor."""
        return {
            name if name.startswith("_") else self.text(name): (
                item if name.startswith("_") else self.named(name, item)
            )
            for name, item in event.items()
        }

    def _tag(self, match: re.Match[str]) -> str:
        if match["id"]:
            return match[0]
        digits = re.sub(r"^%2[Bb]|\D", "", match[0])
        tag = hmac.new(self._key, digits.encode(), hashlib.sha256).hexdigest()[:_TAG_LENGTH]
        return f"<number {tag}>"


def configure(settings: Settings) -> None:
    """Sets logging up for this process; call it once at its start, again after a change of settings.

    Everything goes to stderr. Loggers of libraries (Celery, uvicorn, SQLAlchemy, httpx) lose their own handlers.
    """
    global _scrubber  # noqa: PLW0603 - one per process, as logging itself
    keys = settings.secret_keys()
    _scrubber = Scrubber(keys[-1], tuple(_configured_secrets(settings)))

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    _set_level(root, settings.log_level)
    for name in (
        "uvicorn",
        "uvicorn.error",
        "uvicorn.asgi",
        "celery",
        "sqlalchemy",
        "flower",
    ):
        library = logging.getLogger(name)
        library.handlers = []
        library.propagate = True
    # One line per request tells nothing that the metrics do not, and its path may hold a number or a token. Without a
    # handler in reach, uvicorn does not even put the line together.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate, access.disabled = [], False, True
    for name in ("alembic", "httpx", "httpcore", "aiohttp", "sqlalchemy", "tornado.access", "amqp", "kombu"):
        _set_level(logging.getLogger(name), logging.WARNING)
    # Two lines per doorbell tell nothing that Flower does not; a task that fails is logged all the same.
    for name in ("celery.worker.strategy", "celery.app.trace"):
        _set_level(logging.getLogger(name), logging.WARNING)
    logging.raiseExceptions = False  # a line that cannot be written must not print its arguments

    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def _set_level(logger: logging.Logger, level: int | str) -> None:
    """Each change goes through all loggers there are, which a fork would have to copy: 2 MB."""
    if logging.getLevelName(logger.level) != level and logger.level != level:
        logger.setLevel(level)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger to call as `log.info("call placed", call_id=…)`; safe before `configure`, too."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def hide(*values: str) -> None:
    """Masks these secrets wherever they turn up in a log line of this process from now on."""
    _scrubber.hide(*values)


def scrub(text: str) -> str:
    """`text` as it would stand in a log: for error texts that are kept or shown."""
    return _scrubber.text(text)


def _scrub_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return _scrubber(logger, method, event)


def _mask_named(match: re.Match[str]) -> str:
    return f"{match['name']}{match['quote'] or ''}{MASK}"


def _configured_secrets(settings: Settings) -> list[str]:
    found = settings.secret_keys()
    if settings.secret_key is not None:
        found.append(settings.secret_key.get_secret_value())
    if settings.flower_auth is not None:
        found.append(settings.flower_auth.get_secret_value().partition(":")[2])
    for url in (settings.database_url, settings.redis_url, settings.broker_url):
        password = urlsplit(url).password or ""
        found += [password, unquote(password)]
    return found


def _renderer(settings: Settings) -> Any:
    if settings.is_production:
        return structlog.processors.JSONRenderer()
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    get_logger("dialer").critical("ended by an error nobody expected", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None and failure.exc_type is not SystemExit:
        _log_uncaught(failure.exc_type, failure.exc_value, failure.exc_traceback)


#: Until `configure` sets one with a lasting key, tags hold within this process only.
_scrubber = Scrubber(secrets.token_hex())

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    _scrub_line,
]

# At import, so that a line logged before `configure` is scrubbed as well.
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        *_SHARED,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
