"""Click-to-call: somebody is rung, and connected with somebody else as soon as they pick up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from dialer.calls import talk_form
from dialer.calls.single import NewSingle
from dialer.calls.talk import PLAIN, Side, Talk
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
_RECORDED = ("off", "on", "both", *Side)


@dataclass(frozen=True, slots=True)
class NewClickToCall:
    """Two people to be connected: the agent is rung first, then the one at the destination."""

    agent: str = field(repr=False)
    destination: str = field(repr=False)
    caller_id: str = field(repr=False)
    record: bool = False
    #: Whose words alone are recorded; None: those of both.
    record_side: Side | None = None
    #: A recording is a wish: who cannot record them connects them all the same.
    record_if_able: bool = False
    transcript: bool = False
    talk: Talk = PLAIN
    #: How texts of `talk` are spoken.
    speech: Speech = field(default_factory=Speech)

    @classmethod
    def read(cls, body: Mapping[str, Any], region: str | None) -> NewClickToCall:
        """Read the parameters of `click2call` (`cpaas-campaign-api.md`, "Click To Call"), where a recording is a wish.
        Numbers without a country code are of `region`. Raises `FieldError`."""
        fields = Fields(body)
        agent = _number(fields, "agent_number", region)
        destination = _number(fields, "destination_number", region)
        if agent == destination:
            raise FieldError(
                "destination_number",
                "destination_number is agent_number: give the number of whom the agent is to talk with.",
            )
        recorded = fields.choice("recording_option", _RECORDED, "off")
        return cls(
            agent=agent,
            destination=destination,
            caller_id=e164_or_digits(caller_number(fields, "caller_id"), region),
            record=recorded != "off",
            record_side=Side(recorded) if recorded in tuple(Side) else None,
            record_if_able=recorded != "off",
            transcript=fields.choice("transcript", ("on", "off"), "off") == "on",
        )

    def single(
        self,
        kind: CallKind = CallKind.CLICK_TO_CALL,
        life: timedelta = CLICK_LIFE,
    ) -> NewSingle:
        """The call to be made, at once unless `kind` says otherwise; the agent is the callee."""
        capability = Capability.CLICK_TO_CALL
        return NewSingle(
            kind=kind,
            e164=self.agent,
            need=of_single(
                capability,
                language=self.speech.language_code,
                record=self.record,
                one_side=self.record_side is not None,
                record_if_able=self.record_if_able,
                talk=self.talk,
            ),
            life=life,
            message={
                "capability": capability.value,
                "caller_id": self.caller_id,
                "text": None,
                "code": None,
                "connect_to": self.destination,
                "record": self.record,
                "record_side": None if self.record_side is None else self.record_side.value,
                "record_if_able": self.record_if_able,
                "transcript": self.transcript,
                **talk_form.to_columns(self.talk),
                **asdict(self.speech),
            },
        )


def _number(fields: Fields, name: str, region: str | None) -> str:
    try:
        return to_e164(fields.needed(name, longest=40), region)
    except NumberError as error:
        raise FieldError(name, f"{name}: {error.reason}") from None
