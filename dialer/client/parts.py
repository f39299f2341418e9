"""Words, and parts of bodies that come back in answers."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

#: Where one intent to reach one number stands.
CallState = Literal[
    "WAITING",
    "RELEASED",
    "DIALLING",
    "IN_PROGRESS",
    "COMPLETED",
    "FAILED",
    "SUPPRESSED",
    "EXPIRED",
    "CANCELLED",
    "UNKNOWN",
]


#: Where a campaign stands.
CampaignState = Literal["DRAFT", "SCHEDULED", "RUNNING", "PAUSED", "FINISHED", "STOPPED"]


#: What a provider can do for us.
Capability = Literal[
    "ANNOUNCE_TEXT",
    "ANNOUNCE_FILE",
    "VOICE_OTP",
    "FLASH_OTP",
    "SMS_OTP",
    "CLICK_TO_CALL",
    "IVR",
    "REPEATS",
    "RECORDING",
    "RECORD_ONE_SIDE",
    "TRANSCRIPT",
    "LIVE_CONTROL",
    "INBOUND",
    "TALK_PROMPTS",
    "TALK_LIMIT",
    "RING_SEVERAL",
    "CONNECT_IN_TURN",
    "CONNECT_AT_ONCE",
]


#: How a password is brought.
Channel = Literal["voice", "flash", "sms"]


#: Where a delivery stands.
DeliveryState = Literal["PENDING", "DELIVERED", "FAILED"]


#: A disposition in the words of the first-generation API (`cpaas-campaign-api.md`, CDR section).
DialStatus = Literal["ANSWER", "BUSY", "NOANSWER", "CANCEL", "CONGESTION", "CHANUNAVAIL", "DND"]


#: How an attempt ended.
Disposition = Literal[
    "ANSWERED",
    "NO_ANSWER",
    "BUSY",
    "REJECTED",
    "UNAVAILABLE",
    "CONGESTION",
    "CANCELLED",
    "INVALID_NUMBER",
    "MACHINE",
    "FAILED",
    "UNKNOWN",
]


#: What the rows become.
ImportKind = Literal["CONTACTS", "DND"]


#: Where an import stands.
ImportState = Literal["RUNNING", "DONE", "FAILED", "CANCELLED"]


#: Where a breaker stands.
Phase = Literal["closed", "open", "half-open"]


#: What a key may do.
Scope = Literal["read", "call", "campaign", "admin"]


#: Where a template stands.
TemplateState = Literal["PENDING", "APPROVED", "REJECTED"]


#: Where a verification stands.
VerificationState = Literal["PENDING", "VERIFIED", "FAILED", "EXPIRED", "CANCELLED"]


#: What becomes of a call to a number.
InboundAction = Literal["CONNECT", "CONNECT_ALL", "ANNOUNCE", "CALL_BACK", "OPT_OUT", "REFUSE"]


class Alarm(TypedDict):
    """When too few are confirmed: a smaller part than `below` of the last `of_last` of a country."""

    of_last: NotRequired[int]
    below: NotRequired[float]


class Backoff(TypedDict):
    """Delays that grow, in seconds."""

    first: int
    factor: NotRequired[float]
    max: NotRequired[int | None]


class CheckLimit(TypedDict):
    """At most `checks` wrong codes in any `seconds`."""

    checks: int
    seconds: int


class Limit(TypedDict):
    """At most `sends` in any `seconds`."""

    sends: int
    seconds: int


class Pace(TypedDict):
    """How fast a campaign dials; null: as fast as its account and providers allow."""

    calls_per_minute: NotRequired[int | None]
    max_concurrent: NotRequired[int | None]


class PrefixLimit(TypedDict):
    """The same for all numbers that begin alike."""

    sends: int
    seconds: int
    digits: NotRequired[int]


class RepeatRule(TypedDict):
    """How often a call that ended so is repeated, and after how many seconds each time."""

    times: NotRequired[int | None]
    delays: NotRequired[list[int] | None]
    backoff: NotRequired[Backoff | None]
    same_as: NotRequired[str | None]


class Repeats(TypedDict):
    """A repeat policy: a rule for each disposition after which a call is repeated."""

    most: NotRequired[int | None]
    rules: NotRequired[dict[str, RepeatRule]]


class Rules(TypedDict):
    """The rules of an account's verifications."""

    countries: NotRequired[list[str] | None]
    lifetime: NotRequired[int]
    max_sends: NotRequired[int]
    max_checks: NotRequired[int]
    resend_after: NotRequired[int]
    code_length: NotRequired[int]
    number_limit: NotRequired[Limit]
    prefix_limit: NotRequired[PrefixLimit]
    rate_key_limit: NotRequired[Limit]
    check_limit: NotRequired[CheckLimit]
    alarm: NotRequired[Alarm]
    caller_id: NotRequired[str | None]
    template_id: NotRequired[str | None]


class RungNumber(TypedDict):
    """A number that is rung for a time of its own."""

    number: str
    seconds: int


class SpeechForm(TypedDict):
    """How a text is spoken, as far as the provider can."""

    voice: NotRequired[str]
    language: NotRequired[str]
    volume: NotRequired[Literal["silent", "x-soft", "soft", "medium", "loud", "x-loud"]]
    rate: NotRequired[Literal["x-slow", "slow", "medium", "fast", "x-fast"]]
    pitch: NotRequired[Literal["x-low", "low", "medium", "high", "x-high"]]
    engine: NotRequired[Literal["standard", "neural"]]
    times: NotRequired[int]


class Window(TypedDict):
    """Between which hours, on the callee's own clock, people are rung."""

    start: str
    end: str
    days: NotRequired[list[str] | None]


class PromptForm(TypedDict):
    """What somebody hears before they are connected: exactly one of both."""

    say: NotRequired[str | None]
    play: NotRequired[str | None]


class CallbackPromptsForm(TypedDict):
    """What each side of a callback hears before they are connected."""

    agent: NotRequired[PromptForm | None]
    destination: NotRequired[PromptForm | None]


class RungForm(TypedDict):
    """A further number, and for how long it is rung."""

    number: str
    seconds: NotRequired[int]


class CallbackRingForm(TypedDict):
    """Which numbers are rung besides the agent's, or the destination's: whoever picks up first is connected."""

    of: NotRequired[Literal["agent", "destination"]]
    also: list[RungForm]
    at_once: NotRequired[bool]
    seconds: NotRequired[int]
