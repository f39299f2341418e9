"""What a call needs of the provider that carries it, and which kinds have it.

Whoever makes a call or a campaign asks when it is made, whoever routes it asks again, and all of them ask here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from dialer.calls.flow import Flow
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
    Capability.LIVE_CONTROL: "control a call that is going on",
    Capability.INBOUND: "ask what becomes of calls that come in",
}


@dataclass(frozen=True, slots=True)
class Need:
    """Every capability that a call needs, the first being what the call is for; `language` is that of a text it
    speaks, None when it speaks none; `flow` is what it does with the keys that it asks for."""

    capabilities: tuple[Capability, ...]
    language: str | None = None
    flow: Flow | None = field(default=None, repr=False)

    @property
    def does(self) -> str:
        """What a provider must do, after "can": `connect two people and record calls`."""
        return " and ".join(DOES[one] for one in self.capabilities)


def of_campaign(
    *, text: str | None, language: str, flow: Flow | None = None, provider_repeats: bool = False
) -> Need:
    """What a campaign's calls need: to announce a text, or a recorded file when there is none, or to follow a flow."""
    announces = Capability.ANNOUNCE_FILE if text is None else Capability.ANNOUNCE_TEXT
    main = announces if flow is None else Capability.IVR
    also = (Capability.REPEATS,) if provider_repeats else ()
    return Need((main, *also), None if main is Capability.ANNOUNCE_FILE else language, flow)


def of_single(capability: Capability, *, language: str, record: bool = False) -> Need:
    """What a call without a campaign needs, which is for this capability."""
    also = (Capability.RECORDING,) if record else ()
    spoken = capability in (Capability.VOICE_OTP, Capability.ANNOUNCE_TEXT)
    return Need((capability, *also), language if spoken else None)


def why_unable(kind: str, need: Need) -> tuple[str, ...]:
    """Why a provider of this kind cannot carry such a call: one sentence each, none when it can."""
    if need.flow is None:
        return _why_unable(kind, need.capabilities, need.language)
    unable = _why_unable(kind, need.capabilities, None)
    return unable or tuple(adapter_class(kind).check_flow(need.flow, need.language or ""))


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
