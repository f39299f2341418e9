"""How two people are connected, as `/v1` is asked for it and as it is stored with the call's message: `prompts`,
`max_seconds` and `ring`, in the same form. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from dialer.calls.flow import Prompt
from dialer.calls.talk import Ring, Rung, Talk
from dialer.errors import FieldError
from dialer.media import check_provider_name
from dialer.numbers import NumberError, to_e164
from dialer.reading import Fields

#: What `prompts` and `ring` call the two, who is rung first and whom they are connected with: of a call, as it is
#: stored, too; and of a callback.
CALL_SIDES, CALLBACK_SIDES = ("to", "connect_to"), ("agent", "destination")
#: Limits of `/v1`: of a prompt, in characters; of a talk and of ringing, in seconds; of the numbers besides that of one
#: of the two.
LONGEST_TEXT, LONGEST_FILE = 1000, 255
SHORTEST_TALK, LONGEST_TALK = 10, 14_400
SHORTEST_RING, LONGEST_RING = 5, 120
MOST_NUMBERS = 9


def read(
    given: Mapping[str, Any],
    region: str | None,
    ends: Collection[str],
    sides: tuple[str, str] = CALL_SIDES,
) -> Talk:
    """What these fields ask for, of their types and within their limits; those left out are not in it. `ends` are the
    two who are connected, E.164; numbers without a country code are of `region` (ISO 3166). Raises `FieldError`."""
    prompts = given.get("prompts") or {}
    ring = given.get("ring")
    first, other = sides
    return Talk(
        callee_hears=_prompt(f"prompts.{first}", prompts.get(first)),
        other_hears=_prompt(f"prompts.{other}", prompts.get(other)),
        max_seconds=given.get("max_seconds"),
        ring=None
        if ring is None
        else Ring(
            _also(ring["also"], region, ends), ring["at_once"], ring["seconds"], ring.get("of") == other
        ),
    )


def to_columns(talk: Talk, sides: tuple[str, str] = CALL_SIDES) -> dict[str, Any]:
    """The columns of a message that hold it; by other `sides` the same as it was asked for."""
    heard = dict(zip(sides, (talk.callee_hears, talk.other_hears), strict=True))
    prompts = {
        side: {"say": one.text} if one.media is None else {"play": one.media}
        for side, one in heard.items()
        if one is not None
    }
    ring = talk.ring
    return {
        "prompts": prompts or None,
        "max_seconds": talk.max_seconds,
        "ring": None
        if ring is None
        else {
            "also": [{"number": one.number, "seconds": one.seconds} for one in ring.also],
            "at_once": ring.at_once,
            "seconds": ring.seconds,
            **({"of": sides[1]} if ring.of_other else {}),
        },
    }


def stored(message: Any) -> Talk:
    """What a message, a row, holds of it."""
    ring = message.ring
    also = tuple(Rung(one["number"], one["seconds"]) for one in ring["also"]) if ring else ()
    return replace(
        stored_prompts(message.prompts),
        max_seconds=message.max_seconds,
        ring=Ring(also, ring["at_once"], ring["seconds"], ring.get("of") == CALL_SIDES[1]) if ring else None,
    )


def stored_prompts(prompts: Mapping[str, Any] | None) -> Talk:
    """What the column of this name holds of it."""
    first, other = (_stored_prompt((prompts or {}).get(side)) for side in CALL_SIDES)
    return Talk(first, other)


def _prompt(name: str, given: Mapping[str, Any] | None) -> Prompt | None:
    if given is None:
        return None
    fields = Fields({f"{name}.{word}": value for word, value in given.items()})
    text = fields.text(f"{name}.say", longest=LONGEST_TEXT, keep_lines=True)
    media = fields.text(f"{name}.play", longest=LONGEST_FILE)
    if (text is None) == (media is None):
        raise FieldError(
            name, f"{name} must have say, a text, or play, a recorded file's name: give exactly one of them."
        )
    if media is not None:
        check_provider_name(f"{name}.play", media)
    return Prompt(text, media)


def _stored_prompt(told: Mapping[str, str] | None) -> Prompt | None:
    return None if told is None else Prompt(told.get("say"), told.get("play"))


def _also(
    given: Collection[Mapping[str, Any]], region: str | None, ends: Collection[str]
) -> tuple[Rung, ...]:
    found: dict[str, Rung] = {}
    for place, one in enumerate(given):
        name = f"ring.also.{place}.number"
        try:
            number = to_e164(one["number"], region)
        except NumberError as error:
            raise FieldError(name, f"{name}: {error.reason}") from None
        if number in ends or number in found:
            raise FieldError(
                name,
                f"{name} is one of the two who are connected, or stands in ring twice: leave it out, or give another.",
            )
        found[number] = Rung(number, one["seconds"])
    return tuple(found.values())
