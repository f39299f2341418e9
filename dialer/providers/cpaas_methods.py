"""What the CPaaS API documents beside calls: callbacks, live calls, lists, campaigns, CDRs and statistics
(`cpaas-campaign-api.md`).

Results are in the reference's own words. "Click To Call" and "One Time Password" are no methods: they ring somebody at
once, which is `submit`'s. A callback rings somebody later, a transferred call somebody else, and a campaign everybody
on a list that nobody here can look at, so whoever asks for one says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from dialer.calls.window import known_zone
from dialer.providers.contract import ProviderError, ProviderRequest, Reply
from dialer.providers.methods import Method, Parameter, Values, methods, unreadable

_AT = "`YYYY-mm-dd hh:mm:ss`"
RECORDED, SPOKEN = "0", "1"  # "Create Campaign", `dynamic_announcement`
BLIND, ATTENDED, HANGUP, RECORD = "0", "1", "2", "3"  # "Modify Live Call", `modify_type`


def authorization(settings: Mapping[str, str]) -> dict[str, str]:
    """ "Header": the keys of every request."""
    return {"account": settings["account"].strip(), "auth": settings["auth"].strip()}


def envelope(reply: Reply) -> dict[str, Any]:
    """What stands within `{"response": {…}}`, empty when there is no such thing."""
    answer = (reply.json_object() or {}).get("response")
    return answer if isinstance(answer, dict) else {}


def succeeded(answer: Mapping[str, Any]) -> bool | None:
    """`success` of an envelope; None when it is neither true nor false."""
    word = answer.get("success")
    if isinstance(word, bool):
        return word
    return {"true": True, "false": False}.get(word.strip().lower()) if isinstance(word, str) else None


def read(reply: Reply) -> dict[str, Any]:
    """The envelope's content without `success`. Raises ProviderError."""
    answer = envelope(reply)
    success = succeeded(answer)
    if success and reply.status < 300:
        return {name: value for name, value in answer.items() if name != "success"}
    if success is False:
        message = answer.get("message")
        told = f" and said: {message}" if isinstance(message, str) and message else ""
        raise ProviderError(f"The provider refused it with HTTP {reply.status}{told}".rstrip(".") + ".")
    raise unreadable("The provider", reply)


def _sending(http: str, path: str, **fixed: str) -> Any:
    """Builds a request whose body holds what was given, in the reference's words, and what is `fixed`."""

    def build(adapter: Any, values: Values) -> ProviderRequest:
        body = {name: _written(value) for name, value in values.items()} | fixed
        return ProviderRequest(http, path, headers=authorization(adapter.settings), json=body or None)

    return build


def _written(value: Any) -> Any:
    """Everything but an array is a string there; what is on or off is said so."""
    if isinstance(value, list):
        return value
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _both_rung(values: Values) -> tuple[str, ...]:
    """Whom a callback rings: the agent, and then whom they are connected with."""
    return values["agent_number"], values["destination_number"]


def _create_campaign(adapter: Any, values: Values) -> ProviderRequest:
    """See "Create Campaign". In its examples what is not announced is an empty text."""
    said = "announcement_text" if values["dynamic_announcement"] == SPOKEN else "recorded_filename"
    if said not in values:
        raise ProviderError(
            f"create_campaign needs {said} where dynamic_announcement is {values['dynamic_announcement']}."
        )
    nothing = {"announcement_text": "", "recorded_filename": ""}
    request: ProviderRequest = _sending("POST", "create_campaign")(adapter, {**nothing, **values})
    return request


def _moment(values: Values, name: str, zone: tzinfo) -> datetime:
    try:
        return datetime.strptime(values[name].strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        raise ProviderError(f"{name} is no moment: write it as {_AT}.") from None


def _scheduled(values: Values, zone: tzinfo) -> datetime:
    return _moment(values, "scheduled_at", zone)


def _zone(values: Values) -> ZoneInfo:
    zone = known_zone(values.get("time_zone", "UTC").strip())
    if zone is None:
        raise ProviderError("time_zone is no zone that is known here: write one such as Asia/Kolkata.")
    return zone


def _called_at(values: Values) -> tuple[datetime, ...]:
    """When a new callback rings: at `scheduled_at` by the clock of `time_zone`."""
    return (_scheduled(values, _zone(values)),)


def _dialled_during(values: Values) -> tuple[ZoneInfo, datetime, datetime]:
    """From when until when a campaign rings, by the clocks of its `time_zone`, "Default: UTC"."""
    zone = _zone(values)
    return zone, _moment(values, "campaign_start_date", zone), _moment(values, "campaign_end_date", zone)


def _called_at_anywhere(values: Values) -> tuple[datetime, ...]:
    """When a changed callback may ring: its zone was told when it was made, and is not known here, so in any one."""
    return tuple(_scheduled(values, timezone(timedelta(hours=hours))) for hours in range(-12, 15))


_CALLBACK = (
    Parameter("agent_number", "the agent's number, dialled first", needed=True),
    Parameter("caller_id", "the number that both see", needed=True),
    Parameter("destination_number", "whom the agent is connected with", needed=True),
    Parameter("recording_option", "whether the call is recorded", bool),
)
_CALLBACK_ID = Parameter("request_id", "the callback's request_id", needed=True)
_CHANNEL = Parameter("channel", "the channel, such as PJSIP/101-0000023c", needed=True)
_CAMPAIGN = Parameter("campaign_id", "the campaign's id", needed=True)

_SPEECH = (
    Parameter("voice", "who speaks, such as Joanna"),
    Parameter("volume", "how loud", choices=("silent", "x-soft", "soft", "medium", "loud", "x-loud")),
    Parameter("rate", "how fast", choices=("x-slow", "slow", "medium", "fast", "x-fast")),
    Parameter("pitch", "how high", choices=("x-low", "low", "medium", "high", "x-high")),
    Parameter("language_code", "the language, such as en-US"),
    Parameter("tts_engine_type", "the engine", choices=("standard", "neural")),
)
_CONTACT = (
    Parameter("contact_number", "the number", needed=True),
    Parameter("contact_name", "the name"),
    Parameter("contact_fields", "an object of texts for the announcement", dict),
)
_DND_CONTACT = (
    Parameter("dnd_contact_number", "the number", needed=True),
    Parameter("dnd_contact_name", "the name"),
)

METHODS = methods(
    Method(
        "callback_create",
        "Create Callback Request",
        "asks for a call between agent and customer at a chosen time",
        _sending("POST", "callback"),
        read,
        (
            *_CALLBACK,
            Parameter("time_zone", "the zone of scheduled_at, such as Asia/Kolkata", needed=True),
            Parameter("scheduled_at", f"when, as {_AT}", needed=True),
        ),
        changes=True,
        rings=True,
        rung=_both_rung,
        rung_at=_called_at,
    ),
    Method(
        "callback_update",
        "Update Callback Request",
        "changes a callback that is still to come",
        _sending("PATCH", "callback"),
        read,
        (_CALLBACK_ID, *_CALLBACK, Parameter("scheduled_at", f"when, as {_AT}", needed=True)),
        changes=True,
        rings=True,
        rung=_both_rung,
        rung_at=_called_at_anywhere,
    ),
    Method(
        "callback_delete",
        "Delete Callback Request",
        "takes a callback back",
        _sending("DELETE", "callback"),
        read,
        (_CALLBACK_ID,),
        changes=True,
    ),
    Method(
        "transfer_call",
        "Modify Live Call",
        "hands a live call on to somebody and leaves it",
        _sending("POST", "modify_call", modify_type=BLIND),
        read,
        (
            _CHANNEL,
            Parameter("transfer_to", "an agent's extension, or a number with its country code", needed=True),
        ),
        changes=True,
        rings=True,
        rung=lambda values: (values["transfer_to"],),
    ),
    Method(
        "attend_transfer",
        "Modify Live Call",
        "hands a live call on to somebody who is spoken with first",
        _sending("POST", "modify_call", modify_type=ATTENDED),
        read,
        (
            Parameter("channel", "the customer's channel, such as PJSIP/trunk-0000023d", needed=True),
            Parameter("transfer_to", "an agent's extension, or a number with its country code", needed=True),
        ),
        changes=True,
        rings=True,
        rung=lambda values: (values["transfer_to"],),
    ),
    Method(
        "hang_up_call",
        "Modify Live Call",
        "ends a live call",
        _sending("POST", "modify_call", modify_type=HANGUP),
        read,
        (_CHANNEL,),
        changes=True,
    ),
    Method(
        "record_call",
        "Modify Live Call",
        "begins to record a live call",
        _sending("POST", "modify_call", modify_type=RECORD),
        read,
        (_CHANNEL,),
        changes=True,
    ),
    Method(
        "get_cdr_by_date",
        "Get CDR By Date",
        "tells the CDRs of some days",
        _sending("POST", "get_cdr_by_date"),
        read,
        (
            Parameter("start_call_date", "the first day, as YYYY-mm-dd", needed=True),
            Parameter("end_call_date", "the last day, as YYYY-mm-dd", needed=True),
            Parameter("record_count", "how many CDRs, 1000 unless given", int),
            Parameter("offset", "how many of them to skip", int),
        ),
        longest=16 << 20,
    ),
    Method(
        "get_cdr_by_request_id",
        "Get CDR By Request ID",
        "tells the CDRs of a call",
        _sending("POST", "get_cdr_by_request_id"),
        read,
        (Parameter("request_id", "the call's request_id", needed=True),),
    ),
    Method(
        "get_cdr_by_campaign_id",
        "Get CDR By Campaign ID",
        "tells the CDRs of a campaign",
        _sending("POST", "get_cdr_by_campaign_id"),
        read,
        (_CAMPAIGN,),
        longest=64 << 20,
    ),
    Method(
        "get_cdr_statistics",
        "Get CDR Statistics",
        "counts the account's calls by how they ended",
        _sending("GET", "get_cdr_statistics"),
        read,
    ),
    Method(
        "get_live_call_statistics",
        "Get Live Calls Statistics",
        "counts the account's calls that are going on",
        _sending("GET", "get_live_call_statistics"),
        read,
    ),
    Method(
        "get_campaign_cdr_statistics",
        "Get Campaign CDR Statistics",
        "counts a campaign's calls by how they ended",
        _sending("POST", "get_campaign_cdr_statistics"),
        read,
        (_CAMPAIGN,),
    ),
    Method(
        "get_campaign_details",
        "Get Campaign Details",
        "lists the account's campaigns",
        _sending("GET", "get_campaign_details"),
        read,
    ),
    Method(
        "create_campaign",
        "Create Campaign",
        "has the provider ring everybody on a list of its own",
        _create_campaign,
        read,
        (
            Parameter("campaign_name", "the campaign's name", needed=True),
            Parameter("list_id", "id of the list that is rung", needed=True),
            Parameter("dnd_list_id", "id of the provider's DND list that is heeded", needed=True),
            Parameter("campaign_type", "0 announces, 1 asks for keys", needed=True, choices=("0", "1")),
            Parameter("campaign_caller_id", "the number that is shown", needed=True),
            Parameter(
                "dynamic_announcement",
                "0 plays the file, 1 speaks the text",
                needed=True,
                choices=(RECORDED, SPOKEN),
            ),
            Parameter("announcement_text", "the text, with {fields} of contacts"),
            Parameter("recorded_filename", "the uploaded wav file's name"),
            Parameter("campaign_start_date", f"from when, as {_AT}", needed=True),
            Parameter("campaign_end_date", f"until when, as {_AT}", needed=True),
            Parameter("time_zone", "the zone of both, such as Asia/Kolkata; UTC"),
            Parameter("calls_per_minute", "how many calls a minute", int),
            Parameter("repeat", "how often it is announced, in the word of the examples", int),
            Parameter("repeat_count", "the same, in the word of the table", int),
            Parameter("max_retries", "how often a call that fails is made again", int),
            Parameter("retry_attempts", "how often one that is not answered is", int),
            Parameter("retry_time", "after how many seconds", int),
            Parameter("retry_on_statuses", "after which ends, such as NOANSWER"),
            *_SPEECH,
        ),
        changes=True,
        rings=True,
        rung_during=_dialled_during,
    ),
    Method(
        "stop_campaign",
        "Stop Campaign",
        "stops a campaign",
        _sending("POST", "stop_campaign"),
        read,
        (_CAMPAIGN,),
        changes=True,
    ),
    Method(
        "create_campaign_list",
        "Create Campaign List",
        "creates a list of contacts",
        _sending("POST", "create_campaign_list"),
        read,
        (Parameter("list_name", "the list's name", needed=True),),
        changes=True,
    ),
    Method(
        "add_contact_to_list",
        "Add Contacts to List",
        "adds contacts to a list",
        _sending("POST", "add_contact_to_list"),
        read,
        (
            Parameter("list_id", "the list's id", needed=True),
            Parameter("contacts", "the contacts", list, needed=True, fields=_CONTACT),
        ),
        changes=True,
    ),
    Method(
        "import_broadcast_contacts_csv",
        "Import Contacts via CSV File",
        "reads an uploaded CSV file of contacts into a list",
        _sending("POST", "import_broadcast_contacts_csv"),
        read,
        (
            Parameter("list_id", "the list's id", needed=True),
            Parameter("csv_name", "the uploaded file's name", needed=True),
        ),
        changes=True,
    ),
    Method(
        "create_campaign_dnd_list",
        "Create Campaign DND List",
        "creates a DND list",
        _sending("POST", "create_campaign_dnd_list"),
        read,
        (Parameter("dnd_list_name", "the DND list's name", needed=True),),
        changes=True,
    ),
    Method(
        "add_dnd_contact_to_list",
        "Add DND Contacts To List",
        "adds numbers to a DND list",
        _sending("POST", "add_dnd_contact_to_list"),
        read,
        (
            Parameter("dnd_list_id", "the DND list's id", needed=True),
            Parameter("dnd_contacts", "the numbers", list, needed=True, fields=_DND_CONTACT),
        ),
        changes=True,
    ),
    Method(
        "import_dnd_contacts_csv",
        "Add DND Contacts to List via CSV File",
        "reads an uploaded CSV file of numbers into a DND list",
        _sending("POST", "import_dnd_contacts_csv"),
        read,
        (
            Parameter("dnd_list_id", "the DND list's id", needed=True),
            Parameter("dnd_csv_name", "the uploaded file's name", needed=True),
        ),
        changes=True,
    ),
)
