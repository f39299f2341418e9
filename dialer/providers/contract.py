"""The words in which we speak with providers: what is asked of an adapter, what it answers, what can go wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from dialer.calls.flow import Flow
from dialer.calls.repeats import RepeatPolicy
from dialer.calls.talk import PLAIN, Side, Talk
from dialer.lifecycle import AttemptState, Disposition


class Capability(StrEnum):
    """What a provider can do for us."""

    ANNOUNCE_TEXT = "ANNOUNCE_TEXT"  # speak a text
    ANNOUNCE_FILE = "ANNOUNCE_FILE"  # play a recorded file
    VOICE_OTP = "VOICE_OTP"  # speak a one-time password
    FLASH_OTP = "FLASH_OTP"  # the code is the end of the calling number
    SMS_OTP = "SMS_OTP"  # send a one-time password as a text message
    CLICK_TO_CALL = "CLICK_TO_CALL"  # connect two people
    IVR = "IVR"  # ask for keys and act on them
    REPEATS = "REPEATS"  # dial again by itself, by a policy given with the call
    RECORDING = "RECORDING"  # record what is said
    RECORD_ONE_SIDE = "RECORD_ONE_SIDE"  # record what one of two people says, and not the other
    TRANSCRIPT = "TRANSCRIPT"  # write down what two people say
    LIVE_CONTROL = "LIVE_CONTROL"  # hang up, connect or record a call that is going on
    INBOUND = "INBOUND"  # ask us what becomes of calls to our numbers
    TALK_PROMPTS = "TALK_PROMPTS"  # tell two people something before they are connected
    TALK_LIMIT = "TALK_LIMIT"  # end the talk of two people after a set time
    RING_SEVERAL = "RING_SEVERAL"  # ring several numbers for one call, until one picks up
    CONNECT_IN_TURN = (
        "CONNECT_IN_TURN"  # connect whoever picks up with the first of several who does, rung in turn
    )
    CONNECT_AT_ONCE = "CONNECT_AT_ONCE"  # … rung together


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
    NOT_HERE = "NOT_HERE"  # how we set this provider up: another one may carry the call
    PROVIDER = "PROVIDER"  # the account (no funds, bad credentials, forbidden): pause and flag the provider


class ProviderError(Exception):
    """Something about a provider is wrong; the message is one sentence without numbers or credentials."""


class ProviderSettingError(ProviderError):
    """A provider is configured in a way that cannot work."""


class TooManyRequestsError(ProviderError):
    """The provider answered 429 to something that places no call. `retry_after` is in seconds."""

    def __init__(self, sentence: str, retry_after: float | None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class MethodRefusedError(ProviderError):
    """The provider answered a method with an error that it documents: nothing was done. `word` is its word for it."""

    def __init__(self, sentence: str, word: str) -> None:
        super().__init__(sentence)
        self.word = word


class UnclearError(ProviderError):
    """The provider was asked to change something, and what came back, if anything, does not say whether it did."""


class RefusedError(ProviderError):
    """Raised by `build_request` for an attempt this provider cannot make; nothing was sent, so that it pauses no
    provider: PROVIDER reads as NOT_HERE."""

    def __init__(self, refusal: Refusal, sentence: str) -> None:
        super().__init__(sentence)
        self.refusal = refusal


class EventError(ProviderError):
    """A callback that cannot be understood; the message says why, for the event's row."""


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A configured provider. `settings` are its decrypted credential keys and never show in a repr. `callback_url` is
    where it is to call back, the address of its webhook.
    """

    id: str
    name: str
    kind: str
    base_url: str
    settings: Mapping[str, str] = field(repr=False)
    callback_url: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Submission:
    """One attempt to be placed, in our words.

    `to` is E.164 with the plus. Exactly one of `text`, `media` (name of a recorded file), `connect_to` and `flow` is
    set. `code` is a one-time password by itself, for providers that make words of their own of it. `connect_to` is
    whom the callee is connected with as soon as they pick up, E.164; `talk` says how. `record_side`: whose words alone
    are recorded, None: those of both; `transcript`: they are written down. `repeats` are to be made by the
    provider. `language`, `voice`, `volume`, `rate` and `pitch` are in the words of `cpaas-campaign-api.md`
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
    code: str | None = field(default=None, repr=False)
    connect_to: str | None = field(default=None, repr=False)
    flow: Flow | None = field(default=None, repr=False)
    record: bool = False
    record_side: Side | None = None
    transcript: bool = False
    talk: Talk = PLAIN
    repeats: RepeatPolicy | None = None
    tts_engine_type: str = "standard"

    @property
    def record_both(self) -> bool:
        """Whether it is recorded by a provider that knows no sides: where one alone is to be, nobody is."""
        return self.record and self.record_side is None


@dataclass(frozen=True, slots=True)
class SubmitResult:
    """What became of a submit. `retry_after` is in seconds; `detail` holds no number, credential or text. `asked`: the
    provider was, or was to be; False for an attempt that cannot be put into its words.
    """

    attempt_id: str
    outcome: Outcome
    provider_reference: str | None = None
    refusal: Refusal | None = None
    disposition: Disposition | None = None
    retry_after: float | None = None
    detail: str = ""
    asked: bool = True
    #: The beginning of what was answered in words that are in no table of the adapter, for people to read; as `detail`.
    unheard_of: str = ""


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
class Inbound:
    """A call that came in. `session` is the provider's name for it, the same in its question and in all its events.

    `caller` and `called` are as in `Question`; `connected` is whom the caller is being, or was, connected with, empty
    where the event does not say.
    """

    session: str
    caller: str = field(default="", repr=False)
    called: str = field(default="", repr=False)
    connected: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A text message that somebody has written to one of our numbers; `sender` is E.164."""

    sender: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Fact:
    """What an event says about an attempt, or about a call that came in, in our words.

    `state` is RINGING, ANSWERED or ENDED; `disposition` and `hangup_cause` (Q.850) come with ENDED.
    `at` is UTC, `duration` and `billsec` are seconds, `currency` is that of the cost, as of ISO 4217. Providers whose
    callbacks do not hold our reference tell theirs: `attempt_id` is empty then, and `provider_reference` is what they
    answered to the submit. `dtmf` are the keys pressed, in order. A call that came in is no attempt: `inbound` says
    which it is, and both references are empty. Its states are those of an attempt: RINGING when somebody is rung for
    it, ANSWERED when they talk, ENDED.

    ENDED without a disposition says that it is over and not how. Who had picked up was reached; of anybody else the
    provider must still say more, or be asked. `may_dial_again` is no adapter's to set: the end is that of one dial, and
    the provider, which was given the call's repeats, may follow it with another. `answered_by` is the
    number that has picked up (E.164), where the provider tells it: of several that were rung not always the callee's.
    `recording_name` is what the provider calls a recording of it by that can be fetched: its links, a blank between
    them, where it tells those; whoever knows one can listen.
    `is_unheard_of`: the provider's word for the end is in no table of its adapter, so that somebody should look at it;
    words that it documents may leave an end UNKNOWN, too.
    """

    attempt_id: str
    state: AttemptState
    disposition: Disposition | None
    hangup_cause: int | None
    at: datetime
    duration: float | None
    billsec: float | None
    cost: Decimal | None
    provider_reference: str | None = None
    dtmf: str = ""
    inbound: Inbound | None = None
    #: The CDR that it was read from, where the provider's word is in no table: no event holds it.
    raw: bytes = field(default=b"", repr=False, compare=False)
    currency: str = ""
    may_dial_again: bool = False
    answered_by: str = field(default="", repr=False)
    recording_name: str = field(default="", repr=False)
    is_unheard_of: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """An attempt whose end is not known, to be looked up at its provider. `submitted_at` is UTC."""

    attempt_id: str
    provider_reference: str | None
    to: str = field(repr=False)
    caller_id: str = field(repr=False)
    submitted_at: datetime


@dataclass(frozen=True, slots=True)
class CdrPage:
    """One page of a provider's CDRs; `next` is what the following page is asked for with, None at the end. `is_cut`:
    there may be more, and so much is not read."""

    facts: tuple[Fact, ...]
    next: str | None = None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """A request in the provider's words: `path` is appended to the base URL, `json` or `content` the body.

    `base_url` is that of another of the provider's services, which takes the same credentials.
    """

    method: str
    path: str = field(repr=False)
    params: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Any = field(default=None, repr=False)
    content: bytes | None = field(default=None, repr=False)
    base_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A provider's reply. `truncated`: the body was longer than `MAX_REPLY` and only its start is here."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    truncated: bool = False

    def json_object(self) -> dict[str, Any] | None:
        """The body as a JSON object, or None when it is anything else."""
        return json_object(self.body)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How an adapter reads a reply; see `SubmitResult` for the fields. `is_documented`: UNKNOWN by a word that the
    adapter knows, so that nobody need look at it."""

    outcome: Outcome
    provider_reference: str | None = None
    refusal: Refusal | None = None
    disposition: Disposition | None = None
    retry_after: float | None = None
    detail: str = ""
    is_documented: bool = False
    unheard_of: bytes = field(default=b"", repr=False)


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or None when it is anything else. Never raises."""
    try:
        decoded = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None
