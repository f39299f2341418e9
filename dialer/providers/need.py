"""What a call needs of the provider that carries it, and which kinds have it.

Whoever makes a call or a campaign asks when it is made, whoever routes it asks again, and all of them ask here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from dialer.calls.flow import Flow
from dialer.calls.repeats import RepeatPolicy
from dialer.calls.talk import PLAIN, Talk
from dialer.providers.contract import Capability, ProviderError
from dialer.providers.kinds import adapter_class, adapter_kinds

#: What a provider can do for us, after "can" and "cannot".
DOES: dict[Capability, str] = {
    Capability.ANNOUNCE_TEXT: "speak a text",
    Capability.ANNOUNCE_FILE: "play a recorded file",
    Capability.VOICE_OTP: "speak one-time passwords",
    Capability.FLASH_OTP: "show one-time passwords as calling numbers",
    Capability.SMS_OTP: "send one-time passwords as text messages",
    Capability.CLICK_TO_CALL: "connect two people",
    Capability.IVR: "ask for keys",
    Capability.REPEATS: "repeat calls by itself",
    Capability.RECORDING: "record calls",
    Capability.RECORD_ONE_SIDE: "record one side alone",
    Capability.TRANSCRIPT: "write down what is said",
    Capability.LIVE_CONTROL: "control a call that is going on",
    Capability.INBOUND: "ask what becomes of calls that come in",
    Capability.TALK_PROMPTS: "tell two people something before they are connected",
    Capability.TALK_LIMIT: "end a talk after a set time",
    Capability.RING_SEVERAL: "ring several numbers for one call",
    Capability.CONNECT_IN_TURN: "connect somebody with one of several, rung in turn",
    Capability.CONNECT_AT_ONCE: "connect somebody with one of several, rung at once",
}


@dataclass(frozen=True, slots=True)
class Need:
    """Every capability that a call needs, the first being what the call is for; `language` is that of a text it
    speaks, None when it speaks none; `flow` is what it does with the keys that it asks for; `repeats` are those that
    the provider is to make. `public_url` is where callbacks come, for whoever makes a call or a campaign; whoever
    routes it leaves that to the adapter. `wishes` are capabilities that it goes without where it must: who has them
    comes first."""

    capabilities: tuple[Capability, ...]
    language: str | None = None
    flow: Flow | None = field(default=None, repr=False)
    repeats: RepeatPolicy | None = None
    public_url: str | None = None
    wishes: tuple[Capability, ...] = ()

    @property
    def does(self) -> str:
        """What a provider must do, after "can": `connect two people and record calls`."""
        return " and ".join(DOES[one] for one in self.capabilities)


def of_campaign(
    *,
    text: str | None,
    language: str,
    flow: Flow | None = None,
    provider_repeats: RepeatPolicy | None = None,
) -> Need:
    """What a campaign's calls need: to announce a text, or a recorded file when there is none, or to follow a flow; and
    to be repeated by the provider, by this policy."""
    announces = Capability.ANNOUNCE_FILE if text is None else Capability.ANNOUNCE_TEXT
    main = announces if flow is None else Capability.IVR
    also = (Capability.REPEATS,) if provider_repeats is not None else ()
    spoken = None if main is Capability.ANNOUNCE_FILE else language
    return Need((main, *also), spoken, flow, provider_repeats)


def of_single(
    capability: Capability,
    *,
    language: str,
    record: bool = False,
    one_side: bool = False,
    record_if_able: bool = False,
    talk: Talk = PLAIN,
) -> Need:
    """What a call without a campaign needs, which is for this capability; `talk` is how it connects two people, who are
    recorded (`record`), perhaps one of them alone (`one_side`). That is a wish where it says so (`record_if_able`), as
    a transcript always is: who cannot record them, or write one, connects them all the same."""
    at_once = talk.ring is not None and talk.ring.at_once
    recording = {Capability.RECORDING: record, Capability.RECORD_ONE_SIDE: one_side}
    also = {
        **({} if record_if_able else recording),
        Capability.TALK_PROMPTS: bool(talk.prompts),
        Capability.TALK_LIMIT: talk.max_seconds is not None,
        Capability.RING_SEVERAL: talk.ring is not None and not talk.ring.of_other,
        Capability.CONNECT_IN_TURN: bool(talk.others) and not at_once,
        Capability.CONNECT_AT_ONCE: bool(talk.others) and at_once,
    }
    spoken = capability in (Capability.VOICE_OTP, Capability.ANNOUNCE_TEXT) or any(
        one.text is not None for one in talk.prompts
    )
    needed = (one for one, is_needed in also.items() if is_needed)
    wishes = (one for one, is_wished in recording.items() if is_wished and record_if_able)
    return Need((capability, *needed), language if spoken else None, wishes=tuple(wishes))


def grants(kind: str, need: Need) -> bool:
    """Whether a provider of this kind has what such a call wishes for, too."""
    return not need.wishes or adapter_class(kind).capabilities.issuperset(need.wishes)


def why_unable(kind: str, need: Need) -> tuple[str, ...]:
    """Why a provider of this kind cannot carry such a call: one sentence each, none when it can."""
    unable = _why_unable(kind, need.capabilities, None if need.flow is not None else need.language)
    if unable:
        return unable
    problems: list[str] = []
    if need.flow is not None:
        problems += adapter_class(kind).check_flow(need.flow, need.language or "")
        problems += _why_unheard(kind, need.public_url)
    if need.repeats is not None:
        problems += adapter_class(kind).check_repeats(need.repeats)
    return tuple(problems)


def _why_unheard(kind: str, public_url: str | None) -> list[str]:
    """Why nobody would hear of the keys that callees press."""
    if public_url is None or public_url.startswith("https://") or not adapter_class(kind).keys_need_https:
        return []
    return [
        f"A provider of kind {kind} tells of keys at https addresses only: set DIALER_PUBLIC_URL to the https address "
        "that providers reach us at."
    ]


@lru_cache(maxsize=1024)
def _why_unable(kind: str, capabilities: tuple[Capability, ...], language: str | None) -> tuple[str, ...]:
    try:
        adapter = adapter_class(kind)
    except ProviderError as error:  # made by another version, say
        return (str(error),)
    lacking = [one for one in capabilities if one not in adapter.capabilities]
    if lacking:
        return tuple(f"A provider of kind {kind} cannot {DOES[one]}." for one in lacking)
    # Who brings a password in words of its own needs no language of ours.
    speaks = language is not None and Capability.ANNOUNCE_TEXT in adapter.capabilities
    plays = Capability.ANNOUNCE_FILE in capabilities
    return tuple(adapter.check_campaign(language or "", speaks, plays)) if speaks or plays else ()


def able_kinds(need: Need) -> list[str]:
    """The kinds that can carry such a call, sorted; whether in its language depends on the language."""
    return [
        kind for kind in adapter_kinds() if adapter_class(kind).capabilities.issuperset(need.capabilities)
    ]


def why_nobody(kinds: Iterable[str], need: Need, what: str) -> str:
    """Why providers of these kinds, of which none can, cannot carry this (`call`, `campaign`), and which kinds can."""
    told = " ".join(dict.fromkeys(problem for kind in kinds for problem in why_unable(kind, need)))
    able = ", ".join(able_kinds(need)) or "none"
    return (
        f"No provider of this account can {need.does} as this {what} needs (kinds that can: {able}): {told}"
    )
