"""What `POST /v1/calls` is sent: a call to be made, or up to a thousand of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from dialer.api.v1.moment import Moment
from dialer.api.v1.naming import Said
from dialer.api.v1.schema import whole
from dialer.api.v1.speech import SpeechForm
from dialer.api.v1.talk import Longest, PromptsForm, RingForm

#: Calls in one request.
MOST = 1000

_Plain = StringConstraints(max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]+$")],
        Annotated[str, _Plain],
    ],
    Field(
        max_length=20, description="given back with the call, its CDRs and webhooks; never sent to a provider"
    ),
]


class NewCall(BaseModel, extra="forbid"):
    """A call to be made."""

    purpose: Literal["otp", "transactional", "announcement", "click_to_call"] = Field(
        description="what it is for: `otp` and `click_to_call` are dialled at once, at any hour; `transactional` and "
        "`announcement` in the account's calling window, behind them"
    )
    to: str = Field(max_length=40, description="whom to ring: E.164, or national in the account's region")
    from_: str | None = Field(
        default=None,
        alias="from",
        max_length=40,
        description="the number shown to the callee; needed unless `channel` is `flash` or `sms`",
    )
    message: str | None = Field(
        default=None,
        max_length=5000,
        description="what is said; `{name}` stands for a variable, `{otp}` for `code`",
    )
    template_id: str | None = Field(
        default=None,
        max_length=100,
        pattern=r"^[^\x00]*$",
        description="`AN…`, a template of the account, instead of `message`",
    )
    variables: (
        dict[
            Annotated[str, StringConstraints(max_length=64)],
            Annotated[Said, StringConstraints(max_length=5000)],
        ]
        | None
    ) = Field(
        default=None, max_length=50, description="texts or numbers for the places of message or template"
    )
    code: str | None = Field(
        default=None, max_length=100, description="the one-time password of an `otp`; it is never given back"
    )
    channel: Literal["voice", "flash", "sms"] | None = Field(
        default=None, description="how an `otp` is brought; `voice` unless given"
    )
    connect_to: str | None = Field(
        default=None, max_length=40, description="of a `click_to_call`: whom the callee is connected with"
    )
    record: bool = Field(default=False, description="of a `click_to_call`: whether it is recorded")
    prompts: PromptsForm | None = Field(
        default=None, description="of a `click_to_call`: what each of the two hears before they are connected"
    )
    max_seconds: Longest | None = Field(
        default=None, description="of a `click_to_call`: how long they may talk at most, in seconds"
    )
    ring: RingForm | None = Field(
        default=None,
        description="of a `click_to_call`: which numbers are rung besides `to` or `connect_to`, and for how long each",
    )
    speech: SpeechForm = Field(default_factory=SpeechForm, description="how it is said")
    provider: str | None = Field(
        default=None, max_length=200, description="the name of the only provider that may carry it"
    )
    not_before: Moment | None = Field(
        default=None, description="the earliest moment to dial it; at most 30 days ahead"
    )
    expires_at: Moment | None = Field(
        default=None,
        description="from when it is not dialled any more; unless given five minutes (`otp`), two minutes "
        "(`click_to_call`) or a day after it is due",
    )
    time_zone: str | None = Field(
        default=None, max_length=100, description="IANA name of the callee's; unless given told by the number"
    )
    repeat_policy: dict[str, Any] | None = Field(
        default=None, description="after which outcomes it is made again; never unless given"
    )
    metadata: Metadata | None = None


class NewCalls(BaseModel, extra="forbid"):
    """Calls to be made: all of them, or none."""

    calls: list[NewCall] = Field(min_length=1, max_length=MOST)


def described() -> dict[str, Any]:
    """Either body, for `/docs`."""
    one = whole(NewCall)
    many = {
        "type": "object",
        "title": "NewCalls",
        "description": NewCalls.__doc__,
        "required": ["calls"],
        "additionalProperties": False,
        "properties": {"calls": {"type": "array", "minItems": 1, "maxItems": MOST, "items": one}},
    }
    content = {"application/json": {"schema": {"oneOf": [one, many]}}}
    return {"requestBody": {"required": True, "content": content}}


def read(body: dict[str, Any], is_batch: bool) -> list[NewCall]:
    """The calls that a body asks for. Raises `RequestValidationError`."""
    try:
        return NewCalls.model_validate(body).calls if is_batch else [NewCall.model_validate(body)]
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_url=False)) from None
