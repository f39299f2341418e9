"""Calls at iotcomms that are going on: what callbacks call their lines by, and the methods that act on them
(`iotcomms-mediaservice-api.md`).

A transfer is told in two steps: a method ends what goes on, and iotcomms then asks what comes next, which is answered
by `dialer.calls.handing_on`. Who hears something is interrupted; two who are connected are parted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dialer.providers.contract import ProviderError
from dialer.providers.iotcomms_live import DROPS, FAILURES, recording_name, text_in
from dialer.providers.iotcomms_methods import SITE
from dialer.providers.iotcomms_reference import read_reference
from dialer.providers.live import Control, Order
from dialer.providers.methods import Value

#: Characters of what a line is called by: `replyId` is a signed token.
LONGEST_HANDLE = 4000
#: Whether two of whom we know are connected, or one is with the prompts.
TWO, ONE = "two", "one"


def read_handles(name: str, body: Mapping[str, Any]) -> dict[str, str]:
    """What a callback calls its line by: `replyId`, `connectionId` and both participants of callAnswered, as `asking`
    the `replyId` of the command that somebody hears, as `gone` who has left by a callEvent. `line` is TWO or ONE.
    `siteBaseUrl` is where a hybrid site takes what is asked of its calls. What is longer than a table should hold is
    none."""
    told: dict[str, str] = {}
    if name == "callAnswered" and body.get("monitoringParticipant") is not True:
        told = {key: text_in(body, key) for key in ("replyId", "connectionId", "sessionId")}
        told |= {
            "caller": text_in(body, "callerParticipantId"),
            "callee": text_in(body, "calleeParticipantId"),
        }
        told["line"] = TWO if read_reference(body.get("sessionReferenceId")).connected else ONE
    elif name == "getIvrCommand":
        told = {"asking": text_in(body, "replyId"), "sessionId": text_in(body, "sessionId"), "line": ONE}
    elif name == "callEvent" and text_in(body, "event") in DROPS | FAILURES:
        told = {"gone": text_in(body, "participantId")}
    if told and name != "callEvent":
        told[SITE] = text_in(body, SITE)
    return {key: value for key, value in told.items() if 0 < len(value) <= LONGEST_HANDLE}


def control(order: Order, settings: Mapping[str, str]) -> tuple[str, dict[str, Value]]:
    """The method of a control, and its parameters. Raises ProviderError for what the document has nothing for."""
    if not _reply_id(order):
        raise ProviderError(
            "Nobody is on the line yet, or iotcomms has not told of it: try again when they are."
        )
    method, values = _method(order, settings)
    site = str(order.handles.get(SITE) or "")
    return method, {**values, SITE: site} if site else values


def _method(order: Order, settings: Mapping[str, str]) -> tuple[str, dict[str, Value]]:
    if order.control is Control.HANG_UP:
        return _hang_up(order)
    if order.control is Control.RECORD:
        return _record(order)
    _check_target(order, settings)
    if parties(order):
        handles = order.handles
        return "splitconnection", {"replyId": handles["replyId"], "connectionId": handles["connectionId"]}
    return _interrupt(order)


def parties(order: Order) -> dict[str, str]:
    """Of a transfer that parts two who are connected: who is handed on, and who hands them on. Whoever was handed on
    before is again. Else the callee is, who is the calling party towards whom they are connected with; unless the
    callee of this call is the one who hands on."""
    handles = order.handles
    caller, callee = handles.get("caller"), handles.get("callee")
    needed = (caller, callee, handles.get("connectionId"), handles.get("replyId"))
    is_transfer = order.control in (Control.BLIND_TRANSFER, Control.ATTENDED_TRANSFER)
    if not is_transfer or handles.get("line") != TWO or not all(needed):
        return {}
    kept = callee if order.callee_hands_on else caller
    if handles.get("kept") in (caller, callee):
        kept = handles["kept"]
    return {"kept": str(kept), "other": str(caller if kept == callee else callee)}


def _reply_id(order: Order) -> str:
    return str(order.handles.get("replyId") or order.handles.get("asking") or "")


def _hang_up(order: Order) -> tuple[str, dict[str, Value]]:
    """See "/{domain}/hangupparticipant": our callee is hung up on, and then iotcomms asks about whom they talked with.
    Of a line whose participants are not known, "/{domain}/hangupcall"."""
    handles = order.handles
    participant = handles.get("caller" if handles.get("line") == TWO else "callee")
    if not participant or not handles.get("replyId"):
        return "hangupcall", {"replyId": _reply_id(order)}
    values: dict[str, Value] = {"participantId": participant, "replyId": handles["replyId"]}
    if handles.get("sessionId"):
        values["sessionId"] = handles["sessionId"]
    return "hangupparticipant", values


def _record(order: Order) -> tuple[str, dict[str, Value]]:
    """See "/{domain}/startrecording"."""
    handles = order.handles
    if handles.get("line") != TWO or not handles.get("connectionId"):
        raise ProviderError("iotcomms records two who are connected, and this call is not: try again later.")
    return "startrecording", {
        "recordingFileName": recording_name(order.attempt_id),
        "replyId": _reply_id(order),
        "connectionId": handles["connectionId"],
    }


def _check_target(order: Order, settings: Mapping[str, str]) -> None:
    if not order.transfer_to.startswith("+") and not settings.get("extension_host", "").strip():
        raise ProviderError(
            "iotcomms connects with SIP addresses, and where extensions are is not set: give transfer_to as a number "
            "with its country code, or the provider the setting extension_host."
        )


def _interrupt(order: Order) -> tuple[str, dict[str, Value]]:
    """See "/{domain}/interruptivrcommand"."""
    handles = order.handles
    if order.control is Control.ATTENDED_TRANSFER:
        raise ProviderError(
            "Nobody is connected who could speak with the other one first: use modify_type 0, a blind transfer, or "
            "try again when two talk."
        )
    if not handles.get("asking"):
        raise ProviderError(
            "iotcomms hands on who hears something or talks with somebody, and has told of neither: try again in a "
            "moment."
        )
    values: dict[str, Value] = {"replyId": handles["asking"]}
    return "interruptivrcommand", values | (
        {"sessionId": handles["sessionId"]} if handles.get("sessionId") else {}
    )
