"""One-time passwords: single calls that bring somebody a password, by voice unless they say otherwise."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from dialer.calls.single import NewSingle
from dialer.campaigns.template import Template
from dialer.errors import FieldError, NotFound
from dialer.lifecycle import CallKind
from dialer.numbers import NumberError, to_e164
from dialer.providers.contract import Capability
from dialer.providers.need import of_single
from dialer.reading import Fields
from dialer.speech import Speech, caller_number, e164_or_digits

#: How long a one-time password is worth anything: one that could not be dialled by then is not dialled any more.
OTP_LIFE = timedelta(minutes=5)
#: The place of the password in a template's text.
OTP = "otp"
#: A flash call shows a password of so many digits: the end of the number that it comes from.
FLASH_DIGITS = 4

_OTP = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)


class Channel(StrEnum):
    """How a password is brought."""

    VOICE = "voice"  # spoken
    FLASH = "flash"  # the end of the calling number
    SMS = "sms"  # a text message


CAPABILITIES: Mapping[Channel, Capability] = {
    Channel.VOICE: Capability.VOICE_OTP,
    Channel.FLASH: Capability.FLASH_OTP,
    Channel.SMS: Capability.SMS_OTP,
}


@dataclass(frozen=True, slots=True)
class NewOtp:
    """A one-time password to be brought to somebody. `template_id` is empty where nothing is said."""

    e164: str = field(repr=False)
    caller_id: str = field(repr=False)
    otp: str = field(repr=False)
    template_id: str
    speech: Speech
    channel: Channel = Channel.VOICE

    @classmethod
    def read(cls, body: Mapping[str, Any], region: str | None) -> NewOtp:
        """Read the parameters of `outbound_call` (`cpaas-campaign-api.md`, "One Time Password"), and `channel`. Numbers
        without a country code are of `region`. Raises `FieldError`, which never repeats the password."""
        fields = Fields(body)
        channel = Channel(fields.choice("channel", [one.value for one in Channel], Channel.VOICE.value))
        try:
            e164 = to_e164(fields.needed("customer_number", longest=40), region)
        except NumberError as error:
            raise FieldError("customer_number", f"customer_number: {error.reason}") from None
        otp = re.sub(r"[\s\-]", "", fields.needed("otp", longest=100))
        if not _OTP.fullmatch(otp):
            raise FieldError("otp", "otp must have 1 to 32 letters and digits, such as 1987.")
        if channel is Channel.FLASH and not (len(otp) == FLASH_DIGITS and otp.isdigit()):
            raise FieldError(
                "otp", f"otp must have exactly {FLASH_DIGITS} digits, such as 1987, where channel is flash."
            )
        return cls(
            e164=e164,
            caller_id=_caller_id(fields, channel, region),
            otp=otp,
            template_id="" if channel is Channel.FLASH else fields.identifier("announce_template_id"),
            speech=Speech.read(fields),
            channel=channel,
        )

    def single(self, template: str | None) -> NewSingle:
        """The call to be made; `template` is the account's text of `template_id`. Raises `NotFound` when the account
        has none of that id."""
        capability = CAPABILITIES[self.channel]
        return NewSingle(
            kind=CallKind.OTP,
            e164=self.e164,
            need=of_single(capability, language=self.speech.language_code),
            life=OTP_LIFE,
            message={
                "capability": capability.value,
                "caller_id": self.caller_id,
                "text": self._text(template),
                "code": self.otp,
                "connect_to": None,
                "record": False,
                **asdict(self.speech),
            },
        )

    def _text(self, template: str | None) -> str | None:
        if self.channel is Channel.FLASH:
            return None
        if template is None:
            raise NotFound(
                "announce_template_id",
                "announce_template_id: this account has no approved template of this id; check the id, or have the "
                "operator add it with `dialer template add`.",
            )
        compiled = Template.compile(template)
        if compiled.fields != (OTP,):
            raise FieldError(
                "announce_template_id",
                "announce_template_id: a template for passwords must hold {otp} and no other field; name another.",
            )
        said = spoken(self.otp) if self.channel is Channel.VOICE else self.otp
        return compiled.render({OTP: said})


def check_template(text: str) -> None:
    """Whether a password can be spoken in this text: it has `{otp}` and no other place.

    Raises `FieldError`, and `TemplateError` for what is no template at all.
    """
    if Template.compile(text).fields != (OTP,):
        raise FieldError(
            "text", "The text must hold {otp}, where the password is spoken, and no other field."
        )


def spoken(otp: str) -> str:
    """A password as it is to be read out, one character at a time: `1, 9, 8, 7`."""
    return ", ".join(otp)


def _caller_id(fields: Fields, channel: Channel, region: str | None) -> str:
    """Only who is spoken to sees a number of ours: the other channels have senders of their own."""
    if channel is not Channel.VOICE and fields.raw("caller_id") is None:
        return ""
    return e164_or_digits(caller_number(fields, "caller_id"), region)
