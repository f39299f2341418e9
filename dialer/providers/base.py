"""The recipe by which every provider places a call, and the small contract an adapter fills in.

`submit` sends one attempt to a provider and says what became of it; what else a provider is asked stands in
`asking.py`. An `Adapter` only translates: our words into the provider's request, its reply and its callbacks into our
words. Everything that can go wrong on the way is classified here, once (docs/providers.md has the table).
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import aiohttp

from dialer.calls.flow import Flow
from dialer.calls.lookups import ASKED_FOR, Patience, patience
from dialer.calls.repeats import RepeatPolicy
from dialer.http import Client, Request, Trace, make_request
from dialer.providers.contract import (
    Asked,
    Capability,
    CdrPage,
    Fact,
    Outcome,
    ProviderConfig,
    ProviderError,
    ProviderRequest,
    ProviderSettingError,
    RawEvent,
    Refusal,
    RefusedError,
    Reply,
    Submission,
    SubmitResult,
    TextMessage,
    Verdict,
)
from dialer.providers.live import Answer, Order, Question, Response, heard_in
from dialer.providers.methods import BlackList, Method, Value
from dialer.providers.redact import scrub
from dialer.retry_after import parse_retry_after

MAX_REPLY = 1 << 20  # bytes of a reply that are read
MAX_UNHEARD_OF = 1 << 16  # … of a reply that is kept for its words: private ones are looked for in all of it
#: 4xx that say nothing about whether the request was acted on: timed out, in conflict (perhaps with itself, let
#: through twice by a proxy), too early.
UNCLEAR = frozenset({408, 409, 425})
TOO_LONG = b"(more than is looked through)"
#: A provider's own reference: printable ASCII without blanks.
_REFERENCE = re.compile(r"[!-~]{1,128}")


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
    #: An attempt without a final event after this is looked up, or settled.
    final_event_within: ClassVar[timedelta]
    look_up_after: ClassVar[timedelta | None] = None  # … and before, where no event tells the end
    asked_for: ClassVar[timedelta] = ASKED_FOR  # … and for so long after `final_event_within`
    #: Its cost is looked up so long after the submit, where a look-up tells one and events do not.
    cost_after: ClassVar[timedelta | None] = None
    calls_back: ClassVar[bool] = True  # whether events tell of its calls
    cdrs_every: ClassVar[timedelta] = timedelta(minutes=10)  # how often its CDRs are read, where it keeps any
    cdrs_of_inbound: ClassVar[bool] = False  # whether those tell of calls that came in, and of no others
    methods: ClassVar[Mapping[str, Method]] = {}  # what it documents beside calls
    black_list: ClassVar[BlackList | None] = None  # which of them keep one
    open_settings: ClassVar[frozenset[str]] = frozenset()  # settings that are no secrets
    keys_need_https: ClassVar[bool] = False  # whether it tells of the keys of a flow at https addresses alone
    #: Not to be set: whether any of its callbacks waits for an answer (it has a `read_question` of its own), and
    #: whether any is signed (an `is_signed`).
    asks: ClassVar[bool] = False
    signs: ClassVar[bool] = False

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.asks = cls.asks or "read_question" in vars(cls)
        cls.signs = cls.signs or "is_signed" in vars(cls)

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

    @classmethod
    def read_alarm(cls, raw: RawEvent) -> str:
        """What of a callback that can be read somebody should look at, a phrase; empty for most. It is counted as what
        is not understood. EventError when it makes no sense."""
        return ""

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

    @classmethod
    def read_handles(cls, raw: RawEvent) -> Mapping[str, str]:
        """What a callback of a call of ours calls its line by, for `control`; nothing for most."""
        return {}

    def control(self, order: Order) -> tuple[str, dict[str, Value]]:
        """The method that does this to a call that is going on, and its parameters.

        Raises ProviderError, a sentence that says what the provider, or the call as it stands, lacks for it.
        """
        raise ProviderError(
            f"A provider of kind {self.kind} cannot {order.control} a call that is going on: it documents nothing "
            "for that."
        )

    def parties(self, order: Order) -> Mapping[str, str]:
        """Of a transfer that parts two who are connected, the provider's names of them: `kept` is handed on, `other`
        hands them on. It will ask about each; empty where one alone is asked about, or nobody."""
        return {}

    @classmethod
    def is_signed(cls, raw: RawEvent, open_settings: Mapping[str, str]) -> bool:
        """Whether a callback's signature proves it to be the provider's; True where the provider signs nothing, or
        nothing is set to check it with. Basic authorization is the webhook's to check, for every kind.

        `open_settings` are those of `open_settings`: no credential is needed to check a signature.
        """
        return True

    @classmethod
    def dedupe_key(cls, raw: RawEvent) -> str:
        """Equal for two deliveries of the same event: a hash over method, path, query and body."""
        digest = hashlib.blake2b(digest_size=16)  # as short as is safe: it is in the table and in its index
        for part in (raw.method.encode(), raw.path.encode(), raw.query.encode(), raw.body):
            digest.update(len(part).to_bytes(8, "big"))  # so that no two different events read the same
            digest.update(part)
        return digest.hexdigest()

    @classmethod
    def read_text_message(cls, raw: RawEvent) -> TextMessage | None:
        """What somebody has written back, where a callback tells that and nothing of an attempt."""
        return None

    @classmethod
    def kept(cls, raw: RawEvent) -> RawEvent:
        """A callback, or a reply that is kept as one, as it is stored: without what must not lie in the tables, a
        one-time password that the provider repeats. `dedupe_key` is of what came."""
        return raw

    @classmethod
    def check_campaign(cls, language: str, has_text: bool, has_media: bool) -> list[str]:
        """Why a campaign with such a message cannot go through this provider: one sentence each."""
        problems = []
        if has_text and Capability.ANNOUNCE_TEXT not in cls.capabilities:
            problems.append(f"A provider of kind {cls.kind} cannot speak a text; use a recorded file.")
        if has_media and Capability.ANNOUNCE_FILE not in cls.capabilities:
            problems.append(f"A provider of kind {cls.kind} cannot play a recorded file; use a text.")
        return problems

    @classmethod
    def check_flow(cls, flow: Flow, language: str) -> list[str]:
        """Why a campaign with such a flow cannot go through this provider: one sentence each.

        Override where a provider walks through menus by itself, and not all of them.
        """
        if Capability.IVR not in cls.capabilities:
            return [f"A provider of kind {cls.kind} cannot ask for keys."]
        said = [prompt for _, prompt in flow.prompts()]
        has_text, has_media = any(one.text for one in said), any(one.media for one in said)
        return cls.check_campaign(language, has_text, has_media)

    @classmethod
    def check_repeats(cls, policy: RepeatPolicy) -> list[str]:
        """Why a provider of this kind cannot make these repeats by itself: one sentence each.

        Override where a provider that can (`REPEATS`) has no words for every policy.
        """
        return (
            []
            if Capability.REPEATS in cls.capabilities
            else [f"A provider of kind {cls.kind} cannot repeat."]
        )

    @classmethod
    def check_inbound(cls, answer: Answer) -> list[str]:
        """Why this provider cannot do all that a caller is to be answered with: one sentence each, with the mend.

        Override where what it says to callers is not what it can announce, or where it can do less, or more.
        """
        heard = heard_in(answer)
        problems = cls.check_campaign(
            answer.language, any(one.text for one in heard), any(one.media for one in heard)
        )
        if answer.connect is not None and answer.connect.press:
            problems.append(f"A provider of kind {cls.kind} presses no keys for callers: leave out press.")
        return problems

    @classmethod
    def read_question(cls, raw: RawEvent) -> Question | None:
        """What a callback asks that waits for an answer; None when it waits for none. EventError when it makes no
        sense. No credential is needed to read it."""
        return None

    @classmethod
    def write_answer(cls, question: Question, answer: Answer, settings: Mapping[str, str]) -> Response:
        """The answer in the provider's words. `settings` are those of `open_settings`."""
        raise NotImplementedError(f"{cls.kind} asks nothing")

    @classmethod
    def can_be_asked(cls) -> bool:
        """Whether a provider of this kind can be asked about an attempt."""
        return cls.lookup_request is not Adapter.lookup_request

    @classmethod
    def keeps_cdrs(cls) -> bool:
        """Whether a provider of this kind keeps CDRs that can be read."""
        return cls.cdr_request is not Adapter.cdr_request

    @classmethod
    def patience(cls, reconcile_after: timedelta | None = None) -> Patience:
        """When an attempt without a final event is looked up, and when it is settled."""
        return patience(
            cls.final_event_within,
            can_ask=cls.can_be_asked(),
            look_up_after=cls.look_up_after,
            asked_for=cls.asked_for,
            reconcile_after=reconcile_after,
        )

    def lookup_request(self, asked: Asked) -> ProviderRequest | None:
        """What asks the provider about one attempt, or None when it cannot be asked."""
        return None

    def read_lookup(self, reply: Reply, asked: Asked) -> list[Fact]:
        """What the provider says about it: nothing when it knows no end yet. Raises ProviderError, a sentence."""
        raise NotImplementedError(f"{self.kind} cannot be asked")

    def next_lookup(self, replies: Sequence[Reply], asked: Asked) -> ProviderRequest | None:
        """What asks on after these replies to a look-up, all of them so far; None: there is no more to be read.

        Override where a look-up is told in pages, and bound their number. Raises ProviderError, a sentence.
        """
        return None

    def read_lookups(self, replies: Sequence[Reply], asked: Asked) -> list[Fact]:
        """What all pages together say; as `read_lookup`."""
        return self.read_lookup(replies[-1], asked)

    def cdr_request(self, since: datetime, until: datetime, page: str | None) -> ProviderRequest | None:
        """What asks for the provider's CDRs of calls that ended from `since` to `until` (UTC), the page after
        the one that told `page`; None when it keeps none."""
        return None

    def read_cdrs(self, reply: Reply, page: str | None, until: datetime) -> CdrPage:
        """One page of CDRs, the one asked for with `page`; what tells no moment ended by `until` (UTC). Raises
        ProviderError, a sentence."""
        raise NotImplementedError(f"{self.kind} keeps no CDRs")

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
        request = _request_for(adapter, submission)
        prepared = prepare(adapter, request)
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


def refusal_by_status(status: int) -> Refusal:
    """Whose fault a 4xx is when its body does not say: a missing resource or right is the account's or the
    base URL's, the rest is the request's. Statuses of `UNCLEAR` are no refusals; `read_status` sees them first."""
    return Refusal.PROVIDER if status in (401, 402, 403, 404, 405, 407, 410) else Refusal.BAD_REQUEST


def refused_by_status(reply: Reply, lacking: str) -> Verdict:
    """The verdict on a 4xx whose body does not say why: `lacking` is what the provider documents and it has not."""
    return Verdict(
        Outcome.REFUSED,
        refusal=refusal_by_status(reply.status),
        detail=f"HTTP {reply.status} without {lacking}",
    )


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


def _request_for(adapter: Adapter, submission: Submission) -> ProviderRequest:
    try:
        return adapter.build_request(submission)
    except RefusedError as error:
        if error.refusal is Refusal.PROVIDER:  # one call must not pause a provider that others share
            raise RefusedError(Refusal.NOT_HERE, str(error)) from None
        raise


def prepare(adapter: Adapter, request: ProviderRequest) -> Request:
    """An adapter's request as it is sent. Raises RefusedError for one that cannot be."""
    for name, value in request.headers.items():
        if not (value.isascii() and value.isprintable()):
            # Said here, because the transport finds out only after the trace has said "sent".
            raise RefusedError(
                Refusal.PROVIDER, f"the header {name} cannot be sent: a credential holds a control character"
            )
    path = request.path.lstrip("/")
    base_url = request.base_url or adapter.base_url
    url = f"{base_url}/{path}" if path else base_url
    if request.params:
        url = f"{url}?{urlencode(request.params)}"
    return make_request(request.method, url, request.headers, json=request.json, content=request.content)


async def _judge(adapter: Adapter, response: aiohttp.ClientResponse) -> Verdict:
    by_status = adapter.read_status(Reply(response.status, response.headers, b""))
    if by_status is not None:
        return by_status
    reply = await receive(response)
    if reply.truncated and reply.status < 300:
        return Verdict(Outcome.UNKNOWN, detail=f"HTTP {reply.status} with more than {MAX_REPLY} bytes")
    try:
        verdict = adapter.read_reply(reply)
    except Exception as error:  # noqa: BLE001 - a bug of the adapter; the request is out, so its fate is unknown
        name = type(error).__name__
        verdict = Verdict(
            Outcome.UNKNOWN, detail=f"HTTP {reply.status}: the reply could not be read ({name})"
        )
    if verdict.outcome is Outcome.UNKNOWN and not verdict.is_documented:
        return replace(verdict, unheard_of=reply.body if len(reply.body) <= MAX_UNHEARD_OF else TOO_LONG)
    return verdict


async def receive(response: aiohttp.ClientResponse, longest: int = MAX_REPLY) -> Reply:
    """A reply as an adapter reads it, up to so many bytes of its body."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > longest:
            break
    return Reply(response.status, response.headers, bytes(body[:longest]), truncated=len(body) > longest)


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
    reference = verdict.provider_reference
    if reference and not _REFERENCE.fullmatch(reference):
        reference = None  # it goes into the tables and into logs: what is no name of a call is left out
    if verdict.outcome is Outcome.PLACED and not reference:
        reference = submission.attempt_id  # a provider that gives no reference of its own knows it by ours
    secrets = secrets_of(adapter, request)
    return SubmitResult(
        attempt_id=submission.attempt_id,
        outcome=verdict.outcome,
        provider_reference=reference,
        refusal=verdict.refusal,
        disposition=verdict.disposition,
        retry_after=verdict.retry_after,
        detail=scrub(verdict.detail, submission, secrets),
        asked=request is not None,
        unheard_of=scrub(verdict.unheard_of.decode(errors="replace"), submission, secrets),
    )


def secrets_of(adapter: Adapter, request: ProviderRequest | None) -> list[str]:
    """What no word about this request may hold."""
    secrets = list(adapter.settings.values())
    if request is not None:
        for value in request.headers.values():
            secrets.extend([value, value.partition(" ")[2]])  # "Bearer …": the word is no secret, the rest is
    return secrets
