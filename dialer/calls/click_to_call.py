"""Click-to-call: somebody is rung, and connected with somebody else as soon as they pick up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from dialer.calls.single import NewSingle
from dialer.errors import FieldError
from dialer.lifecycle import CallKind
from dialer.numbers import NumberError, to_e164
from dialer.providers.contract import Capability
from dialer.providers.need import of_single
from dialer.reading import Fields
from dialer.speech import Speech, caller_number, e164_or_digits

#: Somebody waits for their telephone to ring: one that could not be dialled by then is not dialled any more.
CLICK_LIFE = timedelta(minutes=2)

#: `recording_option`; the reference's table says `both`, its examples `on`.
_RECORDED = {"off": False, "on": True, "both": True}
_ONE_SIDE = ("agent", "customer")


@dataclass(frozen=True, slots=True)
class NewClickToCall:
    """Two people to be connected: the agent is rung first, then the one at the destination."""

    agent: str = field(repr=False)
    destination: str = field(repr=False)
    caller_id: str = field(repr=False)
    record: bool = False

    @classmethod
    def read(cls, body: Mapping[str, Any], region: str | None) -> NewClickToCall:
        """Read the parameters of `click2call` (`cpaas-campaign-api.md`, "Click To Call"). Numbers without a country
        code are of `region`. Raises `FieldError`."""
        fields = Fields(body)
        agent = _number(fields, "agent_number", region)
        destination = _number(fields, "destination_number", region)
        if agent == destination:
            raise FieldError(
                "destination_number",
                "destination_number is agent_number: give the number of whom the agent is to talk with.",
            )
        # Taken, as an app may send it; no provider writes down what is said.
        fields.choice("transcript", ("on", "off"), "off")
        return cls(
            agent=agent,
            destination=destination,
            caller_id=e164_or_digits(caller_number(fields, "caller_id"), region),
            record=_recorded(fields),
        )

    def single(self) -> NewSingle:
        """The call to be made."""
        capability = Capability.CLICK_TO_CALL
        return NewSingle(
            kind=CallKind.CLICK_TO_CALL,
            e164=self.agent,
            need=of_single(capability, language="", record=self.record),
            life=CLICK_LIFE,
            message={
                "capability": capability.value,
                "caller_id": self.caller_id,
                "text": None,
                "code": None,
                "connect_to": self.destination,
                "record": self.record,
                **asdict(Speech()),
            },
        )


def _number(fields: Fields, name: str, region: str | None) -> str:
    try:
        return to_e164(fields.needed(name, longest=40), region)
    except NumberError as error:
        raise FieldError(name, f"{name}: {error.reason}") from None


def _recorded(fields: Fields) -> bool:
    chosen = fields.choice("recording_option", (*_RECORDED, *_ONE_SIDE), "off")
    if chosen in _ONE_SIDE:  # to record more than was asked for may be against the law
        raise FieldError(
            "recording_option",
            f"recording_option {chosen} needs a provider that records one side alone, which none does: use both, "
            "or off.",
        )
    return _RECORDED[chosen]
