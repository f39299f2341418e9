"""Where MTT forwards calls to our numbers: follow-me lists of plain and of Premedia accounts (`mtt-telecom-api.md`).

The reference has two methods `setFollowme`: one at `webapicommon.mtt.ru`, whose parameters have no names, and one among
the Premedia methods at `gapi.mtt.ru`, which is `setPremediaFollowme` here. Of the latter it needs `sip_id` alone, and
does not say what becomes of the list without a `followmeStructure`: it is always given one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from dialer.providers.base import Adapter
from dialer.providers.contract import ProviderRequest, Reply
from dialer.providers.methods import Entry, Method, Parameter, Values, methods
from dialer.providers.mtt_rpc import (
    GAPI,
    read_fields,
    read_list,
    read_result,
    read_success,
    rpc_request,
    unreadable,
)
from dialer.providers.reading import digits

#: "Формат: 7+10 цифр" and the examples.
TIMEOUT = 15
ALWAYS, ALWAYS_IN_WORDS = "always", "Always"
SEQUENCES = ("Order", "Random", "Simultaneous")

SIP_ID = Parameter("sip_id", "the MTT number of the account", needed=True)
YES_NO = ("Y", "N")


class Followme(TypedDict):
    """See getFollowme, "followmeStruct"; all are text there."""

    I_FOLLOW_ORDER: str
    ACTIVE: str
    NAME: str
    REDIRECT_NUMBER: str
    PERIOD: str
    PERIOD_DESCRIPTION: str
    TIMEOUT: str


class FollowmeList(TypedDict):
    """Where calls to an account are forwarded."""

    sip_id: str
    i_account: str
    followme: list[Followme]


class PremediaFollowme(TypedDict, total=False):
    """See getFollowmeAccountSettings, "followmeStructure"."""

    redirect_number: str
    name: str
    active: str
    follow_order: str | int
    timeout: str | int


class PremediaFollowmeList(TypedDict):
    """Where calls to a Premedia account are forwarded, in which order, and whom they seem to come from."""

    sip_id: str
    sequence: str
    caller_id: str | None
    followme: list[PremediaFollowme]


def _set(adapter: Adapter, values: Values) -> ProviderRequest:
    entries = [
        {**_begun(entry, order), "timeout": TIMEOUT, "period": ALWAYS}
        | {"period_description": entry.get("period", ALWAYS_IN_WORDS)}  # as getFollowme has it
        | entry
        | _plain(entry)
        for order, entry in enumerate(values["followme"], 1)
    ]
    return rpc_request(adapter, "setFollowme", [digits(values["sip_id"]), entries])


def _get(adapter: Adapter, values: Values) -> ProviderRequest:
    return rpc_request(adapter, "getFollowme", [digits(values["sip_id"])])


def _set_premedia(adapter: Adapter, values: Values) -> ProviderRequest:
    params = {"sip_id": digits(values["sip_id"])}
    if "caller_id" in values:
        params["caller_id"] = digits(values["caller_id"])
    if "sequence" in values:
        params["sequence"] = values["sequence"]
    entries = [
        _begun(entry, order) | entry | _plain(entry) for order, entry in enumerate(values["followme"], 1)
    ]
    return rpc_request(adapter, "setFollowme", {**params, "followmeStructure": entries}, GAPI)


def _get_premedia(adapter: Adapter, values: Values) -> ProviderRequest:
    return rpc_request(adapter, "getFollowmeAccountSettings", {"sip_id": digits(values["sip_id"])}, GAPI)


def _begun(entry: Entry, order: int) -> dict[str, Any]:
    """What the examples give every entry."""
    return {"name": digits(entry["redirect_number"]), "active": "Y", "follow_order": order}


def _plain(entry: Entry) -> dict[str, Any]:
    """ "E.164 without the plus"."""
    return {"redirect_number": digits(entry["redirect_number"])}


def read_followme(reply: Reply) -> FollowmeList:
    """See getFollowme: `followme_struct` is the number of entries and the entries."""
    found = read_fields(
        reply, read_result(reply), {"sip_id": str, "i_account": (str, int), "followme_struct": list}
    )
    match found["followme_struct"]:
        case [int() as count, list() as entries] if count == len(entries):
            names = dict.fromkeys(Followme.__annotations__, str)
            listed = [read_fields(reply, entry, names) for entry in entries]
            return {
                "sip_id": found["sip_id"],
                "i_account": str(found["i_account"]),
                "followme": listed,  # type: ignore[typeddict-item]  # they have the fields that were asked for
            }
    raise unreadable(reply)


def read_premedia_followme(reply: Reply) -> PremediaFollowmeList:
    """See getFollowmeAccountSettings."""
    found = read_fields(
        reply,
        read_result(reply),
        {"sip_id": str, "sequence": str, "followmeStructure": list},
        {"caller_id": str},
    )
    needed = {"redirect_number": str, "active": str, "follow_order": (str, int)}
    optional = {"name": str, "timeout": (str, int)}
    listed = [
        read_fields(reply, entry, needed, optional) for entry in read_list(reply, found["followmeStructure"])
    ]
    return {
        "sip_id": found["sip_id"],
        "sequence": found["sequence"],
        "caller_id": found.get("caller_id"),
        "followme": listed,  # type: ignore[typeddict-item]  # as above
    }


_ENTRY = (
    Parameter("redirect_number", "whom to forward to", needed=True),
    Parameter("name", "its name, the number unless given"),
    Parameter("timeout", "seconds that it rings; 15", int),
    Parameter("active", "whether it is in use; Y", choices=YES_NO),
    Parameter("follow_order", "its place; as listed", int),
)

#: By their names, in the order of the reference.
METHODS: Mapping[str, Method] = methods(
    Method(
        "setFollowme",
        "setFollowme",
        "sets the numbers that calls to an account are forwarded to",
        _set,
        read_success,
        (
            SIP_ID,
            Parameter(
                "followme",
                "whom to forward to",
                list,
                needed=True,
                fields=(
                    *_ENTRY,
                    Parameter("period", "when; always"),
                    Parameter("period_description", "the same in words; as period"),
                    Parameter("domain", "a SIP domain to forward to"),
                    Parameter("use_tcp", "SIP over TCP", choices=YES_NO),
                    Parameter("keep_original_cli", "shows the caller's number", choices=("Y", "N", "I")),
                    Parameter("keep_original_cld", "keeps the called number", choices=YES_NO),
                ),
            ),
        ),
        changes=True,
    ),
    Method(
        "getFollowme",
        "getFollowme",
        "lists the numbers that calls to an account are forwarded to",
        _get,
        read_followme,
        (SIP_ID,),
    ),
    Method(
        "setPremediaFollowme",
        "Premedia API, setFollowme",
        "sets the numbers that calls to a Premedia account are forwarded to",
        _set_premedia,
        read_success,
        (
            SIP_ID,
            Parameter("followme", "whom to forward to", list, needed=True, fields=_ENTRY),
            Parameter("sequence", "in which order; Order", choices=SEQUENCES),
            Parameter("caller_id", "the number shown, 7 and ten digits"),
        ),
        changes=True,
    ),
    Method(
        "getFollowmeAccountSettings",
        "Premedia API, getFollowmeAccountSettings",
        "tells how calls to a Premedia account are forwarded",
        _get_premedia,
        read_premedia_followme,
        (SIP_ID,),
    ),
)
