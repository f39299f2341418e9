"""Flows as JSON: read, with a sentence for whatever is wrong; written; and the JSON Schema of it.

The models here are both the parser and the schema, so that the two cannot disagree; what a schema cannot say (that a
menu exists, that a text is a template) is looked at afterwards.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import ErrorDetails

from dialer.calls.flow import Action, Does, Flow, Menu, Prompt
from dialer.campaigns.template import LONGEST_TEXT, Template, TemplateError
from dialer.numbers import NumberError, to_e164

MOST_MENUS = 50
MOST_PROMPTS = 10
LONGEST_TIMEOUT = 60
MOST_REPEATS = 10

NAME, KEY, NUMBER = r"^[A-Za-z0-9_\-]{1,40}$", r"^[0-9*#]$", r"^\+?[1-9][0-9]{6,14}$"
#: What a pattern means, for the errors.
_WRITTEN: Mapping[str, str] = {
    NAME: "a name of up to 40 letters, digits, dashes and underscores",
    KEY: "one key of 0 to 9, * and #",
    NUMBER: "a phone number with its country code, such as +74997090111",
}
_TEXT, _MEDIA = "a text prompt", "a media prompt"
_NO_OTHERS: dict[str, Any] = {"additionalProperties": False}

Name = Annotated[str, Field(pattern=NAME)]
Key = Annotated[str, Field(pattern=KEY)]
Number = Annotated[str, Field(pattern=NUMBER, description="With country code.")]


class FlowError(ValueError):
    """A flow that cannot be used. The message is one sentence that names the place and the mend."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TextPrompt(_Form):
    """A text to be spoken, perhaps with `{fields}` of the contact."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class MediaPrompt(_Form):
    """A recorded file to be played, by the name that the provider has it under."""

    media: Annotated[str, Field(min_length=1, max_length=200)]


def _tag_of_prompt(given: Any) -> str:
    return _MEDIA if isinstance(given, dict) and "media" in given else _TEXT


APrompt = Annotated[
    Annotated[TextPrompt, Tag(_TEXT)] | Annotated[MediaPrompt, Tag(_MEDIA)],
    Discriminator(_tag_of_prompt),
]
Said = Annotated[list[APrompt], Field(max_length=MOST_PROMPTS)]


class _Saying(_Form):
    say: Said = []


class GoTo(_Saying):
    """Say something, then another menu."""

    does: Literal["go_to"]
    menu: Name


class Transfer(_Saying):
    """Say something, then connect with a number."""

    does: Literal["transfer"]
    number: Number
    greeting: Annotated[Said, Field(description="What whoever picks up there hears before they talk.")] = []


class Notify(_Saying):
    """Note that the key was pressed, say something, hang up."""

    does: Literal["notify"]


class Repeat(_Saying):
    """Say something, then the menu again."""

    does: Literal["repeat"]


class OptOut(_Saying):
    """Put the callee's number on the account's global DND list, say something, hang up."""

    does: Literal["opt_out"]


class HangUp(_Saying):
    """Say something, hang up."""

    does: Literal["hang_up"]


OfKey = Annotated[GoTo | Transfer | Notify | Repeat | OptOut | HangUp, Field(discriminator="does")]
WithoutKey = Annotated[GoTo | Transfer | Notify | HangUp, Field(discriminator="does")]


class AMenu(_Form):
    """Prompts, and the keys that may be pressed during and after them."""

    prompts: Annotated[list[APrompt], Field(min_length=1, max_length=MOST_PROMPTS)]
    keys: Annotated[dict[Key, OfKey], Field(min_length=1, json_schema_extra=_NO_OTHERS)]
    timeout: Annotated[int, Field(ge=1, le=LONGEST_TIMEOUT, description="Seconds after the last prompt.")] = 5
    repeats: Annotated[
        int,
        Field(
            ge=0,
            le=MOST_REPEATS,
            description="How often it is said again for no key, or one without an action.",
        ),
    ] = 1
    otherwise: Annotated[WithoutKey, Field(description="What is done then; to hang up, unless set.")] = (
        HangUp(does="hang_up")
    )


class AFlow(_Form):
    """What a call that asks for keys says, and where each key leads."""

    model_config = ConfigDict(title="Flow")

    first: Annotated[Name, Field(description="The menu that whoever answers hears.")]
    menus: Annotated[
        dict[Name, AMenu], Field(min_length=1, max_length=MOST_MENUS, json_schema_extra=_NO_OTHERS)
    ]


def schema() -> dict[str, Any]:
    """The JSON Schema of a flow (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **AFlow.model_json_schema()}


def parse(given: Any) -> Flow:
    """A flow from its JSON form, decoded or as a text. Raises `FlowError`."""
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except (ValueError, RecursionError):
            raise FlowError("flow is not JSON: give an object with first and menus.") from None
    try:
        form = AFlow.model_validate(given)
    except ValidationError as error:
        raise FlowError(_sentence(error.errors(include_url=False)[0], given)) from None
    flow = Flow(form.first, {name: _menu(name, menu) for name, menu in form.menus.items()})
    _check_names(flow)
    for path, prompt in flow.prompts():
        _check_text(path, prompt)
    return flow


def to_json(flow: Flow) -> dict[str, Any]:
    """The JSON form of a flow; `parse` reads it back."""
    return {"first": flow.first, "menus": {name: _of_menu(menu) for name, menu in flow.menus.items()}}


def greeted(flow: Flow, prompt: Prompt) -> Flow:
    """A flow with something said before everything else. Raises `FlowError` where its first menu holds no more."""
    if len(flow.menus[flow.first].prompts) >= MOST_PROMPTS:
        raise FlowError(
            f"flow.menus.{flow.first}.prompts may have at most {MOST_PROMPTS - 1} after what is said first: "
            "remove some."
        )
    return flow.greeting(prompt)


def stored(key: str, form: Mapping[str, Any]) -> Flow:
    """A flow as `to_json` wrote it, remembered under `key` for as long as it is written so."""
    known = _stored.get(key)
    if known is None or known[0] != form:
        if len(_stored) > 200:
            _stored.clear()
        known = _stored[key] = form, parse(form)
    return known[1]


_stored: dict[str, tuple[Mapping[str, Any], Flow]] = {}


def _menu(name: str, form: AMenu) -> Menu:
    path = f"menus.{name}"
    keys = {key: _action(f"{path}.keys.{key}", action) for key, action in form.keys.items()}
    otherwise = _action(f"{path}.otherwise", form.otherwise)
    return Menu(_prompts(form.prompts), keys, form.timeout, form.repeats, otherwise)


def _action(path: str, form: GoTo | Transfer | Notify | Repeat | OptOut | HangUp) -> Action:
    say = _prompts(form.say)
    if isinstance(form, GoTo):
        return Action(Does.GO_TO, say, menu=form.menu)
    if isinstance(form, Transfer):
        try:
            number = to_e164(form.number, None)
        except NumberError as error:
            raise FlowError(f"flow.{path}.number: {error.reason}") from None
        return Action(Does.TRANSFER, say, number=number, greeting=_prompts(form.greeting))
    return Action(Does(form.does), say)


def _prompts(forms: Sequence[TextPrompt | MediaPrompt]) -> tuple[Prompt, ...]:
    return tuple(
        Prompt(text=form.text) if isinstance(form, TextPrompt) else Prompt(media=form.media) for form in forms
    )


def _check_names(flow: Flow) -> None:
    known = ", ".join(list(flow.menus)[:20])
    if flow.first not in flow.menus:
        raise FlowError(
            f"flow.first names the menu {flow.first}, which menus does not hold: name one of {known}."
        )
    for name, menu in flow.menus.items():
        paths = [(f"keys.{key}", action) for key, action in menu.keys.items()]
        for path, action in [*paths, ("otherwise", menu.otherwise)]:
            if action.menu is not None and action.menu not in flow.menus:
                raise FlowError(
                    f"flow.menus.{name}.{path}.menu names the menu {action.menu}, which menus does not hold: "
                    f"name one of {known}."
                )


def _check_text(path: str, prompt: Prompt) -> None:
    where = f"flow.{path}.text"
    said = prompt.text if prompt.text is not None else prompt.media or ""
    if not said.strip() or not all(one.isprintable() or one in "\r\n\t" for one in said):
        raise FlowError(f"flow.{path} is empty or holds control characters: write it in plain characters.")
    if prompt.text is not None:
        try:
            Template.compile(prompt.text, where)
        except TemplateError as error:
            raise FlowError(str(error)) from None


def _of_menu(menu: Menu) -> dict[str, Any]:
    return {
        "prompts": [_of_prompt(prompt) for prompt in menu.prompts],
        "keys": {key: _of_action(action) for key, action in menu.keys.items()},
        "timeout": menu.timeout,
        "repeats": menu.repeats,
        "otherwise": _of_action(menu.otherwise),
    }


def _of_action(action: Action) -> dict[str, Any]:
    form: dict[str, Any] = {"does": action.does.value}
    if action.say:
        form["say"] = [_of_prompt(prompt) for prompt in action.say]
    if action.menu is not None:
        form["menu"] = action.menu
    if action.number is not None:
        form["number"] = action.number
    if action.greeting:
        form["greeting"] = [_of_prompt(prompt) for prompt in action.greeting]
    return form


def _of_prompt(prompt: Prompt) -> dict[str, str]:
    return {"media": prompt.media or ""} if prompt.text is None else {"text": prompt.text}


#: What is wrong and how it is mended, by pydantic's word for it; the rest is said in pydantic's own words.
_MENDS: Mapping[str, str] = {
    "missing": "is missing: give it",
    "extra_forbidden": "is not known: remove it",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "list_type": "must be an array",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_too_short": "is empty: give at least one character",
    "string_too_long": "may have at most {max_length} characters: shorten it",
    "too_short": "is empty: give at least {min_length}",
    "too_long": "may have at most {max_length}: remove some",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "may be at most {le}",
    "string_pattern_mismatch": "must be {written}",
    "union_tag_not_found": "lacks does: say what is done, one of {does}",
    "union_tag_invalid": "does what is not known: does must be one of {expected_tags}",
}


def _sentence(error: ErrorDetails, given: Any) -> str:
    path = ".".join(["flow", *_path(error["loc"], given)])
    context = {"does": ", ".join(Does), **error.get("ctx", {})}
    context["written"] = _WRITTEN.get(str(context.get("pattern")), "written otherwise")
    mend = _MENDS.get(error["type"])
    if mend is None:
        return f"{path}: {error['msg']}."
    return f"{path} {mend.format(**context)}."


def _path(loc: Sequence[int | str], given: Any) -> list[str]:
    """The place as a person writes it: without pydantic's words for which kind of prompt or action it takes it for."""
    path = []
    for place, part in enumerate(loc):
        if part in ("[key]", _TEXT, _MEDIA):
            continue
        is_there = (isinstance(given, dict) and part in given) or (
            isinstance(given, list) and isinstance(part, int) and part < len(given)
        )
        if not is_there and place < len(loc) - 1 and loc[place + 1] != "[key]":
            continue
        path.append(str(part)[:40])
        given = given[part] if is_there else None
    return path
