"""How two people are connected, in the words of `/v1`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from dialer.calls import talk_form
from dialer.calls.talk import RING_SECONDS


class PromptForm(BaseModel, extra="forbid"):
    """What somebody hears before they are connected: exactly one of both."""

    say: str | None = Field(
        default=None, max_length=talk_form.LONGEST_TEXT, description="a text, which the provider speaks"
    )
    play: str | None = Field(
        default=None,
        max_length=talk_form.LONGEST_FILE,
        description="a recorded file, by the provider's name for it",
    )


class PromptsForm(BaseModel, extra="forbid"):
    """What each side hears before they are connected."""

    to: PromptForm | None = Field(default=None, description="heard by whoever is rung first")
    connect_to: PromptForm | None = Field(default=None, description="heard by whom they are connected with")


class CallbackPromptsForm(BaseModel, extra="forbid"):
    """What each side of a callback hears before they are connected."""

    agent: PromptForm | None = Field(default=None, description="heard by the agent")
    destination: PromptForm | None = Field(
        default=None, description="heard by whom the agent is connected with"
    )


class RungForm(BaseModel, extra="forbid"):
    """A further number, and for how long it is rung."""

    number: str = Field(max_length=40, description="E.164, or national in the account's region")
    seconds: int = Field(
        default=RING_SECONDS,
        ge=talk_form.SHORTEST_RING,
        le=talk_form.LONGEST_RING,
        description="how long it is rung",
    )


class _Ringing(BaseModel, extra="forbid"):
    also: list[RungForm] = Field(
        min_length=1, max_length=talk_form.MOST_NUMBERS, description="further numbers"
    )
    at_once: bool = Field(default=False, description="ring all of them together, and not one after the other")
    seconds: int = Field(
        default=RING_SECONDS,
        ge=talk_form.SHORTEST_RING,
        le=talk_form.LONGEST_RING,
        description="how long the number that `of` names is rung",
    )


class RingForm(_Ringing):
    """Which numbers are rung besides `to`, or besides `connect_to`: whoever picks up first is connected."""

    of: Literal["to", "connect_to"] = Field(default="to", description="besides whom they are rung")


class CallbackRingForm(_Ringing):
    """Which numbers are rung besides the agent's, or the destination's: whoever picks up first is connected."""

    of: Literal["agent", "destination"] = Field(default="agent", description="besides whom they are rung")


#: For how long two who are connected may talk.
Longest = Annotated[
    int,
    Field(
        ge=talk_form.SHORTEST_TALK,
        le=talk_form.LONGEST_TALK,
        description="how long they may talk at most, in seconds",
    ),
]
