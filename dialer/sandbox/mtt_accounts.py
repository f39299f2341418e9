"""Plays what MTT keeps for the accounts of numbers at webapicommon.mtt.ru, strictly by `mtt-telecom-api.md`: follow-me
lists, and where MTT asks what becomes of incoming calls. In memory, each login by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from dialer.sandbox.mtt_rpc import INVALID_PARAMS, NOT_FOUND, PERMISSION_DENIED, Handler, RpcError, named
from dialer.sandbox.outcomes import Answer, Ending, fate_of

#: setFollowme, "followmeStruct"; all but the optional ones.
ENTRY = {
    "timeout": (int, str),
    "redirect_number": str,
    "name": str,
    "active": str,
    "period": str,
    "period_description": str,
    "follow_order": (int, str),
}
OPTIONAL = {"domain": str, "use_tcp": str, "keep_original_cli": str, "keep_original_cld": str}
WORDS = {
    "active": ("Y", "N"),
    "use_tcp": ("Y", "N"),
    "keep_original_cli": ("Y", "N", "I"),
    "keep_original_cld": ("Y", "N"),
}
#: How getFollowme writes them.
SHOWN = {
    "I_FOLLOW_ORDER": "follow_order",
    "ACTIVE": "active",
    "NAME": "name",
    "REDIRECT_NUMBER": "redirect_number",
    "PERIOD": "period",
    "PERIOD_DESCRIPTION": "period_description",
    "TIMEOUT": "timeout",
}
NOT_OURS = "You can not access to this sip_id"
NOBODYS = "This account does not exist"
NO_ACCESS = "agent does not have access to this account"


@dataclass(slots=True)
class Account:
    """What one `sip_id` has."""

    number: int
    followme: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    reserve: str = ""


class MttAccounts:
    """The simulated accounts."""

    def __init__(self) -> None:
        self._accounts: dict[tuple[str, str], Account] = {}  # by login and sip_id

    def handlers(self) -> dict[str, Handler]:
        """Their methods by name."""
        return {
            "setFollowme": self.set_followme,
            "getFollowme": self.get_followme,
            "updateCallControlURL": self.set_url,
            "setReserveCallControlNumber": self.set_reserve,
            "getAccountCustomFields": self.custom_fields,
        }

    def asked_at(self, sip_id: str) -> tuple[str, str]:
        """Where MTT asks what becomes of calls to a number, and its reserve; empty when nothing is set."""
        found = [account for (_, number), account in self._accounts.items() if number == sip_id]
        return next(((account.url, account.reserve) for account in found if account.url), ("", ""))

    def set_followme(self, user: str, params: Any) -> Any:
        """setFollowme: `[sip_id, followmeStruct]`."""
        if not isinstance(params, list) or len(params) != 2 or not isinstance(params[1], list):
            raise RpcError(INVALID_PARAMS)
        account = self._account(user, params[0], NOT_OURS, None)
        for entry in params[1]:
            named(entry, ENTRY, OPTIONAL)
            for name, words in WORDS.items():
                if entry.get(name, words[0]) not in words:
                    raise RpcError(INVALID_PARAMS, f"Unknown param '{name}' value")
            if not re.fullmatch(r"[0-9]{5,15}", entry["redirect_number"]):
                raise RpcError(INVALID_PARAMS, "Incorrect redirect_number format")
        account.followme = params[1]
        return {"success": 1}

    def get_followme(self, user: str, params: Any) -> Any:
        """getFollowme: `[sip_id]`."""
        if not isinstance(params, list) or len(params) != 1:
            raise RpcError(INVALID_PARAMS)
        account = self._account(user, params[0], NOT_OURS)
        if not account.followme:
            raise RpcError(NOT_FOUND, "No followMe on this account")
        shown = [{name: str(entry[source]) for name, source in SHOWN.items()} for entry in account.followme]
        return {
            "sip_id": params[0],
            "i_account": str(account.number),
            "followme_struct": [len(shown), shown],
        }

    def set_url(self, user: str, params: Any) -> Any:
        """updateCallControlURL."""
        given = named(params, {"sip_id": str}, {"url": str})
        account = self._account(user, given["sip_id"], NO_ACCESS)
        url = given.get("url", "")
        if url and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
            raise RpcError(INVALID_PARAMS, "Unknown param 'url' value")
        account.url = url
        return {"success": 1}

    def set_reserve(self, user: str, params: Any) -> Any:
        """setReserveCallControlNumber."""
        given = named(params, {"sip_id": str}, {"number": str})
        account = self._account(user, given["sip_id"], NO_ACCESS)
        number = given.get("number", "")
        if number and not re.fullmatch(r"[0-9]{5,15}", number):
            raise RpcError(INVALID_PARAMS, "Unknown param 'number' value")
        account.reserve = number
        return {"success": 1}

    def custom_fields(self, user: str, params: Any) -> Any:
        """getAccountCustomFields."""
        given = named(params, {"sip_id": str})
        account = self._account(user, given["sip_id"], NO_ACCESS)
        fields = {"GN_IP_IPCR": account.url, "GN_IPCR_RESERVE": account.reserve, "i_account": account.number}
        return {"account_custom_fields": fields}

    def _account(self, user: str, sip_id: Any, denied: str, unknown: str | None = NOBODYS) -> Account:
        """An account; one that is no number, or ends in 04, is not known, one that ends in 18 is another's."""
        fate = fate_of(str(sip_id))
        if not re.fullmatch(r"[0-9]{5,15}", str(sip_id)) or fate.ending is Ending.INVALID_NUMBER:
            raise RpcError(NOT_FOUND, unknown)
        if fate.answer is Answer.INVALID_DATA:
            raise RpcError(PERMISSION_DENIED, denied)
        return self._accounts.setdefault((user, str(sip_id)), Account(44635974 + len(self._accounts)))
