"""The recipe every provider follows, and the small contract an adapter fills in.

`submit` sends one attempt to a provider and says what became of it; `check` asks whether the account works.
An `Adapter` only translates: our words into the provider's request, its reply and its callbacks into our
words. Everything that can go wrong on the way is classified here, once (docs/providers.md has the table).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import importlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar
from urllib.parse import parse_qsl, quote, quote_plus, urlencode, urlsplit

import aiohttp

from dialer.http import Client, Request, Trace, make_request
from dialer.lifecycle import AttemptState, Disposition

#: Where the adapter of each kind lives. Imported when first used.
KINDS: Mapping[str, str] = {
    "mitto": "dialer.providers.mitto:MittoAdapter",
}

MAX_REPLY = 1 << 20  # bytes of a reply that are read
MAX_DETAIL = 300  # characters
MAX_FIELDS = 200  # of a callback
RETRY_AFTER_LEAST, RETRY_AFTER_MOST = 1.0, 24 * 3600.0  # seconds
#: 4xx that say nothing about whether the request was acted on: timed out, in conflict (perhaps with itself, let
#: through twice by a proxy), too early.
UNCLEAR = frozenset({408, 409, 425})


class Capability(StrEnum):
    """What a provider can do for us."""

    ANNOUNCE_TEXT = "ANNOUNCE_TEXT"  # speak a text
    ANNOUNCE_FILE = "ANNOUNCE_FILE"  # play a recorded file
    VOICE_OTP = "VOICE_OTP"  # speak a one-time password
    FLASH_OTP = "FLASH_OTP"  # the code is the end of the calling number
    SMS_OTP = "SMS_OTP"  # send a one-time password as a text message
    CLICK_TO_CALL = "CLICK_TO_CALL"  # connect two people
    IVR = "IVR"  # ask for keys and act on them


class Outcome(StrEnum):
    """What became of a submit."""

    PLACED = "PLACED"  # the provider took the attempt
    NOT_SENT = "NOT_SENT"  # provably nothing reached the provider: may be sent again
    NOT_PROCESSED = "NOT_PROCESSED"  # the provider documents that it did nothing (429): may be sent again
    REFUSED = "REFUSED"  # the provider said no, or the attempt cannot be put into its words
    UNKNOWN = "UNKNOWN"  # sent without a definite answer: it may be ringing, never send it again


class Refusal(StrEnum):
    """Whose fault a refusal is, and so what helps."""

    BAD_NUMBER = "BAD_NUMBER"  # the callee's number: ends the call as INVALID_NUMBER
    BAD_REQUEST = "BAD_REQUEST"  # this call's data: the same call would be refused again
    PROVIDER = "PROVIDER"  # the account (no funds, bad credentials, forbidden): pause and flag the provider


class ProviderError(Exception):
    """Something about a provider is wrong; the message is one sentence without numbers or credentials."""


class ProviderSettingError(ProviderError):
    """A provider is configured in a way that cannot work."""


class RefusedError(ProviderError):
    """Raised by `build_request` for an attempt this provider cannot make; nothing was sent."""

    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


class EventError(ProviderError):
    """A callback that cannot be understood; the message says why, for the event's row."""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A configured provider. `settings` are its decrypted credential keys and never show in a repr."""

    id: str
    name: str
    kind: str
    base_url: str
    settings: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Submission:
    """One attempt to be placed, in our words.

    `to` is E.164 with the plus. Exactly one of `text` and `media` (name of a recorded file) is set.
    `language`, `voice`, `volume`, `rate` and `pitch` are in the words of `cpaas-campaign-api.md`
    (create_campaign).
    """

    attempt_id: str
    to: str = field(repr=False)
    caller_id: str = field(repr=False)
    text: str | None = field(repr=False)
    media: str | None = field(repr=False)
    repeat_count: int = 1
    language: str = "en-US"
    voice: str = "Joanna"
    volume: str = "medium"
    rate: str = "medium"
    pitch: str = "medium"


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """What became of a submit. `retry_after` is in seconds; `detail` holds no number, credential or text."""

    attempt_id: str
    outcome: Outcome
    provider_reference: str | None = None
    refusal: Refusal | None = None
    disposition: Disposition | None = None
    retry_after: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RawEvent:
    """A callback as it came in. `path` is what the provider appended to our URL after the token."""

    method: str
    path: str = field(repr=False)
    query: str = field(repr=False)
    content_type: str
    body: bytes = field(repr=False)
    authorization: str | None = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """What an event says about an attempt, in our words.

    `state` is RINGING, ANSWERED or ENDED; `disposition` and `hangup_cause` (Q.850) come with ENDED.
    `at` is UTC, `duration` and `billsec` are seconds.
    """

    attempt_id: str
    state: AttemptState
    disposition: Disposition | None
    hangup_cause: int | None
    at: datetime
    duration: float | None
    billsec: float | None
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """A request in the provider's words: `path` is appended to the base URL, `json` or `content` the body."""

    method: str
    path: str = field(repr=False)
    params: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A provider's reply. `truncated`: the body was longer than `MAX_REPLY` and only its start is here."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool = False

    def json_object(self) -> dict[str, Any] | None:
        """The body as a JSON object, or None when it is anything else."""
        return _json_object(self.body)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an adapter reads a reply; see `SubmitResult` for the fields."""

    outcome: Outcome
    provider_reference: str | None = None
    refusal: Refusal | None = None
    disposition: Disposition | None = None
    retry_after: float | None = None
    detail: str = ""


class Adapter(ABC):
    """Translates between us and one kind of provider. Holds no state but its settings, does no I/O.

    A new kind defines the class variables, `build_request`, `read_reply` and `read_event`; the rest has an
    answer here that fits most providers. See docs/adding-a-provider.md.
    """

    kind: ClassVar[str]
    default_base_url: ClassVar[str]  # "" when the user must give one
    required_settings: ClassVar[Mapping[str, str]]  # key -> one sentence
    optional_settings: ClassVar[Mapping[str, str]]  # key -> one sentence
    capabilities: ClassVar[frozenset[Capability]]
    final_event_within: ClassVar[timedelta]  # an attempt without a final event after this is settled UNKNOWN

    def __init__(self, config: ProviderConfig) -> None:
        """Raises ProviderSettingError when the configuration cannot work."""
        self.config = config
        self.base_url = _checked_base_url(config, self.default_base_url)
        self.settings = _checked_settings(config, self.required_settings, self.optional_settings)

    @abstractmethod
    def build_request(self, submission: Submission) -> ProviderRequest:
        """The request that places this attempt; its id must travel as our reference.

        Raises RefusedError for an attempt that this provider cannot make.
        """

    @abstractmethod
    def read_reply(self, reply: Reply) -> Verdict:
        """What a 2xx or 4xx reply means. What is not surely one of the documented answers is UNKNOWN."""

    @classmethod
    @abstractmethod
    def read_event(cls, raw: RawEvent) -> list[Fact]:
        """What a callback says; no credential is needed to read it. An empty list when nothing is of interest,
        EventError when it makes no sense."""

    def read_status(self, reply: Reply) -> Verdict | None:
        """What the status says by itself, before the body is read; None leaves it to `read_reply`.

        Override where a provider documents a status differently.
        """
        status = reply.status
        if status == 429:
            retry_after = parse_retry_after(reply.headers.get("retry-after"), datetime.now(UTC))
            return Verdict(
                Outcome.NOT_PROCESSED, retry_after=retry_after, detail="HTTP 429: too many requests"
            )
        if status in UNCLEAR or not (200 <= status < 300 or 400 <= status < 500):
            return Verdict(Outcome.UNKNOWN, detail=f"HTTP {status}: nobody knows whether it was placed")
        return None

    def authentic(self, raw: RawEvent) -> bool:
        """Whether the callback proves to be the provider's: Basic auth, when `callback_user` or
        `callback_password` is set; else the token in the URL is all there is to check."""
        user = self.settings.get("callback_user", "")
        password = self.settings.get("callback_password", "")
        if not user and not password:
            return True
        expected = base64.b64encode(f"{user}:{password}".encode()).decode()
        scheme, _, given = (raw.authorization or "").strip().partition(" ")
        return scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode(), expected.encode())

    @classmethod
    def dedupe_key(cls, raw: RawEvent) -> str:
        """Equal for two deliveries of the same event: a hash over method, path, query and body."""
        digest = hashlib.blake2b(digest_size=16)  # as short as is safe: it is in the table and in its index
        for part in (raw.method.encode(), raw.path.encode(), raw.query.encode(), raw.body):
            digest.update(len(part).to_bytes(8, "big"))  # so that no two different events read the same
            digest.update(part)
        return digest.hexdigest()

    @classmethod
    def check_campaign(cls, language: str, has_text: bool, has_media: bool) -> list[str]:
        """Why a campaign with such a message cannot go through this provider: one sentence each."""
        problems = []
        if has_text and Capability.ANNOUNCE_TEXT not in cls.capabilities:
            problems.append(f"A provider of kind {cls.kind} cannot speak a text; use a recorded file.")
        if has_media and Capability.ANNOUNCE_FILE not in cls.capabilities:
            problems.append(f"A provider of kind {cls.kind} cannot play a recorded file; use a text.")
        return problems

    def check_request(self) -> ProviderRequest | None:
        """A harmless request that shows whether the account works, or None when the provider has none."""
        return None

    def read_check(self, reply: Reply) -> str:
        """One sentence about a working account. Raises ProviderError, a sentence, when it does not work."""
        if 200 <= reply.status < 300:
            return f"{self.config.name} answers and accepts its credentials."
        raise ProviderError(f"{self.config.name} answered with HTTP {reply.status}; check its settings.")


async def submit(
    client: Client,
    adapter: Adapter,
    submission: Submission,
    *,
    timeout: float,  # noqa: ASYNC109 - the deadline is part of the recipe: its end has an outcome of its own
    trace: Trace | None = None,
) -> SubmitResult:
    """Send one attempt to its provider, once, within `timeout` seconds, and say what became of it.

    Never raises for anything the provider, the network or the adapter does. A cancellation passes through, as
    it must: what was cancelled has no result. Who needs to know whether the request had left passes a fresh
    `trace` and looks at `trace.sent`.
    """
    trace = Trace() if trace is None else trace
    try:
        request = adapter.build_request(submission)
        prepared = _prepare(adapter, request)
    except RefusedError as error:
        refused = Verdict(Outcome.REFUSED, refusal=error.refusal, detail=str(error))
        return _result(adapter, submission, refused)
    except Exception as error:  # noqa: BLE001 - a bug of one adapter must not cost the batch; nothing was sent
        refused = Verdict(
            Outcome.REFUSED,
            refusal=Refusal.BAD_REQUEST,
            detail=f"the request could not be built ({type(error).__name__})",
        )
        return _result(adapter, submission, refused)
    verdict: Verdict | None = None
    try:
        async with asyncio.timeout(timeout):
            response = await client.exchange(prepared, trace)
            try:
                verdict = await _judge(adapter, response)
            finally:
                response.release()
    except Exception as error:  # noqa: BLE001 - transports raise more than they document; the trace decides
        # What was read before a failing close stands.
        verdict = verdict or _interrupted(error, trace)
    return _result(adapter, submission, verdict, request)


async def check(client: Client, adapter: Adapter, *, timeout: float = 10.0) -> str:  # noqa: ASYNC109
    """One sentence about the provider's account. Raises ProviderError, a sentence, when it does not work."""
    name = adapter.config.name
    request = adapter.check_request()
    if request is None:
        return f"{name} has no request that could test it; its settings are complete."
    trace = Trace()
    try:
        prepared = _prepare(adapter, request)
        async with asyncio.timeout(timeout):
            response = await client.exchange(prepared, trace)
            try:
                reply = await _read(response)
            finally:
                response.release()
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - transports raise more than they document
        host = urlsplit(adapter.base_url).hostname
        did = "did not answer" if trace.connected else "could not be reached"
        raise ProviderError(
            f"{name} {did} at {host} ({type(error).__name__}); check --base-url and the network."
        ) from None
    return adapter.read_check(reply)


def adapter_kinds() -> list[str]:
    """The kinds of provider that there is an adapter for, sorted."""
    return sorted(KINDS)


@cache
def adapter_class(kind: str) -> type[Adapter]:
    """The adapter of a kind. Raises ProviderSettingError for an unknown kind."""
    where = KINDS.get(kind)
    if where is None:
        raise ProviderSettingError(f"There is no provider kind {kind!r}; choose one of {', '.join(KINDS)}.")
    module, _, name = where.partition(":")
    found: type[Adapter] = getattr(importlib.import_module(module), name)
    return found


def make_adapter(config: ProviderConfig) -> Adapter:
    """The adapter of a configured provider.

    Raises ProviderSettingError, one sentence: unknown kind, unusable base URL, missing or unknown setting.
    """
    return adapter_class(config.kind)(config)


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """`Retry-After` in seconds from `now` (aware), from seconds or an HTTP date (RFC 9110, 10.2.3); None when
    absent or unreadable. Clamped to 1 s … 24 h: zero would hammer, years would silence a provider for good."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        seconds = float(value[:9]) if len(value) < 9 else RETRY_AFTER_MOST
    else:
        try:
            date = parsedate_to_datetime(value)
            if date.tzinfo is None:
                date = date.replace(tzinfo=UTC)
            seconds = (date - now).total_seconds()
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
    return min(max(seconds, RETRY_AFTER_LEAST), RETRY_AFTER_MOST)


def refusal_by_status(status: int) -> Refusal:
    """Whose fault a 4xx is when its body does not say: a missing resource or right is the account's or the
    base URL's, the rest is the request's. Statuses of `UNCLEAR` are no refusals; `read_status` sees them first."""
    return Refusal.PROVIDER if status in (401, 402, 403, 404, 405, 407, 410) else Refusal.BAD_REQUEST


def digits(number: str) -> str:
    """The digits of a number: E.164 without the plus, as most providers want it."""
    plain = number.removeprefix("+")
    if plain.isascii() and plain.isdigit():
        return plain
    return "".join(c for c in number if c.isascii() and c.isdigit())


def event_fields(raw: RawEvent) -> dict[str, str]:
    """The parameters of a callback, wherever the provider put them: URL, form or JSON object. Never raises.

    A field given twice counts once, the URL's first.
    """
    if not raw.body:
        return _pairs(raw.query)
    decoded = _json_object(raw.body)
    if decoded is not None:
        fields = {key: _plain(value) for key, value in decoded.items()}
    else:
        fields = _pairs(raw.body.decode("utf-8", "replace"))
    fields.update(_pairs(raw.query))
    return fields


def checked_reference(value: str) -> str:
    """`value` when it can be an attempt's id, else EventError: nonsense must not reach the tables."""
    if not value:
        raise EventError("the callback holds no reference")
    if len(value) > 64 or not value.isascii() or not value.isprintable():
        raise EventError("the callback's reference is not one of ours")
    return value


def seconds(value: str) -> float | None:
    """A length in seconds, or None when it is not a number from 0 to a day."""
    try:
        length = float(value)
    except ValueError:
        return None
    return length if 0 <= length <= 86400 else None


def scrub(text: str, submission: Submission, secrets: Iterable[str]) -> str:
    """`text` without the attempt's number, message and codes, without credentials, on one line, not too long.

    Providers love to echo what they were sent, so what remains is what this attempt did not contain.
    """
    if not text:
        return ""
    text = " ".join(text.split())
    hidden = {secret for secret in secrets if len(secret) >= 4}
    for private in (submission.text, submission.media):
        if private:
            hidden.update((private, " ".join(private.split())))
            # A code may be echoed by itself.
            words = re.findall(r"\w{3,}", private)
            hidden.update(word for word in words if any(c.isdigit() for c in word))
            # … or as it is spoken, one character at a time: `1, 9, 8, 7`.
            spoken = re.findall(r"\b\w(?:, \w\b)+", private)
            hidden.update(spoken)
            hidden.update(run.replace(", ", "") for run in spoken)
    for number in (submission.to, submission.caller_id):
        if number:
            hidden.update((number, digits(number)))
    spellings = (str, quote, quote_plus, lambda word: json.dumps(word)[1:-1])
    forms = {spell(word) for word in hidden if word for spell in spellings}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "[…]")
    text = re.sub(r"\+?\d[\d\s().-]{5,}\d", "[…]", text)  # any other number that looks like a phone's
    return text[:MAX_DETAIL]


def _checked_base_url(config: ProviderConfig, default: str) -> str:
    base_url = config.base_url or default
    if not base_url:
        raise ProviderSettingError(f"Provider {config.name} needs its address: give --base-url.")
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not base_url.isprintable():
        raise ProviderSettingError(
            f"The base URL of provider {config.name} is not a web address; it must begin with https:// or http://."
        )
    return base_url.rstrip("/")


def _checked_settings(
    config: ProviderConfig, required: Mapping[str, str], optional: Mapping[str, str]
) -> dict[str, str]:
    for key, meaning in required.items():
        if not config.settings.get(key, "").strip():
            raise ProviderSettingError(
                f"Provider {config.name} needs the setting {key} ({meaning}): give --set {key}=…"
            )
    for key in config.settings:
        if key not in required and key not in optional:
            known = ", ".join([*required, *optional])
            raise ProviderSettingError(
                f"A provider of kind {config.kind} has no setting {key!r}; it knows {known}."
            )
    return dict(config.settings)


def _prepare(adapter: Adapter, request: ProviderRequest) -> Request:
    for name, value in request.headers.items():
        if not (value.isascii() and value.isprintable()):
            # Said here, because the transport finds out only after the trace has said "sent".
            raise RefusedError(
                Refusal.PROVIDER, f"the header {name} cannot be sent: a credential holds a control character"
            )
    path = request.path.lstrip("/")
    url = f"{adapter.base_url}/{path}" if path else adapter.base_url
    if request.params:
        url = f"{url}?{urlencode(request.params)}"
    return make_request(request.method, url, request.headers, json=request.json, content=request.content)


async def _judge(adapter: Adapter, response: aiohttp.ClientResponse) -> Verdict:
    by_status = adapter.read_status(Reply(response.status, response.headers, b""))
    if by_status is not None:
        return by_status
    reply = await _read(response)
    if reply.truncated and reply.status < 300:
        return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status} with more than {MAX_REPLY} bytes")
    try:
        return adapter.read_reply(reply)
    except Exception as error:  # noqa: BLE001 - a bug of the adapter; the request is out, so its fate is unknown
        name = type(error).__name__
        return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status}: the reply could not be read ({name})")


async def _read(response: aiohttp.ClientResponse) -> Reply:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > MAX_REPLY:
            break
    return Reply(response.status, response.headers, bytes(body[:MAX_REPLY]), truncated=len(body) > MAX_REPLY)


def _interrupted(error: Exception, trace: Trace) -> Verdict:
    # Only the exception's type: its text holds the URL, and that may hold numbers and credentials. Of its cause,
    # where there is one: the transport calls almost everything a ConnectTimeout.
    name = type(error.__cause__ or error).__name__
    if trace.sent:
        return Verdict(Outcome.UNKNOWN, detail=f"sent, but no whole answer came back ({name})")
    if trace.connected:
        return Verdict(Outcome.NOT_SENT, detail=f"connected, but nothing was sent ({name})")
    return Verdict(Outcome.NOT_SENT, detail=f"no connection to the provider ({name})")


def _result(
    adapter: Adapter, submission: Submission, verdict: Verdict, request: ProviderRequest | None = None
) -> SubmitResult:
    secrets = list(adapter.settings.values())
    if request is not None:
        for value in request.headers.values():
            secrets.extend([value, value.partition(" ")[2]])  # "Bearer …": the word is no secret, the rest is
    reference = verdict.provider_reference
    if verdict.outcome is Outcome.PLACED and not reference:
        reference = submission.attempt_id  # a provider that gives no reference of its own knows it by ours
    return SubmitResult(
        attempt_id=submission.attempt_id,
        outcome=verdict.outcome,
        provider_reference=reference,
        refusal=verdict.refusal,
        disposition=verdict.disposition,
        retry_after=verdict.retry_after,
        detail=scrub(verdict.detail, submission, secrets),
    )


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None


def _pairs(encoded: str) -> dict[str, str]:
    if "%" not in encoded and "+" not in encoded and encoded.count("&") < MAX_FIELDS:
        # As below, in a third of the time: nothing is to be decoded.
        plain = [part.partition("=") for part in encoded.split("&") if part]
        return {name: value for name, _, value in reversed(plain)}
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    return dict(reversed(pairs))


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)
