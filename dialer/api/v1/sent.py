"""Requests that carry a file: a form (`multipart/form-data`), streamed to disk, or JSON that names a file.

Nothing of the body is read before it is known who asks and that they may.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, BinaryIO, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from dialer.api.v1.caller import Campaigner
from dialer.api.v1.schema import whole
from dialer.errors import FieldError
from dialer.imports.rows import clean

FORM = "multipart/form-data"
FILE = "file"
MOST_FIELDS = 20
#: Bytes of a field of a form, and of JSON.
LONGEST_FIELD = 100_000

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Sent:
    """What was sent: the fields, and the file with its name, if there is one."""

    fields: Mapping[str, Any]
    file: BinaryIO | None = field(default=None, repr=False)
    file_name: str = ""

    def read(self, model: type[ModelT]) -> ModelT:
        """The fields, checked. Raises `RequestValidationError`."""
        try:
            return model.model_validate(self.fields)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            raise RequestValidationError(
                [{**one, "loc": ("body", *one["loc"])} for one in problems]
            ) from None


async def _sent(request: Request, _: Campaigner) -> AsyncIterator[Sent]:
    if not request.headers.get("content-type", "").lower().startswith(FORM):
        yield Sent(_object(await request.body()))
        return
    try:
        async with request.form(max_files=1, max_fields=MOST_FIELDS, max_part_size=LONGEST_FIELD) as form:
            file = form.get(FILE)
            if not isinstance(file, UploadFile):
                raise FieldError(
                    FILE, f"{FILE} is missing: the form must have a part of this name, with the file."
                )
            fields = {name: value for name, value in form.items() if name != FILE}
            name = clean((file.filename or "").replace("\\", "/").rpartition("/")[2])
            yield Sent(fields, file.file, name)
    except HTTPException as error:
        raise FieldError(
            "body", f"The form cannot be read ({error.detail.rstrip('.')}): send {FORM} with one file."
        ) from None


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        raise FieldError("body", f"The body is no JSON: send an object, or {FORM} with a file.") from None
    if not isinstance(body, dict):
        raise FieldError("body", "The body must be a JSON object.")
    return body


SentBody = Annotated[Sent, Depends(_sent)]


def takes_file(*models: type[BaseModel], form: type[BaseModel]) -> dict[str, Any]:
    """The body of an endpoint, for its page in `/docs`: JSON of these models, or a form with a file and fields."""
    schema = whole(form)
    properties = {FILE: {"type": "string", "format": "binary"}, **schema["properties"]}
    needed = [FILE, *(name for name in schema.get("required", ()) if name != FILE)]
    content: dict[str, Any] = {
        FORM: {"schema": {"type": "object", "properties": properties, "required": needed}}
    }
    for model in models:
        content["application/json"] = {"schema": whole(model)}
    return {"requestBody": {"required": True, "content": content}}
