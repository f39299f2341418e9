"""What a call says, made for the person who is called: the same before it is sent and while it is answered live."""

from __future__ import annotations

from typing import Any

from dialer import media
from dialer.calls import flow_form, talk_form
from dialer.calls.talk import Side
from dialer.campaigns.template import Template, TemplateError
from dialer.providers.contract import Submission


def of_campaign(attempt_id: str, call: Any, campaign: Any) -> Submission:
    """An attempt of a campaign's call. `call` has, besides a call's columns, `contact_name`, `contact_fields` and
    `contact_language`.

    Raises `TemplateError` for a contact who lacks a field, `FlowError` for a flow that another version wrote.
    """
    values = dict(call.contact_fields or {})
    values["contact_name"] = call.contact_name or ""
    values["contact_number"] = call.e164
    text, flow = None, None
    if campaign.announcement_text is not None:
        text = Template.of(campaign.announcement_text).render(values)
    elif campaign.flow is not None:
        flow = flow_form.stored(campaign.id, campaign.flow).rendered(values)
    return Submission(
        attempt_id=attempt_id,
        to=call.e164,
        caller_id=campaign.caller_id,
        text=text,
        media=media.at_provider(campaign.recorded_filename),
        repeat_count=campaign.repeat_count,
        language=call.contact_language or campaign.language_code,
        voice=campaign.voice,
        volume=campaign.volume,
        rate=campaign.rate,
        pitch=campaign.pitch,
        tts_engine_type=campaign.tts_engine_type,
        flow=flow,
    )


def of_single(attempt_id: str, call: Any, message: Any | None) -> Submission:
    """An attempt of a call without a campaign. Raises `TemplateError` when it has nothing to say any more, `FlowError`
    for a flow that another version wrote."""
    if message is None or all(
        one is None for one in (message.text, message.code, message.connect_to, message.media, message.flow)
    ):
        raise TemplateError("the call has no message")
    return Submission(
        attempt_id=attempt_id,
        to=call.e164,
        caller_id=message.caller_id,
        text=message.text,
        media=message.media,
        repeat_count=message.repeat_count,
        language=message.language_code,
        voice=message.voice,
        volume=message.volume,
        rate=message.rate,
        pitch=message.pitch,
        tts_engine_type=message.tts_engine_type,
        code=message.code,
        connect_to=message.connect_to,
        record=bool(message.record),
        record_side=None if message.record_side is None else Side(message.record_side),
        transcript=bool(message.transcript),
        talk=talk_form.stored(message),
        flow=None if message.flow is None else flow_form.stored(call.id, message.flow),
    )
