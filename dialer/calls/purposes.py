"""What a single call is for, as `/v1/calls` is asked for it: read, checked, and put into the words of a single call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from dialer.calls import talk_form
from dialer.calls.click_to_call import CLICK_LIFE
from dialer.calls.otp import CAPABILITIES, FLASH_DIGITS, OTP, OTP_LIFE, Channel, spoken
from dialer.calls.repeats import NO_REPEATS, RepeatPolicy, RepeatPolicyError
from dialer.calls.single import NewSingle, is_urgent
from dialer.calls.talk import PLAIN
from dialer.calls.window import CallingWindow, WindowError, known_zone, next_opening_in_all
from dialer.campaigns.template import Template, TemplateError
from dialer.errors import FieldError, NotFound
from dialer.lifecycle import CallKind
from dialer.numbers import NumberError, to_e164, zones_of
from dialer.providers.contract import Capability
from dialer.providers.need import of_single
from dialer.reading import Fields
from dialer.speech import Speech, caller_number, e164_or_digits


class Purpose(StrEnum):
    """What a single call is for."""

    OTP = "otp"  # brings a one-time password: at any hour, before all others
    TRANSACTIONAL = "transactional"  # tells somebody of something that they did: an order, a date
    ANNOUNCEMENT = "announcement"  # tells somebody of anything else
    CLICK_TO_CALL = "click_to_call"  # connects two people: at any hour, before all others


KINDS: Mapping[Purpose, CallKind] = {
    Purpose.OTP: CallKind.OTP,
    Purpose.TRANSACTIONAL: CallKind.TRANSACTIONAL,
    Purpose.ANNOUNCEMENT: CallKind.ANNOUNCEMENT,
    Purpose.CLICK_TO_CALL: CallKind.CLICK_TO_CALL,
}
#: How long a call is worth dialling from the moment at which it is due, unless told otherwise, …
LIVES: Mapping[Purpose, timedelta] = {
    Purpose.OTP: OTP_LIFE,
    Purpose.TRANSACTIONAL: timedelta(days=1),
    Purpose.ANNOUNCEMENT: timedelta(days=1),
    Purpose.CLICK_TO_CALL: CLICK_LIFE,
}
#: … and at most: a password is not kept for longer than anybody may need it.
LONGEST_LIVES: Mapping[Purpose, timedelta] = {
    Purpose.OTP: timedelta(hours=1),
    Purpose.TRANSACTIONAL: timedelta(days=30),
    Purpose.ANNOUNCEMENT: timedelta(days=30),
    Purpose.CLICK_TO_CALL: timedelta(hours=1),
}
#: How far ahead a call may be asked for.
MOST_AHEAD = timedelta(days=30)

#: Which fields only some purposes have.
_ONLY_FOR: Mapping[str, frozenset[Purpose]] = {
    "code": frozenset({Purpose.OTP}),
    "channel": frozenset({Purpose.OTP}),
    "connect_to": frozenset({Purpose.CLICK_TO_CALL}),
    "record": frozenset({Purpose.CLICK_TO_CALL}),
    **dict.fromkeys(("prompts", "max_seconds", "ring"), frozenset({Purpose.CLICK_TO_CALL})),
    **dict.fromkeys(
        ("message", "template_id", "variables"),
        frozenset({Purpose.OTP, Purpose.TRANSACTIONAL, Purpose.ANNOUNCEMENT}),
    ),
}
_CODE = re.compile(r"[A-Za-z0-9]{1,32}", re.ASCII)


def read(
    given: Mapping[str, Any],
    *,
    speech: Speech,
    region: str | None,
    account_zone: str,
    window: CallingWindow,
    templates: Mapping[str, str],
    now: datetime,
) -> NewSingle:
    """The call that is asked for by these fields of `/v1/calls`, of their types; those left out are not in it.

    Numbers without a country code are of `region` (ISO 3166); `window` and `account_zone` (IANA) are the account's;
    `templates` are its texts by id. Raises `FieldError` and `NotFound`, which never repeat a number or a code.
    """
    fields = Fields(given)
    purpose = Purpose(given["purpose"])
    for name, purposes in _ONLY_FOR.items():
        if fields.raw(name) not in (None, False) and purpose not in purposes:
            raise FieldError(
                name, f"{name} is not for calls of purpose {purpose}: leave it out, or change purpose."
            )
    channel = Channel(given.get("channel") or Channel.VOICE)
    e164 = _number(fields, "to", region)
    code = _code(fields, channel) if purpose is Purpose.OTP else None
    connect_to = _number(fields, "connect_to", region) if purpose is Purpose.CLICK_TO_CALL else None
    if connect_to == e164:
        raise FieldError(
            "connect_to", "connect_to is the number in to: give the number of whom they are to talk with."
        )
    talk = PLAIN if connect_to is None else talk_form.read(given, region, (e164, connect_to))
    is_silent = purpose is Purpose.CLICK_TO_CALL or (purpose is Purpose.OTP and channel is Channel.FLASH)
    capability = (
        CAPABILITIES[channel]
        if purpose is Purpose.OTP
        else Capability.CLICK_TO_CALL
        if purpose is Purpose.CLICK_TO_CALL
        else Capability.ANNOUNCE_TEXT
    )
    record = bool(given.get("record"))
    zone = _zone(fields)
    due_at, expires_at = _times(given, purpose, now)
    if not is_urgent(KINDS[purpose]):
        due_at = _opening(window, zone, e164, account_zone, due_at or now, expires_at)
    return NewSingle(
        kind=KINDS[purpose],
        e164=e164,
        need=of_single(capability, language=speech.language_code, record=record, talk=talk),
        life=LIVES[purpose],
        message={
            "capability": capability.value,
            "caller_id": _caller_id(fields, purpose, channel, region),
            "text": None if is_silent else _text(fields, given, code, channel, templates),
            "code": code,
            "connect_to": connect_to,
            "record": record,
            **talk_form.to_columns(talk),
            **asdict(speech),
        },
        due_at=due_at,
        expires_at=expires_at,
        repeat_policy=_repeat_policy(given),
        metadata=given.get("metadata") or None,
        provider=fields.text("provider", longest=200),
        time_zone=zone,
    )


def _number(fields: Fields, name: str, region: str | None) -> str:
    try:
        return to_e164(fields.needed(name, longest=40), region)
    except NumberError as error:
        raise FieldError(name, f"{name}: {error.reason}") from None


def _caller_id(fields: Fields, purpose: Purpose, channel: Channel, region: str | None) -> str:
    """Only who is spoken to sees a number of ours: the other channels have senders of their own."""
    if purpose is Purpose.OTP and channel is not Channel.VOICE and fields.raw("from") is None:
        return ""
    return e164_or_digits(caller_number(fields, "from"), region)


def _code(fields: Fields, channel: Channel) -> str:
    code = re.sub(r"[\s\-]", "", fields.needed("code", longest=100))
    if not _CODE.fullmatch(code):
        raise FieldError("code", "code must have 1 to 32 letters and digits, such as 1987.")
    if channel is not Channel.FLASH:
        return code
    if not (len(code) == FLASH_DIGITS and code.isdigit()):
        raise FieldError(
            "code", f"code must have exactly {FLASH_DIGITS} digits, such as 1987, where channel is flash."
        )
    for name in ("message", "template_id"):
        if fields.raw(name) is not None:
            raise FieldError(name, f"{name}: a flash call says nothing; leave it out, or change channel.")
    return code


def _text(
    fields: Fields,
    given: Mapping[str, Any],
    code: str | None,
    channel: Channel,
    templates: Mapping[str, str],
) -> str:
    message, template_id = fields.text("message", keep_lines=True), fields.raw("template_id")
    if (message is None) == (template_id is None):
        raise FieldError("message", "message or template_id must say what the call tells: give one of them.")
    where = "message" if message is not None else "template_id"
    text = message if message is not None else templates.get(fields.identifier("template_id"))
    if text is None:
        raise NotFound("template_id", "template_id: this account has no such template; check the id.")
    values: dict[str, str] = dict(given.get("variables") or {})
    if code is not None:
        values[OTP] = spoken(code) if channel is Channel.VOICE else code
    try:
        template = Template.compile(text, where)
        if code is not None and OTP not in template.fields:
            raise FieldError(where, f"{where} must hold {{otp}}, where the code is told.")
        missing = [name for name in template.fields if name not in values]
        if missing:
            raise FieldError(
                "variables",
                f"variables lacks {missing[0]}, which {where} asks for: add it, a text by that name.",
            )
        rendered = template.render(values)
    except TemplateError as error:
        raise FieldError(where, str(error)) from None
    if not rendered.strip():
        raise FieldError(where, f"{where} says nothing: give a text.")
    return rendered


def _times(
    given: Mapping[str, Any], purpose: Purpose, now: datetime
) -> tuple[datetime | None, datetime | None]:
    not_before: datetime | None = given.get("not_before")
    expires_at: datetime | None = given.get("expires_at")
    if not_before is not None:
        if not_before - now > MOST_AHEAD:
            raise FieldError(
                "not_before", f"not_before may be at most {MOST_AHEAD.days} days ahead: give an earlier time."
            )
        not_before = max(now, not_before.astimezone(UTC))
    if expires_at is None:
        return not_before, None
    expires_at, begins_at = expires_at.astimezone(UTC), not_before or now
    if expires_at <= begins_at:
        raise FieldError(
            "expires_at", "expires_at has passed already, or is not after not_before: give a later time."
        )
    longest = LONGEST_LIVES[purpose]
    if expires_at - begins_at > longest:
        hours = longest // timedelta(hours=1)
        raise FieldError(
            "expires_at",
            f"expires_at may be at most {hours} hours after a call of purpose {purpose} may first be dialled: give "
            "an earlier time.",
        )
    return not_before, expires_at


def _zone(fields: Fields) -> str | None:
    name = fields.text("time_zone", longest=100)
    if name is not None and known_zone(name) is None:
        raise FieldError("time_zone", "time_zone must be an IANA name such as Asia/Kolkata.")
    return name


def _opening(
    window: CallingWindow,
    zone: str | None,
    e164: str,
    account_zone: str,
    after: datetime,
    expires_at: datetime | None,
) -> datetime:
    """When the callee may first be rung, in every zone that they may be in."""
    names = (zone,) if zone is not None else zones_of(e164) or (account_zone,)
    zones = [known_zone(name) or ZoneInfo("UTC") for name in names]
    try:
        opening = next_opening_in_all(window, zones, after)
    except WindowError:
        raise FieldError(
            "time_zone",
            "time_zone is missing: the number may be in several zones, in which the calling window is never open at "
            "once. Give the callee's.",
        ) from None
    if expires_at is not None and opening >= expires_at:
        raise FieldError(
            "expires_at",
            f"expires_at is before the callee may be rung next, at {opening:%Y-%m-%dT%H:%M:%SZ}: give a later time.",
        )
    return opening


def _repeat_policy(given: Mapping[str, Any]) -> RepeatPolicy:
    if given.get("repeat_policy") is None:
        return NO_REPEATS
    try:
        return RepeatPolicy.parse(given["repeat_policy"])
    except RepeatPolicyError as error:
        sentence = str(error)
        named = sentence if sentence.startswith("repeat_policy") else f"repeat_policy: {sentence}"
        raise FieldError("repeat_policy", named) from None
