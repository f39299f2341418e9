"""What travels with a call at iotcomms as `sessionReferenceId` (`iotcomms-mediaservice-api.md`), what is still to come
of an answer included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dialer.calls.flow import Prompt
from dialer.providers.contract import EventError, json_object
from dialer.providers.live import Answer, Collect, Connect
from dialer.providers.reading import checked_reference

#: Of an answer: how it is spoken.
SPOKEN = ("language", "voice", "volume", "rate", "pitch")


@dataclass(frozen=True, slots=True)
class Reference:
    """What travels as `sessionReferenceId`, "retained for the session and passed in subsequent requests".

    `attempt_id` is empty of a call that came in, and `session` its name, which callAnswered tells nowhere else.
    `answered`: somebody has heard, or been asked, something.
    `connected`: they have been given to somebody else. `is_secret`: who called in does not want their number shown.
    `then` is what is still to come of an answer.
    """

    attempt_id: str = ""
    answered: bool = False
    connected: bool = False
    is_secret: bool = False
    then: Answer | None = None
    session: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As it is sent; what is not so is left out."""
        told: dict[str, Any] = {
            "attempt": self.attempt_id,
            "inbound": not self.attempt_id,
            "session": "" if self.attempt_id else self.session,
            "answered": self.answered,
            "connected": self.connected,
            "secret": self.is_secret,
            "then": None if self.then is None else _packed(self.then),
            "state": dict(self.state),
        }
        return {name: value for name, value in told.items() if value}


def read_reference(value: object) -> Reference:
    """What came back, as an object or as its text; of a call that came in, nothing may have been sent yet.

    Raises EventError for what is not ours.
    """
    if isinstance(value, str):
        inner = json_object(value.encode("utf-8", "replace"))
        if inner is None and value:
            return Reference(checked_reference(value))
        value = inner
    if value is None or value == {}:
        return Reference()
    if not isinstance(value, dict) or not ({"attempt", "inbound"} & value.keys()):
        raise EventError("the callback's sessionReferenceId is not ours")
    attempt, session = value.get("attempt", ""), value.get("session", "")
    state = value.get("state")
    if not isinstance(attempt, str) or not isinstance(session, str):
        raise EventError("the callback's reference is not one of ours")
    return Reference(
        attempt_id=checked_reference(attempt) if attempt else "",
        answered=value.get("answered") is True,
        connected=value.get("connected") is True,
        is_secret=value.get("secret") is True,
        then=_unpacked(value.get("then")),
        session="" if attempt else session,
        state=state if isinstance(state, dict) else {},
    )


def _packed(answer: Answer) -> dict[str, Any]:
    connect, collect = answer.connect, answer.collect
    told: dict[str, Any] = {
        "say": _packed_prompts(answer.say),
        "collect": None if collect is None else [collect.digits, collect.timeout],
        "connect": None if connect is None else _packed_connect(connect),
        "state": dict(answer.state),
        **{name: getattr(answer, name) for name in SPOKEN},
    }
    return {name: value for name, value in told.items() if value}


def _packed_prompts(prompts: tuple[Prompt, ...]) -> list[dict[str, str | None]]:
    return [{"text": one.text} if one.media is None else {"media": one.media} for one in prompts]


def _packed_connect(connect: Connect) -> dict[str, Any]:
    return {
        "numbers": list(connect.numbers),
        "timeout": connect.timeout,
        "caller_id": connect.caller_id,
        "record": connect.record,
        "greeting": _packed_prompts(connect.greeting),
        **({"hide_caller": True} if connect.hide_caller else {}),
        **({"each": dict(connect.each)} if connect.each else {}),
    }


def _unpacked(told: object) -> Answer | None:
    """None for what we have not packed."""
    if not isinstance(told, dict):
        return None
    spoken: dict[str, Any] = {name: told.get(name) for name in SPOKEN}
    state = told.get("state", {})
    if not isinstance(state, dict) or not all(isinstance(word, str) for word in spoken.values()):
        return None
    return Answer(
        say=_unpacked_prompts(told.get("say")),
        collect=_unpacked_collect(told.get("collect")),
        connect=_unpacked_connect(told.get("connect")),
        state=state,
        **spoken,
    )


def _unpacked_prompts(told: object) -> tuple[Prompt, ...]:
    every = told if isinstance(told, list) else []
    return tuple(prompt for one in every if (prompt := _unpacked_prompt(one)) is not None)


def _unpacked_prompt(told: object) -> Prompt | None:
    match told:
        case {"text": str() as text}:
            return Prompt(text=text)
        case {"media": str() as media}:
            return Prompt(media=media)
    return None


def _unpacked_collect(told: object) -> Collect | None:
    match told:
        case [int() as digits, int() as timeout]:
            return Collect(digits, timeout)
    return None


def _unpacked_connect(told: object) -> Connect | None:
    match told:
        case {
            "numbers": [*numbers],
            "timeout": int() as timeout,
            "caller_id": str() as caller_id,
            "record": bool() as record,
            "greeting": greeting,
            **more,
        } if all(isinstance(number, str) for number in numbers):
            return Connect(
                tuple(numbers),
                timeout=timeout,
                caller_id=caller_id,
                record=record,
                greeting=_unpacked_prompts(greeting),
                hide_caller=more.get("hide_caller") is True,
                each=_unpacked_each(more.get("each")),
            )
    return None


def _unpacked_each(told: object) -> dict[str, int]:
    every = told if isinstance(told, dict) else {}
    return {number: seconds for number, seconds in every.items() if type(seconds) is int}
