"""The recipe every provider follows, and the small contract an adapter fills in.

`submit` sends one attempt to a provider and says what became of it; `look_up` asks about one that nobody has told the
end of, and `read_cdr_page` about all; `check` asks whether the account works; `call_method` uses what else the provider
documents.
An `Adapter` only translates: our words into the provider's request, its reply and its callbacks into our
words. Everything that can go wrong on the way is classified here, once (docs/providers.md has the table).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, TypeVar
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
    MethodRefusedError,
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
    TooManyRequestsError,
    UnclearError,
    Verdict,
)
from dialer.providers.live import Answer, Order, Question, Response, heard_in
from dialer.providers.methods import BlackList, Method, Step, Value, unknown_method
from dialer.providers.redact import hide, scrub
from dialer.retry_after import parse_retry_after

MAX_REPLY = 1 << 20  # bytes of a reply that are read
MAX_CDRS = 16 << 20  # … of a page of CDRs
MAX_UNHEARD_OF = 1 << 16  # … of a reply that is kept for its words: private ones are looked for in all of it
#: 4xx that say nothing about whether the request was acted on: timed out, in conflict (perhaps with itself, let
#: through twice by a proxy), too early.
UNCLEAR = frozenset({408, 409, 425})
TOO_LONG = b"(more than is looked through)"
_NOT_KNOWN = ", and whether it was done is not known: look before you do it again."
#: A provider's own reference: printable ASCII without blanks.
_REFERENCE = re.compile(r"[!-~]{1,128}")

ResultT = TypeVar("ResultT")


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
    reply = await _ask(client, adapter, request, timeout)
    return adapter.read_check(reply)


async def call_method(
    client: Client,
    adapter: Adapter,
    name: str,
    values: Mapping[str, Value],
    *,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
) -> Any:
    """What the provider answers to its method `name`, JSON-able: one request, or one after the other, each within
    `timeout` seconds and never sent again. `values` are by parameter; a text is read by the parameter's type.

    Raises ProviderError, a sentence without credentials: no such method or parameter, a value that is missing or
    malformed (nothing was sent then), no answer, an error of the provider's (TooManyRequestsError after a 429,
    MethodRefusedError where the error is documented), an answer that cannot be read.
    """
    method = adapter.methods.get(name)
    if method is None:
        raise unknown_method(adapter.kind, name, adapter.methods)
    checked = method.checked(values)
    first = Step(method.build(adapter, checked), method.read)
    result = await _ask_step(client, adapter, method, first, timeout)
    step = None if method.then is None else method.then(adapter, checked, result)
    while step is not None:
        await asyncio.sleep(step.pause)
        result = await _ask_step(client, adapter, method, step, timeout)
        step = step.then(result)
    return result


async def look_up(
    client: Client,
    adapter: Adapter,
    asked: Asked,
    *,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
    hear: Callable[[Reply], object] | None = None,
) -> list[Fact] | None:
    """What the provider says about one attempt: nothing when it knows no end yet, None when it cannot be asked. `hear`
    is given its reply as it came, unless it told in pages. `timeout` is that of each page.

    Raises TooManyRequestsError after a 429, and ProviderError, a sentence without numbers or credentials: no answer,
    an error of the provider's, an answer that cannot be read.
    """
    request = _built(adapter, "the look-up", lambda: adapter.lookup_request(asked))
    if request is None:
        return None
    longest = MAX_REPLY if type(adapter).next_lookup is Adapter.next_lookup else MAX_CDRS
    replies = [await _ask(client, adapter, request, timeout, longest=longest)]
    while True:
        following = _understood(
            adapter, request, replies[-1], "the look-up", lambda: adapter.next_lookup(replies, asked)
        )
        if following is None:
            break
        request = following
        replies.append(await _ask(client, adapter, request, timeout, longest=longest))
    if hear is not None and len(replies) == 1:
        hear(replies[-1])
    return _understood(
        adapter, request, replies[-1], "the look-up", lambda: adapter.read_lookups(replies, asked)
    )


async def read_cdr_page(
    client: Client,
    adapter: Adapter,
    since: datetime,
    until: datetime,
    page: str | None,
    *,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
) -> CdrPage:
    """A page of the provider's CDRs, empty when it keeps none. Raises as `look_up` does."""
    request = _built(adapter, "CDRs", lambda: adapter.cdr_request(since, until, page))
    if request is None:
        return CdrPage(())
    reply = await _ask(client, adapter, request, timeout, longest=MAX_CDRS)
    return _understood(adapter, request, reply, "CDRs", lambda: adapter.read_cdrs(reply, page, until))


def refusal_by_status(status: int) -> Refusal:
    """Whose fault a 4xx is when its body does not say: a missing resource or right is the account's or the
    base URL's, the rest is the request's. Statuses of `UNCLEAR` are no refusals; `read_status` sees them first."""
    return Refusal.PROVIDER if status in (401, 402, 403, 404, 405, 407, 410) else Refusal.BAD_REQUEST


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


def _prepare(adapter: Adapter, request: ProviderRequest) -> Request:
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


async def _ask(
    client: Client,
    adapter: Adapter,
    request: ProviderRequest,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
    *,
    longest: int = MAX_REPLY,
    changes: bool = False,
) -> Reply:
    """The reply to a request that places no call. Raises ProviderError, a sentence, when none came."""
    trace = Trace()
    try:
        prepared = _prepare(adapter, request)
        async with asyncio.timeout(timeout):
            response = await client.exchange(prepared, trace)
            try:
                return await _read(response, longest)
            finally:
                response.release()
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - transports raise more than they document
        host = urlsplit(request.base_url or adapter.base_url).hostname
        did = "did not answer" if trace.connected else "could not be reached"
        sentence = f"{adapter.config.name} {did} at {host} ({type(error).__name__})"
        if changes and trace.sent:
            raise UnclearError(f"{sentence}{_NOT_KNOWN}") from None
        raise ProviderError(f"{sentence}; check --base-url and the network.") from None


async def _ask_step(
    client: Client,
    adapter: Adapter,
    method: Method,
    step: Step,
    timeout: float,  # noqa: ASYNC109 - as of `submit`
) -> Any:
    longest = method.longest or MAX_REPLY
    reply = await _ask(client, adapter, step.request, timeout, longest=longest, changes=method.changes)
    try:
        return _read_result(adapter, method.name, step.read, reply, longest)
    except ProviderError as error:
        # What a provider says it may have been told.
        sentence = hide(str(error), _secrets(adapter, step.request))
        error.args = (sentence,)
        if method.changes and _is_unclear(reply, error):
            raise UnclearError(f"{sentence.rstrip('.')}{_NOT_KNOWN}") from None
        raise error from None


def _is_unclear(reply: Reply, error: ProviderError) -> bool:
    """Whether a reply that tells no success leaves open whether what was asked for was done."""
    if isinstance(error, MethodRefusedError | TooManyRequestsError):
        return False
    return isinstance(error, UnclearError) or reply.status >= 500


def _read_result(
    adapter: Adapter, method: str, read: Callable[[Reply], Any], reply: Reply, longest: int
) -> Any:
    name = adapter.config.name
    if reply.status == 429:
        wait = parse_retry_after(reply.headers.get("retry-after"), datetime.now(UTC))
        when = "later" if wait is None else f"in {wait:.0f} s"
        sentence = f"{name} got too many requests (HTTP 429) and did nothing; try again {when}."
        raise TooManyRequestsError(sentence, wait)
    if reply.truncated:
        raise UnclearError(f"{name} answered {method} with more than {longest >> 20} MiB.")
    try:
        result = read(reply)
        json.dumps(result, ensure_ascii=False, allow_nan=False).encode()  # it will be written as that
        return result
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of one method must not show the reply in a traceback
        raise UnclearError(
            f"{name} answered {method} with HTTP {reply.status} and what cannot be read "
            f"({type(error).__name__})."
        ) from None


def _built(
    adapter: Adapter, what: str, build: Callable[[], ProviderRequest | None]
) -> ProviderRequest | None:
    try:
        return build()
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug of one adapter must not cost the others their look-ups
        raise ProviderError(
            f"{adapter.config.name} cannot be asked: {what} could not be built ({type(error).__name__})."
        ) from None


def _understood(
    adapter: Adapter, request: ProviderRequest, reply: Reply, what: str, read: Callable[[], ResultT]
) -> ResultT:
    name = adapter.config.name
    if reply.status == 429:
        wait = parse_retry_after(reply.headers.get("retry-after"), datetime.now(UTC))
        raise TooManyRequestsError(f"{name} got too many requests (HTTP 429) and told nothing.", wait)
    if reply.status >= 500:
        raise ProviderError(f"{name} answered {what} with HTTP {reply.status}.")
    if reply.truncated:
        raise ProviderError(f"{name} answered {what} with more than can be read.")
    try:
        return read()
    except ProviderError as error:
        # What a provider says it may have been told.
        raise ProviderError(hide(str(error), _secrets(adapter, request))) from None
    except Exception as error:  # noqa: BLE001 - a bug of the adapter must not show the reply in a traceback
        raise ProviderError(
            f"{name} answered {what} with HTTP {reply.status} and what cannot be read ({type(error).__name__})."
        ) from None


async def _judge(adapter: Adapter, response: aiohttp.ClientResponse) -> Verdict:
    by_status = adapter.read_status(Reply(response.status, response.headers, b""))
    if by_status is not None:
        return by_status
    reply = await _read(response)
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


async def _read(response: aiohttp.ClientResponse, longest: int = MAX_REPLY) -> Reply:
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
    secrets = _secrets(adapter, request)
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


def _secrets(adapter: Adapter, request: ProviderRequest | None) -> list[str]:
    secrets = list(adapter.settings.values())
    if request is not None:
        for value in request.headers.values():
            secrets.extend([value, value.partition(" ")[2]])  # "Bearer …": the word is no secret, the rest is
    return secrets
