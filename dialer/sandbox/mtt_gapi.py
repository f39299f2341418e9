"""Plays MTT's Premedia, numbers and Global Black List, strictly by `mtt-telecom-api.md` (gapi.mtt.ru), in memory.

The tables here are read off the reference once more, not taken from the methods: a mistake there must show. Errors are
those of the reference, with their `code`, `attribute`, `message`, `tpl` and `tplParams`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from dialer.sandbox.mtt_rpc import (
    INTERNAL,
    INVALID_PARAMS,
    MESSAGES,
    NO_METHOD,
    NOT_FOUND,
    PERMISSION_DENIED,
    Handler,
    RpcError,
    TroubleError,
)
from dialer.sandbox.outcomes import Answer, Ending, fate_of

SCENARIOS = {"1": "Premedia 1", "2": "Premedia 2", "3": "Premedia 3"}
SIDES = ("A", "B")
SEQUENCES = ("Order", "Random", "Simultaneous")
PROMPT_TYPES = ("file", "text")
ENTRY = {"redirect_number": str, "name": str, "timeout": int, "active": str, "follow_order": int}
ACCOUNT_CLASS = "common\\models\\premedia\\api\\Account"  # what errors call an account
FIRST_NUMBER = 74950000131  # of those that can be bought, as in the example
MOST_NUMBERS = 10  # that the account can pay for


@dataclass(slots=True)
class Account:
    """The settings of one `sip_id`."""

    scenario: str = "1"
    answer: int = 0
    prompts: dict[str, dict[str, Any]] = field(default_factory=dict)  # by side
    followme: dict[str, Any] | None = None


@dataclass(slots=True)
class State:
    """What one login, `user`, has."""

    user: str
    prompts: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)  # by customer and name
    accounts: dict[str, Account] = field(default_factory=dict)
    rules: dict[str, None] = field(default_factory=dict)  # the black list, in order
    bought: int = 0
    held_once: set[str] = field(default_factory=set)  # numbers that have had their 429


class MttGapi:
    """The simulated service; each login has a state of its own."""

    def __init__(self) -> None:
        self._states: dict[str, State] = {}

    def handlers(self) -> dict[str, Handler]:
        """Its methods by name."""
        methods: Mapping[str, Callable[[State, Mapping[str, Any]], Any]] = {
            "createCustomerPrompt": create_prompt,
            "getCustomerPrompts": list_prompts,
            "deleteCustomerPrompt": delete_prompt,
            "updatePremediaAccountSettings": update_settings,
            "setAccountPrompt": set_prompt,
            "unsetAccountPrompt": unset_prompt,
            "getPremediaAccountSettings": show_settings,
            "setFollowme": set_followme,
            "getFollowmeAccountSettings": show_followme,
            "addNumbers": add_numbers,
            "addGBLRule": add_rule,
            "deleteGBLRule": delete_rule,
            "getGBLRules": list_rules,
        }
        return {name: self._handler(method) for name, method in methods.items()}

    def _handler(self, method: Callable[[State, Mapping[str, Any]], Any]) -> Handler:
        def handle(user: str, params: Any) -> Any:
            if not isinstance(params, dict):
                refuse(INVALID_PARAMS, "V_VALUE_NOT_VALID", "params", "{attribute} must be an object.")
            return method(self._states.setdefault(user, State(user)), params)

        return handle


# --- Premedia ------------------------------------------------------------------------------------------------


def create_prompt(state: State, params: Mapping[str, Any]) -> Any:
    """createCustomerPrompt."""
    _only(params, ("customer_name", "prompt_name", "prompt_file_contents"), ("prompt_type",))
    prompts, name = _customer(state, params, "customer_id", NO_METHOD), _text(params, "prompt_name")
    kind = params.get("prompt_type", "file")
    _one_of("prompt_type", kind, PROMPT_TYPES)
    contents = _text(params, "prompt_file_contents")
    if kind == "file" and not (name.endswith(".mp3") and _is_base64(contents)):
        refuse(INVALID_PARAMS, "V_VALUE_NOT_VALID", "prompt_file_contents", "{attribute} is no mp3.")
    name = name if kind == "file" else f"TTS_{name.removesuffix('.mp3')}.mp3"
    if name in prompts:
        refuse(
            INVALID_PARAMS,
            "V_VALUE_ALREADY_EXISTS",
            "prompt_name",
            "{attribute} «{value}» already exists.",
            name,
        )
    file_id = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
    number = 1 + max((prompt["id"] for prompt in prompts.values()), default=0)
    prompts[name] = {"id": number, "name": name, "file_id": file_id}
    return {"success": True}


def list_prompts(state: State, params: Mapping[str, Any]) -> Any:
    """getCustomerPrompts."""
    _only(params, ("customer_name",))
    return {"prompts_list": list(_customer(state, params, "i_customer").values())}


def delete_prompt(state: State, params: Mapping[str, Any]) -> Any:
    """deleteCustomerPrompt."""
    _only(params, ("customer_name", "prompt_name"))
    prompts = _customer(state, params)
    name = _text(params, "prompt_name")
    if name not in prompts:
        _not_found("prompt_name", name)
    del prompts[name]
    return {"success": True}


def update_settings(state: State, params: Mapping[str, Any]) -> Any:
    """updatePremediaAccountSettings."""
    _only(params, ("sip_id", "scenario_id"), ("answer",))
    account, scenario = _account(state, params), str(params["scenario_id"])
    if scenario not in SCENARIOS:
        _not_found("scenario_id", scenario)
    answer = params.get("answer", 0)
    if answer not in (0, 1):
        _one_of("answer", str(answer), ("0", "1"), between=",")
    account.scenario, account.answer = scenario, answer
    return {"success": True}


def set_prompt(state: State, params: Mapping[str, Any]) -> Any:
    """setAccountPrompt."""
    _only(params, ("sip_id", "prompt_name", "side"))
    account, name = _account(state, params), _text(params, "prompt_name")
    _one_of("side", params["side"], SIDES)
    found = next((prompts[name] for prompts in state.prompts.values() if name in prompts), None)
    if found is None:
        _not_found("prompt_name", name)
    account.prompts[params["side"]] = {"id": found["id"], "name": found["name"]}
    return {"success": True}


def unset_prompt(state: State, params: Mapping[str, Any]) -> Any:
    """unsetAccountPrompt."""
    _only(params, ("sip_id", "side"))
    account = _account(state, params)
    _one_of("side", params["side"], SIDES)
    account.prompts.pop(params["side"], None)
    return {"success": True}


def show_settings(state: State, params: Mapping[str, Any]) -> Any:
    """getPremediaAccountSettings."""
    _only(params, ("sip_id",))
    account = _account(state, params)
    return {
        "sip_id": params["sip_id"],
        "answer": bool(account.answer),
        "diversion": True,
        "scenario_id": int(account.scenario),
        "scenario_name": SCENARIOS[account.scenario],
        "prompts": {f"{side.lower()}_prompt": prompt for side, prompt in account.prompts.items()},
    }


def set_followme(state: State, params: Mapping[str, Any]) -> Any:
    """setFollowme of a Premedia account."""
    _only(params, ("sip_id",), ("sequence", "caller_id", "followmeStructure"))
    account = _account(state, params)
    _one_of("sequence", params.get("sequence", "Order"), SEQUENCES)
    caller_id = params.get("caller_id")
    if caller_id is not None and not (isinstance(caller_id, str) and re.fullmatch(r"7[0-9]{10}", caller_id)):
        template = "The {attribute} property must match regular expression {pattern}."
        pattern = r"/^7\d{10}$/"
        refuse(INVALID_PARAMS, "V_REGEX_DO_NOT_MATCH", "caller_id", template, told={"pattern": pattern})
    entries = params.get("followmeStructure", [])
    if not isinstance(entries, list) or not all(map(_is_entry, entries)):
        template = "Failed to set follow me for {attribute}"
        refuse(INTERNAL, "A_CAPI_SET_FOLLOWME", "Account", template)
    account.followme = {
        "sip_id": params["sip_id"],
        "sequence": params.get("sequence", "Order"),
        "caller_id": caller_id,
        "followmeStructure": [
            {"timeout": "15", **entry, "follow_order": str(entry.get("follow_order", place))}
            | ({"timeout": str(entry["timeout"])} if "timeout" in entry else {})
            for place, entry in enumerate(entries, 1)
        ],
    }
    return {"success": 1}


def show_followme(state: State, params: Mapping[str, Any]) -> Any:
    """getFollowmeAccountSettings. An account that ends in 18 is another's."""
    _only(params, ("sip_id",))
    if fate_of(str(params["sip_id"])).answer is Answer.INVALID_DATA:
        template = "You don't have access to this {attribute} «{value}»."
        refuse(PERMISSION_DENIED, "C_PERMISSION_DENIED", ACCOUNT_CLASS, template, "")
    account = _account(state, params, code=INVALID_PARAMS)
    empty = {"sip_id": params["sip_id"], "sequence": "Order", "caller_id": None, "followmeStructure": []}
    return account.followme or empty


# --- numbers -------------------------------------------------------------------------------------------------


def add_numbers(state: State, params: Mapping[str, Any]) -> Any:
    """addNumbers."""
    _only(params, ("region_code", "quantity"), ("dial_code",))
    _text(params, "region_code")
    quantity = params["quantity"]
    if not re.fullmatch(r"[1-9][0-9]{0,3}", str(quantity)):
        refuse(INVALID_PARAMS, "V_VALUE_NOT_VALID", "quantity", "{attribute} is no number.")
    many = int(quantity)
    if state.bought + many > MOST_NUMBERS:
        template = "Insufficient funds to connect {value} numbers"
        refuse(INVALID_PARAMS, "B_INSUFFICIENT_FUNDS_FOR_NUMBERS", "quantity", template, many)
    first = FIRST_NUMBER + state.bought
    state.bought += many
    return [
        {"number_list": [{"number": first + one, "result": {"status": "Success"}} for one in range(many)]}
    ]


# --- the black list ------------------------------------------------------------------------------------------


def add_rule(state: State, params: Mapping[str, Any]) -> Any:
    """addGBLRule. What the number's end says of a submit goes for the request here, too."""
    number, answer = _rule(state, params)
    if number in state.rules or answer is Answer.INVALID_DATA:
        template = "Failed to create new rate for {attribute} «{value}»"
        refuse(INTERNAL, "A_CAPI_CREATE_RATE", "Destination", template, number)
    state.rules[number] = None
    return _done(answer)


def delete_rule(state: State, params: Mapping[str, Any]) -> Any:
    """deleteGBLRule."""
    number, answer = _rule(state, params)
    if number not in state.rules:
        _not_found("gbl_rule", number)
    del state.rules[number]
    return _done(answer)


def list_rules(state: State, params: Mapping[str, Any]) -> Any:
    """getGBLRules: numbers, not texts. A login that ends in 19 has trouble with its rates."""
    _only(params, ())
    if fate_of(state.user).answer is Answer.INTERNAL_ERROR:
        refuse(INTERNAL, "A_CAPI_GET_RATES", "Tariff", "Failed to get rates for {attribute}")
    return list(map(int, state.rules))


def _rule(state: State, params: Mapping[str, Any]) -> tuple[str, Answer]:
    _only(params, ("gbl_rule",))
    number = _text(params, "gbl_rule")
    if not re.fullmatch(r"[1-9][0-9]{4,14}", number):
        refuse(INVALID_PARAMS, "V_VALUE_NOT_VALID", "gbl_rule", "{attribute} is no number.")
    answer = fate_of(number).answer
    if answer is Answer.TOO_MANY and number in state.held_once:
        return number, Answer.OK
    if answer is Answer.TOO_MANY:
        state.held_once.add(number)
    if answer in (Answer.TOO_MANY, Answer.SERVER_ERROR):
        raise TroubleError(answer)
    return number, answer


def _done(answer: Answer) -> Any:
    if answer in (Answer.SILENCE, Answer.RESET, Answer.GARBAGE):
        raise TroubleError(answer)
    if answer is Answer.INTERNAL_ERROR:
        raise RpcError(INTERNAL)
    return {"success": 1}


# --- errors --------------------------------------------------------------------------------------------------


def refuse(
    code: int,
    word: str,
    attribute: str,
    template: str,
    value: Any = None,
    told: Mapping[str, Any] | None = None,
    whole: str = "",
) -> NoReturn:
    """An error as the reference prints them. `told` are other words of the template, or the same in another form;
    `whole` is the message of the error itself, where it is not that of its code."""
    words = {"attribute": attribute} | ({} if value is None else {"value": value}) | dict(told or {})
    message = template
    for name, one in words.items():
        message = message.replace(f"{{{name}}}", str(one))
    problem = {"code": word, "attribute": attribute, "message": message, "tpl": template, "tplParams": words}
    raise RpcError(code, [problem], whole)


def _not_found(attribute: str, value: str, code: int = NOT_FOUND) -> NoReturn:
    refuse(code, "V_VALUE_NOT_FOUND", attribute, "{attribute} «{value}» not found.", value)


def _one_of(attribute: str, value: Any, known: tuple[str, ...], *, between: str = ", ") -> None:
    if value not in known:
        template = "{attribute} {currentvalue} must be one of those valid values {value}."
        valid = between.join(known)
        refuse(
            INVALID_PARAMS, "V_VALUE_NOT_IN_LIST", attribute, template, valid, {"currentvalue": str(value)}
        )


def _only(params: Mapping[str, Any], needed: tuple[str, ...], optional: tuple[str, ...] = ()) -> None:
    for name in params:
        if name not in (*needed, *optional):
            refuse(INVALID_PARAMS, "V_UNKNOWN_PARAM", name, "{attribute} is unknown.")
    for name in needed:
        if params.get(name) in (None, ""):
            refuse(INVALID_PARAMS, "V_VALUE_REQUIRED", name, "{attribute} cannot be blank.")


def _text(params: Mapping[str, Any], name: str) -> str:
    if not isinstance(params[name], str):
        refuse(INVALID_PARAMS, "V_VALUE_NOT_VALID", name, "{attribute} must be a string.")
    return str(params[name])


def _customer(
    state: State, params: Mapping[str, Any], attribute: str = "customer_name", code: int = NOT_FOUND
) -> dict[str, dict[str, Any]]:
    """The prompts of a customer; the one whose name ends in 04 is not known, which each method tells in its own way."""
    name = str(params["customer_name"])
    if fate_of(name).ending is Ending.INVALID_NUMBER:
        template, told = "{attribute} «{value}» not found.", {"attribute": "customer_name"}
        refuse(code, "V_VALUE_NOT_FOUND", attribute, template, name, told, MESSAGES[NOT_FOUND])
    return state.prompts.setdefault(name, {})


def _account(state: State, params: Mapping[str, Any], code: int = NOT_FOUND) -> Account:
    """An account; one that is no number, or ends in 04, is not known."""
    sip_id = params["sip_id"]
    is_number = isinstance(sip_id, str) and re.fullmatch(r"[0-9]{5,15}", sip_id)
    if not is_number or fate_of(sip_id).ending is Ending.INVALID_NUMBER:
        _not_found("sip_id", str(sip_id), code)
    return state.accounts.setdefault(sip_id, Account())


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or any(type(entry[name]) is not ENTRY.get(name) for name in entry):
        return False
    number = entry.get("redirect_number", "")
    return bool(re.fullmatch(r"[0-9]{5,15}", number)) and entry.get("active", "Y") in ("Y", "N")


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
